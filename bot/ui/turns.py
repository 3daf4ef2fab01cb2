"""The message of a turn of a conversation: what was understood, the list of changes, its buttons and menus.

``tn:<turn id>:<action>:<index>`` for buttons, ``tm:<turn id>`` for what was meant instead, ``to:<turn id>``
for which picture was meant, ``tc:<job id>:<index>`` to take a change out of the list behind a picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import discord

from bot.ui.buttons import (
    MOST_OPTIONS,
    JobButton,
    KeptItem,
    Rows,
    Secondary,
    Success,
    chosen_in,
    link_button,
    options_of,
    rows_of,
)
from bot.ui.layout import MOST_CHARACTERS
from bot.ui.messages import cut_text, fit_message, quote
from core.job import Job
from core.language import N_, _, retold
from core.requests.base import Answer
from studio.talk.changes import Change
from studio.talk.history import Turn
from studio.texts import plain

KEY = "turn:"  # beginning of a job's request key
NEWEST_CHANGES = 4  # that a message shows
MEANT: dict[str, str] = {  # kind → what it is called where somebody says what they meant
    "draw": N_("A new picture"),
    "change": N_("Change the picture"),
    "video": N_("Make it a video"),
    "upscale": N_("Upscale it"),
    "cutout": N_("Cut it out"),
    "extend": N_("Extend it"),
    "ask": N_("Answer a question"),
    "find": N_("Search my pictures"),
}
OTHER = "other"  # in that menu: the same, with another picture
SAYS = {"again": "try again", "video": "make it move", "upscale": "upscale it", "cutout": "cut it out"}
LOOKS: dict[str, tuple[str | None, str | None]] = {  # action → label, emoji
    "undo": (N_("Undo"), "↩️"),
    "redo": (N_("Redo"), "↪️"),
    "again": (None, "🔄"),
    "video": (N_("Animate"), "🎞️"),
    "upscale": (N_("Upscale"), "⏫"),
    "cutout": (N_("Cut out"), "✂️"),
    "changes": (N_("Changes"), "📝"),
    "find": (N_("Show them"), "🔍"),
}


class TurnButton(KeptItem, template=r"tn:(?P<turn_id>[a-z2-9]{12}):(?P<action>[a-z]+):(?P<index>[0-9]{1,2})"):
    """A button of a turn. label: of an offer, or of a number."""

    def __init__(
        self, turn_id: str, action: str, index: int = 0, label: str | None = None, row: int | None = None
    ) -> None:
        said, emoji = LOOKS.get(action, (label or action.title(), None))
        style = Success if action == "offer" else Secondary
        custom_id = f"tn:{turn_id}:{action}:{index}"
        super().__init__(
            discord.ui.Button(
                label=_(said or "") or None, emoji=emoji, style=style, custom_id=custom_id, row=row
            )
        )
        self.turn_id, self.action, self.index = turn_id, action, index

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        await client.turns.on_press(interaction, self.turn_id, self.action, self.index)


class MeantMenu(KeptItem, template=r"tm:(?P<turn_id>[a-z2-9]{12})"):
    """Says what a sentence meant instead."""

    def __init__(self, turn_id: str, kind: str = "") -> None:
        named = {value: label for value, label in MEANT.items() if value != kind}
        menu: discord.ui.Select[Any] = discord.ui.Select(
            custom_id=f"tm:{turn_id}",
            options=options_of({**named, OTHER: _("Another picture …")}),
            placeholder=_("No, I meant …"),
        )
        super().__init__(menu)
        self.turn_id = turn_id

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        await client.turns.on_meant(interaction, self.turn_id, next(iter(chosen_in(interaction)), ""))


class OtherMenu(KeptItem, template=r"to:(?P<turn_id>[a-z2-9]{12})"):
    """Says which picture a sentence was about. pictures: number → words."""

    def __init__(self, turn_id: str, pictures: Mapping[int, str] | None = None) -> None:
        labels = {
            str(number): f"{number} {plain(words)}".strip() for number, words in (pictures or {}).items()
        }
        menu: discord.ui.Select[Any] = discord.ui.Select(
            custom_id=f"to:{turn_id}",
            options=options_of(labels) or [discord.SelectOption(label="-")],
            placeholder=_("Which picture?"),
        )
        super().__init__(menu)
        self.turn_id = turn_id

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        await client.turns.on_other(interaction, self.turn_id, next(iter(chosen_in(interaction)), ""))


class TakeOutMenu(KeptItem, template=r"tc:(?P<job_id>[a-z2-9]{12}):(?P<index>[0-9]{1,2})"):
    """Takes a change out of those behind a picture."""

    def __init__(self, job_id: str, index: int, changes: Sequence[Change] = ()) -> None:
        options = [
            discord.SelectOption(
                label=cut_text(f"{one.number} {plain(one.words)}", 100),
                value=str(one.number),
                description=cut_text(one.again, 100),
            )
            for one in changes
            if one.can_go
        ]
        menu: discord.ui.Select[Any] = discord.ui.Select(
            custom_id=f"tc:{job_id}:{index}",
            options=options[-MOST_OPTIONS:] or [discord.SelectOption(label="-")],
            placeholder=_("Take one out and make the rest again"),
        )
        super().__init__(menu)
        self.job_id, self.index = job_id, index

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        number = next(iter(chosen_in(interaction)), "")
        await client.turns.on_take_out(interaction, self.job_id, self.index, number)


def turn_of(job: Job) -> str | None:
    """Return the id of the turn whose job it is, None for every other job."""
    key = job.origin.request_key or ""
    return key.removeprefix(KEY) if key.startswith(KEY) else None


DYNAMIC_ITEMS = (TurnButton, MeantMenu, OtherMenu, TakeOutMenu)


def understood_text(understood: str) -> str:
    """Return the line that says what a sentence was taken for, "" where there is nothing to say."""
    return _("-# Understood: {understood}", understood=quote(understood, 300)) if understood else ""


def waiting_text(turn: Turn) -> str:
    """Return the message of a turn before it has a job."""
    said = f"**{quote(turn.said, 250)}** - " if turn.said else ""
    waits = _(" (Waiting for the picture before)") if turn.waits_for is not None else ""
    lines = (f"{said}<@{turn.user_id}>{waits}", understood_text(turn.understood))
    return fit_message("\n".join(line for line in lines if line))


def reply_text(turn: Turn) -> str:
    """Return the message of a turn that no job answers."""
    return fit_message("\n".join([waiting_text(turn), retold(turn.reply)]).rstrip())


def shown_text(turn: Turn, job: Job, index: int | None, changes: Sequence[Change]) -> str:
    """Return the message of a turn that shows what there is already. index: of its job, None = all."""
    number = "" if index is None else f" {index + 1}"
    lines = [waiting_text(turn), f"-# job {job.id}{number}"]
    return fit_message("\n".join([*lines, *([changes_line(changes)] if len(changes) > 1 else [])]))


def changes_line(changes: Sequence[Change]) -> str:
    """Return the newest of the changes behind a picture."""
    return f"-# {' · '.join(f'{one.number} {quote(one.words, 80)}' for one in changes[-NEWEST_CHANGES:])}"


def changes_text(changes: Sequence[Change]) -> str:
    """Return the whole list of changes behind a picture."""
    lines = [f"{one.number}. {quote(one.words, 300) or '…'}" for one in changes]
    return fit_message("\n".join([_("**Changes** behind this picture"), *lines]))


def with_turn(text: str, *lines: str) -> str:
    """Return the text of a job's message with lines of its turn below."""
    return fit_message("\n".join(line for line in (text, *lines) if line), MOST_CHARACTERS)


def rows_of_offers(turn: Turn) -> Rows:
    """Return what can be answered to a turn that no job answers: its offers, or what was meant instead."""
    labels = [cut_text(plain(label), 80) for label in turn.offers]
    offers = [TurnButton(turn.id, "offer", i, label, row=0) for i, label in enumerate(labels)]
    found = [TurnButton(turn.id, "find", row=0)] if turn.kind == "find" else []
    return rows_of(*offers, *found, MeantMenu(turn.id, turn.kind))


def rows_of_pictures(
    turn: Turn, job: Job, index: int | None, count: int, web: str = "", *, animates: bool = False
) -> Rows:
    """Return what can be done with what a turn shows: ``count`` pictures of a job, or the one with ``index``
    (from 0). web: the address of the studio on the web. animates: whether videos are made here."""
    several, video = index is None and count > 1, job.request.answer is Answer.VIDEOS
    picks = [TurnButton(turn.id, "pick", i, str(i + 1)) for i in range(count)] if several else []
    first = (*picks, TurnButton(turn.id, "again")) if several else ()
    actions = ["undo"] if turn.can_undo else []
    actions += [] if video else [*(["video"] if animates else []), "upscale", "cutout"]
    second = tuple(TurnButton(turn.id, action) for action in (*actions, "changes"))
    threads = ["thread"] if job.origin.guild_id is not None and not job.origin.private else []
    redo = [TurnButton(turn.id, "redo")] if turn.can_redo else []
    last = [JobButton(job.id, action, index or 0) for action in (*threads, "favourite", "details")]
    links = [link_button(_("Web"), f"{web}/talk/{turn.id}")] if web else []
    menu = (MeantMenu(turn.id, turn.kind),)
    return tuple(row for row in (first, second, menu, (*redo, *last, *links)) if row)


def add_menu(rows: Rows, turn: Turn) -> Rows:
    """Return rows with the menu of a turn below its buttons."""
    return (*rows, (MeantMenu(turn.id, turn.kind),))
