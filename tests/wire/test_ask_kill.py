"""SIGKILL in the middle of answers and conversations. The long form is ``python -m proofs.wire.ask_kill``."""

from pathlib import Path

import pytest

from proofs.wire import ask_kill
from tests.wire.forked import ForkedBot


@pytest.mark.slow
@pytest.mark.parametrize("by_server", [False, pytest.param(True, marks=pytest.mark.long)])
async def test_no_turn_is_lost_or_doubled_whenever_the_bot_is_killed(tmp_path: Path, by_server: bool) -> None:
    points = ["after answering", "random", "before answering"]
    report, wrong, answers = await ask_kill.run(tmp_path, points, process=ForkedBot, by_server=by_server)
    assert (report.lost, report.doubled, report.silent, wrong) == ([], [], [], []), report.stories
    assert not report.missed
    assert answers >= 4 and report.kills.total() == 3
