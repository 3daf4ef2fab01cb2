"""Image classifiers with labels of their own: any ``AutoModelForImageClassification``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageClassification

from vision.engine.side_work import BeforeSlice, unbatched


class Classifier:
    """An image classifier in memory."""

    def __init__(self, name: str, model: Any, processor: Any) -> None:
        self.name, self.model, self.processor = name, model, processor

    def classify(self, image: Image.Image, top_k: int) -> list[tuple[str, float]]:
        """Return the ``top_k`` labels with their probabilities, best first. Those of a multi-label model are
        each 0..1 on their own and don't sum to 1."""
        return unbatched(self.classify_each, (image, top_k))

    @torch.no_grad()
    def classify_each(
        self, pairs: Sequence[tuple[Image.Image, int]], before_slice: BeforeSlice
    ) -> list[list[tuple[str, float]]]:
        """Return what ``classify`` does for each (picture, top_k), one pair for each job that asks at once.
        See vision.engine.side_work."""
        pixels = self.processor(images=[image for image, _ in pairs], return_tensors="pt")["pixel_values"].to(
            self.model.device, self.model.dtype
        )
        logits = self.model(pixel_values=pixels).logits.float()  # (N, L)
        multi = self.model.config.problem_type == "multi_label_classification"
        return [
            self._top(chances, top_k)
            for chances, (_, top_k) in zip(
                logits.sigmoid() if multi else logits.softmax(-1), pairs, strict=True
            )
        ]

    def _top(self, chances: torch.Tensor, top_k: int) -> list[tuple[str, float]]:
        values, places = chances.topk(min(top_k, len(chances)))
        names = self.model.config.id2label
        return [
            (str(names[int(i)]).split(",")[0], float(v)) for v, i in zip(values, places, strict=True)
        ]  # ImageNet: "tabby, tabby cat"


def load(folder: Path, name: str, card: Mapping[str, Any], device: str, dtype: torch.dtype) -> Classifier:
    """Load an image classification folder."""
    common = {"local_files_only": True, "trust_remote_code": False}
    model = (
        AutoModelForImageClassification.from_pretrained(folder, dtype=dtype, use_safetensors=True, **common)
        .to(device)
        .eval()
    )
    return Classifier(name, model, AutoImageProcessor.from_pretrained(folder, **common))
