"""What keeps an agent as a child process: starts it again, drains it, ends with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from host.launching import keeper as keepers
from host.launching.keeper import Keeper, Orders, Report

AGENT = """
import os, signal, sys, time
from pathlib import Path
def note(word):
    with open("notes", "a") as notes:
        print(word, file=notes)
def drained(*_):
    note("drained")
    sys.exit(0)
signal.signal(signal.SIGTERM, drained)
note(" ".join([os.environ["NODE_NAME"], os.environ["BUS_URL"], os.environ.get("RAY_AUTH_TOKEN", "-"),
    os.environ["DATA_DIR"]]))
sys.stdin.read()
note("left alone")
"""
FAILS = "import sys; print('one'); print('BUS_URL is wrong', file=sys.stderr); sys.exit(2)"
WAITS_UNTIL_STOPPED = "import time; time.sleep(60)"


def until(condition: Callable[[], object], patience: float = 20.0) -> None:
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def orders(folder: Path, code: str) -> Orders:
    settings = {"BUS_URL": "nats://10.0.0.1:4222"}
    return Orders("ray-1", settings, str(folder), (sys.executable, "-S", "-c", code))


def notes(folder: Path) -> list[str]:
    path = folder / "ray-1" / "notes"
    return path.read_text().splitlines() if path.exists() else []


def test_an_agent_gets_its_name_folder_and_settings_and_not_the_clusters_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    kept = Keeper(orders(tmp_path, AGENT), "10.0.0.7")
    until(lambda: notes(tmp_path))
    assert notes(tmp_path) == [f"ray-1 nats://10.0.0.1:4222 - {tmp_path}/ray-1"]
    report = kept.report()
    assert (report.name, report.node, report.starts, report.problem) == ("ray-1", "10.0.0.7", 1, "")
    assert report.pid and not report.draining and not report.ended
    kept.drain()
    until(lambda: kept.report().ended)


def test_a_drain_lets_it_end_by_itself_and_starts_no_other(tmp_path: Path) -> None:
    kept = Keeper(orders(tmp_path, AGENT), "n")
    until(lambda: notes(tmp_path))
    kept.drain()
    kept.drain()  # a second signal would end it at once
    until(lambda: kept.report().ended)
    assert notes(tmp_path)[1:] == ["drained"]
    assert kept.report() == Report("ray-1", "n", 0, True, True, 1, "", kept.report().release)


def test_one_that_dies_is_started_again_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keepers, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(keepers, "LONGEST_PAUSE", 0.02)
    kept = Keeper(orders(tmp_path, FAILS), "n")
    until(lambda: kept.report().starts >= 3)
    assert kept.report().problem == "it ended with status 2: BUS_URL is wrong"
    kept.drain()
    until(lambda: kept.report().ended)
    starts = kept.report().starts
    time.sleep(0.1)
    assert kept.report().starts == starts


def test_one_that_was_killed_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keepers, "FIRST_PAUSE", 0.01)
    kept = Keeper(orders(tmp_path, WAITS_UNTIL_STOPPED), "n")
    os.kill(first := kept.report().pid, signal.SIGKILL)
    until(lambda: kept.report().pid not in (0, first))
    assert kept.report().problem == "it ended with status -9: without a word"
    kept.drain()
    until(lambda: kept.report().ended)


def test_it_ends_with_whoever_keeps_it(tmp_path: Path) -> None:
    code = (
        "import sys, time; from host.launching.keeper import Keeper, Orders;"
        f"kept = Keeper(Orders('ray-1', {{'BUS_URL': ''}}, {str(tmp_path)!r},"
        f" (sys.executable, '-S', '-c', {AGENT!r})), 'n');"
        " print(kept.report().pid, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert int(process.stdout.readline())
    until(lambda: notes(tmp_path))
    process.kill()
    process.wait()
    process.stdout.close()
    until(lambda: notes(tmp_path)[1:] == ["left alone"])
