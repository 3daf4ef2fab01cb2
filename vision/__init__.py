"""Tensors: capabilities, model families, and the worker that runs them. Importing it loads no torch."""
