"""Compares two image generators on the same prompts and seeds, by a measure that isn't told which is
which."""
