"""Ways to run the network: PyTorch, ONNX Runtime, exported graphs."""
