"""From runs to checkpoints: what a run leaves behind, averaged weights, model cards."""
