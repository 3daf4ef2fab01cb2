"""Whose rows, folder and files these are. Each carries the name of its studio: rows in a setting, DATA_DIR
and files in a mark. A start looks whether they are one studio's, and so does whatever deletes files.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from core.errors import FilesAway, StorageError
from storage import people
from storage.blobs.base import Files, studio_of
from storage.database import Database
from storage.engines import sqlite
from storage.engines.base import Work, our_errors, sqlite_path
from storage.schema import jobs, pictures, settings, uploads, users

NOTE = "moving"  # key of the note in the target's settings
LEFT = "moved_to"  # of that in the source's: where the rows are now
CAME_FROM = "moved_from"  # in the target's, once it is finished: {"source": …, "at": seconds since 1970}
MARK = "studio"  # the file in DATA_DIR with the studio's name
TURN = "turn"  # setting: what was put behind the name in the files' mark when these rows were last swept by
ADOPTED = "adopted"  # setting: rows elsewhere may name files of before then, in seconds since 1970
SAMPLE = 20  # of the newest files that rows name, of each kind
ADOPT = (
    " If this is intended, `atelier run --adopt` joins them into one studio. Files that no row names are"
    " then kept for good."
)
OTHER_ROWS = (
    "{folder} (DATA_DIR) belongs to studio {marked}, the database is {ours}. No picture is touched. Correct"
    " DATABASE_URL or DATA_DIR, or restore a backup (`atelier restore`)."
)
OTHER_FILES = (
    "{files} belongs to studio {owner}, the database is {ours}. No picture is touched. Correct"
    " DATABASE_URL, or give this studio its own FILES_URL. Only if that studio is no more, delete"
    " the file `owner` there."
)
BESIDE = (
    "The database is new, and there are {what} of a studio already. No picture is touched. Correct"
    " DATABASE_URL, DATA_DIR or FILES_URL, or restore a backup (`atelier restore`)."
)
NOT_THERE = (
    "The database names pictures, and none of them is in {files}. No picture is touched. Is its disk"
    " mounted? Are FILES_URL and DATABASE_URL right?"
)
MOVED = (
    "The rows of this database were moved to {to}: set DATABASE_URL to that. To come back, move them back"
    " with `atelier move-database`. `atelier run --adopt` starts on what was left here, without what was made"
    " since."
)
log = logging.getLogger(__name__)


class Identity:
    """The studio that a database, its files and ``folder`` (DATA_DIR) belong to."""

    def __init__(self, database: Database, files: Files, folder: Path) -> None:
        self._database, self._files, self._folder = database, files, folder

    async def settle(self, *, adopt: bool = False) -> None:
        """At a start: ``check`` that all belong together, at the next look if the files are away."""
        try:
            await self.check(adopt=adopt)
        except FilesAway as error:
            log.warning("whose files these are can't be seen, so none is deleted: %s", error)

    async def check(self, *, adopt: bool = False) -> None:
        """See that all belong together, and mark what isn't marked yet. adopt: make them one studio, but for
        files that are marked as another's. Raises StorageError, with what can be done; FilesAway."""
        seen = await inspect_studio(
            self._database.read, self._files, self._folder, self._database.backup_dir, adopt=adopt
        )
        name = seen.name
        if adopt or seen.owner is None and not seen.ours and await _holds_files(self._files):
            await self._database.write(partial(people.set_setting, key=ADOPTED, value=time.time()))
        if name is None or name != seen.in_rows:
            name = await self._database.write(partial(_call, name=name))
        try:
            if seen.owner != name:
                await self._files.mark(name)
            if seen.marked != name:
                mark = self._folder / f"{MARK}.tmp"
                await asyncio.to_thread(mark.write_text, f"{name}\n")
                await asyncio.to_thread(os.replace, mark, self._folder / MARK)
        except FilesAway:
            raise
        except (StorageError, OSError) as error:  # a full disk: the next look tries it again
            log.warning("whose files these are can't be written down: %s", error)

    async def take_turn(self) -> bool:
        """Note in rows and files that these are swept by those; return whether nobody else did so since. A
        copy of the database that lives too has, and so has one that another has replaced meanwhile. Raises
        StorageError, FilesAway."""

        def note(connection: sa.Connection) -> tuple[str, str | None, str]:
            last, turn = people.read_setting(connection, TURN), secrets.token_hex(8)
            people.set_setting(connection, TURN, turn)
            return people.studio(connection), last, turn

        name, last, turn = await self._database.write(note)
        before = (await self._files.owner() or "").split()[1:]
        await self._files.mark(f"{name} {turn}")
        return before == ([last] if last else [])


@dataclass(frozen=True)
class Seen:
    """What names a studio. name: the one that all are to have, None = a new one. in_rows, marked, owner: what
    the rows, DATA_DIR and the files say. ours: some of the files that rows name are there."""

    name: str | None
    in_rows: str | None
    marked: str | None
    owner: str | None
    ours: bool


async def inspect_studio(
    read: Read, files: Files, folder: Path, backup_dir: Path | None, *, adopt: bool = False
) -> Seen:
    """Look whether rows, files and ``folder`` (DATA_DIR) are one studio's, and change nothing. read: runs a
    function on the rows. Raises StorageError, with what can be done; FilesAway."""
    rows = await read(_names)
    name, left_for = rows.get(people.STUDIO), rows.get(LEFT)
    marked = await asyncio.to_thread(_read_mark, folder)
    owner = studio_of(await files.owner())
    if left_for is not None and not adopt:
        raise StorageError(MOVED.format(to=left_for))
    unknown = owner is None or name is None
    named = await read(_newest_files) if unknown else []
    ours = await _has(files, named)  # rows and files belong together, though not marked
    if name is None and ours:
        name = marked or owner
    told = f"of studio {name}" if name else "new"
    if marked not in (None, name) and not adopt:
        raise StorageError(OTHER_ROWS.format(folder=folder, marked=marked, ours=told) + ADOPT)
    if owner not in (None, name) and not (adopt and owner == marked):
        raise StorageError(OTHER_FILES.format(files=files, owner=owner, ours=told) + ADOPT)
    if owner is None and named and not ours and not adopt:
        raise StorageError(NOT_THERE.format(files=files) + ADOPT)
    if name is None and not named and not adopt and (what := await _beside(read, files, backup_dir)):
        raise StorageError(BESIDE.format(what=what) + ADOPT)
    # what was moved goes on under the old name
    return Seen(name if left_for is None else None, rows.get(people.STUDIO), marked, owner, ours)


async def _has(files: Files, names: Iterable[str]) -> bool:
    """Return whether one of these files is there. Raises FilesAway."""
    for sha256 in names:
        if await files.has(sha256):
            return True
    return False


async def _holds_files(files: Files) -> bool:
    """Return whether there is any file. Raises FilesAway."""
    async for _ in files.entries():
        return True
    return False


async def _beside(read: Read, files: Files, backup_dir: Path | None) -> str:
    """Return what there is already of a studio beside rows that nobody has ever used, "" for nothing."""
    if await read(_is_used):
        return ""
    if await _holds_files(files):
        return "pictures"
    found = await asyncio.to_thread(lambda: list(backup_dir.glob("*.db")) if backup_dir else [])
    return "backups" if any([await _holds_a_studio(backup) for backup in found]) else ""


def _read_mark(folder: Path) -> str | None:
    try:
        return (folder / MARK).read_text().strip() or None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{folder / MARK} can't be read: {error.strerror}") from error


def _names(connection: sa.Connection) -> dict[str, str]:
    keys = (people.STUDIO, LEFT)
    found = {key: people.read_setting(connection, key) for key in keys}
    return {key: str(value) for key, value in found.items() if value is not None}


def _newest_files(connection: sa.Connection) -> list[str]:
    """Return some of the files that rows name."""
    made = sa.select(pictures.c.sha256).join(jobs, jobs.c.id == pictures.c.job_id).order_by(jobs.c.seq.desc())
    sent = sa.select(uploads.c.sha256).order_by(uploads.c.at.desc())
    return [name for some in (made, sent) for name in connection.execute(some.limit(SAMPLE)).scalars()]


def _is_used(connection: sa.Connection) -> bool:
    some = (sa.select(sa.literal(1)).select_from(table).limit(1) for table in (jobs, users, uploads))
    return any(connection.execute(one).first() is not None for one in some)


async def _holds_a_studio(backup: Path) -> bool:
    """Return whether anybody had used the rows of a backup; what can't be read counts as used."""
    try:
        async with read_only(backup) as read:
            return bool(await read(_is_used))
    except StorageError:
        return True


def _call(connection: sa.Connection, name: str | None) -> str:
    """Call the studio so, None = by a new name, and let it start here; a name given meanwhile stays."""
    left = connection.execute(sa.delete(settings).where(settings.c.key == LEFT)).rowcount
    if name or left:
        people.set_setting(connection, people.STUDIO, name or secrets.token_hex(8))
    return people.studio(connection)


Read = Callable[[Work], Awaitable[Any]]


@asynccontextmanager
async def read_only(address: str | Path) -> AsyncIterator[Read]:
    """Have what runs a function on the rows at ``address``. Raises StorageError where they can't be read."""
    path = sqlite_path(address)
    if path is not None:
        yield partial(asyncio.to_thread, partial(_look, path))
        return
    from storage.engines.postgres import Server

    server = Server(str(address), 1)

    async def read(work: Work) -> Any:
        with our_errors():
            async with server.readers.connect() as connection:
                return await connection.run_sync(work)

    try:
        yield read
    finally:
        await server.close()


def _look(path: Path, work: Work) -> Any:
    engine = sa.create_engine(
        "sqlite://", creator=partial(sqlite.read_only, path), poolclass=sa.NullPool, hide_parameters=True
    )
    with our_errors(), engine.connect() as connection:
        return work(connection)


def note_of(connection: sa.Connection) -> Any:
    """Return what the move has noted, None when none is under way."""
    text = connection.scalar(sa.select(settings.c.value).where(settings.c.key == NOTE))
    return None if text is None else json.loads(text)


async def refuse_half_moved(database: Database) -> None:
    """Raise StorageError when a move into the database isn't finished."""
    if await database.read(note_of) is not None:
        raise StorageError(
            "A move into this database isn't finished. Run `atelier move-database` again, which continues"
            " it, or set DATABASE_URL back to where the rows came from."
        )
