"""Text to signs: glosses of a text, one performance of them, and its video."""
