"""Sets of examples in Discord's markdown: what is in one, and what trying one has found."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import discord

from bot.ui.buttons import JobButton, view_of
from bot.ui.messages import fit, quote, title
from core.job import Job
from storage.conversations import ExampleSet
from studio.example_sets import PAGE, Contents
from studio.texts import counted

LISTED = 20  # labels, or questions, of a message
NONE = "You have no sets yet. `/examples new` makes one; then `/examples add` puts labelled pictures into it."
ROUNDED = 0.01  # of an example, by which a share that was counted may be off
FEW = 4  # pictures of a label, under which more would help most
ACTIONS = ("again", "details", "delete")


def sets(found: Sequence[ExampleSet], user_id: int) -> str:
    """Return the names of somebody's sets, and of those that others share with them."""
    if not found:
        return NONE
    lines = [f"**{quote(one.name, 80)}** {_whose(one, user_id)}" for one in found]
    return fit("\n".join(lines))


def _whose(found: ExampleSet, user_id: int) -> str:
    if found.user_id != user_id:
        return f"by <@{found.user_id}>, shared here"
    return "shared with a server" if found.guild_id is not None else "private"


def contents(found: Contents, user_id: int, page: int) -> str:
    """Return what is in a set. page: of its pictures, from 0."""
    count = counted(len(found.examples), "example")
    head = f"**{quote(found.set.name, 80)}** · {count} · {_whose(found.set, user_id)}"
    if not found.examples:
        return fit(f"{head}\nIt is empty. `/examples add` puts pictures into it.")
    lines = _turns(found) if found.answers else [*_labels(found), _numbers(found, page)]
    last = -(-len(found.examples) // PAGE)
    pages = f"\n-# Page {page + 1} of {last}: `/examples show` with `page`" if last > 1 else ""
    return fit("\n".join([head, *lines]) + pages)


def _labels(found: Contents) -> list[str]:
    lines = [f"{quote(label, 80)}: {count}" for label, count in found.labels.items()]
    few = [quote(label, 40) for label, count in found.labels.items() if count < FEW]
    if len(found.labels) < 2:
        lines.append("-# It takes at least two labels to choose from.")
    elif few:
        lines.append(f"-# From {FEW} pictures of each label on it gets good; {', '.join(few[:5])} has fewer.")
    return lines


def _numbers(found: Contents, page: int) -> str:
    """Return which labels the numbers on a page of pictures have."""
    first, parts = page * PAGE, list[str]()
    shown = found.examples[first : first + PAGE]
    for label, some in itertools.groupby(enumerate(shown, first + 1), lambda pair: pair[1].label):
        numbers = [number for number, _ in some]
        range_ = f"{numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else f"{numbers[0]}"
        parts.append(f"{range_}: {quote(label, 40)}")
    return f"-# {' · '.join(parts)}"


def _turns(found: Contents) -> list[str]:
    shown = found.examples[:LISTED]
    lines = [f"{n}. {quote(one.question, 60)} → {quote(one.label, 60)}" for n, one in enumerate(shown, 1)]
    more = len(found.examples) - len(shown)
    return [*lines, f"-# and {more} more"] if more else lines


def tried(job: Job, scores: Sequence[tuple[str, float]], parameters: Mapping[str, Any]) -> str:
    """Return the label that fits best, and how far either way can be trusted. scores: (label, probability).
    parameters: of the result."""
    best, chance = scores[0]
    ways = sorted(parameters.get("ways", ()), key=lambda way: way["name"] != parameters.get("model"))
    lines = [f"-# {_way(way, place)}" for place, way in enumerate(ways)]
    notes = [f"-# {quote(str(note), 300)}" for note in parameters.get("notes", ())]
    head = f"{title(job)}\n**{quote(best, 80)}** {chance:.1%}"
    return fit("\n".join([head, *lines, *notes, f"-# job {job.id}"]))


def _way(way: Mapping[str, Any], place: int) -> str:
    name = quote(str(way["name"]), 60)
    said = (
        f"{name} answered"
        if place == 0
        else f"{name} says {quote(str(way['label']), 60)} ({way['chance']:.0%})"
    )
    if way["accuracy"] is None:
        return f"{said}; not tested, since that takes two examples of a label"
    counts = f"right on {way['right']} of {way['tested']} examples left out in turn"
    estimated = abs(way["accuracy"] * way["tested"] - way["right"]) > ROUNDED
    about = f", about {way['accuracy']:.0%} of new pictures" if estimated else ""
    return f"{said}: {counts}{about}"


def view(job: Job) -> discord.ui.View:
    """Return what can be done with what was found."""
    return view_of(*(JobButton(job.id, action, row=0) for action in ACTIONS))
