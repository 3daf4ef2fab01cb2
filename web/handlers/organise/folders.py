"""Folders: their page, the page of one, what is put in and taken out. Smart ones keep a gallery's filters."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlencode

from core.errors import UserError
from core.requests import PICTURE_KINDS
from storage.web.folders import Folder
from web.call import Answer, Call, Gone, Json
from web.fields import chosen_of, field, text_of
from web.handlers import gallery
from web.handlers.organise import offers
from web.handlers.pages import Pages

COVERS = 4  # pictures that stand for a folder


class FolderHandlers:
    """Handlers about folders."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    # Pages

    async def page(self, call: Call) -> Answer:
        """A page of the person's folders."""
        found = await call.studio.organise.folders.all(call.actor)
        folders = [{**_shape(folder), "covers": await _covers(call, folder)} for folder in found]
        months = [month for month, _ in await call.studio.gallery.months(call.actor, call.zone)]
        values = {"folders": folders, "kinds": list(PICTURE_KINDS), "months": months}
        return self._pages.page(call, "organise/folders", values)

    async def one(self, call: Call) -> Answer:
        """A page of one folder's pictures."""
        folder = await _own(call)
        page = await gallery.find(call, folder=folder.id)
        here = f"/folders/{folder.id}"
        values = {
            "folder": _shape(folder),
            "pictures": page.pictures,
            "note": page.note,
            "months": [],
            "share": offers.share(call, folder=folder.id),
            "older": gallery.address(call.query, here, before=page.older) if page.older else None,
            "newer": gallery.address(call.query, here) if call.query.get("before") else None,
            "filters": {name: call.query.get(name, "") for name in gallery.FIELDS},
            "kinds": list(PICTURE_KINDS),
        }
        return self._pages.page(call, "organise/folder", values)

    # What programs ask

    async def all(self, call: Call) -> Answer:
        """Return the person's folders."""
        found = await call.studio.organise.folders.all(call.actor)
        return Json({"folders": [_shape(folder) for folder in found]})

    async def create(self, call: Call) -> Answer:
        """Make a folder, a smart one of a query."""
        query = field(call.body, "query", str) or None
        name, text = text_of(call.body, "name"), None if query is None else _query(query)
        made = await call.studio.organise.folders.create(call.actor, name, text)
        return Json(_shape(made), HTTPStatus.CREATED)

    async def rename(self, call: Call) -> Answer:
        """Give a folder another name."""
        name = text_of(call.body, "name")
        _there(await call.studio.organise.folders.rename(call.actor, call.path["folder"], name))
        return Json(None, HTTPStatus.NO_CONTENT)

    async def delete(self, call: Call) -> Answer:
        """Delete a folder; its pictures stay."""
        _there(await call.studio.organise.folders.delete(call.actor, call.path["folder"]))
        return Json(None, HTTPStatus.NO_CONTENT)

    async def put(self, call: Call) -> Answer:
        """Put the named pictures into a folder."""
        folders, folder_id = call.studio.organise.folders, call.path["folder"]
        count = await folders.put(call.actor, folder_id, chosen_of(call.body))
        return Json({"count": _there(count)})

    async def take_out(self, call: Call) -> Answer:
        """Take the named pictures out of a folder."""
        folders, folder_id = call.studio.organise.folders, call.path["folder"]
        count = await folders.take_out(call.actor, folder_id, chosen_of(call.body))
        return Json({"count": _there(count)})


async def _own(call: Call) -> Folder:
    """Return the folder that an address names. Raises Refused when the person has no such one."""
    return _there(await call.studio.organise.folders.one(call.actor, call.path["folder"]))


def _there(found: Any) -> Any:
    """Return what was found. Raises Refused for a folder that the person hasn't got."""
    if found is None or found is False:
        raise Gone()
    return found


def _query(text: str) -> str:
    """Return filters as a smart folder keeps them. Raises UserError for filters that mean nothing."""
    given = dict(parse_qsl(text, max_num_fields=20)) if len(text) <= 2000 else {}
    kept = {name: given[name] for name in gallery.FIELDS if given.get(name, "").strip()}
    if not kept:
        raise UserError("A smart folder needs words, a kind, a month, or favourites to look for.")
    gallery.query_of(kept)
    return urlencode(kept)


def _shape(folder: Folder) -> dict[str, Any]:
    """Return a folder as pages read it."""
    filters = dict(parse_qsl(folder.query or ""))
    return {
        "id": folder.id,
        "name": folder.name,
        "href": f"/folders/{folder.id}",
        "query": folder.query,
        "looks_for": _looks_for(filters) if folder.query else None,
        "pictures": None if folder.query else folder.pictures,
        "links": folder.links,
    }


def _looks_for(filters: Mapping[str, str]) -> str:
    """Return what a smart folder holds, in words."""
    words = f"“{filters['q']}”" if "q" in filters else ""
    kept = "favourites" if filters.get("favourite") == "1" else ""
    return ", ".join(part for part in (words, filters.get("kind"), kept, filters.get("month")) if part)


async def _covers(call: Call, folder: Folder) -> list[str]:
    """Return the addresses of small copies of a folder's newest pictures."""
    page = await gallery.find(call, COVERS, folder=folder.id)
    return [tile["small"] for tile in page.pictures if tile["visibility"] != "block"]
