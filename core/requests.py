"""What was asked, frozen: one dataclass per capability, ranges checked on construction.

Field names are diffusers' own. ``None`` means "the configured model's default"; the worker resolves it and
reports the value it used in ``Output.parameters``. Pictures are named by the SHA-256 (hex) of their file.
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
MAX_STYLIZE, MOST_STYLIZE = 60_000, 1000  # what is taken, as by Midjourney's V3; what acts
MAX_IMAGE_WEIGHT, MOST_IMAGE_WEIGHT = 100, 3  # the same; V3 took any
MAX_ASPECT = 14  # to 1, either way
MAX_UPSCALED = 4096  # px a side of an enlarged picture
MAX_LABELS = 50
MAX_LABEL = 80  # characters
MAX_PARTS = 20  # of a multi-prompt
MAX_REFERENCES = 10  # pictures of one kind: image prompts, style references, …
MAX_WEIGHT = 1000.0
# what `--no` counts against the other parts: https://docs.midjourney.com/hc/en-us/articles/32658968492557
NEGATIVE_WEIGHT = 0.5
QUALITIES = (0.25, 0.5, 1.0, 2.0, 4.0, 5.0)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[\w.+-]{1,64}")

Weighted = tuple[tuple[str, float], ...]  # (words, a name or the SHA-256 of a picture; weight)


def _within(name: str, value: float | None, low: float, high: float, unit: str = "") -> None:
    if value is not None and not low <= value <= high:
        raise UserError(f"`{name}` is {value:g}{unit}; it takes {low:g} to {high:g}{unit}.")


def _check_picture(name: str, value: str | None) -> None:
    if value is not None and not _SHA256.fullmatch(value):
        raise ValueError(f"{name} must be a SHA-256 in hex, not {value!r}")


def _check_pictures(name: str, weighted: Weighted, *, negative: bool = False) -> None:
    if len(weighted) > MAX_REFERENCES:
        raise UserError(f"`{name}` has {len(weighted)} pictures; it takes up to {MAX_REFERENCES}.")
    for sha256, weight in weighted:
        _check_picture(name, sha256)
        _within(name, weight, -MAX_WEIGHT if negative else 0, MAX_WEIGHT)


@dataclass(frozen=True, kw_only=True)
class Request:
    """Base of all requests. A changed copy (``dataclasses.replace``) is a new request."""

    kind: ClassVar[str]

    @property
    def pictures(self) -> tuple[str, ...]:
        """SHA-256 of every stored picture that the worker needs, each once."""
        alone = [getattr(self, name, None) for name in ("image", "mask_image")]
        lists = [
            getattr(self, name, ())
            for name in (
                "images",
                "image_prompts",
                "style_references",
                "character_references",
                "omni_references",
            )
        ]
        named = [sha if isinstance(sha, str) else sha[0] for several in lists for sha in several]
        return tuple(dict.fromkeys(sha for sha in (*alone, *named) if sha))


@dataclass(frozen=True, kw_only=True)
class GenerateRequest(Request):
    """What text-to-image, image-to-image and inpainting have in common.

    width, height: px of each picture. aspect_ratio: (w, h), used with the model's native area when no size is
    given.
    strength: how far to move from ``image``, 0 keeps it, 1 ignores it. Picture *i* uses ``seed + i``.

    prompt_parts: a multi-prompt's parts with their weights as typed, negative ones too, sum over 0 (``--no``
    counts as -0.5); empty = ``prompt`` alone. ``prompt`` always has the positive parts' words. quality
    multiplies the steps. raw, stylize (0-60000, 100 is usual, more than 1000 counts as 1000), weird (0-3000),
    exp (0-100): less, more, or another house style. chaos (0-100): how far the pictures of one job lie apart.
    stop (10-100): per cent of the schedule that is run. tile: opposite edges meet. hd: a second pass at twice
    the side. image_prompts, style_references, character_references, omni_references: pictures by SHA-256 with
    weights; image_weight (0-100, more than 3 counts as 3), style_weight (0-1000, 100 is usual),
    character_weight (0-100; 0 = the face only), omni_weight (0-1000, 100 is usual) hold for all of a kind.
    style_codes: ``--sref 1234``: a style drawn from a number, the same each time. loras: names the host has
    set up.
    version: "7", "niji 6": the model of Midjourney's that was asked for. unmet: flags as typed that mean
    nothing here; told, not drawn.
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
    prompt_parts: Weighted = ()
    chaos: int = 0
    stylize: int | None = None
    raw: bool = False
    weird: int = 0
    exp: int = 0
    stop: int | None = None
    tile: bool = False
    quality: float | None = None
    hd: bool = False
    image_prompts: Weighted = ()
    image_weight: float | None = None
    style_references: Weighted = ()
    style_codes: tuple[tuple[int, float], ...] = ()
    style_weight: int | None = None
    character_references: Weighted = ()
    character_weight: int | None = None
    omni_references: Weighted = ()
    omni_weight: int | None = None
    loras: Weighted = ()
    version: str | None = None
    unmet: tuple[str, ...] = ()

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
            if w < 1 or h < 1 or max(w / h, h / w) > MAX_ASPECT:
                raise UserError(
                    f"`ar` is {w}:{h}; it takes whole numbers from 1:{MAX_ASPECT} to {MAX_ASPECT}:1."
                )
        _check_picture("image", self.image)
        self._check_style()
        self._check_references()
        self._check_parts()

    def _check_style(self) -> None:
        _within("chaos", self.chaos, 0, 100)
        _within("stylize", self.stylize, 0, MAX_STYLIZE)
        _within("weird", self.weird, 0, 3000)
        _within("exp", self.exp, 0, 100)
        _within("stop", self.stop, 10, 100)
        if self.quality is not None and self.quality not in QUALITIES:
            raise UserError(
                f"`quality` is {self.quality:g}; it takes {', '.join(f'{q:g}' for q in QUALITIES)}."
            )
        for name, weight in self.loras:
            if not _NAME.fullmatch(name):
                raise UserError(
                    f"`lora` is {name[:40]!r}; it takes a name of letters, digits, `.`, `_`, `+` and `-`."
                )
            _within("lora", weight, -2, 2)

    def _check_references(self) -> None:
        _check_pictures("image prompt", self.image_prompts, negative=True)
        _check_pictures("sref", self.style_references)
        _check_pictures("cref", self.character_references)
        _check_pictures("oref", self.omni_references)
        for code, weight in self.style_codes:
            _within("sref", code, 0, MAX_SEED)
            _within("sref", weight, 0, MAX_WEIGHT)
        _within("iw", self.image_weight, 0, MAX_IMAGE_WEIGHT)
        _within("sw", self.style_weight, 0, 1000)
        _within("cw", self.character_weight, 0, 100)
        _within("ow", self.omni_weight, 0, 1000)

    def _check_parts(self) -> None:
        if len(self.prompt_parts) > MAX_PARTS:
            raise UserError(f"The prompt has {len(self.prompt_parts)} parts; it takes up to {MAX_PARTS}.")
        for _, weight in self.prompt_parts:
            _within("weight", weight, -MAX_WEIGHT, MAX_WEIGHT)
        total = sum(weight for _, weight in self.prompt_parts) - (
            NEGATIVE_WEIGHT if self.negative_prompt.strip() else 0
        )
        if self.prompt_parts and total <= 0:
            raise UserError(
                f"The weights of the prompt add up to {total:g} (`--no` counts -{NEGATIVE_WEIGHT:g}); the sum"
                " must be over 0."
            )


@dataclass(frozen=True, kw_only=True)
class ImagineRequest(GenerateRequest):
    """Pictures from words, with an optional picture to start from. Two image prompts, or one and a style,
    need no words."""

    kind: ClassVar[str] = "imagine"

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.image_prompts) == 1 and not (
            self.prompt.strip() or self.style_references or self.style_codes
        ):
            raise UserError(
                "One picture alone makes no prompt: add words, another picture, or a style with `--sref`."
            )
        if not self.prompt.strip() and not self.image_prompts:
            raise UserError(
                "The prompt is empty. Say what you want to see, for example `a red house in the snow`."
            )


@dataclass(frozen=True, kw_only=True)
class VariationRequest(GenerateRequest):
    """Other pictures like ``image`` (required): image-to-image. ``variation`` is "subtle" or "strong"."""

    kind: ClassVar[str] = "variation"
    variation: str = "strong"
    remix: bool = False  # with new words: only the message's title differs

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.image is None:
            raise UserError("There is no picture to vary. Attach one, or name one that Atelier made.")
        if self.variation not in ("subtle", "strong"):
            raise UserError(f"`strength` is {self.variation!r}; it takes subtle or strong.")


@dataclass(frozen=True, kw_only=True)
class OutpaintRequest(GenerateRequest):
    """A larger canvas around ``image`` (required); its own pixels stay. left, top, right, bottom: px to add,
    of ``image``'s px."""

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
class UpscaleRequest(GenerateRequest):
    """``image`` (required) enlarged ``factor`` (2, 4) times, one picture. mode: "subtle" keeps it, "creative"
    redraws detail guided by ``prompt``."""

    kind: ClassVar[str] = "upscale"
    factor: int = 2
    mode: str = "subtle"
    num_images: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.image is None:
            raise UserError("There is no picture to enlarge. Attach one, or name one that Atelier made.")
        if self.factor not in (2, 4):
            raise UserError(f"`factor` is {self.factor}; it takes 2 or 4.")
        if self.mode not in ("subtle", "creative"):
            raise UserError(f"`mode` is {self.mode!r}; it takes subtle or creative.")


@dataclass(frozen=True, kw_only=True)
class RegionRequest(GenerateRequest):
    """``image`` (required) with a part of it drawn anew; every pixel outside stays. The part is one of:
    ``mask_image`` (SHA-256; white = paint, any size, stretched over ``image``), ``boxes`` ((left, top, right,
    bottom) in px of ``image``, their union), or ``region`` (words for what is to be found, "the red
    boat")."""

    kind: ClassVar[str] = "region"
    mask_image: str | None = None
    boxes: tuple[tuple[int, int, int, int], ...] = ()
    region: str = ""
    remix: bool = False  # with new words: only the message's title differs

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.image is None:
            raise UserError("There is no picture to change. Attach one, or name one that Atelier made.")
        _check_picture("mask_image", self.mask_image)
        if (self.mask_image is not None) + bool(self.boxes) + bool(self.region.strip()) != 1:
            raise UserError("Say which part to draw anew in one way: a mask, fields of the grid, or words.")
        if len(self.region) > MAX_LABEL:
            raise UserError(
                f"The words for the part have {len(self.region)} characters; up to {MAX_LABEL} fit."
            )
        for left, top, right, bottom in self.boxes:
            if not (0 <= left < right <= MAX_UPSCALED and 0 <= top < bottom <= MAX_UPSCALED):
                raise UserError(
                    f"A box is {left}, {top}, {right}, {bottom}; it takes left < right and top < bottom,"
                    " in px."
                )


@dataclass(frozen=True, kw_only=True)
class BlendRequest(GenerateRequest):
    """Four pictures between 2 to 5 ``images`` (SHA-256), all with the same weight; no words needed."""

    kind: ClassVar[str] = "blend"
    images: tuple[str, ...] = ()
    prompt: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= len(self.images) <= 5:
            raise UserError(f"There are {len(self.images)} pictures to blend; it takes 2 to 5.")
        for sha256 in self.images:
            _check_picture("images", sha256)


@dataclass(frozen=True, kw_only=True)
class ShortenRequest(Request):
    """How much each word of ``prompt`` weighs. ``Output.scores``: every word in the prompt's order (as it
    stands there, so that joining them with spaces gives the prompt back) with 0..1, 1 = the strongest."""

    kind: ClassVar[str] = "shorten"
    prompt: str

    def __post_init__(self) -> None:
        if len(self.prompt) > MAX_PROMPT:
            raise UserError(f"The prompt has {len(self.prompt):,} characters; it takes up to {MAX_PROMPT:,}.")
        if len(self.prompt.split()) < 2:
            raise UserError("There is nothing to shorten: the prompt has one word at most.")


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


REQUESTS: tuple[type[Request], ...] = (
    ImagineRequest,
    VariationRequest,
    OutpaintRequest,
    UpscaleRequest,
    RegionRequest,
    BlendRequest,
    DescribeRequest,
    ClassifyRequest,
    ShortenRequest,
)
PICTURE_KINDS = tuple(cls.kind for cls in REQUESTS if issubclass(cls, GenerateRequest))
_BY_KIND = {cls.kind: cls for cls in REQUESTS}


def to_json(request: Request) -> str:
    """The request as a JSON object, without the fields that have their default value."""
    defaults = {f.name: f.default for f in fields(request) if f.default is not MISSING}
    return json.dumps(
        {k: v for k, v in asdict(request).items() if k not in defaults or v != defaults[k]},
        ensure_ascii=False,
    )


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
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
