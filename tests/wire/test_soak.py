"""A few rounds of ``make soak``: connections lost in every way leave nothing behind, and the count would
see it."""

import os
import subprocess
import sys
from collections import deque

import pytest

from core.settings import ROOT
from tests.support.census import census, growth
from tests.support.forks import forks
from tests.wire.process import WITHOUT


@pytest.mark.slow
def test_after_jobs_and_lost_connections_everything_has_its_size_again() -> None:
    """In a process of its own, whose clocks are put forward."""
    ended = subprocess.run(
        [sys.executable, "-m", "proofs.wire.soak", "--jobs", "27", "--restarts", "9", "--any-memory"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name not in WITHOUT},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr[-2000:]
    assert ": 0 of " in ended.stdout


class _Keeper:
    __module__ = "jobs.somewhere"
    __slots__ = ("told",)


class _Leaky(_Keeper):
    __module__ = "jobs.somewhere"

    def __init__(self) -> None:
        self.told, self.done = deque(range(3)), {1: 1}


def test_the_count_sees_what_grows_in_attributes_slots_and_numbers() -> None:
    """In a process that holds little else: there may be a million objects here."""
    process = forks().Process(target=_grow)
    process.start()
    process.join(60)
    assert process.exitcode == 0


def _grow() -> None:
    one, before = _Leaky(), census()
    one.told.extend(range(10))
    one.done.update(dict.fromkeys(range(20)))
    more = [_Leaky() for _ in range(10)]
    after = census()
    grown = growth(before, after, bounds={}, slack=4, slack_of_others=2000)
    assert len(more) == 10 and {what: counts for what, counts in grown.items() if "_Leaky" in what} == {
        "jobs.somewhere._Leaky.told": (3, 43),
        "jobs.somewhere._Leaky.done": (1, 30),
        "objects of jobs.somewhere._Leaky": (1, 11),
    }
    bounds = {what: count for what, (_, count) in grown.items()}
    assert growth(before, after, bounds=bounds, slack=4, slack_of_others=2000) == {}
