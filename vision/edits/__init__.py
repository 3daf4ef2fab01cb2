"""Changes by words: what an instruction names, and what of the result is laid over the picture."""
