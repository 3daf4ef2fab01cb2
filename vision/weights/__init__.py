"""Model folders: where they come from, what they hold, and whether they may be trusted."""
