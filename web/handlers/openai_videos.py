"""Videos in the form of OpenAI's API: asked for, looked at until they are there, downloaded, drawn anew by
other words, listed and deleted. A video is the first one of its job.

https://platform.openai.com/docs/api-reference/videos
"""

import math
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from typing import Any

from core.job import Job
from core.limits import MAX_ASPECT, MAX_SECONDS
from studio.authority import Action
from studio.requests.actions import RIGHTS
from studio.requests.video import Asked, Material
from web import schemas
from web.call import Answer, Call, Gone, Json, Refused
from web.handlers import gallery
from web.handlers.jobs import find_job, list_stream
from web.handlers.openai_chat import picture_of
from web.handlers.openai_images import THEIRS, USUAL, no_model, submit_all
from web.schemas import read_body
from web.views import group_of

VIDEO = "video_{job:[a-z2-9]{12}}"  # in an address
REFERENCE, LINKED = "input_reference", "input_reference[image_url]"
DELETED, VIDEOS = "video.deleted", "videos"
WRONG = HTTPStatus.BAD_REQUEST


async def create_video(call: Call) -> Answer:
    """Ask for a video from words, and perhaps from a first picture: a file, or the address of one of ours.

    A size chooses the shape, and the model how many pixels. Flags of the prompt count less than fields.
    """
    given = read_body(call, schemas.VideoWish, strict=False)
    if given.model and given.model != USUAL and not THEIRS.fullmatch(given.model):
        raise no_model(given.model)
    named: dict[str, Any] = {"clips": 1}
    if given.seconds:
        if not 0 < (seconds := float(given.seconds)) <= MAX_SECONDS:
            raise Refused(WRONG, f"`seconds` takes up to {MAX_SECONDS}.")
        named["seconds"] = seconds
    if given.size:
        width, height = map(int, given.size.split("x"))
        if max(width / height, height / width) > MAX_ASPECT:
            raise Refused(WRONG, f"`size` takes shapes up to {MAX_ASPECT}:1.")
        shared = math.gcd(width, height)
        named["aspect_ratio"] = (width // shared, height // shared)
    files = [one for one, field in zip(call.files, call.file_fields, strict=True) if field == REFERENCE]
    linked = call.body.get(LINKED)
    pictures = [*files, *([await picture_of(call, linked)] if linked else [])]
    if len(pictures) > 1:
        raise Refused(WRONG, f"`{REFERENCE}` is one picture.")
    chosen = await call.studio.own.preferences(call.actor)
    asked, material = Asked(given.prompt, "new", named), Material.of(pictures, [])
    new = await (await call.studio.requests.video(call.actor, asked, material, chosen)).job()
    return await _queued(call, (await submit_all(call, [new]))[0])


async def remix_video(call: Call) -> Answer:
    """Ask for a video once more, by other words."""
    job_id, words = call.path["job"], read_body(call, schemas.VideoRemix).prompt
    job = await call.studio.rights.job(call.actor, job_id, RIGHTS["vremix"])
    typed = await call.studio.requests.edit(call.actor, words, job=job, video=True)
    chosen = await call.studio.own.preferences(call.actor)
    new = await call.studio.from_button(call.actor, job_id, "vremix", 0, await typed.words())
    new = new.chosen(chosen.lane, private=chosen.private)
    return await _queued(call, (await submit_all(call, [new]))[0])


async def _queued(call: Call, job: Job) -> Json:
    return Json(describe_video(await find_job(call, job.id)))


async def show_video(call: Call) -> Answer:
    """Return how far a video is."""
    return Json(describe_video(await _video(call)))


async def list_videos(call: Call) -> Answer:
    """Return the newest videos, or what is older than one of them.

    They are those that wait or run, and then those that are over.
    """
    limit = gallery.number_in(call.query, "limit", 20, 1, 100)
    if call.query.get("order", "desc") != "desc":
        raise Refused(WRONG, "`order` takes desc.")
    query = {"show": "videos", "before": call.query.get("after", "").removeprefix("video_")}
    found = await list_stream(replace(call, query=query))
    videos = [describe_video(shape) for shape in found["jobs"]][:limit]
    ends = {"first_id": videos[0]["id"], "last_id": videos[-1]["id"]} if videos else {}
    more = found["more"] or len(videos) < len(found["jobs"])
    return Json(
        {"object": "list", "data": videos, "has_more": more, "first_id": None, "last_id": None} | ends
    )


async def send_content(call: Call) -> Answer:
    """Return the file of a video, or a small picture of it."""
    shape, variant = await _video(call), call.query.get("variant", "video")
    if variant not in ("video", "thumbnail"):
        raise Refused(WRONG, "`variant` takes video, thumbnail.")
    if not shape["over"]:
        raise Refused(HTTPStatus.CONFLICT, "The video isn't made yet.", 5.0)
    path = {"job": shape["id"], "n": "1", "side": "512"}
    return await (gallery.send_video if variant == "video" else gallery.send_small)(replace(call, path=path))


async def delete_video(call: Call) -> Answer:
    """Delete a video's job, for good. Who is banned may delete their own."""
    job = await call.studio.rights.job(call.actor, call.path["job"], Action.DELETE)
    if group_of(type(job.request)) != VIDEOS:
        raise Gone()
    await call.studio.delete(call.actor, call.path["job"])
    return Json({"id": f"video_{call.path['job']}", "deleted": True, "object": DELETED})


async def _video(call: Call) -> dict[str, Any]:
    shape = await find_job(call, call.path["job"])
    if shape["group"] != VIDEOS:
        raise Gone()
    return shape


def describe_video(shape: dict[str, Any]) -> dict[str, Any]:
    """Return a job of a video as it is described here. shape: as it is in ``/api``."""
    made, status = next(iter(shape["pictures"]), None), "in_progress"
    if shape["over"]:
        status = "completed" if made else "failed"
    elif shape["status"] == "queued":
        status = "queued"
    progress = round(100 * (shape["step"] or 0) / max(1, shape["total"] or 1))
    error = {"code": shape["status"], "message": shape["error"] or shape["status"]}
    return {
        "id": f"video_{shape['id']}",
        "object": "video",
        "model": USUAL,
        "status": status,
        "progress": 100 if made else progress,
        "created_at": _seconds(shape["created"]),
        "completed_at": _seconds(shape["finished"]) if shape["finished"] else None,
        "expires_at": None,
        "prompt": shape["prompt"],
        "seconds": str(made["video"]["seconds"]) if made and made["video"] else "",
        "size": f"{made['width']}x{made['height']}" if made else f"{shape['width']}x{shape['height']}",
        "remixed_from_video_id": f"video_{shape['parent']['job']}" if shape["parent"] else None,
        "error": error if status == "failed" else None,
    }


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())
