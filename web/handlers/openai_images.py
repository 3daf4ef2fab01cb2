"""Pictures in the form of OpenAI's API, for programs that speak it: drawn, changed by words, and streamed
with the previews of their job. What can't be honoured is refused by its name.

https://platform.openai.com/docs/api-reference/images
"""

import asyncio
import base64
import math
import re
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from core.errors import PromptError, UserError
from core.events import Cancelled, Event, Failed, Paused, Progress
from core.job import Job
from core.limits import MAX_ASPECT
from core.prompt.parser import Prompt
from core.requests.images import MAX_MORE_IMAGES, GenerateRequest
from storage.collections import Shared
from studio.authority import Action
from studio.moderation.rules import Blocked
from studio.new_job import NewJob
from studio.requests import actions
from web import schemas
from web.call import Answer, Call, Json, Refused, Stream, error_of, event_of
from web.schemas import key_of, read_body

USUAL = "atelier"  # the name of whichever model a person's prompts are drawn by
ANSWERS = "atelier-ask"  # of the one that answers questions
THEIRS = re.compile(
    r"(?:chatgpt-|gpt-|dall-e-|sora-|o\d)[\w.:-]*"
)  # OpenAI's own names, for which ours stand in
A_JOB = 4  # pictures
LIMIT = 2**31  # bytes of a picture
QUALITIES: dict[str, dict[str, Any]] = {
    "low": {"draft": True},
    "high": {"quality": 2.0},
    "hd": {"quality": 2.0},
}
QUALITIES |= {"xhigh": {"quality": 4.0}, "max": {"quality": 4.0}}
HELD_BACK = "A rule of this studio holds this picture back."
NO_USAGE = {  # nothing is counted in tokens here
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "total_tokens": 0,
}
_SIZE = re.compile(r"([1-9]\d{1,4})x([1-9]\d{1,4})")


@dataclass(frozen=True)
class Wish:
    """What a call wants of its pictures, whichever way they are made. edits: they are changed ones."""

    n: int
    size: str
    quality: str
    transparent: bool
    as_links: bool
    partial: int
    edits: bool = False


async def list_models(call: Call) -> Answer:
    """Return the models that a program can name."""
    named = [one.name for one in await call.studio.own.image_models(call.actor)]
    named = [USUAL, *named, *([ANSWERS] if call.studio.talking.is_possible else [])]
    return Json({"object": "list", "data": [_model(name) for name in dict.fromkeys(named)]})


async def show_model(call: Call) -> Answer:
    """Return a model by its name."""
    name = call.path["model"]
    known = {one.name for one in await call.studio.own.image_models(call.actor)} | {USUAL, ANSWERS}
    if name not in known:
        raise no_model(name)
    return Json(_model(name))


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "atelier"}


def no_model(name: str) -> Refused:
    """Return the refusal of a model that there isn't, or that does something else."""
    more = {"code": "model_not_found", "param": "model"}
    what = f"No model {name[:60]!r} does that: /v1/models lists what draws here, and {ANSWERS!r} answers."
    return Refused(HTTPStatus.NOT_FOUND, what, more=more)


async def generate_images(call: Call) -> Answer:
    """Draw pictures and return them, or stream them with previews."""
    given = read_body(call, schemas.ImageWish)
    wish = _wish(given)
    chosen = await call.studio.own.preferences(call.actor)
    typed = await call.studio.requests.imagine(call.actor, given.prompt, chosen)
    if typed.count > 1:
        raise UserError("`prompt` makes several jobs; leave out sets in braces and `--repeat`.")
    prompt = _as_wished(call, typed.prompts[0], given, wish)
    [new] = await replace(typed, prompts=[prompt]).jobs()
    return await _answered(call, wish, _in_jobs(new, wish.n))


async def edit_images(call: Call) -> Answer:
    """Change pictures by words, or what a mask marks, and return them, or stream them with previews."""
    given = read_body(call, schemas.ImageWish, strict=False)
    wish = replace(_wish(given), edits=True)
    masks = [file for file, name in zip(call.files, call.file_fields, strict=True) if name == "mask"]
    images = [f for f, name in zip(call.files, call.file_fields, strict=True) if name in ("image", "image[]")]
    if not 1 <= len(images) <= 1 + MAX_MORE_IMAGES:
        raise UserError(f"`image` takes 1 to {1 + MAX_MORE_IMAGES} pictures.")
    if masks and (len(masks) > 1 or len(images) > 1):
        raise UserError("`mask` is one, for one picture.")
    if given.model and given.model != USUAL and not THEIRS.fullmatch(given.model):
        raise no_model(given.model)
    studio, actor = call.studio, call.actor
    chosen = await studio.own.preferences(actor)
    words = await (await studio.requests.edit(actor, given.prompt, chosen)).words()
    first, *others = [await studio.sources.given(actor, file) for file in images]
    if masks:
        mask = await studio.regions.marked(actor, first, masks[0])
        new = actions.redraw_region(first, words, mask=mask)
    else:
        new = actions.edit_picture(first, words, others)
    return await _answered(call, wish, _in_jobs(new.chosen(chosen.lane, private=chosen.private), wish.n))


def _wish(given: schemas.ImageWish) -> Wish:
    """Return what a call wants."""
    partial = given.partial_images if given.stream else -1
    format = given.response_format or ("url" if given.model.startswith("dall-e-") else "b64_json")
    transparent = given.background == "transparent"
    return Wish(given.n, given.size, given.quality, transparent, format == "url", partial)


def _as_wished(call: Call, prompt: Prompt, given: schemas.ImageWish, wish: Wish) -> Prompt:
    """Return a prompt with what the call's fields say, where its own words don't. Raises Refused."""
    said: dict[str, Any] = dict[str, Any](QUALITIES.get(wish.quality, {}))
    if (size := _SIZE.fullmatch(wish.size)) and not prompt.size:
        width, height = int(size[1]), int(size[2])
        if max(width / height, height / width) > MAX_ASPECT:
            raise UserError(f"`size` takes shapes up to {MAX_ASPECT}:1.")
        shared = math.gcd(width, height)
        said["aspect_ratio"] = (width // shared, height // shared)
    changed = {name: value for name, value in said.items() if not getattr(prompt, name)}
    if given.model and given.model != USUAL and not THEIRS.fullmatch(given.model) and not prompt.model:
        try:
            return call.studio.requests.with_model(replace(prompt, model=given.model, **changed))
        except PromptError as error:
            raise no_model(given.model) from error
    return replace(prompt, **changed)


def _in_jobs(new: NewJob, count: int) -> list[NewJob]:
    """Return the jobs that make ``count`` pictures, each with a seed of its own."""
    request = new.request
    assert isinstance(request, GenerateRequest)
    return [
        replace(new, request=replace(request, num_images=min(A_JOB, count - at), seed=request.seed + at))
        for at in range(0, count, A_JOB)
    ]


async def submit_all(call: Call, new: Sequence[NewJob], of: str = "") -> list[Job]:
    """Queue jobs, with the call's key once each; where a rule or limit stops one, none goes on. of: which of
    the call's pictures they work on, "" = they are its first. Raises as ``Studio.submit``."""
    once, jobs = key_of(call), list[Job]()
    try:
        for number, one in enumerate(new):
            key = once and f"{once}:{of}{number}"
            jobs.append((await call.studio.submit(call.actor, one, once=key)).job)
    except Blocked as error:
        raise blocked(error) from error
    except UserError:
        for job in jobs:
            await call.studio.cancel(call.actor, job.id)
        raise
    return jobs


def blocked(error: Blocked) -> Refused:
    """Return the refusal of what a rule stopped."""
    return Refused(HTTPStatus.BAD_REQUEST, str(error), more={"code": "moderation_blocked"})


def check_end(event: Event) -> None:
    """Raise Refused for the end of a job that has made nothing."""
    match event:
        case Failed(message):
            raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, message)
        case Cancelled():
            raise Refused(HTTPStatus.CONFLICT, "The job was stopped.")
        case Paused():
            detail = "The studio restarts; the job continues by itself afterwards."
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, detail, 10.0)


async def _answered(call: Call, wish: Wish, new: Sequence[NewJob]) -> Answer:
    """Queue jobs and return what they make, all at once or as it comes."""
    if wish.partial >= 0:
        call.stream()
    jobs = await submit_all(call, new)
    if wish.partial >= 0:
        return Stream(_events(call, wish, jobs), "text/event-stream")
    shapes = [shape for job in jobs async for shape in _pictures(call, wish, job)]
    return Json({"created": int(time.time()), "data": shapes, **_about(wish), "usage": NO_USAGE})


async def _events(call: Call, wish: Wish, jobs: Sequence[Job]) -> AsyncGenerator[bytes, None]:
    """Yield previews of jobs while they are drawn, then their pictures; what goes wrong as an event too."""
    kind = "image_edit" if wish.edits else "image_generation"
    yield b": the job is queued\n\n"
    try:
        for job in jobs:
            sent = 0
            async for event in await call.studio.watch(call.actor, job.id):
                check_end(event)
                if not isinstance(event, Progress) or event.preview is None or sent >= wish.partial:
                    continue
                if sent and event.step * wish.partial < event.total * sent:
                    continue
                if (preview := await call.studio.gallery.preview(call.actor, job.id)) is not None:
                    shape = {"type": f"{kind}.partial_image", "partial_image_index": sent, **_about(wish)}
                    shape |= {"b64_json": _base64(preview), "output_format": "jpeg"}
                    yield event_of({**shape, "created_at": int(time.time())}, f"{kind}.partial_image")
                    sent += 1
            async for picture in _pictures(call, replace(wish, as_links=False), job):
                shape = {"type": f"{kind}.completed", "created_at": int(time.time()), **_about(wish)}
                yield event_of({**shape, **picture, "usage": NO_USAGE}, f"{kind}.completed")
    except (Refused, UserError) as error:
        refused = error if isinstance(error, Refused) else Refused(HTTPStatus.BAD_REQUEST, str(error))
        yield event_of({"type": "error", **error_of(refused)}, "error")


async def _pictures(call: Call, wish: Wish, job: Job) -> AsyncGenerator[dict[str, Any], None]:
    """Yield the pictures of a job when it is over, cut out if that is wished."""
    studio, actor = call.studio, call.actor
    async for event in await studio.watch(actor, job.id):
        check_end(event)
    made = await studio.rights.result(actor, job.id, Action.SHOW)
    for picture in made.pictures:
        shown, index = job, picture.index
        if wish.transparent:
            cut = await studio.from_button(actor, job.id, "cutout", picture.index)
            own = [cut.chosen(None, private=job.origin.private)]
            [shown] = await submit_all(call, own, of=f"{job.id}/{picture.index}:")
            index = 0
            async for event in await studio.watch(actor, shown.id):
                check_end(event)
        yield await _shape(call, wish, shown, index)


async def _shape(call: Call, wish: Wish, job: Job, index: int) -> dict[str, Any]:
    """Return a picture in base64, or a link that shows it to whoever has it for a day. Raises Refused for
    one that a rule holds back."""
    shown = await call.studio.picture(call.actor, job.id, index, LIMIT)
    if shown.data is None:
        raise Refused(HTTPStatus.BAD_REQUEST, HELD_BACK, more={"code": "moderation_blocked"})
    if not wish.as_links:
        return {"b64_json": await asyncio.to_thread(_base64, shown.data)}
    _share, link = await call.studio.shares.create(call.actor, Shared(job.id, index), days=1)
    token = link.rpartition("/")[2]
    return {"url": f"{call.studio.shares.origin}/files/s/{token}/{job.id}/{index + 1}"}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _about(wish: Wish) -> dict[str, str]:
    """Return what of a wish the answer repeats, in the words that the form knows."""
    known = {"standard": "medium", "hd": "high"}
    background = "transparent" if wish.transparent else "opaque"
    quality = known.get(wish.quality, wish.quality)
    about = {"background": background, "output_format": "png", "size": wish.size}
    return about | {"quality": "medium" if quality == "auto" else quality}
