"""What is on its way to becoming a job: a request with its speed, the picture or words that it comes from,
and how far the picture's canvas grows or which part of it is meant, in px."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from core.errors import MissingError, UserError
from core.job import Job, Lane, new_seed
from core.limits import GRID
from core.prompt.parser import Prompt
from core.requests import EditRequest, GenerateRequest, Request
from jobs.queue import Result
from storage.job_queries import StoredOutput, StoredPicture
from studio.moderation.rules import texts_of
from studio.texts import code


@dataclass(frozen=True)
class PromptWithPictures:
    """A prompt, and the pictures that its words may name: ``<n>`` or link → SHA-256."""

    prompt: Prompt
    pictures: Mapping[str, str]


@dataclass(frozen=True)
class NewJob:
    """A request that is ready to be queued.

    parent: job id and index (from 0) of the picture that it is made from. private: only its asker sees it.
    own_words: they are the asker's, not those of a job or caption that a button was pressed under; only one's
    own words bring a strike. made: what it makes, where that needed no model.
    """

    request: Request
    lane: Lane = Lane.FAST
    parent: tuple[str, int] | None = None
    private: bool = False
    own_words: bool = True
    made: StoredOutput | None = None

    def chosen(self, lane: Lane | None, *, private: bool = False) -> NewJob:
        """Return the job in the asker's own lane, if they chose one, and private if they or it want that."""
        return replace(self, lane=lane or self.lane, private=self.private or private)

    def seeded(self, seed: int) -> NewJob:
        """Return the job with a seed, where it has one."""
        request = self.request
        return (
            replace(self, request=replace(request, seed=seed))
            if isinstance(request, GenerateRequest)
            else self
        )

    def in_lane_of(self, job: Job, words: PromptWithPictures | None) -> NewJob:
        """Return the job in the lane of the one that it is made from, unless its ``words`` name one."""
        return self if words and words.prompt.lane else replace(self, lane=job.lane)


class OfJob:
    """What is worked on: picture or video ``index`` (from 0) of a job of ours, or, where ``job`` is None,
    what somebody sent. seed: that it was drawn by, where that says which words it has."""

    job: Job | None
    index: int
    seed: int | None = None

    @property
    def parent(self) -> tuple[str, int] | None:
        """Job id and index (from 0), None for what somebody sent."""
        return (self.job.id, self.index) if self.job else None

    @property
    def request(self) -> GenerateRequest | None:
        """The request that drew it, of an edit with words for what it shows; None if nobody here drew it."""
        made_by = self.job.request if self.job else None
        if isinstance(made_by, EditRequest):
            return made_by.described
        return made_by.of_seed(self.seed) if isinstance(made_by, GenerateRequest) else None

    @property
    def private(self) -> bool:
        """Whether what is made from it is private, because it is."""
        return self.job is not None and self.job.origin.private


@dataclass(frozen=True)
class Source(OfJob):
    """A stored picture to work on, and the job that made it, if one of ours did.

    next_seed: the seed for what is made from it next.
    """

    sha256: str
    width: int
    height: int
    job: Job | None = None
    index: int = 0
    next_seed: int = field(default_factory=new_seed)
    seed: int | None = None


def adds_words(request: Request, before: Request) -> bool:
    """Return whether a request has a text that the one it comes from has not."""
    return not set(texts_of(request)) <= {"", *texts_of(before)}


def source_of(result: Result, index: int, *, children: int = 0) -> Source:
    """Return picture ``index`` (from 0) of a finished job.

    children: how many jobs were made from that picture before; each gets a seed of its own, four apart since
    a job draws up to four pictures, and behind those of a sheet. Raises MissingError when there is no such
    picture.
    """
    picture, job = picture_of(result, index), result.job
    source = Source(picture.sha256, picture.width, picture.height, job, index, seed=picture.seed)
    if source.request is None:
        return source
    drawn = max(GRID, getattr(job.request, "num_images", GRID))
    return replace(source, next_seed=(source.request.seed + index + drawn + GRID * children) % 2**32)


def picture_of(result: Result, index: int) -> StoredPicture:
    """Return the row of picture ``index`` (from 0). Raises MissingError when there is none of that number."""
    found = next((picture for picture in result.pictures if picture.index == index), None)
    if found is None:
        raise MissingError(f"That job has no picture number {index + 1}.")
    return found


PANS = {"left": "left", "right": "right", "up": "top", "down": "bottom"}  # direction → side that grows
PAN_SHARE = 0.5  # of the picture's side is added by a pan
FIELDS = 4  # a side of the numbered grid for Vary (Region)
_ASPECT = re.compile(r"(\d{1,5})[:x](\d{1,5})")
_ZOOM_FLAG = re.compile(r"(?:^|\s)(?:--|[\u2014\u2013])zoom[\s=]+(\S+)", re.IGNORECASE)
_ZOOM = re.compile(r"[12](?:[.,]\d{1,3})?")


def cell_box(source: Source, cell: int) -> tuple[int, int, int, int]:
    """Return (left, top, right, bottom) in px of field ``cell`` (from 1, row by row) of the numbered grid.

    Raises UserError for a number that no field has.
    """
    if not 1 <= cell <= FIELDS**2:
        raise UserError(f"There is no field {cell}; they go from 1 to {FIELDS**2}.")
    down, across = divmod(cell - 1, FIELDS)
    xs, ys = ([round(side * i / FIELDS) for i in range(FIELDS + 1)] for side in (source.width, source.height))
    return xs[across], ys[down], xs[across + 1], ys[down + 1]


def zoom_sides(source: Source, zoom: float) -> dict[str, int]:
    """Return the px to add on each side for a canvas that is ``zoom`` times as wide and as high."""
    across, down = round(source.width * (zoom - 1)), round(source.height * (zoom - 1))
    return {"left": across // 2, "right": across - across // 2, "top": down // 2, "bottom": down - down // 2}


def direction_sides(source: Source, direction: str) -> dict[str, int]:
    """Return the px to add for left, right, up, down or all: half of the picture's own side."""
    if direction == "all":
        return zoom_sides(source, 1 + PAN_SHARE)
    length = source.width if direction in ("left", "right") else source.height
    return {PANS[direction]: round(length * PAN_SHARE)}


def aspect_sides(source: Source, aspect: tuple[int, int]) -> dict[str, int]:
    """Return the px to add, half on each of two sides, to reach ``aspect`` (w, h).

    Raises UserError when the picture has that shape already.
    """
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
    """Return the px to add for a canvas ``zoom`` times as large, then made wider or higher to ``aspect``."""
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


def split_zoom(text: str) -> tuple[str, str]:
    """Return the words and what stands behind ``--zoom`` among them, as Midjourney's window takes it."""
    match = _ZOOM_FLAG.search(text)
    return (text[: match.start()] + text[match.end() :], match[1]) if match else (text, "")


def read_zoom(text: str) -> float:
    """Return the factor of a typed zoom. Raises UserError, which names the value and the allowed range."""
    zoom = float(text.replace(",", ".")) if _ZOOM.fullmatch(text) else 0.0
    if not 1 <= zoom <= 2:
        raise UserError(f"`zoom` is {code(text, 20)}; it takes a number from 1 to 2.")
    return zoom


def read_aspect(text: str | None) -> tuple[int, int] | None:
    """Return (w, h) of "16:9", None for nothing. Raises UserError, which names the value and the range."""
    if not text or not text.strip():
        return None
    match = _ASPECT.fullmatch(text.strip())
    w, h = (int(match[1]), int(match[2])) if match else (0, 0)
    if not w or not h or max(w / h, h / w) > 4:
        raise UserError(f"`aspect` is {code(text, 20)}; write it like 16:9, from 1:4 to 4:1.")
    return w, h


def read_cells(text: str | None) -> tuple[int, ...]:
    """Return numbers of fields, from "1 2 5" or "1,2,5"; none for nothing. Raises UserError for others."""
    numbers = re.split(r"[\s,;]+", text.strip()) if text else []
    if not all(number.isdigit() and 1 <= int(number) <= FIELDS**2 for number in numbers):
        raise UserError(f"`fields` takes numbers from 1 to {FIELDS**2}, such as 1 2 5.")
    return tuple(sorted({int(number) for number in numbers}))
