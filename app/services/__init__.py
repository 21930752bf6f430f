"""What the doors call: orchestration of the pipeline, off the event loop."""
