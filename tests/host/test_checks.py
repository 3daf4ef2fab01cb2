"""What doctor says of a database server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from host.doctor_services import Server, ask_server, check_server
from storage.database import open_database

GOOD = Server(150020, "15.20", 97, True, "10.0.0.5", 0.01)


@pytest.mark.parametrize(
    ("server", "said"),
    [
        (GOOD, [(True, "db/atelier, PostgreSQL 15.20")]),
        (replace(GOOD, number=120022, version="12.22"), [(False, "needs 13")]),
        (replace(GOOD, connections=5), [(True, ""), (False, "one bot needs 6")]),
        (replace(GOOD, encrypted=False), [(True, ""), (None, "read prompts")]),
        (replace(GOOD, encrypted=False, host=""), [(True, "")]),
        (replace(GOOD, apart=-7.0), [(True, ""), (None, "-7 s from ours")]),
    ],
)
def test_what_is_wrong_with_a_server_comes_with_its_fix(
    server: Server, said: list[tuple[bool | None, str]]
) -> None:
    lines = check_server(server, "db/atelier")
    assert [line.ok for line in lines] == [ok for ok, _ in said]
    for line, (ok, words) in zip(lines, said, strict=True):
        assert words in line.found and (ok is True or line.fix)


async def test_a_file_has_no_server(tmp_path: Path) -> None:
    async with open_database(f"sqlite:///{tmp_path / 'atelier.db'}", None) as database:
        assert await database.read(ask_server) is None
