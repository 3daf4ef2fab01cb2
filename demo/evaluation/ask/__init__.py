"""What `python -m demo.evaluate ask` asks the demo chat model, and how its answers are judged."""
