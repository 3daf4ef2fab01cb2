"""Image classifiers with labels of their own: any ``AutoModelForImageClassification``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import AutoImageProcessor, AutoModelForImageClassification

from vision import devices
from vision.engine.fiber import BeforeSlice, unbatched


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
        """Return what ``classify`` does for each (picture, top_k) of a job; see vision.engine.fiber."""
        labels, found = self.labels, list[list[tuple[str, float]]]()
        for chances, (_, top_k) in zip(self._chances([image for image, _ in pairs]), pairs, strict=True):
            values, places = chances.topk(min(top_k, len(chances)))
            found.append([(labels[int(i)], float(v)) for v, i in zip(values, places, strict=True)])
        return found

    @torch.no_grad()
    def chances_each(self, images: Sequence[Image.Image], before_slice: BeforeSlice) -> list[list[float]]:
        """Return for each picture the probability of every label, in their order."""
        return self._chances(images).tolist()

    @property
    def labels(self) -> list[str]:
        """All labels in their order. Of several words for one, "tabby, tabby cat", it is the first."""
        names = self.model.config.id2label
        return [str(names[place]).split(",")[0] for place in sorted(names)]

    def pixels(self, images: Sequence[Image.Image]) -> Tensor:
        """Return pictures as the model takes them: (N, 3, H, W)."""
        taken = self.processor(images=list(images), return_tensors="pt")["pixel_values"]
        return taken.to(self.model.device, self.model.dtype)

    def score(self, logits: Tensor, place: int) -> Tensor:
        """Return how far the label at ``place`` is ahead, of the logits (L,) of one picture."""
        return logits[place] if self._is_multi else odds(logits, place)

    @property
    def _is_multi(self) -> bool:
        return bool(self.model.config.problem_type == "multi_label_classification")

    def _chances(self, images: Sequence[Image.Image]) -> Tensor:
        logits = self.model(pixel_values=self.pixels(images)).logits.float()  # (N, L)
        return logits.sigmoid() if self._is_multi else logits.softmax(-1)


def odds(logits: Tensor, place: int) -> Tensor:
    """Return how far the logit at ``place`` of (N,) lies over all others together; alone, that logit. Unlike
    a probability it has a gradient when it is sure."""
    others = torch.cat([logits[:place], logits[place + 1 :]])
    return logits[place] - others.logsumexp(0) if len(others) else logits[place]


def load_classifier(
    folder: Path, name: str, card: Mapping[str, Any], device: str, dtype: torch.dtype
) -> Classifier:
    """Load an image classification folder."""
    model = devices.load_pretrained(AutoModelForImageClassification, folder, device, dtype)
    return Classifier(name, model, AutoImageProcessor.from_pretrained(folder, **devices.LOCAL))
