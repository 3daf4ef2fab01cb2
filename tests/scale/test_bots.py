"""The short form of ``python -m tests.scale.bots``."""

from pathlib import Path

import pytest

from tests import nats
from tests.scale.bots import measure

pytestmark = [pytest.mark.postgres, pytest.mark.long]


async def test_two_processes_are_one_bot_whichever_of_them_is_killed(tmp_path: Path) -> None:
    nats.need()
    figures = await measure(tmp_path, 1)
    assert figures.problems == [] and figures.asked == 4 and figures.too_soon == 0
