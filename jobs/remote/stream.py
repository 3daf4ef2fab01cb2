"""What a server streams, read: lines of server-sent events, each with a piece of an answer. Pure.

Servers differ: some send no ``[DONE]``, some send what a question cost in a last piece of its own, some don't
stream at all. https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MOST_OF_A_LINE = 1 << 20  # characters without a line's end
THOUGHTS = ("reasoning_content", "reasoning")  # as vLLM, llama.cpp and SGLang, and as Ollama call them
BEGINS, _END = ("<think>", "<thinking>", "[THINK]"), re.compile(r"</think(?:ing)?>|\[/THINK\]")


class Garbled(Exception):
    """What came isn't in OpenAI's form."""


class ServerError(Exception):
    """The server says in the stream that something went wrong. said: its own words, "" = none; they may
    repeat the question, so the text, which is for the log, has none of them."""

    def __init__(self, said: str = "") -> None:
        super().__init__("an error instead of an answer")
        self.said = said


@dataclass
class Stream:
    """Takes bytes as they come. text: all of the answer so far. pieces: how many it came in. thoughts: pieces
    of what the model has thought to itself, which is dropped. most: pieces after which it ends, 0 = any.
    done: the answer has ended, for a ``reason`` in OpenAI's words. over: nothing more will come, not even its
    ``usage``, the tokens as the server counts them."""

    text: str = ""
    pieces: int = 0
    thoughts: int = 0
    most: int = 0
    done: bool = False
    over: bool = False
    reason: str = ""
    usage: Mapping[str, Any] = field(default_factory=dict)
    _said: str = ""  # with thoughts
    _rest: str = ""
    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )

    def feed(self, data: bytes) -> None:
        """Take in some bytes, wherever they were cut. Raises Garbled or ServerError."""
        lines = (self._rest + self._decoder.decode(data)).split("\n")
        self._rest = lines.pop()
        if len(self._rest) > MOST_OF_A_LINE:
            raise Garbled("a line without an end")
        for line in lines:
            self._line(line.rstrip("\r"))

    def whole(self, data: bytes) -> None:
        """Take in an answer that isn't streamed. Raises Garbled or ServerError."""
        self._event(data.decode("utf-8", "replace"))
        self.done = self.over = True

    def _line(self, line: str) -> None:
        if not line.startswith("data:"):
            return  # comments that keep the line open, and names of events
        data = line[5:].strip()
        if data == "[DONE]":
            self.done = self.over = True
        elif data:
            self._event(data)

    def _event(self, data: str) -> None:
        try:
            found = json.loads(data)
        except ValueError as error:
            raise Garbled("no JSON") from error
        if not isinstance(found, dict):
            raise Garbled("no object")
        if found.get("error"):
            raise ServerError(said(found))
        if isinstance(found.get("usage"), dict):
            self.usage = found["usage"]
        choices = found.get("choices")
        if choices is None and not found.get("usage"):
            raise Garbled("no choices")
        for choice in choices if isinstance(choices, list) else ():
            self._choice(choice)

    def _choice(self, choice: Any) -> None:
        if not isinstance(choice, dict):
            raise Garbled("a choice that is none")
        message = choice.get("delta") or choice.get("message") or {}
        if isinstance(message, dict):
            self.thoughts += any(isinstance(message.get(name), str) and message[name] for name in THOUGHTS)
            content = message.get("content")
            if isinstance(content, str) and content and not self.over:
                self._said += content
                before, self.text = self.text, answer_in(self._said)
                self.pieces += self.text != before
                self.thoughts += self.text == before
                if self.most and self.pieces >= self.most:
                    self.reason, self.done, self.over = "length", True, True
        if isinstance(choice.get("finish_reason"), str) and not self.over:
            self.reason, self.done = choice["finish_reason"], True

    def count(self, name: str) -> int:
        """Return a number of the usage, 0 where the server doesn't tell."""
        return _number(self.usage.get(name))

    @property
    def cached(self) -> int:
        """How many tokens of the prompt the server still knew."""
        details = self.usage.get("prompt_tokens_details")
        return _number(details.get("cached_tokens")) if isinstance(details, dict) else 0


def answer_in(text: str) -> str:
    """Return what a model has said so far without what it thought to itself first, between marks."""
    if (end := _END.search(text)) is not None:
        return text[end.end() :].lstrip()
    begun = text.lstrip()
    thinks = any(begun.startswith(mark) or mark.startswith(begun) for mark in BEGINS)
    return "" if begun and thinks else text


def said(found: Any) -> str:
    """Return what an error of a server says, on one line; "" where it says nothing that can be read."""
    error = found.get("error", found) if isinstance(found, dict) else found
    text = error.get("message") or error.get("detail") if isinstance(error, dict) else error
    return " ".join(str(text or "").split())[:200]


def _number(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0
