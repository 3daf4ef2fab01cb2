"""Boxes around things, from few pictures in which they were marked."""
