"""What a film may be and what it takes: its limits, the room it needs on the disk, the films of one member at
once. Pure functions over plain values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from core.errors import LimitError, UserError
from core.limits import RESOLUTIONS
from core.requests import Request
from core.requests.custom_models import BundleRequest, TrainRequest
from core.requests.video import VideoRequest
from jobs.order.cost import kind_of

USUAL_SECONDS = 5.0  # where nobody says how long, and what a model draws at once
USUAL_FPS, USUAL_SIDES = 24, (854, 480)
BYTES_A_PIXEL = 0.15  # of a film at the quality that is kept (H.264, CRF 15)
WRITTEN = {VideoRequest.kind: "film", TrainRequest.kind: "training", BundleRequest.kind: "bundle"}
ENDS_BYTES = 3 * 10**6  # latents of a film's ends, at most


@dataclass(frozen=True)
class FilmLimits:
    """What may be asked of films. running, waiting: of one member at once. seconds: of one film. max_pixels:
    of a frame. per_day: seconds of film that one member may have made in a day, 0 = as many as they like."""

    running: int = 1
    waiting: int = 3
    seconds: float = 20.0
    max_pixels: int = 1920 * 1088
    per_day: int = 0


def in_proportion(films: int, own: int, everybody: int) -> int:
    """Return how many films a member may have whose roles let them have ``own`` jobs where everybody may have
    ``everybody``, and ``films`` of these may be films: at least one, and no more than jobs."""
    return min(own, max(1, films * own // everybody))


def is_film(cost_key: str) -> bool:
    """Return whether jobs with this cost key draw films."""
    return kind_of(cost_key) == VideoRequest.kind


def check_film(limits: FilmLimits, request: Request) -> None:
    """Raise UserError for a film that is longer or larger than any may be."""
    if not isinstance(request, VideoRequest):
        return
    if request.seconds is not None and request.seconds > limits.seconds:
        raise UserError(
            f"That film would be {request.seconds:g} seconds long; this studio makes films of up to"
            f" {limits.seconds:g} seconds."
        )
    sides = sides_of(request)
    if sides is None or sides[0] * sides[1] <= limits.max_pixels:
        return
    ratio = max(sides) / min(sides)
    fitting = [side for side in RESOLUTIONS if side * round(side * ratio) <= limits.max_pixels]
    advice = f" `--res {max(fitting)}` fits." if fitting else ""
    raise UserError(
        f"A frame of {sides[0]}×{sides[1]} has {sides[0] * sides[1]:,} pixels; this studio makes films of up"
        f" to {limits.max_pixels:,}.{advice}"
    )


def check_films_waiting(allowed: int, waiting: int) -> None:
    """Raise LimitError when a member may have no more films waiting."""
    if waiting >= allowed:
        raise LimitError(
            f"You have {waiting} films waiting; the limit is {allowed}. One has to start or be cancelled"
            " first."
        )


def check_day(limits: FilmLimits, used: float, coming: Iterable[Request], request: Request) -> None:
    """Raise LimitError when a film is more than its asker may have today. used: seconds of film that were
    made for them. coming: what they have asked for and isn't made yet."""
    if not limits.per_day or not isinstance(request, VideoRequest):
        return
    expected = used + sum(seconds_of(one) for one in coming)
    asked = seconds_of(request)
    if expected + asked > limits.per_day:
        left = max(0.0, limits.per_day - expected)
        raise LimitError(
            f"That is {asked:g} seconds of film, and you have {left:g} of today's {limits.per_day} left. New"
            " ones come at 0:00 UTC."
        )


def no_room(request: Request, free: int) -> LimitError:
    """Return that what a request's worker writes doesn't fit on the disk. free: bytes over the floor."""
    what = WRITTEN.get(request.kind, "job")
    advice = "A shorter or smaller one may fit; please" if what == "film" else "Please"
    return LimitError(
        f"The studio's disk has no room for this {what}: it needs about {bytes_of(request) / 10**6:,.0f} MB,"
        f" and {max(0, free) / 10**6:,.0f} MB are free. {advice} tell the host."
    )


def sides_of(request: VideoRequest) -> tuple[int, int] | None:
    """Return the sides that a film is asked for with, px; None = its model's own."""
    if request.width and request.height:
        return request.width, request.height
    if request.resolution is None:
        return None
    across, down = request.aspect_ratio or (16, 9)
    longer = round(request.resolution * max(across, down) / min(across, down))
    return (longer, request.resolution) if across >= down else (request.resolution, longer)


def seconds_of(request: Request) -> float:
    """Return how many seconds of film a request asks for, all its films together; 0 for one of no films."""
    if not isinstance(request, VideoRequest):
        return 0.0
    return (request.seconds or USUAL_SECONDS) * request.num_images


def bytes_of(request: Request) -> int:
    """Return about how many bytes the disk needs for what a request's worker writes; 0 for one that writes
    nothing, whose pictures the disk's floor has room for."""
    if not isinstance(request, VideoRequest):
        return request.writes
    width, height = sides_of(request) or USUAL_SIDES
    frames = seconds_of(request) * (request.fps or USUAL_FPS)
    return round(frames * width * height * BYTES_A_PIXEL) + ENDS_BYTES * request.num_images
