"""Strangers' files: intake, confined processes that read pictures and videos, masks, marks."""
