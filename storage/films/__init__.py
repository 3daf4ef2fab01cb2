"""Rows of films, beside the pictures that show them."""
