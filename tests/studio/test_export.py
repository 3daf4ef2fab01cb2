"""A person's copy of their data, of any size."""

import io
import json
import threading
import zipfile
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any

import pytest

from core.errors import LimitError, NotAllowedError
from storage import privacy as stored
from studio import privacy
from tests.studio.conftest import ALICE, BOB, AllFit


def read(packed: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def rows_of(files: dict[str, bytes]) -> dict[str, list[dict]]:
    """The rows of a copy by table, put together from all of its files of rows."""
    found: dict[str, list[dict]] = {}
    for name in sorted(files, key=lambda name: (len(name), name)):
        for table, rows in json.loads(files[name]).items() if name.endswith(".json") else ():
            found.setdefault(table, []).extend(rows)
    return found


async def test_one_file_with_everything_comes_in_pieces(opened) -> None:
    result, _ = await opened.drawn(ALICE, "a red house"), await opened.drawn(BOB, "a blue boat")
    pieces = [piece async for piece in opened.studio.own.export(ALICE)]
    files = read(b"".join(pieces))
    assert len(pieces) > 5, "a file at a time"
    told = rows_of(files)
    assert [job["prompt"] for job in told["jobs"]] == ["a red house"]
    assert told.keys() == stored.personal_rows(1).keys()
    pictures = {name for name in files if name.startswith("pictures/")}
    assert {f"pictures/{picture.sha256}.png" for picture in result.pictures} <= pictures
    assert all("actor_id" not in row and "token_hash" not in row for rows in told.values() for row in rows)
    small = read(b"".join([piece async for piece in opened.studio.own.export(ALICE, pictures=False)]))
    assert list(small) == ["data.json"] and rows_of(small) == told


async def test_many_rows_come_in_files_that_fit(opened, monkeypatch) -> None:
    jobs = [(await opened.drawn(ALICE, f"a red house {n}")).job.id for n in range(5)]
    whole = rows_of(read(b"".join([piece async for piece in opened.studio.own.export(ALICE)])))
    monkeypatch.setattr(privacy, "JSON_BYTES", 4000)
    parts = [part async for part in opened.studio.own.export(ALICE, 3000, pictures=False)]
    assert len(parts) > 1 and max(map(len, parts)) <= 3000
    files = {name: data for part in parts for name, data in read(part).items()}
    assert len(files) > 2 and rows_of(files) == whole
    assert [job["id"] for job in whole["jobs"]] == jobs, "in the order in which they were asked for"


async def test_rows_of_a_table_are_read_page_by_page(opened) -> None:
    for n in range(5):
        await opened.drawn(ALICE, f"a red house {n}")
    database = opened.services.database
    for table in ("jobs", "pictures", "messages"):
        whole, end = await database.read(lambda c, t=table: stored.export(c, 1, t, limit=1000))
        assert end is None
        found, after = [], ()
        while after is not None:
            work = lambda c, t=table, a=after: stored.export(c, 1, t, a, limit=2)  # noqa: E731
            page, after = await database.read(work)
            found += page
        assert found == whole, table


async def test_a_person_makes_one_copy_at_a_time(opened) -> None:
    own = opened.studio.own
    async with aclosing(own.export(ALICE)) as first:
        await anext(first)
        with pytest.raises(LimitError, match="Only one copy"):
            await anext(own.export(ALICE))
        assert await anext(own.export(BOB))
    assert await anext(own.export(ALICE)), "it was broken off"


async def test_a_copy_is_for_those_who_are_banned_too(opened) -> None:
    await opened.services.queue.admin.ban(99, ALICE.user_id)
    with pytest.raises(NotAllowedError):
        await opened.studio.own.web_link(ALICE)
    assert await anext(opened.studio.own.export(ALICE))


async def test_rows_become_json_beside_the_event_loop(opened, monkeypatch) -> None:
    threads: list[int] = []

    def dumps(data: Any, **options: Any) -> str:
        threads.append(threading.get_ident())
        return json.dumps(data, **options)

    monkeypatch.setattr(privacy, "json", SimpleNamespace(dumps=dumps))
    [_] = [part async for part in opened.studio.own.export(ALICE, 10**6)]
    assert threads and threading.get_ident() not in threads


async def test_what_is_shown_nowhere_is_in_no_copy(opened) -> None:
    class Doubts(AllFit):
        name = "doubts"

        async def score(self, data: bytes) -> float:
            return 0.6

    result, fine = await opened.drawn(ALICE, "a child at a lake"), await opened.drawn(ALICE, "a lake")
    opened.services.moderator.check = Doubts()
    files = read(b"".join([piece async for piece in opened.studio.own.export(ALICE)]))
    hidden = [picture.sha256 for picture in result.pictures]
    assert sorted(files["held-back.txt"].decode().split()[-len(hidden) :]) == sorted(set(hidden))
    names = {name.rpartition("/")[2].partition(".")[0] for name in files if name.startswith("pictures/")}
    assert not names & {*hidden} and names >= {picture.sha256 for picture in fine.pictures} - {*hidden}
    assert len(rows_of(files)["jobs"]) == 2, "their rows are told"
