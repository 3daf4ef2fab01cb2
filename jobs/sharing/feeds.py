"""Feeds whose events are told to other programs too."""

from __future__ import annotations

from collections.abc import Callable

from core.events import Event
from core.telemetry.tracing import UNTRACED, Tracing
from jobs.feed import Feed, Feeds


class ToldFeed(Feed):
    """A feed. ``tell``: called at each event that isn't of another program."""

    def __init__(self, user_id: int, next_point: Callable[[], int], tell: Callable[[], None]) -> None:
        super().__init__(user_id, next_point)
        self._tell = tell

    def publish(self, event: Event) -> None:
        """Make ``event`` the latest, and tell of it."""
        super().publish(event)
        self._tell()

    def hear(self, event: Event) -> None:
        """Make an event that was told by another program the latest."""
        super().publish(event)


class ToldFeeds(Feeds):
    """Feeds of one of several programs. ``tell``: called with a job that something has happened to. ``end``:
    with one that is over. ``leads``: whether this program counts and traces the ends of jobs."""

    def __init__(
        self,
        tell: Callable[[str], None],
        over: Callable[[str], None],
        leads: Callable[[], bool],
        tracing: Tracing = UNTRACED,
    ) -> None:
        super().__init__(tracing)
        self._tell, self._over, self._leads = tell, over, leads

    def count(self, job_id: str, event: Event) -> None:
        """Count the end of a job, if one of the programs shall: the leader."""
        if self._leads():
            super().count(job_id, event)
        else:
            self._tracing.forget(job_id)

    def make(self, job_id: str, user_id: int) -> Feed:
        """Return a job's new feed."""
        return ToldFeed(user_id, self._next_point, lambda: self._tell(job_id))

    def end(self, job_id: str, event: Event) -> None:
        """Tell the watchers and the other programs the last event, and let the feed go."""
        known = job_id in self
        super().end(job_id, event)
        if known:
            self._over(job_id)
