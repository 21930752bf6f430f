"""ASLG-PC12: pairs of ASL-like glosses in English order and English sentences."""
