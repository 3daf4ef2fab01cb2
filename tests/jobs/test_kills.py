"""The short form of ``python -m proofs.jobs.kills``, and its negative control."""

import asyncio
from pathlib import Path

import pytest

from proofs.jobs.kills import KINDS, VIDEO_KINDS, VIDEO_POINTS, check, left_in, measure
from tests.support import buckets


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, pytest.param(2, marks=pytest.mark.long)])
def test_no_kill_loses_or_doubles_a_job(tmp_path: Path, times: int) -> None:
    figures = measure(tmp_path, times * len(KINDS), forked=True)
    check(figures, back_within=30)  # a busy machine; the long form is strict


@pytest.mark.slow
def test_no_kill_loses_a_video_or_leaves_a_part_of_one(tmp_path: Path) -> None:
    kinds = (*VIDEO_POINTS, "in a file", "saved", "process at random", "worker at random")
    assert set(kinds) <= set(VIDEO_KINDS)
    check(measure(tmp_path, len(kinds), kinds=kinds, forked=True, videos=True), back_within=30)


@pytest.mark.buckets
def test_no_kill_between_object_and_row_loses_or_doubles_a_picture(tmp_path: Path) -> None:
    with buckets.moto() as server:
        kinds = ("in a file", "saved", "saved", "process at random", "rendered")
        figures = measure(tmp_path, len(kinds), kinds=kinds, forked=True, bucket=server.endpoint)
        check(figures, back_within=60)
        left = asyncio.run(left_in(server.endpoint, tmp_path))
    assert left.missing == 0 and left.swept == 0 and left.objects - left.orphans >= figures.posts, left


def test_a_queue_that_forgets_what_ran_is_found(tmp_path: Path) -> None:
    figures = measure(tmp_path, 1, kinds=("claimed",), bug="forgets what ran", patience=3, forked=True)
    with pytest.raises(AssertionError):
        check(figures)


@pytest.mark.slow
def test_a_queue_that_leaves_what_was_written_is_found(tmp_path: Path) -> None:
    figures = measure(
        tmp_path,
        1,
        kinds=("video taken",),
        bug="leaves what was written",
        patience=3,
        forked=True,
        videos=True,
    )
    with pytest.raises(AssertionError, match="folder of job"):
        check(figures)
