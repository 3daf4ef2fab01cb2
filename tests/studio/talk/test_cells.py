"""Person × place × picture × kind: by talking nobody gets at a picture that they may not use, and everybody
at those that they may."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from core.errors import ImageError, NotAllowedError, UserError
from core.talk import NEEDS_PICTURE, Decision, Kind, State
from studio.authority import Actor
from studio.talk.dialogues import Turn
from tests.studio.conftest import MIRA, Opened, Sent, open_studio, png
from tests.studio.talker import Talker

THREAD = {"guild_id": 10, "channel_id": 77, "parent_channel_id": 100}
PEOPLE = {
    "author": Actor(1, **THREAD),
    "member": Actor(2, **THREAD),
    "manager": Actor(3, **THREAD, manages=True),
    "elsewhere": Actor(2, 10, 78),
    "stranger": Actor(7, 20, 200),
    "direct": Actor(2, None, 12),
    "banned": Actor(9, **THREAD),
}
PICTURES = ("public", "private", "deleted", "sent")
HERE = ("member", "manager")  # who may use what is public in the thread
ARGUMENTS: dict[Kind, dict[str, object]] = {
    "change": {"changes": ("make it blue",)},
    "extend": {"sides": ("left",)},
    "ask": {"words": "what is it?"},
    "pick": {"index": 2},
}


@dataclass
class World:
    """A thread with a picture of each sort, all of the author's; what they were is told by turns."""

    opened: Opened
    turns: dict[str, Turn]
    wanted: Decision | None = None

    async def decide(self, actor: Actor, said: str, state: State) -> Decision:
        """The decision that a cell is about, whatever the state says of it."""
        return self.wanted or Decision(kind="draw", words=said)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_studio(tmp_path, Talker(), EDIT_MODEL="tiny/edit", ASK_MODEL="tiny/chat") as opened:
        dialogues, author, found = opened.studio.dialogues, PEOPLE["author"], World(opened, {})
        dialogues.decide = found.decide
        after = None
        for name in PICTURES:
            await opened.studio.own.change(author, private=name == "private")
            given = []
            if name == "sent":
                given, found.wanted = [Sent(png())], Decision(kind="talk")
            turn = await dialogues.say(author, f"a {name} house", after=after, given=given)
            if turn.asks:
                job = await dialogues.submit(author, turn)
                async for _ in await opened.studio.watch(author, job.id):
                    pass
            found.turns[name] = turn = await dialogues.turn(author, turn.id)
            found.wanted, after = None, turn.id if name == "public" else after
        await opened.studio.own.change(author, private=False)
        await opened.studio.delete(author, found.turns["deleted"].job.id)
        await opened.studio.server.ban(MIRA, PEOPLE["banned"].user_id)
        yield found


def may(person: str, picture: str) -> bool:
    """What the table of rights says of a cell."""
    if picture == "deleted" or person == "banned":
        return False
    return person == "author" or (picture == "public" and person in HERE)


async def works(world: World, actor: Actor, after: str, kind: Kind, number: int) -> bool:
    """Whether a sentence of a kind about a picture is taken: a job is to be queued, or it is shown."""
    world.wanted = Decision(kind=kind, about=(number,), **ARGUMENTS.get(kind, {}))
    try:
        turn = await world.opened.studio.dialogues.say(actor, "do it", after=after)
    except (NotAllowedError, ImageError):
        return False
    if turn.new is not None:
        try:
            await world.opened.studio.dialogues.submit(actor, turn)
        except UserError:
            return False
        return True
    return turn.kind in ("back", "pick") and not turn.reply


@pytest.mark.slow
async def test_every_cell_is_as_the_table_of_rights_says(world: World) -> None:
    numbers = {"public": 1, "private": 2, "deleted": 3, "sent": 4}
    assert [world.turns[name].number for name in PICTURES] == list(numbers.values())
    wrong, cells = list[str](), 0
    for person, actor in PEOPLE.items():
        for picture in PICTURES:
            for kind in NEEDS_PICTURE:
                if kind == "pick" and picture == "sent":
                    continue  # there is one of it
                cells += 1
                after = world.turns["public"].id
                if await works(world, actor, after, kind, numbers[picture]) is not may(person, picture):
                    wrong.append(f"{person} {picture} {kind}")
    assert cells == 7 * 4 * 9 - 7 and wrong == []


async def test_a_turn_of_somebody_elses_can_not_be_acted_on(world: World) -> None:
    dialogues = world.opened.studio.dialogues
    public, private = world.turns["public"], world.turns["private"]
    for person, actor in PEOPLE.items():
        if person == "author":
            continue
        for turn in (public, private):
            for act in (
                lambda turn=turn, actor=actor: dialogues.meant(actor, turn.id, "draw"),
                lambda turn=turn, actor=actor: dialogues.offer(actor, turn.id, 0),
                lambda turn=turn, actor=actor: dialogues.said_with(actor, turn.id, 5),
                lambda turn=turn, actor=actor: dialogues.submit(actor, turn),
            ):
                with pytest.raises(NotAllowedError):
                    await act()
        shown = person in HERE or person == "banned"
        assert (await dialogues.of_message(actor, 5) is None) is True
        for turn, seen in ((public, shown), (private, False)):
            if seen:
                assert (await dialogues.turn(actor, turn.id)).id == turn.id
                continue
            with pytest.raises(NotAllowedError):
                await dialogues.turn(actor, turn.id)
            with pytest.raises(NotAllowedError):
                await dialogues.changes(actor, turn.job.id, 0)
            with pytest.raises(NotAllowedError):
                await dialogues.without(actor, turn.job.id, 0, 1)
    other = replace(PEOPLE["author"], user_id=2)
    with pytest.raises(ImageError):
        await dialogues.show(other, public.id, private.job.id, 0)
