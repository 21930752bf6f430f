"""Module 3: temporal model, CTC lattice, decoders, confidence."""
