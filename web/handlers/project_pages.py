"""Pages of projects, and what their forms send: each answers with a page to go on with."""

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
from web.call import Answer, Call, Html, SeeOther
from web.handlers import project_api, project_views
from web.handlers.pages import Pages
from web.schemas import number_of, text_of, whole_number

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
        return await self._set_up(call, await project_views.find_card(call))

    async def _set_up(self, call: Call, card: Card, said: str = "") -> Html:
        """Return the page of a project's settings. said: what a label file did."""
        manages, shared = "manage" in card.may, card.project.guild_id is not None
        names = await call.studio.projects.roles(call.actor, card.project.id) if manages else {}
        granted = project_views.describe_rights(card.project, names) if manages and shared else []
        known = {one["role"] for one in granted}
        roles = [{"role": str(role), "name": name} for role, name in names.items() if str(role) not in known]
        values = {
            "said": said,
            "alikes": ALIKE,
            "voices": range(1, MOST_VOICES + 1),
            "rights": RIGHTS,
            "granted": granted,
            "roles": roles,
        }
        return self._page(call, "settings", card, values)

    async def import_labels(self, call: Call) -> Answer:
        """Take labels that another program wrote, and show what became of them."""
        card = await project_views.find_card(call)
        if len(call.files) != 1:
            raise UserError("Choose one file of labels: CSV, COCO's JSON, or a zip file.")
        done = await call.studio.labelling.import_(call.actor, card.project.id, call.files[0])
        said = f"{done.labelled} labelled, {done.boxes} boxes; {done.unknown} aren't in this project."
        return await self._set_up(call, await project_views.find_card(call), said)

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


def _address(call: Call, end: str = "") -> SeeOther:
    return SeeOther(f"/projects/{call.path['project']}{end}")


async def change_pictures(call: Call) -> Answer:
    """Do something with the pictures that are ticked: label them, leave them out, take them out."""
    card, chosen = await project_views.find_card(call), project_views.checked_of(call)
    labelling, does = call.studio.labelling, project_views.form_text(call, "do")
    if does == "label":
        for sha256 in chosen:
            await labelling.mark(call.actor, card.project.id, sha256, text_of(call.body, "label"))
    elif does in ("out", "in"):
        await labelling.leave_out(call.actor, card.project.id, chosen, out=does == "out")
    elif does == "remove":
        await call.studio.dataset.remove(call.actor, card.project.id, chosen)
    else:
        raise UserError("`do` takes label, out, in or remove.")
    return _address(call)


async def look_through(call: Call) -> Answer:
    """Queue what the version that is used says of pictures without a label."""
    card = await project_views.find_card(call)
    await project_views.submit_job(
        call, await call.studio.inference.look_through(call.actor, card.project.id)
    )
    return _address(call, "/label")


async def use_version(call: Call) -> Answer:
    """Let a version be the one that is used."""
    card, number = await project_views.find_card(call), _number(call)
    await call.studio.training.use(call.actor, card.project.id, number)
    return _address(call, f"/report?version={number}")


async def keep_threshold(call: Call) -> Answer:
    """Let a version judge by another threshold from now on."""
    card, number = await project_views.find_card(call), _number(call)
    move = text_of(call.body, "move")
    await call.studio.training.threshold(call.actor, card.project.id, move, number, keep=True)
    return _address(call, f"/report?version={number}")


async def queue_bundle(call: Call) -> Answer:
    """Queue the file by which a version runs elsewhere."""
    card, number = await project_views.find_card(call), _number(call)
    new = await call.studio.inference.bundle(call.actor, card.project.id, number)
    job = await project_views.submit_job(call, new)
    return _address(call, f"/report?version={number}&bundle={job.id}#bundle")


def _number(call: Call) -> int:
    number = project_views.version_of(text_of(call.body, "version"))
    if number is None:
        raise UserError("`version` is missing.")
    return number


async def judge_verdict(call: Call) -> Answer:
    """Say whether a verdict is right, and what its picture is called instead."""
    card, job_id = await project_views.find_card(call), text_of(call.body, "job")
    right = {"right": True, "wrong": False}.get(project_views.form_text(call, "answer"))
    if right is None:
        raise UserError("`answer` takes right or wrong.")
    position = number_of(text_of(call.body, "n")) - 1
    label = project_views.form_text(call, "label")
    await call.studio.inference.answer(call.actor, job_id, position, right=right, label=label)
    if card.project.task == DETECT and not right and {"add", "label"} <= card.may:
        judged = (await call.studio.inference.judged(call.actor, job_id))[position]
        return _address(call, f"/label?picture={judged.sha256}&job={job_id}")
    return SeeOther(project_api.address_of_verdicts(card.project.id, job_id))


# Settings


async def rename_project(call: Call) -> Answer:
    """Call a project something else."""
    card = await project_views.find_card(call)
    await call.studio.projects.rename(call.actor, card.project.id, text_of(call.body, "name"))
    return _address(call, "/settings")


async def set_alike(call: Call) -> Answer:
    """Say how parts lie in an inspection's pictures."""
    card = await project_views.find_card(call)
    await call.studio.projects.set_alike(call.actor, card.project.id, text_of(call.body, "alike"))
    return _address(call, "/settings")


async def set_voices(call: Call) -> Answer:
    """Say how many people have to agree on a label before it counts."""
    card = await project_views.find_card(call)
    voices = whole_number(text_of(call.body, "voices"))
    if voices is None:
        raise UserError("`voices` takes a whole number.")
    await call.studio.projects.set_voices(call.actor, card.project.id, voices)
    return _address(call, "/settings")


async def put_label(call: Call) -> Answer:
    """Add a label to a project's book, or change what it means."""
    card = await project_views.find_card(call)
    label, meaning = text_of(call.body, "label"), project_views.form_text(call, "meaning")
    await call.studio.projects.put_label(call.actor, card.project.id, label, meaning)
    return _address(call, "/settings")


async def drop_label(call: Call) -> Answer:
    """Take a label out of a project's book; its pictures get another one, or none."""
    card = await project_views.find_card(call)
    label, instead = text_of(call.body, "label"), project_views.form_text(call, "instead")
    await call.studio.projects.drop_label(call.actor, card.project.id, label, instead)
    return _address(call, "/settings")


async def share_project(call: Call) -> Answer:
    """Let a role of a project's server, or every member, do exactly what is ticked."""
    card, role = await project_views.find_card(call), whole_number(text_of(call.body, "role"))
    if role is None:
        raise UserError("`role` takes the id of a role, 0 for every member.")
    rights = [right for right in RIGHTS if project_views.form_text(call, right)]
    await call.studio.projects.share(call.actor, card.project.id, role, rights)
    return _address(call, "/settings")


async def forget_project(call: Call) -> Answer:
    """Delete a project for good, with its pictures and versions."""
    card = await project_views.find_card(call)
    await call.studio.projects.forget(call.actor, card.project.id)
    return SeeOther("/projects")
