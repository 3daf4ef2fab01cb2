"""The short form of ``python -m tests.scale.shards``."""

from pathlib import Path

import pytest

from tests import nats
from tests.scale.shards import Plan, measure

pytestmark = [pytest.mark.postgres, pytest.mark.long]
SHORT = Plan(processes=2, shards=2, concurrency=2, rate=4, quiet=2, beside=3)


async def test_processes_are_replaced_while_members_ask_and_each_is_answered_once(tmp_path: Path) -> None:
    nats.need()
    result = await measure(tmp_path, SHORT)
    assert result.wrong == [] and result.identifies == 8 and result.closest >= 5.0
    assert result.crowd.sent > 40 and result.crowd.both > 0
