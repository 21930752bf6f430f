"""Live captions: sessions that take frames and give events, whatever the door they come through."""
