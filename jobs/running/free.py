"""What the next job may take: the slots of devices that work, and how much its member has running. Looked at
once for all the jobs that are chosen in a moment: with a thousand machines a look takes milliseconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from jobs.active import ActiveJob
from jobs.executor import Device, Executor
from jobs.films import is_film
from jobs.limits import Limits, films_fit
from jobs.order.fairness import Takes, Waiting
from jobs.order.placement import Room
from jobs.running.claiming import Claim


class Rooms:
    """The rooms of devices that work, made anew only where a device has changed since the last look."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[Device, int, Room]] = {}

    def of(self, devices: Sequence[Device], free: Mapping[str, int]) -> dict[str, Room]:
        """Return them by device. free: slots."""
        rooms = dict[str, Room]()
        for device in devices:
            if device.state != "ready":
                continue
            name, slots = device.name, free.get(device.name, 0)
            made = self._made.get(name)
            if made is None or made[0] is not device or made[1] != slots:
                made = self._made[name] = device, slots, Room(slots, device.running, device.only)
            rooms[name] = made[2]
        if len(self._made) > 2 * len(devices):  # others are gone
            self._made = {name: made for name, made in self._made.items() if name in rooms}
        return rooms


class Free:
    """busy: the jobs that take a slot and their member's share; those that aren't handed over yet are counted
    on their devices here. kept: of earlier looks."""

    def __init__(
        self, executor: Executor, busy: Iterable[ActiveJob | Claim], limits: Limits, kept: Rooms
    ) -> None:
        self._limits = limits
        devices = executor.devices
        self.rooms = kept.of(devices, executor.free())
        own = {device.name for device in devices if device.only}
        users, filming = dict[int, int](), dict[int, int]()
        starting, people = dict[str, int](), {name: Counter[int]() for name in own}
        alone = set[str]()
        for live in busy:
            waiting, device = live.waiting, live.device
            user_id = waiting.user_id
            if device in own:
                people[device][user_id] += 1
            else:
                users[user_id] = users.get(user_id, 0) + 1
                if waiting.alone:
                    alone.add(device)
            if not live.handed:
                starting[device] = starting.get(device, 0) + 1
            if is_film(waiting.cost_key):
                filming[user_id] = filming.get(user_id, 0) + 1
        for name, count in starting.items():
            if name in self.rooms:
                room = self.rooms[name]
                self.rooms[name] = room._replace(free=room.free - count, running=room.running + count)
        for name in alone & self.rooms.keys():
            self.rooms[name] = self.rooms[name]._replace(free=0)
        for name in own & self.rooms.keys():
            self.rooms[name] = self.rooms[name]._replace(people=people[name])
        self.users, self._filming = Counter(users), Counter(filming)
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
