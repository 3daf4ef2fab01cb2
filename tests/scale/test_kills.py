"""The short form of ``python -m proofs.wire.kill --postgres``: the whole bot is killed, its rows lie on a
server."""

from functools import partial
from pathlib import Path

import pytest

from proofs.wire import kill
from tests.support.fresh import address_in
from tests.wire.forked import ForkedBot

pytestmark = pytest.mark.postgres


async def test_every_job_ends_with_one_message_whenever_the_bot_on_a_server_is_killed(tmp_path: Path) -> None:
    points = ["job rendered", "before result", "random"]
    process = partial(ForkedBot, DATABASE_URL=address_in(tmp_path))
    report = await kill.run(tmp_path, points, process=process)
    assert (report.lost, report.doubled, report.missed, report.silent) == ([], [], [], []), report.stories
    assert report.kills.total() == 3 and report.results + report.failures == report.jobs >= 3
    assert not (tmp_path / "atelier.db").exists()


async def test_a_bot_on_a_server_that_forgets_what_it_owes_is_found(tmp_path: Path) -> None:
    process = partial(ForkedBot, DATABASE_URL=address_in(tmp_path))
    report = await kill.run(tmp_path, ["job rendered"], "--no-resume", settle=4, process=process)
    assert report.lost and not report.doubled
