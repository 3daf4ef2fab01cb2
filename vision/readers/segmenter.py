"""CLIPSeg: a mask of what a text names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageFilter
from transformers import AutoConfig, AutoProcessor, CLIPSegForImageSegmentation

from core.errors import ModelError, UserError
from vision.readers import point_segmenter, thing_segmenter
from vision.readers.point_segmenter import PointSegmenter
from vision.readers.thing_segmenter import ThingSegmenter

THRESHOLD = 0.4  # of the probability; its authors' examples use 0.3 to 0.5


class Segmenter:
    """A CLIPSeg in memory. card: the folder's ``atelier.json``; its "threshold" replaces THRESHOLD."""

    takes_words, takes_points = True, False

    def __init__(self, name: str, model: Any, processor: Any, card: Mapping[str, Any]) -> None:
        self.name, self.model, self.processor = name, model, processor
        self.threshold = float(card.get("threshold", THRESHOLD))

    @torch.no_grad()
    def probabilities(self, image: Image.Image, words: str) -> torch.Tensor:
        """Return (h, w) of 0..1 at the model's own size, whatever the picture's shape."""
        given = self.processor(
            text=[words], images=[image], padding=True, truncation=True, return_tensors="pt"
        )
        given = {
            k: v.to(self.model.device, self.model.dtype if v.is_floating_point() else v.dtype)
            for k, v in given.items()
        }
        return (
            self.model(**given)
            .logits.float()
            .sigmoid()
            .cpu()
            .reshape(self.model.config.vision_config.image_size, -1)
        )

    def mask(self, image: Image.Image, words: str) -> Image.Image:
        """Return an "L" mask at the picture's size, 255 where the words fit and a little around it.

        Raises UserError when nothing in the picture fits.
        """
        likely = self.probabilities(image, words)
        if float(likely.max()) < self.threshold:
            raise UserError(
                "Nothing in the picture fits these words. Try other words, or choose the part by `mask` or"
                " `fields`."
            )
        small = Image.fromarray((likely * 255).round().byte().numpy())
        large = small.resize(image.size, Image.Resampling.BILINEAR).point(
            lambda value: 255 * (value >= self.threshold * 255 - 0.5)
        )
        return widened(large)


def widened(mask: Image.Image) -> Image.Image:
    """Return a mask with a rim of a 128th of its shorter side."""
    return mask.filter(ImageFilter.MaxFilter(2 * max(1, min(mask.size) // 128) + 1))


def load(
    folder: Path, name: str, card: Mapping[str, Any], device: str, dtype: torch.dtype
) -> Segmenter | PointSegmenter | ThingSegmenter:
    """Load the folder of a CLIPSeg, a SAM, a UPerNet or a SegFormer. Raises ModelError for any other kind."""
    kind = AutoConfig.from_pretrained(folder, trust_remote_code=False).model_type
    if kind == "sam":
        return point_segmenter.load(folder, name, device, dtype)
    if kind in thing_segmenter.KINDS:
        return thing_segmenter.load(folder, name, device, dtype)
    if kind != "clipseg":
        raise ModelError(f"{name} is a {kind} model; SEGMENT_MODEL takes CLIPSeg, SAM, UPerNet or SegFormer.")
    common = {"local_files_only": True, "trust_remote_code": False}
    model = (
        CLIPSegForImageSegmentation.from_pretrained(folder, dtype=dtype, use_safetensors=True, **common)
        .to(device)
        .eval()
    )
    return Segmenter(name, model, AutoProcessor.from_pretrained(folder, **common), card)
