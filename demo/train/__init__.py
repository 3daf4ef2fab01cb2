"""The stages of ``python -m demo.train``: the parts of the pack, and the loop they share."""
