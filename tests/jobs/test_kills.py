"""The short form of ``python -m tests.jobs.kills``, and its negative control."""

from pathlib import Path

import pytest

from tests.jobs.kills import KINDS, check, measure


def test_no_kill_loses_or_doubles_a_job(tmp_path: Path) -> None:
    check(
        measure(tmp_path, 2 * len(KINDS), forked=True), back_within=30
    )  # a busy machine; the long form is strict


def test_a_queue_that_forgets_what_ran_is_found(tmp_path: Path) -> None:
    figures = measure(tmp_path, 1, kinds=("claimed",), bug="forgets what ran", patience=3, forked=True)
    with pytest.raises(AssertionError):
        check(figures)
