"""The request of the editor that has no shorter name: several pictures on one canvas, and what is painted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.errors import UserError
from core.grammar.references import Picture, check_sha256
from core.grammar.values import Value, within
from core.limits import MAX_UPSCALED, MIN_SIDE
from core.parameters import Reach, param
from core.requests.pictures import GenerateRequest

MAX_LAYERS = 16
FARTHEST = 16_384  # px, of a layer's corner from the canvas' own
SMALLEST, LARGEST = 0.01, 64.0  # times its own size, of a layer
# picture (SHA-256), x and y of its corner in px of the canvas, scale, opacity, and what of it is shown: the
# SHA-256 of a mask of its own size, or None
Layer = tuple[str, float, float, float, float, str | None]


class Layers(Value):
    """The layers of a canvas, the lowest first."""

    def check(self, name: str, value: tuple[Layer, ...]) -> None:
        """Refuse none or too many, and numbers out of range."""
        if not 1 <= len(value) <= MAX_LAYERS:
            raise UserError(f"`{name}` has {len(value)} pictures; it takes 1 to {MAX_LAYERS}.")
        for sha256, x, y, scale, opacity, clip in value:
            check_sha256(name, sha256, *(() if clip is None else (clip,)))
            within("x", x, -FARTHEST, FARTHEST, " px")
            within("y", y, -FARTHEST, FARTHEST, " px")
            within("scale", scale, SMALLEST, LARGEST)
            within("opacity", opacity, 0, 1)

    def pictures(self, value: tuple[Layer, ...]) -> tuple[str, ...]:
        """Return every picture, and every mask of one."""
        named = [name for sha256, *_, clip in value for name in (sha256, clip)]
        return tuple(name for name in named if name is not None)


class Canvas(Value):
    """Width and height of a canvas."""

    def check(self, name: str, value: tuple[int, int]) -> None:
        """Refuse sides out of range."""
        for side, length in zip(("width", "height"), value, strict=True):
            within(side, length, MIN_SIDE, MAX_UPSCALED, " px")


@dataclass(frozen=True, kw_only=True)
class ComposeRequest(GenerateRequest):
    """Lay pictures on a ``canvas`` (width and height, px; required), and draw what is missing or marked.

    mask_image: white is drawn anew, at the canvas' size; so is what no layer covers. keep_seam: not even a
    narrow band along uncovered parts changes. Every other pixel is the composed picture's.
    """

    kind: ClassVar[str] = "compose"
    canvas: tuple[int, int] = param((0, 0), value=Canvas(), reach=Reach.JOB, moderated=False)
    layers: tuple[Layer, ...] = param((), value=Layers(), reach=Reach.JOB, moderated=False)
    mask_image: str | None = param(None, value=Picture(), reach=Reach.JOB, moderated=False)
    keep_seam: bool = param(False, reach=Reach.JOB)

    def size(self) -> str:
        """Return the canvas' size x pictures, and the steps."""
        width, height = self.canvas
        return (
            f"{width}x{height}x{self.num_images}s{'draft' if self.draft else self.num_inference_steps or 0}"
        )

    @property
    def seam(self) -> int:
        """How far from uncovered parts a covered pixel may change, in px, down and across together."""
        return 0 if self.keep_seam else max(8, min(self.canvas) // 32)
