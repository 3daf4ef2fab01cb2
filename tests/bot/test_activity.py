"""The studio inside Discord, from the bot's side: which buttons open it, and what is said if that fails."""

import contextlib
import copy
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import simcord.interactions as base
from simcord.backend import errors
from simcord.http import router

from bot.client import ENTRY_POINT
from core.errors import NotAllowedError
from storage.sessions import Sessions
from tests.bot.conftest import Studio, open_studio
from tests.support.messages import Item, items_of, text_of
from web.auth import web_actor

CALLBACK = "interactions/{interaction_id}/{token}/callback".split("/")
LAUNCH_ACTIVITY = 12  # https://docs.discord.com/developers/interactions/receiving-and-responding
ON = {
    "ACTIVITY": "on",
    "WEB_PORT": "8080",
    "PUBLIC_URL": "https://studio.example",
    "DISCORD_CLIENT_ID": "1002",
}


class Launches:
    """Answers callbacks of the type that opens an Activity, which simcord doesn't know. fails: as for an app
    without Activities. opened: the instance of each, by the id of its interaction."""

    def __init__(self, others: Any) -> None:
        self._others, self.fails, self.opened = others, False, list[str]()

    def __call__(self, ctx: Any) -> Any:
        if ctx.body()["type"] != LAUNCH_ACTIVITY:
            return self._others(ctx)
        record = ctx.backend.interactions.get(ctx.int_arg("interaction_id"))
        if record is None or record.responded:
            raise errors.unknown_interaction() if record is None else errors.already_acknowledged()
        if self.fails:
            raise errors.invalid_form_body("This application has no Activity")
        record.responded = True
        instance = f"i-{record.id}-gc-{record.guild_id}-{record.channel_id}"
        self.opened.append(instance)
        told = {"id": str(record.id), "type": record.type, "activity_instance_id": instance}
        return {"interaction": told, "resource": {"type": 12, "activity_instance": {"id": instance}}}


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> Iterator[Launches]:
    table = copy.copy(router._ROUTES["POST"])
    place = next(number for number, (path, _) in enumerate(table) if path == CALLBACK)
    found = Launches(table[place][1])
    table[place] = (CALLBACK, found)
    monkeypatch.setitem(router._ROUTES, "POST", table)
    yield found


@pytest.fixture
async def inside(launches: Launches, tmp_path: Path) -> AsyncIterator[Studio]:
    async with open_studio(tmp_path, **ON) as opened:
        with opened.built.web.opened("https://studio.example"):
            yield opened


def _labels(message: Any) -> dict[str, Item]:
    return {item.name: item for item in items_of(message)}


async def test_web_and_edit_open_their_page_inside_discord(inside: Studio, launches: Launches) -> None:
    await inside.alice.slash(inside.channel, "imagine", prompt="a red house")
    grid = inside.last()
    job = (await inside.members.recent(inside.alice.id))[0]
    assert not _labels(grid)["Web"].url
    await inside.alice.click(grid, label="Web")
    await inside.alice.click(grid, label="U3")
    await inside.bob.click(inside.last(), label="Edit")
    web, edit = launches.opened
    assert {where: page for where, (page, _) in inside.built.web.launched.items()} == {
        (web, inside.alice.id): f"/pictures/{job.id}/1",
        (edit, inside.bob.id): f"/edit/{job.id}/3",
    }


async def test_a_button_opens_it_after_a_restart_as_well(inside: Studio, launches: Launches) -> None:
    await inside.alice.slash(inside.channel, "imagine", prompt="a red house")
    grid = inside.last()
    await inside.restart()
    await inside.alice.click(grid, label="Web")
    assert len(launches.opened) == 1


async def test_where_discord_opens_nothing_a_link_leads_there(inside: Studio, launches: Launches) -> None:
    await inside.alice.slash(inside.channel, "imagine", prompt="a red house")
    job = (await inside.members.recent(inside.alice.id))[0]
    launches.fails = True
    pressed = await inside.alice.click(inside.last(), label="Web")
    assert pressed.ephemeral and "can't open it here" in pressed.response.content
    address = pressed.response.content.split("<")[1].split(">")[0]
    assert address.startswith(f"https://studio.example/in?next=%2Fpictures%2F{job.id}%2F1#")
    sessions: Sessions = inside.built.web.sessions
    assert await sessions.offered(address.partition("#")[2]) == inside.alice.name
    assert dict(inside.built.web.launched) == {}


async def test_the_command_that_opens_the_activity_opens_the_studio(
    inside: Studio, launches: Launches, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = base.base_payload

    def pressed(*args: Any, **options: Any) -> Any:
        record, payload = plain(*args, **options)
        return record, {**payload, "data": {**payload["data"], "type": ENTRY_POINT, "name": "launch"}}

    for module in [one for one in list(sys.modules.values()) if getattr(one, "base_payload", None) is plain]:
        monkeypatch.setattr(module, "base_payload", pressed)
    with contextlib.suppress(Exception):
        await inside.alice.slash(inside.channel, "info")
    [instance] = launches.opened
    assert inside.built.web.launched[instance, inside.alice.id].page == "/"


async def test_a_picture_is_sent_to_who_asks_for_it_in_the_frame(inside: Studio) -> None:
    await inside.alice.slash(inside.channel, "imagine", prompt="a red house")
    job = (await inside.members.recent(inside.alice.id))[0]
    await inside.bot.studio.posting.send(web_actor(inside.alice.id, "alice"), job.id, 2)
    [sent] = inside.alice.user.dm_channel.history()
    assert sent.attachments and f"job {job.id}" in text_of(sent).replace("`", "")
    with pytest.raises(NotAllowedError):
        await inside.bot.studio.posting.send(web_actor(99, "a stranger"), job.id, 2)
