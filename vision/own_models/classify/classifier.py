"""A classifier as it is kept: tensors and a card in one safetensors file, and what it says of a picture."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from core.errors import ModelError
from vision.own_models.classify.probe import Probe, look
from vision.own_models.classify.tuned import merged
from vision.own_models.features.extractor import Extractor, pixels, vectors
from vision.own_models.features.transformer import TransformerFeatures

FORMAT = 1
NONE = "none of these"
ADDED = "lora."  # before the names of a tower's added matrices
Words = Callable[[Sequence[Image.Image]], Tensor]  # pictures → log-probabilities of labels by words, (n, L)


@dataclass(frozen=True)
class Answer:
    """chances: of the labels, likeliest first. distance: from what was taught, 1 = as far as nearly all of
    that lies."""

    chances: tuple[tuple[str, float], ...]
    distance: float

    @property
    def label(self) -> str:
        """The likeliest label, NONE for a picture unlike all that was taught."""
        return NONE if self.unknown else self.chances[0][0]

    @property
    def unknown(self) -> bool:
        """Whether it is none of these."""
        return self.distance > 1


class Head(nn.Module):
    """The network from pixels (B, 3, side, side) in 0..1 to logits (B, L) and distances (B,)."""

    def __init__(self, extractor: nn.Module, probe: Probe) -> None:
        super().__init__()
        self.extractor, self.far = extractor, probe.far
        for name in ("mean", "scale", "weight", "bias", "centres"):
            self.register_buffer(name, getattr(probe, name))
        self._probe = probe

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits, and distances in those of what was taught."""
        logits, near = look(self._probe, vectors(self.extractor, pixels))
        return logits, near / self.far


class Classifier:
    """card: what it learned from and how, as JSON. tensors: of the probe, and those that were added to a
    transformer which has learned to see the labels (ADDED before their names)."""

    def __init__(self, card: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        self.card, self.tensors = dict(card), dict(tensors)
        self._tuned: tuple[nn.Module, nn.Module] | None = None

    def pack(self) -> bytes:
        """Return one file: the same bytes for the same classifier."""
        held = {name: value.contiguous() for name, value in sorted(self.tensors.items())}
        return save(held, {"atelier": json.dumps(self.card, sort_keys=True, ensure_ascii=False)})

    @classmethod
    def unpack(cls, data: bytes) -> Classifier:
        """Return what was packed. Raises ModelError for anything else."""
        try:
            size = int.from_bytes(data[:8], "little")
            card = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["atelier"])
            if card["task"] != "classify" or card["format"] != FORMAT:
                raise ModelError("This file is no classifier that can be read here.")
            return cls(card, load(data))
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise ModelError("This file is no classifier.") from error

    @property
    def labels(self) -> list[str]:
        """Its labels, in the order of its logits."""
        return list(self.card["labels"])

    def probe(self) -> Probe:
        """Return the head."""
        held = {name: value for name, value in self.tensors.items() if not name.startswith(ADDED)}
        return Probe(**held, far=float(self.card["far"]))

    def network(self, extractor: Extractor) -> Head:
        """Return the network. Raises ModelError for another extractor than it was trained with."""
        if extractor.name != self.card["extractor"]:
            raise ModelError(
                f"The classifier was trained on {self.card['extractor']}, not on {extractor.name}:"
                " train it again."
            )
        return Head(self._seen_with(extractor.module), self.probe()).eval().requires_grad_(False)

    def _seen_with(self, module: nn.Module) -> nn.Module:
        """Return a tower with what it has learned to see by in its weights, made once for each tower."""
        added = {
            name.removeprefix(ADDED): value for name, value in self.tensors.items() if name.startswith(ADDED)
        }
        if not added:
            return module
        if self._tuned is None or self._tuned[0] is not module:
            if not isinstance(module, TransformerFeatures):
                raise ModelError("This classifier has learned to see by a transformer: train it again.")
            self._tuned = module, merged(module, added)
        return self._tuned[1]

    @torch.no_grad()
    def classify(self, image: Image.Image, extractor: Extractor, words: Words | None = None) -> Answer:
        """Return what a picture shows. words: what words alone say of pictures, needed where the card gives
        them weight; without them they say nothing."""
        logits, distance = self.network(extractor)(pixels(image, extractor.side)[None])
        mine, theirs = self.card["weights"]
        together = mine * logits.log_softmax(-1)
        if words is not None and theirs:
            together = together + theirs * words([image])
        chances = zip(self.labels, together[0].softmax(0).tolist(), strict=True)
        return Answer(tuple(sorted(chances, key=lambda pair: -pair[1])), float(distance[0]))
