"""Module 1: video -> frames at the model's rate -> 75 keypoints -> normalised tensors."""
