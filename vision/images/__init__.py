"""Pictures as pixels and files: encoded, cut into tiles, drawn as charts."""
