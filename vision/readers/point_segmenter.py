"""SAM: the outline of what somebody points at. A picture is looked at once, which is slow; then a click takes
milliseconds (arXiv:2304.02643)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from cachetools import LRUCache
from PIL import Image
from transformers import AutoProcessor, SamModel

SEEN = 8  # pictures whose features are kept; 256 × 64 × 64 numbers each


@dataclass(frozen=True)
class Picked:
    """A thing. mask: "L" at the picture's size, 255 = the thing. score: 0..1, how sure the model is."""

    mask: Image.Image
    score: float


@dataclass(frozen=True)
class _Seen:
    features: torch.Tensor
    original: torch.Tensor  # (1, 2): height and width of the picture
    reshaped: torch.Tensor  # (1, 2): what of the model's square it fills


class PointSegmenter:
    """A SAM in memory."""

    takes_words, takes_points = False, True

    def __init__(self, name: str, model: Any, processor: Any) -> None:
        self.name, self.model, self.processor = name, model, processor
        self._seen = LRUCache[str, _Seen](SEEN)

    def see(self, image: Image.Image, key: str = "") -> _Seen:
        """Return what the model sees in a picture, kept under ``key`` unless that is empty."""
        if not key:
            return self._embed(image)
        if key not in self._seen:
            self._seen[key] = self._embed(image)
        return self._seen[key]

    def _embed(self, image: Image.Image) -> _Seen:
        given = self.processor(images=image, return_tensors="pt")
        pixels = given["pixel_values"].to(self.model.device, self.model.dtype)
        with torch.no_grad():
            features = self.model.get_image_embeddings(pixels)
        return _Seen(features, given["original_sizes"], given["reshaped_input_sizes"])

    def pick(
        self,
        image: Image.Image,
        points: Sequence[tuple[float, float, int]] = (),
        box: Sequence[float] | None = None,
        *,
        key: str = "",
    ) -> Picked:
        """Return what is at ``points`` (x, y, 1 = belongs to it, 0 = doesn't) and in ``box``, px: the outline
        that the model trusts most of three, or the one that a box or several points leave."""
        seen = self.see(image, key)
        across, down = (float(seen.reshaped[0, i] / seen.original[0, i]) for i in (1, 0))
        given: dict[str, Any] = {}
        if points:
            places = [[[[x * across, y * down] for x, y, _ in points]]]
            given["input_points"] = torch.tensor(places, dtype=self.model.dtype, device=self.model.device)
            labels = [[[label for *_, label in points]]]
            given["input_labels"] = torch.tensor(labels, device=self.model.device)
        if box is not None:
            edges = [[[edge * (across, down)[i % 2] for i, edge in enumerate(box)]]]
            given["input_boxes"] = torch.tensor(edges, dtype=self.model.dtype, device=self.model.device)
        several = len(points) == 1 and box is None
        with torch.no_grad():
            found = self.model(image_embeddings=seen.features, multimask_output=several, **given)
        scores = found.iou_scores[0, 0].float().cpu()
        masks = self.processor.image_processor.post_process_masks(
            found.pred_masks.float().cpu(), seen.original, seen.reshaped
        )
        best = int(scores.argmax())
        flags = masks[0][0, best].numpy()
        score = min(1.0, max(0.0, float(scores[best])))
        return Picked(Image.fromarray(flags.astype("uint8") * 255), score)


def load(folder: Path, name: str, device: str, dtype: torch.dtype) -> PointSegmenter:
    """Load the folder of a SAM."""
    common = {"local_files_only": True, "trust_remote_code": False}
    model = SamModel.from_pretrained(folder, dtype=dtype, use_safetensors=True, **common).to(device).eval()
    return PointSegmenter(name, model, AutoProcessor.from_pretrained(folder, **common))
