"""The gRPC door: whole clips in one call, live captions as a stream. The contract is glossline/v1/captioner.proto."""
