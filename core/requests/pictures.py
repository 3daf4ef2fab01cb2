"""Requests that make pictures: from words, from another picture, or from a part of one.

Field names are diffusers' own. ``None`` means "the configured model's default"; the worker resolves it and
reports the value it used in ``Output.parameters``. Pictures are named by the SHA-256 (hex) of their file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from core.errors import UserError
from core.limits import (
    MAX_ASPECT,
    MAX_IMAGE_WEIGHT,
    MAX_LABEL,
    MAX_PARTS,
    MAX_PROMPT,
    MAX_SEED,
    MAX_SIDE,
    MAX_STYLIZE,
    MAX_UPSCALED,
    MAX_WEIGHT,
    MIN_SIDE,
    NEGATIVE_WEIGHT,
    QUALITIES,
    Weighted,
)
from core.requests.base import Request, check_picture, check_pictures, picture_field, within

_NAME = re.compile(r"[\w.+-]{1,64}")


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
    image: str | None = picture_field(None)
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
    image_prompts: Weighted = picture_field(())
    image_weight: float | None = None
    style_references: Weighted = picture_field(())
    style_codes: tuple[tuple[int, float], ...] = ()
    style_weight: int | None = None
    character_references: Weighted = picture_field(())
    character_weight: int | None = None
    omni_references: Weighted = picture_field(())
    omni_weight: int | None = None
    loras: Weighted = ()
    version: str | None = None
    unmet: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.prompt) > MAX_PROMPT:
            raise UserError(f"The prompt has {len(self.prompt):,} characters; it takes up to {MAX_PROMPT:,}.")
        within("width", self.width, MIN_SIDE, MAX_SIDE, " px")
        within("height", self.height, MIN_SIDE, MAX_SIDE, " px")
        within("steps", self.num_inference_steps, 1, 100)
        within("cfg", self.guidance_scale, 0, 30)
        within("seed", self.seed, 0, MAX_SEED)
        within("strength", self.strength, 0, 1)
        if not 1 <= self.num_images <= 4:
            raise ValueError(f"num_images is {self.num_images}; it takes 1 to 4")
        if self.aspect_ratio is not None:
            w, h = self.aspect_ratio
            if w < 1 or h < 1 or max(w / h, h / w) > MAX_ASPECT:
                raise UserError(
                    f"`ar` is {w}:{h}; it takes whole numbers from 1:{MAX_ASPECT} to {MAX_ASPECT}:1."
                )
        check_picture("image", self.image)
        self._check_style()
        self._check_references()
        self._check_parts()

    def _check_style(self) -> None:
        within("chaos", self.chaos, 0, 100)
        within("stylize", self.stylize, 0, MAX_STYLIZE)
        within("weird", self.weird, 0, 3000)
        within("exp", self.exp, 0, 100)
        within("stop", self.stop, 10, 100)
        if self.quality is not None and self.quality not in QUALITIES:
            raise UserError(
                f"`quality` is {self.quality:g}; it takes {', '.join(f'{q:g}' for q in QUALITIES)}."
            )
        for name, weight in self.loras:
            if not _NAME.fullmatch(name):
                raise UserError(
                    f"`lora` is {name[:40]!r}; it takes a name of letters, digits, `.`, `_`, `+` and `-`."
                )
            within("lora", weight, -2, 2)

    def _check_references(self) -> None:
        check_pictures("image prompt", self.image_prompts, negative=True)
        check_pictures("sref", self.style_references)
        check_pictures("cref", self.character_references)
        check_pictures("oref", self.omni_references)
        for code, weight in self.style_codes:
            within("sref", code, 0, MAX_SEED)
            within("sref", weight, 0, MAX_WEIGHT)
        within("iw", self.image_weight, 0, MAX_IMAGE_WEIGHT)
        within("sw", self.style_weight, 0, 1000)
        within("cw", self.character_weight, 0, 100)
        within("ow", self.omni_weight, 0, 1000)

    def _check_parts(self) -> None:
        if len(self.prompt_parts) > MAX_PARTS:
            raise UserError(f"The prompt has {len(self.prompt_parts)} parts; it takes up to {MAX_PARTS}.")
        for _, weight in self.prompt_parts:
            within("weight", weight, -MAX_WEIGHT, MAX_WEIGHT)
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
    mask_image: str | None = picture_field(None)
    boxes: tuple[tuple[int, int, int, int], ...] = ()
    region: str = ""
    remix: bool = False  # with new words: only the message's title differs

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.image is None:
            raise UserError("There is no picture to change. Attach one, or name one that Atelier made.")
        check_picture("mask_image", self.mask_image)
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
    images: tuple[str, ...] = picture_field(())
    prompt: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= len(self.images) <= 5:
            raise UserError(f"There are {len(self.images)} pictures to blend; it takes 2 to 5.")
        for sha256 in self.images:
            check_picture("images", sha256)
