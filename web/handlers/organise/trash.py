"""The trash: its page, what is put into it and taken out again, and its end."""

from __future__ import annotations

from storage.web.picked import Named
from web.call import Answer, Call, Json
from web.fields import chosen_of
from web.handlers import gallery
from web.handlers.pages import Pages


class TrashHandlers:
    """Handlers about the trash."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    async def page(self, call: Call) -> Answer:
        """A page of what is in the person's trash."""
        page, trash = await gallery.find(call, trash="1"), call.studio.organise.trash
        values = {
            "pictures": page.pictures,
            "total": await trash.count(call.actor),
            "days": trash.days,
            "older": f"/trash?before={page.older}" if page.older else None,
            "newer": "/trash" if call.query.get("before") else None,
        }
        return self._pages.page(call, "organise/trash", values)

    async def put(self, call: Call) -> Answer:
        """Put the named pictures into the trash."""
        names = await call.studio.organise.trash.put(call.actor, chosen_of(call.body))
        return _told(names)

    async def take_back(self, call: Call) -> Answer:
        """Take the named pictures out of the trash."""
        names = await call.studio.organise.trash.take_back(call.actor, chosen_of(call.body))
        return _told(names)

    async def delete(self, call: Call) -> Answer:
        """Delete the named pictures in the trash, for good."""
        count = await call.studio.organise.trash.delete(call.actor, chosen_of(call.body))
        return Json({"count": count})

    async def empty(self, call: Call) -> Answer:
        """Delete all that is in the trash, for good."""
        return Json({"count": await call.studio.organise.trash.empty(call.actor)})


def _told(names: list[Named]) -> Json:
    """Return pictures as they are named in addresses."""
    return Json({"pictures": [f"{job_id}/{position + 1}" for job_id, position in names]})
