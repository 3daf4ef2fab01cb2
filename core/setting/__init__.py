"""What ``core.settings`` is made of: how texts become values, and what holds between them."""
