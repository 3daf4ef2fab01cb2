"""Answers as people get them, whatever door they came by."""
