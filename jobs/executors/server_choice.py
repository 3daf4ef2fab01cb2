"""A chat server chooses one of given answers: it is asked for JSON of one field, and what it says beside that
field is never used.

Tools would be the wrong door: servers lose, invent or refuse them (vLLM #39056, #42021, #20470; llama.cpp
#27129; Ollama #8345)."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from core.requests.chat import about_tokens
from jobs.executors import openai_api as api
from vision.protocol import Chosen

WAITS = (2.0, 4.0, 4.0)  # seconds to connect, for the first byte, and between two
MOST_TOKENS = 60  # of an answer
TRIES = 50  # places where an object may begin
LONGEST = 4000  # characters of an answer that are read
T = TypeVar("T", bound=str | int)
log = logging.getLogger(__name__)


class ServerChoice:
    """Asks ``server``, whose waits are short. What it refused is left out from the first answer on."""

    def __init__(self, server: api.ChatServer) -> None:
        self._server = server
        self._instead: dict[str, Any] = {}

    async def choose(self, name: str, text: str, answers: Mapping[T, str]) -> Chosen | None:
        """Return which of ``answers`` (with what each means) the server gives the field ``name``, None for no
        answer in that form, or no server."""
        keys = list(answers)
        meanings = "\n".join(f"{json.dumps(key)}: {meaning}" for key, meaning in answers.items())
        form = f'Answer with JSON and nothing else: {{"{name}": …}}, with one of these values:'
        asked = api.neutral(f"{text}\n{form}\n{meanings}")
        try:
            answer = await self._ask(asked, name, keys)
        except (api.Refused, api.Unreachable, api.Garbled, api.ServerError) as error:
            log.info("the chat server chooses nothing: %s: %s", type(error).__name__, error)
            return None
        if (key := chosen_in(answer.text, name, keys)) is None:
            log.info("the chat server chooses nothing: its answer has another form")
            return None
        used = answer.count("prompt_tokens") + answer.count("completion_tokens")
        chances = tuple(float(one == key) for one in keys)
        return Chosen(chances, tokens=used or about_tokens(asked))

    async def _ask(self, asked: str, name: str, keys: Sequence[str | int]) -> api.Stream:
        instead = dict(self._instead)
        while True:
            body = _body(await self._server.model(), asked, name, keys, instead)
            try:
                answer = await api.read_short_answer(self._server, body)
            except api.Refused as error:
                if error.status not in (400, 422):
                    raise
                changed = api.refused_fields(body, error.said)
                if not changed and "response_format" not in body:
                    raise
                instead |= changed or {"response_format": None}
                continue
            self._instead = instead
            return answer

    async def close(self) -> None:
        """Let go of every connection."""
        await self._server.close()


def _body(
    model: str, asked: str, name: str, keys: Sequence[str | int], instead: Mapping[str, Any]
) -> dict[str, Any]:
    value = {"type": "integer" if isinstance(keys[0], int) else "string", "enum": list(keys)}
    schema = {
        "type": "object",
        "properties": {name: value},
        "required": [name],
        "additionalProperties": False,
    }
    body = {
        "model": model,
        "messages": [{"role": "user", "content": asked}],
        "max_tokens": MOST_TOKENS,
        "temperature": 0,
        "stream": False,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": name, "strict": True, "schema": schema},
        },
        "chat_template_kwargs": {"enable_thinking": False, "thinking": False},
        "reasoning_effort": "none",
    }
    return api.with_instead(body, instead)


def chosen_in(text: str, name: str, keys: Sequence[str | int]) -> str | int | None:
    """Return the value of the field ``name`` in the objects of an answer, whatever stands around them; None
    unless all that have it agree and it is one of ``keys``."""
    # of an object that has a field twice, nothing
    decoder = json.JSONDecoder(
        object_pairs_hook=lambda pairs: dict(pairs) if len(dict(pairs)) == len(pairs) else {}
    )
    place, found, text = 0, list[Any](), text[:LONGEST]
    for _ in range(TRIES):
        if (place := text.find("{", place)) < 0:
            break
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            place += 1
            continue
        if isinstance(value, dict) and name in value:
            found.append(value[name])
    known = [key for value in found for key in keys if type(value) is type(key) and value == key]
    return known[0] if len(set(known)) == 1 and len(known) == len(found) else None
