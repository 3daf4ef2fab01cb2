"""Teaching by examples: the sets that people keep, and what a job is told of them."""
