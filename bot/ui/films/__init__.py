"""Buttons and windows of films."""
