"""A Ray cluster of the tests' own: a head and nodes that `ray start` starts on addresses of loopback, each of
which can be killed with all that runs on it, as if its machine had failed.

Tests that need it carry the marker ``ray``; without Ray they are skipped, and fail under CI.
"""

import importlib.util
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from core.settings import ROOT
from tests.support.nats import free_port

STARTED = "Ray runtime started"
PATIENCE = 120.0  # seconds for a node to start
TRIES = 3  # a node gives itself up whose helper took more than 15 s to start, as on a busy machine
HEALTH = {"RAY_health_check_period_ms": "2000"}  # a node that is silent is given up after 6 s, not 30
HEALTH |= {"RAY_health_check_timeout_ms": "2000", "RAY_health_check_failure_threshold": "3"}


def need() -> None:
    """Skip a test where there is no Ray, unless under CI."""
    if importlib.util.find_spec("ray") is None:
        reason = "Ray isn't installed: make setup EXTRAS=ray"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


class Cluster:
    """Nodes by their address. ``environment``: of all that belongs to the cluster, its token included."""

    def __init__(self, folder: Path, more: Mapping[str, str] | None = None) -> None:
        self._folder, self._port = folder, free_port()
        self._processes: dict[str, psutil.Popen] = {}
        self.address = f"127.0.0.2:{self._port}"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
            **HEALTH,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(16),
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            **(more or {}),
        }

    def start_head(self, prefix: Sequence[str] = ()) -> None:
        """Start the head, on which no worker has room. prefix: of its command."""
        head = ("--head", f"--port={self._port}", f"--temp-dir={self._folder}", "--include-dashboard=false")
        self._start("127.0.0.2", *head, "--num-cpus=0", prefix=prefix)

    def start_node(self, host: str, cpus: int) -> None:
        """Start a node with room for so many workers."""
        self._start(host, f"--address={self.address}", f"--num-cpus={cpus}")

    def _start(self, host: str, *words: str, prefix: Sequence[str] = ()) -> None:
        for left in reversed(range(TRIES)):
            if self._try(host, prefix, *words):
                return
            assert left, self._said(host).read_text()
            self.kill(host)

    def _try(self, host: str, prefix: Sequence[str], *words: str) -> bool:
        command = [*prefix, sys.executable, "-m", "ray.scripts.scripts", "start", "--block"]
        command += ["--disable-usage-stats"]
        command += [f"--node-ip-address={host}", "--object-store-memory=80000000", "--num-gpus=0", *words]
        with self._said(host).open("wb") as said:
            process = psutil.Popen(
                command, env=self.environment, stdout=said, stderr=said, stdin=subprocess.DEVNULL
            )
        self._processes[host] = process
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and process.poll() is None:
            if STARTED in self._said(host).read_text(errors="replace"):
                return True
            time.sleep(0.05)
        return False

    def _said(self, host: str) -> Path:
        return self._folder / f"{host}.log"

    def running(self, host: str) -> list[psutil.Process]:
        """Return all processes of a node."""
        root = self._processes.get(host)
        with suppress(psutil.NoSuchProcess):
            return [root, *root.children(recursive=True)] if root is not None else []
        return []

    def agents(self, host: str) -> list[int]:
        """Return the process of each agent on a node."""
        found = []
        for process in self.running(host):
            with suppress(psutil.NoSuchProcess):
                if "--attached" in process.cmdline():
                    found.append(process.pid)
        return found

    @staticmethod
    def alive(pids: Sequence[int]) -> list[int]:
        """Return those of some processes that have not ended, wherever they belong by now."""
        found = []
        for pid in pids:
            with suppress(psutil.NoSuchProcess):
                if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                    found.append(pid)
        return found

    def kill(self, host: str) -> None:
        """End a node as if its machine had failed: all of it at once."""
        processes = self.running(host)
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.suspend()  # so that none sees another end
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if (root := self._processes.pop(host, None)) is not None:
            root.wait(20)

    def kill_ray(self, host: str) -> None:
        """End only Ray itself on a node: its machine lives."""
        for process in self.running(host):
            with suppress(psutil.NoSuchProcess):
                if process.name() in ("raylet", "gcs_server"):
                    process.kill()

    def stop(self) -> None:
        """End all of it."""
        for host in reversed(list(self._processes)):
            self.kill(host)


@contextmanager
def cluster(hosts: Mapping[str, int], more: Mapping[str, str] | None = None) -> Iterator[Cluster]:
    """A running cluster. hosts: address of each node → workers that it has room for."""
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # paths of sockets are short
    found = Cluster(folder, more)
    try:
        found.start_head()
        for host, cpus in hosts.items():
            found.start_node(host, cpus)
        yield found
    finally:
        found.stop()
        shutil.rmtree(folder, ignore_errors=True)
