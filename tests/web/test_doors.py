"""Each job's end is told by the door it was asked at. The long form is ``proofs.web.doors``."""

import pytest

from core.job import Surface
from proofs.web import doors


@pytest.fixture(autouse=True)
def longer_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "LONGEST", 0.1)


async def test_each_job_is_told_by_the_door_that_it_was_asked_at(tmp_path) -> None:
    figures = await doors.run(tmp_path, 6)
    assert figures.wrong == [] and figures.cut_off
    assert figures.by[Surface.WEB] and figures.by[Surface.DISCORD]
    assert figures.by.total() == figures.jobs


async def test_the_count_sees_a_discord_that_follows_every_job(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(doors, "LONGEST", 0.5)  # long enough to post something, on a busy machine too
    assert (await doors.run(tmp_path, 8, bug=doors.BUGS[0])).wrong
