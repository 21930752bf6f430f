"""Speech: transcription, translation and voice; three protocols with their engines beside them. Knows no settings."""
