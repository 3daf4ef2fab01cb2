"""Image models: how one is loaded and called, its adapters, decoders, checkpoints and tasks."""
