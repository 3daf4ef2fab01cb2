"""Servers and their channels, as somebody finds them who came by none of them."""
