"""Links that show pictures to whoever has them, for a while, and can be taken back at any time; and posts of
results by their owner to a channel where they may write.

A link is asked about anew at every request: whether it has ended, whether its owner may still share, whether
what it shows is there, and what moderation says of it."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from core.errors import FilesAway, ImageError, LimitError, NotAllowedError, StorageError, UserError
from core.job import Job
from jobs.queue import Queue
from storage import collections, gallery, job_queries
from storage.collections import Named, Share, Shared, pick_pictures
from storage.gallery import Cursor, Filter
from storage.job_queries import StoredPicture
from studio.authority import Action, Actor, Directory, Pace, Place, Unanswered
from studio.library.clips import VideoShowing
from studio.library.gallery import readable_channels
from studio.library.rendition import Showing, Shown
from studio.moderation.rules import Visibility
from studio.new_job import picture_of
from studio.rights import Rights
from studio.services import Services
from studio.texts import duration

MOST_SHARES, MOST_DAYS = 1000, 365
LONGEST_TITLE = 100  # characters
PAGE = 60  # pictures of a folder
PUBLIC = Place(None, 0)  # where whoever has a link looks at it: judged as a direct message is
KEY = "share.key"  # the file of 32 bytes in DATA_DIR
OFF = "Sharing is off here. The operator turns it on with `SHARE_DAYS`."
Visible = tuple[Job, StoredPicture]


def read_key(path: Path) -> bytes:
    """Return a secret of the studio's own, made and kept when it is asked for first. Raises StorageError."""
    try:
        try:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(secrets.token_bytes(32))
        except FileExistsError:
            pass
        key = path.read_bytes()
    except OSError as error:
        raise StorageError(f"{path} can't be used: {error}") from error
    if len(key) < 32:
        raise StorageError(f"{path} has {len(key)} bytes instead of 32. Delete it to have another made.")
    return key


@dataclass(frozen=True)
class Looked:
    """What a link shows now: jobs are ``worded`` whose words it tells. older: where the next page of a folder
    begins, None at the end. captions: by SHA-256, what a picture shows, where its owner had it described."""

    share: Share
    pictures: tuple[Visible, ...]
    older: Cursor | None = None
    captions: Mapping[str, str] = field(default_factory=dict)


class Shares:
    """Makes links, shows what they stand for, and ends them. ``days``: how long they last unless their owner
    says otherwise; 0 = there are none."""

    def __init__(self, rights: Rights, services: Services, videos: VideoShowing) -> None:
        self._rights, self._videos, self._moderator = rights, videos, services.moderator
        self._database, self._queue = services.database, services.queue
        self._showing, self._web = services.showing, services.web
        self.days = services.settings.share_days
        self._key_file = services.settings.data_dir / KEY
        self._secret: bytes | None = None

    # For their owner

    async def create(
        self,
        actor: Actor,
        what: Shared,
        *,
        title: str = "",
        words: bool = False,
        embed: bool = False,
        days: int | None = None,
    ) -> tuple[Share, str]:
        """Return a new share of something of the actor's own, and its link. embed: Discord may copy what it
        shows.
        Raises UserError for what can't be shared and after too many, NotAllowedError for a barred person."""
        await self._rights.check(actor, Action.ASK)
        if not self.days:
            raise UserError(OFF)
        wanted, now = self.days if days is None else days, datetime.now(UTC)
        if not 1 <= wanted <= MOST_DAYS:
            raise UserError(f"`days` takes 1 to {MOST_DAYS}.")
        title = " ".join(title.split())
        if len(title) > LONGEST_TITLE or not title.isprintable():
            raise UserError(f"A title takes up to {LONGEST_TITLE} characters.")
        if None in await self._moderator.captions([title], PUBLIC):
            raise UserError("A rule doesn't allow this title on a public link.")
        if not (await self._visible(actor.user_id, what, now)).pictures:
            raise UserError("There is nothing of yours that can be shared: gone, empty, or hidden by a rule.")
        expires = now + timedelta(days=wanted)
        work = partial(collections.add_share, user_id=actor.user_id, what=what, title=title, words=words)
        work = partial(work, embed=embed, now=now, expires=expires, most=MOST_SHARES, key=await self._key())
        if (share := await self._database.write(work)) is None:
            raise UserError(f"You have {MOST_SHARES:,} shares, which is the limit. Revoke some first.")
        return share, await self.link(share) or ""

    async def link(self, share: Share) -> str | None:
        """Return the link of a share of whoever is asking; None where nobody can tell it again."""
        token = share.token(await self._key())
        return token and f"{self._web.address}/s/{token}"

    async def _key(self) -> bytes:
        """Return what the links' secrets are made of: a file beside the database, so that a copy of the
        database opens nothing."""
        if self._secret is None:
            self._secret = await asyncio.to_thread(read_key, self._key_file)
        return self._secret

    async def all(self, actor: Actor) -> list[Share]:
        """Return the actor's shares, the newest first."""
        await self._rights.check(actor, Action.MINE)
        return await self._database.read(partial(collections.list_shares, user_id=actor.user_id), once=True)

    async def revoke(self, actor: Actor, share_id: str) -> bool:
        """End a share of the actor's; False when there is no such one."""
        await self._rights.check(actor, Action.MINE)
        work = partial(collections.revoke_share, user_id=actor.user_id, share_id=share_id)
        return await self._database.write(partial(work, now=datetime.now(UTC)))

    # For whoever has a link

    @property
    def origin(self) -> str:
        """The address of the web, before every path; "" while it isn't open."""
        return self._web.address or ""

    async def look(self, token: str, before: Cursor | None = None) -> Looked | None:
        """Return what a link shows; None when it has ended, never was, or shows nothing any more. Raises
        UserError for a page that can't be."""
        share = await self._find(token)
        if share is None:
            return None
        found = await self._visible(share.user_id, share.what, share.created_at, before)
        if not found.pictures and not found.older:
            return None
        told = await self._told(share, found.pictures)
        hashes = [picture.sha256 for _job, picture in told]
        work = partial(job_queries.captions_of, user_id=share.user_id, sha256s=hashes)
        captions = await self._database.read(work)
        fit = await self._moderator.captions(list(captions.values()), PUBLIC) if captions else []
        shown = {name: one for name, one in zip(captions, fit, strict=True) if one is not None}
        return Looked(share, told, found.older, shown)

    async def visited(self, share: Share, visitor: int | None) -> None:
        """Count a visit, unless it is its owner's own. visitor: a user id, None for nobody who is known."""
        if visitor != share.user_id:
            await self._database.write(partial(collections.count_view, share_id=share.id))

    async def picture(self, token: str, name: Named, side: int | None = None) -> Shown | None:
        """Return a picture that a link shows, whole or as WebP of at most ``side`` px; None where ``look``
        wouldn't show it. Prompts leave its metadata unless the share shows them."""
        share, found = await self._one(token, name)
        if share is None or found is None:
            return None
        [(job, stored)] = await self._told(share, [found])
        try:
            return await self._showing.shared(stored, job, side)
        except FilesAway:
            raise
        except StorageError:
            return None

    async def video(self, token: str, name: Named) -> Path | None:
        """Return where a video that a link shows lies; None where ``look`` wouldn't show it, or it is no
        video."""
        _, found = await self._one(token, name)
        result = await self._queue.result(name[0]) if found else None
        video = next((video for video in result.videos if video.index == name[1]), None) if result else None
        if found is None or video is None:
            return None
        try:
            return await self._videos.whole(video, found[0])
        except FilesAway:
            raise
        except StorageError:
            return None

    async def _told(self, share: Share, pictures: Sequence[Visible]) -> tuple[Visible, ...]:
        """Return pictures with their jobs as a share may tell of them: without words unless it tells them and
        no rule hides them from the world."""
        told = dict[str, Job]()
        for job, _ in pictures:
            if job.id not in told:
                hidden = replace(job, worded=False)
                told[job.id] = await self._moderator.told(job, PUBLIC) if share.words else hidden
        return tuple((told[job.id], picture) for job, picture in pictures)

    async def _find(self, token: str) -> Share | None:
        if not self.days:
            return None
        work = partial(collections.find_share, token=token, now=datetime.now(UTC))
        return await self._database.read(work, once=True)

    async def _one(self, token: str, name: Named) -> tuple[Share | None, Visible | None]:
        """Return what a link stands for, and the named picture where it shows that."""
        if (share := await self._find(token)) is None:
            return None, None
        what, user_id = share.what, share.user_id
        holds = what.job_id == name[0] and what.position in (None, name[1])
        if what.folder_id is not None:
            work = partial(collections.holds, user_id=user_id, folder_id=what.folder_id, name=name)
            holds = await self._database.read(work, once=True)
        if not holds:
            return share, None
        pictures = await self._picked([name])
        if what.folder_id is not None:
            pictures = await self._meant(what.folder_id, share.created_at, pictures)
        return share, next(iter(await self._allowed(user_id, pictures)), None)

    async def _visible(
        self, user_id: int, what: Shared, made: datetime, before: Cursor | None = None
    ) -> _Found:
        """Return what may be shown of something that the person shares. made: when its link was."""
        if what.folder_id is not None:
            return await self._in_folder(user_id, what.folder_id, made, before)
        if what.job_id is None:
            return _Found()
        if what.position is not None:
            names = [(what.job_id, what.position)]
        else:
            result = await self._queue.result(what.job_id)
            names = [(what.job_id, picture.index) for picture in result.pictures] if result else []
        return _Found(await self._allowed(user_id, await self._picked(names)))

    async def _in_folder(self, user_id: int, folder_id: str, made: datetime, before: Cursor | None) -> _Found:
        work = partial(collections.read_folder, user_id=user_id, folder_id=folder_id)
        if (own := await self._database.read(work)) is None:
            return _Found()
        if own.query is not None:
            raise UserError("A smart folder changes by itself, so it can't be shared. Share a plain one.")
        tiles_of = partial(gallery.tiles, user_id=user_id, wanted=Filter(folder=folder_id), before=before)
        tiles = await self._database.read(partial(tiles_of, limit=PAGE + 1), once=True)
        page = [(tile.job, tile.picture) for tile in tiles[:PAGE]]
        pictures = await self._meant(folder_id, made, page)
        older = tiles[PAGE - 1].cursor if len(tiles) > PAGE else None
        return _Found(await self._allowed(user_id, pictures), older)

    async def _meant(self, folder_id: str, made: datetime, pictures: Sequence[Visible]) -> list[Visible]:
        """Return those of a folder's pictures that a link, ``made`` then, was meant for: all but private ones
        that came into the folder later."""
        private = [(job.id, picture.index) for job, picture in pictures if job.origin.private]
        work = partial(collections.put_after, folder_id=folder_id, names=private, moment=made)
        late = await self._database.read(work) if private else set[Named]()
        return [(job, picture) for job, picture in pictures if (job.id, picture.index) not in late]

    async def _picked(self, names: Sequence[Named]) -> list[Visible]:
        """Return the named pictures that are there and not in the trash."""
        found = await self._database.read(partial(pick_pictures, names=names))
        away = {job_id: await self._queue.trashed(job_id) for job_id in {job.id for job, _ in found}}
        return [(job, picture) for job, picture in found if picture.index not in away[job.id]]

    async def _allowed(self, user_id: int, pictures: Sequence[Visible]) -> tuple[Visible, ...]:
        """Return those of a person's pictures that they may share, and that a rule hides nowhere: neither
        from the world, nor where they were asked for."""
        jobs = {job.id: job for job, _ in pictures}
        for guild_id in {None, *(job.origin.guild_id for job in jobs.values())}:
            asked = [job for job in jobs.values() if guild_id in (None, job.origin.guild_id)]
            may = await self._rights.owned(Actor(user_id, guild_id), Action.SHARE, asked)
            jobs = {job.id: job for job in jobs.values() if job not in asked or job.id in may}
        shown = [(picture, job) for job, picture in pictures if job.id in jobs]
        for place in {PUBLIC, *(_asked_in(job) for job in jobs.values())}:
            here = [pair for pair in shown if place in (PUBLIC, _asked_in(pair[1]))]
            said = await self._showing.visibilities(place, here)
            hidden = {id(pair) for pair, how in zip(here, said, strict=True) if how is not Visibility.SHOW}
            shown = [pair for pair in shown if id(pair) not in hidden]
        return tuple((job, picture) for picture, job in shown)


@dataclass(frozen=True)
class _Found:
    """What a share shows now, and where a folder goes on."""

    pictures: tuple[Visible, ...] = ()
    older: Cursor | None = None


def _asked_in(job: Job) -> Place:
    return Place(job.origin.guild_id, job.origin.channel_id)


AT_ONCE, EACH = 5, 15.0  # posts of a person at once; seconds for each more
NOT_YOURS = "That picture is gone, or it isn't yours."
NOWHERE = "You can't write there, or the bot can't, or that channel is gone."
HIDDEN = "A rule of that server hides this picture, so it isn't posted there."
SILENT = "Discord doesn't answer at the moment. Try again in a minute."


@dataclass(frozen=True)
class Channel:
    """Where something can be posted. server: its name."""

    place: Place
    name: str
    server: str


class Posting:
    """Posts people's own pictures to channels where they may write by Discord's rules, and ask by ours; sends
    pictures to whoever asks for them."""

    def __init__(self, rights: Rights, queue: Queue, showing: Showing, directory: Directory) -> None:
        self._rights, self._queue = rights, queue
        self._showing, self._directory = showing, directory
        self._pace = Pace[int](AT_ONCE, EACH)

    async def channels(self, actor: Actor) -> list[Channel]:
        """Return the channels where the actor may post, by server."""
        await self._rights.check(actor, Action.ASK)
        found = []
        for member, one in await self._rights.in_servers(actor):
            for channel_id in [] if one.barred else await readable_channels(member, one):
                if (name := member.writes(channel_id)) is not None:
                    found.append(Channel(Place(member.guild_id, channel_id), name, member.server))
        return found

    async def post(self, actor: Actor, job_id: str, index: int, place: Place) -> None:
        """Post picture ``index`` (from 0) of a job of the actor's. Raises ImageError for no such picture,
        NotAllowedError for another's, a barred person or a channel where they can't write, UserError when a
        rule or Discord refuses, LimitError after too many."""
        await self._rights.check(actor, Action.ASK)
        job = await self._queue.job(job_id)
        if job is None or job.origin.user_id != actor.user_id:
            raise ImageError(NOT_YOURS)
        result = await self._rights.result(actor, job_id, Action.SHARE)
        stored = picture_of(result, index)
        if index in await self._queue.trashed(job_id):
            raise ImageError("That picture is in the trash.")
        for member, one in await self._rights.in_servers(actor):
            if member.guild_id == place.guild_id:
                await self._rights.check(one, Action.ASK)
                if one.reads(place.channel_id) and member.writes(place.channel_id) is not None:
                    break
        else:
            raise NotAllowedError(NOWHERE)
        [visibility] = await self._showing.visibilities(place, [(stored, result.job)])
        if visibility is Visibility.BLOCK:
            raise UserError(HIDDEN)
        if wait := self._pace.take(actor.user_id):
            raise LimitError(f"You have posted many pictures. Post again in {duration(wait)}.")
        try:
            await self._directory.post(place, result, index, actor.user_id)
        except Unanswered as error:
            raise LimitError(SILENT) from error

    async def send(self, actor: Actor, job_id: str, index: int) -> None:
        """Send picture ``index`` (from 0) of a job to the actor's direct messages. Raises ImageError for no
        such picture, NotAllowedError, UserError when Discord refuses, LimitError while it can't be asked."""
        result = await self._rights.result(actor, job_id, Action.DM)
        if index in await self._queue.trashed(job_id):
            raise ImageError("That picture is in the trash.")
        try:
            await self._directory.send(actor.user_id, result, picture_of(result, index).index)
        except Unanswered as error:
            raise LimitError(SILENT) from error
