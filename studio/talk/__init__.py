"""A conversation with the studio: what a sentence means, and what was said and made."""
