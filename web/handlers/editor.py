"""The editor's pages: of a picture, and of a document that is kept."""

from __future__ import annotations

from typing import Any

from storage.web.documents import Kept
from studio.asking.actions import RIGHTS
from studio.asking.prompts import remix_text
from studio.editor.documents import MOST_DOCUMENTS
from studio.janitor import DOCUMENTS_KEPT
from studio.moderation.rules import Visibility
from web import shapes
from web.call import Answer, Call, Gone
from web.fields import number_of
from web.handlers.pages import Pages


class EditorPages:
    """Handlers of the editor's pages."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    async def documents(self, call: Call) -> Answer:
        """A page of the person's documents."""
        found = await call.studio.editor.documents.all(call.actor)
        values = {
            "documents": [_card(one) for one in found],
            "most": MOST_DOCUMENTS,
            "days": DOCUMENTS_KEPT.days,
        }
        return self._pages.page(call, "documents", values)

    async def picture(self, call: Call) -> Answer:
        """The editor with one picture in it."""
        studio, index = call.studio, number_of(call.path["n"]) - 1
        job = await studio.rights.job(call.actor, call.path["job"], RIGHTS["region"])
        seen = await studio.gallery.look(call.actor, job.id)
        if seen.result is None or index in seen.trashed:
            raise Gone()
        found = shapes.job(seen, call.actor.user_id)["pictures"]
        picture = next((one for one in found if one["n"] == index + 1), None)
        if picture is None or picture["visibility"] == Visibility.BLOCK.value:
            raise Gone()
        edited = {
            "job": job.id,
            "n": index + 1,
            "width": picture["width"],
            "height": picture["height"],
        }
        return self._page(call, edited, remix_text(job) or "a picture", picture["href"])

    async def document(self, call: Call) -> Answer:
        """The editor with a document that was kept."""
        kept = await call.studio.editor.documents.one(call.actor, call.path["document"])
        if kept is None:
            raise Gone()
        return self._page(call, {"id": kept.id}, kept.name or "a document", "/documents", kept.name)

    def _page(self, call: Call, edited: dict[str, Any], title: str, back: str, name: str = "") -> Answer:
        """The editor. edited: what it opens. back: where it is left to. name: of the document."""
        edited["asks"] = call.studio.talking.is_possible
        values = {"edited": edited, "title": title, "back": back, "name": name}
        return self._pages.page(call, "edit", {**values, "days": DOCUMENTS_KEPT.days})


def _card(kept: Kept) -> dict[str, Any]:
    """Return a document as its page shows it."""
    source = kept.summary["source"]
    small = f"uploads/{source['upload']}" if "upload" in source else f"{source['job']}/{source['n']}/256"
    return {
        "id": kept.id,
        "name": kept.name,
        "href": f"/edit/d/{kept.id}",
        "small": f"/files/{small}.webp",
        "size": f"{kept.summary['width']} × {kept.summary['height']} px",
        "updated": kept.updated_at.isoformat(timespec="minutes"),
    }
