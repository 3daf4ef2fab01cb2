"""What bot and agents say to each other over the bus, and under which subjects.

An agent is the local executor of another machine, its host. A run has a token, which its job's row has too:
only the bot that claimed the job and the agent that has it know it. Files go by their SHA-256.

| subject | from | what |
|---|---|---|
| ``beat.<host>`` | agent | Beat, each second and at each change |
| ``run.<host>`` | bot | Order, answered by Taken |
| ``stop.<host>`` | bot | StopRun |
| ``hold.<host>`` | bot | Hold, every other second: what isn't named in any for a minute is stopped |
| ``ask.<host>`` | bot | Ask, answered by Reply |
| ``forget`` | bot | ForgetAll |
| ``job.<job>`` | agent | News |
| ``done.<host>`` | agent | Final, answered by Heard; said again until the bot has written it down |
| ``file.<host>`` | agent | Fetch, answered by Piece |
| ``put.<host>`` | agent | Put, answered by Stored |

Of a run's signs of life at most four steps a second are said, and every preview. What of a result is too
large for one message goes in parts before it, by its SHA-256."""

import asyncio
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import Annotated, Any, Literal

from msgspec import Meta

from core.errors import WireError
from core.events import Output, Picture
from jobs.cluster.nats import Message
from jobs.executors.base import Device, Lost
from vision import protocol as worker
from vision.weights import files

CHUNK = 512 * 2**10  # bytes of a file in one message
EVENT_MOST = 2 * 2**20  # bytes of News
BEAT_MOST = 512 * 2**10
SMALL = 64 * 2**10
NAME = r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z"

Token = Annotated[str, Meta(pattern=r"\A[0-9a-f]{16,64}\Z")]
Sha256 = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
JobId = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{1,64}\Z")]
FileName = Annotated[str, Meta(pattern=NAME)]
Extension = Annotated[str, Meta(pattern=r"\A[a-z0-9]{1,16}\Z")]
Size = Annotated[int, Meta(ge=0, le=2**40)]
Wanted = dict[Sha256, Extension]  # files, with what their names end in


class Holding(Message, frozen=True):
    """A run that an agent has. digest: of its order. over: it has ended, and its answer is being told."""

    job_id: JobId
    token: Token
    device: str
    digest: str
    step: int = 0
    total: int = 0
    over: bool = False


class Beat(Message, frozen=True):
    """An agent lives. instance: of its process. models: digest of what it draws with. release: of the
    program. clock: seconds since 1970. draining: it takes no more runs."""

    instance: Token
    devices: tuple[Device, ...]
    runs: tuple[Holding, ...]
    models: str
    release: str
    clock: float
    draining: bool = False


class Order(Message, frozen=True):
    """Do a job. bot: the process of the bot that asks. device: one of the host's. request, talk, cost_key,
    kind, traceparent, taste: as in ``Run``. folder: the job writes files; the names of those that lie there
    at the start, with their bytes. digest: of all that it starts from. instance: of the agent's process that
    is meant, "" = any."""

    bot: Token
    token: Token
    job_id: JobId
    device: str
    kind: str
    request: str
    files: Wanted
    digest: str
    cost_key: str = ""
    talk: worker.Talk | None = None
    folder: dict[FileName, Sha256] | None = None
    traceparent: str = ""
    instance: str = ""
    taste: worker.Taste | None = None


class Taken(Message, frozen=True):
    """Answers an Order. reason: why it isn't taken."""

    ok: bool
    reason: str = ""


class StopRun(Message, frozen=True):
    """Stop a run between two steps."""

    token: Token


class Hold(Message, frozen=True):
    """The runs of an agent that a bot waits for, and those of them that are to stop."""

    bot: Token
    tokens: tuple[Token, ...]
    stopping: tuple[Token, ...] = ()


class ForgetAll(Message, frozen=True):
    """Give up whatever is kept of these jobs and pictures."""

    names: tuple[str, ...]


class News(Message, frozen=True):
    """A sign of life of a run."""

    token: Token
    step: worker.Step | None = None
    loading: worker.LoadingModel | None = None


class Final(Message, frozen=True):
    """How a run has ended: one of the four. sent: of a Done's pictures in their order (posters of videos
    behind the grid), then of its files, the SHA-256 of those that were put before, "" for those whose bytes
    stand in it."""

    token: Token
    job_id: JobId
    done: Output | None = None
    stopped: worker.Stopped | None = None
    broke: worker.Broke | None = None
    lost: Lost | None = None
    sent: tuple[str, ...] = ()


class Heard(Message, frozen=True):
    """Answers a Final. kept: ``bot`` has it, and will write it down. gone: nobody wants it."""

    what: Literal["kept", "gone"]
    bot: str = ""


class Fetch(Message, frozen=True):
    """Ask for a part of a file that a run or a question was handed out with."""

    token: Token
    sha256: Sha256
    offset: Size


class Piece(Message, frozen=True):
    """A part of a file. size: of the whole; -1 = there is no such file."""

    size: int
    data: bytes = b""


class Put(Message, frozen=True):
    """Hand over a part of a file that a run has made. size: of the whole."""

    token: Token
    sha256: Sha256
    size: Size
    offset: Size
    data: bytes


class Stored(Message, frozen=True):
    """Answers a Put. next: how much of the file is there; -1 = the run is nobody's any more."""

    next: int


class Ask(Message, frozen=True):
    """A question beside the jobs: one of the five, whose paths are names of ``files``."""

    token: Token
    files: Wanted
    embed: worker.Embed | None = None
    select: worker.Select | None = None
    check: worker.Check | None = None
    measure: worker.Measure | None = None
    choose: worker.Choose | None = None


class Reply(Message, frozen=True):
    """Answers an Ask: with what was asked for, or why not."""

    declined: str | None = None
    vectors: tuple[bytes, ...] | None = None
    selected: worker.Selected | None = None
    checked: worker.Checked | None = None
    measured: tuple[worker.Measured, ...] | None = None
    chosen: worker.Chosen | None = None


CLIP = "@clip"  # the model of vectors that both ends have, wherever it lies
FIELDS = {  # a question's in Ask, its answer's in Reply
    worker.Embed: ("embed", "vectors"),
    worker.Select: ("select", "selected"),
    worker.Check: ("check", "checked"),
    worker.Measure: ("measure", "measured"),
    worker.Choose: ("choose", "chosen"),
}
_SHA256 = re.compile(r"[0-9a-f]{64}")


def paths_of(question: worker.Question) -> tuple[str, ...]:
    """Return the paths of the files that a question is about."""
    match question:
        case worker.Choose() | worker.Learn():
            return ()
        case worker.Embed() | worker.Check():
            return question.paths
    return (question.path,)


def with_paths(question: worker.Question, paths: Mapping[str, str]) -> worker.Question:
    """Return a question about the files that ``paths`` has in the place of its own."""
    if isinstance(question, worker.Choose | worker.Learn):
        return question
    if isinstance(question, worker.Embed | worker.Check):
        return replace(question, paths=tuple(paths[path] for path in question.paths))
    return replace(question, path=paths[question.path])


async def hash_files(paths: Sequence[str]) -> dict[str, str]:
    """Return the SHA-256 of each file, by path. What lies in a store is called so. Raises OSError."""
    names = {path: Path(path).stem for path in paths}
    for path, name in names.items():
        if not _SHA256.fullmatch(name):
            names[path], _ = await asyncio.to_thread(hash_file, Path(path))
    return names


def files_with_endings(paths: Mapping[str, str]) -> Wanted:
    """Return what the files of these paths end in, by SHA-256."""
    return {sha256: Path(path).suffix[1:].lower() or "png" for sha256, path in paths.items()}


def ask_of(token: str, question: worker.Question, names: Mapping[str, str], clip: str) -> Ask:
    """Return a question as a message. names: SHA-256 of its files, by path. clip: the model of vectors as it
    is called here. Raises WireError for a question that no other machine can answer."""
    if type(question) not in FIELDS:
        raise WireError("vectors are compared where their file is")
    sent = with_paths(question, names)
    if isinstance(sent, worker.Embed) and clip and sent.model == clip:
        sent = replace(sent, model=CLIP)
    asked: dict[str, Any] = {FIELDS[type(sent)][0]: sent}
    return Ask(token, files_with_endings({sha256: path for path, sha256 in names.items()}), **asked)


def reply_of(question: worker.Question, answer: worker.Answered | worker.Declined) -> Reply:
    """Return an answer as a message."""
    if isinstance(answer, worker.Declined):
        return Reply(declined=answer.reason)
    told: dict[str, Any] = {FIELDS[type(question)][1]: answer.answer}
    return Reply(**told)


def answer_of(question: worker.Question, reply: Reply) -> worker.Answered | worker.Declined:
    """Return what a message says in answer to a question."""
    found = getattr(reply, FIELDS[type(question)][1])
    if found is None:
        return worker.Declined(question.question_id, reply.declined or "the answer is of another kind")
    return worker.Answered(question.question_id, found)


EVERY = 0.25  # seconds between two steps that show nothing new


class StepReports:
    """Passes on the newest of a run's steps that come close together. tell: sends it. drawn: steps so far."""

    def __init__(self, token: str, tell: Callable[[News], None]) -> None:
        self._token, self._tell = token, tell
        self._kept: worker.Step | None = None
        self._later: asyncio.TimerHandle | None = None
        self._told_at = float("-inf")
        self.step = self.total = self.drawn = 0

    def __call__(self, message: worker.LoadingModel | worker.Step) -> None:
        if isinstance(message, worker.LoadingModel):
            self.flush()
            self._tell(News(self._token, loading=message))
            return
        if message.seen:  # which is judged, and no step
            self._tell(News(self._token, step=message))
            return
        self.drawn += 1
        self.step, self.total, self._kept = message.step, message.total, message
        wait = self._told_at + EVERY - monotonic()
        if message.preview is not None or wait <= 0:
            self.flush()
        elif self._later is None:
            self._later = asyncio.get_running_loop().call_later(wait, self.flush)

    def flush(self) -> None:
        """Send the newest step, if it wasn't sent."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._kept is not None:
            step, self._kept, self._told_at = self._kept, None, monotonic()
            self._tell(News(self._token, step=step))


INLINE = 6 * 2**20  # bytes of pictures that a message may hold itself


@dataclass(frozen=True)
class Made:
    """Something that is put before its answer: bytes in memory, or a file. size: bytes."""

    sha256: str
    size: int
    data: bytes = b""
    path: str = ""


def taken_apart(output: Output, inline: int = INLINE) -> tuple[Output, tuple[str, ...], list[Made]]:
    """Return an output for a message of about ``inline`` bytes, what it refers to by SHA-256 (see ``Final``),
    and what has to be put before it. Reads files, so it blocks. Raises OSError."""
    pictures, paths = list(output_pictures(output)), list(_paths(output))
    small = set[int]()
    for index in sorted(range(len(pictures)), key=lambda index: len(pictures[index].data)):
        inline -= len(pictures[index].data)
        if inline >= 0:
            small.add(index)
    made = list[Made]()
    sent = list[str]()
    for index, picture in enumerate(pictures):
        if index in small:
            sent.append("")
            continue
        sha256 = hashlib.sha256(picture.data).hexdigest()
        made.append(Made(sha256, len(picture.data), picture.data))
        sent.append(sha256)
        pictures[index] = replace(picture, data=b"")
    for name in paths:
        sha256, size = hash_file(Path(name))
        made.append(Made(sha256, size, path=name))
        sent.append(sha256)
    return _with(output, pictures, [Path(name).name for name in paths]), tuple(sent), made


def put_together(
    output: Output, sent: Sequence[str], read: Callable[[str], bytes], take: Callable[[str, str], str]
) -> Output:
    """Return the output that ``taken_apart`` took apart. read: the bytes that were put for a SHA-256. take:
    SHA-256 and a file's name to the path where that file is then. Raises WireError when ``sent`` doesn't fit,
    and what both raise."""
    pictures, paths = list(output_pictures(output)), list(_paths(output))
    if len(sent) != len(pictures) + len(paths):
        raise WireError(f"{len(sent)} parts are named for {len(pictures)} pictures and {len(paths)} files")
    for index, (picture, sha256) in enumerate(zip(pictures, sent, strict=False)):
        if sha256:
            pictures[index] = replace(picture, data=read(sha256))
    names = zip(paths, sent[len(pictures) :], strict=True)
    return _with(output, pictures, [take(sha256, name) for name, sha256 in names])


def hash_file(path: Path) -> tuple[str, int]:
    """Return the SHA-256 of a file and its size in bytes. Raises OSError."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return digest, file.tell()


def output_pictures(output: Output) -> Iterator[Picture]:
    """Yield the pictures of an output: its own, the grid, the posters of videos."""
    yield from output.pictures
    if output.grid is not None:
        yield output.grid
    yield from (video.poster for video in output.videos)


def _paths(output: Output) -> Iterator[str]:
    for video in output.videos:
        yield video.path
        if video.ends:
            yield video.ends
    yield from (file.path for file in output.files)
    if output.learned is not None:
        yield output.learned.path


def _with(output: Output, pictures: Sequence[Picture], paths: Sequence[str]) -> Output:
    """Return the output with other pictures and paths, in the order in which they are told above."""
    picture, path = iter(pictures), iter(paths)
    own = tuple(next(picture) for _ in output.pictures)
    grid = next(picture) if output.grid is not None else None
    videos = tuple(
        replace(video, poster=next(picture), path=next(path), ends=next(path) if video.ends else "")
        for video in output.videos
    )
    files = tuple(replace(file, path=next(path)) for file in output.files)
    learned = None if output.learned is None else replace(output.learned, path=next(path))
    return replace(output, pictures=own, grid=grid, videos=videos, files=files, learned=learned)


@dataclass(frozen=True)
class Timing:
    """Seconds. beat: between two signs of an agent's life; soonest: after a change. hold: between two of a
    bot's. silent: after which a host without any is given up. lease: that a run goes on without a bot. kept:
    that the end of one is. again: between two tries to tell it. look: between two looks at the clock.
    last_words: for the ends that are told when an agent stops."""

    beat: float = 1.0
    soonest: float = 0.05
    hold: float = 2.0
    silent: float = 3.2
    lease: float = 60.0
    kept: float = 600.0
    again: float = 2.0
    look: float = 0.5
    last_words: float = 5.0
    back: float = 2.0  # more than ``silent`` for all hosts, once the bus is there again


@dataclass
class RunLease:
    """Who waits for a run. Times are monotonic seconds."""

    timing: Timing
    renewed_at: float = field(default_factory=monotonic)
    told: str = ""  # the bot that has its end
    unnamed: bool = False  # that bot has written it down since, or doesn't want it
    told_at: float = 0.0

    def renew(self) -> None:
        """A bot has named it."""
        self.renewed_at = monotonic()

    def note_told(self, bot: str) -> None:
        """A bot has its end now, and will write it down."""
        self.told, self.unnamed, self.told_at = bot, False, monotonic()

    def note_bot(self, bot: str) -> None:
        """Another bot is heard: whoever had the end may not have written it down."""
        if bot != self.told:
            self.told = ""

    def note_unnamed(self, bot: str) -> None:
        """A bot waits for others, and not for this one."""
        if self.told == bot:
            self.unnamed = True

    @property
    def is_out(self) -> bool:
        """Whether nobody has named it for as long as it goes on."""
        return monotonic() - self.renewed_at > self.timing.lease

    @property
    def is_forgotten(self) -> bool:
        """Whether nobody has named it for as long as its end is kept."""
        return monotonic() - self.renewed_at > self.timing.kept


def models_digest(config: worker.WorkerConfig) -> str:
    """Return what is equal on machines that answer a job alike. Folders may lie elsewhere: their weights
    count. Reads the ends of files of weights, so it blocks."""

    def name(spec: str) -> str:  # a hub's model as it is, what lies on the disk by its weights
        name = files.named_by(spec) if spec else ""
        return name.rpartition("#")[2] if "#" in name else name

    def all_of(models: dict[str, str]) -> dict[str, str]:
        return {role: name(spec) for role, spec in models.items()}

    named = {
        "models": all_of(config.models),
        "image": all_of(config.image_models),
        "video": all_of(config.video_models),
        "loras": all_of(config.loras),
        "decoders": all_of(config.tiny_vaes),
        "adapter": name(config.ip_adapter),
        "control": name(config.controlnet),
        "encoder": config.video_encoder,
        "exact": config.exact,
    }
    return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:16]
