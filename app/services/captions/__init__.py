"""Live captions of signing: hub, sessions, cameras, commands and events."""
