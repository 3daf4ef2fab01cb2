"""Handlers of what people do with their own pictures."""
