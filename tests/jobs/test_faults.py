"""The short form of ``python -m proofs.jobs.faults``, and its negative control."""

from pathlib import Path

import pytest

from proofs.jobs.faults import SHORT, check, measure, seeded
from tests.support.forks import forks


@pytest.fixture(autouse=True)
def forked_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """As starting them took most of the time."""
    monkeypatch.setattr("jobs.executors.worker_process.PROCESSES", forks())


@pytest.mark.slow
async def test_every_fault_ends_right_or_honestly_and_touches_one_job(tmp_path: Path) -> None:
    check(await measure(tmp_path, 1, shared=SHORT))


@pytest.mark.parametrize("bug", ["takes all jobs of a dead worker for failed", "blames everybody"])
async def test_a_seeded_bug_is_found(tmp_path: Path, bug: str) -> None:
    crash = ("segfault",), (), ()
    with seeded(bug):
        figures = await measure(tmp_path, 1, alone=crash, shared=crash)
    with pytest.raises(AssertionError):
        check(figures)
