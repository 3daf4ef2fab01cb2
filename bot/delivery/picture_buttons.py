"""The buttons under pictures: of a grid, and of one picture at its size."""

from __future__ import annotations

from typing import Any

import discord

from bot.ui.buttons import MOST_IN_ROW, JobButton, view_of
from core.job import Job
from storage.lookup import StoredPicture
from studio.asking import offers

LINKED = (2, 0, 3)  # rows of a single picture's buttons that may have room for links


def for_grid(job: Job, count: int, web: str = "") -> discord.ui.View:
    """Return U and V for each of ``count`` pictures, and re-roll. web: the address of the studio on the web,
    which then is a link away."""
    upscale = [JobButton(job.id, "upscale", i, row=0) for i in range(count)]
    vary = [JobButton(job.id, "vary", i, row=1) for i in range(count)]
    links = [_link("Web", f"{web}/pictures/{job.id}/1", row=1)] if web else []
    return view_of(*upscale, JobButton(job.id, "again", row=0), *vary, *links)


def for_single(
    job: Job, index: int, picture: StoredPicture, web: str = "", *, asks: bool = False
) -> discord.ui.View:
    """Return what can be done with picture ``index`` (from 0) at its size, in Midjourney's order. web: as for
    ``for_grid``. asks: whether anything here answers questions; Ask is there where the links leave room."""
    rows, left_out = offers.for_picture(job, picture), {"read"}  # a menu of the message has it
    if web and all(len(rows[row]) == MOST_IN_ROW for row in LINKED):  # a place for the link to the editor
        left_out.add("cutout")
    rows = tuple(tuple(action for action in actions if action not in left_out) for actions in rows)
    acting = [
        JobButton(job.id, action, index, row=row) for row, actions in enumerate(rows) for action in actions
    ]
    room = [row for row in LINKED for _ in range(MOST_IN_ROW - len(rows[row]))]
    links = (("Edit", "edit"), ("Web", "pictures")) if web else ()  # the way out of one leads to the other
    addresses = [(label, f"{web}/{page}/{job.id}/{index + 1}") for label, page in links]
    asking = [JobButton(job.id, "question", index, row=row) for row in room[len(addresses) :][:1] if asks]
    linked = [_link(*one, row) for one, row in zip(addresses, room, strict=False)]
    return view_of(*acting, *linked, *asking)


def _link(label: str, address: str, row: int) -> discord.ui.Button[Any]:
    """Return a button that leads to a page of the studio on the web."""
    return discord.ui.Button(label=label, url=address, row=row)
