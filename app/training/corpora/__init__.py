"""Corpora, one folder each: how they are read, drawn from, and measured on."""
