"""From a press on a finished job to the next request. Pure but for the dice."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace

from bot.authority import Action
from core.errors import ImageError, UserError
from core.job import Job, Lane
from core.prompt import Prompt
from core.requests import (
    MAX_SEED,
    MAX_SIDE,
    ClassifyRequest,
    DescribeRequest,
    GenerateRequest,
    ImagineRequest,
    OutpaintRequest,
    Request,
    VariationRequest,
)
from core.wording import fields_of
from jobs.views import Result
from storage.jobs import StoredPicture

ZOOMS = {"zoom15": 1.5, "zoom20": 2.0}
PANS = {"left": "left", "right": "right", "up": "top", "down": "bottom"}
RIGHTS = {  # button → what its presser must be allowed to do
    "upscale": Action.PICK, "vary": Action.VARY, "subtle": Action.VARY, "strong": Action.VARY, "again": Action.REROLL,
    **dict.fromkeys(ZOOMS, Action.ZOOM), **dict.fromkeys(PANS, Action.PAN), "describe": Action.DESCRIBE, "classify": Action.CLASSIFY,
    "caption": Action.IMAGINE, "all": Action.IMAGINE, "cancel": Action.CANCEL,
}  # fmt: skip
PAN_SHARE = 0.5  # of the picture's side is added by a pan


@dataclass(frozen=True)
class Ask:
    """A request ready to be queued, and which picture it comes from."""

    request: Request
    lane: Lane = Lane.FAST
    parent: tuple[str, int] | None = None


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


def after_press(result: Result, action: str, index: int, *, seed: int) -> Ask:
    """The request that button ``action`` under ``result`` stands for; UserError when it makes no sense there."""
    job = result.job
    if action == "again":
        return again(job, seed)
    if action in ("vary", "subtle", "strong"):
        source = source_of(result, index)
        return variation(source, "subtle" if action == "subtle" else "strong", None, seed=seed, lane=job.lane)
    if action in ZOOMS:
        return outpaint(source_of(result, index), zoom_sides(source_of(result, index), ZOOMS[action]), None, seed=seed, lane=job.lane)
    if action in PANS:
        source = source_of(result, index)
        return outpaint(source, direction_sides(source, action), None, seed=seed, lane=job.lane)
    if action == "describe":
        return Ask(DescribeRequest(image=picture_of(result, index).sha256, seed=seed), job.lane, (job.id, index))
    if action == "classify":
        return Ask(ClassifyRequest(image=picture_of(result, index).sha256), job.lane, (job.id, index))
    raise UserError("This button belongs to a newer version of the studio.")


def again(job: Job, seed: int) -> Ask:
    """The same with a new seed."""
    request = job.request
    fresh = request if isinstance(request, ClassifyRequest) else replace(request, seed=seed)  # type: ignore[call-arg]
    parent = (job.parent_id, job.parent_index or 0) if job.parent_id else None
    return Ask(fresh, job.lane, parent)


def imagine_prompt(prompt: Prompt, pictures: Mapping[str, str] | None = None, *, seed: int, parent: tuple[str, int] | None = None) -> Ask:
    """A parsed prompt as a request; ``seed`` is used unless the prompt names one. pictures: what it calls a picture → SHA-256."""
    request = ImagineRequest(**{"seed": seed} | fields_of(prompt, pictures, code=new_seed()))
    return Ask(request, prompt.lane or Lane.FAST, parent)


def variation(source: Source, amount: str, prompt: str | None, *, seed: int, lane: Lane = Lane.FAST) -> Ask:
    """Image-to-image of ``source``; its own prompt, model and settings unless a new prompt is given."""
    made_by = source.request
    request = VariationRequest(
        prompt=prompt if prompt is not None else (made_by.prompt if made_by else ""),
        image=source.sha256, variation=amount, seed=seed, **_kept(made_by),
    )
    return Ask(request, lane, source.parent)


def outpaint(source: Source, sides: dict[str, int], prompt: str | None, *, seed: int, lane: Lane = Lane.FAST) -> Ask:
    """A larger canvas around ``source``. ``sides``: px to add at left, top, right, bottom."""
    width = source.width + sides.get("left", 0) + sides.get("right", 0)
    height = source.height + sides.get("top", 0) + sides.get("bottom", 0)
    if max(width, height) > MAX_SIDE:
        raise UserError(
            f"That would be {width}×{height} px; up to {MAX_SIDE} a side fit. The picture has {source.width}×{source.height} px: "
            "try a smaller zoom, or another direction."
        )
    made_by = source.request
    request = OutpaintRequest(
        prompt=prompt if prompt is not None else (made_by.prompt if made_by else ""),
        image=source.sha256, seed=seed, **sides, **_kept(made_by),
    )
    return Ask(request, lane, source.parent)


def _kept(made_by: GenerateRequest | None) -> dict[str, object]:
    """What a child keeps of its parent's request."""
    if made_by is None:
        return {}
    names = (
        "negative_prompt", "guidance_scale", "num_inference_steps", "sampler", "model", "draft", "stylize", "raw", "weird", "exp", "stop", "tile",
        "quality", "style_references", "style_codes", "style_weight", "character_references", "character_weight", "omni_references",
        "omni_weight", "loras", "version", "unmet",
    )  # fmt: skip
    return {name: getattr(made_by, name) for name in names}


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
    """px to add, half on each of two sides, to reach ``aspect`` (w, h); UserError when the picture has that shape already."""
    target = aspect[0] / aspect[1]
    across = max(0, round(source.height * target) - source.width)
    down = max(0, round(source.width / target) - source.height)
    if across < 2 and down < 2:
        raise UserError(f"The picture has that shape already ({source.width}×{source.height}); nothing to add.")
    if across >= down:
        return {"left": across // 2, "right": across - across // 2}
    return {"top": down // 2, "bottom": down - down // 2}
