"""A studio on the web with people and jobs of every kind in it, that can be put back as it was."""

import hashlib
import io
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import sqlalchemy as sa
from PIL import Image

from core.events import Progress
from core.job import Surface
from jobs.feed import News
from jobs.queue import Result
from storage import moderation
from storage import schema as own_models
from storage.schema import (
    api_tokens,
    documents,
    drafts,
    example_pictures,
    example_sets,
    examples,
    folders,
    jobs,
    messages,
    metadata,
    shares,
    timeouts,
    turns,
    uploads,
)
from storage.sessions import hash_of
from storage.tokens import PREFIX, Tokens
from studio.authority import Action, Actor, CurrentDirectory, Member, Place
from studio.media import masks
from studio.programs import Scope
from tests.studio.conftest import Opened, png
from tests.web.conftest import Browser, Program, Site, open_site
from web import guard

HERE, THERE, EVERYWHERE = 10, 20, 0
STUDIO, STAFF, DIRECT, ABROAD = 100, 101, 104, 105
CHANNELS = {HERE: frozenset({STUDIO, STAFF}), THERE: frozenset({ABROAD})}
GONE = "gzgzgzgzgzgz"  # the id of no job
CANARY = "canary"  # begins a word that stands in one job's prompt and nowhere else
DRAFT = "draftdraftdr"
FOLDER = "foldfoldfoad"
TURN = "turnturnturn"
SET = "setsetsetset"
PROJECT = "projprojproj"
DOCUMENT = "documentdocu"
DOCUMENTED = {"v": 1, "width": 64, "height": 64, "layers": [{"id": "a", "source": {"job": GONE, "n": 1}}]}
DOCUMENTED |= {"words": f"{CANARY}documentx"}
MASK_FILE = masks.write_mask(masks.Bits(16, 16, bytes(32)))
MASK = hashlib.sha256(MASK_FILE).hexdigest()
SHARE, LINK = "sharesharesh", "L" * 43


@dataclass(frozen=True)
class Somebody:
    """Who calls. id None: nobody is behind the cookie. reads: channels that they can read on Discord, in
    whose servers they are."""

    name: str
    id: int | None
    reads: frozenset[int] = frozenset()
    manages: frozenset[int] = frozenset()  # servers
    host: bool = False
    banned: bool = False  # everywhere
    timed_out: bool = False  # in direct messages, and so on the web


AUTHOR = Somebody("author", 1, frozenset({STUDIO, ABROAD}))
READER = Somebody("reader", 2, frozenset({STUDIO}))
OUTSIDER = Somebody("outsider", 3)
MANAGER = Somebody("manager", 4, frozenset({STUDIO, STAFF}), frozenset({HERE}))
ELSEWHERE = Somebody("manager elsewhere", 5, frozenset({ABROAD}), frozenset({THERE}))
HOST = Somebody("host", 6, frozenset({STUDIO}), host=True)
BANNED_HERE = Somebody("banned here", 7, frozenset({STUDIO}))
BANNED = Somebody("banned", 8, frozenset({STUDIO}), banned=True)
TIMED_OUT = Somebody("timed out", 9, frozenset({STUDIO}), timed_out=True)
NOBODY, EXPIRED = Somebody("nobody", None), Somebody("expired session", None)
FORGED = Somebody("forged session", None)
SIGNED_IN = (AUTHOR, READER, OUTSIDER, MANAGER, ELSEWHERE, HOST, BANNED_HERE, BANNED, TIMED_OUT)
PEOPLE = (*SIGNED_IN, NOBODY, EXPIRED, FORGED)


@dataclass(frozen=True)
class Subject:
    """What is looked at. owner None: nobody's, since it is gone; 0: that of whoever looks."""

    name: str
    owner: int | None
    channel: int = 0
    guild: int | None = None
    private: bool = False
    blocked: bool = False
    spoiler: bool = False

    def word_of(self, person: int) -> str:
        """The canary in the prompt."""
        return f"{CANARY}{self.name.replace(' ', '')}{person if self.owner == 0 else ''}x"


MINE = Subject("mine", 0)
PUBLIC = Subject("public", 1, STUDIO, HERE)
STEALTH = Subject("stealth", 1, STUDIO, HERE, private=True)
IN_STAFF = Subject("staff", 1, STAFF, HERE)
DM = Subject("direct", 1, DIRECT)
ON_WEB = Subject("web", 1)
ABROAD_TOO = Subject("other server", 1, ABROAD, THERE)
BLOCKED = Subject("blocked", 1, STUDIO, HERE, blocked=True)
SPOILER = Subject("spoiler", 1, STUDIO, HERE, spoiler=True)
LOST = Subject("gone", None)
SUBJECTS = (MINE, PUBLIC, STEALTH, IN_STAFF, DM, ON_WEB, ABROAD_TOO, BLOCKED, SPOILER, LOST)


class Discord(CurrentDirectory):
    """Knows who reads what."""

    @property
    def owner_ids(self) -> frozenset[int]:
        return frozenset({HOST.id or 0})

    async def can_read(self, user_id: int, place: Place) -> bool:
        return any(one.id == user_id and place.channel_id in one.reads for one in SIGNED_IN)

    @property
    def server_ids(self) -> frozenset[int]:
        return frozenset(CHANNELS)

    def age_restricted(self, place: Place) -> bool | None:
        return False

    async def member(self, user_id: int, guild_id: int) -> Member | None:
        found = next(one for one in SIGNED_IN if one.id == user_id)
        reads = found.reads & CHANNELS[guild_id]
        if not reads:
            return None
        manages, channels = guild_id in found.manages, CHANNELS[guild_id]
        return Member(user_id, guild_id, "a server", manages, reads.__contains__, lambda: channels)


@dataclass
class World:
    """An open site. ids: of the jobs, by subject and person. cookies: by name of a person."""

    site: Site
    ids: dict[tuple[str, int], str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    tokens: dict[tuple[str, str], str] = field(default_factory=dict)  # by a person's name, and its scope
    session: str = ""  # the id of another session of the author's
    upload: str = ""  # SHA-256 of a picture that the author has sent
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    pictures: dict[Path, bytes] = field(default_factory=dict)
    changes: sqlite3.Connection | None = None
    seen: int = 0

    @property
    def opened(self) -> Opened:
        return self.site.opened

    @property
    def routes(self):
        return self.site.web.routes

    def browser(self, person: Somebody) -> Browser:
        return Browser(self.site.http, self.site.web.url, self.cookies.get(person.name))

    def program(self, person: Somebody, scope: str) -> Program:
        """A program of somebody's, by a token of one scope or of "all"."""
        return Program(self.site.http, self.site.web.url, self.tokens[(person.name, scope)])

    def id_of(self, subject: Subject, person: Somebody) -> str:
        """The id of the job that is meant when ``person`` looks at ``subject``."""
        return self.ids.get((subject.name, (person.id or 0) if subject.owner == 0 else 0), GONE)

    # As it was

    async def remember(self) -> None:
        """Keep everything as it is now, to be put back."""
        self.rows = await self._rows()
        folder = self.opened.services.settings.data_dir
        self.pictures = {path: path.read_bytes() for path in folder.rglob("*") if path.suffix in SUFFIXES}
        path = self.opened.services.database.path
        self.changes = sqlite3.connect(path)
        self.seen = self._version()

    async def has_changed(self) -> bool:
        """Return whether any row is another than it was, but for what the studio finds out when somebody
        looks."""
        if self._version() == self.seen:
            return False
        self.seen = self._version()
        rows = await self._rows()
        return any(rows[name] != before for name, before in self.rows.items() if name != "picture_minors")

    async def put_back(self) -> None:
        """Make everything as it was."""
        known, queue = set(self.ids.values()), self.opened.services.queue
        for row in (await self._rows())["jobs"]:
            if row["id"] not in known:
                await queue.cancel(row["id"])

        def work(connection: sa.Connection) -> None:
            connection.execute(sa.text("PRAGMA defer_foreign_keys=ON"))  # jobs may descend from later ones
            for table in reversed(metadata.sorted_tables):
                connection.execute(sa.delete(table))
            for table in metadata.sorted_tables:
                if self.rows[table.name]:
                    connection.execute(sa.insert(table), self.rows[table.name])

        await self.opened.services.database.write(work)
        for path, data in self.pictures.items():
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        self.seen = self._version()

    def _version(self) -> int:
        assert self.changes is not None
        return self.changes.execute("PRAGMA data_version").fetchone()[0]

    async def _rows(self) -> dict[str, list[dict[str, Any]]]:
        def work(connection: sa.Connection) -> dict[str, list[dict[str, Any]]]:
            return {
                table.name: [dict(row) for row in connection.execute(sa.select(table)).mappings()]
                for table in metadata.sorted_tables
            }

        return await self.opened.services.database.read(work)


SCOPES_ALONE = (*Scope, "all")
SUFFIXES = (".png", ".webp", ".jpg")


@asynccontextmanager
async def open_world(folder: Path) -> AsyncIterator[World]:
    """Open a site, fill it, and stop its queue: what is asked from then on waits."""
    limits = {"USER_WAITING": "10000", "GUILD_WAITING": "100000"}
    settings = {**limits, "EDIT_MODEL": "owner/kontext", "WEB_MEMBERS": "everyone"}
    async with open_site(folder, **settings) as site:
        world = World(site)
        queue = site.opened.services.queue
        with ExitStack() as stack:
            stack.enter_context(site.opened.services.directory.connected(Discord()))
            stack.enter_context(mock.patch.object(guard.Buckets, "take", lambda *_: None))
            await _fill(world)
            stack.enter_context(mock.patch.object(queue, "news", _previewing(world)))
            await queue.pause(HOST.id or 0)
            await site.opened.studio.pushes.public_key()  # which is made when it is first looked at
            await world.remember()
            assert world.changes is not None
            stack.enter_context(closing(world.changes))
            yield world


async def _fill(world: World) -> None:
    opened = world.opened
    for subject in SUBJECTS:
        for person in SIGNED_IN if subject.owner == 0 else [AUTHOR] if subject.owner else []:
            result = await _draw(opened, subject, person.id or 0)
            key = (subject.name, person.id if subject.owner == 0 else 0)
            world.ids[key] = result.job.id
            await _judge(opened, subject, result)
            await _small_copies(opened, result)
    admin = opened.services.queue.admin
    await admin.ban(HOST.id, BANNED_HERE.id, HERE)
    await admin.ban(HOST.id, BANNED.id)
    await _sign_in(world)
    await _own_objects(world)
    await opened.services.database.write(lambda connection: _rows(connection, world))


async def _draw(opened: Opened, subject: Subject, person: int) -> Result:
    surface = Surface.WEB if not subject.channel else Surface.DISCORD
    actor = Actor(person, subject.guild, subject.channel, surface=surface, name=f"somebody {person}")
    text = f"{'a child with a kite' if subject.blocked else 'a house'} {subject.word_of(person)} --ar 3:2"
    [new] = await (await opened.studio.requests.imagine(actor, text, None)).jobs()
    job = (await opened.studio.submit(actor, replace(new, private=subject.private))).job
    async for _ in await opened.studio.watch(actor, job.id):
        pass
    return await opened.studio.rights.result(actor, job.id, Action.SHOW)


async def _judge(opened: Opened, subject: Subject, result: Result) -> None:
    score = 0.99 if subject.blocked or subject.spoiler else 0.0

    def work(connection: sa.Connection) -> None:
        for picture in (*result.pictures, *([result.grid] if result.grid else [])):
            moderation.set_score(connection, picture.sha256, "all fit", score)

    await opened.services.database.write(work)


async def _small_copies(opened: Opened, result: Result) -> None:
    """Put small copies where the confined process would: it takes 40 ms for each."""
    for picture in result.pictures:
        for name in ("256.webp", "512.webp", "256.veiled.webp", "512.veiled.webp"):
            side = 8 if "veiled" in name else 16
            await opened.services.files.put_derived(picture.sha256, name, encoded(side, "WEBP"))


def encoded(side: int, form: str) -> bytes:
    """A small picture."""
    out = io.BytesIO()
    Image.new("RGB", (side, side), (90, 120, 30)).save(out, form)
    return out.getvalue()


async def _sign_in(world: World) -> None:
    begin = world.opened.services.web.sessions.begin
    for person in SIGNED_IN:
        world.cookies[person.name] = await begin(person.id or 0, person.name, "a browser")
    world.cookies[EXPIRED.name] = await begin(AUTHOR.id or 0, "expired", "expired")
    world.cookies[FORGED.name] = "A" * 43
    await begin(AUTHOR.id or 0, AUTHOR.name, "another")
    tokens = Tokens(world.opened.services.database)
    for person in (*SIGNED_IN, EXPIRED):
        for scope in SCOPES_ALONE:
            scopes = " ".join(Scope) if scope == "all" else scope
            given = person.id or AUTHOR.id or 0, person.name, "another", scopes
            made = await tokens.create(*given, lives=timedelta(days=1), most=99)
            assert made is not None
            world.tokens[(person.name, scope)] = made[1]
            world.tokens[(FORGED.name, scope)] = PREFIX + "A" * 43


async def _own_objects(world: World) -> None:
    """A draft and an upload of the author's, and a word to say that nobody else may read."""
    opened, author = world.opened, Actor(AUTHOR.id or 0, None, surface=Surface.WEB)
    typed = await opened.studio.requests.imagine(author, f"a {{red, blue}} {CANARY}draftx", None)
    await typed.job_or_question()
    world.upload = await opened.services.files.put(png(), "image/png")
    await opened.services.files.put(MASK_FILE, "image/png")
    await opened.services.files.put_derived(world.upload, "256.webp", encoded(16, "WEBP"))


def _rows(connection: sa.Connection, world: World) -> None:
    """What no call could make: times of sessions, what descends from whom, a row that opens channel 0."""
    now, sessions = datetime.now(UTC), metadata.tables["sessions"]
    later = now + timedelta(days=1)  # than any walk takes: none is written down as seen again
    connection.execute(sa.update(sessions).values(seen_at=later))
    old = sessions.c.label == "expired"
    connection.execute(sa.update(sessions).where(old).values(seen_at=now - timedelta(days=40)))
    used = {"used_at": later, "used_from": "127.0.0.1"}
    connection.execute(sa.update(api_tokens).values(**used))
    over = api_tokens.c.name == EXPIRED.name
    connection.execute(sa.update(api_tokens).where(over).values(ends_at=now))
    another = sa.select(sessions.c.id).where(sessions.c.label == "another")
    world.session = connection.execute(another).scalar_one()
    connection.execute(sa.update(drafts).values(id=DRAFT))
    for sha256 in (world.upload, MASK):
        connection.execute(sa.insert(uploads).values(user_id=AUTHOR.id, sha256=sha256, at=now))
    row = {"id": DOCUMENT, "user_id": AUTHOR.id, "name": "", "content": json.dumps(DOCUMENTED), "version": 1}
    summary = json.dumps({"width": 512, "height": 256, "source": {"upload": world.upload}})
    connection.execute(sa.insert(documents).values(summary=summary, created_at=now, updated_at=now, **row))
    folder = {"id": FOLDER, "user_id": AUTHOR.id, "name": f"{CANARY}folderx", "created_at": now}
    connection.execute(sa.insert(folders).values(**folder))
    turn = {
        "id": TURN,
        "root_id": TURN,
        "user_id": AUTHOR.id,
        "channel_id": 0,
        "surface": "web",
        "roles": "[]",
    }
    turn |= {"private": 1, "said": f"{CANARY}turnx", "kind": "talk", "by": "rules", "created_at": now}
    connection.execute(sa.insert(turns).values(decision='{"kind": "talk"}', **turn))
    known = {"id": SET, "user_id": AUTHOR.id, "name": f"{CANARY}setx", "created_at": now}
    connection.execute(sa.insert(example_sets).values(**known))
    one = {"id": 1, "set_id": SET, "question": "", "label": "a boat", "created_at": now}
    connection.execute(sa.insert(examples).values(**one))
    shown = {"example_id": 1, "position": 0, "sha256": world.upload}
    connection.execute(sa.insert(example_pictures).values(**shown))
    _project(connection, world.upload, now)
    moderation.set_score(connection, world.upload, "all fit", 0.0)
    share = {"id": SHARE, "token_hash": hash_of(LINK), "user_id": AUTHOR.id, "title": "", "words": 0}
    share |= {"job_id": world.ids[(ON_WEB.name, 0)], "position": 0, "created_at": now}
    connection.execute(sa.insert(shares).values(expires_at=now + timedelta(days=1), **share))
    until = now + timedelta(days=1)
    connection.execute(sa.insert(timeouts).values(guild_id=EVERYWHERE, user_id=TIMED_OUT.id, until=until))
    hidden, mine = world.ids[(STEALTH.name, 0)], world.ids[(MINE.name, OUTSIDER.id or 0)]
    own = world.ids[(MINE.name, AUTHOR.id or 0)]
    connection.execute(
        sa.update(jobs).where(jobs.c.id.in_([hidden, own])).values(parent_id=mine, parent_index=0)
    )
    shown = ((ON_WEB, None, 0), (STEALTH, None, 0), (STEALTH, HERE, STUDIO), (PUBLIC, HERE, STUDIO))
    shown += ((IN_STAFF, HERE, STAFF), (ABROAD_TOO, THERE, ABROAD), (DM, None, DIRECT))
    for number, (subject, guild, channel) in enumerate(shown, 1):
        row = {"channel_id": channel, "guild_id": guild, "job_id": world.ids[(subject.name, 0)]}
        connection.execute(sa.insert(messages).values(message_id=number, created_at=now, **row))


def _project(connection: sa.Connection, upload: str, now: datetime) -> None:
    """A project of the author's, with a picture and a version."""
    own = {"id": PROJECT, "user_id": AUTHOR.id, "name": f"{CANARY}projectx", "task": "anomaly"}
    connection.execute(sa.insert(own_models.projects).values(created_at=now, **own))
    label = {"project_id": PROJECT, "name": "good", "position": 0}
    connection.execute(sa.insert(own_models.labels).values(**label))
    item = {"project_id": PROJECT, "sha256": upload, "user_id": AUTHOR.id, "label": "good"}
    item |= {"state": "labelled", "added_at": now, "changed_at": now}
    connection.execute(sa.insert(own_models.items).values(**item))
    metrics = json.dumps({"good_scores": [0.1, 0.2, 0.3, 0.4, 0.5]})
    version = {"project_id": PROJECT, "number": 1, "user_id": AUTHOR.id, "state": "active", "size": 1}
    version |= {"artefact": upload, "threshold": 0.5, "promise": 0.2, "settings": "{}", "metrics": metrics}
    connection.execute(sa.insert(own_models.versions).values(asked_at=now, at=now, **version))
    chart = {"project_id": PROJECT, "number": 1, "name": "roc", "position": 0, "sha256": upload}
    connection.execute(sa.insert(own_models.version_files).values(media_type="image/png", **chart))


def _previewing(world: World):
    """What the queue tells, as if every job were being drawn and had a preview."""
    queue = world.opened.services.queue
    tell = queue.news
    preview = encoded(16, "JPEG")

    def news(user_id: int, since: int = 0) -> News:
        found = tell(user_id, since)
        drawn = {
            job_id: Progress(1, 2, preview)
            for (name, person), job_id in world.ids.items()
            if user_id == (person or AUTHOR.id)
        }
        return replace(found, live={**drawn, **found.live})

    return news
