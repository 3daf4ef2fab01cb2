"""Doctor asks a real server."""

from pathlib import Path

import pytest

from host.doctor_services import OLDEST, ask_server, check_server
from storage.database import open_database
from storage.identity import read_only
from storage.migrate import newest_schema, read_schema
from tests.support.fresh import address_in


@pytest.mark.postgres
async def test_a_server_of_this_machine_has_nothing_to_look_at(tmp_path: Path) -> None:
    async with open_database(address_in(tmp_path), None), read_only(address_in(tmp_path)) as read:
        server = await read(ask_server)
        assert await read(read_schema) == newest_schema()
    assert server is not None and server.number >= OLDEST and server.connections > 50
    assert server.host == "" and not server.encrypted and abs(server.apart) < 2
    assert [line.ok for line in check_server(server, "here")] == [True]
