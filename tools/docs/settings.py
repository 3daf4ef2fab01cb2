"""The page of settings, from ``core.settings``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from core.settings import BY_TYPE, Settings, sections
from tools.docs.markdown import cell, code, page, sentence, table

INTRO = """\
These are all settings, by group. Write them into the file `.env` in the folder where Atelier starts, \
one `NAME=value` a line, or set them as environment variables. The environment wins over the file.

A misspelt name in `.env` or a value that a setting doesn't take stops the start; the message says what \
it takes. `atelier doctor` checks everything before you start. A secret can also be in a file of its \
own: `DISCORD_TOKEN_FILE=/run/secrets/token`."""
NO_VALUE = "\0"  # a text that is a value of no setting


def takes(read: Callable[[str], Any]) -> str:
    """Return which values a reader admits, in the words by which it refuses others; "" = any text."""
    try:
        read(NO_VALUE)
    except ValueError as error:
        return str(error).removeprefix("takes ").partition(";")[0]
    return ""


def settings_page() -> str:
    """Return the page."""
    groups: dict[str, list[list[str]]] = {}
    basic = [item.name.upper() for item in fields(Settings) if item.metadata.get("basic")]
    of = sections()
    for item in fields(Settings):
        name, meta = item.name.upper(), item.metadata
        read = meta["read"] or BY_TYPE[str(item.type)]
        default = code(meta["default"]) if meta["default"] else "empty"
        kept = " Secret: never shown or logged." if meta["secret"] else ""
        row = [code(name), default, takes(read), sentence(meta["help"], name) + kept]
        groups.setdefault(of[name], []).append(row)
    parts = [
        f"## {cell(group)}\n\n{table(('setting', 'default', 'takes', 'what it does'), rows)}"
        for group, rows in groups.items()
    ]
    if basic:
        parts.insert(0, f"Most hosts set only these: {code(*basic)}. `.env.example` has them.")
    return page("Settings", INTRO, *parts)
