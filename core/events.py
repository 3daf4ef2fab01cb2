"""The events of a job, in the order a watcher sees them, and what a capability returns."""

from dataclasses import dataclass, field
from typing import Any, Literal

from core.results import Box, Learned, Table, TextLine, Verdict


@dataclass(frozen=True)
class Queued:
    """The job waits. ``position`` 1 runs next; ``eta``: seconds until it starts, None if unknown. ``held``:
    an admin has paused the queue, so nothing starts. ``why``: what it waits for besides its turn, to which it
    goes back then, in a sentence. ``starting``: no worker is ready yet, the first is being started."""

    position: int
    eta: float | None = None
    held: bool = False
    why: str = ""
    starting: bool = False


@dataclass(frozen=True)
class Started:
    """A worker took the job."""


@dataclass(frozen=True)
class Loading:
    """The worker loads a model first. ``fraction``: how much of it, 0..1, None if unknown. ``fetching``: its
    files are being fetched, once and for all. ``left``: seconds until they are here, None if unknown."""

    model: str
    fraction: float | None = None
    fetching: bool = False
    left: float | None = None


@dataclass(frozen=True)
class Progress:
    """``step`` of ``total`` denoising steps (or captions, labels) done. ``preview``: an encoded small
    picture, or None. ``box``: what of the finished pictures it shows (left, top, right, bottom, px), None =
    all of them. ``text``: all of an answer so far, as whoever watches may read it. ``doing``: what was done
    last, in words, as of a training."""

    step: int
    total: int
    preview: bytes | None = field(default=None, repr=False)
    box: tuple[int, int, int, int] | None = None
    text: str = field(default="", repr=False)
    doing: str = ""


@dataclass(frozen=True)
class Rendered:
    """The pictures are stored; ``Queue.result(job_id)`` returns them. Ends the watch."""


@dataclass(frozen=True)
class Failed:
    """The job ended without a result; ``message`` says why, to the person who asked. Ends the watch."""

    message: str


@dataclass(frozen=True)
class Cancelled:
    """The job was stopped by its author or an admin. Ends the watch."""


@dataclass(frozen=True)
class Paused:
    """The studio shuts down; the job stays queued and continues after the restart. Ends the watch only."""


Event = Queued | Started | Loading | Progress | Rendered | Failed | Cancelled | Paused
TERMINAL = (Rendered, Failed, Cancelled)


@dataclass(frozen=True)
class Picture:
    """An encoded picture. ``seed``: the one it was drawn with, None for a grid or a chart."""

    data: bytes = field(repr=False)
    media_type: str  # "image/png" | "image/webp" | "image/jpeg"
    width: int
    height: int
    seed: int | None = None


@dataclass(frozen=True)
class Video:
    """A video that a worker has written: its files are the worker's until they are taken into the store.

    path: the video, H.264 in MP4. width, height: px. frames at ``fps`` a second. poster: its first frame.
    ends: a file of safetensors with the latents of its first and last frames, from which it can be extended
    without reading its pixels; "" = there are none. sound: it has a sound track.
    """

    path: str
    width: int
    height: int
    frames: int
    fps: float
    poster: Picture
    seed: int | None = None
    ends: str = ""
    sound: bool = False
    media_type: str = "video/mp4"

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.frames / self.fps


@dataclass(frozen=True)
class File:
    """A file that a worker has written into its job's folder, until it is taken into the store.

    name: what it is called when it is given away, such as "boards-v3.zip". path: where it is. media_type: one
    of ``storage.blobs.base.EXTENSIONS``.
    """

    name: str
    path: str
    media_type: str


Ended = Literal["end", "length", "stopped"]


@dataclass(frozen=True)
class ChatAnswer:
    """What a model answered. ended: by itself ("end"), at the most tokens ("length"), or because somebody
    stopped it or the line to a server was cut ("stopped").

    tokens_in: of the whole prompt, history included; tokens_cached of them were still known from an earlier
    turn. pictures: width and height, px, that the model really saw, in the order of the turns. turns_dropped:
    earlier turns that the model had no room for. table, boxes: what ``text`` says, where a form of answer was
    asked for that has them and the model kept to it.
    """

    text: str = field(repr=False)
    ended: Ended = "end"
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    pictures: tuple[tuple[int, int], ...] = ()
    turns_dropped: int = 0
    table: Table | None = None
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True)
class Output:
    """What a capability returns in memory.

    pictures: single pictures in order. grid: the overview (or chart, or boxes on a picture) shown in the
    message. captions: of /describe.
    scores: (label, probability 0..1), best first, of /classify; (word, weight 0..1), in the prompt's order,
    of /shorten.
    answer: of /ask. lines: of /read, in the order of reading; grid is the picture with their boxes.
    videos: of /video, in order; there are no ``pictures`` then.
    files: what else it has written to be taken elsewhere, each under another name.
    learned: of a training. verdicts: of an own model, of each picture that it was asked about.
    parameters: the values really used, diffusers' names, plus "model" (what ``atelier models`` calls it) and
    "notes" (sentences for the user about what could not be honoured).
    """

    pictures: tuple[Picture, ...] = ()
    grid: Picture | None = None
    captions: tuple[str, ...] = ()
    scores: tuple[tuple[str, float], ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict)
    answer: ChatAnswer | None = None
    lines: tuple[TextLine, ...] = ()
    videos: tuple[Video, ...] = ()
    files: tuple[File, ...] = ()
    learned: Learned | None = None
    verdicts: tuple[Verdict, ...] = ()
