"""Clips: films of ours that are made from films, by processes that are shut in. Nothing of it needs a
model."""
