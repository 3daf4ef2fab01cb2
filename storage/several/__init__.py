"""Rows by which several programs on one database know of each other and of what the others do."""
