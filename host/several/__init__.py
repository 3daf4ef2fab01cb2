"""What a process does as one of several that are one bot."""
