"""Corpora of one's own: manifest, importers, landmark extraction, batches of whole clips."""
