"""The programs in tools/: full-size models without their weights, and a card without one."""
