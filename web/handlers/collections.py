"""Folders, smart ones among them, the trash, and zip files of pictures."""

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlencode

from core.errors import ImageError, NotAllowedError, UserError
from core.language import _
from core.requests import PICTURE_NAMES
from storage.collections import Folder, Named
from storage.gallery import MOST
from studio.library.downloads import MOST_PICTURES
from web import schemas
from web.call import DONE, Answer, Call, Gone, Html, Json, Stream, there
from web.handlers import gallery
from web.handlers.shares import share_form
from web.schemas import chosen_of, read_body

COVERS = 4  # pictures that stand for a folder


async def folders_page(call: Call) -> Answer:
    """A page of the person's folders."""
    folders = []
    for folder in await call.studio.folders.all(call.actor):
        newest = await gallery.find_pictures(call, COVERS, folder=folder.id)
        covers = [tile["small"] for tile in newest.pictures if tile["visibility"] != "block"]
        folders.append({**_shape(folder), "covers": covers})
    months = [month for month, _ in await call.studio.gallery.months(call.actor, call.zone)]
    values = {
        "folders": folders,
        "kinds": {kind: _(name) for kind, name in PICTURE_NAMES.items()},
        "months": months,
    }
    return Html("organise/folders", values)


async def folder_page(call: Call) -> Answer:
    """A page of one folder's pictures."""
    folder = there(await call.studio.folders.one(call.actor, call.path["folder"]))
    page = await gallery.find_pictures(call, folder=folder.id)
    values = gallery.page_values(call, page, f"/folders/{folder.id}")
    values |= {"folder": _shape(folder), "months": [], "share": share_form(call, folder=folder.id)}
    values["days"] = await gallery.find_days(call, folder=folder.id)
    return Html("organise/folder", values, tab="/folders")


async def list_folders(call: Call) -> Answer:
    """Return the person's folders."""
    found = await call.studio.folders.all(call.actor)
    return Json({"folders": [_shape(folder) for folder in found]})


async def create_folder(call: Call) -> Answer:
    """Make a folder, a smart one of a query."""
    given = read_body(call, schemas.NewFolder)
    query = _query(given.query) if given.query else None
    made = await call.studio.folders.create(call.actor, given.name, query)
    return Json(_shape(made), HTTPStatus.CREATED)


async def rename_folder(call: Call) -> Answer:
    """Give a folder another name."""
    name = read_body(call, schemas.Rename).name
    there(await call.studio.folders.rename(call.actor, call.path["folder"], name))
    return DONE


async def delete_folder(call: Call) -> Answer:
    """Delete a folder; its pictures stay."""
    there(await call.studio.folders.delete(call.actor, call.path["folder"]))
    return DONE


async def put_in_folder(call: Call) -> Answer:
    """Put the named pictures into a folder."""
    folders, folder_id = call.studio.folders, call.path["folder"]
    count = await folders.put(call.actor, folder_id, _chosen(call))
    return Json({"count": there(count)})


async def take_out_of_folder(call: Call) -> Answer:
    """Take the named pictures out of a folder."""
    folders, folder_id = call.studio.folders, call.path["folder"]
    count = await folders.take_out(call.actor, folder_id, _chosen(call))
    return Json({"count": there(count)})


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


async def trash_page(call: Call) -> Answer:
    """A page of what is in the person's trash."""
    page, trash = await gallery.find_pictures(call, trash="1"), call.studio.trash
    values = {
        "pictures": page.pictures,
        "total": await trash.count(call.actor),
        "kept": trash.days,
        "days": await gallery.find_days(call, trash="1"),
        "older": f"/trash?before={page.older}" if page.older else None,
        "newer": "/trash" if call.query.get("before") else None,
    }
    return Html("organise/trash", values)


async def put_in_trash(call: Call) -> Answer:
    """Put the named pictures into the trash."""
    names = await call.studio.trash.put(call.actor, _chosen(call))
    return _told(names)


async def take_from_trash(call: Call) -> Answer:
    """Take the named pictures out of the trash."""
    names = await call.studio.trash.take_back(call.actor, _chosen(call))
    return _told(names)


async def delete_trashed(call: Call) -> Answer:
    """Delete the named pictures in the trash, for good."""
    count = await call.studio.trash.delete(call.actor, _chosen(call))
    return Json({"count": count})


async def empty_trash(call: Call) -> Answer:
    """Delete all that is in the trash, for good."""
    return Json({"count": await call.studio.trash.empty(call.actor)})


def _told(names: list[Named]) -> Json:
    """Return pictures as they are named in addresses."""
    return Json({"pictures": [f"{job_id}/{position + 1}" for job_id, position in names]})


async def zip_chosen(call: Call) -> Answer:
    """Send the pictures that a form names."""
    return _sent(call, chosen_of(call.body.get("pictures", "").split()))


async def zip_found(call: Call) -> Answer:
    """Send the pictures of the job or the folder that the address names."""
    if "job" in call.query:
        try:
            seen = await call.studio.gallery.look(call.actor, call.query["job"])
        except (ImageError, NotAllowedError) as error:  # neither tells whether there is such a job
            raise Gone() from error
        return _sent(call, [(seen.job.id, one.index) for one in seen.result.pictures] if seen.result else [])
    if "folder" in call.query:
        return _sent(call, await _in_folder(call))
    raise Gone()


async def _in_folder(call: Call) -> list[Named]:
    """Return the pictures of a folder, at most one more than a file holds."""
    names: list[Named] = []
    while len(names) <= MOST_PICTURES:
        page = await gallery.find_pictures(call, MOST, len(names))
        names += [(tile["job"], tile["n"] - 1) for tile in page.pictures]
        if page.older is None:
            break
    return names


def _chosen(call: Call) -> list[Named]:
    """Return the pictures that JSON names. Raises UserError."""
    return chosen_of(read_body(call, schemas.Named).pictures)


def _sent(call: Call, names: list[Named]) -> Stream:
    name = f"atelier-{datetime.now(UTC):%Y-%m-%d}.zip"
    return Stream(call.studio.zips.pack(call.actor, names), "application/zip", name)
