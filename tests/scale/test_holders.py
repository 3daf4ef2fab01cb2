"""Processes know which of their connections to Discord others have too."""

from functools import partial
from pathlib import Path

import pytest

from storage.database import Database, open_database
from storage.several import holders
from tests.fresh import address_in

pytestmark = pytest.mark.postgres


async def _alone(database: Database, *numbers: int) -> set[int]:
    return set(await database.write(partial(holders.alone, numbers=numbers), keys=()))


async def test_a_connection_is_anothers_too_until_that_process_ends(tmp_path: Path) -> None:
    address = address_in(tmp_path)
    async with open_database(address, None, several=True) as old:
        assert await _alone(old, 0, 1) == {0, 1}
        async with open_database(address, None, several=True) as new:
            assert await _alone(new, 1, 2) == {2}
            assert await _alone(old, 0, 1) == {0}
            assert await _alone(new, 1, 2) == {2}
        assert await _alone(old, 0, 1) == {0, 1}
