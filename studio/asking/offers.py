"""What every door offers to do with a result: which actions make sense for which job and picture."""

from __future__ import annotations

from core.job import Job
from core.limits import MAX_SIDE, MAX_UPSCALED
from core.requests import ImagineRequest
from core.requests.base import Answer
from core.requests.video import CutRequest, FrameRequest
from storage.job_queries import StoredPicture
from studio.asking.actions import UPSCALES, ZOOMS
from studio.asking.canvas import PAN_SHARE, PANS


def for_picture(job: Job, picture: StoredPicture) -> tuple[tuple[str, ...], ...]:
    """Return the actions for a picture of a job at its size, in groups and in Midjourney's order.

    The groups are: enlarge, vary, frame, move and keep, look and end.
    """
    side = max(picture.width, picture.height)
    upscales = [name for name, (factor, _) in UPSCALES.items() if side * factor <= MAX_UPSCALED]
    zooms = [name for name in ("zoom20", "zoom15") if side * ZOOMS[name] <= MAX_SIDE]
    grows = side <= MAX_SIDE  # else no canvas around it fits
    pans = [name for name in PANS if grows and _length(picture, name) * (1 + PAN_SHARE) <= MAX_SIDE]
    custom = ("zoom",) if grows and min(picture.width, picture.height) < MAX_SIDE else ()
    square = ("square",) if picture.width != picture.height and grows else ()
    hd = ("hd",) if isinstance(job.request, ImagineRequest) and not job.request.hd else ()
    again = () if isinstance(job.request, FrameRequest) else ("again",)  # it would be the same frame
    return (
        (*upscales, *hd),
        ("subtle", "strong", "region", "remix", *again),
        (*zooms, *custom, *square, "cutout"),
        (*pans, "favourite"),
        ("describe", "classify", "read", "details", "dm", "delete"),
    )


EDITS = ("edit",)  # for a picture, where a model changes pictures as words say
ANIMATES = ("anihigh", "anilow")  # for a picture, where films can be made


def for_film(job: Job) -> tuple[tuple[str, ...], ...]:
    """Return the actions for a film of a job, in groups: go on, change, take from, keep and look."""
    again = () if isinstance(job.request, CutRequest) else ("again",)
    return (
        ("exthigh", "extlow", "extback", "loop"),
        ("vremix", "vblend", *again),
        ("cut", "lastframe", "gif"),
        ("favourite", "details", "dm", "delete"),
    )


def _length(picture: StoredPicture, direction: str) -> int:
    return picture.width if direction in ("left", "right") else picture.height


def for_job(job: Job) -> tuple[str, ...]:
    """Return the actions for a job as a whole: to stop it, or to ask for it once more."""
    if not job.status.over:
        return ("cancel",)
    answer = job.request.answer
    words = ("remix",) if answer is Answer.PICTURES else ()
    texts = ("all",) if answer is Answer.CAPTIONS else ("why",) if answer is Answer.LABELS else ()
    same = (Answer.WEIGHTS, Answer.LINES, Answer.MAP)  # would say the same again
    cut = isinstance(job.request, (CutRequest, FrameRequest))  # as would these
    again = () if answer in same or cut else ("again",)
    return (*again, *words, *texts, "delete")
