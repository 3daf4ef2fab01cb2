"""Rows of questions and their answers."""
