"""An inspection as it is kept: tensors and a card in one safetensors file, and what it says of a picture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from core.errors import ModelError
from vision.own_models.anomaly.align import FIXTURE, TURNS, Aligner, Stage
from vision.own_models.anomaly.bank import bank_of
from vision.own_models.anomaly.cells import Cells
from vision.own_models.anomaly.detector import Detector
from vision.own_models.anomaly.naming import Naming
from vision.own_models.anomaly.taught import Taught
from vision.own_models.features.extractor import Extractor, pixels
from vision.own_models.snapshot import GOOD

FORMAT = 2
BEFORE, MARGIN_BEFORE = 1, 1 / 8  # a format that is still read, and how parts were laid then
CELLS, BANK = "cells", "bank"  # methods
FREE, FIXED, TURNING, AUTO = "free", "fixture", "turns", "auto"  # how alike parts lie
ALIGNED = {FIXED: FIXTURE, TURNING: TURNS}
HALF = (  # stored in float16, and rounded to it when trained
    "cells.mean",
    "cells.variance",
    "bank.patches",
    "bank.first.patches",
    "bank.second.patches",
)


@dataclass(frozen=True)
class Verdict:
    """score beside ``limit``: above 1 a part is strange. rank: how many of the ``good`` held-out parts were
    stranger. heat: (h, w) in limits of ``limit``. names: probabilities, best first, of labels that have been
    taught; none without."""

    score: float
    limit: float
    rank: int
    good: int
    heat: Tensor
    names: tuple[tuple[str, float], ...] = ()

    @property
    def ratio(self) -> float:
        """The score in limits."""
        return self.score / self.limit

    @property
    def strange(self) -> bool:
        """Whether it is unlike the good ones."""
        return self.score > self.limit

    @property
    def name(self) -> str:
        """The likeliest kind of a strange part, "" where none was taught or it isn't strange."""
        kinds = [name for name, _ in self.names if name != GOOD]
        return kinds[0] if self.strange and kinds else ""

    def sentence(self) -> str:
        """Say the verdict as a person would."""
        if not self.strange:
            return f"Like the good ones: {self.ratio:.2f} × the limit."
        if self.rank == 0:
            return f"Not like the good ones: {self.ratio:.1f} × the limit, stranger than all {self.good}."
        return (
            f"Not like the good ones: {self.ratio:.1f} × the limit, stranger than {self.good - self.rank} of"
            f" {self.good}."
        )


class Inspector:
    """card: what it learned from and how, as JSON; see ``training.train``. tensors: of the network, without
    the extractor's."""

    def __init__(self, card: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        self.card, self.tensors = dict(card), dict(tensors)

    def pack(self) -> bytes:
        """Return one file: the same bytes for the same inspection."""
        held = {
            name: (value.half() if name in HALF else value).contiguous()
            for name, value in sorted(self.tensors.items())
        }
        return save(held, {"atelier": json.dumps(self.card, sort_keys=True, ensure_ascii=False)})

    @classmethod
    def unpack(cls, data: bytes) -> Inspector:
        """Return what was packed. Raises ModelError for anything else."""
        try:
            size = int.from_bytes(data[:8], "little")
            card = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["atelier"])
            found = cls(card, {name: value.float() for name, value in load(data).items()})
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise ModelError("This file is no inspection.") from error
        if card.get("format") not in (BEFORE, FORMAT):
            raise ModelError(f"The inspection has the format {card.get('format')!r}; {FORMAT} is read here.")
        return found

    @property
    def limit(self) -> float:
        """The score above which a part is strange."""
        return float(self.card["limit"])

    def detector(self, extractor: Extractor) -> Detector:
        """Return the network. Raises ModelError for another extractor than it was trained with."""
        if extractor.name != self.card["extractor"]:
            raise ModelError(
                f"The inspection was trained on {self.card['extractor']}, not on {extractor.name}:"
                " train it again."
            )
        parts = {kind: self._of(kind) for kind in ("aligner", CELLS, BANK, "naming", "taught")}
        aligner = None
        if parts["aligner"]:
            aligner = Aligner(parts["aligner"]["reference"], self._stages())
        judge = Cells(**parts[CELLS]) if parts[CELLS] else bank_of(parts[BANK])
        naming = Naming(**parts["naming"]) if parts["naming"] else None
        taught = Taught(**parts["taught"]) if parts["taught"] else None
        made = Detector(aligner, extractor.module, judge, self.tensors["region"], naming, taught)
        return made.eval().requires_grad_(False)

    def _stages(self) -> tuple[Stage, ...]:
        """How pictures are laid: as they were when the limit was found."""
        stages = ALIGNED[self.card["alike"]]
        if self.card["format"] != BEFORE:
            return stages
        return tuple(replace(stage, margin=MARGIN_BEFORE) for stage in stages)

    def _of(self, part: str) -> dict[str, Tensor]:
        return {
            name.removeprefix(f"{part}."): value
            for name, value in self.tensors.items()
            if name.startswith(f"{part}.")
        }

    @torch.no_grad()
    def inspect(self, image: Image.Image, extractor: Extractor, detector: Detector | None = None) -> Verdict:
        """Return the verdict on a picture of any size. detector: what ``detector`` made, to make it once."""
        network = detector or self.detector(extractor)
        scores, heat, logits = network(pixels(image, extractor.side)[None])
        return self.verdict(float(scores[0]), heat[0, 0], logits[0])

    def verdict(self, score: float, heat: Tensor, logits: Tensor) -> Verdict:
        """Return what a score, a heat map (h, w) and logits (L,) mean."""
        good = self.card["good_scores"]
        names = zip(self.card["names"], logits.softmax(0).tolist(), strict=True) if len(logits) else ()
        return Verdict(
            score,
            self.limit,
            sum(one >= score for one in good),
            len(good),
            heat / self.limit,
            tuple(sorted(names, key=lambda pair: -pair[1])),
        )
