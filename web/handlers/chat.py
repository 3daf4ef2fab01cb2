"""Conversations about pictures: their page, and the questions that it sends."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from core.errors import ImageError
from core.job import Job, Status
from core.requests import AskRequest
from core.requests.chat import cited_frames, frame_labels, pieces_by_frame
from core.results import Table
from jobs.queue import JobView
from storage.conversations import Asked
from studio import texts
from studio.moderation.rules import Visibility
from studio.requests.chat import NO_MODEL
from web import views
from web.call import Answer, Bytes, Call, Html, Json, bytes_of
from web.schemas import NewTalk, key_of, number_of, read_body, sent_picture

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
    """The conversation up to a question, and the form to go on."""
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
        "ended": answer.ended if answer else None,
        "over": job.status.over,
        "cancelled": job.status is Status.CANCELLED,
        "error": job.error,
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
