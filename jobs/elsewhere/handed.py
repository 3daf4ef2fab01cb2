"""The runs that a bot has given to other machines, until their rows say how they ended."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jobs.agents.wire import Order, Wanted
from jobs.executor import Outcome, Report
from jobs.running.handing import SNAPSHOT
from vision.protocol import Run


@dataclass
class Handed:
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


class Runs:
    """All runs that were given away, by token, by job and by host, so that none has to be looked for among
    those of a thousand machines. noted: is told a host when its slots are taken or free."""

    def __init__(self, noted: Callable[[str], None]) -> None:
        self._noted = noted
        self._tokens: dict[str, Handed] = {}
        self._jobs: dict[str, Handed] = {}  # those that haven't ended
        self._of_host: defaultdict[str, dict[str, Handed]] = defaultdict(dict)
        self._of_job: defaultdict[str, dict[str, Handed]] = defaultdict(dict)

    def add(self, handed: Handed) -> None:
        """Note a run that is about to be given away."""
        handed.noted = self._noted
        self._tokens[handed.token] = self._of_host[handed.host][handed.token] = handed
        self._jobs[handed.run.job_id] = handed
        self._of_job[handed.run.job_id][handed.token] = handed
        self._noted(handed.host)

    def get(self, token: str) -> Handed | None:
        """Return the run with a token, until its end is written down."""
        return self._tokens.get(token)

    def of_job(self, job_id: str) -> Handed | None:
        """Return the run of a job, until its end has been heard."""
        return self._jobs.get(job_id)

    def of_host(self, host: str) -> Collection[Handed]:
        """Return the runs of a host whose ends aren't written down."""
        return self._of_host.get(host, {}).values()

    def going_on(self, host: str) -> list[Handed]:
        """Return the runs of a host whose ends aren't known."""
        return [one for one in self.of_host(host) if not one.ended and not one.outcome.done()]

    def not_ended(self) -> list[Handed]:
        """Return all runs whose ends have not been heard."""
        return list(self._jobs.values())

    def leave(self, handed: Handed) -> None:
        """Note that the end of a run has been heard, or nobody here waits for it."""
        handed.ended = True
        if self._jobs.get(handed.run.job_id) is handed:
            del self._jobs[handed.run.job_id]
        self._noted(handed.host)

    def settle(self, job_id: str) -> Sequence[Handed]:
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
    """Return a run as a message to a process of an agent, and the files that it names, by SHA-256. Blocks.
    Raises OSError."""
    paths = {sha256: Path(path) for sha256, path in run.paths.items()}
    folder = dict[str, str]()
    if run.folder and (snapshot := Path(run.folder) / SNAPSHOT).is_file():  # else what another worker left
        folder[SNAPSHOT] = hashlib.sha256(snapshot.read_bytes()).hexdigest()
        paths[folder[SNAPSHOT]] = snapshot
    named = [run.request, sorted(run.paths), sorted(folder.items()), repr(run.talk)]
    order = Order(
        bot,
        run.token,
        run.job_id,
        device,
        run.kind,
        run.request,
        _wanted(run.paths),
        hashlib.sha256(json.dumps(named).encode()).hexdigest()[:16],
        run.cost_key,
        run.talk,
        folder if run.folder else None,
        run.traceparent,
        instance,
    )
    return order, paths


def _wanted(paths: Mapping[str, str]) -> Wanted:
    return {sha256: Path(path).suffix[1:].lower() or "png" for sha256, path in paths.items()}
