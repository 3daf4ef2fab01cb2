"""The machines that a bot hears of: their devices, what they run, who is silent. Knows no bus."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from jobs.agents.holding import Timing
from jobs.agents.wire import Beat, Holding
from jobs.executor import SEPARATOR, Device

FORGOTTEN = 3600.0  # seconds after which a host that said good-bye or is silent isn't shown any more
MOST_TOLD = 3  # problems of one host's messages in the log
Process = Literal["same", "new", "beside"]
SAME_NAME = "another `atelier worker` has this name too: give each a NODE_NAME of its own"
SAME_NAME_AFTER = 2.0  # × the silence after which a host is given up: by then its old process has ended
MISSED = 3  # beats without a run that its host had
log = logging.getLogger(__name__)


@dataclass
class Host:
    """A machine. heard_at: monotonic seconds. problem: why it gets no jobs. runs: what it says it runs, by
    token. others: processes that speak in its name while it lives, by instance: when each was heard first and
    last. shares_name: one of them has done so for longer than a new start of the agent takes."""

    name: str
    beat: Beat | None = None
    heard_at: float = 0.0
    is_down: bool = False
    problem: str | None = None
    missed: dict[str, int] = field(default_factory=dict)  # token → beats that have not named it
    told: set[str] = field(default_factory=set)  # problems that the log has
    others: dict[str, tuple[float, float]] = field(default_factory=dict)
    shares_name: bool = False
    runs: Mapping[str, Holding] = field(default_factory=dict)

    def say(self, beat: Beat | None, now: float) -> None:
        """Note what it says of itself, None = nothing that can be read."""
        self.beat, self.heard_at = beat, now
        self.runs = {one.token: one for one in beat.runs} if beat is not None else {}

    @property
    def takes(self) -> bool:
        """Whether it may be given jobs."""
        return not self.is_down and self.problem is None and self.beat is not None and not self.beat.draining

    def devices(self, ours: Mapping[str, Collection[str]]) -> Iterable[Device]:
        """Yield its devices as the bot sees them. ours: device → tokens of runs that the bot has given it."""
        if self.beat is None:
            yield Device(self.name, "down", problem=self.problem)
            return
        for one in self.beat.devices:
            state = one.state if self.takes else "down"
            problem = self.problem or ("takes no more jobs" if self.beat.draining else one.problem)
            if self.shares_name:
                problem = SAME_NAME
            if self.is_down:
                problem = "isn't heard of"
            running = len(self.busy(one.name) | set(ours.get(one.name, ())))
            yield replace(one, name=self.device(one.name), state=state, running=running, problem=problem)

    def device(self, name: str) -> str:
        """Return what a device of this host is called elsewhere."""
        return f"{self.name}{SEPARATOR}{name}"

    def busy(self, device: str) -> set[str]:
        """Return the tokens of what it runs on a device."""
        return {one.token for one in self.runs.values() if one.device == device and not one.over}


class Hosts:
    """All machines, by name. models: digest of what the bot's settings name, "" = any. noted: is told of each
    that may be seen otherwise from now on."""

    def __init__(self, timing: Timing, models: str, noted: Callable[[str], None] = lambda name: None) -> None:
        self._timing, self._models, self._noted = timing, models, noted
        self._hosts: dict[str, Host] = {}

    def __iter__(self) -> Iterator[Host]:
        return iter(self._hosts.values())

    def get(self, name: str) -> Host | None:
        """Return a machine, None when it was never heard of."""
        return self._hosts.get(name)

    def hear(self, name: str, beat: Beat, now: float) -> Process:
        """Note a sign of life, and return whose it is: of the process that was heard before, of one that has
        taken its place, or of one beside it, which is given no jobs while that one lives."""
        host = self._hosts.setdefault(name, Host(name))
        last = host.beat
        is_new = last is not None and last.instance != beat.instance
        if last is not None and is_new and not host.is_down and not (last.draining and not last.runs):
            self._hear_beside(host, beat.instance, now)
            return "beside"
        host.others.pop(beat.instance, None)
        if host.shares_name and not self._others(host, now):
            host.shares_name = False
            self._noted(name)
        seen, host.problem = (host.problem, host.is_down), None
        if self._models and beat.models != self._models:
            host.problem = "draws with other models than this bot's settings name"
            if host.problem not in host.told:
                log.error("%s gets no jobs: it %s", name, host.problem)
            host.told.add(host.problem)
        host.say(beat, now)
        host.is_down = False
        if last is None or seen != (host.problem, False) or _of_devices(last) != _of_devices(beat):
            self._noted(name)
        return "new" if is_new else "same"

    def _hear_beside(self, host: Host, instance: str, now: float) -> None:
        host.others[instance] = host.others.get(instance, (now, now))[0], now
        if not host.shares_name and any(
            last - first > SAME_NAME_AFTER * self._timing.silent for first, last in self._others(host, now)
        ):
            host.shares_name = True
            log.error("%s: %s; the one that was heard first gets the jobs", host.name, SAME_NAME)
            self._noted(host.name)

    def _others(self, host: Host, now: float) -> Collection[tuple[float, float]]:
        """Return when those that speak in a host's name were heard, and forget whoever is silent."""
        host.others = {
            name: at
            for name, at in host.others.items()
            if now - at[1] <= SAME_NAME_AFTER * self._timing.silent
        }
        return host.others.values()

    def hear_other(self, name: str, problem: str, now: float) -> bool:
        """Note a host whose beats can't be read; return whether that is news."""
        host = self._hosts.setdefault(name, Host(name))
        is_news = problem not in host.told and len(host.told) < MOST_TOLD
        host.told.add(problem)
        host.say(None, now)
        host.problem, host.is_down = problem, True
        self._noted(name)
        return is_news

    def wait_longer(self, seconds: float, now: float) -> None:
        """Nobody could be heard until now: give all hosts so many seconds more."""
        for host in self._hosts.values():
            if not host.is_down:
                host.heard_at = max(host.heard_at, now + seconds)

    def silent(self, now: float) -> list[Host]:
        """Return the hosts that have not been heard of for too long, and aren't down yet."""
        up = (host for host in self._hosts.values() if not host.is_down)
        return [host for host in up if now - host.heard_at > self._timing.silent]

    def fallen_silent(self, now: float) -> list[Host]:
        """Return the hosts that are down from now on."""
        fallen = self.silent(now)
        for host in fallen:
            host.is_down = True
            self._noted(host.name)
        return fallen

    def forget_old(self, now: float) -> bool:
        """Forget the hosts that have been down for long; return whether there were any."""
        old = [one.name for one in self._hosts.values() if one.is_down and now - one.heard_at > FORGOTTEN]
        for name in old:
            del self._hosts[name]
            self._noted(name)
        return bool(old)

    def missing(self, host: Host, tokens: Iterable[str]) -> list[str]:
        """Return which of the runs that a host has taken it doesn't name any more, MISSED beats in a row."""
        known = host.runs
        counts = {token: host.missed.get(token, 0) + 1 for token in tokens if token not in known}
        host.missed = counts
        return [token for token, count in counts.items() if count >= MISSED]


def _of_devices(beat: Beat) -> tuple[object, ...]:
    """Return what the devices follow from: most signs of life say nothing new of it."""
    return beat.devices, beat.draining, [(one.token, one.device, one.over) for one in beat.runs]
