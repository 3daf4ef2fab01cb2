"""Whose database, folder and files these are: what a start takes for one studio, and what it refuses."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from core.errors import FilesAway, StorageError
from storage import people
from storage.blobs.base import studio_of
from storage.blobs.local import Folder
from storage.database import Database, open_database
from storage.identity import ADOPTED, LEFT, MARK, TURN, Identity
from storage.people import user_seen
from storage.privacy import note_upload
from tests.storage.conftest import NOW
from tests.support.fresh import address_in, fresh_database


class Studio:
    """One studio's database, folder and files; any of them can be of another's."""

    def __init__(self, database: Database, data: Path, files: Folder) -> None:
        self.database, self.data, self.files = database, data, files
        self.identity = Identity(database, files, data)

    async def draw(self, *, named: bool = True) -> str:
        sha256 = await self.files.put(os.urandom(8), "image/png")
        if named:
            await self.database.write(lambda c: note_upload(c, 7, sha256, now=NOW))
        return sha256

    async def setting(self, key: str) -> object:
        return await self.database.read(lambda c: people.read_setting(c, key))

    async def marks(self) -> tuple[object, object, object]:
        """The names in the rows, in DATA_DIR and in the files."""
        path = self.data / MARK
        return (
            await self.setting(people.STUDIO),
            path.read_text().strip() if path.exists() else None,
            studio_of(await self.files.owner()),
        )


@asynccontextmanager
async def studio(
    root: Path, *, rows: str = "rows", data: str = "data", files: str = "pictures"
) -> AsyncIterator[Studio]:
    (root / data).mkdir(exist_ok=True)
    async with open_database(address_in(root / rows), root / data / "backups") as database:
        yield Studio(database, root / data, Folder(root / files, ballast_bytes=4096))


async def settled(root: Path) -> None:
    """A studio with a picture, after its first start."""
    async with studio(root) as one:
        await one.identity.settle()
        await one.draw()


async def test_a_fresh_installation_and_one_of_before_get_one_name_without_a_word(tmp_path: Path) -> None:
    async with studio(tmp_path) as fresh:
        await fresh.identity.settle()
        name, *others = await fresh.marks()
        assert name and others == [name, name]
        await fresh.identity.settle()
        assert (await fresh.marks())[0] == name
    (tmp_path / "old").mkdir()
    async with studio(tmp_path / "old") as old:
        await old.draw()
        await old.identity.settle()
        name, *others = await old.marks()
        assert name and others == [name, name] and await old.setting(ADOPTED) is None


async def test_of_two_processes_that_start_at_once_the_first_gives_the_name(tmp_path, monkeypatch) -> None:
    async with studio(tmp_path) as one:
        owner, names = one.files.owner, []

        async def settled_meanwhile() -> str | None:
            found = await owner()
            if not names:
                names.append(None)
                await one.identity.settle()
                names[0] = (await one.marks())[0]
            return found

        monkeypatch.setattr(one.files, "owner", settled_meanwhile)
        await Identity(one.database, one.files, one.data).settle()
        assert await one.marks() == tuple(names * 3) and names[0]


@pytest.mark.parametrize("kept", ["pictures", "backups", "data"])
async def test_a_new_database_beside_old_objects_is_refused_and_changes_nothing(tmp_path, kept: str) -> None:
    await settled(tmp_path)
    if kept != "data":
        (tmp_path / "data" / MARK).unlink()
        (tmp_path / "pictures" / "owner").unlink()
    if kept == "backups":
        shutil.rmtree(tmp_path / "pictures")
        (tmp_path / "data" / "backups").mkdir()
        (tmp_path / "data" / "backups" / "atelier-20260101T000000000000Z.db").touch()
    async with studio(tmp_path, rows="new") as new:
        before = await new.marks()
        with pytest.raises(StorageError, match=r"Correct DATABASE_URL.*atelier run --adopt"):
            await new.identity.settle()
        assert await new.marks() == before and before[0] is None
        await new.identity.settle(adopt=True)
        name, *others = await new.marks()
        assert name and others == [name, name]
        assert await new.setting(ADOPTED), "what lay there may be named elsewhere"


async def test_a_copied_env_with_the_same_pictures_never_gets_hold_of_them(tmp_path: Path) -> None:
    await settled(tmp_path)
    async with studio(tmp_path, rows="trial rows", data="trial") as trial:
        for adopt in (False, True):
            with pytest.raises(StorageError, match="give this studio its own FILES_URL"):
                await trial.identity.settle(adopt=adopt)
    async with studio(tmp_path) as real:
        await real.identity.check()


async def test_a_database_of_another_studio_is_refused(tmp_path: Path) -> None:
    await settled(tmp_path)
    (tmp_path / "other").mkdir()
    await settled(tmp_path / "other")
    async with studio(tmp_path / "other") as there:
        here = Folder(tmp_path / "pictures")
        for data, files in ((tmp_path / "data", there.files), (tmp_path / "data", here)):
            with pytest.raises(StorageError, match=r"\(DATA_DIR\) belongs to studio"):
                await Studio(there.database, data, files).identity.settle()
        with pytest.raises(StorageError, match="give this studio its own FILES_URL"):
            await Studio(there.database, there.data, here).identity.settle()


async def test_rows_of_before_they_had_a_name_are_known_by_their_files(tmp_path: Path) -> None:
    await settled(tmp_path)
    async with studio(tmp_path) as one:
        name = (await one.marks())[0]
        await one.database.write(lambda c: people.set_setting(c, people.STUDIO, None))
        await one.identity.settle()
        assert await one.marks() == (name, name, name)


async def test_pictures_that_are_not_there_are_told_and_nothing_is_marked(tmp_path: Path) -> None:
    async with studio(tmp_path) as one:
        await one.draw()
    (tmp_path / "pictures").rename(tmp_path / "not mounted")
    async with studio(tmp_path) as one:
        with pytest.raises(StorageError, match="Is its disk mounted"):
            await one.identity.settle()
        assert await one.marks() == (None, None, None) and not (tmp_path / "pictures").exists()


async def test_files_that_are_away_hold_up_no_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await settled(tmp_path)

    async def away() -> str | None:
        raise FilesAway("the bucket doesn't answer")

    async with studio(tmp_path) as one:
        monkeypatch.setattr(one.files, "owner", away)
        await one.identity.settle()
        with pytest.raises(FilesAway):
            await one.identity.check()


async def test_backups_that_nobody_had_used_keep_no_new_studio_from_its_name(tmp_path: Path) -> None:
    """A studio whose bucket was away at its first start has none yet, and a backup of that day."""
    fresh_database(tmp_path / "data" / "backups" / "atelier-20260101T000000000000Z-daily.db")
    async with studio(tmp_path) as one:
        await one.identity.settle()
        assert len(set(await one.marks())) == 1


async def test_what_rows_were_moved_from_starts_only_under_a_new_name(tmp_path: Path) -> None:
    await settled(tmp_path)
    async with studio(tmp_path) as left:
        name = (await left.marks())[0]
        await left.database.write(lambda c: people.set_setting(c, LEFT, "postgresql://there"))
        with pytest.raises(StorageError, match="moved to postgresql://there"):
            await left.identity.settle()
        await left.identity.settle(adopt=True)
        new, *others = await left.marks()
        assert new != name and others == [new, new] and await left.setting(LEFT) is None
        await left.identity.settle()


async def test_a_database_without_pictures_is_used_by_somebody(tmp_path: Path) -> None:
    (tmp_path / "data" / "backups").mkdir(parents=True)
    (tmp_path / "data" / "backups" / "atelier-20260101T000000000000Z-before-0028.db").touch()
    async with studio(tmp_path) as one:
        await one.database.write(lambda c: user_seen(c, 7, "Ann", now=NOW))
        await one.identity.settle()
        assert len(set(await one.marks())) == 1


async def test_a_full_disk_refuses_no_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    async with studio(tmp_path) as one:
        await one.draw()
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", full)
            await one.identity.settle()
        await one.identity.settle()
        assert len(set(await one.marks())) == 1


async def test_a_copy_that_lives_too_is_noticed_by_both(tmp_path: Path) -> None:
    await settled(tmp_path)
    async with studio(tmp_path) as one:
        assert await one.identity.take_turn() and await one.identity.take_turn()
        async with studio(tmp_path, rows="copy") as copy:
            for key in (people.STUDIO, TURN):
                value = await one.setting(key)
                await copy.database.write(partial(people.set_setting, key=key, value=value))
            assert await copy.identity.take_turn(), "it can't know yet"
            for _ in range(3):
                assert not await one.identity.take_turn() and not await copy.identity.take_turn()
        assert not await one.identity.take_turn() and await one.identity.take_turn(), "alone again"
        await one.identity.check()
