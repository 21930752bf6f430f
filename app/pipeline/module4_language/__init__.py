"""Module 4: glosses -> sentence."""
