"""The recogniser in memory, and clips read with it."""
