"""A proxy with faults in front of servers that others wrote, and what becomes of questions behind it, through
the queue: ``python -m proofs.servers.faults [--times 50] [--only llama.cpp]``.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from core.events import Event, Failed, Rendered
from core.requests import AskRequest
from host.openai_client import HttpChatServer
from jobs.executors.openai_api import Stream
from jobs.queue import Result
from proofs.host.chat_faults import MOST, Judge, tried
from tests.servers import model, start
from tests.support.chat_server import Behave, Exchange

WAITS = (5.0, 5.0, 2.0)  # seconds, in place of 5, 60 and 30: a real server takes its time
TOKENS = 32  # of an answer
EARLY = 3  # pieces of a stream that come before a fault


class Refuses(Exception):
    """The server itself doesn't take the question."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(status)
        self.status, self.body = status, body


@dataclass
class Proxy:
    """Passes questions on to the server at ``url``. model: its name there. said: the whole answer to
    each question."""

    url: str
    model: str
    said: dict[str, str] = field(default_factory=dict)

    async def pieces(self, exchange: Exchange) -> AsyncIterator[bytes]:
        """Yield the events of the server's answer, each whole. Raises Refuses."""
        stream, rest, body = Stream(), b"", {**exchange.body, "model": self.model, "max_tokens": TOKENS}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.url}/chat/completions", json=body) as response,
        ):
            if response.status != 200:
                raise Refuses(response.status, await response.text())
            async for data in response.content.iter_any():
                stream.feed(data)
                rest += data
                *whole, rest = rest.split(b"\n\n")
                for event in whole:
                    yield event + b"\n\n"
        self.said[question_of(exchange)] = stream.text.strip()


def question_of(exchange: Exchange) -> str:
    content = exchange.body["messages"][-1]["content"]
    return content if isinstance(content, str) else content[-1]["text"]


Fault = Callable[[Proxy, Exchange], Awaitable[None]]


async def passes(proxy: Proxy, exchange: Exchange) -> None:
    pieces = [event async for event in proxy.pieces(exchange)]
    await exchange.head()
    for event in pieces:
        await exchange.chunk(event)
    await exchange.end()


def first(broken: Callable[[Exchange], Awaitable[None]]) -> Fault:
    """Fail at the first try of each question."""
    tried_before: set[str] = set()

    async def fault(proxy: Proxy, exchange: Exchange) -> None:
        question = question_of(exchange)
        if question in tried_before:
            await passes(proxy, exchange)
        else:
            tried_before.add(question)
            await broken(exchange)

    return fault


async def _busy(exchange: Exchange) -> None:
    await exchange.whole(429, {"error": {"message": "slow down"}}, Retry_After="0")


async def _fails(exchange: Exchange) -> None:
    await exchange.whole(500, "<html>oh</html>", "text/html")


async def _resets(exchange: Exchange) -> None:
    exchange.writer.transport.abort()


async def _cut_before_words(exchange: Exchange) -> None:
    await exchange.head()
    exchange.writer.transport.abort()


async def drips(proxy: Proxy, exchange: Exchange) -> None:
    """Every byte in a chunk of its own."""
    pieces = [event async for event in proxy.pieces(exchange)]
    await exchange.head()
    for byte in b"".join(pieces):
        await exchange.chunk(bytes([byte]))
    await exchange.end()


async def in_lumps(proxy: Proxy, exchange: Exchange) -> None:
    """Several events at once, cut anywhere."""
    data = b"".join([event async for event in proxy.pieces(exchange)])
    await exchange.head()
    for begin in range(0, len(data), 977):
        await exchange.chunk(data[begin : begin + 977])
    await exchange.end()


async def without_an_end(proxy: Proxy, exchange: Exchange) -> None:
    """No [DONE], no usage, comments in between, and the line stays open."""
    pieces = [event async for event in proxy.pieces(exchange)]
    await exchange.head()
    for event in pieces:
        if b"[DONE]" not in event and b'"choices":[]' not in event.replace(b" ", b""):
            await exchange.chunk(b": keep-alive\n\n" + event)
    await asyncio.sleep(60)


async def not_streamed(proxy: Proxy, exchange: Exchange) -> None:
    """As one object, however it was asked."""
    text = "".join([_words(event) async for event in proxy.pieces(exchange)])
    await exchange.whole(200, {"choices": [{"message": {"content": text}, "finish_reason": "stop"}]})


def _words(event: bytes) -> str:
    stream = Stream()
    stream.feed(event)
    return stream.text


def later(broken: Callable[[Exchange, bytes], Awaitable[None]]) -> Fault:
    """Fail after a few pieces; the rest is read, so that it is known what would have come."""

    async def fault(proxy: Proxy, exchange: Exchange) -> None:
        pieces = [event async for event in proxy.pieces(exchange)]
        await exchange.head()
        worded = [number for number, event in enumerate(pieces) if _words(event).strip()]
        upto = worded[min(EARLY, len(worded) - 1)] if worded else 0
        for event in pieces[:upto]:
            await exchange.chunk(event)
        await broken(exchange, pieces[upto])

    return fault


async def _cut(exchange: Exchange, event: bytes) -> None:
    await exchange.raw(b"400\r\n" + event[: len(event) // 2])
    exchange.writer.transport.abort()


async def _stalls(exchange: Exchange, event: bytes) -> None:
    await asyncio.sleep(60)


async def _garbage(exchange: Exchange, event: bytes) -> None:
    await exchange.chunk(b'data: {"choices": [{"del\n\n')
    await exchange.end()


async def _an_error(exchange: Exchange, event: bytes) -> None:
    await exchange.event({"error": {"message": "CUDA out of memory"}})
    await exchange.end()


async def silent(proxy: Proxy, exchange: Exchange) -> None:
    await asyncio.sleep(60)


async def cut_for_ever(proxy: Proxy, exchange: Exchange) -> None:
    await _cut_before_words(exchange)


WHOLE, PART = "an answer", "a part"
FAULTS: dict[str, tuple[Callable[[], Fault], str]] = {  # → the end that is right, or words of it
    "none": (lambda: passes, WHOLE),
    "busy once": (lambda: first(_busy), WHOLE),
    "500 once": (lambda: first(_fails), WHOLE),
    "resets once": (lambda: first(_resets), WHOLE),
    "cut once before words": (lambda: first(_cut_before_words), WHOLE),
    "byte by byte": (lambda: drips, WHOLE),
    "cut into lumps": (lambda: in_lumps, WHOLE),
    "no end": (lambda: without_an_end, WHOLE),
    "whole, not streamed": (lambda: not_streamed, WHOLE),
    "cut in a chunk": (lambda: later(_cut), PART),
    "stalls": (lambda: later(_stalls), PART),
    "garbage later": (lambda: later(_garbage), PART),
    "an error later": (lambda: later(_an_error), PART),
    "silent": (lambda: silent, "didn't answer for too long"),
    "cut before words": (lambda: cut_for_ever, "can't be reached"),
}


def judge_of(proxy: Proxy, expected: str) -> Judge:
    """Return what judges ends by what the server said to the same question."""

    def judge(request: AskRequest, end: Event, result: Result | None) -> str:
        if isinstance(end, Failed):
            return "a sentence" if expected in end.message else "WRONG"
        answer = result.answer if isinstance(end, Rendered) and result is not None else None
        said = proxy.said.get(request.question, "")
        if answer is None or not said:
            return "WRONG"
        if expected == WHOLE:
            return WHOLE if answer.text == said and answer.ended != "stopped" else "WRONG"
        is_part = answer.text and said.startswith(answer.text) and answer.ended == "stopped"
        return PART if expected == PART and is_part else "WRONG"

    return judge


def behaviour(proxy: Proxy, fault: Fault) -> Behave:
    async def behave(exchange: Exchange) -> None:
        try:
            await fault(proxy, exchange)
        except Refuses as refused:
            await exchange.whole(refused.status, refused.body)

    return behave


async def ends_of(folder: Path, url: str, name: str, times: int) -> tuple[Counter[str], float]:
    """How questions ended behind a proxy with a fault, and how long the longest took."""
    make, expected = FAULTS[name]
    server = HttpChatServer(url)
    proxy = Proxy(url, await server.model())
    await server.close()
    return await tried(folder, behaviour(proxy, make()), judge_of(proxy, expected), times, WAITS)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--only", choices=start.NEEDS)
    options, wrong, worst = parser.parse_args(), 0, 0.0
    logging.getLogger("jobs").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as made:
        model.write(Path(made) / "model")
        for kind in [options.only] if options.only else start.NEEDS:
            if start.missing(kind):
                print(f"{kind}: not installed: {', '.join(start.missing(kind))}")
                continue
            with start.server(kind, Path(made) / "model", Path(made) / kind.replace(" ", "-")) as url:
                for name in FAULTS:
                    began = time.monotonic()
                    folder = Path(made) / f"{kind} {name}"
                    folder.mkdir()
                    ends, longest = asyncio.run(ends_of(folder, url, name, options.times))
                    wrong += ends["WRONG"] + (ends.total() != options.times)
                    worst = max(worst, longest)
                    took = time.monotonic() - began
                    print(
                        f"{kind}: {name:22} {dict(ends)}, longest {longest:.2f} s, {took:.0f} s", flush=True
                    )
    print(f"{len(FAULTS)} ways x {options.times}: {wrong} wrong, longest {worst:.2f} s")
    return 1 if wrong or worst > MOST else 0


if __name__ == "__main__":
    sys.exit(main())
