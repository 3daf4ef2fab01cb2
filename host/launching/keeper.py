"""What an actor is: it keeps one agent (``atelier worker``) as a child process on its node. Runs there, and
knows nothing of the cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.telemetry.release import release

COMMAND = (sys.executable, "-m", "bot", "worker", "--attached")
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds before an agent that has ended is started again
LASTED = 60.0  # seconds after which an agent that ends has been well
CLUSTERS_OWN = "RAY_"  # variables of the cluster, its token among them, which an agent has no use for


@dataclass(frozen=True)
class Orders:
    """What an agent is to be. settings: as the environment has them. folder: of all agents on a node."""

    name: str
    settings: Mapping[str, str] = field(repr=False)
    folder: str
    command: Sequence[str] = COMMAND


@dataclass(frozen=True)
class Report:
    """How an agent is. node: where. pid: of its process, 0 = it has none now. ended: it was drained and has
    gone. starts: of its process. problem: what it said when it ended by itself."""

    name: str
    node: str
    pid: int
    draining: bool
    ended: bool
    starts: int
    problem: str
    release: str


class Keeper:
    """Starts the agent, and starts it again when it ends by itself. When this process ends, so does the
    agent, which gives back what it runs: its standard input closes. node: what the machine is called."""

    def __init__(self, orders: Orders, node: str) -> None:
        self._orders, self._node = orders, node
        self._folder = Path(orders.folder).expanduser().absolute() / orders.name
        self._folder.mkdir(parents=True, exist_ok=True)
        self._said = self._folder / "agent.err"
        self._draining, self._ended = threading.Event(), threading.Event()
        self._lock = threading.Lock()  # of the process, so that a drain misses none
        self._starts, self._problem = 0, ""
        self._process: subprocess.Popen[bytes] | None = None
        self._start()
        threading.Thread(target=self._keep, name="agent", daemon=True).start()

    def report(self) -> Report:
        """Return how the agent is."""
        process = self._process
        pid = process.pid if process is not None and process.poll() is None else 0
        draining, ended = self._draining.is_set(), self._ended.is_set()
        name, node = self._orders.name, self._node
        return Report(name, node, pid, draining, ended, self._starts, self._problem, release())

    def drain(self) -> None:
        """Have the agent take nothing new, end what it can within its GRACE_SECONDS, and go."""
        with self._lock:
            if self._draining.is_set():  # a second signal would end it at once
                return
            self._draining.set()
            if self._process is not None and self._process.poll() is None:
                self._process.send_signal(signal.SIGTERM)

    def _start(self) -> None:
        with self._lock:
            if self._draining.is_set():
                return
            environment = {
                name: value for name, value in os.environ.items() if not name.startswith(CLUSTERS_OWN)
            }
            own = {"NODE_NAME": self._orders.name, "DATA_DIR": str(self._folder)}
            with self._said.open("wb") as said:
                self._process = subprocess.Popen(
                    self._orders.command,
                    env={**environment, **self._orders.settings, **own},
                    cwd=self._folder,  # which has no .env
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=said,
                    start_new_session=True,  # a node of Ray's that ends kills the groups of its workers
                )
            self._starts += 1

    def _keep(self) -> None:
        pause = FIRST_PAUSE
        while True:
            process, began = self._process, time.monotonic()
            assert process is not None
            status = process.wait()
            if process.stdin is not None:
                process.stdin.close()
            if self._draining.is_set():
                break
            self._problem = self._last_words(status)
            pause = FIRST_PAUSE if time.monotonic() - began > LASTED else min(2 * pause, LONGEST_PAUSE)
            if self._draining.wait(pause):
                break
            self._start()
        self._ended.set()

    def _last_words(self, status: int) -> str:
        try:
            with self._said.open("rb") as said:
                said.seek(max(0, said.seek(0, os.SEEK_END) - 4096))
                lines = said.read().decode(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return f"it ended with status {status}: {lines[-1][:300] if lines else 'without a word'}"
