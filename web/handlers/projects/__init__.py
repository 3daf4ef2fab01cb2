"""Handlers about people's own models."""
