"""Sign sets: signs that people teach, kept for them and read beside or instead of a vocabulary."""
