"""Pictures of one's own and of channels that one reads, page by page, and their bytes, each checked against
its job; and the wall of styles."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, timedelta, tzinfo
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlencode

from core.errors import ImageError, NotAllowedError, UserError
from core.language import N_, _
from core.requests import PICTURE_NAMES, ImagineRequest
from storage.gallery import MOST, Cursor, Filter, Tile
from studio import search
from studio.library.gallery import Page
from studio.library.rendition import SIZES
from studio.library.rendition import Shown as RenditionShown
from studio.library.wall import MOST_OF_CODE, Style
from studio.moderation.rules import Visibility
from studio.requests.prompts import remix_text
from studio.search import Found, Query
from web import schemas, views
from web.call import DONE, Answer, Bytes, Call, File, Gone, Html, Json, Refused, bytes_of, there
from web.schemas import number_of, read_body, whole_number

PAGE = 60  # pictures
TOKENS = ("model", "seed", "from", "to", "ar", "by")  # filters of the search box that are fields as well
FIELDS = ("q", "kind", "favourite", "month", *TOKENS)  # as an address names them
FURTHEST = 1_000_000  # pictures that a jump leaves out
_MONTH = re.compile(r"20\d\d-(0[1-9]|1[0-2])")


def query_of(address: Mapping[str, str], zone: tzinfo = UTC) -> Query:
    """Return what an address asks for: the search box, and the fields beside it, which count more. zone:
    whose days and months it names. Raises UserError for a filter that can't be."""
    asked = search.read_query(address.get("q", ""), zone)
    fields: dict[str, Any] = {}
    kind, month = address.get("kind") or None, address.get("month") or None
    if kind is not None and kind not in PICTURE_NAMES:
        raise UserError(f"`kind` takes one of {', '.join(PICTURE_NAMES)}.")
    if kind is not None:
        fields["kind"] = kind
    if month is not None:
        if _MONTH.fullmatch(month) is None:
            raise UserError("`month` takes a month such as 2026-11.")
        fields["since"], fields["until"] = search.days_of("month", month, zone)
    if address.get("favourite") == "1":
        fields["favourite"] = True
    if address.get("trash") == "1":
        fields["trash"] = True
        asked = replace(asked, own=True)
    asked = replace(asked, filter=replace(asked.filter, **fields))
    for name in TOKENS:
        if value := address.get(name, "").strip():
            asked = search.narrow_query(asked, name, value)
    return asked


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
    note: str = ""


async def find_pictures(call: Call, limit: int = PAGE, skip: int = 0, **named: str) -> Shown:
    """Return the page of pictures that the address of a call names: the newest, or those that fit best.
    named: more of the address."""
    asked, before = await _asked(call, {**call.query, **named}), call.query.get("before")
    query = await call.studio.search.within(call.actor, asked)
    if query.is_ranked:
        skip = skip if before is None else number_in(call.query, "before", 0, 0, FURTHEST)
        found = await call.studio.search.find(call.actor, query, skip=skip, limit=limit)
        older = str(skip + len(found.tiles)) if found.more else None
        return Shown(await describe_tiles(call, found), older, found.note or found.order)
    page = await call.studio.gallery.pictures(
        call.actor, query.filter, before=cursor_of(before), skip=skip, limit=limit
    )
    return Shown(await describe_tiles(call, page), str(page.older) if page.older else None)


async def _asked(call: Call, address: Mapping[str, str]) -> Query:
    """Return what an address asks for, within a folder if it names one; of a smart folder, its own filters
    count more. Raises Refused when the person has no such folder."""
    if not (folder_id := address.get("folder")):
        return query_of(address, call.zone)
    folder = there(await call.studio.folders.one(call.actor, folder_id))
    if folder.query is None:
        asked = query_of(address, call.zone)
        return replace(asked, own=True, filter=replace(asked.filter, folder=folder.id))
    own = dict(parse_qsl(folder.query))
    words = " ".join(text for text in (own.get("q"), address.get("q")) if text)
    return query_of({**address, **own, "q": words}, call.zone)


async def describe_tiles(call: Call, page: Page | Found) -> list[dict[str, Any]]:
    """Return the pictures of a page as the person sees them."""
    reader, kept = call.actor.user_id, timedelta(days=call.studio.trash.days)
    videos = await call.studio.gallery.videos(page.tiles)
    jobs = {tile.job.id: tile.job for tile in page.tiles}
    texts = {name: remix_text(job) for name, job in jobs.items()}

    def words(tile: Tile) -> str:
        request = tile.job.request
        is_draft = isinstance(request, ImagineRequest) and request.is_sheet
        return remix_text(tile.job, tile.picture.seed) if is_draft else texts[tile.job.id]

    return [
        views.describe_tile(
            tile, seen, words(tile), reader, kept, videos.get((tile.job.id, tile.picture.index))
        )
        for tile, seen in zip(page.tiles, page.visible, strict=True)
    ]


async def list_pictures(call: Call) -> Answer:
    """Return a page of pictures and where the next one begins."""
    limit = number_in(call.query, "limit", PAGE, 1, MOST)
    skip = number_in(call.query, "skip", 0, 0, FURTHEST)
    page = await find_pictures(call, limit, skip)
    return Json({"pictures": page.pictures, "older": page.older, "skipped": skip, "note": page.note})


def number_in(query: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    """Return a whole number of an address. Raises UserError for one that isn't taken."""
    text = query.get(name, str(default))
    if not text.isascii() or not text.isdecimal() or not low <= int(text[:9]) <= high:
        raise UserError(f"`{name}` takes {low} to {high}.")
    return int(text[:9])


async def list_months(call: Call) -> Answer:
    """Return how many pictures each month has."""
    found = await call.studio.gallery.months(call.actor, call.zone)
    return Json({"months": [{"month": month, "pictures": count} for month, count in found]})


async def list_days(call: Call) -> Answer:
    """Return the days of the person's pictures with the shapes of each, None where they are ranked."""
    return Json({"days": await find_days(call)})


async def find_days(call: Call, **named: str) -> list[dict[str, Any]] | None:
    """Return the days that the address of a call names, None where some pictures fit better than others.
    named: more of the address."""
    query = await call.studio.search.within(call.actor, await _asked(call, {**call.query, **named}))
    if query.is_ranked:
        return None
    found = await call.studio.gallery.days(call.actor, query.filter, call.zone)
    return [{"day": day.day, "shapes": [number for shape in day.shapes for number in shape]} for day in found]


async def keep_favourite(call: Call) -> Answer:
    """Make a picture a favourite of the person's."""
    await call.studio.own.keep(call.actor, call.path["job"], number_of(call.path["n"]) - 1)
    return DONE


async def drop_favourite(call: Call) -> Answer:
    """Make a picture no favourite any more."""
    await call.studio.own.let_go(call.actor, call.path["job"], number_of(call.path["n"]) - 1)
    return DONE


def page_address(query: Mapping[str, str], page: str = "/pictures", **changes: str | None) -> str:
    """Return the address of a page of pictures with some filters changed; None takes one away."""
    kept = {name: query[name] for name in FIELDS if query.get(name)}
    kept |= {name: value for name, value in changes.items() if value}
    for name in (name for name, value in changes.items() if not value):
        kept.pop(name, None)
    return f"{page}?{urlencode(kept)}" if kept else page


def page_values(call: Call, page: Shown, here: str = "/pictures") -> dict[str, Any]:
    """Return what a page of pictures shows. here: its address."""
    return {
        "pictures": page.pictures,
        "note": page.note,
        "older": page_address(call.query, here, before=page.older) if page.older else None,
        "newer": page_address(call.query, here) if call.query.get("before") else None,
        "filters": {name: call.query.get(name, "") for name in FIELDS},
        "kinds": {kind: _(name) for kind, name in PICTURE_NAMES.items()},
    }


FILTERS = ("q", "kind", "server")


async def list_explored(call: Call) -> Answer:
    """Return a page of pictures and where the next one begins. Nothing is left out on the way."""
    page = await _find(call, number_in(call.query, "limit", PAGE, 1, MOST))
    older = str(page.older) if page.older else None
    return Json({"pictures": await describe_tiles(call, page), "older": older, "skipped": 0})


async def explore_values(call: Call) -> dict[str, Any]:
    """Return what the page shows."""
    page = await _find(call, PAGE)
    servers = await call.studio.explore.servers(call.actor)
    chosen = {name: call.query.get(name, "") for name in FILTERS}
    here, server = "/explore", chosen["server"]
    return {
        "pictures": await describe_tiles(call, page),
        "older": page_address(chosen, here, server=server, before=str(page.older)) if page.older else None,
        "newer": page_address(chosen, here, server=server) if call.query.get("before") else None,
        "servers": [{"id": str(server.id), "name": server.name} for server in servers],
        "filters": chosen,
        "kinds": {kind: _(name) for kind, name in PICTURE_NAMES.items()},
        "adult": (await call.studio.own.preferences(call.actor)).adult,
    }


async def _find(call: Call, limit: int) -> Page:
    wanted = query_of({name: call.query.get(name, "") for name in ("q", "kind")}, call.zone).filter
    before = cursor_of(call.query.get("before"))
    named = call.query.get("server", "")
    server = whole_number(named) if named else None
    if named and server is None:
        raise UserError("`server` takes a server's id.")
    return await call.studio.explore.pictures(
        call.actor, wanted, server_id=server, before=before, limit=limit
    )


LIMIT = 2**31  # bytes of an original; a browser takes any
GIF_LIMIT = 25 * 2**20  # bytes
EXTENSIONS = {"image/png": "png", "image/webp": "webp", "image/jpeg": "jpg", "image/gif": "gif"}
STARTS = {b"\x89PNG": "image/png", b"\xff\xd8": "image/jpeg", b"GIF8": "image/gif"}
BLOCKED = N_("This picture isn't allowed here.")


async def send_original(call: Call) -> Answer:
    """Return a picture as it was made, with the marks that the host wants; number 0 is a job's chart."""
    job_id, number = call.path["job"], _number(call)
    if number:
        shown = await bytes_of(call.studio.picture(call.actor, job_id, number - 1, LIMIT))
    else:
        shown = await bytes_of(call.studio.gallery.chart(call.actor, job_id, LIMIT))
    name = f"{job_id}-{number}.{EXTENSIONS[shown.media_type]}" if call.query.get("download") == "1" else None
    return Bytes(_data(shown), shown.media_type, await call.studio.gallery.is_own(call.actor, job_id), name)


async def send_small(call: Call) -> Answer:
    """Return a small copy of a picture; number 0 is a job's chart. A spoiler is blurred until ?plain=1."""
    side = int(call.path["side"])
    if side not in SIZES:
        raise Gone()
    number = _number(call)
    veiled = call.query.get("plain") != "1"
    job_id = call.path["job"]
    found = call.studio.gallery.thumbnail(call.actor, job_id, number - 1, side, veiled=veiled)
    shown = await bytes_of(found)
    keep = shown.visibility is Visibility.SHOW and await call.studio.gallery.is_own(call.actor, job_id)
    return Bytes(_data(shown), shown.media_type, keep)


async def send_video(call: Call) -> Answer:
    """Return a video as it was made, with the mark that the host wants, whole or in parts."""
    job_id, number = call.path["job"], number_of(call.path["n"])
    path = await bytes_of(call.studio.video_requests.file(call.actor, job_id, number - 1))
    if path is None:
        raise Refused(HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS, BLOCKED)
    name = f"{job_id}-{number}.mp4" if call.query.get("download") == "1" else None
    return File(path, "video/mp4", await call.studio.gallery.is_own(call.actor, job_id), name)


async def send_gif(call: Call) -> Answer:
    """Return a video as a GIF, to be saved."""
    job_id, number = call.path["job"], number_of(call.path["n"])
    shown = await bytes_of(call.studio.video_requests.gif(call.actor, job_id, number - 1, GIF_LIMIT))
    return Bytes(_data(shown), shown.media_type, name=f"{job_id}-{number}.{EXTENSIONS[shown.media_type]}")


async def send_preview(call: Call) -> Answer:
    """Return the newest preview of a job that runs; the number in the address only makes it new."""
    found = await call.studio.gallery.preview(call.actor, call.path["job"])
    return Bytes(there(found), "image/jpeg")


async def send_upload_small(call: Call) -> Answer:
    """Return a small copy of a picture that the person has sent."""
    return Bytes(await _sent(call), "image/webp", own=True)


async def send_upload(call: Call) -> Answer:
    """Return a picture that the person has sent, whole."""
    data = await _sent(call, whole=True)
    kind = next((kind for start, kind in STARTS.items() if data.startswith(start)), "image/webp")
    return Bytes(data, kind, own=True)


async def _sent(call: Call, *, whole: bool = False) -> bytes:
    sent = call.studio.gallery.sent(call.actor, call.path["sha256"], whole=whole)
    return await bytes_of(sent, ImageError, NotAllowedError)


def _number(call: Call) -> int:
    """Return the number of a picture in the address, 0 = the chart."""
    return 0 if call.path["n"] == "0" else number_of(call.path["n"])


def _data(shown: RenditionShown) -> bytes:
    if shown.data is None:
        raise Refused(HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS, BLOCKED)
    return shown.data


# The wall of styles

WALL = ("q", "like", "liked", "order", "prompt", "before")  # fields of its address
LONGEST_TRIED = 300  # characters of a prompt that styles are tried on


async def wall_page(call: Call) -> Answer:
    """A page of styles, and where the next one begins."""
    values, prompt = await _wall(call), call.query.get("prompt", "")[:LONGEST_TRIED]
    for style in values["styles"]:
        number = style["number"]
        style["use"] = f"/?{urlencode({'prompt': f'{prompt} --sref {number}'.strip()})}"
        again = {"like": number, **({"prompt": prompt} if prompt else {})}
        style["alike"] = f"/wall?{urlencode(again)}"
    folders = [one for one in await call.studio.folders.all(call.actor) if one.query is None]
    chosen = {name: call.query[name] for name in WALL if call.query.get(name)}
    older = {**chosen, "before": values["older"]} if values["older"] else None
    values |= {
        "filters": {name: call.query.get(name, "") for name in WALL} | {"prompt": prompt},
        "folders": [{"id": one.id, "name": one.name} for one in folders],
        "next_page": f"/wall?{urlencode(older)}" if older else None,
        "first_page": f"/wall?{urlencode(chosen | {'before': 0})}" if chosen.get("before") else None,
    }
    return Html("wall", values)


async def list_styles(call: Call) -> Answer:
    """Return a page of styles, and where the next one begins."""
    return Json(await _wall(call))


async def _wall(call: Call) -> dict[str, Any]:
    skip = number_in(call.query, "before", 0, 0, FURTHEST)
    like = number_in(call.query, "like", 0, 0, FURTHEST) if call.query.get("like") else None
    words, liked = call.query.get("q", ""), call.query.get("liked") == "1"
    order = call.query.get("order", "")
    found = await call.studio.wall.find(call.actor, words, like, liked=liked, order=order, skip=skip)
    return {
        "styles": [describe_style(one) for one in found.styles],
        "older": str(skip + PAGE) if found.more else None,
        "drawn": found.drawn,
        "is_drawn": call.studio.wall.is_drawn,
        "note": _(found.note) if found.note else "",
    }


def describe_style(found: Style) -> dict[str, Any]:
    """Return a style as somebody sees it."""
    hidden = found.tile is None or found.visible is Visibility.BLOCK
    return {
        "number": found.number,
        "words": ", ".join(found.words),
        "tile": None if hidden else f"/files/wall/{found.number}.webp",
        "likes": found.likes,
        "liked": found.liked,
    }


async def like_style(call: Call) -> Answer:
    """Note that the person likes a style, or no more."""
    given = read_body(call, schemas.Liked)
    await call.studio.wall.like(call.actor, int(call.path["style"]), liked=given.liked)
    return DONE


async def make_code(call: Call) -> Answer:
    """Make a code for ``--sref`` of a folder of the person's, or of pictures that they may use."""
    given, studio = read_body(call, schemas.CodeOf), call.studio
    try:
        if given.folder:
            folder = there(await studio.folders.one(call.actor, given.folder))
            page = await studio.gallery.pictures(call.actor, Filter(folder=folder.id), limit=MOST_OF_CODE)
            pictures = [tile.picture.sha256 for tile in page.tiles]
            made = [(tile.job.id, tile.picture.index) for tile in page.tiles]
        else:
            meant = [await studio.sources.meant(call.actor, one) for one in given.pictures]
            pictures = [one.sha256 for one in meant]
            made = [(one.job.id, one.index) for one in meant if one.job is not None]
    except (ImageError, NotAllowedError) as error:
        raise Gone() from error
    code, words = await studio.wall.code_of(call.actor, pictures, made)
    return Json({"code": code, "words": ", ".join(words)})


async def send_tile(call: Call) -> Answer:
    """Return a style's tile as WebP."""
    asked = call.studio.wall.picture(call.actor, int(call.path["style"]), SIZES[0])
    shown = there(await bytes_of(asked, ImageError, UserError))
    if shown.data is None:
        raise Refused(HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS, BLOCKED)
    return Bytes(shown.data, "image/webp")
