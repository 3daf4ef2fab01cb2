"""What programs ask of projects and of what their models say, the pages' scripts among them, and the bytes of
both."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from http import HTTPStatus
from typing import Any, TypeVar

from core.errors import FilesAway, NotAllowedError, StorageError, UserError
from core.job import Job, Status
from core.requests.custom_models import ANOMALY
from jobs.queue import Result
from storage.projects.dataset import Item
from web import schemas
from web.call import Answer, Bytes, Call, Gone, Json, Stream
from web.handlers import chat, project_views
from web.schemas import key_of, number_of, read_body, whole_number

NAMED = 5  # labels of a verdict that are shown


def address_of_verdicts(project_id: str, job_id: str) -> str:
    """Return where a job's verdicts are shown."""
    return f"/projects/{project_id}/try#job-{job_id}"


async def verdicts_of_job(call: Call, job_id: str) -> list[dict[str, Any]]:
    """Return a job's verdicts, in the order of its pictures."""
    judged = await call.studio.inference.judged(call.actor, job_id)
    seen = await call.studio.gallery.look(call.actor, job_id)
    said = list(seen.result.parameters.get("verdicts", ())) if seen.result else []
    shown = []
    for one in judged:
        told = said[one.position] if one.position < len(said) else {}
        thumb = await chat.thumb_of(call, seen.job, one.sha256)
        shown.append(project_views.describe_verdict(one, told, thumb))
    return shown


async def describe_try(call: Call, job: Job, result: Result | None) -> dict[str, Any]:
    """Return a try as its page shows it. map: where the pictures with their heat maps are."""
    chart = result.grid if result else None
    return {
        "id": job.id,
        "created": job.created_at.isoformat(),
        "over": job.status.over,
        "cancelled": job.status is Status.CANCELLED,
        "error": job.error,
        "count": len(job.request.pictures),
        "map": chart and {"src": f"/files/{job.id}/0", "width": chart.width, "height": chart.height},
        "verdicts": await verdicts_of_job(call, job.id) if result else [],
        "notes": list(result.parameters.get("notes", ())) if result else [],
    }


PAGE = 60  # pictures


async def list_projects(call: Call) -> Answer:
    """Return the person's projects, and those of servers that they may look at."""
    projects = await call.studio.projects.all(call.actor)
    return Json({"projects": [project_views.describe_project(one) for one in projects]})


async def create_project(call: Call) -> Answer:
    """Make an empty project of the person's."""
    given, shelf = read_body(call, schemas.NewProject), call.studio.projects
    made = await shelf.new(call.actor, given.name, given.task or ANOMALY, words=given.words)
    return Json(project_views.describe_project(made), HTTPStatus.CREATED)


async def show_project(call: Call) -> Answer:
    """Return a project with what there is of it."""
    return Json(project_views.describe_card(await project_views.find_card(call)))


async def change_project(call: Call) -> Answer:
    """Change a project's name, how parts lie in its pictures, or how many people have to agree on a label."""
    given, card = read_body(call, schemas.ProjectChanges), await project_views.find_card(call)
    shelf, project_id = call.studio.projects, card.project.id
    if given.name is not None:
        await shelf.rename(call.actor, project_id, given.name)
    if given.alike is not None:
        await shelf.set_alike(call.actor, project_id, given.alike)
    if given.voices is not None:
        await shelf.set_voices(call.actor, project_id, given.voices)
    return Json(None, HTTPStatus.NO_CONTENT)


async def forget_project(call: Call) -> Answer:
    """Delete a project for good, with its pictures and versions."""
    card = await project_views.find_card(call)
    await call.studio.projects.forget(call.actor, card.project.id)
    return Json(None, HTTPStatus.NO_CONTENT)


async def share_project(call: Call) -> Answer:
    """Let a role of a project's server, or every member, do exactly what is named."""
    given, card = read_body(call, schemas.Granted), await project_views.find_card(call)
    role = whole_number(given.role)
    if role is None:
        raise UserError("`role` takes the id of a role, 0 for every member.")
    await call.studio.projects.share(call.actor, card.project.id, role, given.rights)
    return Json(None, HTTPStatus.NO_CONTENT)


async def put_label(call: Call) -> Answer:
    """Add a label to a project, or change what it means."""
    given, card = read_body(call, schemas.NewLabel), await project_views.find_card(call)
    await call.studio.projects.put_label(call.actor, card.project.id, given.label, given.meaning)
    return Json(None, HTTPStatus.NO_CONTENT)


async def drop_label(call: Call) -> Answer:
    """Take a label out of a project; its pictures get another one, or none."""
    given, card = read_body(call, schemas.DroppedLabel), await project_views.find_card(call)
    await call.studio.projects.drop_label(call.actor, card.project.id, given.label, given.instead)
    return Json(None, HTTPStatus.NO_CONTENT)


async def import_labels(call: Call) -> Answer:
    """Take labels that another program wrote, and say what became of them."""
    card = await project_views.find_card(call)
    if len(call.files) != 1:
        raise UserError("Choose one file of labels: CSV, COCO's JSON, or a zip file.")
    done = await call.studio.labelling.import_(call.actor, card.project.id, call.files[0])
    said = f"{done.labelled} labelled, {done.boxes} boxes; {done.unknown} aren't in this project."
    return Json({"sentence": said})


async def show_pictures(call: Call) -> Answer:
    """Return a page of a project's pictures, the oldest first."""
    card = await project_views.find_card(call)
    return Json({"pictures": await list_pictures(call, card.project.id)})


async def list_pictures(call: Call, project_id: str) -> list[dict[str, Any]]:
    """Return the pictures that the address's filters choose."""
    chosen = {name: call.query.get(name) or None for name in ("label", "state", "after")}
    items = await call.studio.dataset.page(call.actor, project_id, limit=PAGE, **chosen)
    return [project_views.describe_item(project_id, item, call.actor.user_id) for item in items]


async def add_pictures(call: Call) -> Answer:
    """Put pictures into a project: files, zip files whose folders are labels, pictures of the studio's."""
    card = await project_views.find_card(call)
    brought = await project_views.add_brought(call, card)
    refused = [{"name": name, "why": why} for name, why in brought.refused]
    counts = {"new": list(brought.new), "known": list(brought.known), "refused": refused}
    return Json({"sentence": brought.sentence, "more": brought.more, **counts})


async def remove_pictures(call: Call) -> Answer:
    """Take pictures out of a project for good."""
    named = read_body(call, schemas.Chosen).pictures
    card = await project_views.find_card(call)
    count = await call.studio.dataset.remove(call.actor, card.project.id, named)
    return Json({"count": count})


async def leave_pictures_out(call: Call) -> Answer:
    """Leave pictures out of what is learned from, or take them in again."""
    given = read_body(call, schemas.LeftOut)
    card = await project_views.find_card(call)
    labelling = call.studio.labelling
    await labelling.leave_out(call.actor, card.project.id, given.pictures, out=given.out)
    return Json(None, HTTPStatus.NO_CONTENT)


async def show_next(call: Call) -> Answer:
    """Return the picture that a label is wanted for next, and how many still want one."""
    skipped = read_body(call, schemas.Skipped).skipped
    card = await project_views.find_card(call)
    shown = await find_wanted(call, card.project.id, skipped)
    return Json({"picture": shown, "left": project_views.describe_card(card)["left"]})


async def find_wanted(call: Call, project_id: str, skipped: Sequence[str]) -> dict[str, Any] | None:
    """Return the picture that a label is wanted for next, or else one whose label is probably wrong, with
    what a version takes it for."""
    labelling = call.studio.labelling
    if (item := await labelling.next(call.actor, project_id, skipped)) is not None:
        return await describe_asked(call, project_id, item)
    doubted = await labelling.doubted(call.actor, project_id, skipped)
    if doubted is None:
        return None
    doubt = {"version": doubted.version, "rather": doubted.rather}
    return {**await describe_asked(call, project_id, doubted.item), "doubt": doubt}


async def describe_asked(call: Call, project_id: str, item: Item) -> dict[str, Any]:
    """Return a picture that a label is wanted for, with what the person has called it, or else with the
    latest word on it."""
    words = await call.studio.labelling.marks(call.actor, project_id, item.sha256)
    own = [word for word in words if word.user_id == call.actor.user_id]
    word = next(iter([*own, *reversed(words)]), None)
    shape = project_views.describe_item(project_id, item, call.actor.user_id)
    return {**shape, "mark": project_views.describe_mark(project_id, item.sha256, word, call.actor.user_id)}


async def mark_picture(call: Call) -> Answer:
    """Say what a picture of a project is called; "" takes it back."""
    given = read_body(call, schemas.Mark)
    card = await project_views.find_card(call)
    labelling = call.studio.labelling
    item = await labelling.mark(
        call.actor, card.project.id, given.picture, given.label, given.boxes, given.mask
    )
    return Json(project_views.describe_item(card.project.id, item, call.actor.user_id))


async def train_version(call: Call) -> Answer:
    """Queue the training of a project's next version."""
    given, key = read_body(call, schemas.Training), key_of(call)
    card = await project_views.find_card(call)
    new = await call.studio.training.train(
        call.actor, card.project.id, seed=given.seed, pixels=given.pixels or 256
    )
    job = await project_views.submit_job(call, new, key)
    return Json({"job": job.id}, HTTPStatus.ACCEPTED)


async def list_versions(call: Call) -> Answer:
    """Return a project's versions, the newest first."""
    card = await project_views.find_card(call)
    every = await call.studio.training.versions(call.actor, card.project.id)
    return Json({"versions": [project_views.describe_version(one) for one in every]})


async def use_version(call: Call) -> Answer:
    """Let a version be the one that is used."""
    card = await project_views.find_card(call)
    await call.studio.training.use(call.actor, card.project.id, int(call.path["version"]))
    return Json(None, HTTPStatus.NO_CONTENT)


async def keep_threshold(call: Call) -> Answer:
    """Let a version judge by another threshold from now on."""
    move, card = read_body(call, schemas.Move).move, await project_views.find_card(call)
    training, number = call.studio.training, int(call.path["version"])
    moved = await training.threshold(call.actor, card.project.id, move, number, keep=True)
    return Json({"sentence": moved.sentence})


async def queue_bundle(call: Call) -> Answer:
    """Queue the file by which a version runs elsewhere."""
    card, number = await project_views.find_card(call), int(call.path["version"])
    new = await call.studio.inference.bundle(call.actor, card.project.id, number)
    job = await project_views.submit_job(call, new)
    href = f"/projects/{card.project.id}/report?version={number}&bundle={job.id}#bundle"
    return Json({"job": job.id, "href": href}, HTTPStatus.ACCEPTED)


async def look_through(call: Call) -> Answer:
    """Queue what the version that is used says of pictures without a label."""
    card = await project_views.find_card(call)
    new = await call.studio.inference.look_through(call.actor, card.project.id)
    job = await project_views.submit_job(call, new)
    return Json({"job": job.id}, HTTPStatus.ACCEPTED)


async def try_version(call: Call) -> Answer:
    """Queue what a version says of pictures: files, and pictures of the studio's."""
    card = await project_views.find_card(call)
    number = project_views.version_of(project_views.form_text(call, "version"))
    given = project_views.brought_along(call)
    new = await call.studio.inference.try_(call.actor, card.project.id, given, number=number)
    job = await project_views.submit_job(call, new, key_of(call))
    return Json({"job": job.id, "href": address_of_verdicts(card.project.id, job.id)}, HTTPStatus.ACCEPTED)


async def list_verdicts(call: Call) -> Answer:
    """Return what was said of each picture of a job, whose model looked at them."""
    return Json({"verdicts": await verdicts_of_job(call, call.path["job"])})


async def answer_verdict(call: Call) -> Answer:
    """Say whether a verdict is right, and what its picture is called instead."""
    given = read_body(call, schemas.Judgement)
    position = number_of(call.path["n"]) - 1
    job_id = call.path["job"]
    trying = call.studio.inference
    sentence = await trying.answer(call.actor, job_id, position, right=given.right, label=given.label)
    return Json({"sentence": sentence})


T = TypeVar("T")


async def send_picture(call: Call) -> Answer:
    """Return a picture of a project, small as WebP or whole as PNG."""
    whole = call.path["suffix"] == "png"
    name, sha256 = call.path["project"], call.path["sha256"]
    data = await _there(call.studio.dataset.show(call.actor, name, sha256, whole=whole))
    return Bytes(data, "image/png" if whole else "image/webp")


async def send_mask(call: Call) -> Answer:
    """Return what somebody has painted on a picture of a project, white on black."""
    name, sha256, painted = call.path["project"], call.path["sha256"], call.path["mask"]
    data = await _there(call.studio.labelling.mask(call.actor, name, sha256, painted))
    return Bytes(data, "image/png")


async def send_chart(call: Call) -> Answer:
    """Return a chart of a version's report."""
    name, number = call.path["project"], int(call.path["version"])
    asked = call.studio.training.chart(call.actor, name, number, call.path["chart"])
    data, media_type = await _there(asked)
    return Bytes(data, media_type)


async def send_labels(call: Call) -> Answer:
    """Return a project's labels for another program, as a zip file."""
    card, form = await project_views.find_card(call), call.path["form"]
    labelling, called = call.studio.labelling, f"{card.project.name}-{form}.zip"
    if call.query.get("pictures") == "1":
        return Stream(labelling.pack(call.actor, card.project.id, form), "application/zip", called)
    data = await labelling.export(call.actor, card.project.id, form)
    return Bytes(data, "application/zip", name=called)


async def send_verdicts(call: Call) -> Answer:
    """Return what was said of each picture of a job, as a table."""
    data = await _there(call.studio.inference.table(call.actor, call.path["job"]), of_job=True)
    return Bytes(data, "text/csv; charset=utf-8", name=f"verdicts-{call.path['job']}.csv")


async def send_bundle(call: Call) -> Answer:
    """Return the file by which a version runs elsewhere."""
    files = await _there(call.studio.inference.files(call.actor, call.path["job"]), of_job=True)
    if not files:
        raise Gone()
    stored, data = files[0]
    return Bytes(data, stored.media_type, name=stored.name)


async def _there(asked: Awaitable[T], *, of_job: bool = False) -> T:
    """Return bytes; what the person may not see looks like what never was. of_job: one who knows of the job,
    but may not look at it any more, is told so."""
    try:
        return await asked
    except FilesAway:
        raise
    except (UserError, StorageError) as error:
        if of_job and isinstance(error, NotAllowedError):
            raise
        raise Gone() from error
