"""The editor's pure modules under Node: asks ``model.mjs`` one thing a line."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

DRIVER = Path(__file__).with_name("model.mjs")
OLDEST = (20, 19)  # of Node: the first that knows a module by what is in it


class Node:
    """A running ``model.mjs``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, **asked: Any) -> Any:
        """Return what it answers."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "model.mjs has ended"
        return json.loads(line)


@contextmanager
def open_node() -> Iterator[Node]:
    """Start it, and end it afterwards. Skips a test where Node is missing or too old."""
    path = shutil.which("node")
    if path is None:
        pytest.skip("Node is missing")
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    if tuple(map(int, version.strip("v\n").split(".")[:2])) < OLDEST:
        pytest.skip(f"Node {version.strip()} is older than 20.19")
    with subprocess.Popen(
        [path, "--no-warnings", str(DRIVER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "NODE_OPTIONS": ""},
    ) as process:
        yield Node(process)
        assert process.stdin is not None
        process.stdin.close()
