"""Pictures that channels of the person's servers have made."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from core.errors import UserError
from core.requests import PICTURE_KINDS
from storage.gallery import MOST
from studio.library.gallery import Page
from web.call import Answer, Call, Json
from web.fields import whole
from web.handlers import gallery

FILTERS = ("q", "kind", "server")


async def pictures(call: Call) -> Answer:
    """Return a page of pictures and where the next one begins. Nothing is left out on the way."""
    page = await _find(call, gallery.number(call.query, "limit", gallery.PAGE, 1, MOST))
    older = str(page.older) if page.older else None
    return Json({"pictures": await gallery.tiles(call, page), "older": older, "skipped": 0})


async def values(call: Call) -> dict[str, Any]:
    """Return what the page shows."""
    page = await _find(call, gallery.PAGE)
    servers = await call.studio.explore.servers(call.actor)
    chosen = {name: call.query.get(name, "") for name in FILTERS}
    return {
        "pictures": await gallery.tiles(call, page),
        "older": _address(chosen, before=str(page.older)) if page.older else None,
        "newer": _address(chosen) if call.query.get("before") else None,
        "servers": [{"id": str(server.id), "name": server.name} for server in servers],
        "filters": chosen,
        "kinds": list(PICTURE_KINDS),
        "adult": (await call.studio.own.preferences(call.actor)).adult,
    }


async def _find(call: Call, limit: int) -> Page:
    wanted = gallery.query_of({name: call.query.get(name, "") for name in ("q", "kind")}, call.zone).filter
    before = gallery.cursor_of(call.query.get("before"))
    server = _server(call.query.get("server", ""))
    return await call.studio.explore.pictures(
        call.actor, wanted, server_id=server, before=before, limit=limit
    )


def _server(text: str) -> int | None:
    """Return the id of a server, None for all. Raises UserError for what can't be one."""
    if not text:
        return None
    if (found := whole(text)) is None:
        raise UserError("`server` takes a server's id.")
    return found


def _address(chosen: dict[str, str], **changes: str) -> str:
    kept = {name: value for name, value in (chosen | changes).items() if value}
    return f"/explore?{urlencode(kept)}" if kept else "/explore"
