"""A job's row as the rest of the program sees it: who asked for what, where, and how far it is."""

import enum
import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime

from core.language import SOURCE
from core.limits import MAX_SEED
from core.requests import Request

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # no l, o, 0, 1: read aloud and typed by people
ID_LENGTH = 12  # 60 bits
NOBODY = 0  # whom rows name whose person's data was deleted, and for what the studio asks by itself
# Bytes, where Discord doesn't say: https://discord.com/developers/docs/reference#uploading-files
DEFAULT_FILE_LIMIT = 10 * 2**20


def new_job_id() -> str:
    """A random id of 12 letters and digits: unguessable, short enough for a custom_id and a person."""
    bits = secrets.randbits(5 * ID_LENGTH)
    return "".join(_ALPHABET[bits >> 5 * place & 31] for place in range(ID_LENGTH))


def new_seed() -> int:
    """Return a random seed, 0 to MAX_SEED."""
    return secrets.randbelow(MAX_SEED + 1)


class Status(enum.StrEnum):
    """How far a job is; ``MOVES`` says how that changes."""

    QUEUED = "queued"
    RUNNING = "running"
    RENDERED = "rendered"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        """No more work for the queue: only delivery, or nothing, remains."""
        return self not in moved_from("cancel")  # what can be stopped still


@dataclass(frozen=True)
class Move:
    """What changes a job's status, and nothing else does. name: of the function of ``storage.jobs``."""

    name: str
    before: tuple[Status, ...]
    after: tuple[Status, ...]
    when: str


MOVES = (
    Move(
        "claim", (Status.QUEUED,), (Status.RUNNING,), "a device takes it; this counts as an attempt, of three"
    ),
    Move(
        "give_back", (Status.RUNNING,), (Status.QUEUED,), "the studio stopped it; the attempt isn't counted"
    ),
    Move(
        "retry",
        (Status.RUNNING,),
        (Status.QUEUED, Status.FAILED),
        "its run broke or was lost; failed after the last attempt",
    ),
    Move(
        "recover",
        (Status.RUNNING,),
        (Status.QUEUED, Status.FAILED),
        "a start finds it cut off; failed at the tenth time",
    ),
    Move(
        "finish",
        (Status.RUNNING,),
        (Status.RENDERED, Status.DELIVERED),
        "it is made; a job of the web is delivered with it",
    ),
    Move("fail", (Status.RUNNING,), (Status.FAILED,), "another try would end the same"),
    Move("cancel", (Status.QUEUED, Status.RUNNING), (Status.CANCELLED,), "its author or an admin stops it"),
    Move("cancel_waiting", (Status.QUEUED,), (Status.CANCELLED,), "an admin clears the queue"),
    Move(
        "deliver",
        (Status.RENDERED,),
        (Status.DELIVERED,),
        "its message is sent",
    ),
    Move(
        "tell",
        (Status.DELIVERED,),
        (Status.RENDERED,),
        "a camera's picture is unusual: a message is posted about this job",
    ),
)


def moved_from(name: str) -> tuple[Status, ...]:
    """Return the statuses that a move of ``MOVES`` begins at."""
    return next(move.before for move in MOVES if move.name == name)


class Lane(enum.StrEnum):
    """Speed classes, best first."""

    TURBO = "turbo"
    FAST = "fast"
    RELAX = "relax"


class Surface(enum.StrEnum):
    """The door that a request came in by. Only Discord's jobs are told of by message."""

    DISCORD = "discord"
    WEB = "web"


@dataclass(frozen=True)
class Origin:
    """Who asked, where, and by which surface. Ids are Discord snowflakes.

    channel_id: 0 where there is no channel (on the web). parent_channel_id: of a thread, because allow lists
    name channels. roles: role ids of the member, for limits by role. Both count on asking only.
    private: only the asker sees the job. away: it was asked where the bot is by the asker's own installation
    alone; then it is private, and guild_id is None. language: of its messages, a code of ``core.language``.
    request_key: chosen by whoever asks; the same key of the same person gives the same job for good.
    press_key: "message:custom_id:user" of a button press; it counts among unfinished jobs only, so that a
    double click is one job and a later press another.
    """

    user_id: int
    channel_id: int
    guild_id: int | None = None
    parent_channel_id: int | None = None
    roles: tuple[int, ...] = ()
    private: bool = False
    surface: Surface = Surface.DISCORD
    request_key: str | None = None
    press_key: str | None = None
    away: bool = False
    language: str = SOURCE


@dataclass(frozen=True)
class Reply:
    """How Discord's answer reaches the asker; only delivery reads it.

    interaction_id/token/application_id: of the interaction that asked, None for a plain message. An
    interaction makes one job at most.
    message_id: the message that shows the job, once it is known (a DM reply has one at once).
    file_limit: bytes per file that the place takes.
    """

    interaction_id: int | None = None
    interaction_token: str | None = field(default=None, repr=False)
    application_id: int | None = None
    message_id: int | None = None
    file_limit: int = DEFAULT_FILE_LIMIT


@dataclass(frozen=True)
class Job:
    """One row. Times are UTC and aware. ``parent_id``/``parent_index``: the picture it was made from (index
    from 0). run_seconds: of the device. worded: its words may be told where it is about to be shown; no row
    says that."""

    id: str
    request: Request
    origin: Origin
    status: Status
    lane: Lane
    created_at: datetime
    parent_id: str | None = None
    parent_index: int | None = None
    attempts: int = 0
    started_at: datetime | None = None
    rendered_at: datetime | None = None
    finished_at: datetime | None = None
    error: str | None = None
    device: str | None = None
    run_seconds: float | None = None
    reply: Reply = Reply()
    worded: bool = True


def trace_ids(job_id: str) -> tuple[int, int]:
    """Return the ids of a job's trace and of its first span."""
    digest = hashlib.sha256(f"atelier job {job_id}".encode()).digest()
    return int.from_bytes(digest[:16]) or 1, int.from_bytes(digest[16:24]) or 1
