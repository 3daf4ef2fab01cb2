"""Conversations about pictures, and sets of examples, by which they are answered: their pages, the questions,
what comes into a set, and what trying it has found."""

from http import HTTPStatus
from typing import Any

from core.errors import ImageError, UserError
from core.job import Job, Status
from core.language import retold
from core.requests import AskRequest
from core.requests.chat import cited_frames, frame_labels, pieces_by_frame
from core.results import Table
from jobs.queue import JobView, Result
from storage.conversations import Asked, ExampleSet
from studio import texts
from studio.example_sets import Summary
from studio.moderation.rules import Visibility
from studio.requests.chat import NO_MODEL
from studio.texts import may_be_drawn
from web import schemas, views
from web.call import DONE, Answer, Bytes, Call, Gone, Html, Json, bytes_of
from web.schemas import NewTalk, key_of, number_of, read_body, sent_picture, whole_number

BEST = 3  # labels of a try that are shown
MOST_OF_A_LINE = 200  # characters of an answer in a list
TABLES = {"csv": "text/csv", "json": "application/json"}


async def questions_page(call: Call) -> Answer:
    """The form for a first question, and where the person's conversations stand."""
    talking = call.studio.talking
    values = {
        "can_ask": talking.is_possible,
        "why_not": "" if talking.is_possible else NO_MODEL,
        "elsewhere": bool(talking.server),
        "talks": [_line(asked) for asked in await talking.mine(call.actor)],
    }
    return Html("ask", values)


async def conversation_page(call: Call) -> Answer:
    """The conversation up to a question, and the form that continues it."""
    values = await _conversation(call, call.path["job"])
    return Html("talk", values, tab="/ask")


async def show_conversation(call: Call) -> Answer:
    """Return the conversation up to a question."""
    return Json(await _conversation(call, call.path["job"]))


async def keep_video(call: Call) -> Answer:
    """Keep a video that the person sends, for their next question."""
    name, video = await call.studio.talking.keep_video(call.actor, sent_picture(call))
    _, middle = video.frames[len(video.frames) // 2]
    shape = {"video": name, "frames": len(video.frames), "seconds": video.seconds}
    return Json(shape | {"thumb": f"/files/uploads/{middle}.webp"}, HTTPStatus.CREATED)


async def send_frame(call: Call) -> Answer:
    """Return a small copy of a frame of a question's video."""
    frame = call.studio.talking.frame(call.actor, call.path["job"], number_of(call.path["n"]) - 1)
    data = await bytes_of(frame)
    return Bytes(data, "image/webp", await call.studio.gallery.is_own(call.actor, call.path["job"]))


async def ask_question(call: Call) -> Answer:
    """Queue a question of a conversation, the first or one that follows on; return its job and its page."""
    given, key = read_body(call, NewTalk), key_of(call)
    chosen = await call.studio.own.preferences(call.actor)
    new = await call.studio.requests.ask(
        call.actor,
        given.question,
        given.pictures,
        chosen,
        given.answer or None,
        follows=call.path.get("job"),
    )
    job = (await call.studio.submit(call.actor, new, once=key)).job
    return Json({"job": job.id, "href": _address(job)}, HTTPStatus.ACCEPTED)


async def send_table(call: Call) -> Answer:
    """Return the table that an answer is, as a file."""
    job_id, kind = call.path["job"], call.path["kind"]
    found = await call.studio.talking.table(call.actor, job_id)
    text = texts.as_csv(found) if kind == "csv" else texts.as_json(found)
    own = await call.studio.gallery.is_own(call.actor, job_id)
    data = text.encode("utf-8-sig" if kind == "csv" else "utf-8")
    return Bytes(data, TABLES[kind], own, f"{job_id}-table.{kind}")


def _address(job: Job) -> str:
    return f"/talk/{job.id}"


async def _conversation(call: Call, job_id: str) -> dict[str, Any]:
    talking, reader = call.studio.talking, call.actor.user_id
    turns = await talking.conversation(call.actor, job_id)
    live = {view.job.id: view for view in (await call.studio.own.jobs(call.actor)).jobs}
    shown = []
    for turn, after in zip(turns, [*turns[1:], None], strict=True):
        replies = await talking.replies(call.actor, turn.job.id)
        others = [_link(reply.job) for reply in replies if after is None or reply.job.id != after.job.id]
        shown.append({**await _turn(call, turn, reader, live.get(turn.job.id)), "branches": others})
    first = turns[0].job.request
    return {
        "job": job_id,
        "turns": shown,
        "replies": shown[-1]["branches"],
        "cut": isinstance(first, AskRequest) and first.follows,
        "elsewhere": bool(talking.server),
    }


def _link(job: Job) -> dict[str, str]:
    return {"href": _address(job), "question": _question(job)}


def _line(asked: Asked) -> dict[str, Any]:
    """Return a conversation as a list shows it."""
    job, answer = asked
    return {
        **_link(job),
        "answer": answer.text[:MOST_OF_A_LINE] if answer else "",
        "created": job.created_at.isoformat(),
        "over": job.status.over,
    }


def _question(job: Job) -> str:
    return job.request.question if isinstance(job.request, AskRequest) else ""


async def _turn(call: Call, turn: Asked, reader: int, view: JobView | None) -> dict[str, Any]:
    job, answer = turn.job, turn.answer
    video = await call.studio.talking.video(job)
    drawn = await call.studio.gallery.drawing(call.actor, job.id) if answer else None
    asked = job.request if isinstance(job.request, AskRequest) else None
    frames = {sha256 for _, sha256 in asked.frames} if asked else set()
    stills = [sha256 for sha256 in job.request.pictures if sha256 not in frames]
    return {
        "id": job.id,
        "question": _question(job),
        "pictures": [await thumb_of(call, job, sha256) for sha256 in stills],
        "frames": _frames(job, answer.text if answer else ""),
        "said": [  # a time that it names leads to the frame of the video
            {"text": text, "href": None if n is None else f"#frame-{video.id}-{n + 1}"}
            for text, n in pieces_by_frame(answer.text, _times(video))
        ]
        if answer and video
        else [],
        "form": asked.form if asked else "free",
        "table": _table(answer.table) if answer and answer.table else None,
        "boxes": [box.label for box in answer.boxes] if answer else [],
        "drawing": views.describe_picture(job, *drawn)
        if drawn and drawn[1] is not Visibility.BLOCK
        else None,
        "answer": answer.text if answer else (view.progress.text if view and view.progress else ""),
        "draws": answer is not None and may_be_drawn(answer.text),
        "ended": answer.ended if answer else None,
        "over": job.status.over,
        "cancelled": job.status is Status.CANCELLED,
        "error": job.error and retold(job.error),
        "position": view.position if view else None,
        "mine": job.origin.user_id == reader,
        "private": job.origin.private,
        "notes": await call.studio.talking.notes(job.id),
        "seen": [f"{width} × {height}" for width, height in answer.pictures] if answer else [],
        "tokens": [answer.tokens_in, answer.tokens_cached, answer.tokens_out] if answer else [],
    }


def _frames(job: Job, answer: str) -> list[dict[str, Any]]:
    """Return the frames of a question's video, and which of them its answer names."""
    times = _times(job)
    named = {one.frame for one in cited_frames(answer, times)}
    return [
        {"src": f"/files/{job.id}/frames/{n + 1}.webp", "label": label, "named": n in named}
        for n, label in enumerate(frame_labels(times))
    ]


def _times(job: Job) -> list[float]:
    return [seconds for seconds, _ in job.request.frames] if isinstance(job.request, AskRequest) else []


def _table(table: Table) -> dict[str, Any]:
    """Return a table as a page shows it: every cell as a text, and which columns hold numbers."""
    rows = [[texts.cell_text(cell) for cell in row] for row in table.rows]
    return {
        "title": table.title,
        "columns": list(table.columns),
        "rows": rows,
        "numbers": texts.numeric_columns(table),
    }


async def thumb_of(call: Call, job: Job, sha256: str) -> str | None:
    """Return where a picture of a question is, small; None where the reader can't be shown it."""
    try:
        await call.studio.sources.check_sent(call.actor, sha256)
        return f"/files/uploads/{sha256}.webp"
    except ImageError:
        pass
    if (
        job.parent_id
        and (index := await call.studio.talking.index_of(call.actor, job.parent_id, sha256)) is not None
    ):
        return f"/files/{job.parent_id}/{index + 1}/256.webp"
    return None


async def examples_page(call: Call) -> Answer:
    """A page of the person's sets."""
    sets = [_summary(one) for one in await call.studio.copies.mine(call.actor)]
    return Html("organise/examples", {"sets": sets})


async def example_set_page(call: Call) -> Answer:
    """A page of one set: what is in it, and what trying it has found."""
    found = await _own_set(call)
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


async def list_sets(call: Call) -> Answer:
    """Return the person's sets."""
    return Json({"sets": [_summary(one) for one in await call.studio.copies.mine(call.actor)]})


async def create_set(call: Call) -> Answer:
    """Make an empty set."""
    made = await call.studio.examples.create(call.actor, read_body(call, schemas.NewSet).name)
    return Json(_set(made), HTTPStatus.CREATED)


async def delete_set(call: Call) -> Answer:
    """Delete a set, or of it one example or those of a label."""
    found, example, label = await _own_set(call), call.query.get("example"), call.query.get("label")
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
    given, key, found = read_body(call, schemas.Try), key_of(call), await _own_set(call)
    new = await call.studio.examples.try_on(call.actor, found.id, given.picture, given.question)
    chosen = await call.studio.own.preferences(call.actor)
    made = new.chosen(chosen.lane, private=chosen.private)
    job = (await call.studio.submit(call.actor, made, once=key)).job
    asked = isinstance(job.request, AskRequest)
    href = f"/talk/{job.id}" if asked else f"{_set_address(found)}#try-{job.id}"
    return Json({"job": job.id, "href": href}, HTTPStatus.ACCEPTED)


async def send_example(call: Call) -> Answer:
    """Return a small copy of the first picture of an example."""
    found = await _own_set(call)
    small = call.studio.copies.small(call.actor, found.id, int(call.path["example"]))
    return Bytes(await bytes_of(small), "image/webp", own=True)


async def _own_set(call: Call) -> ExampleSet:
    """Return the set of the person's that an address names. Raises Refused when they have no such one."""
    for one in await call.studio.examples.all(call.actor):
        if one.id == call.path["set"] and one.user_id == call.actor.user_id:
            return one
    raise Gone()


def _set_address(found: ExampleSet) -> str:
    return f"/examples/{found.id}"


def _set(found: ExampleSet) -> dict[str, Any]:
    shape = {"id": found.id, "name": found.name, "href": _set_address(found)}
    return {**shape, "shared": found.guild_id is not None, "taught": found.conversation is not None}


def _summary(found: Summary) -> dict[str, Any]:
    """Return a set as a list shows it."""
    covers = [_small(found.set, example) for example in found.covers]
    return {**_set(found.set), "examples": found.examples, "labels": found.labels, "covers": covers}


def _small(found: ExampleSet, example: int) -> str:
    return f"/files{_set_address(found)}/{example}.webp"


async def _try(call: Call, job: Job, result: Result | None) -> dict[str, Any]:
    """Return what trying a set has found, as its page shows it."""
    ways = list(result.parameters.get("ways", ())) if result else []
    chosen = str(result.parameters.get("model", "")) if result else ""
    return {
        **views.describe_outcome(job, result),
        "thumb": await thumb_of(call, job, job.request.pictures[0]),
        "best": list(result.scores[:BEST]) if result else [],
        "ways": [{**way, "answered": way["name"] == chosen} for way in ways],
    }
