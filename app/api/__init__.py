"""HTTP doors: thin, no logic."""
