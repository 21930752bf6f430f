"""What the HTTP routes accept and answer, by subject."""
