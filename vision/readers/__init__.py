"""The models that read pictures: CLIP, the captioner, the classifier and the segmenter, and those of
photographs. Importing the package loads no torch."""

READERS: dict[str, str] = {  # role → module with load(folder, name, card, device, dtype)
    "clip": "vision.readers.clip",
    "caption": "vision.readers.captioner",
    "vit": "vision.readers.vit",
    "segment": "vision.readers.segmenter",
    "photograph": "vision.photo.efficientnet",
    "faces": "vision.photo.faces",
    "cutout": "vision.photo.cutter",
    "enlarge": "vision.photo.enlarger",
}

__all__ = ["READERS"]
