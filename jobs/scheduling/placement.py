"""Which waiting job goes to which device: models that are loaded there, and jobs that must be alone."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from jobs.executors.base import host_of
from jobs.scheduling.fairness import Takes, Waiting
from jobs.scheduling.waitlist import Waitlist

NOBODY: Mapping[int, int] = MappingProxyType({})
CLEARED_WITHIN = 60.0  # seconds that a device takes nothing else for the sake of a job that must be alone
REFUSAL_PAUSES = (0.5, 3.0, 15.0, 30.0)  # seconds until a machine gets a job again that it couldn't begin
BROKEN_AFTER = 3  # jobs in a row that a machine couldn't begin; then it gets none for a while
BROKEN_PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)  # seconds


class Room(NamedTuple):
    """A device that works: its free slots, the jobs that are on it, and the role whose jobs alone it takes
    (empty = any that no device has for itself). people: how many of those each person has there."""

    free: int
    running: int
    only: str = ""
    people: Mapping[int, int] = NOBODY


class Placement:
    """Devices are told apart by name. ``rooms``: every device that works; ``running``: user → jobs on
    devices."""

    def __init__(self, waitlist: Waitlist) -> None:
        self._waitlist = waitlist
        self._loaded: dict[str, str] = {}  # device → model of its latest job
        # a job that must be alone, the device that takes nothing else until then, and since when
        self._clearing: tuple[str, str, float] | None = None
        self._refused_until = 0.0  # monotonic seconds; by then every job may go anywhere
        self._broken: dict[str, tuple[int, float]] = {}  # machine → jobs refused in a row, no more until

    @property
    def clearing_since(self) -> float | None:
        """Since when a device is being cleared, monotonic seconds; None while none is."""
        return None if self._clearing is None else self._clearing[2]

    def note_start(self, device: str, job: Waiting) -> None:
        """Note that ``job`` has started on ``device``."""
        self._loaded[device] = job.model
        if self._clearing is not None and self._clearing[0] == job.job_id:
            self._clearing = None

    def note_refusal(self, device: str, job: Waiting, now: float) -> tuple[int, float]:
        """Note that the machine of ``device`` couldn't begin ``job``: it gets that again after a pause,
        longer each time, and once it has refused several in a row, nothing meanwhile. Return how often it
        has refused this one, and the pause in seconds."""
        host = host_of(device)
        count = job.refusals.get(host, (0, 0.0))[0] + 1
        pause = REFUSAL_PAUSES[min(count, len(REFUSAL_PAUSES)) - 1]
        job.refusals[host] = count, now + pause
        self._refused_until = max(self._refused_until, now + pause)
        in_a_row = self._broken.get(host, (0, 0.0))[0] + 1
        rest = in_a_row - BROKEN_AFTER
        until = now + BROKEN_PAUSES[min(rest, len(BROKEN_PAUSES) - 1)] if rest >= 0 else 0.0
        self._broken[host] = in_a_row, until
        return count, max(pause, until - now)

    def note_begun(self, device: str) -> None:
        """Note that the machine of ``device`` has begun a job."""
        self._broken.pop(host_of(device), None)

    def note_loss(self, device: str) -> None:
        """Note that the worker of ``device`` died: nothing is loaded there any more."""
        self._loaded.pop(device, None)

    def choose(
        self, rooms: Mapping[str, Room], running: Mapping[int, int], now: float, fits: Takes | None = None
    ) -> tuple[str, Waiting] | None:
        """Return the next job and its device, or None. A device is cleared for a job that must be alone; the
        others go on meanwhile. fits: whether a job may start at all now, None = any."""
        own = frozenset(room.only for room in rooms.values() if room.only)
        if self._broken:
            rooms = {n: r for n, r in rooms.items() if self._broken.get(host_of(n), (0, 0.0))[1] <= now}
        if not own:
            return self._choose(rooms, running, now, fits)
        for name, room in rooms.items():
            if room.only and room.free > 0 and self._waitlist.wants(room.only):
                wanted = _both(_those_of(room.only), _not_refused({name: 0}, now))
                job = self._waitlist.next(room.people, None, now, takes=_both(wanted, fits))
                if job is not None:
                    return name, job
        takes = _both(lambda job: job.model not in own, fits)
        return self._choose({n: r for n, r in rooms.items() if not r.only}, running, now, takes)

    def _choose(
        self, rooms: Mapping[str, Room], running: Mapping[int, int], now: float, takes: Takes | None
    ) -> tuple[str, Waiting] | None:
        refusing = now < self._refused_until
        while True:
            free = {name: room.running for name, room in rooms.items() if room.free > 0}
            cleared = self._cleared_for(rooms, running, now, takes)
            if cleared is not None:
                job, device = cleared
                if free.pop(device, None) == 0:
                    return device, job
            if not free:
                return None
            welcome = _both(takes, _not_refused(free, now)) if refusing else takes
            first = self._waitlist.next(running, None, now, takes=welcome)
            if first is None:
                return None
            theirs = _willing(free, first, now)
            if not first.alone or 0 in theirs.values():
                break
            if cleared is not None:
                first = self._waitlist.next(running, None, now, takes=_both(welcome, _has_room(free, now)))
                if first is None:
                    return None
                theirs = _willing(free, first, now)
                break
            self._clearing = (first.job_id, min(theirs, key=theirs.__getitem__), now)  # and look again
        device = self._best(theirs, first)
        loaded, alone = self._loaded.get(device), free[device] == 0
        if refusing:
            takes = _both(takes, _not_refused({device: 0}, now))
        chosen = self._waitlist.next(running, loaded, now, alone=alone, takes=takes)
        return None if chosen is None else (device, chosen)

    def _cleared_for(
        self, rooms: Mapping[str, Room], running: Mapping[int, int], now: float, takes: Takes | None
    ) -> tuple[Waiting, str] | None:
        """The job for which a device is being cleared, while it may start there. What runs there may take
        hours: after CLEARED_WITHIN it shares the device."""
        if self._clearing is not None:
            job_id, device, since = self._clearing
            job = self._waitlist.get(job_id)
            may_run = job is not None and running.get(job.user_id, 0) < job.max_running
            if job is not None and now - since >= CLEARED_WITHIN:
                job.be_alone(wanted=False)
                may_run = False
            if job is not None and may_run and device in rooms and (takes is None or takes(job)):
                return job, device
            self._clearing = None
        return None

    def _best(self, free: Mapping[str, int], job: Waiting) -> str:
        """Where no other model has to go, then where the least is going on, then where the model is
        loaded."""
        best, found, model = (True, sys.maxsize, True), "", job.model
        for name, count in free.items():
            if job.alone and count:
                continue
            loaded = self._loaded.get(name)
            key = (loaded is not None and loaded != model, count, loaded != model)
            if not found or key < best:
                best, found = key, name
                if key == (False, 0, False):  # nothing is better
                    break
        return found


def _willing(free: Mapping[str, int], job: Waiting, now: float) -> Mapping[str, int]:
    """Return those devices whose machines haven't refused the job just now."""
    if not job.refusals:
        return free
    return {n: count for n, count in free.items() if job.refusals.get(host_of(n), (0, 0.0))[1] <= now}


def _not_refused(free: Mapping[str, int], now: float) -> Takes:
    return lambda job: bool(_willing(free, job, now))


def _has_room(free: Mapping[str, int], now: float) -> Takes:
    return lambda job: not job.alone or 0 in _willing(free, job, now).values()


def _those_of(role: str) -> Takes:
    return lambda job: job.model == role


def _both(first: Takes | None, second: Takes | None) -> Takes | None:
    if first is None or second is None:
        return first or second
    return lambda job: first(job) and second(job)
