"""The training loop: batches in, weights out; one process or several, resumable."""
