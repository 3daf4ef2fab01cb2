"""Which connection is told of what, and the settings that say which are whose."""

from pathlib import Path

import pytest

from core.errors import SettingsError
from core.settings import load
from core.sharding.shards import Shards

SEVERAL = {"DATABASE_URL": "postgresql+psycopg://a@b/c", "BUS_URL": "nats://127.0.0.1:4222"}


def test_every_server_is_told_of_to_one_process() -> None:
    processes = [Shards(5, (0, 3)), Shards(5, (1,)), Shards(5, (2, 4))]
    for guild_id in (number << 22 | 7 for number in range(1, 40)):
        assert [one.hold(guild_id) for one in processes].count(True) == 1
        assert Shards(5).of(guild_id) == (guild_id >> 22) % 5
    assert [one.hold(None) for one in processes] == [True, False, False]
    assert Shards(5).hold(None) and Shards(5).hold(9 << 22) and Shards(5).mine == (0, 1, 2, 3, 4)


@pytest.mark.parametrize(
    ("text", "ids"), [("", ()), ("0-3", (0, 1, 2, 3)), ("4, 0-1,1", (0, 1, 4)), ("7", (7,))]
)
def test_connections_are_named_by_numbers_and_ranges(text: str, ids: tuple[int, ...]) -> None:
    settings = load({**SEVERAL, "SHARDS": "8", "SHARD_IDS": text}, Path("/nowhere"))
    assert settings.shard_ids == ids and settings.sharding == Shards(8, ids)


@pytest.mark.parametrize("text", ["x", "3-1", "-1", "1-", "0-1000", "\u00b2", "1--2", "9" * 50, "1;2"])
def test_what_names_no_connections_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="SHARD_IDS.*takes"):
        load({**SEVERAL, "SHARDS": "8", "SHARD_IDS": text}, Path("/nowhere"))


def test_several_processes_need_a_server_a_bus_and_connections_that_there_are() -> None:
    with pytest.raises(SettingsError) as caught:
        load({"SHARDS": "2", "SHARD_IDS": "0-2"}, Path("/nowhere"))
    assert [line.split()[0] for line in caught.value.problems] == ["SHARD_IDS:"] * 3
    assert all(word in str(caught.value) for word in ("SHARDS=2", "PostgreSQL", "BUS_URL"))
    assert load({"SHARDS": "2"}, Path("/nowhere")).shards == 2  # in one process, on any database
