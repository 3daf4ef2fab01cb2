"""Starts and ends the sandbox as a host does: as a process of its own, from a folder of data."""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
START = 120.0  # seconds until there is an address, at most


class Sandbox:
    """The sandbox on ``data``, run by the interpreter ``python``."""

    def __init__(self, python: str, data: Path) -> None:
        self.python, self.data = python, data
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.metrics_port = free.getsockname()[1]
        self.environment = {
            **os.environ,
            "DATA_DIR": str(data),
            "DISCORD_TOKEN": "",
            "DISK_FLOOR_MB": "0",
            "METRICS_PORT": str(self.metrics_port),
            "OPEN_BROWSER": "off",
            "PYTHONUNBUFFERED": "1",
        }
        self.log: list[str] = []
        self._process: subprocess.Popen[str] | None = None

    def start(self, *arguments: str) -> str:
        """Start it and return its address."""
        lines: queue.Queue[str] = queue.Queue()
        process = self._process = subprocess.Popen(
            [self.python, "-m", "bot", *arguments],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

        def read() -> None:
            for line in process.stdout or ():
                self.log.append(line)
                lines.put(line)

        threading.Thread(target=read, daemon=True).start()
        until = time.monotonic() + START
        while "sandbox: http" not in (line := lines.get(timeout=max(0.1, until - time.monotonic()))):
            pass
        return line.split("sandbox: ")[1].strip()

    def kill(self) -> None:
        """End it as a power cut would, its workers too."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def interrupt(self) -> int:
        """Press Ctrl+C and return its exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(timeout=90)

    def atelier(self, *arguments: str, **settings: str) -> tuple[int, str]:
        """Run a sub-command and return (exit status, what it printed)."""
        run = subprocess.run(
            [self.python, "-m", "bot", *arguments],
            cwd=ROOT,
            env={**self.environment, **settings},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        return run.returncode, run.stdout
