"""Bundles that run elsewhere: one ONNX graph, what goes with it, and a script for a bare environment."""
