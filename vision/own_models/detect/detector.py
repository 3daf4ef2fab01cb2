"""A detector as it is kept: tensors and a card in one safetensors file, and what it finds in a picture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from core.errors import ModelError
from vision.own_models.detect.network import Finder, Network
from vision.own_models.features.extractor import Extractor, pixels

FORMAT = 1
NAME = "centre points"  # of what sees; it has no weights but those that were learned


@dataclass(frozen=True)
class Found:
    """A thing in a picture. box: left, top, right, bottom in shares of the upright picture. score: 0..1."""

    label: str
    score: float
    box: tuple[float, float, float, float]


class Detector:
    """card: what it learned from and how, as JSON; see ``training.train``. tensors: of the network, kept in
    float16."""

    def __init__(self, card: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        self.card, self.tensors = dict(card), dict(tensors)
        self._finder: Finder | None = None

    def pack(self) -> bytes:
        """Return one file: the same bytes for the same detector."""
        held = {name: _half(value).contiguous() for name, value in sorted(self.tensors.items())}
        return save(held, {"atelier": json.dumps(self.card, sort_keys=True, ensure_ascii=False)})

    @classmethod
    def unpack(cls, data: bytes) -> Detector:
        """Return what was packed. Raises ModelError for anything else."""
        try:
            size = int.from_bytes(data[:8], "little")
            card = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["atelier"])
            if card["task"] != "detect" or card["format"] != FORMAT:
                raise ModelError("This file is no detector that can be read here.")
            held = load(data)
            return cls(
                card, {name: value.float() if _is_real(value) else value for name, value in held.items()}
            )
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise ModelError("This file is no detector.") from error

    @property
    def labels(self) -> list[str]:
        """Its labels, in the order of their numbers."""
        return list(self.card["labels"])

    @property
    def limit(self) -> float:
        """The score from which on a thing is told."""
        return float(self.card["limit"])

    @property
    def finder(self) -> Finder:
        """The network, made once. Raises ModelError when the tensors aren't those of one."""
        if self._finder is None:
            network = Network(len(self.labels), named=bool(self.card.get("named")))
            try:
                network.load_state_dict(self.tensors)
            except RuntimeError as error:
                raise ModelError("This file is no detector that can be read here.") from error
            mirrored = bool(self.card.get("mirrored"))  # neither is in cards of earlier ones
            self._finder = Finder(network, mirrored=mirrored).eval().requires_grad_(False)
        return self._finder

    @torch.no_grad()
    def detect(self, image: Image.Image, limit: float = 0.0) -> list[Found]:
        """Return what is found in a picture of any size from a score of ``limit`` on (0 = its own), the
        surest first."""
        boxes, scores, labels = self.finder(pixels(image, int(self.card["side"]))[None])
        told = zip(boxes.tolist(), scores.tolist(), labels.tolist(), strict=True)
        return [
            Found(self.labels[label], score, (box[0], box[1], box[2], box[3]))
            for box, score, label in told
            if score >= (limit or self.limit)
        ]


def sees_with(side: int) -> Extractor:
    """Return what stands in the place of an extractor: a detector has none but its own network."""
    return Extractor(NAME, side, nn.Identity(), "")


def _is_real(value: Tensor) -> bool:
    return value.is_floating_point()


def _half(value: Tensor) -> Tensor:
    return value.half() if _is_real(value) else value
