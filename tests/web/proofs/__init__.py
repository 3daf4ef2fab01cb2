"""Proofs about the studio on the web that walk everything there is: ``make web-proof``."""
