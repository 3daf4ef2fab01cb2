"""A chat server on loopback that speaks OpenAI's interface, and every fault that a line or a server has: over
a real socket, written by hand, so that it can be cut anywhere."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

Behave = Callable[["Exchange"], Awaitable[None]]
TEXT = "There is a red house by the sea, naïve and small."
USAGE = {"prompt_tokens": 321, "completion_tokens": 12, "prompt_tokens_details": {"cached_tokens": 300}}


@dataclass
class Exchange:
    """One request and the line back. number: how many came before it."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    number: int
    writer: asyncio.StreamWriter

    async def head(self, status: int = 200, kind: str = "text/event-stream", **headers: str) -> None:
        """Begin an answer in chunks."""
        lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", "Transfer-Encoding: chunked"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.raw("\r\n".join([*lines, "", ""]).encode())

    async def raw(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def chunk(self, data: bytes) -> None:
        await self.raw(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def event(self, data: Any) -> None:
        text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
        await self.chunk(f"data: {text}\n\n".encode())

    async def piece(self, text: str, reason: str | None = None) -> None:
        await self.event({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": reason}]})

    async def end(self) -> None:
        await self.raw(b"0\r\n\r\n")

    async def whole(self, status: int, data: Any, kind: str = "application/json", **headers: str) -> None:
        """Answer in one piece."""
        body = (data if isinstance(data, str) else json.dumps(data)).encode()
        lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.raw("\r\n".join([*lines, "", ""]).encode() + body)

    def pictures(self) -> int:
        """How many pictures the messages have; each has to be data."""
        parts = [
            part
            for message in self.body["messages"]
            if isinstance(message["content"], list)
            for part in message["content"]
        ]
        addresses = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        assert all(address.startswith("data:image/jpeg;base64,") for address in addresses)
        return len(addresses)


async def well(exchange: Exchange, text: str = TEXT, *, done: bool = True, usage: bool = True) -> None:
    """Answer as a good server does."""
    await exchange.head()
    for word in text.split(" "):
        await exchange.piece(word + " ")
    await exchange.piece("", "stop")
    if usage and exchange.body.get("stream_options"):
        await exchange.event({"choices": [], "usage": USAGE})
    if done:
        await exchange.event("[DONE]")
    await exchange.end()


@dataclass
class Server:
    """A server that runs. asked: the bodies of all questions. left: how often the other end hung up in the
    middle."""

    url: str
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    left: int = 0


def _broke(working: asyncio.Task[None]) -> bool:
    """Whether an answer ended because nobody takes it any more, which a write may notice before a read."""
    return not working.cancelled() and isinstance(working.exception(), ConnectionError)


@asynccontextmanager
async def chat_server(behave: Behave = well, models: Sequence[str] = ("tiny",)) -> AsyncIterator[Server]:
    """Serve on a free port; ``behave`` answers questions."""
    tasks: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await exchange(reader, writer)
                writer.close()
                await writer.wait_closed()
        except asyncio.CancelledError:
            pass  # the server ends
        finally:
            writer.transport.abort()

    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.split("\r\n")
        headers = {n.lower(): v for n, _, v in (line.partition(": ") for line in lines if line)}
        body = json.loads(await reader.readexactly(int(headers.get("content-length", 0))) or b"{}")
        path = first.split(" ")[1]
        made = Exchange(path, headers, body, len(server.asked), writer)
        server.headers.append(headers)
        if path.endswith("/models"):
            await made.whole(200, {"data": [{"id": name} for name in models]})
            return
        server.asked.append(made.body)
        hung_up = asyncio.create_task(reader.read(1))
        working = asyncio.create_task(behave(made))
        try:
            await asyncio.wait({hung_up, working}, return_when=asyncio.FIRST_COMPLETED)
            server.left += not working.done() or _broke(working)
        finally:
            for task in (hung_up, working):
                task.cancel()
            await asyncio.gather(hung_up, working, return_exceptions=True)

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    server = Server(f"http://127.0.0.1:{port}/v1")
    try:
        yield server
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


# Faults


async def _busy(exchange: Exchange) -> None:
    await exchange.whole(429, {"error": {"message": "slow down"}}, Retry_After="0")


async def _busy_once(exchange: Exchange) -> None:
    await (well if exchange.number else _busy)(exchange)


async def _broken(exchange: Exchange) -> None:
    await exchange.whole(500, "<html>oh</html>", "text/html")


async def _broken_once(exchange: Exchange) -> None:
    await (well if exchange.number else _broken)(exchange)


async def _reset(exchange: Exchange) -> None:
    exchange.writer.transport.abort()


async def _reset_once(exchange: Exchange) -> None:
    await (well if exchange.number else _reset)(exchange)


async def _cut_in_a_chunk(exchange: Exchange) -> None:
    await exchange.head()
    await exchange.piece("There is a red")
    await exchange.raw(b'40\r\ndata: {"choices": [{"del')
    exchange.writer.transport.abort()


async def _cut_in_a_letter(exchange: Exchange) -> None:
    await exchange.head()
    await exchange.piece("There is a red")
    data = 'data: {"choices": [{"delta": {"content": "naï"}}]}\n\n'.encode()
    await exchange.chunk(data[: data.index("ï".encode()) + 1])
    exchange.writer.transport.abort()


async def _cut_at_once(exchange: Exchange) -> None:
    await exchange.head()
    exchange.writer.transport.abort()


async def _drips(exchange: Exchange) -> None:
    """Every byte in a chunk of its own."""
    await exchange.head()
    for text, reason in (("naïve ", None), ("house", "stop")):
        choice = {"delta": {"content": text}, "finish_reason": reason}
        for byte in f"data: {json.dumps({'choices': [choice]}, ensure_ascii=False)}\r\n\r\n".encode():
            await exchange.chunk(bytes([byte]))
    await exchange.end()


async def _silent(exchange: Exchange) -> None:
    await asyncio.sleep(60)


async def _stalls(exchange: Exchange) -> None:
    await exchange.head()
    await exchange.piece("There is a red")
    await asyncio.sleep(60)


async def _garbage(exchange: Exchange) -> None:
    await exchange.head()
    await exchange.event("{not json")
    await exchange.end()


async def _garbage_later(exchange: Exchange) -> None:
    await exchange.head()
    await exchange.piece("There is a red")
    await exchange.event('{"choices": 3, "what": [')
    await exchange.end()


async def _page(exchange: Exchange) -> None:
    await exchange.whole(200, "<html>Welcome to nginx</html>", "text/html")


async def _not_streamed(exchange: Exchange) -> None:
    choice = {"message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
    await exchange.whole(200, {"choices": [choice], "usage": USAGE})


async def _no_done(exchange: Exchange) -> None:
    await well(exchange, done=False)


async def _no_usage(exchange: Exchange) -> None:
    await well(exchange, usage=False)


async def _blind(exchange: Exchange) -> None:
    if exchange.pictures():
        await exchange.whole(400, {"error": {"message": "this model takes no image input"}})
    else:
        await well(exchange)


async def _strict(exchange: Exchange) -> None:
    if "stream_options" in exchange.body:
        await exchange.whole(422, {"detail": "Unexpected keys in the request: {'stream_options'}"})
    else:
        await well(exchange, done=False)


async def _fails_in_the_stream(exchange: Exchange) -> None:
    await exchange.head()
    await exchange.event({"error": {"message": "CUDA out of memory"}})
    await exchange.end()


async def _fails_later(exchange: Exchange) -> None:
    await exchange.head()
    await exchange.piece("There is a red")
    await exchange.event({"error": {"message": "CUDA out of memory"}})
    await exchange.end()


async def _empty(exchange: Exchange) -> None:
    await well(exchange, "")


async def _calls_a_tool(exchange: Exchange) -> None:
    await exchange.head()
    for function in ({"name": "look", "arguments": ""}, {"arguments": '{"words": "a house"}'}):
        call = {"index": 0, "id": "x", "type": "function", "function": function}
        await exchange.event({"choices": [{"delta": {"tool_calls": [call]}, "finish_reason": None}]})
    await exchange.piece("", "tool_calls")
    await exchange.event("[DONE]")
    await exchange.end()


async def _calls_a_tool_whole(exchange: Exchange) -> None:
    call = {"id": "x", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    await exchange.whole(200, {"choices": [{"message": message, "finish_reason": "tool_calls"}]})


async def _keyless(exchange: Exchange) -> None:
    await exchange.whole(401, {"error": {"message": "Incorrect API key"}})


async def _elsewhere(exchange: Exchange) -> None:
    await exchange.whole(302, "", Location="http://127.0.0.1:1/")


async def _no_such_model(exchange: Exchange) -> None:
    await exchange.whole(404, {"error": {"message": "The model does not exist"}})


async def _endless_line(exchange: Exchange) -> None:
    await exchange.head()
    while True:
        await exchange.chunk(b"x" * (1 << 18))


async def _asks_to_wait_an_hour(exchange: Exchange) -> None:
    await exchange.whole(503, {}, Retry_After="3600")


WHOLE, CUT = TEXT, "There is a red"
FAULTS: dict[str, tuple[Behave, str]] = {  # what comes of each: the answer, its beginning, or a sentence
    "busy for ever": (_busy, "is overloaded"),
    "busy once": (_busy_once, WHOLE),
    "500 for ever": (_broken, "failed (500)"),
    "500 once": (_broken_once, WHOLE),
    "503, asks to wait an hour": (_asks_to_wait_an_hour, "failed (503)"),
    "resets": (_reset, "can't be reached"),
    "resets once": (_reset_once, WHOLE),
    "cut in a chunk": (_cut_in_a_chunk, CUT),
    "cut in a letter": (_cut_in_a_letter, CUT),
    "cut before anything": (_cut_at_once, "can't be reached"),
    "byte by byte": (_drips, "naïve house"),
    "silent": (_silent, "didn't answer for too long"),
    "stalls": (_stalls, CUT),
    "garbage": (_garbage, "doesn't answer like a chat server"),
    "garbage later": (_garbage_later, CUT),
    "a page": (_page, "doesn't answer like a chat server"),
    "whole, not streamed": (_not_streamed, WHOLE),
    "no [DONE]": (_no_done, WHOLE),
    "no usage": (_no_usage, WHOLE),
    "takes no pictures": (_blind, "this model takes no image input"),
    "refuses stream_options": (_strict, WHOLE),
    "an error in the stream": (_fails_in_the_stream, "CUDA out of memory"),
    "an error later": (_fails_later, CUT),
    "empty": (_empty, "empty answer"),
    "a tool call": (_calls_a_tool, "asked for a tool"),
    "a tool call, not streamed": (_calls_a_tool_whole, "asked for a tool"),
    "wrong key": (_keyless, "VLM_KEY"),
    "leads elsewhere": (_elsewhere, "failed (302)"),
    "no such model": (_no_such_model, "VLM_MODEL"),
    "a line without end": (_endless_line, "doesn't answer like a chat server"),
}
