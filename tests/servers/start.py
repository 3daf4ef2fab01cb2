"""Starts chat servers that others wrote, on a free port of this machine, in processes that end with a block:
``transformers serve``, and llama.cpp by xllamacpp."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from core.settings import ROOT
from tests.servers import as_gguf
from tests.servers.llama import SLOTS as SLOTS

NEEDS = {
    "transformers serve": ("fastapi", "uvicorn", "openai", "pydantic"),
    "llama.cpp": ("xllamacpp", "gguf"),
}
PATIENCE = 240.0  # seconds until a server is there, on a busy machine


def missing(kind: str) -> list[str]:
    """Packages of a server that aren't installed."""
    return [name for name in NEEDS[kind] if find_spec(name) is None]


@contextmanager
def server(kind: str, folder: Path, work: Path) -> Iterator[str]:
    """Serve the model in ``folder``; yield the address of its interface. work: for what the server writes."""
    work.mkdir(parents=True, exist_ok=True)
    start = {"transformers serve": transformers_serve, "llama.cpp": llama_cpp}[kind]
    with start(folder, work) as url:
        yield url


@contextmanager
def transformers_serve(folder: Path, work: Path) -> Iterator[str]:
    """Serve by transformers' own server, which answers one question after the other."""
    port = _free_port()
    tool = Path(sys.executable).with_name("transformers")
    command = [tool, "serve", folder, "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    with _running([*map(str, command), "--dtype", "float32"], work, port):
        yield f"http://127.0.0.1:{port}/v1"


@contextmanager
def llama_cpp(folder: Path, work: Path) -> Iterator[str]:
    """Serve by llama.cpp, with SLOTS answers at once."""
    port = _free_port()
    as_gguf.write(folder, work)
    with _running([sys.executable, "-m", "tests.servers.llama", str(work), str(port)], work, port):
        yield f"http://127.0.0.1:{port}/v1"


@contextmanager
def _running(command: Sequence[str], work: Path, port: int) -> Iterator[None]:
    """Keep a process, whose words go to ``work``/log.txt. Raises RuntimeError when it isn't there in time."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with (work / "log.txt").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=work)
        try:
            _wait(process, port, work / "log.txt")
            yield
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            with urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"no server: {log.read_text(errors='replace')[-2000:]}")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
