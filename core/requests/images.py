"""Requests that make pictures: from words, from other pictures, from a part of one, or from a canvas.

``None`` means "the configured model's default"; the worker resolves it and reports the value it used in
``Output.parameters``. Pictures are named by the SHA-256 (hex) of their file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from core import limits
from core.errors import UserError
from core.prompt import values
from core.prompt.parameters import SEED, Parameters, Reach, param
from core.requests.base import Answer, Request, check_length

SIDE = values.Whole(limits.MIN_SIDE, limits.MAX_SIDE, " px")
COUNT = values.Whole(1, limits.GRID)
MAX_THEN, MAX_INSTRUCTION = 8, 400  # further instructions of a change; characters of each
MAX_MORE_IMAGES = 3  # of a change, beside the one that is changed
OF_SHEETS = "sheet"  # begins the size of one
SHEET_JOBS = 4  # jobs that a sheet counts as in the limits, which takes about as long
SAY_WHAT = "Say what to change, for example `make the house blue`."


@dataclass(frozen=True, kw_only=True)
class GenerateRequest(Parameters, Request):
    """What all requests that make pictures have in common, besides the ``Parameters`` of a prompt.

    prompt: the words of all parts with a weight over 0. prompt_parts: a multi-prompt's parts with their
    weights as typed, negative ones too, whose sum (``--no`` counts as -0.5) is over 0; empty = ``prompt``
    alone. width, height: px of each picture; with neither, ``aspect_ratio`` and the model's native area hold.
    Picture *i* uses ``seed + i``. image: the picture to start from. image_prompts: pictures that are prompts,
    weights below 0 too. style_codes: ``--sref 1234``, a style drawn from a number, the same each time.
    taste_words: what tastes add to the prompt. taste_loras: those of the asker's tastes, with weights.
    """

    answer: ClassVar[Answer] = Answer.PICTURES
    role: ClassVar[str] = "image"
    starts_from: ClassVar[str] = ""  # what ``image`` is, where it is required
    prompt: str
    prompt_parts: limits.Weighted = param((), reported=True)
    width: int | None = param(None, value=SIDE, reach=Reach.SHAPE)
    height: int | None = param(None, value=SIDE, reach=Reach.SHAPE)
    seed: int = param(0, value=SEED, reach=Reach.JOB)
    num_images: int = param(4, value=COUNT, reach=Reach.JOB)
    image: str | None = param(None, value=values.Picture(), reach=Reach.JOB, moderated=False)
    image_prompts: limits.Weighted = param(
        (), value=values.References(lowest=-limits.MAX_WEIGHT), reach=Reach.FIRST, moderated=False
    )
    style_codes: tuple[tuple[int, float], ...] = param((), value=values.StyleCodes(), reported=True)
    taste_words: tuple[str, ...] = param((), reported=True)
    taste_loras: limits.Weighted = param((), value=values.Loras(), moderated=False)

    def __post_init__(self) -> None:
        check_length(self.prompt)
        super().__post_init__()
        if len(self.prompt_parts) > limits.MAX_PARTS:
            raise UserError(
                f"The prompt has {len(self.prompt_parts)} parts; it takes up to {limits.MAX_PARTS}."
            )
        for _, weight in self.prompt_parts:
            if abs(weight) > limits.MAX_WEIGHT:
                raise UserError(
                    f"A weight is {weight:g}; it takes {-limits.MAX_WEIGHT:g} to {limits.MAX_WEIGHT:g}."
                )
        total = sum(weight for _, weight in self.prompt_parts)
        total -= limits.NEGATIVE_WEIGHT if self.negative_prompt.strip() else 0
        if self.prompt_parts and total <= 0:
            raise UserError(
                f"The weights of the prompt add up to {total:g} (`--no` counts"
                f" -{limits.NEGATIVE_WEIGHT:g}); the sum must be over 0."
            )
        if self.starts_from and self.image is None:
            raise UserError(f"There is no {self.starts_from}. Attach one, or choose one that Atelier made.")

    def seed_of(self, index: int) -> int:
        """Return the seed of picture ``index`` (from 0), within 32 bits."""
        return (self.seed + index) % (limits.MAX_SEED + 1)

    def of_seed(self, seed: int | None) -> GenerateRequest:
        """Return the request for the picture with ``seed`` alone: what is made from it goes by that."""
        return self

    @property
    def styles(self) -> tuple[values.StoredLora, ...]:
        """The LoRAs that members have made."""
        return tuple(found for name, _ in self.loras if (found := values.stored_lora(name)))

    @property
    def files(self) -> tuple[str, ...]:
        strong = (found for name, _ in self.taste_loras if (found := values.stored_lora(name)))
        return tuple(dict.fromkeys(style.sha256 for style in (*self.styles, *strong)))

    def model_or_role(self) -> str:
        return self.model or self.role

    def size(self) -> str:
        """Return width x height x pictures, and the steps; 0 stands for the model's own."""
        steps = "draft" if self.draft else self.num_inference_steps or 0
        return f"{self.width or 0}x{self.height or 0}x{self.num_images}s{steps}"


@dataclass(frozen=True, kw_only=True)
class ImagineRequest(GenerateRequest):
    """Draw pictures from words, or from one. Two image prompts, or one and a style, need no words.

    taste: of tastes, with weights, those by which ``num_images`` of the ``candidates`` are kept. A sheet has
    ``SHEET`` drafts. choices: words that are spread over them in turn, in the place of ``prompt``, which
    tells them all. sheet_styles: a style code for each draft. seeds: in the place of those that count up from
    ``seed``, its first; those behind the pictures' are left for later.
    """

    taste: limits.Weighted = param((), value=values.Tastes(), reach=Reach.FIRST, moderated=False)
    candidates: int = param(0, value=values.Whole(0, limits.MAX_CANDIDATES), reach=Reach.JOB)

    kind: ClassVar[str] = "imagine"
    called: ClassVar[str] = "Imagine"
    num_images: int = param(4, value=values.Whole(1, limits.SHEET), reach=Reach.JOB)
    choices: tuple[str, ...] = param((), reach=Reach.JOB)
    sheet_styles: tuple[int, ...] = param((), reach=Reach.JOB)
    seeds: tuple[int, ...] = param((), reach=Reach.JOB)

    @property
    def is_sheet(self) -> bool:
        """Whether it makes more drafts than a job makes pictures."""
        return self.num_images > limits.GRID

    def seed_of(self, index: int) -> int:
        return self.seeds[index] if self.seeds else super().seed_of(index)

    def of_seed(self, seed: int | None) -> ImagineRequest:
        if not self.is_sheet or seed is None:
            return self
        number = (seed - self.seed) % (limits.MAX_SEED + 1) % self.num_images
        one = replace(self, num_images=limits.GRID, choices=(), sheet_styles=())
        if self.choices:
            one = replace(one, prompt=self.choices[number % len(self.choices)], prompt_parts=())
        if self.sheet_styles:
            one = replace(one, style_codes=(*self.style_codes, (self.sheet_styles[number], 1.0)))
        return one

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_sheet()
        if len(self.image_prompts) == 1 and not (
            not values.is_blank(self.prompt) or self.style_references or self.style_codes
        ):
            raise UserError(
                "One picture alone isn't enough: add words, another picture, or a style with `--sref`."
            )
        if values.is_blank(self.prompt) and not self.image_prompts:
            raise UserError(
                "The prompt is empty. Say what you want to see, for example `a red house in the snow`."
            )

        if self.seeds and (self.seeds[0] != self.seed or len(self.seeds) < self.num_images):
            raise UserError("There are too few seeds for the pictures, or they begin with another one.")
        for seed in self.seeds:
            SEED.check("seeds", seed)

    def _check_sheet(self) -> None:
        for words in self.choices:
            check_length(words)
        for seed in self.sheet_styles:
            SEED.check("sref", seed)
        if not self.is_sheet:
            if self.choices or self.sheet_styles:
                raise UserError("Only a sheet of drafts has words or styles for each of its pictures.")
            return
        if not self.draft or self.num_images != limits.SHEET:
            raise UserError(
                f"`num_images` is {self.num_images}; it takes 1 to {limits.GRID}, or a sheet of"
                f" {limits.SHEET} drafts."
            )
        if named := "hd" if self.hd else "think" if self.think else "":
            raise UserError(
                f"`--sheet` makes quick drafts, so `--{named}` doesn't go with it. Leave one out; what you"
                " choose from the sheet is drawn in full."
            )
        if len(self.choices) > self.num_images or len(self.sheet_styles) not in (0, self.num_images):
            raise UserError(f"A sheet has {limits.SHEET} drafts, and as many words and styles at most.")

    def size(self) -> str:
        chosen = f"x{self.candidates / self.num_images:g}" if self.candidates > self.num_images else ""
        return f"{OF_SHEETS if self.is_sheet else ''}{super().size()}{chosen}{'t' if self.think else ''}"


@dataclass(frozen=True, kw_only=True)
class VariationRequest(GenerateRequest):
    """Draw other pictures like ``image`` (required): image-to-image. variation: "subtle", "strong", or
    "full": a draft drawn in full, its composition kept. keep_structure: other looks for the same shapes, by a
    ControlNet where there is one that fits."""

    kind: ClassVar[str] = "variation"
    called: ClassVar[str] = "Variations"
    starts_from: ClassVar[str] = "picture to vary"
    variation: str = param("strong", moderated=False)
    remix: bool = False  # with new words: only the message's title differs
    keep_structure: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.variation not in ("subtle", "strong", "full"):
            raise UserError(f"`strength` is {self.variation!r}; it takes subtle or strong.")


@dataclass(frozen=True, kw_only=True)
class OutpaintRequest(GenerateRequest):
    """Extend ``image`` (required), whose own pixels stay. left, top, right, bottom: px to add. zoom: how many
    times as wide and as high it gets, 0 = not alike; only the job's name differs. remix: by words of their
    own, not by those that the picture was drawn from."""

    kind: ClassVar[str] = "outpaint"
    called: ClassVar[str] = "Zoom out"
    starts_from: ClassVar[str] = "picture to extend"
    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0
    zoom: float = 0.0
    num_images: int = param(1, value=COUNT, reach=Reach.JOB)
    remix: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        sides = (self.left, self.top, self.right, self.bottom)
        if min(sides) < 0 or max(sides) > limits.MAX_SIDE or not any(sides):
            raise UserError("Nothing to add: choose a direction, a different aspect, or a zoom over 1.")


@dataclass(frozen=True, kw_only=True)
class UpscaleRequest(GenerateRequest):
    """Enlarge ``image`` (required) ``factor`` (2, 4) times. mode: "subtle" keeps it, "creative" redraws."""

    kind: ClassVar[str] = "upscale"
    called: ClassVar[str] = "Upscale"
    starts_from: ClassVar[str] = "picture to enlarge"
    factor: int = 2
    mode: str = param("subtle", moderated=False)
    num_images: int = param(1, value=COUNT, reach=Reach.JOB)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.factor not in (2, 4):
            raise UserError(f"`factor` is {self.factor}; it takes 2 or 4.")
        if self.mode not in ("subtle", "creative"):
            raise UserError(f"`mode` is {self.mode!r}; it takes subtle or creative.")


@dataclass(frozen=True, kw_only=True)
class RegionRequest(GenerateRequest):
    """Redraw a part of ``image`` (required); every pixel outside stays. Exactly one of these names the part:

    mask_image: a picture whose white is redrawn, stretched over ``image``. boxes: (left, top, right, bottom)
    in px of ``image``; their union is redrawn. region: words for what to look for, "the red boat".
    """

    kind: ClassVar[str] = "region"
    called: ClassVar[str] = "Part redrawn"
    starts_from: ClassVar[str] = "picture to change"
    mask_image: str | None = param(None, value=values.Picture(), moderated=False)
    boxes: tuple[tuple[int, int, int, int], ...] = ()
    region: str = ""
    remix: bool = False  # with new words: they say what is to fill the part

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.mask_image is not None) + bool(self.boxes) + bool(self.region.strip()) != 1:
            raise UserError(
                "Choose the part to redraw in one way only: a mask, fields of the grid, or words."
            )
        if len(self.region) > limits.MAX_LABEL:
            raise UserError(
                f"The words for the part have {len(self.region)} characters; up to {limits.MAX_LABEL} fit."
            )
        for left, top, right, bottom in self.boxes:
            if not (0 <= left < right <= limits.MAX_UPSCALED and 0 <= top < bottom <= limits.MAX_UPSCALED):
                raise UserError(
                    f"A box is {left}, {top}, {right}, {bottom}; it takes left < right and top < bottom,"
                    " in px."
                )


@dataclass(frozen=True, kw_only=True)
class EditRequest(GenerateRequest):
    """Change in ``image`` (required) what ``prompt`` says, such as "make the house blue"; the rest stays.
    about: the words that ``image`` was drawn from, for what is drawn from the result. then: further
    instructions, carried out one after the other; only the last's pictures are kept. images: up to three
    more pictures that the words may name; ``image`` is "1", they are "2", "3" and "4".
    """

    kind: ClassVar[str] = "edit"
    called: ClassVar[str] = "Edit by words"
    starts_from: ClassVar[str] = "picture to change"
    role: ClassVar[str] = "edit"
    about: str = ""
    then: tuple[str, ...] = ()
    images: tuple[str, ...] = param((), value=values.Pictures(), reach=Reach.JOB, moderated=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(values.is_blank(words) for words in self.instructions):
            raise UserError(SAY_WHAT)
        if len(self.then) > MAX_THEN:
            raise UserError(f"There are {len(self.then) + 1} changes; up to {MAX_THEN + 1} fit in one job.")
        if (longest := max((len(words) for words in self.then), default=0)) > MAX_INSTRUCTION:
            raise UserError(f"A change has {longest} characters; up to {MAX_INSTRUCTION} fit.")
        if len(self.images) > MAX_MORE_IMAGES:
            raise UserError(f"There are {len(self.images) + 1} pictures; a change takes up to 4.")

    def size(self) -> str:
        """Return the same as for other pictures, and how many times as long it takes."""
        return super().size() + (f"x{1 + len(self.then)}" if self.then else "")

    @property
    def instructions(self) -> tuple[str, ...]:
        """What is to change, in its order."""
        return (self.prompt, *self.then)

    @property
    def described(self) -> EditRequest:
        """The same with words for what the result shows in place of those for what was to change."""
        words = ", ".join(text for text in (self.about, *self.instructions) if text)
        return replace(self, prompt=words[: limits.MAX_PROMPT], prompt_parts=(), about="", then=(), images=())


@dataclass(frozen=True, kw_only=True)
class CutOutRequest(GenerateRequest):
    """Cut the object that stands out of ``image`` (required): what lies around it becomes transparent. named:
    words for another object, "the cat"."""

    kind: ClassVar[str] = "cutout"
    called: ClassVar[str] = "Cut out"
    starts_from: ClassVar[str] = "picture to cut from"
    role: ClassVar[str] = "cutout"
    prompt: str = ""
    named: str = ""
    num_images: int = param(1, value=COUNT, reach=Reach.JOB)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.named) > limits.MAX_LABEL:
            raise UserError(
                f"The words for the object have {len(self.named)} characters; up to {limits.MAX_LABEL} fit."
            )

    def model_or_role(self) -> str:
        """Return the role: the model that drew the picture has no part in it."""
        return self.role


@dataclass(frozen=True, kw_only=True)
class BlendRequest(GenerateRequest):
    """Draw pictures between 2 to 5 ``images``, which all weigh the same; no words are needed."""

    kind: ClassVar[str] = "blend"
    called: ClassVar[str] = "Blend"
    images: tuple[str, ...] = param((), value=values.Pictures(), moderated=False)
    prompt: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= len(self.images) <= 5:
            raise UserError(f"There are {len(self.images)} pictures to blend; it takes 2 to 5.")


MAX_LAYERS = 16
FARTHEST = 16_384  # px, of a layer's corner from the canvas' own
SMALLEST, LARGEST = 0.01, 64.0  # times its own size, of a layer
# picture (SHA-256), x and y of its corner in px of the canvas, scale, opacity, and what of it is shown: the
# SHA-256 of a mask of its own size, or None
Layer = tuple[str, float, float, float, float, str | None]


class Layers(values.Value):
    """The layers of a canvas, the lowest first."""

    def check(self, name: str, value: tuple[Layer, ...]) -> None:
        if not 1 <= len(value) <= MAX_LAYERS:
            raise UserError(f"`{name}` has {len(value)} pictures; it takes 1 to {MAX_LAYERS}.")
        for sha256, x, y, scale, opacity, clip in value:
            values.check_sha256(name, sha256, *(() if clip is None else (clip,)))
            values.within("x", x, -FARTHEST, FARTHEST, " px")
            values.within("y", y, -FARTHEST, FARTHEST, " px")
            values.within("scale", scale, SMALLEST, LARGEST)
            values.within("opacity", opacity, 0, 1)

    def pictures(self, value: tuple[Layer, ...]) -> tuple[str, ...]:
        """Return every picture, and every mask of one."""
        named = [name for sha256, *_, clip in value for name in (sha256, clip)]
        return tuple(name for name in named if name is not None)


class Canvas(values.Value):
    """Width and height of a canvas."""

    def check(self, name: str, value: tuple[int, int]) -> None:
        for side, length in zip(("width", "height"), value, strict=True):
            values.within(side, length, limits.MIN_SIDE, limits.MAX_UPSCALED, " px")


@dataclass(frozen=True, kw_only=True)
class ComposeRequest(GenerateRequest):
    """Lay pictures on a ``canvas`` (width and height, px; required), and draw what is missing or marked.

    mask_image: white is drawn anew, at the canvas' size; so is what no layer covers. keep_seam: not even a
    narrow band along uncovered parts changes. Every other pixel is the composed picture's.
    """

    kind: ClassVar[str] = "compose"
    called: ClassVar[str] = "Edited"
    canvas: tuple[int, int] = param((0, 0), value=Canvas(), reach=Reach.JOB, moderated=False)
    layers: tuple[Layer, ...] = param((), value=Layers(), reach=Reach.JOB, moderated=False)
    mask_image: str | None = param(None, value=values.Picture(), reach=Reach.JOB, moderated=False)
    keep_seam: bool = param(False, reach=Reach.JOB)
    remix: bool = False  # with new words: they say what is to fill the mask

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
