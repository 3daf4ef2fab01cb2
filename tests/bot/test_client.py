"""The tree of commands: what Discord is told, and what happens where it takes less or wants to keep more."""

import asyncio
from typing import Any

import discord
import pytest
from discord import app_commands

from bot.client import ENTRY_POINT, NO_ENTRY_POINT, TOO_MANY_COMMANDS, Tree, digest_of
from bot.discord_api import private_api
from tests.bot.conftest import Studio

LAUNCH = {"id": "7", "type": ENTRY_POINT, "name": "launch", "description": "", "handler": 2}


class _Answer:
    status, reason = 400, "Bad Request"


class _Commands:
    """Discord's list of commands. It refuses the first registrations with ``codes``; one that made an Entry
    Point command refuses each that leaves it out."""

    def __init__(self, *codes: int, made: dict[str, Any] | None = None) -> None:
        self._codes, self._made = iter(codes), made
        self.calls: list[list[dict[str, Any]]] = []

    async def bulk_upsert_global_commands(
        self, application_id: int, payload: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        self.calls.append(payload)
        code = next(self._codes, None)
        if code is None and self._made is not None and self._made not in payload:
            code = NO_ENTRY_POINT
        if code is not None:
            raise discord.HTTPException(_Answer(), {"code": code, "message": "no"})
        return payload

    async def get_global_commands(self, application_id: int) -> list[dict[str, Any]]:
        known = [{"id": "6", "type": 3, "name": "menu 0"}]
        return [*known, self._made] if self._made else known


def _tree(commands: _Commands, menus: int = 7) -> Tree:
    async def pressed(interaction: discord.Interaction, message: discord.Message) -> None:
        """Nothing."""

    client = discord.Client(intents=discord.Intents.none())
    client.http, client._connection.application_id = commands, 1
    tree = Tree(client)
    for number in range(menus):
        tree.add_menu(app_commands.ContextMenu(name=f"menu {number}", callback=pressed))
    return tree


async def _registered(tree: Tree) -> None:
    await tree.sync_all(await tree.payloads())


def _names(payload: list[dict[str, Any]]) -> list[str]:
    return [command["name"] for command in payload]


async def test_all_menus_are_registered_where_discord_takes_them() -> None:
    commands = _Commands()
    await _registered(_tree(commands))
    assert [len(call) for call in commands.calls] == [7]


async def test_where_discord_takes_five_menus_the_first_five_are_registered() -> None:
    commands = _Commands(TOO_MANY_COMMANDS)
    await _registered(tree := _tree(commands))
    first = [f"menu {n}" for n in range(5)]
    assert len(commands.calls) == 2 and _names(commands.calls[-1]) == first
    assert [name for name, _, _ in private_api.context_menus(tree)] == first


@pytest.mark.parametrize("codes", [(), (TOO_MANY_COMMANDS,)])
async def test_the_command_that_opens_an_activity_stays(codes: tuple[int, ...]) -> None:
    commands = _Commands(*codes, made=LAUNCH)
    await _registered(_tree(commands))
    menus = [f"menu {n}" for n in range(5 if codes else 7)]
    assert _names(commands.calls[-1]) == [*menus, "launch"]
    assert len(commands.calls) == 2 + len(codes)


@pytest.mark.parametrize("code", [50035, NO_ENTRY_POINT])
async def test_any_refusal_that_comes_again_is_told(code: int) -> None:
    """A list of Discord's without an Entry Point command is asked for once in vain."""
    commands = _Commands(*[code] * 9)
    with pytest.raises(discord.HTTPException):
        async with asyncio.timeout(5):
            await _registered(_tree(commands))
    assert len(commands.calls) <= 2


async def test_what_is_of_a_server_alone_is_not_offered_in_direct_messages(studio: Studio) -> None:
    told = {one["name"]: one for one in await studio.bot.tree.payloads()}
    alone = {name for name, one in told.items() if 1 not in one["contexts"]}
    assert alone == {"studio", "moderation"}
    assert {(*one["contexts"], *one["integration_types"]) for one in told.values()} == {(0, 1, 0), (0, 0)}


class _Shouted:
    """A language whose words are those of English in capitals."""

    def gettext(self, message: str) -> str:
        return message.upper()


async def test_a_new_language_changes_the_digest_of_the_commands(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = digest_of(await studio.bot.tree.payloads())
    assert digest_of(await studio.bot.tree.payloads()) == before
    monkeypatch.setattr("core.language.catalogue", lambda code: _Shouted())
    assert digest_of(await studio.bot.tree.payloads()) != before


async def test_the_loop_turns_between_two_commands(studio: Studio) -> None:
    made, turns = asyncio.create_task(studio.bot.tree.payloads()), 0
    while not made.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns >= len(await made) > 40
