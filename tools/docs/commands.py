"""The page of commands and message menus, as Discord is told them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from discord.ext import commands

from bot.chat import Questions, Teaching
from bot.client import Tree, wanted_intents
from bot.cogs import EXTENSIONS
from bot.ui import help
from tools.docs.markdown import code, page, sentence, table

INTRO = """\
Type `/` in Discord to see these commands; Discord shows each option while you type. `/help` explains \
every command in Discord itself. Commands marked *Manage Server* need that permission in the server; \
[Rights](rights.md) has the whole table.

Options in bold are required."""
MENUS = {  # of a message: open its menu, then Apps
    "Describe": "suggests prompts for the message's picture",
    "Ask": "opens a window for a question about the message's pictures or answer",
    "Add as example": "adds the message's picture to a set of examples, under a label",
    "Add to project": "adds the message's pictures to a project of a custom model, under a label",
    "Inspect": "asks the model of a project about the message's pictures",
    "Classify": "says what the message's picture shows",
    "Read text": "reads the text in the message's pictures",
    "Check": "shows managers what the server's rules say about a message, and does nothing else",
    "Vary": "makes four pictures like the message's picture",
    "Cancel": "cancels the message's job, if it is yours",
    "DM results": "sends you the message's pictures",
    "Details": "shows the prompt, seed, model and parameters of the message's picture",
}
MIDJOURNEY = (
    (
        "`/docs`, `/faq`, `/userid`, `/subscribe`, `/daily_theme`, `/invite`",
        "they belong to Midjourney's service; use `/help`",
    ),
    ("`/synonyms`, `/ideas`, `/word`, `/feedback`", "dropped by Midjourney, too"),
    ("`/private`", "`/stealth`"),
    (
        "`/tune`, `/list_tuners`, `/list_personalize_codes`",
        "`/style` trains a style on your pictures, and `--lora` draws in it",
    ),
    ("Personalization in `/settings`", "`/prefer suffix --p`"),
    ("**Web** under a picture", "the same, where the host has a [web studio](../host/web-studio.md)"),
)
GROUPS = 1, 2  # kinds of options that are commands themselves
KINDS = {
    3: "text",
    4: "whole number",
    5: "on or off",
    6: "member",
    7: "channel",
    8: "role",
    10: "number",
    11: "file",
}
# https://discord.com/developers/docs/interactions/application-commands#application-command-object


async def _registered() -> tuple[list[Mapping[str, Any]], list[str]]:
    """The slash commands as Discord is told them, and the names of the message menus."""
    bot: Any = commands.Bot(command_prefix=(), intents=wanted_intents(), help_command=None, tree_cls=Tree)
    bot.questions, bot.teaching = (
        object.__new__(Questions),
        object.__new__(Teaching),
    )  # menus are their methods
    for extension in EXTENSIONS:
        await bot.load_extension(extension)
    payloads = await bot.tree.payloads()
    await bot.close()
    return [one for one in payloads if one["type"] == 1], [
        one["name"] for one in payloads if one["type"] == 3
    ]


def _commands(told: Mapping[str, Any], before: str = "/") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each command that can be typed, with its whole name."""
    name = f"{before}{told['name']}"
    inner = [one for one in told.get("options", ()) if one["type"] in GROUPS]
    if not inner:
        yield name, told
    for one in inner:
        yield from _commands(one, f"{name} ")


def _options(of: str, told: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield the name, kind and meaning of each option of a command."""
    for option in told.get("options", ()):
        name = f"**{code(option['name'])}**" if option.get("required") else code(option["name"])
        about = sentence(option["description"], f"{of} {option['name']}")
        choices = ", ".join(f"*{one['name']}*" for one in option.get("choices", ()))
        yield name, KINDS[option["type"]], f"{about} One of {choices}." if choices else about


def _section(told: Mapping[str, Any]) -> str:
    text = f"## /{told['name']}\n\n{help.COMMANDS[told['name']]}"
    inner = list(_commands(told))
    if len(inner) == 1:
        options = table(("option", "kind", "what it is"), _options(*inner[0])) if told["options"] else ""
        return f"{text}\n\n{options}"
    rows = [
        (
            code(name),
            sentence(one["description"], name),
            "<br>".join(f"{option} ({kind}): {about}" for option, kind, about in _options(name, one)),
        )
        for name, one in inner
    ]
    return f"{text}\n\n{table(('command', 'what it does', 'options'), rows)}"


def commands_page() -> str:
    """Return the page. Raises ValueError for a command or menu that nothing is said of."""
    told, menus = asyncio.run(_registered())
    names = {one["name"] for one in told}
    if names != help.COMMANDS.keys() or set(menus) != MENUS.keys():
        raise ValueError(f"without a sentence: {names ^ help.COMMANDS.keys() or set(menus) ^ MENUS.keys()}")
    return page(
        "Commands",
        INTRO,
        *(_section(one) for one in told),
        "## Message menus\n\nOpen the menu of a message (⋯ or a long press), then **Apps**.",
        table(("menu", "what it does"), [(f"**{name}**", sentence(MENUS[name], name)) for name in menus]),
        "## Midjourney's commands",
        table(("in Midjourney", "here"), ((name, sentence(what, name)) for name, what in MIDJOURNEY)),
    )
