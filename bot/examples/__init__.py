"""Teaching by examples in Discord."""
