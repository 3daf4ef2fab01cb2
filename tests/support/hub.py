"""A hub of models on this machine: speaks Hugging Face's protocol over HTTP and hands out one folder.

It can be slow, cut connections off, hand out damaged files, or refuse: what a first use meets.
"""

import contextlib
import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest

from vision.weights import files

COMMIT = "0123456789abcdef0123456789abcdef01234567"
PIECE = 2**13
REFUSALS = {"GatedRepo": 403, "RepoNotFound": 401, "RevisionNotFound": 404}


@dataclass
class Hub:
    """What it hands out, and how. folder: its one repository, whatever its name. refuses: an error code of
    the hub, or a status. cuts: name → bytes after which the connection ends, once for each entry. rate: bytes
    a second, 0 = as fast as can be; slow: the one file that comes so, "" = all. damages: names of files whose
    last byte is another. more: names that it lists
    besides. asked: revisions. handed: (name, first byte asked for), in order. gate: is waited
    for before each piece of weights.
    """

    folder: Path
    address: str = ""
    refuses: str | int = ""
    cuts: dict[str, list[int]] = field(default_factory=dict)
    rate: float = 0.0
    slow: str = ""
    damages: set[str] = field(default_factory=set)
    asked: list[str | None] = field(default_factory=list)
    handed: list[tuple[str, int]] = field(default_factory=list)
    more: list[str] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    @property
    def names(self) -> list[str]:
        """The names of its files."""
        return [str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()]

    def largest(self, place: int = 0) -> str:
        """Return the name of its largest file of weights; 1 = the second largest."""
        weights = [name for name in self.names if name.endswith(".safetensors")]
        return sorted(weights, key=lambda name: -(self.folder / name).stat().st_size)[place]

    def told(self) -> dict[str, object]:
        """Return what it says of its repository."""
        siblings = []
        for name in self.names:
            path = self.folder / name
            one: dict[str, object] = {"rfilename": name, "size": path.stat().st_size}
            if path.suffix == ".safetensors":
                one["lfs"] = {"sha256": files.digest(path), "size": one["size"], "pointerSize": 134}
            siblings.append(one)
        siblings += [{"rfilename": name, "size": 2} for name in self.more]
        return {"id": "owner/name", "sha": COMMIT, "siblings": siblings}


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        hub, path = self.hub, unquote(self.path.partition("?")[0])
        if hub.refuses:
            status = hub.refuses if isinstance(hub.refuses, int) else REFUSALS[hub.refuses]
            self.send_response(status)
            self.send_header("X-Error-Code", str(hub.refuses))
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif path.startswith("/api/models/"):
            revision = re.fullmatch(r"/api/models/[^/]+/[^/]+/revision/(.+)", path)
            hub.asked.append(revision.group(1) if revision else None)
            data = json.dumps(hub.told()).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        else:
            self._hand(path.split("/resolve/")[1].partition("/")[2])

    def _hand(self, name: str) -> None:
        hub, data = self.hub, (self.hub.folder / name).read_bytes()
        if name in hub.damages:
            data = data[:-1] + bytes([data[-1] ^ 1])
        begin = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        hub.handed.append((name, begin))
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(data) - begin))
        self.end_headers()
        cut = hub.cuts[name].pop(0) if hub.cuts.get(name) else None
        end = len(data) if cut is None else min(len(data), begin + cut)
        with contextlib.suppress(OSError):  # who asked has gone
            for at in range(begin, end, PIECE):
                if name.endswith(".safetensors"):
                    hub.gate.wait(60)
                piece = data[at : min(end, at + PIECE)]
                self.wfile.write(piece)
                if hub.rate and hub.slow in ("", name):
                    time.sleep(len(piece) / hub.rate)
        if cut is not None:
            self.close_connection = True


@contextlib.contextmanager
def open_hub(folder: Path, port: int = 0) -> Iterator[Hub]:
    """Serve ``folder`` on a port, 0 = a free one."""
    hub = Hub(folder)
    server = ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield hub
    finally:
        hub.gate.set()
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def serving(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Serve ``folder`` as the hub that this process asks, with no other cache than the one it is told."""
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with open_hub(folder) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        yield hub
