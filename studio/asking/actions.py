"""From a press, a window or a command on a picture to the next request. Pure but for the dice."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.errors import ImageError, UserError
from core.grammar.flags import SUPPORTED
from core.grammar.prompt import Prompt
from core.job import Job, Lane
from core.parameters import Reach, names, parameters
from core.requests import (
    MAX_SEED,
    MAX_SIDE,
    MAX_UPSCALED,
    BlendRequest,
    ClassifyRequest,
    DescribeRequest,
    GenerateRequest,
    ImagineRequest,
    OutpaintRequest,
    RegionRequest,
    Request,
    ShortenRequest,
    UpscaleRequest,
    VariationRequest,
)
from core.wording import fields_of, numbered, prompt_of, references
from jobs.views import Result
from storage.jobs import StoredPicture
from studio.authority import Action

ZOOMS = {"zoom15": 1.5, "zoom20": 2.0}
PANS = {"left": "left", "right": "right", "up": "top", "down": "bottom"}
UPSCALES = {"up2s": (2, "subtle"), "up2c": (2, "creative"), "up4s": (4, "subtle"), "up4c": (4, "creative")}
RIGHTS = {  # button → what its presser must be allowed to do
    "upscale": Action.PICK,
    "vary": Action.VARY,
    "subtle": Action.VARY,
    "strong": Action.VARY,
    "region": Action.VARY,
    "again": Action.REROLL,
    "hd": Action.REROLL,
    "remix": Action.REMIX,
    **dict.fromkeys(ZOOMS, Action.ZOOM),
    "zoom": Action.ZOOM,
    "square": Action.ZOOM,
    **dict.fromkeys(PANS, Action.PAN),
    **dict.fromkeys(UPSCALES, Action.UPSCALE),
    "describe": Action.DESCRIBE,
    "classify": Action.CLASSIFY,
    "caption": Action.IMAGINE,
    "all": Action.IMAGINE,
    "short": Action.IMAGINE,
    "weights": Action.DETAILS,
    "details": Action.DETAILS,
    "dm": Action.DM,
    "favourite": Action.FAVOURITE,
    "cancel": Action.CANCEL,
    "delete": Action.DELETE,
}
REMIXABLE = (
    "vary",
    "subtle",
    "strong",
    "again",
    "zoom15",
    "zoom20",
    "square",
    *PANS,
)  # what opens a window while remix is on
PAN_SHARE = 0.5  # of the picture's side is added by a pan
GRID = 4  # fields a side of the numbered grid for Vary (Region)
_IGNORED_BY_VARIATIONS = (Reach.FIRST,)  # what new words ask for in vain, which is told
_IGNORED_BY_OTHERS = (Reach.FIRST, Reach.GRID, Reach.SHAPE)


@dataclass(frozen=True)
class Ask:
    """A request ready to be queued, and which picture it comes from. stealth: only the asker sees it."""

    request: Request
    lane: Lane = Lane.FAST
    parent: tuple[str, int] | None = None
    stealth: bool = False


@dataclass(frozen=True)
class Words:
    """A prompt from a window or an option, and the pictures it may name: ``<n>`` or link → SHA-256."""

    prompt: Prompt
    pictures: Mapping[str, str]


@dataclass(frozen=True)
class Source:
    """A stored picture to work on, with what is known of how it was made."""

    sha256: str
    width: int
    height: int
    job: Job | None = None
    index: int = 0

    @property
    def parent(self) -> tuple[str, int] | None:
        return (self.job.id, self.index) if self.job else None

    @property
    def request(self) -> GenerateRequest | None:
        made_by = self.job.request if self.job else None
        return made_by if isinstance(made_by, GenerateRequest) else None

    @property
    def stealth(self) -> bool:
        """What comes from a private picture is private."""
        return self.job is not None and self.job.origin.private


def with_speed(ask: Ask, lane: Lane | None) -> Ask:
    """In the member's own lane, if they have chosen one."""
    return ask if lane is None else replace(ask, lane=lane)


def new_seed() -> int:
    return secrets.randbelow(MAX_SEED + 1)


def source_of(result: Result, index: int) -> Source:
    """Picture ``index`` (from 0) of a finished job."""
    picture = picture_of(result, index)
    return Source(picture.sha256, picture.width, picture.height, result.job, index)


def picture_of(result: Result, index: int) -> StoredPicture:
    if not 0 <= index < len(result.pictures):
        raise ImageError(f"That job has {len(result.pictures)} pictures; there is no number {index + 1}.")
    return result.pictures[index]


def after_press(
    result: Result, action: str, index: int, *, seed: int, words: Words | None = None, strong: bool = True
) -> Ask:
    """The request that button ``action`` under ``result`` stands for; UserError when it makes no sense there.
    words: of a remix.
    strong: what V does."""
    job, lane = result.job, result.job.lane
    if action in ("describe", "classify"):
        sha256 = picture_of(result, index).sha256
        request = (
            DescribeRequest(image=sha256, seed=seed)
            if action == "describe"
            else ClassifyRequest(image=sha256)
        )
        return Ask(request, lane, (job.id, index), job.origin.private)
    source = source_of(result, index)
    if action in ("vary", "subtle", "strong", "remix"):
        amount = "subtle" if action == "subtle" or (action == "vary" and not strong) else "strong"
        return variation(source, amount, words, seed=seed, lane=lane)
    if action in UPSCALES:
        return upscale(source, *UPSCALES[action], seed=seed, lane=lane)
    if action in ZOOMS:
        return outpaint(source, zoom_sides(source, ZOOMS[action]), words, seed=seed, lane=lane)
    if action == "square":
        return outpaint(source, aspect_sides(source, (1, 1)), words, seed=seed, lane=lane)
    if action in PANS:
        return outpaint(source, direction_sides(source, action), words, seed=seed, lane=lane)
    raise UserError("This button belongs to a newer version of the studio.")


def again(job: Job, seed: int, words: Words | None = None) -> Ask:
    """The same with a new seed, or with new words."""
    request: Any = job.request
    if words is not None and isinstance(request, GenerateRequest):
        request = replace(request, **_worded(request, words))
    if not isinstance(request, ClassifyRequest | ShortenRequest):
        request = replace(request, seed=seed)
    parent = (job.parent_id, job.parent_index or 0) if job.parent_id else None
    return Ask(request, job.lane, parent, job.origin.private)


def in_hd(job: Job) -> Ask:
    """The same pictures with a second pass: same words, same seed."""
    if not isinstance(job.request, ImagineRequest):
        raise UserError("Only pictures made by `/imagine` can be run as HD; use Upscale for this one.")
    return replace(again(job, job.request.seed), request=replace(job.request, hd=True))


def imagine_prompt(
    prompt: Prompt,
    pictures: Mapping[str, str] | None = None,
    *,
    seed: int,
    parent: tuple[str, int] | None = None,
    stealth: bool = False,
) -> Ask:
    """A parsed prompt as a request; ``seed`` is used unless the prompt names one. pictures: what it calls a
    picture → SHA-256."""
    given = {"seed": seed} | fields_of(prompt, pictures, code=new_seed())
    request = ImagineRequest(**given)
    return Ask(
        request, prompt.lane or Lane.FAST, parent, stealth if prompt.stealth is None else prompt.stealth
    )


def blend(
    images: Sequence[str],
    aspect: tuple[int, int] | None,
    *,
    seed: int,
    lane: Lane = Lane.FAST,
    stealth: bool = False,
) -> Ask:
    """images: SHA-256."""
    return Ask(BlendRequest(images=tuple(images), aspect_ratio=aspect, seed=seed), lane, None, stealth)


def variation(source: Source, amount: str, words: Words | None, *, seed: int, lane: Lane = Lane.FAST) -> Ask:
    """Image-to-image of ``source``; its own prompt and settings unless there are new words."""
    given = _fields(source, words, seed, _IGNORED_BY_VARIATIONS)
    request = VariationRequest(**given, image=source.sha256, variation=amount, remix=_remixed(source, words))
    return _asked(request, source, words, lane)


def upscale(
    source: Source, factor: int, mode: str, words: Words | None = None, *, seed: int, lane: Lane = Lane.FAST
) -> Ask:
    side = max(source.width, source.height) * factor
    if side > MAX_UPSCALED:
        raise UserError(
            f"That would be {source.width * factor}×{source.height * factor} px; up to {MAX_UPSCALED} a side"
            f" fit. The picture has {source.width}×{source.height}"
            f" px{': try 2x.' if factor == 4 and side // 2 <= MAX_UPSCALED else '.'}"
        )
    given = _fields(source, words, seed)
    return _asked(UpscaleRequest(**given, image=source.sha256, factor=factor, mode=mode), source, words, lane)


def region(
    source: Source,
    words: Words | None,
    *,
    seed: int,
    mask: str | None = None,
    cells: Sequence[int] = (),
    what: str = "",
    lane: Lane = Lane.FAST,
) -> Ask:
    """A part of ``source`` drawn anew: under ``mask`` (SHA-256), in ``cells`` of the numbered grid (from 1),
    or what the words name."""
    given = _fields(source, words, seed)
    request = RegionRequest(
        **given,
        image=source.sha256,
        mask_image=mask,
        boxes=tuple(cell_box(source, cell) for cell in cells),
        region=what.strip(),
        remix=_remixed(source, words),
    )
    return _asked(request, source, words, lane)


def cell_box(source: Source, cell: int) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) in px of field ``cell`` (from 1, row by row) of the numbered grid."""
    if not 1 <= cell <= GRID * GRID:
        raise UserError(f"There is no field {cell}; they go from 1 to {GRID * GRID}.")
    down, across = divmod(cell - 1, GRID)
    xs, ys = ([round(side * i / GRID) for i in range(GRID + 1)] for side in (source.width, source.height))
    return xs[across], ys[down], xs[across + 1], ys[down + 1]


def outpaint(
    source: Source, sides: dict[str, int], words: Words | None, *, seed: int, lane: Lane = Lane.FAST
) -> Ask:
    """A larger canvas around ``source``. ``sides``: px to add at left, top, right, bottom."""
    width = source.width + sides.get("left", 0) + sides.get("right", 0)
    height = source.height + sides.get("top", 0) + sides.get("bottom", 0)
    if max(width, height) > MAX_SIDE:
        raise UserError(
            f"That would be {width}×{height} px; up to {MAX_SIDE} a side fit. The picture has"
            f" {source.width}×{source.height} px: try a smaller zoom, or another direction."
        )
    given = _fields(source, words, seed)
    return _asked(OutpaintRequest(**given, image=source.sha256, **sides), source, words, lane)


def _asked(request: Request, source: Source, words: Words | None, lane: Lane) -> Ask:
    prompt = words.prompt if words else Prompt()
    return Ask(request, prompt.lane or lane, source.parent, prompt.stealth or source.stealth)


def _fields(
    source: Source, words: Words | None, seed: int, ignored: Sequence[Reach] = _IGNORED_BY_OTHERS
) -> dict[str, Any]:
    """Return the fields of a request made from ``source``: those of the new words, else what it keeps of its
    parent's request. Flags of new words whose reach is ``ignored`` are kept as unsupported."""
    made_by = source.request
    if words is None:
        kept = _reaching(Reach.KEPT) if made_by else ()
        return {"prompt": "", "seed": seed} | {name: getattr(made_by, name) for name in kept}
    given = {"seed": seed} | (
        _worded(made_by, words) if made_by else fields_of(words.prompt, words.pictures, code=new_seed())
    )
    given["unsupported"] = (*given["unsupported"], *_typed_anew(made_by, words.prompt, ignored))
    return _without(given, "image", *_reaching(*ignored))


def _reaching(*reaches: Reach) -> tuple[str, ...]:
    return names(GenerateRequest, lambda parameter: parameter.reach in reaches)


def _worded(request: GenerateRequest, words: Words) -> dict[str, Any]:
    """The fields of new words; the model stays if they name none."""
    given = fields_of(words.prompt, {**numbered(references(request)), **words.pictures}, code=new_seed())
    return _without(given, *(("image",) if given["image"] is None else ()))


def _typed_anew(made_by: GenerateRequest | None, prompt: Prompt, reaches: Sequence[Reach]) -> list[str]:
    """Return those flags with such a reach that ``prompt`` has and the parent's words had not, as typed."""
    before, found = prompt_of(made_by) if made_by else Prompt(), []
    for flag in SUPPORTED:
        value = getattr(prompt, flag.field)
        reach = parameters(Prompt)[flag.field].reach
        if (
            reach in reaches
            and flag.value.writes(value)
            and value not in (False, getattr(before, flag.field))
        ):
            found.append(flag.typed(value))
    return found


def _without(given: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in names}


def _remixed(source: Source, words: Words | None) -> bool:
    """Whether the words are new."""
    if words is None or source.request is None:
        return False
    before = prompt_of(source.request)
    return (words.prompt.text, words.prompt.parts, words.prompt.negative_prompt) != (
        before.text,
        before.parts,
        before.negative_prompt,
    )


def zoom_sides(source: Source, zoom: float) -> dict[str, int]:
    """px to add on each side so that the canvas is ``zoom`` times as wide and as high."""
    across, down = round(source.width * (zoom - 1)), round(source.height * (zoom - 1))
    return {"left": across // 2, "right": across - across // 2, "top": down // 2, "bottom": down - down // 2}


def direction_sides(source: Source, direction: str) -> dict[str, int]:
    """px to add for left, right, up, down or all: half of the picture's own side."""
    if direction == "all":
        return zoom_sides(source, 1 + PAN_SHARE)
    length = source.width if direction in ("left", "right") else source.height
    return {PANS[direction]: round(length * PAN_SHARE)}


def aspect_sides(source: Source, aspect: tuple[int, int]) -> dict[str, int]:
    """px to add, half on each of two sides, to reach ``aspect`` (w, h); UserError when the picture has that
    shape already."""
    target = aspect[0] / aspect[1]
    across = max(0, round(source.height * target) - source.width)
    down = max(0, round(source.width / target) - source.height)
    if across < 2 and down < 2:
        raise UserError(
            f"The picture has that shape already ({source.width}×{source.height}); nothing to add."
        )
    if across >= down:
        return {"left": across // 2, "right": across - across // 2}
    return {"top": down // 2, "bottom": down - down // 2}


def custom_sides(source: Source, zoom: float, aspect: tuple[int, int] | None) -> dict[str, int]:
    """px to add for a canvas ``zoom`` times as large, then widened or heightened to ``aspect``."""
    sides = zoom_sides(source, zoom)
    if aspect is None:
        return sides
    zoomed = Source(
        "", source.width + sides["left"] + sides["right"], source.height + sides["top"] + sides["bottom"]
    )
    try:
        more = aspect_sides(zoomed, aspect)
    except UserError:
        more = {}
    return {side: px + more.get(side, 0) for side, px in sides.items()}
