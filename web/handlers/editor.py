"""The editor's pages: of a picture, and of a document that is kept."""

from __future__ import annotations

from studio.asking.actions import RIGHTS
from studio.asking.prompts import remix_text
from studio.moderation.rules import Visibility
from web import shapes
from web.call import GONE, Answer, Call
from web.fields import number_of
from web.handlers.pages import Pages


class EditorPages:
    """Handlers of the editor's pages."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    async def picture(self, call: Call) -> Answer:
        """The editor with one picture in it."""
        studio, index = call.studio, number_of(call.path["n"]) - 1
        job = await studio.job(call.actor, call.path["job"], RIGHTS["region"])
        seen = await studio.gallery.look(call.actor, job.id)
        if seen.result is None or index in seen.trashed:
            raise GONE
        found = shapes.job(seen, call.actor.user_id)["pictures"]
        picture = next((one for one in found if one["n"] == index + 1), None)
        if picture is None or picture["visibility"] == Visibility.BLOCK.value:
            raise GONE
        edited = {
            "job": job.id,
            "n": index + 1,
            "width": picture["width"],
            "height": picture["height"],
        }
        values = {"edited": edited, "title": remix_text(job) or "a picture", "back": picture["href"]}
        return self._pages.page(call, "edit", values)

    async def document(self, call: Call) -> Answer:
        """The editor with a document that was kept."""
        kept = await call.studio.editor.documents.one(call.actor, call.path["document"])
        if kept is None:
            raise GONE
        values = {"edited": {"id": kept.id}, "title": kept.name or "a document", "back": "/pictures"}
        return self._pages.page(call, "edit", values)
