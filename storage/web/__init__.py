"""Rows that only the studio on the web has."""
