"""Questions about pictures, as chats and as responses, and texts judged by the studio's rules, in the form of
OpenAI's API. A response continues from the one before it by its id.

https://platform.openai.com/docs/api-reference/chat, /responses, /moderations
"""

import asyncio
import base64
import binascii
import itertools
import re
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from core.errors import UserError
from core.events import ChatAnswer, Progress
from core.job import Job
from studio.inputs import Given
from studio.media.uploads import Sent
from studio.moderation.rules import Rule
from web import schemas
from web.call import HELD, Answer, Call, Json, Refused, Stream, error_of, event_of
from web.handlers.openai_images import ANSWERS, THEIRS, check_end, no_model, submit_all
from web.schemas import ChatMessage, ChatPart, ResponseItem, read_body

OURS = re.compile(r"/(?:files|pictures)/([a-z2-9]{12})/([1-9][0-9]?)(?:/(?:256|512)\.webp)?")
NAMED = re.compile(r"([a-z2-9]{12})/([1-9][0-9]?)")
CATEGORIES = {  # of OpenAI's that our rules know
    Rule.MINORS: ("sexual", "sexual/minors"),
    Rule.CHILDREN: ("sexual/minors",),
    Rule.EXPLICIT: ("sexual",),
    Rule.SUGGESTIVE: ("sexual",),
    Rule.GORE: ("violence", "violence/graphic"),
}
OTHERS = (
    *("harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent"),
    *("self-harm", "self-harm/instructions", "self-harm/intent"),
)
ALL = (*OTHERS, "sexual", "sexual/minors", "violence", "violence/graphic")


@dataclass(frozen=True)
class InBase64:
    """A picture that a body holds in base64."""

    held: Sent

    @property
    def name(self) -> str:
        """What messages call the file."""
        return "picture"

    @property
    def size(self) -> int:
        """Bytes."""
        return self.held.size * 3 // 4

    async def read(self) -> bytes:
        """Return the bytes. Raises UserError for what is no base64."""
        data = (await self.held.read()).replace(b"\\", b"")
        try:
            return await asyncio.to_thread(base64.b64decode, data, validate=True)
        except binascii.Error as error:
            raise UserError("`image_url` holds no base64.") from error


async def complete_chat(call: Call) -> Answer:
    """Answer a question about pictures, at once or as it is written."""
    given = read_body(call, schemas.ChatWish)
    if given.model and given.model != ANSWERS and not THEIRS.fullmatch(given.model):
        raise no_model(given.model)
    if given.stream:
        call.stream()
    question, pictures = await _asked(call, given.messages)
    chosen = await call.studio.own.preferences(call.actor)
    new = await call.studio.requests.ask(call.actor, question, pictures, chosen)
    [job] = await submit_all(call, [new])
    if given.stream:
        usage = bool(given.stream_options.get("include_usage"))
        return Stream(_events(call, job, with_usage=usage), "text/event-stream")
    async for event in await call.studio.watch(call.actor, job.id):
        check_end(event)
    answer = await call.studio.talking.answer(call.actor, job.id)
    message = {"role": "assistant", "content": answer.text, "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": _ended(answer), "logprobs": None}
    return Json(_shape(job, "chat.completion", choices=[choice], usage=_usage(answer)))


async def _asked(call: Call, messages: Sequence[ChatMessage]) -> tuple[str, list[Given]]:
    """Return the words of the newest message of a person, and the pictures of all of them. Raises Refused."""
    question, pictures = "", list[Given]()
    for message in messages:
        if message.role != "user":
            continue
        parts = message.content
        if not isinstance(parts, list):
            question = parts or ""
            continue
        question = "\n".join(part.text for part in parts if part.type == "text")
        for part in parts:
            if part.type == "image_url":
                pictures.append(await picture_of(call, str(part.image_url.get("url", ""))))
            elif part.type != "text":
                raise UserError("`messages` takes parts of the types text and image_url.")
    return question, pictures


async def picture_of(call: Call, url: str) -> str:
    """Return what a picture is known by, which an address holds, or which is ours: by its address, or by its
    name such as "abcd2345efgh/2". Raises UserError, ImageError."""
    if url.startswith(HELD):
        held = [one for one in call.files if url == HELD + one.name]
        if held:
            return (await call.studio.sources.given(call.actor, InBase64(held[0]))).sha256
    if named := NAMED.fullmatch(url):
        return f"{named[1]} {named[2]}"
    address = urlsplit(url)
    ours = not address.netloc or f"{address.scheme}://{address.netloc}" == call.studio.shares.origin
    if ours and (named := OURS.fullmatch(address.path)):
        return f"{named[1]} {named[2]}"
    raise UserError("`image_url` takes a picture as data:image/…;base64, or a link to one of this studio's.")


async def _events(call: Call, job: Job, *, with_usage: bool) -> AsyncGenerator[bytes, None]:
    """Yield an answer while it is written. What was said may still be taken back by a rule: then the answer
    ends with that error."""
    kind = "chat.completion.chunk"

    def chunk(delta: dict[str, str], ended: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": ended, "logprobs": None}
        return event_of(_shape(job, kind, choices=[choice]))

    yield chunk({"role": "assistant", "content": ""})
    try:
        async for words in _spoken(call, job):
            yield chunk({"content": words})
        answer = await call.studio.talking.answer(call.actor, job.id)
        yield chunk({}, _ended(answer))
        if with_usage:
            yield event_of(_shape(job, kind, choices=[], usage=_usage(answer)))
    except (Refused, UserError) as error:
        refused = error if isinstance(error, Refused) else Refused(HTTPStatus.BAD_REQUEST, str(error))
        yield event_of(error_of(refused))
    yield event_of("[DONE]")


async def _spoken(call: Call, job: Job) -> AsyncGenerator[str, None]:
    """Yield an answer in pieces, as it is written. Raises Refused for a job that comes to none."""
    said = ""
    async for event in await call.studio.watch(call.actor, job.id):
        check_end(event)
        if isinstance(event, Progress) and event.text.startswith(said) and event.text != said:
            yield event.text[len(said) :]
            said = event.text
    answer = await call.studio.talking.answer(call.actor, job.id)
    if answer.text.startswith(said) and answer.text != said:
        yield answer.text[len(said) :]


def _shape(job: Job, kind: str, **more: Any) -> dict[str, Any]:
    made = {"id": f"chatcmpl-{job.id}", "object": kind, "created": int(time.time()), "model": ANSWERS}
    return made | more


def _ended(answer: ChatAnswer) -> str:
    return "length" if answer.ended == "length" else "stop"


def _usage(answer: ChatAnswer) -> dict[str, Any]:
    both = answer.tokens_in + answer.tokens_out
    used = {"prompt_tokens": answer.tokens_in, "completion_tokens": answer.tokens_out, "total_tokens": both}
    return used | {"prompt_tokens_details": {"cached_tokens": answer.tokens_cached}}


PARTS = {"input_text": "text", "output_text": "text", "input_image": "image_url"}  # as chats call them


async def create_response(call: Call) -> Answer:
    """Answer a question about pictures in the form of responses, at once or as it is written."""
    given = read_body(call, schemas.ResponseWish)
    if given.model and given.model != ANSWERS and not THEIRS.fullmatch(given.model):
        raise no_model(given.model)
    if given.stream:
        call.stream()
    said = [ResponseItem(role="user", content=given.input)] if isinstance(given.input, str) else given.input
    messages = [ChatMessage(item.role, _content(item)) for item in said]
    question, pictures = await _asked(call, messages)
    follows = given.previous_response_id.removeprefix("resp_") or None
    chosen = await call.studio.own.preferences(call.actor)
    new = await call.studio.requests.ask(call.actor, question, pictures, chosen, follows=follows)
    [job] = await submit_all(call, [new])
    if given.stream:
        return Stream(_response_events(call, job, follows), "text/event-stream")
    async for event in await call.studio.watch(call.actor, job.id):
        check_end(event)
    return Json(_response_shape(job, follows, await call.studio.talking.answer(call.actor, job.id)))


def _content(item: ResponseItem) -> str | list[ChatPart] | None:
    if not isinstance(item.content, list):
        return item.content
    return [
        ChatPart(PARTS.get(part.type, part.type), part.text or "", {"url": part.image_url or ""})
        for part in item.content
    ]


async def _response_events(call: Call, job: Job, follows: str | None) -> AsyncGenerator[bytes, None]:
    """Yield an answer while it is written. What was said may still be taken back by a rule: then the answer
    ends with that error."""
    numbers = itertools.count()

    def event(kind: str, **more: Any) -> bytes:
        return event_of({"type": kind, "sequence_number": next(numbers), **more}, kind)

    place = {"item_id": f"msg_{job.id}", "output_index": 0, "content_index": 0}
    begun, text = _response_shape(job, follows, None), ""
    yield event("response.created", response=begun)
    yield event("response.in_progress", response=begun)
    yield event("response.output_item.added", output_index=0, item=_message(job, "in_progress", []))
    yield event("response.content_part.added", part=_part(""), **place)
    try:
        async for words in _spoken(call, job):
            text += words
            yield event("response.output_text.delta", delta=words, logprobs=[], **place)
        whole = _response_shape(job, follows, await call.studio.talking.answer(call.actor, job.id))
        [message] = whole["output"]
        yield event("response.output_text.done", text=text, logprobs=[], **place)
        yield event("response.content_part.done", part=message["content"][0], **place)
        yield event("response.output_item.done", output_index=0, item=message)
        yield event(f"response.{whole['status']}", response=whole)
    except (Refused, UserError) as error:
        refused = error if isinstance(error, Refused) else Refused(HTTPStatus.BAD_REQUEST, str(error))
        wrong = error_of(refused)["error"]
        told = {"code": "server_error", "message": wrong["message"]}
        yield event("response.failed", response={**begun, "status": "failed", "error": told})


def _response_shape(job: Job, follows: str | None, answer: ChatAnswer | None) -> dict[str, Any]:
    """Return a response. answer: None while it is written."""
    status = "in_progress"
    if answer is not None:
        status = "incomplete" if answer.ended == "length" else "completed"
    cut = {"reason": "max_output_tokens"} if status == "incomplete" else None
    return {
        "id": f"resp_{job.id}",
        "object": "response",
        "created_at": int(time.time()),
        "status": status,
        "error": None,
        "incomplete_details": cut,
        "instructions": None,
        "metadata": {},
        "model": ANSWERS,
        "output": [] if answer is None else [_message(job, status, [_part(answer.text)])],
        "parallel_tool_calls": False,
        "previous_response_id": f"resp_{follows}" if follows else None,
        "temperature": None,
        "tool_choice": "none",
        "tools": [],
        "top_p": None,
        "usage": None if answer is None else _response_usage(answer),
    }


def _message(job: Job, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    told = {"id": f"msg_{job.id}", "type": "message", "role": "assistant"}
    return {**told, "status": status, "content": content}


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _response_usage(answer: ChatAnswer) -> dict[str, Any]:
    return {
        "input_tokens": answer.tokens_in,
        "input_tokens_details": {"cached_tokens": answer.tokens_cached, "cache_write_tokens": 0},
        "output_tokens": answer.tokens_out,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": answer.tokens_in + answer.tokens_out,
    }


async def moderate(call: Call) -> Answer:
    """Judge texts by the rules that hold for the person on the web; nothing is kept of them."""
    given = read_body(call, schemas.Judged)
    texts = [given.input] if isinstance(given.input, str) else given.input
    if not 0 < len(texts) <= MOST_TEXTS:
        raise UserError(f"`input` takes 1 to {MOST_TEXTS} texts.")
    broken = await call.studio.programs.judge(call.actor, texts)
    named = f"modr-{int(time.time())}"
    return Json({"id": named, "model": "atelier-rules", "results": [_judged(rule) for rule in broken]})


MOST_TEXTS = 32


def _judged(rule: Rule | None) -> dict[str, Any]:
    broken = CATEGORIES.get(rule, ()) if rule is not None else ()
    return {
        "flagged": rule is not None,
        "categories": {name: name in broken for name in ALL},
        "category_scores": {name: float(name in broken) for name in ALL},
        "category_applied_input_types": {name: ["text"] for name in ALL},
    }
