"""Pages of projects."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from core.errors import ImageError, UserError
from core.requests.custom_models import ALIKE, DETECT, STYLE, TASKS
from storage.projects.dataset import Box
from storage.projects.projects import MOST_VOICES, RIGHTS
from studio.projects.projects import MAX_FILES, MAX_ZIP, Card
from web.call import Answer, Call, Html
from web.handlers import project_api, project_views
from web.handlers.pages import Pages

COVERS = 4  # pictures that stand for a project
TABS = (
    ("", "Pictures"),
    ("/label", "Label"),
    ("/report", "Report"),
    ("/try", "Try"),
    ("/settings", "Settings"),
)


class ProjectPages:
    """Handlers of the pages of projects."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    async def all(self, call: Call) -> Answer:
        """A page of the person's projects, and those of servers that they may look at."""
        shelf = call.studio.projects
        shown = []
        for project in await shelf.all(call.actor):
            card = await shelf.card(call.actor, project.id)
            first = await call.studio.dataset.page(call.actor, project.id, limit=COVERS)
            covers = [
                project_views.describe_item(project.id, item, call.actor.user_id)["small"] for item in first
            ]
            shown.append({**project_views.describe_card(card), "covers": covers})
        kinds = [(task, project_views.KINDS[task]) for task in TASKS]
        return self._pages.page(call, "projects/projects", {"projects": shown, "kinds": kinds})

    async def one(self, call: Call) -> Answer:
        """A page of one project: its pictures, and what brings more."""
        card = await project_views.find_card(call)
        shown = await project_api.list_pictures(call, card.project.id)
        chosen = {name: call.query[name] for name in ("label", "state") if call.query.get(name)}
        here = f"/projects/{card.project.id}"
        older = {**chosen, "after": shown[-1]["id"]} if len(shown) == project_api.PAGE else None
        values = {
            "pictures": shown,
            "chosen": chosen,
            "next_page": f"{here}?{urlencode(older)}" if older else None,
            "first_page": f"{here}?{urlencode(chosen)}" if call.query.get("after") else None,
            "limits": {"files": MAX_FILES, "megabytes": MAX_ZIP // 2**20},
        }
        return self._page(call, "project", card, values)

    async def label(self, call: Call) -> Answer:
        """A page that shows one picture after the other, to be labelled."""
        card = await project_views.find_card(call)
        if card.project.task == DETECT:
            return await self._draw(call, card)
        shown = await self._asked(call, card) if "label" in card.may else None
        return self._page(call, "label", card, {"picture": shown, "boxes": []})

    async def _draw(self, call: Call, card: Card) -> Html:
        """Return the page where boxes are drawn on the picture that the address names, beginning with those
        that are there, or else those that a job found; on the next one without any where it names none."""
        labelling, item, boxes = call.studio.labelling, None, list[Box]()
        sha256, job_id = call.query.get("picture", ""), call.query.get("job", "")
        if "label" in card.may and project_views.is_picture(sha256):
            with suppress(ImageError):  # it is gone, or the job is: there is nothing to begin with
                item = await labelling.one(call.actor, card.project.id, sha256)
                marks = await labelling.marks(call.actor, card.project.id, sha256)
                boxes = list(marks[-1].boxes) if marks else []
                if job_id and not marks:
                    boxes = await call.studio.inference.found(call.actor, job_id, sha256)
        elif "label" in card.may:
            item = await labelling.next(call.actor, card.project.id)
        shown = (
            None if item is None else project_views.describe_item(card.project.id, item, call.actor.user_id)
        )
        return self._page(call, "label", card, {"picture": shown, "boxes": boxes})

    async def _asked(self, call: Call, card: Card) -> dict[str, Any] | None:
        """Return the picture that the address names, or else the next one that wants a label."""
        wanted = call.query.get("picture", "")
        if project_views.is_picture(wanted):
            with suppress(UserError):
                item = await call.studio.labelling.one(call.actor, card.project.id, wanted)
                return await project_api.describe_asked(call, card.project.id, item)
        return await project_api.find_wanted(call, card.project.id, [])

    async def report(self, call: Call) -> Answer:
        """A page of what is known of a version: figures, charts, threshold, how it does beside another."""
        card = await project_views.find_card(call)
        return self._page(call, "report", card, await project_views.report_values(call, card))

    async def try_on(self, call: Call) -> Answer:
        """A page where a project's model is asked about pictures, and what it has said."""
        card = await project_views.find_card(call)
        tries = []
        if "use" in card.may and card.project.task != STYLE:
            for job, result in await call.studio.inference.tries(call.actor, card.project.id):
                tries.append(await project_api.describe_try(call, job, result))
        return self._page(call, "try", card, {"tries": tries})

    async def settings(self, call: Call) -> Answer:
        """A page of a project's labels, name, rights, and of what is taken elsewhere."""
        card = await project_views.find_card(call)
        manages, shared = "manage" in card.may, card.project.guild_id is not None
        names = await call.studio.projects.roles(call.actor, card.project.id) if manages else {}
        granted = project_views.describe_rights(card.project, names) if manages and shared else []
        known = {one["role"] for one in granted}
        roles = [{"role": str(role), "name": name} for role, name in names.items() if str(role) not in known]
        values = {
            "alikes": ALIKE,
            "most_voices": MOST_VOICES,
            "rights": RIGHTS,
            "granted": granted,
            "roles": roles,
        }
        return self._page(call, "settings", card, values)

    def _page(self, call: Call, name: str, card: Card, values: Mapping[str, Any]) -> Html:
        shape = project_views.describe_card(card)
        own = {"report": "/report", "label": "/label", "try": "/try", "settings": "/settings"}.get(name, "")
        tabs = [
            {"href": shape["href"] + end, "label": label, "current": end == own}
            for end, label in TABS
            if not (end == "/label" and (card.project.task == STYLE or "label" not in card.may))
        ]
        more = {"project": shape, "tabs": tabs, **values}
        return self._pages.page(call, f"projects/{name}", more)
