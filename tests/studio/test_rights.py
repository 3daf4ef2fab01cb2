"""The table of rights asked with rows: who is barred, where a job is shown, and what is told to whom."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from core.convert import Preferences
from core.errors import ImageError, NotAllowedError
from core.job import Job, Surface
from storage import job_queries
from studio.authority import TABLE, Action, Actor, Authority, CurrentDirectory, Member, Place
from studio.moderation.rules import in_time_out
from studio.rights import LEFT, Memberships, Rights
from tests.storage.conftest import a_job

HOST, AUTHOR, OTHER = 9, 1, 2
HERE, ABROAD, STUDIO, LOUNGE, DIRECT = 3, 4, 2, 22, 50
UNTIL = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
FOR_OTHERS = {Action.CANCEL, Action.DELETE, Action.FRONT, Action.SHARE, Action.ORGANISE}  # no member's
MEMBER = Actor(OTHER, HERE, STUDIO)
MANAGER = Actor(OTHER, HERE, STUDIO, manages=True)


@dataclass(frozen=True)
class Made:
    """What a job made: two pictures and an overview of them."""

    job: Job
    pictures: tuple[SimpleNamespace, ...] = (SimpleNamespace(index=0), SimpleNamespace(index=1))
    grid: str | None = "overview"
    videos: tuple[SimpleNamespace, ...] = ()


@dataclass
class Rows(CurrentDirectory):
    """What the queue, the moderator and the directory say."""

    banned: set[tuple[int, int | None]] = field(default_factory=set)
    timed_out: set[tuple[int, int | None]] = field(default_factory=set)
    shown: set[tuple[int | None, int]] = field(default_factory=set)
    readable: set[tuple[int, Place]] = field(default_factory=set)
    managing: set[tuple[int, int]] = field(default_factory=set)
    known: list[Job] = field(default_factory=list)
    away: set[int] = field(default_factory=set)  # pictures of each job that are in the trash
    here: frozenset[int] = frozenset({HERE, ABROAD, 5})  # that this process is told of
    seen: frozenset[int] = frozenset({HERE})  # by the rows
    looked_up: list[str] = field(default_factory=list)  # what was asked for beyond bans

    def __post_init__(self) -> None:
        super().__init__()

    @property
    def server_ids(self) -> frozenset[int]:
        return self.here

    @property
    def admin(self) -> Rows:
        return self

    @property
    def people(self) -> Rows:
        return self

    async def guilds(self) -> frozenset[int]:
        return self.seen

    async def barred(self, user_id: int, guild_id: int | None) -> bool:
        return (user_id, guild_id) in self.banned

    async def time_out_ends(self, user_id: int, guild_id: int | None) -> datetime | None:
        return UNTIL if (user_id, guild_id) in self.timed_out else None

    @property
    def database(self) -> Rows:
        return self

    async def look_up(self, work: partial[set[tuple[int | None, int]]], *, once: bool) -> Any:
        """Where a job is shown, which is all that is read here."""
        assert work.func is job_queries.message_places
        job_id = work.keywords["job_id"]
        self.looked_up.append("places")
        return [self.shown if any(job.id == job_id for job in self.known) else set()]

    async def trashed(self, job_id: str) -> set[int]:
        return self.away if any(job.id == job_id for job in self.known) else set()

    async def servers(self, user_id: int) -> set[int]:
        return set()

    async def can_read(self, user_id: int, place: Place) -> bool:
        return (user_id, place) in self.readable

    async def job(self, job_id: str) -> Job | None:
        return next((job for job in self.known if job.id == job_id), None)

    async def result(self, job_id: str) -> SimpleNamespace | None:
        job = await self.job(job_id)
        return None if job is None or job.origin.private else Made(job)

    def rights(self) -> Rights:
        return Rights(Authority(self, {HOST}), self, self, self, Memberships(self, self))

    async def member(self, user_id: int, guild_id: int) -> Member | None:
        """Who reads a channel of a server, or manages it, is in it."""
        self.looked_up.append("member")
        readable = {
            place.channel_id for user, place in self.readable if (user, place.guild_id) == (user_id, guild_id)
        }
        manages = (user_id, guild_id) in self.managing
        if not readable and not manages:
            return None
        return Member(user_id, guild_id, "Here", manages, readable.__contains__, lambda: readable)

    def age_restricted(self, place: Place) -> bool | None:
        return False

    async def preferences(self, user_id: int) -> Preferences:
        return Preferences()

    def asked(self, **origin: object) -> Job:
        self.known.append(job := a_job(**origin))
        return job


@pytest.fixture
def rows() -> Rows:
    return Rows()


async def refused(awaitable: Awaitable[object]) -> str:
    with pytest.raises(NotAllowedError) as caught:
        await awaitable
    return str(caught.value)


async def test_the_banned_are_told_so_and_keep_what_is_theirs(rows: Rows) -> None:
    rights = rows.rights()
    rows.banned = {(OTHER, HERE)}
    assert await refused(rights.check(MEMBER, Action.ASK)) == TABLE[Action.ASK].reason
    await rights.check(MEMBER, Action.PRIVACY)
    await rights.check(replace(MEMBER, guild_id=ABROAD), Action.ASK)
    await rights.check(replace(MEMBER, user_id=7), Action.ASK)
    await rights.check(replace(MEMBER, user_id=7, barred=True), Action.ASK)  # the rows decide, not the actor
    own = rows.asked(user=OTHER)
    await rights.check(MEMBER, Action.CANCEL, own)
    assert await refused(rights.check(MEMBER, Action.SHOW, own)) == TABLE[Action.ASK].reason


async def test_a_time_out_is_told_with_its_end_and_takes_no_right_over_others(rows: Rows) -> None:
    rights = rows.rights()
    rows.timed_out = {(OTHER, HERE)}
    assert await refused(rights.check(MEMBER, Action.ASK)) == in_time_out(UNTIL)
    assert await refused(rights.check(MANAGER, Action.SETTINGS)) == in_time_out(UNTIL)
    await rights.check(MANAGER, Action.QUEUE)
    await rights.check(MEMBER, Action.MINE)
    await rights.check(replace(MEMBER, guild_id=ABROAD), Action.ASK)
    await rights.check(replace(MEMBER, user_id=7), Action.ASK)
    job = rows.asked(user=AUTHOR)
    assert await refused(rights.check(MEMBER, Action.VARY, job)) == in_time_out(UNTIL)
    await rights.check(MANAGER, Action.FRONT, job)
    rows.banned = {(OTHER, HERE)}  # the ban is what counts
    assert await refused(rights.check(MEMBER, Action.ASK)) == TABLE[Action.ASK].reason


async def test_what_is_shown_in_a_channel_is_open_to_those_who_read_it(rows: Rows) -> None:
    rights, job = rows.rights(), rows.asked(user=AUTHOR, channel_id=LOUNGE)
    assert await refused(rights.check(MEMBER, Action.VARY, job)) == TABLE[Action.VARY].reason
    await rights.check(replace(MEMBER, channel_id=LOUNGE), Action.VARY, job)
    rows.shown = {(HERE, STUDIO)}
    await rights.check(MEMBER, Action.VARY, job)
    assert await refused(rights.check(MEMBER, Action.CANCEL, job)) == TABLE[Action.CANCEL].reason
    rows.timed_out = {(OTHER, HERE)}
    assert await refused(rights.check(MEMBER, Action.VARY, job)) == in_time_out(UNTIL)
    await rights.check(replace(MANAGER, channel_id=5), Action.CANCEL, job)


async def test_the_only_server_is_told_by_the_rows_of_all_processes(rows: Rows) -> None:
    rights = rows.rights()
    rows.here = frozenset({HERE})
    await rights.check(MANAGER, Action.OPERATE)
    rows.seen = frozenset({HERE, ABROAD})  # another process is told of that one
    assert await refused(rights.check(MANAGER, Action.OPERATE)) == TABLE[Action.OPERATE].reason
    forged = replace(MANAGER, sole=True)
    assert await refused(rights.check(forged, Action.OPERATE)) == TABLE[Action.OPERATE].reason
    rows.seen, rows.here = frozenset({HERE}), frozenset({HERE, ABROAD})  # joined a moment ago
    assert await refused(rights.check(MANAGER, Action.OPERATE)) == TABLE[Action.OPERATE].reason
    rows.here = frozenset()  # no connection is open
    await rights.check(MANAGER, Action.OPERATE)


async def test_a_reason_fits_who_is_refused(rows: Rows) -> None:
    rights = rows.rights()
    assert await refused(rights.check(MEMBER, Action.OPERATE)) == TABLE[Action.QUEUE].reason
    assert await refused(rights.check(MANAGER, Action.OPERATE)) == TABLE[Action.OPERATE].reason
    assert await refused(rights.check(MEMBER, Action.QUEUE)) == TABLE[Action.QUEUE].reason
    rows.banned = {(OTHER, HERE)}
    assert await refused(rights.check(MEMBER, Action.CANCEL, rows.asked())) == TABLE[Action.CANCEL].reason


async def test_one_s_own_and_what_is_shown_or_readable_can_be_seen(rows: Rows) -> None:
    rights = rows.rights()
    job = rows.asked(user=AUTHOR, channel_id=LOUNGE)
    rows.banned = {(AUTHOR, HERE), (OTHER, HERE)}  # also while banned
    assert await rights.sees(Actor(AUTHOR, ABROAD, 7), job)
    assert not await rights.sees(MEMBER, job) and not await rights.sees(Actor(HOST, ABROAD, 7), job)
    assert await rights.sees(Actor(OTHER, HERE, LOUNGE, barred=True), job)
    rows.shown = {(HERE, STUDIO), (None, DIRECT)}
    assert await rights.sees(MEMBER, job) and await rights.sees(Actor(OTHER, None, DIRECT), job)
    assert not await rights.sees(Actor(7, None, 8), job)


@pytest.mark.parametrize("place", [Place(HERE, LOUNGE), Place(HERE, STUDIO)], ids=["asked", "shown"])
async def test_what_a_channel_shows_that_somebody_can_read_is_seen_from_anywhere(
    rows: Rows, place: Place
) -> None:
    rights, job = rows.rights(), rows.asked(user=AUTHOR, channel_id=LOUNGE)
    rows.shown = {(HERE, STUDIO)}
    from_afar = Actor(OTHER, None, 77)
    assert not await rights.sees(from_afar, job)
    rows.readable = {(OTHER, place)}
    assert await rights.sees(from_afar, job) and not await rights.sees(Actor(7, None, 77), job)
    assert not await rights.sees(from_afar, rows.asked(user=AUTHOR, channel_id=LOUNGE, private=True))


async def test_a_direct_message_is_nothing_that_others_can_read(rows: Rows) -> None:
    job = rows.asked(user=AUTHOR, guild_id=None, channel_id=DIRECT)
    rows.readable = {(OTHER, Place(None, DIRECT))}
    assert not await rows.rights().sees(Actor(OTHER, HERE, STUDIO), job)


async def test_who_came_by_no_channel_is_in_each_server_what_they_are_there(rows: Rows) -> None:
    rights, job = rows.rights(), rows.asked(user=AUTHOR)
    private = rows.asked(user=AUTHOR, private=True)
    alone, from_afar = Actor(OTHER, None, surface=Surface.WEB), Actor(OTHER, None, 77)
    rows.readable = {(OTHER, Place(HERE, STUDIO))}
    await rights.check(alone, Action.VARY, job)
    assert await refused(rights.check(from_afar, Action.VARY, job)) == TABLE[Action.VARY].reason
    assert await refused(rights.check(alone, Action.VARY, private)) == TABLE[Action.VARY].reason
    assert await refused(rights.check(alone, Action.CANCEL, job)) == TABLE[Action.CANCEL].reason
    assert await rights.sees(alone, job) and not await rights.sees(alone, private)
    every = frozenset(action for action, row in TABLE.items() if row.job)
    assert await rights.allowed(alone, every, job) == every - FOR_OTHERS
    rows.timed_out = {(OTHER, HERE)}
    assert await refused(rights.check(alone, Action.VARY, job)) == TABLE[Action.VARY].reason
    assert await rights.allowed(alone, every, job) == frozenset()
    rows.managing = {(OTHER, HERE)}
    assert await rows.rights().allowed(alone, every, private) == {Action.CANCEL, Action.FRONT}
    rows.managing = {(OTHER, ABROAD)}
    assert await rows.rights().allowed(alone, every, private) == frozenset()


async def test_a_job_is_handed_out_to_whom_it_may(rows: Rows) -> None:
    rights, job = rows.rights(), rows.asked(user=AUTHOR)
    private = rows.asked(user=AUTHOR, private=True)
    assert await rights.job(MEMBER, job.id, Action.SHOW) is job
    assert (await rights.result(MEMBER, job.id, Action.SHOW)).job is job
    for asked in (rights.job, rights.result):
        assert await refused(asked(MEMBER, private.id, Action.SHOW)) == TABLE[Action.SHOW].reason
    with pytest.raises(ImageError, match=f"^Job `{private.id}` has no result.$"):
        await rights.result(Actor(AUTHOR, HERE, STUDIO), private.id, Action.SHOW)


async def test_a_job_that_is_not_there_is_named_without_markdown(rows: Rows) -> None:
    with pytest.raises(ImageError) as caught:
        await rows.rights().job(MEMBER, "`@ever`-yone 1234567890123456", Action.SHOW)
    assert str(caught.value) == (
        "Job `everyone123456789012` doesn't exist, or was deleted. A job's id is under its picture."
    )


async def test_what_decides_nothing_is_not_looked_up(rows: Rows) -> None:
    rights, alone = rows.rights(), Actor(OTHER, None, surface=Surface.WEB)
    await rights.check(Actor(AUTHOR, HERE, STUDIO), Action.VARY, rows.asked(user=AUTHOR))
    assert rows.looked_up == [], "where it is shown gives its author no more"
    assert await refused(rights.check(alone, Action.VARY, rows.asked(user=AUTHOR, private=True)))
    assert rows.looked_up == ["places"], "nobody but its author varies a private job"
    await rights.check(MEMBER, Action.VARY, rows.asked(user=AUTHOR))
    assert rows.looked_up == ["places", "places"]


async def test_all_that_somebody_may_is_told_at_once(rows: Rows) -> None:
    rights, job = rows.rights(), rows.asked(user=AUTHOR, channel_id=LOUNGE)
    asked = (Action.VARY, Action.CANCEL)
    assert await rights.allowed(MEMBER, asked, job) == frozenset()
    rows.shown = {(HERE, STUDIO)}
    assert await rights.allowed(MEMBER, asked, job) == {Action.VARY}
    assert await rights.allowed(Actor(AUTHOR, HERE, STUDIO), asked, job) == set(asked)


async def test_somebody_is_told_in_each_server_whether_they_are_barred(rows: Rows) -> None:
    rows.readable, rows.managing = {(OTHER, Place(HERE, STUDIO))}, {(OTHER, ABROAD)}
    rows.banned = {(OTHER, ABROAD)}
    found = await rows.rights().in_servers(Actor(OTHER, None, surface=Surface.WEB))
    assert [(member.guild_id, one.user_id, one.guild_id) for member, one in found] == [
        (HERE, OTHER, HERE),
        (ABROAD, OTHER, ABROAD),
    ]
    assert [(one.manages, one.barred) for _, one in found] == [(False, False), (True, True)]


async def test_who_shares_a_server_with_the_bot_belongs_and_so_does_the_host(rows: Rows) -> None:
    rows.readable, rights = {(OTHER, Place(HERE, STUDIO))}, rows.rights()
    assert await rights.belongs(Actor(OTHER, None)) and await rights.belongs(Actor(HOST, None))
    assert not await rights.belongs(Actor(7, None))


async def test_of_many_jobs_those_are_told_that_are_one_s_own(rows: Rows) -> None:
    rights = rows.rights()
    own, private = rows.asked(user=OTHER, channel_id=LOUNGE), rows.asked(user=OTHER, private=True)
    jobs = [own, private, rows.asked(user=AUTHOR, channel_id=LOUNGE)]
    alone = Actor(OTHER, None, barred=True, surface=Surface.WEB)  # the rows decide, not the actor
    assert await rights.owned(alone, Action.VARY, jobs) == {own.id, private.id}
    assert await rights.owned(alone, Action.CANCEL, jobs) == {own.id, private.id}
    rows.timed_out = {(OTHER, None)}
    assert await rights.owned(alone, Action.VARY, jobs) == set()
    rows.timed_out, rows.banned = set(), {(OTHER, None)}
    assert await rights.owned(alone, Action.VARY, jobs) == set()
    assert await rights.owned(alone, Action.CANCEL, jobs) == {own.id, private.id}


async def test_a_picture_is_handed_out_by_its_number_to_whom_its_job_is(rows: Rows) -> None:
    rights, job = rows.rights(), rows.asked(user=AUTHOR)
    result, picture = await rights.picture(MEMBER, job.id, 0, Action.SHOW)
    assert result == Made(job) and picture.index == 0
    assert (await rights.picture(MEMBER, job.id, -1, Action.SHOW))[1] == "overview"
    with pytest.raises(ImageError, match="no picture number 3"):
        await rights.picture(MEMBER, job.id, 2, Action.SHOW)
    assert await refused(rights.picture(MEMBER, job.id, 0, Action.DELETE)) == TABLE[Action.DELETE].reason


async def test_what_its_author_threw_away_is_there_for_them_alone(rows: Rows) -> None:
    rights, job = rows.rights(), rows.asked(user=AUTHOR)
    rows.away = {0}
    result, picture = await rights.picture(MEMBER, job.id, 1, Action.SHOW)
    assert result == Made(job, (picture,), None) and picture.index == 1
    with pytest.raises(ImageError, match="no picture number 1"):
        await rights.picture(MEMBER, job.id, 0, Action.SHOW)
    with pytest.raises(ImageError, match=f"^Job `{job.id}` has no overview.$"):
        await rights.picture(MEMBER, job.id, -1, Action.SHOW)
    author = Actor(AUTHOR, HERE, STUDIO)
    assert (await rights.picture(author, job.id, 0, Action.SHOW))[0] == Made(job)
    assert (await rights.picture(author, job.id, -1, Action.SHOW))[1] == "overview"
    rows.away = {0, 1}
    assert await rights.made(MEMBER, job) is None and await rights.made(author, job) == Made(job)


async def test_a_ban_in_the_bot_s_only_server_holds_on_the_web_and_in_direct_messages(rows: Rows) -> None:
    rights, alone = rows.rights(), (Actor(AUTHOR, None, surface=Surface.WEB), Actor(AUTHOR, None, 7))
    rows.banned = {(AUTHOR, HERE)}
    for actor in alone:
        await rights.check(actor, Action.ASK)  # of several servers, each is for itself
    rows.here = frozenset({HERE})
    for actor in alone:
        assert await refused(rights.check(actor, Action.ASK)) == TABLE[Action.ASK].reason
        await rights.check(actor, Action.PRIVACY)
    rows.seen = frozenset({HERE, ABROAD})  # another process holds the other
    await rights.check(alone[0], Action.ASK)
    rows.seen, rows.banned, rows.timed_out = frozenset({HERE}), set(), {(AUTHOR, HERE)}
    assert await refused(rights.check(alone[1], Action.ASK)) == in_time_out(UNTIL)


async def test_a_ban_in_a_home_server_holds_everywhere_outside_of_servers(rows: Rows) -> None:
    rows.banned = {(AUTHOR, HERE)}
    rights = Rights(Authority(rows, {HOST}, (HERE,)), rows, rows, rows, Memberships(rows, rows))
    assert await refused(rights.check(Actor(AUTHOR, None, 7), Action.ASK)) == TABLE[Action.ASK].reason
    await rights.check(Actor(AUTHOR, ABROAD, 8), Action.ASK)


async def test_who_has_left_asks_for_nothing_on_the_web_while_that_is_sure(rows: Rows) -> None:
    clock = [0.0]
    memberships = Memberships(rows, rows, lambda: clock[0])
    rights = Rights(Authority(rows, {HOST}), rows, rows, rows, memberships, members_only=True)
    on_web = Actor(AUTHOR, None, surface=Surface.WEB)
    assert await refused(rights.check(on_web, Action.ASK)) == LEFT
    await rights.check(on_web, Action.PRIVACY)
    await rights.check(Actor(HOST, None, surface=Surface.WEB), Action.ASK)
    await rows.rights().check(on_web, Action.ASK)  # where everyone may come
    clock[0] += 100.0
    rows.readable.add((AUTHOR, Place(HERE, STUDIO)))
    await rights.check(on_web, Action.ASK)
    rows.here = frozenset()
    await rights.check(on_web, Action.ASK)  # no connection to the chat service
