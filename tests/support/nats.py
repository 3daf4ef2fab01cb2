"""A NATS server of the tests' own, on a port of loopback: Debian's package nats-server, or NATS_SERVER names
its program.

Tests that need it carry the marker ``bus``; without a server they are skipped, and fail under CI.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PLACES = ("/usr/sbin/nats-server", "/usr/local/bin/nats-server", "/opt/homebrew/bin/nats-server")
PLAIN = "max_payload: 8388608\nmax_pending: 134217728\n"


def program() -> str | None:
    """Where the server is, None where there is none."""
    named = os.environ.get("NATS_SERVER") or shutil.which("nats-server")
    return named or next((place for place in PLACES if Path(place).exists()), None)


def need() -> None:
    """Skip a test where there is no server, unless under CI."""
    if program() is None:
        reason = "there is no nats-server: apt-get install nats-server"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A server that can be killed and started again on its port. config: the text of its file."""

    def __init__(
        self, folder: Path, config: str = PLAIN, *, host: str = "127.0.0.1", scheme: str = "nats"
    ) -> None:
        self.port, self.host = free_port(), host
        self.url = f"{scheme}://{host}:{self.port}"
        self.file, self._log = folder / "nats.conf", folder / "nats.log"
        self.file.write_text(config)
        self.process: subprocess.Popen[bytes] | None = None
        self.prefix: list[str] = []  # of its command, such as ip netns exec

    def start(self) -> None:
        """Begin to serve."""
        found = program()
        assert found is not None
        command = [*self.prefix, found, "-a", self.host, "-p", str(self.port), "-c", str(self.file)]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        end = time.monotonic() + 20
        while not self.prefix and not self._answers():
            assert self.process.poll() is None and time.monotonic() < end, self._log.read_text()
            time.sleep(0.02)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((self.host, self.port)) == 0

    def kill(self) -> None:
        """End it as if its machine had failed."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it."""
        self._end(signal.SIGTERM)

    def _end(self, how: int) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(20)
            self.process = None


@contextmanager
def server(config: str = PLAIN) -> Iterator[Server]:
    """A running server, in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="nats-") as folder:
        found = Server(Path(folder), config)
        found.start()
        try:
            yield found
        finally:
            found.stop()
