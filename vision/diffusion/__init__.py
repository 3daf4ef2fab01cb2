"""One loaded image model and its parts: adapters, small decoders, cached texts, compiled blocks."""
