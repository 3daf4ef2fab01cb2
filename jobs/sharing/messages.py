"""The messages of programs that share a queue."""

from __future__ import annotations

from bus.messages import Message
from core.events import Event, Loading, Progress, Queued, Started
from jobs.executor import Device


class Jobs(Message, frozen=True):
    """Names some jobs."""

    ids: list[str]


class Look(Message, frozen=True):
    """Something is in the rows that the leader will want to know."""


class Placed(Message, frozen=True):
    """Where a job waits, None = it doesn't, or not yet."""

    queued: Queued | None = None


class Answered(Message, frozen=True):
    """Whether it was done."""

    yes: bool


class AskView(Message, frozen=True):
    """Asks how the queue stands, for its first ``limit`` waiting jobs: of a guild, or of one user."""

    limit: int
    guild_id: int | None = None
    user_id: int | None = None


class Waits(Message, frozen=True):
    """A waiting job."""

    id: str
    position: int
    eta: float | None = None


class Runs(Message, frozen=True):
    """A running job. eta: seconds until it ends."""

    id: str
    eta: float | None = None
    progress: Progress | None = None
    device: str | None = None


class View(Message, frozen=True):
    """How the queue stands."""

    total: int
    waiting: list[Waits]
    running: list[Runs]
    devices: list[Device]


class Told(Message, frozen=True):
    """An event of a job; none of these = it is over, and its row says how."""

    queued: Queued | None = None
    started: Started | None = None
    loading: Loading | None = None
    progress: Progress | None = None

    @classmethod
    def of(cls, event: Event) -> Told:
        """Return what tells of an event."""
        match event:
            case Queued():
                return cls(queued=event)
            case Started():
                return cls(started=event)
            case Loading():
                return cls(loading=event)
            case Progress():
                return cls(progress=event)
        return cls()

    @property
    def event(self) -> Event | None:
        """The event, None for an end."""
        return self.queued or self.started or self.loading or self.progress
