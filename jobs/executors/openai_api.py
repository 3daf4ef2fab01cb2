"""OpenAI's chat interface: a conversation as messages, with pictures as data and never as addresses, and an
answer read from what a server streams. The wire itself is the host's.

https://platform.openai.com/docs/api-reference/chat/create. Servers differ: some send no ``[DONE]``, some send
what a question cost in a last piece of its own, some don't stream at all. Of models that think before they
answer, each is told in its own way not to: ``chat_template_kwargs`` for vLLM, SGLang and llama.cpp,
``reasoning_effort`` for Ollama, LM Studio and OpenAI; a server that refuses a field is asked without it.
https://html.spec.whatwg.org/multipage/server-sent-events.html"""

import base64
import codecs
import io
import json
import math
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from core.requests import AskRequest
from core.requests.chat import SHORT, SYSTEM, VIDEO, about_tokens, parts_of_turn
from vision.chat.output_parser import answer_in
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
    named = [(turn.job_id, sha256) for turn in turns for sha256 in turn.pictures]
    shown = set(named[-kept_pictures(turns, PICTURES_KEPT) :])
    system = f"{SYSTEM} {SHORT}" if talk.answer == "short" else SYSTEM
    messages: list[dict[str, Any]] = [{"role": "system", "content": system}]
    sizes = list[tuple[int, int]]()
    video = False
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
        video = video or turn.has_video
        text = neutral(turn.text)
        if video and turn.role == "user":
            text = f"{text}\n{VIDEO}"
        parts = [part for part in parts if part.get("text") != ""]
        content = [*parts, {"type": "text", "text": text}] if parts else text
        messages.append({"role": turn.role, "content": content})
    return Prompt(messages, tuple(sizes), dropped)


MAY_BE_REFUSED = ("chat_template_kwargs", "reasoning_effort", "stream_options", "temperature", "seed")
UNNAMED = MAY_BE_REFUSED[:3]  # what a server is spared that refuses a question without saying why
LEAST_EFFORTS = ("minimal", "low")  # of reasoning, for models that can't do without


def body_of(
    prompt: Prompt, talk: Talk, request: AskRequest, model: str, instead: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the body of a request to the server. instead: field → what this server takes in its place, None
    = nothing; of ``max_tokens`` it is the newer name of that field."""
    sampled = {"seed": request.seed} if request.temperature else {}
    body = {
        "model": model,
        "messages": prompt.messages,
        "max_tokens": talk.max_tokens,
        "temperature": request.temperature,
        "stream": True,
        "stream_options": {"include_usage": True},
        "chat_template_kwargs": {"enable_thinking": False, "thinking": False},
        "reasoning_effort": "none",
        **sampled,
    }
    return with_instead(body, instead or {})


def with_instead(body: dict[str, Any], instead: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body with what a server takes, as ``refused_fields`` has it, in the place of fields."""
    for name, value in instead.items():
        old = body.pop(name, None)
        if name == "max_tokens":
            body[value] = old
        elif value is not None and old is not None:
            body[name] = value
    return body


def refused_fields(body: Mapping[str, Any], said: str) -> dict[str, Any]:
    """Return what to send instead of the fields that a server has refused, as ``body_of`` takes it; {} =
    there is nothing that it could be spared. said: the server's words."""
    if "max_completion_tokens" in said and "max_tokens" in body:
        return {"max_tokens": "max_completion_tokens"}
    named = [name for name in MAY_BE_REFUSED if name in body and name in said]
    found = dict.fromkeys(named or [name for name in UNNAMED if name in body])
    if "reasoning_effort" in named and body["reasoning_effort"] == "none":
        found["reasoning_effort"] = next((effort for effort in LEAST_EFFORTS if effort in said), None)
    return found


def neutral(text: str) -> str:
    """Return words that no chat template takes for a mark of its own."""
    return _CONTROL.sub(lambda found: {"<": "‹", "[": "⁅"}[found[0]], text)


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


MOST_OF_A_LINE = 1 << 20  # characters without a line's end
# Fields of thoughts: llama.cpp, SGLang and older vLLM; vLLM and Ollama; Ollama's own interface; OpenRouter
THOUGHTS = ("reasoning_content", "reasoning", "thinking", "reasoning_details")


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
    of what the model has thought to itself, which is dropped. calls: it wants to use tools, which nobody has
    offered. most: pieces after which it ends, 0 = any.
    done: the answer has ended, for a ``reason`` in OpenAI's words. over: nothing more will come, not even its
    ``usage``, the tokens as the server counts them. no_thinking: the server was told not to, so that an
    answer which comes as thoughts alone is one."""

    text: str = ""
    pieces: int = 0
    thoughts: int = 0
    calls: bool = False
    most: int = 0
    no_thinking: bool = False
    done: bool = False
    over: bool = False
    reason: str = ""
    usage: Mapping[str, Any] = field(default_factory=dict)
    _said: str = ""  # with thoughts
    _thought: str = ""  # in fields of its own
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

    def finish(self) -> None:
        """Take what has come for all of the answer."""
        self.text = answer_in(self._said)
        if not self.text.strip() and self.no_thinking and self.reason == "stop":
            # https://github.com/vllm-project/vllm/issues/19222
            self.text = answer_in(self._thought)
        details = self.usage.get("completion_tokens_details")
        if isinstance(details, dict):
            self.thoughts = self.thoughts or _number(details.get("reasoning_tokens"))

    @property
    def is_starved(self) -> bool:
        """Whether the model's thoughts have left no tokens for its answer."""
        return not self.text.strip() and (self.thoughts > 0 or self.reason == "length")

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
            raise ServerError(error_words(found))
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
        if isinstance(message, dict) and not self.over:
            said, thought = _words(message.get("content"))
            fields = (_words(message.get(name))[0] for name in THOUGHTS)
            thought = thought or next(filter(None, fields), "")
            self._thought += thought
            self.calls = self.calls or bool(message.get("tool_calls") or message.get("function_call"))
            self.thoughts += bool(thought)
            if said:
                self._said += said
                before, self.text = self.text, answer_in(self._said, growing=True)
                self.pieces += self.text != before
                self.thoughts += bool(self._said.strip()) and not answer_in(self._said).strip()
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


def _words(content: Any) -> tuple[str, str]:
    """Return the words in a field of a message, and the thoughts: of text alone, or of parts of either kind
    as Mistral sends them."""
    if isinstance(content, str):
        return content, ""
    said = thought = ""
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict):
            said += next((part[name] for name in ("text", "summary") if isinstance(part.get(name), str)), "")
            thought += _words(part.get("thinking"))[0]
    return said, thought


def error_words(found: Any) -> str:
    """Return what an error of a server says, on one line; "" where it says nothing that can be read."""
    error = found.get("error", found) if isinstance(found, dict) else found
    text = error.get("message") or error.get("detail") if isinstance(error, dict) else error
    return " ".join(str(text or "").split())[:200]


def _number(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0


MOST_WHOLE = 1 << 20  # bytes of a short answer


async def read_short_answer(server: "ChatServer", body: Mapping[str, Any], enough: int = 0) -> Stream:
    """Put a question; return its answer, streamed or not. enough: characters after which no more is read, 0 =
    all. Raises Unreachable, Refused, Garbled or ServerError."""
    stream, whole = Stream(no_thinking="chat_template_kwargs" in body), bytearray()
    async with server.ask(body) as answering:
        async for data in answering.pieces():
            if answering.streams:
                stream.feed(data)
            else:
                whole += data
            if len(whole) > MOST_WHOLE:
                raise Garbled("an answer without an end")
            if stream.over or (enough and len(stream.text) > enough):
                break
    if whole:
        stream.whole(bytes(whole))
    stream.finish()
    if not stream.text and not stream.done:
        raise Garbled("nothing came")
    return stream


class Unreachable(Exception):
    """The server isn't reached, or the line to it broke. The text is for the log."""


class Silent(Unreachable):
    """The server said nothing for longer than it may."""


class Refused(Exception):
    """The server answers with an error. said: its own words, "" = none. wait: seconds that it asks for."""

    def __init__(self, status: int, said: str = "", wait: float | None = None) -> None:
        super().__init__(f"status {status}")
        self.status, self.said, self.wait = status, said, wait


class Answering(Protocol):
    """An answer on its way. streams: it comes as server-sent events, else whole."""

    streams: bool

    def pieces(self) -> AsyncIterator[bytes]:
        """Yield bytes as they come. Raises Unreachable, Silent."""
        ...


class ChatServer(Protocol):
    """A server with OpenAI's interface. host: its name and port, for the host alone."""

    host: str

    async def model(self) -> str:
        """Return what the server calls its model. Raises Unreachable, Refused."""
        ...

    def forget_model(self) -> bool:
        """Forget what the server called its model, to ask it again; False where the settings say it."""
        ...

    def ask(self, body: Mapping[str, Any]) -> AbstractAsyncContextManager[Answering]:
        """Send a question; the block's end ends its answer too. Raises Unreachable, Silent, Refused."""
        ...

    async def close(self) -> None:
        """Let go of every connection."""
        ...
