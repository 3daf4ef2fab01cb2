"""What programs ask of projects, the pages' scripts among them."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from core.errors import UserError
from core.requests.own_models import ANOMALY
from storage.projects.items import Item
from studio.projects.label_files import Box
from web.call import Answer, Call, Json
from web.fields import field, key_of, names_of, number_of, text_of
from web.handlers.projects import found, shapes, verdicts

PAGE = 60  # pictures


async def all_projects(call: Call) -> Answer:
    """Return the person's projects, and those of servers that they may look at."""
    projects = await call.studio.projects.shelf.all(call.actor)
    return Json({"projects": [shapes.project(one) for one in projects]})


async def create(call: Call) -> Answer:
    """Make an empty project of the person's."""
    body = call.body
    task, words = field(body, "task", str) or ANOMALY, field(body, "words", str) or ""
    made = await call.studio.projects.shelf.new(call.actor, text_of(body, "name"), task, words=words)
    return Json(shapes.project(made), HTTPStatus.CREATED)


async def one(call: Call) -> Answer:
    """Return a project with what there is of it."""
    return Json(shapes.card(await found.card(call)))


async def pictures(call: Call) -> Answer:
    """Return a page of a project's pictures, the oldest first."""
    card = await found.card(call)
    return Json({"pictures": await page_of(call, card.project.id)})


async def page_of(call: Call, project_id: str) -> list[dict[str, Any]]:
    """Return the pictures that the address's filters choose."""
    chosen = {name: call.query.get(name) or None for name in ("label", "state", "after")}
    items = await call.studio.projects.pictures.page(call.actor, project_id, limit=PAGE, **chosen)
    return [shapes.item(project_id, item, call.actor.user_id) for item in items]


async def add(call: Call) -> Answer:
    """Put pictures into a project: files, zip files whose folders are labels, pictures of the studio's."""
    card = await found.card(call)
    brought = await found.add(call, card)
    refused = [{"name": name, "why": why} for name, why in brought.refused]
    counts = {"new": list(brought.new), "known": list(brought.known), "refused": refused}
    return Json({"sentence": brought.sentence, "more": brought.more, **counts})


async def remove(call: Call) -> Answer:
    """Take pictures out of a project for good."""
    named = found.pictures_of(call)
    card = await found.card(call)
    count = await call.studio.projects.pictures.remove(call.actor, card.project.id, named)
    return Json({"count": count})


async def leave_out(call: Call) -> Answer:
    """Leave pictures out of what is learned from, or take them in again."""
    named, out = found.pictures_of(call), field(call.body, "out", bool)
    card = await found.card(call)
    labelling = call.studio.projects.labelling
    await labelling.leave_out(call.actor, card.project.id, named, out=out is not False)
    return Json(None, HTTPStatus.NO_CONTENT)


async def next_one(call: Call) -> Answer:
    """Return the picture that a label is wanted for next, and how many still want one."""
    skipped = names_of(call.body, "skipped", found.MOST_NAMED)
    card = await found.card(call)
    shown = await wanted(call, card.project.id, skipped)
    return Json({"picture": shown, "left": shapes.card(card)["left"]})


async def wanted(call: Call, project_id: str, skipped: Sequence[str]) -> dict[str, Any] | None:
    """Return the picture that a label is wanted for next, or else one whose label is probably wrong, with
    what a version takes it for."""
    labelling = call.studio.projects.labelling
    if (item := await labelling.next(call.actor, project_id, skipped)) is not None:
        return await asked(call, project_id, item)
    doubted = await labelling.doubted(call.actor, project_id, skipped)
    if doubted is None:
        return None
    doubt = {"version": doubted.version, "rather": doubted.rather}
    return {**await asked(call, project_id, doubted.item), "doubt": doubt}


async def asked(call: Call, project_id: str, item: Item) -> dict[str, Any]:
    """Return a picture that a label is wanted for, with what the person has called it, or else with the
    latest word on it."""
    words = await call.studio.projects.labelling.marks(call.actor, project_id, item.sha256)
    own = [word for word in words if word.user_id == call.actor.user_id]
    word = next(iter([*own, *reversed(words)]), None)
    shape = shapes.item(project_id, item, call.actor.user_id)
    return {**shape, "mark": shapes.marked(project_id, item.sha256, word, call.actor.user_id)}


async def mark(call: Call) -> Answer:
    """Say what a picture of a project is called; "" takes it back."""
    sha256, label, boxes = text_of(call.body, "picture"), text_of(call.body, "label"), _boxes(call)
    mask = field(call.body, "mask", str) or ""
    card = await found.card(call)
    labelling = call.studio.projects.labelling
    item = await labelling.mark(call.actor, card.project.id, sha256, label, boxes, mask)
    return Json(shapes.item(card.project.id, item, call.actor.user_id))


def _boxes(call: Call) -> list[Box]:
    """Return boxes, each [label, left, top, right, bottom] in 0 to 1 of the sides. Raises UserError."""
    boxes: list[Box] = []
    for given in field(call.body, "boxes", list) or []:
        sides = given[1:] if isinstance(given, list) and len(given) == 5 else ()
        if (
            not sides
            or not isinstance(given[0], str)
            or not all(type(side) in (int, float) for side in sides)
        ):
            raise UserError("`boxes` takes lists of a label, left, top, right and bottom, in 0 to 1.")
        boxes.append((given[0], *(float(side) for side in sides)))  # type: ignore[arg-type]
    return boxes


async def train(call: Call) -> Answer:
    """Queue the training of a project's next version."""
    pixels, seed, key = field(call.body, "pixels", int), field(call.body, "seed", int), key_of(call)
    card = await found.card(call)
    new = await call.studio.projects.training.train(
        call.actor, card.project.id, seed=seed or 0, pixels=pixels or 256
    )
    job = await found.submit(call, new, key)
    return Json({"job": job.id}, HTTPStatus.ACCEPTED)


async def versions(call: Call) -> Answer:
    """Return a project's versions, the newest first."""
    card = await found.card(call)
    every = await call.studio.projects.training.versions(call.actor, card.project.id)
    return Json({"versions": [shapes.version(one) for one in every]})


async def try_on(call: Call) -> Answer:
    """Queue what a version says of pictures: files, and pictures of the studio's."""
    card = await found.card(call)
    number = found.version_of(found.text(call, "version"))
    given = found.brought_along(call)
    new = await call.studio.projects.trying.try_(call.actor, card.project.id, given, number=number)
    job = await found.submit(call, new, key_of(call))
    return Json({"job": job.id, "href": verdicts.page_of(card.project.id, job.id)}, HTTPStatus.ACCEPTED)


async def judged(call: Call) -> Answer:
    """Return what was said of each picture of a job, whose model looked at them."""
    return Json({"verdicts": await verdicts.of_job(call, call.path["job"])})


async def answer(call: Call) -> Answer:
    """Say whether a verdict is right, and what its picture is called instead."""
    right, label = field(call.body, "right", bool), field(call.body, "label", str) or ""
    if right is None:
        raise UserError("`right` is missing.")
    position = number_of(call.path["n"]) - 1
    job_id = call.path["job"]
    trying = call.studio.projects.trying
    sentence = await trying.answer(call.actor, job_id, position, right=right, label=label)
    return Json({"sentence": sentence})
