"""Tries a chat server for the host's doctor: is it there, does it answer, does it see pictures."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from core.requests import AskRequest
from jobs.remote.messages import Prompt, body_of, without_usage
from jobs.remote.remote import sentence
from jobs.remote.server import ChatServer, Refused, Unreachable
from jobs.remote.stream import Garbled, ServerError, Stream
from vision.protocol import Talk

SIDE = 64  # px; some models take no smaller pictures
QUESTION = "Which colour is this picture, red or blue? Answer with one word."
ENOUGH = 40  # characters; a model that thinks first has a thousand tokens for that
COLOURS = ("red", "blue")


@dataclass(frozen=True)
class Trial:
    """What came of it. problem: why nothing did, as a sentence."""

    model: str = ""
    sees: bool = False
    problem: str = ""


async def tried(server: ChatServer) -> Trial:
    """Ask about a red picture and about a blue one: a model that tells them apart sees them."""
    model = ""
    try:
        model = await server.model()
        words = [await _answer(server, model, None)]
    except (Unreachable, Refused, Garbled, ServerError) as error:
        return Trial(model, problem=sentence(error))
    try:
        words = [await _answer(server, model, colour) for colour in COLOURS]
    except (Unreachable, Refused, Garbled, ServerError):
        return Trial(model)  # it answers without pictures
    told = [[colour in text.lower() for colour in COLOURS] for text in words]
    return Trial(model, sees=told == [[True, False], [False, True]])


async def _answer(server: ChatServer, model: str, colour: str | None) -> str:
    content: list[dict[str, object]] = [{"type": "text", "text": QUESTION}]
    if colour is not None:
        content.insert(0, {"type": "image_url", "image_url": {"url": _plain(colour)}})
    prompt = Prompt([{"role": "user", "content": content if colour else QUESTION}])
    request = AskRequest(question=QUESTION, follows=True)
    body = without_usage(body_of(prompt, Talk((), max_tokens=1024), request, model))
    stream = Stream()
    async with server.ask(body) as answering:
        whole = bytearray()
        async for data in answering.pieces():
            if answering.streams:
                stream.feed(data)
            else:
                whole += data
            if stream.over or len(stream.text) > ENOUGH:
                break
        if not answering.streams:
            stream.whole(bytes(whole))
    if not stream.text and not stream.done:
        raise Garbled("nothing came")
    return stream.text


def _plain(colour: str) -> str:
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), colour).save(out, "JPEG", quality=95)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"
