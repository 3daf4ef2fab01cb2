"""What was asked, frozen: one dataclass per capability, ranges checked on construction.

Field names are diffusers' own. ``None`` means "the configured model's default"; the worker resolves it and reports the
value it used in ``Output.parameters``. Pictures are named by the SHA-256 (hex) of their file.
"""

from __future__ import annotations

import json
import re
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, ClassVar

from core.errors import UserError

MAX_SEED = 2**32 - 1
MAX_PROMPT = 4000  # characters; a slash option takes 6,000, a message shows 2,000
MIN_SIDE, MAX_SIDE = 64, 2048  # px
MAX_LABELS = 50
MAX_LABEL = 80  # characters
_SHA256 = re.compile(r"[0-9a-f]{64}")


def _within(name: str, value: float | None, low: float, high: float, unit: str = "") -> None:
    if value is not None and not low <= value <= high:
        raise UserError(f"`{name}` is {value:g}{unit}; it takes {low:g} to {high:g}{unit}.")


def _check_picture(name: str, value: str | None) -> None:
    if value is not None and not _SHA256.fullmatch(value):
        raise ValueError(f"{name} must be a SHA-256 in hex, not {value!r}")


@dataclass(frozen=True, kw_only=True)
class Request:
    """Base of all requests. A changed copy (``dataclasses.replace``) is a new request."""

    kind: ClassVar[str]

    @property
    def pictures(self) -> tuple[str, ...]:
        """SHA-256 of every stored picture that the worker needs."""
        return tuple(v for f in ("image", "mask_image") if (v := getattr(self, f, None)))


@dataclass(frozen=True, kw_only=True)
class GenerateRequest(Request):
    """What text-to-image, image-to-image and inpainting have in common.

    width, height: px of each picture. aspect_ratio: (w, h), used with the model's native area when no size is given.
    strength: how far to move from ``image``, 0 keeps it, 1 ignores it. Picture *i* uses ``seed + i``.
    """

    prompt: str
    negative_prompt: str = ""
    width: int | None = None
    height: int | None = None
    aspect_ratio: tuple[int, int] | None = None
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    seed: int = 0
    num_images: int = 4
    image: str | None = None
    strength: float | None = None
    sampler: str | None = None
    model: str | None = None
    draft: bool = False

    def __post_init__(self) -> None:
        if len(self.prompt) > MAX_PROMPT:
            raise UserError(f"The prompt has {len(self.prompt):,} characters; it takes up to {MAX_PROMPT:,}.")
        _within("width", self.width, MIN_SIDE, MAX_SIDE, " px")
        _within("height", self.height, MIN_SIDE, MAX_SIDE, " px")
        _within("steps", self.num_inference_steps, 1, 100)
        _within("cfg", self.guidance_scale, 0, 30)
        _within("seed", self.seed, 0, MAX_SEED)
        _within("strength", self.strength, 0, 1)
        if not 1 <= self.num_images <= 4:
            raise ValueError(f"num_images is {self.num_images}; it takes 1 to 4")
        if self.aspect_ratio is not None:
            w, h = self.aspect_ratio
            if w < 1 or h < 1 or max(w / h, h / w) > 4:
                raise UserError(f"`ar` is {w}:{h}; it takes whole numbers from 1:4 to 4:1.")
        _check_picture("image", self.image)


@dataclass(frozen=True, kw_only=True)
class ImagineRequest(GenerateRequest):
    """Pictures from words, with an optional picture to start from."""

    kind: ClassVar[str] = "imagine"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.prompt.strip():
            raise UserError("The prompt is empty. Say what you want to see, for example `a red house in the snow`.")


@dataclass(frozen=True, kw_only=True)
class VariationRequest(GenerateRequest):
    """Other pictures like ``image`` (required): image-to-image. ``variation`` is "subtle" or "strong"."""

    kind: ClassVar[str] = "variation"
    variation: str = "strong"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.image is None:
            raise UserError("There is no picture to vary. Attach one, or name one that Atelier made.")
        if self.variation not in ("subtle", "strong"):
            raise UserError(f"`strength` is {self.variation!r}; it takes subtle or strong.")


@dataclass(frozen=True, kw_only=True)
class OutpaintRequest(GenerateRequest):
    """A larger canvas around ``image`` (required); its own pixels stay. left, top, right, bottom: px to add, of ``image``'s px."""

    kind: ClassVar[str] = "outpaint"
    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0
    num_images: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.image is None:
            raise UserError("There is no picture to extend. Attach one, or name one that Atelier made.")
        sides = (self.left, self.top, self.right, self.bottom)
        if min(sides) < 0 or max(sides) > MAX_SIDE or not any(sides):
            raise UserError("Nothing to add: choose a direction, a different aspect, or a zoom over 1.")


@dataclass(frozen=True, kw_only=True)
class DescribeRequest(Request):
    """``num_captions`` different prompts that could have made ``image``."""

    kind: ClassVar[str] = "describe"
    image: str
    num_captions: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        _check_picture("image", self.image)
        _within("seed", self.seed, 0, MAX_SEED)
        if not 1 <= self.num_captions <= 8:
            raise ValueError(f"num_captions is {self.num_captions}; it takes 1 to 8")


@dataclass(frozen=True, kw_only=True)
class ClassifyRequest(Request):
    """How well each label fits ``image``; no labels = the configured classifier's own, best ``top_k``."""

    kind: ClassVar[str] = "classify"
    image: str
    labels: tuple[str, ...] = ()
    top_k: int = 5

    def __post_init__(self) -> None:
        _check_picture("image", self.image)
        if len(self.labels) > MAX_LABELS:
            raise UserError(f"There are {len(self.labels)} labels; up to {MAX_LABELS} fit.")
        if len(self.labels) == 1:
            raise UserError("One label alone is always 100 %. Give at least two, separated by commas.")
        for label in self.labels:
            if not label.strip() or len(label) > MAX_LABEL:
                raise UserError(f"A label takes 1 to {MAX_LABEL} characters; one has {len(label.strip())}.")


REQUESTS: tuple[type[Request], ...] = (ImagineRequest, VariationRequest, OutpaintRequest, DescribeRequest, ClassifyRequest)
_BY_KIND = {cls.kind: cls for cls in REQUESTS}


def to_json(request: Request) -> str:
    """The request as a JSON object, without the fields that have their default value."""
    defaults = {f.name: f.default for f in fields(request) if f.default is not MISSING}
    return json.dumps({k: v for k, v in asdict(request).items() if k not in defaults or v != defaults[k]}, ensure_ascii=False)


def from_json(kind: str, text: str) -> Request:
    """Inverse of ``to_json``. ValueError for a kind or a field that this version doesn't know."""
    if kind not in _BY_KIND:
        raise ValueError(f"unknown kind of request: {kind!r}")
    cls, data = _BY_KIND[kind], json.loads(text)
    unknown = set(data) - {f.name for f in fields(cls)}
    if unknown:
        raise ValueError(f"{kind} request with unknown fields: {', '.join(sorted(unknown))}")
    return cls(**{k: _tuples(v) for k, v in data.items()})


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
