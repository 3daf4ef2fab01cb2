"""Styles that members have made, as prompts name them."""
