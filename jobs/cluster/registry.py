"""The machines that a bot hears of, who of them is silent, the runs that they were given until their rows
say how these ended, and the devices that follow from both, reckoned anew only where something has changed.
Knows no bus."""

import asyncio
import hashlib
import json
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from jobs.cluster.protocol import Beat, Holding, Order, Timing, files_with_endings
from jobs.executors.base import SEPARATOR, Device, Outcome, Report
from jobs.runs import SNAPSHOT
from vision.protocol import Run

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
                problem = "doesn't respond"
            running = len(self.busy(one.name) | set(ours.get(one.name, ())))
            yield replace(one, name=self.device(one.name), state=state, running=running, problem=problem)

    def device(self, name: str) -> str:
        """Return what a device of this host is called elsewhere."""
        return f"{self.name}{SEPARATOR}{name}"

    def busy(self, device: str) -> set[str]:
        """Return the tokens of what it runs on a device."""
        return {one.token for one in self.runs.values() if one.device == device and not one.over}


class Hosts:
    """All machines, by name. models: digest, "" = any. noted: is told of each that may look different."""

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
            host.problem = "uses other models than this bot's settings name"
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


@dataclass
class RunInFlight:
    """token: of the run. device: its host's name for it. taken: the host has said that it has it. ended: its
    end has been heard. noted: is told its host when it takes no slot there any more."""

    run: Run
    host: str
    device: str
    report: Report
    outcome: asyncio.Future[Outcome]
    taken: bool = False
    ended: bool = False
    stopping: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    noted: Callable[[str], None] = lambda host: None

    @property
    def token(self) -> str:
        """Of the run."""
        return self.run.token

    def end(self, outcome: Outcome) -> None:
        """Note how it ended, unless that is known."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)
            self.noted(self.host)


class RunsInFlight:
    """All runs that were given away, by token, by job and by host, so that none has to be looked for among
    those of a thousand machines. noted: is told a host when its slots are taken or free."""

    def __init__(self, noted: Callable[[str], None]) -> None:
        self._noted = noted
        self._tokens: dict[str, RunInFlight] = {}
        self._jobs: dict[str, RunInFlight] = {}  # those that haven't ended
        self._of_host: defaultdict[str, dict[str, RunInFlight]] = defaultdict(dict)
        self._of_job: defaultdict[str, dict[str, RunInFlight]] = defaultdict(dict)

    def add(self, handed: RunInFlight) -> None:
        """Note a run that is about to be given away."""
        handed.noted = self._noted
        self._tokens[handed.token] = self._of_host[handed.host][handed.token] = handed
        self._jobs[handed.run.job_id] = handed
        self._of_job[handed.run.job_id][handed.token] = handed
        self._noted(handed.host)

    def get(self, token: str) -> RunInFlight | None:
        """Return the run with a token, until its end is written down."""
        return self._tokens.get(token)

    def of_job(self, job_id: str) -> RunInFlight | None:
        """Return the run of a job, until its end has been heard."""
        return self._jobs.get(job_id)

    def of_host(self, host: str) -> Collection[RunInFlight]:
        """Return the runs of a host whose ends aren't written down."""
        return self._of_host.get(host, {}).values()

    def going_on(self, host: str) -> list[RunInFlight]:
        """Return the runs of a host whose ends aren't known."""
        return [one for one in self.of_host(host) if not one.ended and not one.outcome.done()]

    def not_ended(self) -> list[RunInFlight]:
        """Return all runs whose ends have not been heard."""
        return list(self._jobs.values())

    def leave(self, handed: RunInFlight) -> None:
        """Note that the end of a run has been heard, or nobody here waits for it."""
        handed.ended = True
        if self._jobs.get(handed.run.job_id) is handed:
            del self._jobs[handed.run.job_id]
        self._noted(handed.host)

    def settle(self, job_id: str) -> Sequence[RunInFlight]:
        """Let go of the runs of a job that have ended, and return them."""
        known = self._of_job.pop(job_id, {})
        if left := {token: one for token, one in known.items() if not one.ended}:
            self._of_job[job_id] = left
        ended = [one for one in known.values() if one.ended]
        for one in ended:
            del self._tokens[one.token]
            del self._of_host[one.host][one.token]
            if not self._of_host[one.host]:
                del self._of_host[one.host]
        return ended


def order_of(run: Run, device: str, bot: str, instance: str = "") -> tuple[Order, dict[str, Path]]:
    """Return a run as a message to an agent's process, and its files by SHA-256. Blocks. Raises OSError."""
    paths = {sha256: Path(path) for sha256, path in run.paths.items()}
    folder = dict[str, str]()
    if run.folder and (snapshot := Path(run.folder) / SNAPSHOT).is_file():  # else what another worker left
        folder[SNAPSHOT] = hashlib.sha256(snapshot.read_bytes()).hexdigest()
        paths[folder[SNAPSHOT]] = snapshot
    named = [
        run.request,
        sorted(run.paths),
        sorted(folder.items()),
        repr(run.talk),
        run.taste and run.taste.direction.hex(),
    ]
    order = Order(
        bot,
        run.token,
        run.job_id,
        device,
        run.kind,
        run.request,
        files_with_endings(run.paths),
        hashlib.sha256(json.dumps(named).encode()).hexdigest()[:16],
        run.cost_key,
        run.talk,
        folder if run.folder else None,
        run.traceparent,
        instance,
        run.taste,
    )
    return order, paths


class DeviceRegistry:
    """Hosts, the runs that they were given, and the devices that follow from both. models: see ``Hosts``."""

    def __init__(self, timing: Timing, models: str) -> None:
        self.hosts, self.runs = Hosts(timing, models, self._note), RunsInFlight(self._note)
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
