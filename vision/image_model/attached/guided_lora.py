"""How a LoRA counts in drawings that a prompt guides, where its file says so: in what is predicted with the
prompt alone, not at all in pure noise, and whole from some share of noise on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from core.errors import ModelError

ABOUT = "atelier.style"  # in the metadata of a file, JSON: what a style that was trained here says of itself
ENTRY = "guided"  # in that: numbers of GuidedUse


@dataclass(frozen=True)
class GuidedUse:
    """Guidance (arXiv:2207.12598) draws by u + g (c - u), from what is predicted without words (u) and with
    the prompt (c). With the LoRA in both it changes the composition as well; in c alone, as concept sliders
    have it (arXiv:2311.12092), its change is g times as large, so it is applied with a gth of ``strength``.

    strength: times the LoRA's own. whole: share of noise, 0..1, from which on it is; above, it falls to 0 at
    pure noise, where the composition is decided.
    """

    strength: float
    whole: float

    def __post_init__(self) -> None:
        if not (0 < self.strength <= 10 and 0 <= self.whole < 1):
            raise ModelError(
                f"A LoRA says that it counts {self.strength:g} times, wholly below {self.whole:g} of noise;"
                " above 0 to 10 can be, and 0 to below 1."
            )

    def weight(self, noise: float, guidance_scale: float) -> float:
        """Return what the LoRA is multiplied by. noise: share of it in the picture, 0..1."""
        return self.strength / guidance_scale * min(1.0, max(0.0, 1 - noise) / (1 - self.whole))

    def told(self) -> dict[str, float]:
        """Return it as a file has it."""
        return asdict(self)


def read(metadata: Mapping[str, str], name: str) -> GuidedUse | None:
    """Return what a file's metadata say; None where they say nothing. name: of the LoRA. Raises ModelError
    for what can't be."""
    try:
        told: Any = json.loads(metadata.get(ABOUT, "{}")).get(ENTRY)
        return None if told is None else GuidedUse(float(told["strength"]), float(told["whole"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"The LoRA {name} doesn't say rightly how it counts.") from error
