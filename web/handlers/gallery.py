"""Pictures page by page, by month, and which of them are favourites."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlencode

from core.errors import UserError
from core.requests import PICTURE_KINDS
from storage.gallery import MOST, Cursor
from studio.asking.prompts import remix_text
from studio.gallery import Page
from studio.search import tokens
from studio.search.search import Found
from studio.search.tokens import Query
from web import shapes
from web.call import Answer, Call, Gone, Json
from web.fields import number_of

PAGE = 60  # pictures
TOKENS = ("model", "seed", "from", "to", "ar", "by")  # filters of the search box that are fields as well
FIELDS = ("q", "kind", "favourite", "month", *TOKENS)  # as an address names them
FURTHEST = 1_000_000  # pictures that a jump leaves out
_MONTH = re.compile(r"20\d\d-(0[1-9]|1[0-2])")


def query_of(address: Mapping[str, str], zone: tzinfo = UTC) -> Query:
    """Return what an address asks for: the search box, and the fields beside it, which count more. zone:
    whose days and months it names. Raises UserError for a filter that can't be."""
    asked = tokens.read(address.get("q", ""), zone)
    fields: dict[str, Any] = {}
    kind, month = address.get("kind") or None, address.get("month") or None
    if kind is not None and kind not in PICTURE_KINDS:
        raise UserError(f"`kind` takes one of {', '.join(PICTURE_KINDS)}.")
    if kind is not None:
        fields["kind"] = kind
    if month is not None:
        fields["since"], fields["until"] = _span(month, zone)
    if address.get("favourite") == "1":
        fields["favourite"] = True
    if address.get("trash") == "1":
        fields["trash"] = True
        asked = replace(asked, own=True)
    asked = replace(asked, filter=replace(asked.filter, **fields))
    for name in TOKENS:
        if value := address.get(name, "").strip():
            asked = tokens.FILTERS[name](asked, value)
    return asked


def _span(month: str, zone: tzinfo) -> tuple[datetime, datetime]:
    if _MONTH.fullmatch(month) is None:
        raise UserError("`month` takes a month such as 2026-11.")
    return tokens.days_of("month", month, zone)


def cursor_of(text: str | None) -> Cursor | None:
    """Return where a page begins. Raises UserError for what no page has named."""
    if not text:
        return None
    try:
        return Cursor.of(text)
    except ValueError as error:
        raise UserError("`before` takes the `older` of another page.") from error


@dataclass(frozen=True)
class Shown:
    """A page of pictures. older: what an address calls the next one, None at the end. note: see Found."""

    pictures: list[dict[str, Any]]
    older: str | None
    ranked: bool = False
    note: str = ""


async def find(call: Call, limit: int = PAGE, skip: int = 0, **named: str) -> Shown:
    """Return the page of pictures that the address of a call names: the newest, or those that fit best.
    named: more of the address."""
    asked, before = await _asked(call, {**call.query, **named}), call.query.get("before")
    query = await call.studio.search.within(call.actor, asked)
    if query.is_ranked:
        skip = skip if before is None else number(call.query, "before", 0, 0, FURTHEST)
        found = await call.studio.search.find(call.actor, query, skip=skip, limit=limit)
        older = str(skip + len(found.tiles)) if found.more else None
        return Shown(await tiles(call, found), older, True, found.note or found.order)
    page = await call.studio.gallery.pictures(
        call.actor, query.filter, before=cursor_of(before), skip=skip, limit=limit
    )
    return Shown(await tiles(call, page), str(page.older) if page.older else None)


async def _asked(call: Call, address: Mapping[str, str]) -> Query:
    """Return what an address asks for, within a folder if it names one; of a smart folder, its own filters
    count more. Raises Refused when the person has no such folder."""
    if not (folder_id := address.get("folder")):
        return query_of(address, call.zone)
    folder = await call.studio.organise.folders.one(call.actor, folder_id)
    if folder is None:
        raise Gone()
    if folder.query is None:
        asked = query_of(address, call.zone)
        return replace(asked, own=True, filter=replace(asked.filter, folder=folder.id))
    own = dict(parse_qsl(folder.query))
    words = " ".join(text for text in (own.get("q"), address.get("q")) if text)
    return query_of({**address, **own, "q": words}, call.zone)


async def tiles(call: Call, page: Page | Found) -> list[dict[str, Any]]:
    """Return the pictures of a page as the person sees them."""
    reader, kept = call.actor.user_id, timedelta(days=call.studio.organise.trash.days)
    texts = {job.id: remix_text(job) for job in {tile.job.id: tile.job for tile in page.tiles}.values()}
    films = await call.studio.gallery.films(page.tiles)
    return [
        shapes.tile(
            tile, seen, texts[tile.job.id], reader, kept, films.get((tile.job.id, tile.picture.index))
        )
        for tile, seen in zip(page.tiles, page.visible, strict=True)
    ]


async def pictures(call: Call) -> Answer:
    """Return a page of pictures and where the next one begins."""
    limit = number(call.query, "limit", PAGE, 1, MOST)
    skip = number(call.query, "skip", 0, 0, FURTHEST)
    page = await find(call, limit, skip)
    return Json({"pictures": page.pictures, "older": page.older, "skipped": skip, "note": page.note})


def number(query: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    """Return a whole number of an address. Raises UserError for one that isn't taken."""
    text = query.get(name, str(default))
    if not text.isascii() or not text.isdecimal() or not low <= int(text[:9]) <= high:
        raise UserError(f"`{name}` takes {low} to {high}.")
    return int(text[:9])


async def months(call: Call) -> Answer:
    """Return how many pictures each month has."""
    found = await call.studio.gallery.months(call.actor, call.zone)
    return Json({"months": [{"month": month, "pictures": count} for month, count in found]})


async def keep(call: Call) -> Answer:
    """Make a picture a favourite of the person's."""
    await call.studio.own.keep(call.actor, call.path["job"], _index(call))
    return Json(None, HTTPStatus.NO_CONTENT)


async def let_go(call: Call) -> Answer:
    """Make a picture no favourite any more."""
    await call.studio.own.let_go(call.actor, call.path["job"], _index(call))
    return Json(None, HTTPStatus.NO_CONTENT)


def _index(call: Call) -> int:
    return number_of(call.path["n"]) - 1


def address(query: Mapping[str, str], page: str = "/pictures", **changes: str | None) -> str:
    """Return the address of a page of pictures with some filters changed; None takes one away."""
    kept = {name: query[name] for name in FIELDS if query.get(name)}
    kept |= {name: value for name, value in changes.items() if value}
    for name in (name for name, value in changes.items() if not value):
        kept.pop(name, None)
    return f"{page}?{urlencode(kept)}" if kept else page
