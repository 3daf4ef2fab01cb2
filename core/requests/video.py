"""Requests that make videos: from words, from pictures, or from other videos."""

import re
from dataclasses import dataclass
from typing import ClassVar

from core.errors import UserError
from core.limits import CLIPS
from core.prompt.parameters import Reach, VideoParameters, param
from core.prompt.values import OneNumberOf, Picture, is_blank
from core.requests.base import Answer
from core.requests.images import GenerateRequest

OPERATIONS = ("new", "extend", "extend_back", "remix", "blend", "loop")

# Operations that go on from a video: nobody has to choose one of several
ONE_CLIP = ("blend", "loop", "extend", "extend_back")
USUAL_CLIPS = {480: 4, 720: 2, 1080: 1}  # px of the shorter side → videos, where nobody says how many


def usual_clips(resolution: int | None, operation: str = "new") -> int:
    """Return how many videos a job makes unless it says so, as Sora: fewer of larger ones and of sequels."""
    return 1 if operation in ONE_CLIP else USUAL_CLIPS.get(resolution or min(USUAL_CLIPS), 1)


@dataclass(frozen=True, kw_only=True)
class VideoRequest(VideoParameters, GenerateRequest):
    """Make ``num_images`` videos; video *i* uses ``seed + i``. Pictures and videos are SHA-256 of stored
    files.

    operation: "new" from words, from a first picture (``image``), or between it and a last one
    (``end_image``); "extend" and "extend_back" put frames behind or before ``clip``; "remix" draws it anew by
    other words, as far as ``strength`` says; "blend" draws the join between ``clip`` and ``clip_2``; "loop"
    draws the way from the end of ``clip`` to its start. clip_ends, clip_2_ends: the latents of those videos'
    ends where the studio kept them.
    """

    kind: ClassVar[str] = "video"
    called: ClassVar[str] = "Video"
    answer: ClassVar[Answer] = Answer.VIDEOS
    role: ClassVar[str] = "video"
    operation: str = param("new", moderated=False)
    num_images: int = param(1, value=OneNumberOf(CLIPS), reach=Reach.JOB)
    end_image: str | None = param(None, value=Picture(), reach=Reach.JOB, moderated=False)
    clip: str | None = param(None, value=Picture(), reach=Reach.JOB, moderated=False)
    clip_ends: str | None = param(None, value=Picture(), reach=Reach.JOB, moderated=False)
    clip_2: str | None = param(None, value=Picture(), reach=Reach.JOB, moderated=False)
    clip_2_ends: str | None = param(None, value=Picture(), reach=Reach.JOB, moderated=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.operation not in OPERATIONS:
            raise UserError(f"`do` is {self.operation!r}; it takes {', '.join(OPERATIONS)}.")
        if self.operation == "new":
            if self.end_image is not None and self.image is None:
                raise UserError("A last picture needs a first one. Attach it as `image`.")
            if self.image is None and is_blank(self.prompt):
                raise UserError("Say what the video should show, for example `a red boat sails to the left`.")
        elif self.clip is None:
            raise UserError("There is no video to start from. Attach one, or choose one that Atelier made.")
        if self.operation == "remix" and is_blank(self.prompt):
            raise UserError("Say what the video should show instead, for example `the same boat at night`.")
        if self.operation == "blend" and self.clip_2 is None:
            raise UserError("Blending takes two videos, and there is one. Attach or choose a second one.")
        if self.loop and self.end_image is not None:
            raise UserError("A loop ends on its first picture, so `--loop` and `--end` don't go together.")

    def size(self) -> str:
        """Return width x height x videos, seconds and steps; 0 stands for the model's own."""
        side = f"{self.width or 0}x{self.height or 0}" if self.width else f"r{self.resolution or 0}"
        steps = "draft" if self.draft else self.num_inference_steps or 0
        return f"{side}x{self.num_images}t{self.seconds or 0:g}f{self.fps or 0}s{steps}"


_AMOUNT = re.compile(r"x(\d+)t([\d.]+)f")
USUAL_SECONDS = 3.0  # of a video, where the model chooses


def seconds_made(size: str) -> float:
    """Return the seconds of video that requests of a ``size()`` make in all; 0 for what is no such size."""
    found = _AMOUNT.search(size)
    return int(found[1]) * (float(found[2]) or USUAL_SECONDS) if found else 0.0


@dataclass(frozen=True, kw_only=True)
class CutRequest(VideoParameters, GenerateRequest):
    """A part of ``clip`` (required), from second ``start`` to second ``end``; no model draws anything.

    What the video was asked with is kept, so that what is made from the part goes on as the video would.
    """

    kind: ClassVar[str] = "cut"
    called: ClassVar[str] = "Cut"
    answer: ClassVar[Answer] = Answer.VIDEOS
    role: ClassVar[str] = "video"
    prompt: str = ""
    num_images: int = param(1, value=OneNumberOf((1,)), reach=Reach.JOB)
    clip: str | None = param(None, value=Picture(), reach=Reach.JOB, moderated=False)
    start: float = 0.0
    end: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.clip is None:
            raise UserError("There is no video to cut. Attach one, or choose one that Atelier made.")
        if not 0 <= self.start < self.end:
            raise UserError(
                f"The part goes from {self.start:g} s to {self.end:g} s; it takes a start from 0 on, and an"
                " end after it."
            )


@dataclass(frozen=True, kw_only=True)
class FrameRequest(GenerateRequest):
    """The last frame of ``clip`` (required) as a picture; no model draws anything."""

    kind: ClassVar[str] = "frame"
    called: ClassVar[str] = "Last frame"
    role: ClassVar[str] = "video"
    prompt: str = ""
    num_images: int = param(1, value=OneNumberOf((1,)), reach=Reach.JOB)
    clip: str | None = param(None, value=Picture(), reach=Reach.JOB, moderated=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.clip is None:
            raise UserError("There is no video to take a frame of. Choose one that Atelier made.")
