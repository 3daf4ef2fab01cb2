"""Pictures page by page, by month, and which of them are favourites."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from core.errors import UserError
from core.requests import PICTURE_KINDS
from storage.gallery import MOST, Cursor, Filter
from studio.asking.prompts import remix_text
from studio.gallery import Page
from web import shapes
from web.call import Answer, Call, Json, SeeOther
from web.fields import number_of

PAGE = 60  # pictures
MOST_WORDS = 12
FURTHEST = 1_000_000  # pictures that a jump leaves out
_MONTH = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])")


def filter_of(query: Mapping[str, str]) -> Filter:
    """Return the filter that an address names. Raises UserError for one that can't be."""
    kind, month = query.get("kind") or None, query.get("month") or None
    if kind is not None and kind not in PICTURE_KINDS:
        raise UserError(f"`kind` takes one of {', '.join(PICTURE_KINDS)}.")
    since, until = _span(month) if month else (None, None)
    words = tuple(query.get("q", "").split()[:MOST_WORDS])
    return Filter(words, kind, query.get("favourite") == "1", since, until)


def _span(month: str) -> tuple[datetime, datetime]:
    found = _MONTH.fullmatch(month)
    if found is None:
        raise UserError("`month` takes a month such as 2026-11.")
    year, number = int(found[1]), int(found[2])
    return datetime(year, number, 1, tzinfo=UTC), datetime(
        year + number // 12, number % 12 + 1, 1, tzinfo=UTC
    )


def cursor_of(text: str | None) -> Cursor | None:
    """Return where a page begins. Raises UserError for what no page has named."""
    if not text:
        return None
    try:
        return Cursor.of(text)
    except ValueError as error:
        raise UserError("`before` takes the `older` of another page.") from error


async def find(call: Call, limit: int = PAGE, skip: int = 0) -> Page:
    """Return the page of pictures that the address of a call names."""
    wanted, before = filter_of(call.query), cursor_of(call.query.get("before"))
    return await call.studio.gallery.pictures(call.actor, wanted, before=before, skip=skip, limit=limit)


def tiles(page: Page) -> list[dict[str, Any]]:
    """Return the pictures of a page as the person sees them."""
    texts = {job.id: remix_text(job) for job in {tile.job.id: tile.job for tile in page.tiles}.values()}
    return [
        shapes.tile(tile, seen, texts[tile.job.id])
        for tile, seen in zip(page.tiles, page.visible, strict=True)
    ]


async def pictures(call: Call) -> Answer:
    """Return a page of the person's pictures and where the next one begins."""
    limit = _number(call.query, "limit", PAGE, 1, MOST)
    skip = _number(call.query, "skip", 0, 0, FURTHEST)
    page = await find(call, limit, skip)
    older = str(page.older) if page.older else None
    return Json({"pictures": tiles(page), "older": older, "skipped": skip})


def _number(query: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    """Return a whole number of an address. Raises UserError for one that isn't taken."""
    text = query.get(name, str(default))
    if not text.isascii() or not text.isdecimal() or not low <= int(text[:9]) <= high:
        raise UserError(f"`{name}` takes {low} to {high}.")
    return int(text[:9])


async def months(call: Call) -> Answer:
    """Return how many pictures each month has."""
    found = await call.studio.gallery.months(call.actor)
    return Json({"months": [{"month": month, "pictures": count} for month, count in found]})


async def keep(call: Call) -> Answer:
    """Make a picture a favourite of the person's."""
    await call.studio.own.keep(call.actor, call.path["job"], _index(call))
    return Json(None, HTTPStatus.NO_CONTENT)


async def let_go(call: Call) -> Answer:
    """Make a picture no favourite any more."""
    await call.studio.own.let_go(call.actor, call.path["job"], _index(call))
    return Json(None, HTTPStatus.NO_CONTENT)


async def toggle_by_form(call: Call) -> Answer:
    """Make a picture a favourite, or no longer one, from a page without scripts."""
    await call.studio.own.toggle_favourite(call.actor, call.path["job"], _index(call))
    return SeeOther(f"/pictures/{call.path['job']}/{call.path['n']}")


def _index(call: Call) -> int:
    return number_of(call.path["n"]) - 1


def address(query: Mapping[str, str], **changes: str | None) -> str:
    """Return the gallery's address with some of its filters changed; None takes one away."""
    kept = {name: query[name] for name in ("q", "kind", "favourite", "month") if query.get(name)}
    kept |= {name: value for name, value in changes.items() if value}
    for name in (name for name, value in changes.items() if not value):
        kept.pop(name, None)
    return f"/pictures?{urlencode(kept)}" if kept else "/pictures"
