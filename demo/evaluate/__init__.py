"""What `python -m demo.evaluate` asks the pack, and how the answers are judged and told."""
