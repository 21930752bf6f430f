"""Version 1 of the protocol: captioner.proto and the code made from it by scripts/build_proto.py."""
