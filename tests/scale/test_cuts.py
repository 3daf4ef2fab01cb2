"""The short form of ``python -m proofs.scale.cuts``, and its negative control."""

from pathlib import Path

import pytest

from proofs.scale.cuts import STEPS, forgetful, measure, world
from tests.scale.wire import LOST, WAYS
from tests.support import postgres
from tests.support.fresh import address_in

pytestmark = pytest.mark.postgres


def _database(folder: Path) -> str:
    return address_in(folder).partition("?")[0].rpartition("/")[2]


async def test_no_cut_at_a_commit_leaves_a_job_stuck_doubled_or_untold(tmp_path: Path) -> None:
    cuts = len(STEPS) * len(WAYS)
    figures = await measure(tmp_path, str(postgres.folder()), _database(tmp_path), cuts)
    assert figures.problems == []
    assert set(figures.cuts) == {(step, way) for step in STEPS for way in WAYS}


async def test_a_program_that_takes_lost_answers_for_nothing_written_is_found(tmp_path: Path) -> None:
    async with world(tmp_path, str(postgres.folder()), _database(tmp_path)) as made:
        with forgetful():
            await made.live("deliver", LOST)
            await made.live("note", LOST)
    assert made.figures.problems == ["deliver, answer lost: AssertionError: told before"]
