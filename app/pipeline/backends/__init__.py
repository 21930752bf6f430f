"""Backends that run the network: PyTorch, ONNX Runtime, exported graphs."""
