"""What a message shows of the text in a picture: a block of code that the text can't leave, and files with
all of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import discord

from bot.ui import messages
from bot.ui.buttons import JobButton, view_of
from bot.ui.messages import cut, length, quote
from core.job import Job
from core.results.text_lines import count_words, lines_as_json
from jobs.views import Result
from studio.asking.words import counted, visible

MAX_TEXT = 1500  # characters of the text in its message; the files have the rest
MORE = "… the rest is in the file"


def read(result: Result, text: str) -> str:
    """Return the message with the text that was read."""
    job, parameters = result.job, result.parameters
    count = f"{counted(len(result.lines), 'line')} · {counted(count_words(result.lines), 'word')}"
    foot = f"-# {count} · {quote(str(parameters.get('model', '')), 60)} · job {job.id}"
    notes = "".join(f"\n-# {quote(str(note), 300)}" for note in parameters.get("notes", ()))
    return messages.fit(f"{messages.title(job)}\n{block(text)}\n{foot}{notes}")


def block(text: str, limit: int = MAX_TEXT) -> str:
    """Return as much of a text as fits in a block of code, which it can't end."""
    shown = visible(text.expandtabs(4)).replace("```", "'''").strip("\n")
    if length(shown) > limit:
        shown = f"{cut(shown, limit).rpartition(chr(10))[0] or cut(shown, limit)}\n{MORE}"
    return f"```\n{shown or ' '}\n```"


def files(result: Result, text: str) -> dict[str, bytes]:
    """Return the files that come along, by name: the text, and each line with its box."""
    given: Mapping[str, Any] = result.parameters
    size = int(given.get("width", 0)), int(given.get("height", 0))
    told = lines_as_json(result.lines, size, str(given.get("model", "")))
    return {f"{result.job.id}.txt": f"{text}\n".encode(), f"{result.job.id}.json": told.encode()}


def view(job: Job) -> discord.ui.View:
    """Return what can be done with the text."""
    return view_of(*(JobButton(job.id, action) for action in ("details", "delete")))
