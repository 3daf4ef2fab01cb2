"""What people are in their servers: asked of the chat service seldom, and never believed for long."""

import asyncio
from types import SimpleNamespace

import pytest

from core.convert import Preferences
from studio.authority import Actor
from studio.rights import ABSENT, FEW, HELD, KEPT, Memberships
from tests.studio.servers import Channel, Server, Servers

YOU, HERE, OPEN, ADULT, CLOSED = 1, 10, 100, 101, 102


class Known:
    """Rows of members."""

    def __init__(self) -> None:
        self.chosen, self.used = Preferences(), list[int]()

    async def preferences(self, user_id: int) -> Preferences:
        return self.chosen

    async def servers(self, user_id: int) -> list[int]:
        return self.used


@pytest.fixture
def world() -> SimpleNamespace:
    channels = {OPEN: Channel({YOU}), ADULT: Channel({YOU}, adult=True), CLOSED: Channel()}
    servers, known, now = Servers({HERE: Server("Here", channels, {YOU: False})}), Known(), [0.0]
    memberships = Memberships(servers, known, lambda: now[0])
    return SimpleNamespace(servers=servers, known=known, now=now, memberships=memberships)


async def test_many_questions_at_once_and_soon_after_are_one(world) -> None:
    found = await asyncio.gather(*(world.memberships.of(YOU, HERE) for _ in range(60)))
    world.now[0] = KEPT - 0.1
    found.append(await world.memberships.of(YOU, HERE))
    assert len(world.servers.asked) == 1 and {member.server for member in found} == {"Here"}


async def test_who_leaves_is_gone_after_seconds_and_a_rule_counts_at_once(world) -> None:
    member = await world.memberships.of(YOU, HERE)
    assert member.reads(OPEN) and not member.reads(CLOSED)
    world.servers.servers[HERE].channels[OPEN].readers.clear()
    assert not (await world.memberships.of(YOU, HERE)).reads(OPEN)
    del world.servers.servers[HERE].members[YOU]
    world.now[0] = KEPT
    assert await world.memberships.of(YOU, HERE) is None
    world.servers.servers[HERE].members[YOU] = True
    assert await world.memberships.of(YOU, HERE) is None
    world.now[0] = KEPT + ABSENT
    assert (await world.memberships.of(YOU, HERE)).manages


async def test_while_nobody_answers_the_last_answer_holds_but_not_for_ever(world) -> None:
    await world.memberships.of(YOU, HERE)
    world.servers.silent = True
    world.now[0] = HELD - 1
    assert await world.memberships.of(YOU, HERE) is not None
    assert await world.memberships.of(YOU, HERE) is not None and len(world.servers.asked) == 2
    world.now[0] = HELD + KEPT
    assert await world.memberships.of(YOU, HERE) is None
    asked = len(world.servers.asked)
    assert await world.memberships.of(YOU, HERE) is None and len(world.servers.asked) == asked
    world.servers.silent = False
    world.now[0] += KEPT
    assert await world.memberships.of(YOU, HERE) is not None


async def test_who_was_never_known_is_nobody_while_nobody_answers(world) -> None:
    world.servers.silent = True
    assert await world.memberships.of(YOU, HERE) is None


async def test_a_bot_in_many_servers_looks_only_where_somebody_has_been(world) -> None:
    for number in range(FEW):
        world.servers.servers[1000 + number] = Server(f"Other {number}", {}, {YOU: False})
    assert await world.memberships.all_of(YOU) == []
    world.known.used = [HERE, 1003, 5]
    assert [member.server for member in await world.memberships.all_of(YOU)] == ["Here", "Other 3"]
    assert {guild for _, guild in world.servers.asked} == {HERE, 1003}


async def test_an_age_restricted_channel_is_read_only_by_who_says_to_be_of_age(world) -> None:
    member = await world.memberships.of(YOU, HERE)
    actor = await world.memberships.within(Actor(YOU, None), member)
    assert (actor.guild_id, actor.channel_id, actor.manages) == (HERE, 0, False)
    assert actor.reads(OPEN) and not actor.reads(ADULT) and not actor.reads(5)
    world.known.chosen = Preferences(adult=True)
    actor = await world.memberships.within(Actor(YOU, None), member)
    assert actor.reads(OPEN) and actor.reads(ADULT) and not actor.reads(CLOSED)


async def test_that_somebody_shares_no_server_is_said_only_when_it_is_sure(world) -> None:
    memberships, stranger = world.memberships, 2
    world.servers.silent = True
    assert not await memberships.shares_none(stranger), "nobody answers"
    world.servers.silent, world.now[0] = False, KEPT
    assert await memberships.shares_none(stranger) and not await memberships.shares_none(YOU)
    world.servers.servers |= {number: Server() for number in range(50, 50 + FEW)}
    assert not await memberships.shares_none(stranger), "too many to ask all of them"
    world.known.used = [50]
    assert await memberships.shares_none(stranger)
    world.servers.servers.clear()
    assert not await memberships.shares_none(stranger), "no connection has told of any"
