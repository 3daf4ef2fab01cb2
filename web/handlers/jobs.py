"""Jobs: asked for, watched, made from others, stopped; and the queues of servers that the person manages."""

from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from core.errors import UserError
from core.job import NOBODY, Job
from core.language import _
from core.prompt.parser import Prompt
from core.requests import REQUESTS
from jobs.queue import JobView, Snapshot
from studio.admin import ServerQueue
from studio.library.gallery import Looked
from studio.new_job import NewJob
from studio.requests.actions import OF_VIDEOS, RIGHTS, shown_beside
from studio.requests.prompts import remix_text
from studio.requests.video import Asked, Material
from studio.texts import job_name
from web import views as shapes
from web.call import DONE, Answer, Call, Gone, Json, Refused, Stream, event_of
from web.schemas import NewJobs, Once, Press, key_of, number_of, read_body, sent_picture

NEWEST = 20  # finished jobs of the stream, and of each part that follows


async def ask_jobs(call: Call) -> Answer:
    """Queue what the prompt asks for; for several jobs, keep them and say how many there would be."""
    studio, actor = call.studio, call.actor
    given = read_body(call, NewJobs)
    named, does = given.pictures, given.do or None
    chosen = await studio.own.preferences(actor)
    clips = [name for name in named if await studio.video_requests.is_video(name)]
    if clips:
        material = Material.of([name for name in named if name not in clips], clips)
        video = await studio.requests.video(actor, Asked(given.prompt, does), material, chosen)
        return await _queued(call, await video.job())
    if does:
        raise UserError(f"`do` is {does[:20]!r}, which is done to a video, and `pictures` names none.")
    typed = await studio.requests.imagine(actor, given.prompt, chosen, attached=len(named))
    new = await typed.job_or_question({f"<{number}>": name for number, name in enumerate(named, 1)})
    if isinstance(new, NewJob):
        return await _queued(call, new)
    detail = _("This prompt makes {count} jobs.", count=typed.count)
    return Json({"draft": new.draft_id, "count": typed.count, "detail": detail}, HTTPStatus.CONFLICT)


async def _queued(call: Call, new: NewJob) -> Json:
    """Queue a job, with the call's key once."""
    submitted = await call.studio.submit(call.actor, new, once=key_of(call))
    return Json({"jobs": await describe_queued(call, [submitted.job])}, HTTPStatus.ACCEPTED)


async def confirm(call: Call) -> Answer:
    """Queue the jobs of a question that the person says yes to; where a limit ends it, say how far it got."""
    draft_id = call.path["draft"]
    try:
        new = await call.studio.requests.confirmed(call.actor, draft_id)
    except UserError as error:  # gone, or somebody else's
        raise Refused(HTTPStatus.NOT_FOUND, str(error)) from error
    return await queue_all(call, new, f"draft:{draft_id}")


async def queue_all(call: Call, new: Sequence[NewJob], once: str | None) -> Json:
    """Queue jobs, with a key once; where a limit ends it, say how far it got."""
    jobs: list[Job] = []
    for number, made in enumerate(new):
        try:
            key = once and f"{once}:{number}"
            submitted = await call.studio.submit(call.actor, made, once=key)
        except UserError as error:
            if not jobs:
                raise
            detail = _("{jobs} of {new} are queued. {error}", jobs=len(jobs), new=len(new), error=error)
            return Json({"jobs": await describe_queued(call, jobs), "detail": detail}, HTTPStatus.ACCEPTED)
        jobs.append(submitted.job)
    return Json({"jobs": await describe_queued(call, jobs)}, HTTPStatus.ACCEPTED)


async def press_button(call: Call) -> Answer:
    """Queue what a button under a picture makes."""
    studio, actor, job_id, action = call.studio, call.actor, call.path["job"], call.path["action"]
    if action not in shapes.LABELS:
        raise Gone()
    index = number_of(call.path["n"]) - 1
    given, words = read_body(call, Press), None
    if given.words.strip():
        job = await studio.rights.job(actor, job_id, RIGHTS[action])
        typed = await studio.requests.edit(actor, given.words, job=job, video=action in OF_VIDEOS)
        words = await typed.words()
    chosen = await studio.own.preferences(actor)
    form = None
    if shapes.LABELS[action].form:
        form = {"source": given.source, "start": given.start, "end": given.end}
    others = [await studio.sources.meant(actor, name) for name in given.pictures]
    new = await studio.from_button(actor, job_id, action, index, words, strong=chosen.strong, form=form)
    if others:
        new = shown_beside(new, others)
    return await _queued(call, new.chosen(chosen.lane, private=chosen.private))


async def press_upload(call: Call) -> Answer:
    """Queue what is asked about a picture that the person has sent."""
    read_body(call, Once)
    studio, actor = call.studio, call.actor
    new = await studio.from_upload(actor, call.path["sha256"], call.path["asked"], Prompt())
    chosen = await studio.own.preferences(actor)
    return await _queued(call, new.chosen(chosen.lane, private=chosen.private))


async def cancel_job(call: Call) -> Answer:
    """Stop a job that waits or runs."""
    _unused, stopped = await call.studio.cancel(call.actor, call.path["job"])
    return Json({"stopped": stopped})


async def delete_job(call: Call) -> Answer:
    """Delete a job with its pictures, for good."""
    await call.studio.delete(call.actor, call.path["job"])
    return DONE


async def show_job(call: Call) -> Answer:
    """Return one job with its pictures."""
    return Json(await find_job(call, call.path["job"]))


async def send_events(call: Call) -> Answer:
    """Send what happens to a job until it is over, as server-sent events."""
    job_id = call.path["job"]
    call.stream()
    watch = await call.studio.watch(call.actor, job_id)

    async def events() -> AsyncGenerator[bytes, None]:
        async for event in watch:
            shape = shapes.describe_event(job_id, event)
            yield event_of(shape, shape["state"])

    return Stream(events(), "text/event-stream")


async def show_stream(call: Call) -> Answer:
    """Return the person's live jobs and their newest finished ones, the newest first, or what is older than
    one of them."""
    return Json(await list_stream(call))


async def list_stream(call: Call) -> dict[str, Any]:
    """Return the person's live jobs and the newest finished ones, the newest first: a job keeps its place
    whatever becomes of it. Of ``?show`` only, and ``?before`` a job what is older. Raises UserError."""
    show, before, reader = call.query.get("show", ""), call.query.get("before") or None, call.actor.user_id
    if show and show not in shapes.NARROWED:
        raise UserError(f"`show` is {show[:20]!r}; it takes {', '.join(shapes.NARROWED)}.")
    kinds = [cls.kind for cls in REQUESTS if shapes.group_of(cls) == show] if show else None
    live = await call.studio.own.jobs(call.actor)
    ids = {view.job.id for view in live.jobs}
    newest = await call.studio.gallery.newest(call.actor, NEWEST, before, kinds)
    over = [shapes.describe_job(seen, reader, **made_here(call)) for seen in newest if seen.job.id not in ids]
    waiting = [
        one for one in describe_waiting(call, live) if not before and (not show or one["group"] == show)
    ]
    jobs = await add_topics(call, sorted([*waiting, *over], key=_age, reverse=True))
    return {"jobs": jobs, "more": len(newest) == NEWEST}


async def add_topics(call: Call, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Note at each question of the person's own the picture that its conversation is about: ``key``, the same
    for all questions about it, and where it can be seen, None where that is no picture of a job."""
    asked = [job for job in jobs if job["talk"] and job["mine"]]
    firsts = await call.studio.talking.first_questions([job["id"] for job in asked])
    for job in asked:
        if first := firsts.get(job["id"]):
            about = {"job": first.parent_id, "n": (first.parent_index or 0) + 1} if first.parent_id else None
            job["topic"] = {"key": next(iter(first.request.pictures), first.id), "picture": about}
    return jobs


async def describe_looked(call: Call, seen: Sequence[Looked]) -> list[dict[str, Any]]:
    """Return jobs that the person looks at as they see them, the live ones with how far they are."""
    live, reader = await call.studio.own.jobs(call.actor), call.actor.user_id
    views = {view.job.id: view for view in live.jobs}
    return [
        shapes.describe_job(
            one,
            reader,
            views.get(one.job.id),
            held=live.paused,
            may=shapes.EVERY if one.job.origin.user_id == reader else (),
        )
        for one in seen
    ]


def describe_waiting(call: Call, live: Snapshot) -> list[dict[str, Any]]:
    """Return the jobs of a person's own queue as they see them, the newest first."""
    reader = call.actor.user_id
    found = [shapes.describe_job(Looked(view.job), reader, view, held=live.paused) for view in live.jobs]
    return sorted(found, key=_age, reverse=True)


def fold_rows(jobs: Sequence[dict[str, Any]]) -> list[tuple[dict[str, Any], int]]:
    """Return the rows that jobs, the newest first, make: of several that one prompt asked for the first, and
    how many others it has; of questions about one picture the last, and 0."""
    sets = Counter(job["set"] for job in jobs)
    firsts = {job["set"]: job["id"] for job in jobs}  # the last that is met is the first that was asked
    lasts = {job["topic"]["key"]: job["id"] for job in reversed(jobs) if job["topic"]}
    rows = []
    for job in jobs:
        several, topic = job["set"], job["topic"]
        if topic and lasts[topic["key"]] != job["id"] or several and firsts[several] != job["id"]:
            continue
        rows.append((job, sets[several] - 1 if several else 0))
    return rows


def _age(shape: dict[str, Any]) -> tuple[str, str]:
    return shape["created"], shape["id"]


async def find_job(call: Call, job_id: str) -> dict[str, Any]:
    """Return a job as the person sees it. Raises ImageError or NotAllowedError, and Refused for one that is
    in the trash."""
    seen = await call.studio.gallery.look(call.actor, job_id)
    if seen.is_away:
        raise Gone()
    may = await allowed_actions(call, seen.job)
    if seen.job.status.over:
        shape = shapes.describe_job(seen, call.actor.user_id, may=may, **made_here(call))
    else:
        live = await call.studio.own.jobs(call.actor)
        view = next((found for found in live.jobs if found.job.id == job_id), None)
        shape = shapes.describe_job(seen, call.actor.user_id, view, held=live.paused, may=may)
    return (await add_topics(call, [shape]))[0]


def made_here(call: Call) -> dict[str, Any]:
    """Return what not every host can make, as ``shapes.job`` takes it."""
    return {"videos": call.studio.video_requests.is_possible, "edits": call.studio.can_edit}


async def allowed_actions(call: Call, job: Job) -> frozenset[str]:
    """Return the actions of ``RIGHTS`` that the person may do to a job."""
    may = await call.studio.rights.allowed(call.actor, frozenset(RIGHTS.values()), job)
    return frozenset(name for name, action in RIGHTS.items() if action in may)


async def describe_queued(call: Call, queued: Sequence[Job]) -> list[dict[str, Any]]:
    """Return jobs that were queued just now."""
    live = await call.studio.own.jobs(call.actor)
    views = {view.job.id: view for view in live.jobs}
    reader = call.actor.user_id
    return [shapes.describe_job(Looked(job), reader, views.get(job.id), held=live.paused) for job in queued]


async def complete(call: Call) -> Answer:
    """Return whole prompts that begin with what is typed, and what in it means nothing or has no effect;
    before anything is typed also the models to choose among."""
    text, own = call.query.get("text", ""), call.studio.own
    found, marks = await own.suggestions(call.actor, text), await own.marks(call.actor, text)
    return Json(
        {
            "suggestions": [{"text": one, "label": one} for one in found],
            "marks": [shapes.describe_mark(mark, text) for mark in marks],
            "draws": list(call.studio.hints.objects),
            "models": [] if text else [asdict(model) for model in await own.image_models(call.actor)],
        }
    )


async def keep_clip(call: Call) -> Answer:
    """Keep a video that the person sends, as a source."""
    name, clip, poster = await call.studio.video_requests.keep(call.actor, sent_picture(call))
    shape = {"clip": name, "seconds": round(clip.seconds, 2), "thumb": f"/files/uploads/{poster}.webp"}
    return Json(shape, HTTPStatus.CREATED)


async def upload(call: Call) -> Answer:
    """Keep a picture that the person sends."""
    source = await call.studio.sources.given(call.actor, sent_picture(call))
    shape = {"sha256": source.sha256, "width": source.width, "height": source.height}
    return Json(shape | {"thumb": f"/files/uploads/{source.sha256}.webp"}, HTTPStatus.CREATED)


async def list_queues(call: Call) -> Answer:
    """Return what runs and waits in the servers that the person manages, none for others."""
    return Json({"queues": await describe_queues(call)})


async def describe_queues(call: Call) -> list[dict[str, Any]]:
    """Return each queue as pages read it."""
    return [_queue(queue) for queue in await call.studio.server.queues(call.actor)]


def _queue(queue: ServerQueue) -> dict[str, Any]:
    snapshot = queue.snapshot
    return {
        "name": queue.server or _("The whole studio"),
        "paused": snapshot.paused,
        "draining": snapshot.draining,
        "running": len(snapshot.running),
        "waiting": snapshot.total_waiting,
        "more": snapshot.total_waiting - len(snapshot.waiting),
        "jobs": [_row(view, queue.names) for view in snapshot.jobs],
        "devices": [
            {"name": device.name, "state": device.state, "problem": device.problem}
            for device in snapshot.devices
        ],
    }


def _row(view: JobView, names: Mapping[int, str]) -> dict[str, Any]:
    """Return a live job for somebody who manages its queue: of a private one no words."""
    job, progress, user_id = view.job, view.progress, view.job.origin.user_id
    return {
        "id": job.id,
        "kind": job.request.kind,
        "name": job_name(job.request),
        "prompt": "" if job.origin.private else remix_text(job),
        "private": job.origin.private,
        "who": _("The studio itself")
        if user_id == NOBODY
        else names.get(user_id, _("Member {user_id}", user_id=user_id)),
        "since": view.since.isoformat(),
        "position": view.position,
        "eta": view.eta,
        "percent": None if progress is None else round(100 * progress.step / max(1, progress.total)),
        "device": view.device,
    }
