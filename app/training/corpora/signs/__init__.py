"""The signs corpus: recordings of single signs, trained on as composed phrases."""
