"""Projects that watch: folders and cameras that managers have chosen of those that the operator names, whose
new pictures are judged one by one, each by a job of the lowest lane; and what people find of those stopped.

A look at a folder has a thread of its own: one that doesn't answer holds nothing up but its own watch.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic
from types import MappingProxyType
from typing import Any, TypeVar

from sqlalchemy.exc import IntegrityError

from core.errors import ImageError, LimitError, NotAllowedError, StorageError, UserError
from core.job import Job, Lane, Origin, Surface, new_job_id
from core.language import N_, _, own_language, shared_language, speaking
from core.outside import MQTT, NO_BROKER, Still
from core.requests.custom_models import ANOMALY
from storage import watches as rows
from storage.people import pages
from storage.projects import projects as project_rows
from storage.projects import versions
from storage.projects.projects import Label, Project
from storage.watches import Seen, Watch, Watched
from studio.authority import Action, Actor
from studio.media.picture_folder import SLOW, Found, PictureFolder, answered, folder_of, in_thread
from studio.media.uploads import InMemory, OnDisk, Sent, Taken, short_name
from studio.moderation.rules import Blocked
from studio.new_job import NewJob
from studio.projects.alarms import Alarms, QuietHours
from studio.projects.inference import Trying
from studio.projects.projects import DEFECT, Access, own
from studio.rights import Rights
from studio.services import Services

T = TypeVar("T")
OFF = N_("Nothing can be watched here. The operator names cameras with `WATCH_SOURCES`.")
NO_WATCH = N_("This project has no such camera.")
UNREAD = N_("{name} can't be read: {why}.")
NO_DEFECTS = N_("Only a project that finds defects can watch.")
POST = "post"  # the source of a camera whose pictures a program sends
MOST_WATCHES, MOST_NAME = 8, 40  # of a project; characters of a camera's name
MOST_EVERY, USUAL_EVERY = 3600, 5  # seconds between two looks at a camera
MOST_DAYS, USUAL_DAYS = 365, 30  # that pictures of a watch are kept
SNOOZE = timedelta(hours=1)
SHOWN = 50  # alarms of a list
AHEAD = 4  # pictures of a watch that wait to be judged: the person's own jobs need room as well
EVERY, RATIO = 1.0, 20  # seconds between two looks at a folder, or so many times what a look takes
AFTER_TROUBLE = 10.0  # seconds until the next look at a folder where something is wrong
NOTICES_EVERY = 5.0  # seconds
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Board:
    """What a project's watches have seen. watches: none for who may not manage it. rate: how often good parts
    are stopped, as promised and as it is, "" without a model."""

    project: Project
    watches: tuple[Watch, ...]
    alarms: tuple[Watched, ...]
    rate: str
    manages: bool


class Watches:
    """What people decide about watches, and the watching."""

    def __init__(self, access: Access, rights: Rights, inference: Trying, services: Services) -> None:
        self._access, self._rights = access, rights
        self._database, self._privacy = services.database, services.privacy
        self._roots, self._api = services.settings.watch_sources, services.settings.api
        self._alarms = Alarms(services)
        self._watching = Watching(access, rights, inference, services, self._alarms)
        self.running = self._watching.running

    @contextmanager
    def telling(self, follow: Callable[[Job], object]) -> Iterator[None]:
        """Call ``follow`` with each job whose verdict is an alarm, again until it is delivered or the block
        ends."""
        self._alarms.tellers.append(follow)
        try:
            yield
        finally:
            self._alarms.tellers.remove(follow)

    @property
    def is_possible(self) -> bool:
        """Whether the operator lets anything be watched."""
        return bool(self.sources)

    @property
    def sources(self) -> list[str]:
        """The names of what the operator lets be watched."""
        return sorted(self._roots) + ([POST] if self._api else [])

    async def board(self, actor: Actor, name: str, before: datetime | None = None) -> Board:
        """Return what a project's watches have seen; of alarms those that the actor may look at. before: only
        older ones. Raises UserError where there is no such project, NotAllowedError unless the actor may use
        its model."""
        found, _unused = await self._access.find(actor, name, Action.JUDGE)
        manages = await self._access.may(actor, Action.MANAGE_PROJECT, found)
        watches = await self._database.read(partial(rows.list_watches, project_id=found.id))
        work = partial(rows.list_alarms, project_id=found.id, limit=SHOWN, before=before)
        alarms = []
        for one in await self._database.read(work):
            with suppress(NotAllowedError, ImageError):
                await self._rights.job(actor, one.job_id, Action.SHOW)
                alarms.append(one)
        rate = await self._database.read(partial(versions.read_version, project_id=found.id))
        told = ""
        if rate is not None:
            seen = await self._database.read(
                partial(rows.count_seen, project_id=found.id, number=rate.number)
            )
            told = rate_text(rate.promise, seen)
        return Board(found, tuple(watches) if manages else (), tuple(alarms), told, manages)

    async def add(
        self,
        actor: Actor,
        name: str,
        source: str,
        *,
        camera: str = "",
        channel_id: int = 0,
        keep_days: int = USUAL_DAYS,
        every: int = USUAL_EVERY,
        rules: Mapping[str, Any] = MappingProxyType({}),
    ) -> Watch:
        """Let a project watch a folder or camera, by the actor, from now on.

        camera: what alarms call it; "" = as the source. channel_id: of the project's server, that is told;
        somebody's own project tells them alone. every: seconds between two looks at a camera. rules: as of
        ``change``.

        Raises UserError for what isn't taken, LimitError for too many, NotAllowedError unless the actor
        manages the project.
        """
        found, _unused = await self._access.find(actor, name, Action.MANAGE_PROJECT)
        if not self.is_possible:
            raise NotAllowedError(_(OFF))
        if found.task != ANOMALY:
            raise UserError(_(NO_DEFECTS))
        if not 1 <= keep_days <= MOST_DAYS:
            raise UserError(_("Pictures are kept for 1 to {most} days.", most=MOST_DAYS))
        if not 1 <= every <= MOST_EVERY:
            raise UserError(_("A camera is looked at every 1 to {most} seconds.", most=MOST_EVERY))
        source = "/".join(part for part in source.strip().split("/") if part)
        place = await self._begin(source)
        called = " ".join((camera or source).split())
        if not called or len(called) > MOST_NAME or not called.isprintable():
            raise UserError(_("A camera's name takes 1 to {most} characters.", most=MOST_NAME))
        await self._access.check_words(actor, [called], "saved")
        alone = own(found)
        if not alone:
            await self._check_channel(actor, found, channel_id)
        made = Watch(
            new_job_id(),
            found.id,
            actor.user_id,
            called,
            source,
            0 if alone else channel_id,
            own_language() if alone else shared_language(),
            keep_days,
            datetime.now(UTC),
            place=place,
            every=every,
            on_at=datetime.now(UTC),
            **checked_rules(rules),
        )
        try:
            added = await self._database.write(partial(rows.add_watch, made=made, most=MOST_WATCHES))
        except IntegrityError as error:
            raise UserError(_("The project has a camera {name} already.", name=repr(called))) from error
        if not added:
            raise LimitError(
                _("The project has {most} cameras, which is the limit. Remove one first.", most=MOST_WATCHES)
            )
        if DEFECT not in {one.name for one in await self._access.read_book(found)}:
            label = partial(project_rows.put_label, project_id=found.id, label=Label(DEFECT))
            await self._database.write(label)
        return made

    async def _begin(self, source: str) -> int:
        """Return where a folder's pictures of today end, 0 of a camera that shows something. Raises UserError
        where it can't be read."""
        if source == POST and self._api:
            return 0
        if (url := self._watching.url_of(source)) is not None:
            await self._watching.check_answers(url)
            return 0

        def look() -> int:
            folder = PictureFolder(folder_of(self._roots, source), 0)
            folder.begin()
            return folder.place

        return await answered(in_thread(look))

    async def _check_channel(self, actor: Actor, found: Project, channel_id: int) -> None:
        """Raise NotAllowedError unless the actor and the bot may post in a channel of a project's server."""
        for member, one in await self._rights.in_servers(actor):
            if member.guild_id == found.guild_id and member.writes(channel_id) is not None:
                if one.reads(channel_id):
                    return
        raise NotAllowedError(_("Choose a channel of the project's server where you and I may post."))

    async def turn(self, actor: Actor, name: str, watch_id: str, *, on: bool) -> Watch:
        """Let a camera be watched from now on, or not. Raises UserError where there is none, or no folder,
        NotAllowedError unless the actor manages the project."""
        watch = await self._find(actor, name, watch_id)
        change: dict[str, object] = {"is_on": int(on), "trouble": ""}
        if on:
            change["place"] = max(watch.place, await self._begin(watch.source))
            change |= {"on_at": datetime.now(UTC), "sight": "", "is_changed": 0, "is_silent": 0}
        await self._database.write(partial(rows.change_watch, watch_id=watch.id, values=change))
        return watch

    async def change(self, actor: Actor, name: str, camera: str, rules: Mapping[str, Any]) -> None:
        """Say when a camera's alarms are posted. camera: its id or name. rules: what changes of ``RULES``.
        Raises UserError where there is none, or for a value that isn't taken, NotAllowedError unless the
        actor manages the project."""
        found, _unused = await self._access.find(actor, name, Action.MANAGE_PROJECT)
        values = checked_rules(rules)
        for watch in await self._database.read(partial(rows.list_watches, project_id=found.id)):
            if camera in (watch.id, watch.camera):
                await self._database.write(partial(rows.change_watch, watch_id=watch.id, values=values))
                return
        raise UserError(_(NO_WATCH))

    async def receive(self, actor: Actor, name: str, watch_id: str, picture: Sent) -> str:
        """Queue the job that judges a picture which a program of the camera's person sends, and return it.
        Raises UserError where there is no such camera, ImageError for what can't be read, LimitError where it
        has to wait, NotAllowedError for anybody else."""
        watch = await self._find(actor, name, watch_id)
        if watch.source != POST or not watch.is_on:
            raise UserError(_("This camera takes no pictures: it is off, or has another source."))
        if watch.user_id != actor.user_id:
            raise NotAllowedError(_("Pictures come by a token of the person who added the camera."))
        return await self._watching.receive(watch, picture)

    async def snooze(self, actor: Actor, name: str, watch_id: str) -> datetime:
        """Tell nobody of a camera's alarms for an hour; they are listed still. Return until when. Raises
        UserError where there is none, NotAllowedError unless the actor manages the project."""
        watch, until = await self._find(actor, name, watch_id), datetime.now(UTC) + SNOOZE
        change = partial(rows.change_watch, watch_id=watch.id, values={"quiet_until": until})
        await self._database.write(change)
        return until

    async def snooze_by(self, actor: Actor, job_id: str) -> datetime:
        """The same, of the camera whose picture a job has judged. Raises ImageError where it is none, and as
        ``snooze`` does."""
        await self._rights.job(actor, job_id, Action.RATE)
        seen = await self._database.read(partial(rows.read_picture, job_id=job_id))
        if seen is None:
            raise ImageError(f"Job `{job_id}` was asked by no camera.")
        watch = await self._database.read(partial(rows.read_watch, watch_id=seen.watch_id))
        return await self.snooze(actor, watch.project_id if watch else "", seen.watch_id)

    async def remove(self, actor: Actor, name: str, watch_id: str) -> None:
        """Forget a camera with its pictures; those with a label stay in the project. Raises UserError
        where there is none, NotAllowedError unless the actor manages the project."""
        watch = await self._find(actor, name, watch_id)
        await self._database.write(
            partial(rows.change_watch, watch_id=watch.id, values={"is_on": 0})
        )  # no picture comes while the others go
        work = partial(rows.jobs_of, watch_id=watch.id)
        for page in pages(await self._database.read(work)):
            drop = partial(rows.drop_pictures, ids=page, now=datetime.now(UTC))
            await self._privacy.drop(drop, whose=watch.user_id)
        await self._database.write(partial(rows.delete_watch, watch_id=watch.id))
        await self._alarms.retract(watch.id)

    async def _find(self, actor: Actor, name: str, watch_id: str) -> Watch:
        found, _unused = await self._access.find(actor, name, Action.MANAGE_PROJECT)
        watch = await self._database.read(partial(rows.read_watch, watch_id=watch_id))
        if watch is None or watch.project_id != found.id:
            raise UserError(_(NO_WATCH))
        return watch


RULES = ("hours", "most", "silent_after")  # at which nothing is posted; alarms a minute; minutes
MOST_ALARMS, MOST_SILENT = 60, 10_080


def checked_rules(rules: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of ``RULES`` that are given. Raises UserError for a value that isn't taken."""
    given = {name: rules[name] for name in RULES if rules.get(name) is not None}
    QuietHours.of(given.get("hours", ""))
    if not 1 <= given.get("most", 1) <= MOST_ALARMS:
        raise UserError(_("A camera posts 1 to {most} alarms a minute.", most=MOST_ALARMS))
    if not 0 <= given.get("silent_after", 0) <= MOST_SILENT:
        raise UserError(_("A camera counts as silent after 0 to {most} minutes; 0: never.", most=MOST_SILENT))
    return given


def rate_text(promise: float | None, seen: Seen) -> str:
    """Return how often good parts are stopped: as a version promises, and as people have found it so far."""
    good = seen.judged - seen.right
    share = f" ({seen.wrong / good:.1%})" if good else ""
    here = _("Here: {wrong} of {good} good parts{share}.", wrong=seen.wrong, good=good, share=share)
    if unrated := seen.stopped - seen.right - seen.wrong:
        here = _("{here} Alarms without an answer: {unrated}.", here=here, unrated=unrated)
    if not promise:
        return here
    promised = f"{promise:.1%}"
    return _("False alarms promised: about {promised} of good parts. {here}", promised=promised, here=here)


@dataclass(frozen=True)
class Asking:
    """Who asks about pictures that come by themselves, where they belong, and what makes the job of one."""

    within: Actor
    build: Callable[[str], NewJob]


class Watching:
    """Looks at the folders and cameras of all watches that are on, and at what became of their pictures."""

    def __init__(
        self, access: Access, rights: Rights, inference: Trying, services: Services, alarms: Alarms
    ) -> None:
        self._access, self._rights, self._inference = access, rights, inference
        self._alarms = alarms
        self._database, self._queue, self._intake = services.database, services.queue, services.intake
        self._cameras, self._broker = services.cameras, services.broker
        self._read: dict[str, int] = {}  # the last message of each watch
        self._roots = services.settings.watch_sources
        self._folders: dict[str, PictureFolder] = {}  # by watch, while it is on
        self._looks: dict[str, asyncio.Task[None]] = {}  # those under way, by watch
        self._due: dict[str, float] = {}  # when each is looked at next, in monotonic seconds
        self._last: dict[str, asyncio.Future[Any]] = {}  # what was asked of each folder last
        self._left: dict[str, str] = {}  # which file was left alone, and why, until another is taken
        self._one = asyncio.Semaphore(1)  # picture in memory at a time

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Watch while the block runs. What a look leaves undone at its end is done after the next start."""
        watching = self._database.supervisor.forever("watches", self._watch_for_ever)
        task = asyncio.create_task(watching, name="watches")
        try:
            yield
        finally:
            tasks = [task, *self._looks.values()]
            for one in tasks:
                one.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch_for_ever(self) -> None:
        next_notices = 0.0
        while True:
            await self._alarms.settle()
            watches = await self._database.read(rows.list_running)
            on = {one.id for one in watches}
            for kept in (self._folders, self._due, self._last, self._left):
                for gone in kept.keys() - on:
                    del kept[gone]
            for watch in watches:
                if (
                    watch.source != POST
                    and watch.id not in self._looks
                    and monotonic() >= self._due.get(watch.id, 0.0)
                ):
                    task = asyncio.create_task(self._look(watch), name=watch.id)
                    self._looks[watch.id] = task
                    task.add_done_callback(lambda done: self._looks.pop(done.get_name()))
            if monotonic() >= next_notices:
                next_notices = monotonic() + NOTICES_EVERY
                for watch in watches:
                    await self._alarms.announce(watch)
                    await self._alarms.look_after(watch, datetime.now(UTC))
            await asyncio.sleep(EVERY)

    async def _look(self, watch: Watch) -> None:
        """Take what is new in a folder, and note why that can't be done."""
        took, trouble = 0.0, ""
        with speaking(watch.language):
            try:
                took = await self._take(watch)
            except UserError as error:
                trouble = str(error)
            except StorageError as error:
                log.warning("watch %s: what is new is taken later: %s", watch.id, error)
            except Exception:
                log.exception("watch %s: a look failed", watch.id)
        is_still = "://" in (self.url_of(watch.source) or "")
        pause = watch.every if is_still else max(EVERY, RATIO * took)
        self._due[watch.id] = monotonic() + (AFTER_TROUBLE if trouble else pause)
        trouble = trouble or self._left.get(watch.id, "")
        folder = self._folders.get(watch.id)
        change: dict[str, object] = {"trouble": trouble} if trouble != watch.trouble else {}
        if folder is not None and folder.place > watch.place:
            change["place"] = folder.place
        if change:
            await self._database.write(partial(rows.change_watch, watch_id=watch.id, values=change))

    def url_of(self, source: str) -> str | None:
        """Return the address of a camera, None of a folder."""
        place = self._roots.get(source, "")
        return place if "://" in place or place.startswith(MQTT) else None

    async def check_answers(self, url: str) -> None:
        """Raise UserError, which says why, where a camera or its broker doesn't answer."""
        if not url.startswith(MQTT):
            await self._still(url)
        elif self._broker is None:
            raise UserError(_(NO_BROKER))
        else:
            self._broker.after(url.removeprefix(MQTT), 0)

    async def _still(self, url: str) -> Still:
        assert self._cameras is not None
        return await self._cameras.still(url)

    async def _take(self, watch: Watch) -> float:
        """Queue what is new; return the seconds that a look takes. Raises UserError, which says why it
        can't be."""
        if (url := self.url_of(watch.source)) is not None:
            if url.startswith(MQTT):
                await self._take_messages(watch, url.removeprefix(MQTT))
            elif not await self._is_full(watch):
                await self._take_still(watch, await self._still(url))
            return 0.0
        folder = await self._open(watch)
        began = monotonic()
        new = await self._ask(watch, folder.look)
        took = monotonic() - began
        if not new:
            return took
        asking = await self._asking(watch)
        taken, left = False, ""
        for one in new:
            if await self._is_full(watch):
                break
            try:
                async with self._one:
                    await self._take_file(watch, asking, one)
                taken = True
            except LimitError:
                await self._queue.check_room()  # raises where that is why
                break
            except Blocked as error:
                left = f"{short_name(one.name)}: {error}"
            except (ImageError, OSError) as error:
                if not folder.failed(one):
                    continue
                left = str(error)
                if isinstance(error, OSError):
                    left = _(UNREAD, name=short_name(one.name), why=error.strerror or type(error).__name__)
            folder.done(one)
        if left:
            self._left[watch.id] = left
        elif taken:
            self._left.pop(watch.id, None)
        return took

    async def receive(self, watch: Watch, picture: Sent) -> str:
        """Queue the job that judges a picture that was sent. Raises as ``_judge`` does."""
        data = await picture.read()
        asking, name = await self._asking(watch), f"{datetime.now(UTC):%Y-%m-%d %H.%M.%S}"
        take = partial(self._intake.take, picture, watch.user_id, look=True)
        async with self._one:
            return await self._judge(watch, asking, name, hashlib.sha256(data).hexdigest(), take)

    async def _take_messages(self, watch: Watch, topic: str) -> None:
        """Queue what came by a topic, as much as may wait at a time. Raises UserError."""
        if self._broker is None:
            raise UserError(_(NO_BROKER))
        while (found := self._broker.after(topic, self._read.get(watch.id, 0))) and not await self._is_full(
            watch
        ):
            number, data = found
            try:
                if not await self._take_still(watch, Still(data)):
                    return  # it is tried again
            except (ImageError, Blocked):
                self._read[watch.id] = number
                raise
            self._read[watch.id] = number

    async def _take_still(self, watch: Watch, shown: Still) -> bool:
        """Queue what a camera shows; return whether there was room. Raises UserError."""
        asking, name = await self._asking(watch), f"{datetime.now(UTC):%Y-%m-%d %H.%M.%S}"

        async def take() -> Taken:
            if shown.codec:
                return await self._intake.take_key_frame(name, shown.data, shown.codec, watch.user_id)
            return await self._intake.take(InMemory(name, shown.data), watch.user_id, look=True)

        try:
            async with self._one:
                await self._judge(watch, asking, name, hashlib.sha256(shown.data).hexdigest(), take)
        except LimitError:
            await self._queue.check_room()
            return False
        return True

    async def _asking(self, watch: Watch) -> Asking:
        """Return who asks about a watch's pictures, and how. Raises UserError where they may not."""
        asker = Actor(watch.user_id, None, surface=Surface.WEB)
        found, within = await self._access.find(asker, watch.project_id, Action.MANAGE_PROJECT)
        if found.guild_id is None:
            await self._rights.check(asker, Action.ASK)
        return Asking(within, await self._inference.question(asker, found.id))

    async def _is_full(self, watch: Watch) -> bool:
        return await self._database.read(partial(rows.count_waiting, watch_id=watch.id)) >= AHEAD

    async def _open(self, watch: Watch) -> PictureFolder:
        """Return what is known of a watch's folder. Raises UserError where it has gone."""
        path = await self._ask(watch, partial(folder_of, self._roots, watch.source))
        folder = self._folders.get(watch.id)
        if folder is None or folder.path != path or folder.place < watch.place:
            folder = self._folders[watch.id] = PictureFolder(path, watch.place)
        return folder

    async def _ask(self, watch: Watch, work: Callable[[], T]) -> T:
        """Return what ``work`` finds in a watch's folder. Raises as ``answered`` does, also while the last
        question has no answer."""
        if (last := self._last.get(watch.id)) is not None and not last.done():
            raise UserError(_(SLOW))
        look = self._last[watch.id] = in_thread(work)
        return await answered(look)

    async def _take_file(self, watch: Watch, asking: Asking, one: Found) -> None:
        """Queue the job that judges a file. Raises as ``_judge`` does, OSError for one that can't be read."""

        async def take() -> Taken:
            taken = await self._intake.take(OnDisk(one.name, one.path, one.size), watch.user_id, look=True)
            if not one.is_same():
                raise ImageError(_("{name} is still being written.", name=short_name(one.name)))
            return taken

        await self._judge(watch, asking, one.name, await in_thread(one.digest), take)

    async def _judge(
        self, watch: Watch, asking: Asking, name: str, digest: str, take: Callable[[], Awaitable[Taken]]
    ) -> str:
        """Queue the job that judges a picture, once however often its content (``digest``) comes, and return
        it. Raises ImageError for what can't be read, LimitError where it has to wait, Blocked."""
        key = f"watch {watch.id} {digest}"
        work = partial(rows.find_job, user_id=watch.user_id, key=key)
        job_id = await self._database.read(work)
        look = b""
        if job_id is None:
            await self._queue.check_room()
            taken = await take()
            new, look = asking.build(taken.sha256), taken.look
            origin = Origin(
                watch.user_id,
                watch.channel_id,
                asking.within.guild_id,
                roles=asking.within.roles,
                private=new.private,
                surface=Surface.WEB,
                request_key=key,
                language=watch.language,
            )
            job_id = (await self._queue.submit(new.request, origin, lane=Lane.RELAX)).job.id
        note = partial(rows.note_picture, watch_id=watch.id, job_id=job_id, file=name)
        note = partial(note, look=look.hex())
        await self._database.write(partial(note, now=datetime.now(UTC)))
        return job_id
