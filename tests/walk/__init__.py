"""A walk through the sandbox in a real browser: ``python -m tests.walk``, or ``make walk``."""
