"""The devices of all other machines as the bot sees them, reckoned anew only where something has changed:
of a thousand machines, one or two between two looks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from jobs.agents.holding import Timing
from jobs.elsewhere.handed import Runs
from jobs.elsewhere.hosts import Hosts
from jobs.executor import Device


class Seen:
    """Hosts, the runs that they were given, and the devices that follow from both. models: see ``Hosts``."""

    def __init__(self, timing: Timing, models: str) -> None:
        self.hosts, self.runs = Hosts(timing, models, self._note), Runs(self._note)
        self._of_host: dict[str, tuple[Device, ...]] = {}
        self._changed: set[str] = set()
        self._devices: dict[str, Device] = {}  # by name
        self._all: Sequence[Device] | None = ()
        self._free: dict[str, int] = {}

    @property
    def devices(self) -> Sequence[Device]:
        """The devices of all hosts that were heard of."""
        self._look()
        if self._all is None:
            self._all = tuple(self._devices.values())
        return self._all

    @property
    def free(self) -> Mapping[str, int]:
        """The free slots of those devices that work and have any."""
        self._look()
        return self._free

    def devices_of(self, name: str) -> tuple[Device, ...]:
        """Return the devices of one host, none when it was never heard of."""
        if name in self._changed:
            self._look_at(name)
            self._changed.discard(name)
        return self._of_host.get(name, ())

    def _look(self) -> None:
        for name in self._changed:
            self._look_at(name)
        self._changed.clear()

    def _look_at(self, name: str) -> None:
        self._all, host = None, self.hosts.get(name)
        devices, ours = tuple[Device, ...](), defaultdict[str, list[str]](list)
        if host is not None:
            for handed in self.runs.going_on(name):
                ours[handed.device].append(handed.token)
            devices = tuple(host.devices(ours))
        names = {device.name for device in devices}
        for device in self._of_host.pop(name, ()):
            self._free.pop(device.name, None)
            if device.name not in names:
                del self._devices[device.name]
        if host is None:
            return
        self._of_host[name] = devices
        for device in devices:
            self._devices[device.name] = device
            if device.state == "ready" and device.running < device.slots:
                self._free[device.name] = device.slots - device.running

    def _note(self, name: str) -> None:
        self._changed.add(name)
