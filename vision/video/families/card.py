"""How one film model is best used: its family's defaults, then its own ``atelier.json``. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from core.errors import ModelError
from vision.weights.card import FILE

KNOWN = ("noised", "clean")


@dataclass(frozen=True)
class FilmCard:
    """Defaults and abilities of one film model. Sides are in px.

    native_size: side of a square with the area of a frame that it was trained on. multiple: sides are whole
    multiples of it. max_area: largest frame, in native areas. fps, usual_frames: of a film when nothing is
    said. longest: frames of one call; longer films are drawn in windows. draft_steps: of ``--draft``. remix:
    how far from a film that is remixed, by what is asked for. motion: words that "low" and "high" add to the
    prompt. known: of families that put known frames between the others' latents, whether those have the noise
    of the step ("noised") or none (a motion adapter trained so). output_scale: factor by which frames are
    enlarged.
    """

    native_size: int
    multiple: int
    num_inference_steps: int
    guidance_scale: float
    draft_steps: int
    fps: float
    usual_frames: int
    longest: int
    max_area: float = 4.0
    output_scale: int = 1
    remix: Mapping[str, float] = field(default_factory=lambda: {"subtle": 0.35, "mild": 0.55, "strong": 0.75})
    motion: Mapping[str, str] = field(
        default_factory=lambda: {"low": "slow, subtle motion", "high": "fast, dynamic motion, moving camera"}
    )
    known: str = "noised"
    decode_timestep: float = 0.05
    decode_noise_scale: float = 0.025

    def __post_init__(self) -> None:
        for name, low, high in (
            ("native_size", 16, 4096),
            ("multiple", 1, 256),
            ("num_inference_steps", 1, 200),
            ("draft_steps", 1, 200),
            ("fps", 1, 60),
            ("longest", 2, 2000),
            ("output_scale", 1, 8),
        ):
            if not low <= getattr(self, name) <= high:
                raise ModelError(f"{FILE}: {name} is {getattr(self, name)!r}; it takes {low} to {high}.")
        if self.known not in KNOWN:
            raise ModelError(f"{FILE}: known is {self.known!r}; it takes {' or '.join(KNOWN)}.")


def make(defaults: Mapping[str, Any], adjusted: Mapping[str, Any], own: Mapping[str, Any]) -> FilmCard:
    """Return the card of a film model: its family's defaults, then what its configuration says, then ``own``.

    own: the entries of ``atelier.json``; unknown ones are ignored. Raises ModelError for an entry of the
    wrong type or range.
    """
    known, entries = {f.name for f in fields(FilmCard)}, dict(defaults)
    for layer in (adjusted, own):
        for name, value in layer.items():
            before = entries.get(name)
            if isinstance(value, Mapping) and isinstance(before, Mapping):
                value = {**before, **value}
            entries[name] = value
    try:
        return FilmCard(**{name: value for name, value in entries.items() if name in known})
    except (TypeError, ValueError) as error:
        raise ModelError(f"{FILE}: {error}.") from error
