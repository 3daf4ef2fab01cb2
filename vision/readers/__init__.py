"""The models that read pictures: CLIP, the captioner, the classifier and the segmenter, and those of
photographs. Importing the package loads no torch."""

READERS: dict[str, str] = {  # role → module:function(folder, name, card, device, dtype)
    "clip": "vision.readers.clip:load_clip",
    "caption": "vision.readers.captioner:load_captioner",
    "vit": "vision.readers.classifier:load_classifier",
    "segment": "vision.readers.segmentation:load_segmenter",
    "photograph": "vision.readers.photo.models:load_photograph",
    "faces": "vision.readers.photo.models:load_faces",
    "cutout": "vision.readers.photo.models:load_cutter",
    "enlarge": "vision.readers.photo.models:load_enlarger",
}
