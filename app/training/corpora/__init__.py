"""Corpora, a package each; none imports another."""
