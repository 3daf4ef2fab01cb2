"""A conversation as OpenAI's chat interface takes it: messages, with pictures as data and never as addresses.

https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.requests import AskRequest
from core.requests.ask import FILM, SHORT, SYSTEM, about_tokens
from core.requests.frame_words import parts_of_turn
from vision.protocol import Talk, Turn, kept_pictures

PICTURES_KEPT = 8  # the newest of a conversation; several make models invent
EARLIER = "[an earlier picture, no longer shown]"
QUALITY = 90  # of JPEG, which every server reads
# What chat templates call the parts of a conversation: nobody's words may look like these
_CONTROL = re.compile(r"<(?=[|/]?[A-Za-z_][\w-]*[|]?>|｜)|\[(?=/?(?:INST|SYS|IMG|TOOL_CALLS)\])")


@dataclass(frozen=True)
class Prompt:
    """What a server is sent. pictures: width and height as the server gets them. dropped: turns left out."""

    messages: list[dict[str, Any]]
    pictures: tuple[tuple[int, int], ...] = ()
    dropped: int = 0


def prompt_of(talk: Talk, paths: Mapping[str, str]) -> Prompt:
    """Return a conversation as messages, fitted into its context; reads and encodes pictures, so it blocks.

    Of turns that don't fit, those after the first go first. Raises OSError for a picture that can't be read.
    """
    turns, dropped = _fitting(list(talk.turns), talk.context - talk.max_tokens)
    shown = _newest_pictures(turns)
    messages: list[dict[str, Any]] = [{"role": "system", "content": _system(talk)}]
    sizes = list[tuple[int, int]]()
    film = False
    for turn in turns:
        pictures = [one for one in turn.timed if (turn.job_id, one[0]) in shown]
        hidden = len(turn.pictures) - len(pictures)
        parts: list[dict[str, Any]] = [{"type": "text", "text": EARLIER}] * hidden
        left = iter(pictures)
        for part in parts_of_turn([seconds for _, seconds in pictures], "plain", turn.film_seconds):
            if part["type"] == "image":
                data, size = _encoded(paths[next(left)[0]], talk.max_pixels)
                address = f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"
                parts.append({"type": "image_url", "image_url": {"url": address}})
                sizes.append(size)
            else:
                parts.append({"type": "text", "text": part["text"].strip()})
        film = film or turn.has_film
        text = neutral(turn.text)
        if film and turn.role == "user":
            text = f"{text}\n{FILM}"
        parts = [part for part in parts if part.get("text") != ""]
        content = [*parts, {"type": "text", "text": text}] if parts else text
        messages.append({"role": turn.role, "content": content})
    return Prompt(messages, tuple(sizes), dropped)


def body_of(prompt: Prompt, talk: Talk, request: AskRequest, model: str) -> dict[str, Any]:
    """Return the body of a request to the server."""
    sampled = {"seed": request.seed} if request.temperature else {}
    return {
        "model": model,
        "messages": prompt.messages,
        "max_tokens": talk.max_tokens,
        "temperature": request.temperature,
        "stream": True,
        "stream_options": {"include_usage": True},
        **sampled,
    }


def neutral(text: str) -> str:
    """Return words that no chat template takes for a mark of its own."""
    return _CONTROL.sub(lambda found: {"<": "‹", "[": "⁅"}[found[0]], text)


def _system(talk: Talk) -> str:
    return f"{SYSTEM} {SHORT}" if talk.answer == "short" else SYSTEM


def _fitting(turns: list[Turn], room: int) -> tuple[list[Turn], int]:
    """Return the turns that fit into about ``room`` tokens and how many questions were left out: whole turns
    after the first go first, then the first; the question itself stays."""
    question, before = turns[-1], turns[:-1]
    pairs = [before[i : i + 2] for i in range(0, len(before), 2)]
    count = len(pairs)

    def size(kept: Sequence[Sequence[Turn]]) -> int:
        return sum(
            about_tokens(turn.text, len(turn.pictures)) for pair in [*kept, [question]] for turn in pair
        )

    while pairs and size(pairs) > room:
        del pairs[1 if len(pairs) > 1 else 0]
    return [turn for pair in [*pairs, [question]] for turn in pair], count - len(pairs)


def _newest_pictures(turns: Sequence[Turn]) -> set[tuple[str, str]]:
    """Return which pictures are shown: (job id, SHA-256)."""
    named = [(turn.job_id, sha256) for turn in turns for sha256 in turn.pictures]
    count = kept_pictures(turns, PICTURES_KEPT)
    return set(named[-count:])


def _encoded(path: str, max_pixels: int) -> tuple[bytes, tuple[int, int]]:
    """Return a picture as JPEG of at most so many pixels (0 = any), on white where it is see-through."""
    from PIL import Image  # here: importing the queue loads no pictures

    with Image.open(path) as opened:
        picture = opened.convert("RGBA") if opened.has_transparency_data else opened.convert("RGB")
    share = math.sqrt(max_pixels / (picture.width * picture.height)) if max_pixels else 1.0
    if share < 1:
        picture = picture.resize((max(1, int(picture.width * share)), max(1, int(picture.height * share))))
    if picture.mode == "RGBA":
        white = Image.new("RGB", picture.size, "white")
        white.paste(picture, mask=picture.getchannel("A"))
        picture = white
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=QUALITY, subsampling=0)
    return out.getvalue(), picture.size


def without_usage(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body for a server that refuses to be asked what a question cost."""
    return {name: value for name, value in body.items() if name != "stream_options"}
