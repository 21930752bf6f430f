"""Live speech: sound in, captions in both languages and a voice out."""
