"""Images to landmarks: the engine protocol and its implementations."""
