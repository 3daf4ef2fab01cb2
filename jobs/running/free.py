"""What the next job may take: the slots of devices that work, and how much its member has running. Looked at
once for all the jobs that are chosen in a moment: with a thousand machines a look takes milliseconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from jobs.active import ActiveJob
from jobs.executor import Executor
from jobs.films import is_film
from jobs.limits import Limits, films_fit
from jobs.order.fairness import Takes, Waiting
from jobs.order.placement import NOBODY, Room
from jobs.running.claiming import Claim


class Free:
    """busy: the jobs that take a slot and their member's share; those that aren't handed over yet are counted
    on their devices here."""

    def __init__(self, executor: Executor, busy: Sequence[ActiveJob | Claim], limits: Limits) -> None:
        self._limits = limits
        starting = Counter(live.device for live in busy if not live.handed)
        alone = {live.device for live in busy if live.waiting.alone}
        free, own = executor.free(), set[str]()
        self.rooms: dict[str, Room] = {}
        for device in executor.devices:
            if device.only:
                own.add(device.name)
            if device.state != "ready":
                continue
            name, role, people = device.name, device.only, NOBODY
            slots, begun = free.get(name, 0), starting.get(name, 0)
            if role:
                people = Counter(live.waiting.user_id for live in busy if live.device == name)
            elif name in alone:
                slots = 0
            self.rooms[name] = Room(slots - begun, device.running + begun, role, people)
        self.users = Counter(live.waiting.user_id for live in busy if live.device not in own)
        self._filming = Counter(_filming(live.waiting for live in busy))
        self.fits: Takes | None = films_fit(limits, self._filming) if self._filming else None

    def take(self, device: str, job: Waiting) -> None:
        """Count a job that has just been chosen for a device."""
        room = self.rooms[device]
        if room.only:
            people = Counter(room.people)
            people[job.user_id] += 1
            self.rooms[device] = room._replace(free=room.free - 1, running=room.running + 1, people=people)
        else:
            free = 0 if job.alone else room.free - 1
            self.rooms[device] = room._replace(free=free, running=room.running + 1)
            self.users[job.user_id] += 1
        self._filming.update(_filming([job]))
        if self._filming and self.fits is None:
            self.fits = films_fit(self._limits, self._filming)


def _filming(jobs: Iterable[Waiting]) -> Iterable[int]:
    return (job.user_id for job in jobs if is_film(job.cost_key))
