"""The messages between the parent process and a worker process, over one duplex pipe. Loads no torch.

Every message is one of the frozen dataclasses below, sent with ``Connection.send``. A worker takes one
``Run`` at a time unless its ``Ready.slots`` says more, and answers each ``Run`` with exactly one of Done,
Stopped or Broke. Questions take no slot and are no sign of life; each is answered by Answered or Declined.

A worker that sends nothing about any of its runs for longer than a step may take is killed; LoadingModel,
sent before a model is loaded, gives it more time. One run may wait for others' steps, for an hour.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from core.events import Output
from core.requests.chat import Form
from core.results import Table, TextLine

LAST_STEP = 3.0  # seconds a running step has to end once its worker is to exit


@dataclass(frozen=True)
class WorkerConfig:
    """How a worker is to run.

    models: role (image, clip, caption, vit, segment, or of photographs) → model, as in the settings.
    cache_dir: the folder for downloads and measurements. image_models, video_models, loras: what members may
    choose, name → model or LoRA. exact: make pictures the same bit for bit, whoever shares a pass.
    ip_adapter: its folder, "" = none. controlnet: a ControlNet for edges, "" = none. tiny_vaes: name of a
    family → decoder of its drafts. compile: "off", "auto" or "on". quantize: "auto", "off", "int8", "fp8" or
    "nf4". video_encoder: of videos, see vision.video.codecs. traces, traces_headers: where spans of runs are
    sent to, "" = nowhere, see core.traces.
    """

    device: str  # "cpu" | "cuda:0" | "mps" | …
    models: dict[str, str]
    cache_dir: str
    dtype: str = "auto"
    offload: str = "auto"
    cpu_threads: int = 0  # 0 = the worker's choice
    allow_download: bool = True
    hf_token: str = field(default="", repr=False)
    log_level: str = "info"
    image_models: dict[str, str] = field(default_factory=dict)
    video_models: dict[str, str] = field(default_factory=dict)
    loras: dict[str, str] = field(default_factory=dict)
    exact: bool = False
    ip_adapter: str = ""
    controlnet: str = ""
    tiny_vaes: dict[str, str] = field(default_factory=dict)
    compile: str = "off"
    quantize: str = "auto"
    video_encoder: str = "auto"
    traces: str = ""
    traces_headers: str = field(default="", repr=False)


# To the worker


@dataclass(frozen=True)
class Turn:
    """A turn of a conversation. pictures: SHA-256 of those that came with it, in order. job_id: of the job
    whose question or answer it is. times: of each picture, the seconds at which it is seen in a video, None =
    no frame; () = none is one. film_seconds: how much of that video was looked at."""

    role: Literal["user", "assistant"]
    text: str = field(repr=False)
    pictures: tuple[str, ...] = ()
    job_id: str = ""
    times: tuple[float | None, ...] = ()
    film_seconds: float = 0.0

    @property
    def timed(self) -> list[tuple[str, float | None]]:
        """Its pictures with their times."""
        return list(zip(self.pictures, self.times or [None] * len(self.pictures), strict=True))

    @property
    def has_video(self) -> bool:
        """Whether any of its pictures is a frame."""
        return any(seconds is not None for seconds in self.times)

    def with_pictures(self, timed: Iterable[tuple[str, float | None]]) -> "Turn":
        """Return the turn with other pictures and their times."""
        pairs = list(timed)
        times = tuple(seconds for _, seconds in pairs)
        kept = times if any(seconds is not None for seconds in times) else ()
        return replace(self, pictures=tuple(sha256 for sha256, _ in pairs), times=kept)


def kept_pictures(turns: Sequence[Turn], most: int) -> int:
    """Return how many of a conversation's newest pictures are shown to a model: ``most``, but all of the
    question, and all since its newest video."""
    last = next((i for i, turn in reversed(list(enumerate(turns))) if turn.has_video), len(turns) - 1)
    return max(most, sum(len(turn.pictures) for turn in turns[last:]))


@dataclass(frozen=True)
class Talk:
    """What a run that answers a question, or tries examples, needs besides its request. turns: of the
    conversation, or examples, oldest first; the last is the question. answer: its form. max_tokens: of the
    answer. context: most tokens of prompt and answer together. max_pixels: of each picture, 0 = the model's
    own. read: the model is told the text in the pictures. most_pictures: that are shown, the latest ones."""

    turns: tuple[Turn, ...]
    answer: Form = "free"
    max_tokens: int = 512
    context: int = 8192
    max_pixels: int = 0
    read: bool = False
    most_pictures: int = 8


@dataclass(frozen=True)
class Taste:
    """By what a run's candidates are chosen. model: of the vectors, as ``fingerprint.named`` calls it.
    direction: among them, little-endian float32; b"" = nothing is chosen. note: what is told of it."""

    model: str = ""
    direction: bytes = field(default=b"", repr=False)
    note: str = ""


@dataclass(frozen=True)
class Run:
    """Asks the worker to do a job. request: JSON of ``core.requests``. paths: SHA-256 → file, for every
    picture or video that the request or ``talk`` names. cost_key: that of jobs which take about as long.

    folder: of a job that makes videos, where it writes them ("" for all others); what is in it when its
    answer comes and isn't named by it is deleted. A job that is tried again finds there what it left.
    token: of its row while it runs, which no other run has.
    traceparent: of the span that this run is part of, as W3C writes it, "" = nobody traces it.
    taste: of a request that names some.
    """

    job_id: str
    kind: str
    request: str = field(repr=False)
    paths: dict[str, str] = field(default_factory=dict)
    talk: Talk | None = None
    folder: str = ""
    cost_key: str = ""
    token: str = field(default="", repr=False)
    traceparent: str = ""
    taste: Taste | None = None


@dataclass(frozen=True)
class Stop:
    """Asks the worker to stop a job between two steps; answered by Stopped, or by Done when it was too late,
    or when there is an answer in words so far (``ChatAnswer.ended`` is "stopped")."""

    job_id: str


@dataclass(frozen=True)
class Forget:
    """Asks the worker to forget these jobs and pictures (SHA-256), and image models (as they are configured)
    that no job uses; there is no answer."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Quit:
    """Asks the worker to exit without finishing anything."""


@dataclass(frozen=True)
class Embed:
    """Asks what texts and pictures show, as vectors of the CLIP model ``model`` (a model as in the settings),
    beside the jobs and in the little time that side work has. paths: of the pictures' files. Answered by the
    vectors of the texts, then of the pictures: float16 of unit length, as bytes."""

    question_id: str
    model: str
    texts: tuple[str, ...] = field(default=(), repr=False)
    paths: tuple[str, ...] = ()


@dataclass(frozen=True)
class Select:
    """Asks which pixels of a picture belong to an object, beside the jobs as ``Embed`` does. path: of the
    picture's file. points: (x, y, 1 = belongs to it, 0 = doesn't), px. box: around it (left, top, right,
    bottom), px. words: what it is. Without these, the worker gets ready for it. Answered by a Selected."""

    question_id: str
    path: str
    points: tuple[tuple[float, float, int], ...] = ()
    box: tuple[float, float, float, float] | None = None
    words: str = field(default="", repr=False)


class Selected(NamedTuple):
    """An object in a picture. by: who found it, "sam", "segment", "cutout" or "clip". score: how sure that
    is, 0..1. box: around it, px. rows: of the mask, whole bytes, the leftmost pixel in the highest bit; may
    be empty. refused: a sentence for the person, where nothing fits. points, words: what can be asked."""

    by: str = ""
    score: float = 0.0
    box: tuple[int, int, int, int] = (0, 0, 0, 0)
    size: tuple[int, int] = (0, 0)
    rows: bytes = b""
    refused: str = ""
    points: bool = False
    words: bool = False


@dataclass(frozen=True)
class Nearest:
    """Asks which vectors of a file are nearest to all of ``wanted``, at once and whatever the jobs do. path:
    of vectors in float32, one after the other. wanted: as Embed answers. places: a bit for each, the lowest
    first, which is set for those that are compared. first: the same, of those that come before all others.
    most: places in the answer, which are Neighbours. clear: leave out of the others what is clearly less
    alike than the best. unrelated: vectors of texts that hardly any picture shows, by which it is judged
    whether any shows what is wanted."""

    question_id: str
    path: str
    wanted: tuple[bytes, ...] = field(repr=False)
    places: bytes = field(repr=False)
    first: bytes = field(repr=False)
    most: int
    clear: bool = False
    unrelated: tuple[bytes, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Check:
    """Asks how pictures and a text stand to rules, beside the jobs as ``Embed`` does. paths: of the pictures'
    files. text: of the message that they came with. Answered by a Checked."""

    question_id: str
    paths: tuple[str, ...] = ()
    text: str = field(default="", repr=False)
    rules: tuple[str, ...] = field(default=(), repr=False)


class Checked(NamedTuple):
    """What was found. texts: in each picture, as ``reader`` read it; unread: why nobody did. chances: 0..1
    that ``model`` finds each rule broken; unjudged: why it wasn't asked."""

    texts: tuple[str, ...] = ()
    reader: str = ""
    unread: str = ""
    model: str = ""
    chances: tuple[float, ...] = ()
    unjudged: str = ""


class Neighbours(NamedTuple):
    """Places of vectors: those that come first, then others, the nearest of each before. none_shows: of the
    others, none is more alike than pictures are to texts that they don't show."""

    first: tuple[int, ...]
    others: tuple[int, ...]
    none_shows: bool = False


@dataclass(frozen=True)
class Measure:
    """Asks what can be told of a picture without a chat model, beside the jobs as ``Embed`` does: its text
    (form "text"), or the numbers of a bar chart ("table"). path: of its file. Answered by a Measured, or by
    nothing where nothing can be told."""

    question_id: str
    path: str
    form: Form


class Measured(NamedTuple):
    """What was measured in a picture. size: width and height, px. reader: of its text."""

    size: tuple[int, int]
    reader: str
    table: Table | None = None
    lines: tuple[TextLine, ...] = ()


@dataclass(frozen=True)
class Choose:
    """Asks the chat model which of up to 26 ``answers`` to a text is right, by its probabilities of their
    letters, beside the jobs as ``Embed`` does. text: without the list. Answered by a Chosen."""

    question_id: str
    text: str = field(repr=False)
    answers: tuple[str, ...] = field(repr=False)


class Chosen(NamedTuple):
    """What a chat model finds. chances: 0..1 of each answer, which add up to 1. agreed: it likes the same
    answer best in either order. tokens: that it took, 0 = not counted."""

    chances: tuple[float, ...]
    agreed: bool = True
    tokens: int = 0


@dataclass(frozen=True)
class Shown:
    """What a taste is learned from. pages: SHA-256 of pictures that were liked, and of those that were passed
    over beside them. vectors: of those pictures, as Embed answers. weight: below 0, less of it. voters: whose
    each page is, by a number, of a taste of several people; () = one person's."""

    pages: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = field(repr=False)
    vectors: Mapping[str, bytes] = field(repr=False)
    weight: float = 1.0
    voters: tuple[int, ...] = ()


@dataclass(frozen=True)
class Learn:
    """Asks what tastes say together, at once and whatever the jobs do. how_well: also, how well the first is
    known. kinds: vectors of words of one kind each, as Embed answers: asks how much truer each word is of
    what was liked, and nothing else. reference: vectors of pictures that show everything, beside which that
    is asked of a taste in which nothing was passed over. Answered by a Learned."""

    question_id: str
    tastes: tuple[Shown, ...] = field(repr=False)
    how_well: bool = False
    kinds: tuple[tuple[bytes, ...], ...] = field(default=(), repr=False)
    reference: tuple[bytes, ...] = field(default=(), repr=False)


class Known(NamedTuple):
    """How rightly pairs of pages are ranked that weren't learned from. low, high: where that lies in 19 of 20
    cases. All are shares of 1."""

    share: float
    low: float
    high: float

    @property
    def is_seen(self) -> bool:
        """Whether it is better than chance for certain: else the vectors don't show what somebody goes by."""
        return self.low > 0.5


class Learned(NamedTuple):
    """What was learned. direction: see ``Taste``. fitted: which tastes. known: None while nobody can tell.
    words: of each taste and kind, how many deviations each word is truer of what was liked; () = unknown."""

    direction: bytes
    fitted: tuple[bool, ...]
    known: Known | None = None
    words: tuple[tuple[tuple[float, ...], ...], ...] = ()


EngineQuestion = Embed | Select | Check | Measure | Choose  # answered between the steps of the jobs
SideQuestion = Nearest | Learn  # answered beside them
Question = EngineQuestion | SideQuestion

# From the worker


@dataclass(frozen=True)
class Answered:
    """Answers a question."""

    question_id: str
    answer: tuple[Any, ...] = field(repr=False)


@dataclass(frozen=True)
class Declined:
    """Says why a question isn't answered: ``reason`` is for the log."""

    question_id: str
    reason: str


@dataclass(frozen=True)
class Ready:
    """Says that imports are done and jobs are welcome; sent again when ``slots`` changes."""

    device: str
    pid: int
    name: str  # of the GPU or processor
    memory: int  # bytes
    slots: int = 1


@dataclass(frozen=True)
class LoadingModel:
    """Says that a model is being fetched, or else read. fraction: 0..1 done, None = unknown. left: seconds
    until it is fetched, None = unknown."""

    job_id: str
    model: str
    fraction: float | None = None
    fetching: bool = False
    left: float | None = None


@dataclass(frozen=True)
class Step:
    """Says that a step is finished: the sign of life that counts. preview: a small JPEG. box: what of the
    finished pictures it shows, None = all. text: all of the answer in words so far. seen: text that was read
    in the pictures of a question, which its rules are to judge with the answer. doing: what was done last, in
    words, as of a training."""

    job_id: str
    step: int
    total: int
    preview: bytes | None = field(default=None, repr=False)
    box: tuple[int, int, int, int] | None = None
    text: str = field(default="", repr=False)
    seen: str = field(default="", repr=False)
    doing: str = ""


@dataclass(frozen=True)
class Done:
    """Answers a run that succeeded."""

    job_id: str
    output: Output


@dataclass(frozen=True)
class Stopped:
    """Answers a run that was stopped."""

    job_id: str


class Fault(StrEnum):
    """Why a run broke, and what the parent does about it."""

    USER = "user"  # the request can't be honoured: tell the person, don't retry
    MODEL = "model"  # the model is missing or corrupt: tell, don't retry
    MEMORY = "memory"  # out of memory, also after the worker's own smaller retry: fail
    ERROR = "error"  # unexpected exception: retry up to the limit
    PROCESS = "process"  # the process is poisoned (sticky CUDA error): replace it, retry


@dataclass(frozen=True)
class Broke:
    """Answers a run that failed. message: a plain sentence for the person who asked, without paths or
    traceback; the log has the rest. later: the model's files can't be had at the moment, so that the run is
    to be tried again in a while; that is no attempt."""

    job_id: str
    fault: Fault
    message: str
    later: bool = False
