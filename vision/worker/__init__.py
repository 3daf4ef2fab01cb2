"""Tensors: capabilities, model families, and the worker process that runs them. Importing the package loads
no torch."""
