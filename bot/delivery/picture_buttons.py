"""The buttons under pictures: of a grid, and of one picture at its size."""

from __future__ import annotations

from typing import Any

import discord

from bot.ui.buttons import MOST_IN_ROW, JobButton, view_of
from core.job import Job
from storage.job_queries import StoredPicture
from studio.requests import actions

LINKED = (2, 0, 3)  # rows of a single picture's buttons that may have room for links
ZOOMS, LAST = 2, 4  # the row of the zooms, and the one that looks and ends


def for_grid(job: Job, count: int, web: str = "") -> discord.ui.View:
    """Return U and V for each of ``count`` pictures, and re-roll. web: the address of the studio on the web,
    which then is a link away."""
    upscale = [JobButton(job.id, "upscale", i, row=0) for i in range(count)]
    vary = [JobButton(job.id, "vary", i, row=1) for i in range(count)]
    links = [_link("Web", f"{web}/pictures/{job.id}/1", row=1)] if web else []
    return view_of(*upscale, JobButton(job.id, "again", row=0), *vary, *links)


def for_single(
    job: Job,
    index: int,
    picture: StoredPicture,
    web: str = "",
    *,
    asks: bool = False,
    films: bool = False,
    edits: bool = False,
) -> discord.ui.View:
    """Return what can be done with picture ``index`` (from 0) at its size, in Midjourney's order. web: as for
    ``for_grid``. asks: whether anything here answers questions; Ask is there where the links leave room.
    films: whether they are made here. edits: whether pictures are changed as words say."""
    rows, left_out = actions.for_picture(job, picture), {"read"}  # a menu of the message has it
    if films:  # one beside the zooms, the other in the place of what the message's menu has as well
        rows, left_out = _animated(rows), left_out | {"classify"}
    if edits:  # in the place of what the message's menu has as well
        rows = (*rows[:LAST], (*actions.EDITS, *rows[LAST]))
        left_out.add("describe" if films else "classify")
    if web and all(len(rows[row]) >= MOST_IN_ROW for row in LINKED):  # a place for the link to the editor
        left_out.add("cutout" if not films else "dm" if edits else "describe")  # a reaction sends it, too
    rows = tuple(tuple(action for action in actions if action not in left_out) for actions in rows)
    acting = [
        JobButton(job.id, action, index, row=row) for row, actions in enumerate(rows) for action in actions
    ]
    room = [row for row in (*LINKED, LAST) for _ in range(MOST_IN_ROW - len(rows[row]))]
    links = (("Edit", "edit"), ("Web", "pictures")) if web else ()  # the way out of one leads to the other
    addresses = [(label, f"{web}/{page}/{job.id}/{index + 1}") for label, page in links]
    asking = [JobButton(job.id, "question", index, row=row) for row in room[len(addresses) :][:1] if asks]
    linked = [_link(*one, row) for one, row in zip(addresses, room, strict=False)]
    return view_of(*acting, *linked, *asking)


def _animated(rows: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
    """Return the rows with both buttons that make films; Cut out gives way where its row is full."""
    zooms = tuple(action for action in rows[ZOOMS] if action != "cutout" or len(rows[ZOOMS]) < MOST_IN_ROW)
    high, low = actions.ANIMATES
    return (*rows[:ZOOMS], (*zooms, high), *rows[ZOOMS + 1 : LAST], (low, *rows[LAST]))


def for_films(job: Job, count: int, web: str = "") -> discord.ui.View:
    """Return U for each of ``count`` films, and re-roll. web: as for ``for_grid``."""
    singles = [JobButton(job.id, "upscale", i, row=0) for i in range(count)]
    links = [_link("Web", f"{web}/pictures/{job.id}/1", row=1)] if web else []
    return view_of(*singles, JobButton(job.id, "again", row=0), *links)


def for_film(job: Job, index: int, web: str = "") -> discord.ui.View:
    """Return what can be done with film ``index`` (from 0). web: as for ``for_grid``."""
    rows = actions.for_film(job)
    acting = [JobButton(job.id, action, index, row=row) for row, group in enumerate(rows) for action in group]
    links = [_link("Web", f"{web}/pictures/{job.id}/{index + 1}", row=len(rows) - 1)] if web else []
    return view_of(*acting, *links)


def _link(label: str, address: str, row: int) -> discord.ui.Button[Any]:
    """Return a button that leads to a page of the studio on the web."""
    return discord.ui.Button(label=label, url=address, row=row)
