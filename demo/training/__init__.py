"""The stages of ``python -m demo.train``: one module for each part of the pack, and the loop they share."""
