"""What happens to a job, in the order a watcher sees it, and what a capability returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Queued:
    """Waiting. ``position`` 1 runs next; ``eta`` in seconds until it starts, None while nothing was
    measured."""

    position: int
    eta: float | None = None


@dataclass(frozen=True)
class Started:
    """A worker took it."""


@dataclass(frozen=True)
class Loading:
    """The worker loads a model first. ``fraction`` 0..1, or None when unknown."""

    model: str
    fraction: float | None = None


@dataclass(frozen=True)
class Progress:
    """``step`` of ``total`` denoising steps (or captions, labels) done. ``preview``: an encoded small
    picture, or None."""

    step: int
    total: int
    preview: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Rendered:
    """Files and rows are safe; ``Queue.result(job_id)`` has it. Terminal for a watcher."""


@dataclass(frozen=True)
class Failed:
    """Ended without a result. ``message`` is a plain sentence for the person who asked. Terminal."""

    message: str


@dataclass(frozen=True)
class Cancelled:
    """Ended because somebody stopped it. Terminal."""


@dataclass(frozen=True)
class Paused:
    """The studio shuts down or restarts; the job stays queued and goes on afterwards. Ends the watch, not the
    job."""


Event = Queued | Started | Loading | Progress | Rendered | Failed | Cancelled | Paused
TERMINAL = (Rendered, Failed, Cancelled)


@dataclass(frozen=True)
class Picture:
    """An encoded picture. ``seed``: of this one picture, None for a grid or a chart."""

    data: bytes = field(repr=False)
    media_type: str  # "image/png" | "image/webp" | "image/jpeg"
    width: int
    height: int
    seed: int | None = None


@dataclass(frozen=True)
class Output:
    """What a capability returns in memory.

    pictures: single pictures in order. grid: the overview (or chart) shown in the message. captions: of
    /describe.
    scores: (label, probability 0..1), best first, of /classify; (word, weight 0..1), in the prompt's order,
    of /shorten.
    parameters: the values really used, diffusers' names, plus "model" (what ``atelier models`` calls it) and
    "notes" (sentences for the user about what could not be honoured).
    """

    pictures: tuple[Picture, ...] = ()
    grid: Picture | None = None
    captions: tuple[str, ...] = ()
    scores: tuple[tuple[str, float], ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict)
