"""A person's own pictures, sorted: folders, of which a smart one has filters and finds its pictures each time
anew, and the trash, which nothing shows until its author takes it back or its time is up."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from sqlalchemy.exc import IntegrityError

from core.errors import ImageError, UserError
from core.limits import name_of
from jobs.queue import Queue
from storage import collections as rows
from storage.collections import Folder, Named, pick_pictures
from storage.database import Database
from studio.authority import Action, Actor
from studio.privacy import Privacy
from studio.rights import Rights

Written = TypeVar("Written")
AT_ONCE = 200  # pictures that are deleted in one transaction: every other write waits for it
NOTHING = "None of these pictures is there any more, or is yours."


async def _pick_own(rights: Rights, database: Database, actor: Actor, names: Sequence[Named]) -> list[Named]:
    """Return those of the named pictures that are the actor's own. Raises ImageError for none."""
    found = await database.read(partial(pick_pictures, names=names))
    mine = await rights.owned(actor, Action.ORGANISE, {job.id: job for job, _ in found}.values())
    own = [(job.id, picture.index) for job, picture in found if job.id in mine]
    if not own:
        raise ImageError(NOTHING)
    return own


def _note_changed(queue: Queue, actor: Actor, names: Sequence[Named]) -> None:
    queue.note_changed(actor.user_id, *dict.fromkeys(job_id for job_id, _ in names))


class Trash:
    """Puts pictures away. A picture is named by its job's id and its own number from 0.

    Whatever isn't the actor's own is left out as if it weren't there.
    """

    def __init__(self, rights: Rights, database: Database, queue: Queue, privacy: Privacy) -> None:
        self._rights, self._database, self._queue, self._privacy = rights, database, queue, privacy

    @property
    def days(self) -> int:
        """For how many days pictures stay in the trash."""
        return self._privacy.retention.trash

    async def put(self, actor: Actor, names: Sequence[Named]) -> list[Named]:
        """Put pictures into the trash and return those that are there now. Raises ImageError for none."""
        own = await _pick_own(self._rights, self._database, actor, names)
        put = partial(rows.put_in_trash, user_id=actor.user_id, names=own, now=datetime.now(UTC))
        await self._database.write(put)
        _note_changed(self._queue, actor, own)
        return own

    async def take_back(self, actor: Actor, names: Sequence[Named]) -> list[Named]:
        """Take pictures out of the trash and return them. Raises ImageError for none."""
        await self._rights.check(actor, Action.MINE)
        work = partial(rows.take_back, user_id=actor.user_id, names=names)
        back = await self._database.write(work)
        if not back:
            raise ImageError(NOTHING)
        _note_changed(self._queue, actor, back)
        return back

    async def delete(self, actor: Actor, names: Sequence[Named]) -> int:
        """Delete pictures for good that are in the trash; return how many. Raises ImageError for none."""
        await self._rights.check(actor, Action.MINE)
        work = partial(rows.list_trashed, user_id=actor.user_id, names=names)
        if not (found := await self._database.read(work)):
            raise ImageError(NOTHING)
        for start in range(0, len(found), AT_ONCE):
            await self._privacy.delete_pictures(actor.user_id, found[start : start + AT_ONCE])
        return len(found)

    async def empty(self, actor: Actor) -> int:
        """Delete for good all that is in the trash; return how many pictures that were."""
        await self._rights.check(actor, Action.MINE)
        some = partial(rows.list_trash, user_id=actor.user_id, limit=AT_ONCE)
        count = 0
        while names := await self._database.read(some, once=True):
            await self._privacy.delete_pictures(actor.user_id, names)
            count += len(names)
        return count

    async def count(self, actor: Actor) -> int:
        """Return how many pictures are in the trash."""
        await self._rights.check(actor, Action.MINE)
        return await self._database.read(partial(rows.count_trash, user_id=actor.user_id), once=True)


MOST_FOLDERS, MOST_ITEMS = 200, 10_000  # of a person; of a folder


class Folders:
    """Sorts pictures. Where a method returns None or False, the actor has no such folder. forget_learned:
    deletes what was trained on a folder of an actor's."""

    def __init__(
        self,
        rights: Rights,
        database: Database,
        queue: Queue,
        forget_learned: Callable[[Actor, str], Awaitable[None]],
    ) -> None:
        self._rights, self._database, self._queue = rights, database, queue
        self._forget_learned = forget_learned

    async def all(self, actor: Actor) -> list[Folder]:
        """Return the actor's folders by name, each with how many links show it."""
        await self._rights.check(actor, Action.MINE)
        shown = partial(rows.count_links, user_id=actor.user_id, now=datetime.now(UTC))
        links = await self._database.read(shown)
        found = await self._database.read(partial(rows.list_folders, user_id=actor.user_id))
        return [replace(folder, links=links.get(folder.id, 0)) for folder in found]

    async def one(self, actor: Actor, folder_id: str) -> Folder | None:
        """Return a folder of the actor's."""
        await self._rights.check(actor, Action.MINE)
        work = partial(rows.read_folder, user_id=actor.user_id, folder_id=folder_id)
        return await self._database.read(work)

    async def create(self, actor: Actor, name: str, query: str | None = None) -> Folder:
        """Make a folder, a smart one of a ``query``. Raises UserError for a name that isn't taken, and after
        too many folders."""
        await self._rights.check(actor, Action.MINE)
        work = partial(rows.add_folder, user_id=actor.user_id, query=query, most=MOST_FOLDERS)
        made = await self._write_named(partial(work, now=datetime.now(UTC)), name)
        if made is None:
            raise UserError(f"You have {MOST_FOLDERS} folders, which is the limit. Delete one first.")
        return made

    async def rename(self, actor: Actor, folder_id: str, name: str) -> bool:
        """Give a folder another name. Raises UserError for one that isn't taken."""
        await self._rights.check(actor, Action.MINE)
        work = partial(rows.rename_folder, user_id=actor.user_id, folder_id=folder_id)
        return await self._write_named(work, name)

    async def _write_named(self, work: Callable[..., Written], name: str) -> Written:
        """Write a folder with a name as it is kept. Raises UserError for one that isn't taken."""
        try:
            return await self._database.write(partial(work, name=name_of(name, "A folder", needed=True)))
        except IntegrityError as error:
            raise UserError(f"You have a folder called “{' '.join(name.split())}” already.") from error

    async def delete(self, actor: Actor, folder_id: str) -> bool:
        """Delete a folder, and what was trained on it; its pictures stay where they are."""
        await self._rights.check(actor, Action.MINE)
        await self._forget_learned(actor, folder_id)
        work = partial(rows.delete_folder, user_id=actor.user_id, folder_id=folder_id)
        return await self._database.write(work)

    async def put(self, actor: Actor, folder_id: str, names: Sequence[Named]) -> int | None:
        """Put pictures of the actor's own into a folder; return how many are new there. Raises ImageError
        when none of them is the actor's, UserError for a smart or a full folder."""
        if await self._plain(actor, folder_id) is None:
            return None
        own = await _pick_own(self._rights, self._database, actor, names)
        work = partial(rows.put_in_folder, folder_id=folder_id, names=own, most=MOST_ITEMS)
        if (count := await self._database.write(partial(work, now=datetime.now(UTC)))) is None:
            raise UserError(f"A folder holds up to {MOST_ITEMS:,} pictures. Nothing was added.")
        _note_changed(self._queue, actor, own)
        return count

    async def take_out(self, actor: Actor, folder_id: str, names: Sequence[Named]) -> int | None:
        """Take pictures out of a folder; return how many were in it. Raises UserError for a smart one."""
        if await self._plain(actor, folder_id) is None:
            return None
        count = await self._database.write(partial(rows.take_out, folder_id=folder_id, names=names))
        _note_changed(self._queue, actor, names)
        return count

    async def _plain(self, actor: Actor, folder_id: str) -> Folder | None:
        found = await self.one(actor, folder_id)
        if found is not None and found.query is not None:
            raise UserError("A smart folder finds its pictures by itself. Choose another folder.")
        return found
