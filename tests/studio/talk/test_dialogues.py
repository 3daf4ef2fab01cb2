"""What people say becomes rows and ordinary jobs, in order, once, and as far as each may."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.requests import EditRequest, ImagineRequest
from core.talk import Decision, State
from studio.authority import Actor
from studio.talk.dialogues import Turn
from tests.studio.conftest import ALICE, Opened, open_studio

EDIT = {"EDIT_MODEL": "longcat-edit", "MODELS_DIR": "/nonexistent"}


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Opened]:
    async with open_studio(tmp_path, EDIT_MODEL="tiny/edit") as opened:
        yield opened


async def done(opened: Opened, actor: Actor, turn: Turn) -> Turn:
    """A turn once its job is over."""
    job = await opened.studio.dialogues.submit(actor, turn)
    assert job is not None
    async for _ in await opened.studio.watch(actor, job.id):
        pass
    return await opened.studio.dialogues.turn(actor, turn.id)


async def say(opened: Opened, said: str, actor: Actor = ALICE, **more) -> Turn:
    turn = await opened.studio.dialogues.say(actor, said, **more)
    return await done(opened, actor, turn) if turn.asks else turn


async def test_a_conversation_draws_changes_and_goes_back(talk: Opened) -> None:
    first = await say(talk, "a red house in the snow")
    assert (first.kind, first.number, first.reply) == ("draw", 1, "")
    assert isinstance(first.job.request, ImagineRequest) and first.shows == (first.job.id, 0)
    second = await say(talk, "make it blue")
    assert (second.kind, second.number, second.before_id) == ("change", 2, first.id)
    request = second.job.request
    assert isinstance(request, EditRequest) and request.num_images == 1
    assert request.prompt == "make it blue" and second.job.parent_id == first.job.id
    undone = await talk.studio.dialogues.step(ALICE, second.id, -1)
    assert undone.shows == first.shows and undone.job is None and undone.new is None
    redone = await talk.studio.dialogues.step(ALICE, undone.id, 1)
    assert redone.shows == second.shows
    back = await say(talk, "go back to the first one")
    assert (back.kind, back.shows) == ("back", first.shows)
    third = await say(talk, "add a boat")
    assert third.job.parent_id == first.job.id and third.number == 3
    tree = await talk.studio.dialogues.tree(ALICE, third.id)
    assert [one.number for one in tree] == [1, 2, 1, 2, 1, 3]
    assert [one.shows for one in tree][:4] == [first.shows, second.shows, first.shows, second.shows]
