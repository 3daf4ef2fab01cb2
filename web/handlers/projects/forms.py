"""What forms on pages of projects send; each answers with a page to go on with."""

from __future__ import annotations

from core.errors import UserError
from core.requests.own_models import DETECT
from storage.projects.rows import RIGHTS
from web.call import Answer, Call, SeeOther
from web.fields import number_of, text_of, whole
from web.handlers.projects import found, verdicts
from web.handlers.projects.pages import ProjectPages


def _address(call: Call, end: str = "") -> SeeOther:
    return SeeOther(f"/projects/{call.path['project']}{end}")


class ProjectForms:
    """Handlers of a form with a file, which answers with the page that it stands on."""

    def __init__(self, pages: ProjectPages) -> None:
        self._pages = pages

    async def import_labels(self, call: Call) -> Answer:
        """Take labels that another program wrote, and show what became of them."""
        card = await found.card(call)
        if len(call.files) != 1:
            raise UserError("Choose one file of labels: CSV, COCO's JSON, or a zip file.")
        done = await call.studio.projects.labelling.import_(call.actor, card.project.id, call.files[0])
        said = f"{done.labelled} labelled, {done.boxes} boxes; {done.unknown} aren't in this project."
        return await self._pages.set_up(call, await found.card(call), said)


async def change(call: Call) -> Answer:
    """Do something with the pictures that are ticked: label them, leave them out, take them out."""
    card, chosen = await found.card(call), found.checked_of(call)
    labelling, does = call.studio.projects.labelling, found.text(call, "do")
    if does == "label":
        for sha256 in chosen:
            await labelling.mark(call.actor, card.project.id, sha256, text_of(call.body, "label"))
    elif does in ("out", "in"):
        await labelling.leave_out(call.actor, card.project.id, chosen, out=does == "out")
    elif does == "remove":
        await call.studio.projects.pictures.remove(call.actor, card.project.id, chosen)
    else:
        raise UserError("`do` takes label, out, in or remove.")
    return _address(call)


async def look_through(call: Call) -> Answer:
    """Queue what the version that is used says of pictures without a label."""
    card = await found.card(call)
    await found.submit(call, await call.studio.projects.trying.look_through(call.actor, card.project.id))
    return _address(call, "/label")


async def use(call: Call) -> Answer:
    """Let a version be the one that is used."""
    card, number = await found.card(call), _number(call)
    await call.studio.projects.training.use(call.actor, card.project.id, number)
    return _address(call, f"/report?version={number}")


async def keep_threshold(call: Call) -> Answer:
    """Let a version judge by another threshold from now on."""
    card, number = await found.card(call), _number(call)
    move = text_of(call.body, "move")
    await call.studio.projects.training.threshold(call.actor, card.project.id, move, number, keep=True)
    return _address(call, f"/report?version={number}")


async def bundle(call: Call) -> Answer:
    """Queue the file by which a version runs elsewhere."""
    card, number = await found.card(call), _number(call)
    new = await call.studio.projects.trying.bundle(call.actor, card.project.id, number)
    job = await found.submit(call, new)
    return _address(call, f"/report?version={number}&bundle={job.id}#bundle")


def _number(call: Call) -> int:
    number = found.version_of(text_of(call.body, "version"))
    if number is None:
        raise UserError("`version` is missing.")
    return number


async def answer(call: Call) -> Answer:
    """Say whether a verdict is right, and what its picture is called instead."""
    card, job_id = await found.card(call), text_of(call.body, "job")
    right = {"right": True, "wrong": False}.get(found.text(call, "answer"))
    if right is None:
        raise UserError("`answer` takes right or wrong.")
    position = number_of(text_of(call.body, "n")) - 1
    label = found.text(call, "label")
    await call.studio.projects.trying.answer(call.actor, job_id, position, right=right, label=label)
    if card.project.task == DETECT and not right and {"add", "label"} <= card.may:
        judged = (await call.studio.projects.trying.judged(call.actor, job_id))[position]
        return _address(call, f"/label?picture={judged.sha256}&job={job_id}")
    return SeeOther(verdicts.page_of(card.project.id, job_id))


# Settings


async def rename(call: Call) -> Answer:
    """Call a project something else."""
    card = await found.card(call)
    await call.studio.projects.shelf.rename(call.actor, card.project.id, text_of(call.body, "name"))
    return _address(call, "/settings")


async def set_alike(call: Call) -> Answer:
    """Say how parts lie in an inspection's pictures."""
    card = await found.card(call)
    await call.studio.projects.shelf.set_alike(call.actor, card.project.id, text_of(call.body, "alike"))
    return _address(call, "/settings")


async def set_voices(call: Call) -> Answer:
    """Say how many people have to agree on a label before it counts."""
    card = await found.card(call)
    voices = whole(text_of(call.body, "voices"))
    if voices is None:
        raise UserError("`voices` takes a whole number.")
    await call.studio.projects.shelf.set_voices(call.actor, card.project.id, voices)
    return _address(call, "/settings")


async def put_label(call: Call) -> Answer:
    """Add a label to a project's book, or change what it means."""
    card = await found.card(call)
    label, meaning = text_of(call.body, "label"), found.text(call, "meaning")
    await call.studio.projects.shelf.put_label(call.actor, card.project.id, label, meaning)
    return _address(call, "/settings")


async def drop_label(call: Call) -> Answer:
    """Take a label out of a project's book; its pictures get another one, or none."""
    card = await found.card(call)
    label, instead = text_of(call.body, "label"), found.text(call, "instead")
    await call.studio.projects.shelf.drop_label(call.actor, card.project.id, label, instead)
    return _address(call, "/settings")


async def share(call: Call) -> Answer:
    """Let a role of a project's server, or every member, do exactly what is ticked."""
    card, role = await found.card(call), whole(text_of(call.body, "role"))
    if role is None:
        raise UserError("`role` takes the id of a role, 0 for every member.")
    rights = [right for right in RIGHTS if found.text(call, right)]
    await call.studio.projects.shelf.share(call.actor, card.project.id, role, rights)
    return _address(call, "/settings")


async def forget(call: Call) -> Answer:
    """Delete a project for good, with its pictures and versions."""
    card = await found.card(call)
    await call.studio.projects.shelf.forget(call.actor, card.project.id)
    return SeeOther("/projects")
