"""Pages of projects, what programs and the pages' scripts ask of them and of what their models say, and the
bytes of both."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from core.errors import ImageError, UserError
from core.job import Job
from core.language import N_, _, retold
from core.limits import MAX_LABEL
from core.requests.custom_models import ALIKE, ANOMALY, DETECT, STYLE
from jobs.queue import Result
from storage.projects.dataset import Box, Item
from storage.projects.projects import MOST_VOICES, RIGHTS
from studio.authority import Action
from studio.media.uploads import Sent
from studio.new_job import NewJob
from studio.projects.dataset import Brought
from studio.projects.projects import MAX_FILES, MAX_ZIP, Card
from studio.projects.trainings import MOVES
from studio.projects.watches import (
    MOST_ALARMS,
    MOST_DAYS,
    MOST_EVERY,
    MOST_SILENT,
    OFF,
    USUAL_DAYS,
    USUAL_EVERY,
)
from web import schemas, views
from web.call import DONE, Answer, Bytes, Call, Gone, Html, Json, Stream, bytes_of
from web.handlers import chat, project_views
from web.schemas import chosen_of, key_of, number_of, read_body, sent_picture, whole_number

COVERS = 4  # pictures that stand for a project
PAGE = 60  # pictures
_ZIP = b"PK\x03\x04"
_SHA256 = re.compile(r"[0-9a-f]{64}")
TABS = {
    "": N_("Pictures"),
    "/label": N_("Label"),
    "/report": N_("Report"),
    "/try": N_("Try"),
    "/watch": N_("Cameras"),
    "/settings": N_("Settings"),
}


async def find_card(call: Call) -> Card:
    """Return the project that an address names. One that the person may not see looks like none."""
    try:
        found = await call.studio.projects.card(call.actor, call.path["project"])
    except UserError as error:
        raise Gone() from error
    if found.project.id != call.path["project"]:  # somebody called theirs so
        raise Gone()
    return found


async def projects_page(call: Call) -> Answer:
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
    return Html("projects/projects", {"projects": shown})


async def project_page(call: Call) -> Answer:
    """A page of one project: its pictures, and what brings more."""
    card = await find_card(call)
    shown = await list_pictures(call, card.project.id)
    chosen = {name: call.query[name] for name in ("label", "state") if call.query.get(name)}
    here = f"/projects/{card.project.id}"
    older = {**chosen, "after": shown[-1]["id"]} if len(shown) == PAGE else None
    values = {
        "pictures": shown,
        "chosen": chosen,
        "next_page": f"{here}?{urlencode(older)}" if older else None,
        "first_page": f"{here}?{urlencode(chosen)}" if call.query.get("after") else None,
        "limits": {"files": MAX_FILES, "megabytes": MAX_ZIP // 2**20},
    }
    return _page(call, "project", card, values)


async def label_page(call: Call) -> Answer:
    """A page that shows one picture after the other, to be labelled."""
    card = await find_card(call)
    if card.project.task == STYLE:
        return await _captions(call, card)
    if card.project.task == DETECT:
        return await _draw(call, card)
    shown = await _asked(call, card) if "label" in card.may else None
    return _page(call, "label", card, {"picture": shown, "boxes": []})


async def _captions(call: Call, card: Card) -> Html:
    """Return the page where a style's captions are read and written."""
    found = await call.studio.labelling.captions(call.actor, card.project.id) if "label" in card.may else []
    shown = [
        {
            **project_views.describe_item(card.project.id, one.item, call.actor.user_id),
            "caption": one.text,
            "written": one.is_written,
        }
        for one in found
    ]
    return _page(call, "captions", card, {"pictures": shown, "most": MAX_LABEL})


async def _draw(call: Call, card: Card) -> Html:
    """Return the page where boxes are drawn on the picture that the address names, beginning with those
    that are there, or else those that a job found; on the next one without any where it names none."""
    labelling, item, boxes = call.studio.labelling, None, list[Box]()
    sha256, job_id = call.query.get("picture", ""), call.query.get("job", "")
    if "label" in card.may and _SHA256.fullmatch(sha256):
        with suppress(ImageError):  # it is gone, or the job is: there is nothing to begin with
            item = await labelling.one(call.actor, card.project.id, sha256)
            marks = await labelling.marks(call.actor, card.project.id, sha256)
            boxes = list(marks[-1].boxes) if marks else []
            if job_id and not marks:
                boxes = await call.studio.inference.found(call.actor, job_id, sha256)
    elif "label" in card.may:
        item = await labelling.next(call.actor, card.project.id)
    shown = None if item is None else project_views.describe_item(card.project.id, item, call.actor.user_id)
    return _page(call, "label", card, {"picture": shown, "boxes": boxes})


async def _asked(call: Call, card: Card) -> dict[str, Any] | None:
    """Return the picture that the address names, or else the next one that wants a label."""
    wanted = call.query.get("picture", "")
    if _SHA256.fullmatch(wanted):
        with suppress(UserError):
            item = await call.studio.labelling.one(call.actor, card.project.id, wanted)
            return await describe_asked(call, card.project.id, item)
    return await find_wanted(call, card.project.id, [])


async def report_page(call: Call) -> Answer:
    """A page of what is known of a version: figures, charts, threshold, how it does beside another.

    It is the version that the address names, or else the one that is used. What is wrong with a wish in the
    address is told on the page.
    """
    card = await find_card(call)
    training, project_id = call.studio.training, card.project.id
    every = await training.versions(call.actor, project_id)
    shown: dict[str, Any] = {
        "versions": [project_views.describe_version(one) for one in every],
        "report": None,
        "moves_offered": [],
        "moved": None,
        "compared": "",
        "bundle": None,
    }
    if not every:
        return _page(call, "report", card, shown)
    wanted = version_of(call.query.get("version", ""))
    usual = card.version.number if card.version else every[0].number
    report = await training.report(call.actor, project_id, wanted or usual)
    shown["report"] = project_views.describe_report(card, report)
    shown["moves_offered"] = list(MOVES) if shown["report"]["has_threshold"] and "manage" in card.may else []
    number = report.version.number
    if move := call.query.get("move", ""):
        shown["moved"] = {"move": move, "can": False}
        try:
            moved = await training.threshold(call.actor, project_id, move, number)
            shown["moved"] |= {"sentence": moved.sentence, "can": True}
        except UserError as error:
            shown["moved"]["sentence"] = str(error)
    if other := version_of(call.query.get("with", "")):
        try:
            compared = training.compare(call.actor, project_id, *sorted((number, other)))
            shown["compared"] = await compared
        except UserError as error:
            shown["compared"] = str(error)
    shown["bundle"] = await _bundle(call, call.query.get("bundle", ""))
    return _page(call, "report", card, shown)


async def _bundle(call: Call, job_id: str) -> dict[str, Any] | None:
    """Return how far a bundle is, None where the address names none of the person's."""
    try:
        job: Job = await call.studio.rights.job(call.actor, job_id, Action.SHOW)
    except UserError:
        return None
    if job.request.kind != "bundle":
        return None
    return {
        "job": job.id,
        "over": job.status.over,
        "error": job.error and retold(job.error),
        "href": f"/files/bundles/{job.id}",
    }


async def try_page(call: Call) -> Answer:
    """A page where a project's model is asked about pictures, and what it has said."""
    card = await find_card(call)
    tries = []
    if "use" in card.may and card.project.task != STYLE:
        for job, result in await call.studio.inference.tries(call.actor, card.project.id):
            tries.append(await describe_try(call, job, result))
    return _page(call, "try", card, {"tries": tries})


async def project_settings_page(call: Call) -> Answer:
    """A page of a project's labels, name, rights, and of what is taken elsewhere."""
    card = await find_card(call)
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
    return _page(call, "settings", card, values)


def _page(call: Call, name: str, card: Card, values: Mapping[str, Any]) -> Html:
    shape = project_views.describe_card(card)
    own = {"project": "", "captions": "/label"}.get(name, f"/{name}")
    called = TABS | ({"/label": N_("Captions")} if card.project.task == STYLE else {})
    watches = call.studio.watches.is_possible and card.project.task == ANOMALY and "use" in card.may
    shown = {"/label": "label" in card.may, "/watch": watches}
    tabs = [
        {"href": shape["href"] + end, "label": _(label), "current": end == own}
        for end, label in called.items()
        if shown.get(end, True)
    ]
    return Html(f"projects/{name}", {"project": shape, "tabs": tabs, **values}, tab="/projects")


async def watch_page(call: Call) -> Answer:
    """A page of what a project's cameras have seen, and for its managers of the cameras."""
    card, shown = await _board(call)
    manages, shared = "manage" in card.may, card.project.guild_id is not None
    channels = await call.studio.posting.channels(call.actor) if manages and shared else []
    values = {
        **shown,
        "sources": call.studio.watches.sources,
        "off": "" if call.studio.watches.is_possible else _(OFF),
        "channels": [
            {"id": str(one.place.channel_id), "name": one.name}
            for one in channels
            if one.place.guild_id == card.project.guild_id
        ],
        "days": {"usual": USUAL_DAYS, "most": MOST_DAYS},
        "every": {"usual": USUAL_EVERY, "most": MOST_EVERY},
        "rules": {"most": MOST_ALARMS, "silent": MOST_SILENT},
    }
    return _page(call, "watch", card, values)


async def _board(call: Call) -> tuple[Card, dict[str, Any]]:
    """Return the project that an address names, and what its cameras have seen."""
    card, before = await find_card(call), None
    with suppress(ValueError):
        before = datetime.fromisoformat(call.query.get("before", ""))
        before = before.replace(tzinfo=before.tzinfo or UTC)
    board = await call.studio.watches.board(call.actor, card.project.id, before)
    alarms = [project_views.describe_alarm(one) for one in board.alarms]
    watches = [project_views.describe_watch(one) for one in board.watches]
    return card, {"rate": board.rate, "watches": watches, "alarms": alarms}


async def list_watches(call: Call) -> Answer:
    """Return what a project's cameras have seen, and for its managers the cameras."""
    return Json((await _board(call))[1])


async def add_watch(call: Call) -> Answer:
    """Let a project watch a folder."""
    given, card = read_body(call, schemas.NewWatch), await find_card(call)
    more: dict[str, Any] = {"channel_id": whole_number(given.channel) or 0, "keep_days": given.days}
    more |= {"every": given.every, "rules": _rules_of(given)}
    watches = call.studio.watches
    made = await watches.add(call.actor, card.project.id, given.source, camera=given.camera, **more)
    return Json(project_views.describe_watch(made), HTTPStatus.CREATED)


async def change_watch(call: Call) -> Answer:
    """Watch a camera or not, or post none of its alarms for an hour."""
    given, card = read_body(call, schemas.WatchChanges), await find_card(call)
    watches, watch_id = call.studio.watches, call.path["watch"]
    if given.on is not None:
        await watches.turn(call.actor, card.project.id, watch_id, on=given.on)
    if given.snooze:
        await watches.snooze(call.actor, card.project.id, watch_id)
    rules = _rules_of(given)
    if any(value is not None for value in rules.values()):
        await watches.change(call.actor, card.project.id, watch_id, rules)
    return DONE


def _rules_of(given: schemas.NewWatch | schemas.WatchChanges) -> dict[str, Any]:
    return {"hours": given.hours, "most": given.most, "silent_after": given.silent}


async def receive_picture(call: Call) -> Answer:
    """Judge a picture that a program sends for a camera, once however often the same comes."""
    card = await find_card(call)
    sent = call.studio.watches.receive(call.actor, card.project.id, call.path["watch"], sent_picture(call))
    return Json({"job": await sent}, HTTPStatus.ACCEPTED)


async def remove_watch(call: Call) -> Answer:
    """Forget a camera with its pictures, but those that have a label."""
    card = await find_card(call)
    await call.studio.watches.remove(call.actor, card.project.id, call.path["watch"])
    return DONE


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
        **views.describe_outcome(job, result),
        "count": len(job.request.pictures),
        "map": chart and {"src": f"/files/{job.id}/0", "width": chart.width, "height": chart.height},
        "verdicts": await verdicts_of_job(call, job.id) if result else [],
    }


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
    return Json(project_views.describe_card(await find_card(call)))


async def change_project(call: Call) -> Answer:
    """Change a project's name, how parts lie in its pictures, or how many people have to agree on a label."""
    given, card = read_body(call, schemas.ProjectChanges), await find_card(call)
    shelf, project_id = call.studio.projects, card.project.id
    if given.name is not None:
        await shelf.rename(call.actor, project_id, given.name)
    if given.alike is not None:
        await shelf.set_alike(call.actor, project_id, given.alike)
    if given.voices is not None:
        await shelf.set_voices(call.actor, project_id, given.voices)
    return DONE


async def forget_project(call: Call) -> Answer:
    """Delete a project for good, with its pictures and versions."""
    card = await find_card(call)
    await call.studio.projects.forget(call.actor, card.project.id)
    return DONE


async def share_project(call: Call) -> Answer:
    """Let a role of a project's server, or every member, do exactly what is named."""
    given, card = read_body(call, schemas.Granted), await find_card(call)
    role = whole_number(given.role)
    if role is None:
        raise UserError("`role` takes the id of a role, 0 for every member.")
    await call.studio.projects.share(call.actor, card.project.id, role, given.rights)
    return DONE


async def put_label(call: Call) -> Answer:
    """Add a label to a project, or change what it means."""
    given, card = read_body(call, schemas.NewLabel), await find_card(call)
    await call.studio.projects.put_label(call.actor, card.project.id, given.label, given.meaning)
    return DONE


async def drop_label(call: Call) -> Answer:
    """Take a label out of a project; its pictures get another one, or none."""
    given, card = read_body(call, schemas.DroppedLabel), await find_card(call)
    await call.studio.projects.drop_label(call.actor, card.project.id, given.label, given.instead)
    return DONE


async def import_labels(call: Call) -> Answer:
    """Take labels that another program wrote, and say what became of them."""
    card = await find_card(call)
    if len(call.files) != 1:
        raise UserError("Choose one file of labels: CSV, COCO's JSON, or a ZIP file.")
    done = await call.studio.labelling.import_(call.actor, card.project.id, call.files[0])
    said = _(
        "{labelled} labelled, {boxes} boxes; {unknown} aren't in this project.",
        labelled=done.labelled,
        boxes=done.boxes,
        unknown=done.unknown,
    )
    return Json({"sentence": said})


async def show_pictures(call: Call) -> Answer:
    """Return a page of a project's pictures, the oldest first."""
    card = await find_card(call)
    return Json({"pictures": await list_pictures(call, card.project.id)})


async def list_pictures(call: Call, project_id: str) -> list[dict[str, Any]]:
    """Return the pictures that the address's filters choose."""
    chosen = {name: call.query.get(name) or None for name in ("label", "state", "after")}
    items = await call.studio.dataset.page(call.actor, project_id, limit=PAGE, **chosen)
    return [project_views.describe_item(project_id, item, call.actor.user_id) for item in items]


def brought_along(call: Call) -> list[Sent | str]:
    """Return the pictures that come with a form: its files, and those of the studio's own that it names."""
    own = call.body.get("pictures", "")
    named = [f"{job} {index + 1}" for job, index in chosen_of(own.split())] if own else []
    return [*call.files, *named]


async def add_pictures(call: Call) -> Answer:
    """Put pictures into a project: files, zip files whose folders are labels, pictures of the studio's."""
    card = await find_card(call)
    dataset, project_id = call.studio.dataset, card.project.id
    label = (
        "" if card.project.task == DETECT else call.body.get("label", "").strip()
    )  # objects have their own
    given = brought_along(call)
    zips = [one for one in given if not isinstance(one, str) and one.head.startswith(_ZIP)]
    rest = [one for one in given if one not in zips]
    done: list[Brought] = []
    if rest or not zips:
        together = call.body.get("together") == "1"
        done.append(await dataset.add(call.actor, project_id, rest, label, together=together))
    for one in zips:
        done.append(await dataset.add_zip(call.actor, project_id, one, label))
    brought = Brought(
        tuple(name for one in done for name in one.new),
        tuple(name for one in done for name in one.known),
        tuple(pair for one in done for pair in one.refused),
        sum(one.more for one in done),
    )
    refused = [{"name": name, "why": why} for name, why in brought.refused]
    counts = {"new": list(brought.new), "known": list(brought.known), "refused": refused}
    return Json({"sentence": brought.sentence, "more": brought.more, **counts})


async def remove_pictures(call: Call) -> Answer:
    """Take pictures out of a project for good."""
    named = read_body(call, schemas.Chosen).pictures
    card = await find_card(call)
    count = await call.studio.dataset.remove(call.actor, card.project.id, named)
    return Json({"count": count})


async def leave_pictures_out(call: Call) -> Answer:
    """Leave pictures out of what is learned from, or take them in again."""
    given = read_body(call, schemas.LeftOut)
    card = await find_card(call)
    labelling = call.studio.labelling
    await labelling.leave_out(call.actor, card.project.id, given.pictures, out=given.out)
    return DONE


async def show_next(call: Call) -> Answer:
    """Return the picture that a label is wanted for next, and how many still want one."""
    skipped = read_body(call, schemas.Skipped).skipped
    card = await find_card(call)
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
    card = await find_card(call)
    labelling = call.studio.labelling
    item = await labelling.mark(
        call.actor, card.project.id, given.picture, given.label, given.boxes, given.mask
    )
    return Json(project_views.describe_item(card.project.id, item, call.actor.user_id))


async def write_captions(call: Call) -> Answer:
    """Have captions written of the person's pictures in a style."""
    card = await find_card(call)
    asked, left = await call.studio.write_captions(call.actor, card.project.id)
    said = _("Captions being written: {asked}. Load this page again in a moment.", asked=asked)
    return Json({"asked": asked, "left": left, "sentence": said})


async def submit_job(call: Call, new: NewJob, key: str | None = None) -> Job:
    """Queue a job of a project; with a ``key`` once."""
    return (await call.studio.submit(call.actor, new, once=key)).job


async def train_version(call: Call) -> Answer:
    """Queue the training of a project's next version."""
    given, key = read_body(call, schemas.Training), key_of(call)
    card = await find_card(call)
    new = await call.studio.training.train(
        call.actor, card.project.id, seed=given.seed, pixels=given.pixels or 256
    )
    job = await submit_job(call, new, key)
    return Json({"job": job.id}, HTTPStatus.ACCEPTED)


async def list_versions(call: Call) -> Answer:
    """Return a project's versions, the newest first."""
    card = await find_card(call)
    every = await call.studio.training.versions(call.actor, card.project.id)
    return Json({"versions": [project_views.describe_version(one) for one in every]})


def version_of(text: str) -> int | None:
    """Return a version's number, None of nothing. Raises UserError for what can't be one."""
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or not 0 < int(text[:9]) < 10**6:
        raise UserError("`version` takes the number of a version.")
    return int(text[:9])


async def use_version(call: Call) -> Answer:
    """Let a version be the one that is used."""
    card = await find_card(call)
    await call.studio.training.use(call.actor, card.project.id, int(call.path["version"]))
    return DONE


async def keep_threshold(call: Call) -> Answer:
    """Let a version judge by another threshold from now on."""
    move, card = read_body(call, schemas.Move).move, await find_card(call)
    training, number = call.studio.training, int(call.path["version"])
    moved = await training.threshold(call.actor, card.project.id, move, number, keep=True)
    return Json({"sentence": moved.sentence})


async def queue_bundle(call: Call) -> Answer:
    """Queue the file by which a version runs elsewhere."""
    card, number = await find_card(call), int(call.path["version"])
    new = await call.studio.inference.bundle(call.actor, card.project.id, number)
    job = await submit_job(call, new)
    href = f"/projects/{card.project.id}/report?version={number}&bundle={job.id}#bundle"
    return Json({"job": job.id, "href": href}, HTTPStatus.ACCEPTED)


async def look_through(call: Call) -> Answer:
    """Queue what the version that is used says of pictures without a label."""
    card = await find_card(call)
    new = await call.studio.inference.look_through(call.actor, card.project.id)
    job = await submit_job(call, new)
    return Json({"job": job.id}, HTTPStatus.ACCEPTED)


async def try_version(call: Call) -> Answer:
    """Queue what a version says of pictures: files, and pictures of the studio's."""
    card = await find_card(call)
    number = version_of(call.body.get("version", ""))
    given = brought_along(call)
    new = await call.studio.inference.try_(call.actor, card.project.id, given, number=number)
    job = await submit_job(call, new, key_of(call))
    return Json({"job": job.id, "href": f"/projects/{card.project.id}/try#job-{job.id}"}, HTTPStatus.ACCEPTED)


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


async def send_picture(call: Call) -> Answer:
    """Return a picture of a project, small as WebP or whole as PNG."""
    whole = call.path["suffix"] == "png"
    name, sha256 = call.path["project"], call.path["sha256"]
    data = await bytes_of(call.studio.dataset.show(call.actor, name, sha256, whole=whole), UserError)
    return Bytes(data, "image/png" if whole else "image/webp")


async def send_mask(call: Call) -> Answer:
    """Return what somebody has painted on a picture of a project, white on black."""
    name, sha256, painted = call.path["project"], call.path["sha256"], call.path["mask"]
    data = await bytes_of(call.studio.labelling.mask(call.actor, name, sha256, painted), UserError)
    return Bytes(data, "image/png")


async def send_chart(call: Call) -> Answer:
    """Return a chart of a version's report."""
    name, number = call.path["project"], int(call.path["version"])
    asked = call.studio.training.chart(call.actor, name, number, call.path["chart"])
    data, media_type = await bytes_of(asked, UserError)
    return Bytes(data, media_type)


async def send_labels(call: Call) -> Answer:
    """Return a project's labels for another program, as a zip file."""
    card, form = await find_card(call), call.path["form"]
    labelling, called = call.studio.labelling, f"{card.project.name}-{form}.zip"
    if call.query.get("pictures") == "1":
        return Stream(labelling.pack(call.actor, card.project.id, form), "application/zip", called)
    data = await labelling.export(call.actor, card.project.id, form)
    return Bytes(data, "application/zip", name=called)


async def send_verdicts(call: Call) -> Answer:
    """Return what was said of each picture of a job, as a table."""
    data = await bytes_of(call.studio.inference.table(call.actor, call.path["job"]), ImageError)
    return Bytes(data, "text/csv; charset=utf-8", name=f"verdicts-{call.path['job']}.csv")


async def send_bundle(call: Call) -> Answer:
    """Return the file by which a version runs elsewhere."""
    files = await bytes_of(call.studio.inference.files(call.actor, call.path["job"]), ImageError)
    if not files:
        raise Gone()
    stored, data = files[0]
    return Bytes(data, stored.media_type, name=stored.name)
