"""A run that a bot has given to another machine, until its row says how it ended."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jobs.agents.wire import Order, Wanted
from jobs.executor import Outcome, Report
from jobs.running.handing import SNAPSHOT
from vision.protocol import Run


@dataclass
class Handed:
    """token: of the run. device: its host's name for it. taken: the host has said that it has it. ended: its
    end has been heard."""

    run: Run
    host: str
    device: str
    report: Report
    outcome: asyncio.Future[Outcome]
    taken: bool = False
    ended: bool = False
    stopping: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def token(self) -> str:
        """Of the run."""
        return self.run.token

    def end(self, outcome: Outcome) -> None:
        """Note how it ended, unless that is known."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)


def order_of(run: Run, device: str, leader: str, epoch: int) -> tuple[Order, dict[str, Path]]:
    """Return a run as a message, and the files that it names, by SHA-256. Blocks. Raises OSError."""
    paths = {sha256: Path(path) for sha256, path in run.paths.items()}
    folder = dict[str, str]()
    if run.folder and (snapshot := Path(run.folder) / SNAPSHOT).is_file():  # else what another worker left
        folder[SNAPSHOT] = hashlib.sha256(snapshot.read_bytes()).hexdigest()
        paths[folder[SNAPSHOT]] = snapshot
    named = [run.request, sorted(run.paths), sorted(folder.items()), repr(run.talk)]
    order = Order(
        leader,
        epoch,
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
    )
    return order, paths


def _wanted(paths: Mapping[str, str]) -> Wanted:
    return {sha256: Path(path).suffix[1:].lower() or "png" for sha256, path in paths.items()}
