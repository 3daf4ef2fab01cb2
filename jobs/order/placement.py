"""Which waiting job goes to which device: models that are loaded there, and jobs that must be alone."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from jobs.order.fairness import Takes, Waiting
from jobs.order.waitlist import Waitlist

NOBODY: Mapping[int, int] = MappingProxyType({})


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
        self._clearing: tuple[str, str] | None = (
            None  # a job that must be alone, and the device that takes nothing else until then
        )

    def note_start(self, device: str, job: Waiting) -> None:
        """Note that ``job`` has started on ``device``."""
        self._loaded[device] = job.model
        if self._clearing is not None and self._clearing[0] == job.job_id:
            self._clearing = None

    def note_loss(self, device: str) -> None:
        """Note that the worker of ``device`` died: nothing is loaded there any more."""
        self._loaded.pop(device, None)

    def choose(
        self, rooms: Mapping[str, Room], running: Mapping[int, int], now: float, fits: Takes | None = None
    ) -> tuple[str, Waiting] | None:
        """Return the next job and its device, or None. A device is cleared for a job that must be alone; the
        others go on meanwhile. fits: whether a job may start at all now, None = any."""
        own = frozenset(room.only for room in rooms.values() if room.only)
        if not own:
            return self._choose(rooms, running, now, fits)
        for name, room in rooms.items():
            if room.only and room.free > 0 and self._waitlist.wants(room.only):
                job = self._waitlist.next(room.people, None, now, takes=_both(_those_of(room.only), fits))
                if job is not None:
                    return name, job
        takes = _both(_others(own), fits)
        return self._choose({n: r for n, r in rooms.items() if not r.only}, running, now, takes)

    def _choose(
        self, rooms: Mapping[str, Room], running: Mapping[int, int], now: float, takes: Takes | None
    ) -> tuple[str, Waiting] | None:
        while True:
            free = {name: room.running for name, room in rooms.items() if room.free > 0}
            cleared = self._cleared_for(rooms, running, takes)
            if cleared is not None:
                job, device = cleared
                if free.pop(device, None) == 0:
                    return device, job
            if not free:
                return None
            first = self._waitlist.next(running, None, now, takes=takes)
            if first is None or not first.alone or 0 in free.values():
                break
            if cleared is not None:
                first = self._waitlist.next(running, None, now, alone=False, takes=takes)
                break
            self._clearing = (first.job_id, min(free, key=free.__getitem__))  # and look again
        if first is None:
            return None
        device = self._best(free, first)
        loaded, alone = self._loaded.get(device), free[device] == 0
        chosen = self._waitlist.next(running, loaded, now, alone=alone, takes=takes)
        return None if chosen is None else (device, chosen)

    def _cleared_for(
        self, rooms: Mapping[str, Room], running: Mapping[int, int], takes: Takes | None
    ) -> tuple[Waiting, str] | None:
        """The job for which a device is being cleared, while it may start there."""
        if self._clearing is not None:
            job, device = self._waitlist.get(self._clearing[0]), self._clearing[1]
            may_run = job is not None and running.get(job.user_id, 0) < job.max_running
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


def _those_of(role: str) -> Takes:
    return lambda job: job.model == role


def _others(roles: frozenset[str]) -> Takes | None:
    return (lambda job: job.model not in roles) if roles else None


def _both(first: Takes | None, second: Takes | None) -> Takes | None:
    if first is None or second is None:
        return first or second
    return lambda job: first(job) and second(job)
