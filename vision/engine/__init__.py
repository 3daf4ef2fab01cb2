"""vision.engine."""
