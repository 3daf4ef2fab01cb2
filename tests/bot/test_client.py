"""The tree of commands, where Discord takes fewer menus than there are."""

import discord
import pytest
from discord import app_commands

from bot.client import TOO_MANY_COMMANDS, Tree
from bot.wire import private_api


class _Answer:
    status, reason = 400, "Bad Request"


def _tree(menus: int) -> Tree:
    async def pressed(interaction: discord.Interaction, message: discord.Message) -> None:
        """Nothing."""

    tree = Tree(discord.Client(intents=discord.Intents.none()))
    for number in range(menus):
        tree.add_menu(app_commands.ContextMenu(name=f"menu {number}", callback=pressed))
    return tree


def _discord(tree: Tree, *codes: int) -> list[int]:
    """Let Discord refuse the first calls with ``codes``; the numbers of menus that each call registers."""
    calls: list[int] = []
    refusals = iter(codes)

    async def sync() -> list[app_commands.AppCommand]:
        calls.append(len(private_api.context_menus(tree)))
        if (code := next(refusals, None)) is not None:
            raise discord.HTTPException(_Answer(), {"code": code, "message": "no"})
        return []

    tree.sync = sync
    return calls


async def test_all_menus_are_registered_where_discord_takes_them() -> None:
    calls = _discord(tree := _tree(7))
    await tree.sync_all()
    assert calls == [7]


async def test_where_discord_takes_five_menus_the_first_five_are_registered() -> None:
    calls = _discord(tree := _tree(7), TOO_MANY_COMMANDS)
    await tree.sync_all()
    assert calls == [7, 5]
    assert [name for name, _, _ in private_api.context_menus(tree)] == [f"menu {n}" for n in range(5)]


async def test_any_other_refusal_is_told() -> None:
    calls = _discord(tree := _tree(7), 50035)
    with pytest.raises(discord.HTTPException):
        await tree.sync_all()
    assert calls == [7]
