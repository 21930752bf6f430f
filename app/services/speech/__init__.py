"""Speech to text, text to the other language, text to a voice: whole requests, and live sessions."""
