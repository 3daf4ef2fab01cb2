"""Rows on their way from a file to another database, and back; on a server when the tests run on one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.errors import StorageError
from storage import copy_database, people
from storage.blobs.local import Folder
from storage.copy_database import move
from storage.database import Database, open_database
from storage.identity import Identity, refuse_half_moved
from storage.schema import jobs, metadata
from tests.storage.conftest import NOW, added
from tests.storage.test_migrations import fill
from tests.support.fresh import address_in, fresh_database


@asynccontextmanager
async def _file(folder: Path, *, filled: bool = False) -> AsyncIterator[Database]:
    path = folder / "atelier.db"
    fresh_database(path)
    if filled:
        fill(path)
    async with open_database(path, None) as database:
        yield database


async def _all(database: Database) -> dict[str, Any]:
    return {
        table.name: await copy_database.summarise_table(database, table) for table in metadata.sorted_tables
    }


async def test_every_row_of_every_table_arrives_and_comes_back(tmp_path: Path) -> None:
    async with (
        _file(tmp_path / "from", filled=True) as source,
        open_database(address_in(tmp_path / "to"), None) as target,
        _file(tmp_path / "back") as back,
    ):
        last = [await added(source, interaction_id=number) for number in (101, 102, 103)][-1]
        await source.write(lambda c: c.execute(sa.delete(jobs).where(jobs.c.id == last.id)))
        before = await _all(source)
        there = await move(source, target, "a file", "the target")
        again = await move(target, back, "a server", "the target")
        assert there.tables == again.tables == before == await _all(back)
        assert all(summary.rows for summary in before.values()), "rows of every table were moved"
        for database in (target, back):
            new = await added(database, interaction_id=104)
            (seq,) = await database.read(
                lambda c, id=new.id: c.scalars(sa.select(jobs.c.seq).where(jobs.c.id == id)).all()
            )
            assert seq == there.tables["jobs"].rows + 2, "a number that was given is not given again"
        await refuse_half_moved(target)


async def test_a_move_that_was_cut_off_goes_on_and_serves_nobody_before(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(copy_database, "PAGE", 2)
    write, pages = copy_database._write_page, []

    def stops(connection: sa.Connection, **page: Any) -> None:
        pages.append(page["table"].name)
        if len(pages) == 4:
            raise StorageError("cut off")
        write(connection, **page)

    async with _file(tmp_path / "from") as source:
        for _ in range(9):
            await added(source)
        async with open_database(address_in(tmp_path / "to"), None) as target:
            with monkeypatch.context() as patched, pytest.raises(StorageError, match="cut off"):
                patched.setattr(copy_database, "_write_page", stops)
                await move(source, target, "a file", "the target")
            with pytest.raises(StorageError, match="isn't finished"):
                await refuse_half_moved(target)
            with pytest.raises(StorageError, match="a part of a file"):
                await move(source, target, "another file", "the target")
            assert 0 < (await _all(target))["jobs"].rows < 9
            await move(source, target, "a file", "the target")
            await refuse_half_moved(target)
            assert await _all(target) == await _all(source)


async def test_a_source_that_changed_meanwhile_is_found_and_moved_anew_on_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _file(tmp_path / "from") as source, open_database(address_in(tmp_path / "to"), None) as target:
        await added(source, user=5)
        await target.write(lambda c: copy_database.write_note(c, "a file", {}))
        await move(source, target, "a file", "the target", restart=True)
        await target.write(lambda c: copy_database.write_note(c, "a file", {"jobs": [1], "users": [0]}))
        await source.write(lambda c: people.set_served(c, 5, 7))
        await source.write(lambda c: c.execute(sa.update(jobs).values(prompt="other words")))
        with pytest.raises(StorageError, match=r"jobs \(1 rows there, 1 here\)"):
            await move(source, target, "a file", "the target")
        await move(source, target, "a file", "the target", restart=True)
        assert await _all(target) == await _all(source)


async def test_a_target_with_rows_is_left_alone(tmp_path: Path) -> None:
    async with _file(tmp_path / "from") as source, open_database(address_in(tmp_path / "to"), None) as target:
        await added(target)
        with pytest.raises(StorageError, match="1 in jobs"):
            await move(source, target, "a file", "the target")


async def test_a_character_that_a_server_cannot_keep_is_left_out_and_counted(tmp_path: Path) -> None:
    async with _file(tmp_path / "from") as source, open_database(address_in(tmp_path / "to"), None) as target:
        await source.write(lambda c: people.user_seen(c, 1, "A\0da", now=NOW))
        moved = await move(source, target, "a file", "the target")
        name = await target.read(lambda c: people.read_names(c, [1])[1])
    assert (moved.cleaned, name) == ((1, "Ada") if target.path is None else (0, "A\0da"))


async def test_a_studio_moves_with_its_rows_and_starts_where_they_were_no_more(tmp_path: Path) -> None:
    files = Folder(tmp_path / "pictures", ballast_bytes=4096)
    async with _file(tmp_path / "from") as source, open_database(address_in(tmp_path / "to"), None) as target:
        before, after = (Identity(database, files, tmp_path) for database in (source, target))
        await before.settle()
        await move(source, target, "a file", "postgresql://there")
        await after.settle()
        assert await target.read(people.studio) == await files.owner()
        with pytest.raises(StorageError, match="moved to postgresql://there"):
            await before.settle()
