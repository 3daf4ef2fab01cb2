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
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from bus.messages import Message
from core.events import Output
from jobs.executor import Device, Lost
from vision.protocol import (
    Broke,
    Check,
    Checked,
    Embed,
    LoadingModel,
    Measure,
    Measured,
    Select,
    Selected,
    Step,
    Stopped,
    Talk,
)

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
    kind, traceparent: as in ``Run``. folder: the job writes files; the names of those that lie there at the
    start, with their bytes. digest: of all that it starts from. instance: of the agent's process that is
    meant, "" = any."""

    bot: Token
    token: Token
    job_id: JobId
    device: str
    kind: str
    request: str
    files: Wanted
    digest: str
    cost_key: str = ""
    talk: Talk | None = None
    folder: dict[FileName, Sha256] | None = None
    traceparent: str = ""
    instance: str = ""


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
    step: Step | None = None
    loading: LoadingModel | None = None


class Final(Message, frozen=True):
    """How a run has ended: one of the four. sent: of a Done's pictures in their order (posters of films
    behind the grid), then of its files, the SHA-256 of those that were put before, "" for those whose bytes
    stand in it."""

    token: Token
    job_id: JobId
    done: Output | None = None
    stopped: Stopped | None = None
    broke: Broke | None = None
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
    """A question beside the jobs: one of the four, whose paths are names of ``files``."""

    token: Token
    files: Wanted
    embed: Embed | None = None
    select: Select | None = None
    check: Check | None = None
    measure: Measure | None = None


class Reply(Message, frozen=True):
    """Answers an Ask: with what was asked for, or why not."""

    declined: str | None = None
    vectors: tuple[bytes, ...] | None = None
    selected: Selected | None = None
    checked: Checked | None = None
    measured: tuple[Measured, ...] | None = None
