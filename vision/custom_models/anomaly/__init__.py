"""Inspections that learn from good parts: what is unlike them, where, and above which limit."""
