"""Sets of examples: their page, the page of one, what comes into one, and what trying it has found."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from core.errors import UserError
from core.job import Job
from core.requests import AskRequest
from jobs.queue import Result
from storage.conversations import ExampleSet
from studio.example_sets import Summary
from web import schemas, views
from web.call import DONE, Answer, Bytes, Call, Gone, Html, Json, bytes_of
from web.handlers import chat
from web.schemas import key_of, read_body, whole_number

BEST = 3  # labels of a try that are shown


async def examples_page(call: Call) -> Answer:
    """A page of the person's sets."""
    sets = [_shape(one) for one in await call.studio.copies.mine(call.actor)]
    return Html("organise/examples", {"sets": sets})


async def example_set_page(call: Call) -> Answer:
    """A page of one set: what is in it, and what trying it has found."""
    found = await _own(call)
    contents = await call.studio.examples.contents(call.actor, found.id)
    tries = await call.studio.copies.tries(call.actor, found.id)
    shown = [await _try(call, job, result) for job, result in tries]
    examples = [
        {
            "id": one.id,
            "question": one.question,
            "label": one.label,
            "small": _small(found, one.id) if one.pictures else None,
        }
        for one in contents.examples
    ]
    labels = [
        {"name": label, "pictures": [one for one in examples if one["label"] == label]}
        for label in contents.labels
    ]
    values = {
        "set": _set(found),
        "count": len(examples),
        "labels": [] if contents.answers else labels,
        "questions": examples if contents.answers else [],
        "can_try": contents.answers or len(contents.labels) > 1,
        "asks": call.studio.talking.is_possible,
        "tries": shown,
        "ways": next((one["ways"] for one in shown if one["ways"]), []),
    }
    return Html("organise/example-set", values, tab="/examples")


# What programs ask


async def list_sets(call: Call) -> Answer:
    """Return the person's sets."""
    return Json({"sets": [_shape(one) for one in await call.studio.copies.mine(call.actor)]})


async def create_set(call: Call) -> Answer:
    """Make an empty set."""
    made = await call.studio.examples.create(call.actor, read_body(call, schemas.NewSet).name)
    return Json(_set(made), HTTPStatus.CREATED)


async def delete_set(call: Call) -> Answer:
    """Delete a set, or of it one example or those of a label."""
    found, example, label = await _own(call), call.query.get("example"), call.query.get("label")
    example_id = None if example is None else whole_number(example)
    if example is not None and example_id is None:
        raise UserError("`example` takes the number of an example.")
    await call.studio.examples.forget(call.actor, found.id, label, example_id=example_id)
    return DONE


async def add_examples(call: Call) -> Answer:
    """Put pictures into a set, which is made if the person has none of that name."""
    given = read_body(call, schemas.NewExamples)
    contents = await call.studio.examples.add(
        call.actor, given.set, given.label, given.pictures, given.question, make=True
    )
    count = contents.labels.get(" ".join(given.label.split()), 0)
    return Json({**_set(contents.set), "count": count}, HTTPStatus.CREATED)


async def try_set(call: Call) -> Answer:
    """Queue what says which label of a set fits a picture, or answers as a set of questions does."""
    given, key, found = read_body(call, schemas.Try), key_of(call), await _own(call)
    new = await call.studio.examples.try_on(call.actor, found.id, given.picture, given.question)
    chosen = await call.studio.own.preferences(call.actor)
    made = new.chosen(chosen.lane, private=chosen.private)
    job = (await call.studio.submit(call.actor, made, once=key)).job
    asked = isinstance(job.request, AskRequest)
    href = f"/talk/{job.id}" if asked else f"{_address(found)}#try-{job.id}"
    return Json({"job": job.id, "href": href}, HTTPStatus.ACCEPTED)


async def send_example(call: Call) -> Answer:
    """Return a small copy of the first picture of an example."""
    found = await _own(call)
    small = call.studio.copies.small(call.actor, found.id, int(call.path["example"]))
    return Bytes(await bytes_of(small), "image/webp", own=True)


async def _own(call: Call) -> ExampleSet:
    """Return the set of the person's that an address names. Raises Refused when they have no such one."""
    for one in await call.studio.examples.all(call.actor):
        if one.id == call.path["set"] and one.user_id == call.actor.user_id:
            return one
    raise Gone()


def _address(found: ExampleSet) -> str:
    return f"/examples/{found.id}"


def _set(found: ExampleSet) -> dict[str, Any]:
    shape = {"id": found.id, "name": found.name, "href": _address(found)}
    return {**shape, "shared": found.guild_id is not None, "taught": found.conversation is not None}


def _shape(found: Summary) -> dict[str, Any]:
    """Return a set as a list shows it."""
    covers = [_small(found.set, example) for example in found.covers]
    return {**_set(found.set), "examples": found.examples, "labels": found.labels, "covers": covers}


def _small(found: ExampleSet, example: int) -> str:
    return f"/files{_address(found)}/{example}.webp"


async def _try(call: Call, job: Job, result: Result | None) -> dict[str, Any]:
    """Return what trying a set has found, as its page shows it."""
    ways = list(result.parameters.get("ways", ())) if result else []
    chosen = str(result.parameters.get("model", "")) if result else ""
    return {
        **views.describe_outcome(job, result),
        "thumb": await chat.thumb_of(call, job, job.request.pictures[0]),
        "best": list(result.scores[:BEST]) if result else [],
        "ways": [{**way, "answered": way["name"] == chosen} for way in ways],
    }
