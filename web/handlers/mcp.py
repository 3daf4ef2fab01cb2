"""The door for agents, by the Model Context Protocol over HTTP: each message is a call of its own, so nothing
is kept between them. Clients of the revisions before, which begin with ``initialize``, are served too.

https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http
"""

import asyncio
import base64
import binascii
from collections import defaultdict
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from http import HTTPStatus
from typing import Any

from core.errors import UserError
from core.events import Progress
from core.job import Job
from core.language import _, retold
from core.traces import release
from studio.programs import Scope
from web.call import Answer, Bucket, Call, Json, Refused, Stream, event_of
from web.handlers.mcp_tools import TOOLS, Asking, Content, describe_result
from web.handlers.openai_images import check_end, submit_all
from web.schemas import read_body
from web.views import describe_event

MODERN = "2026-07-28"
LEGACY = ("2025-11-25", "2025-06-18", "2025-03-26")
OWN = "io.modelcontextprotocol/"  # begins what the protocol says of a message beside it
PARSE, INVALID, UNKNOWN, PARAMS = -32700, -32600, -32601, -32602
HEADER, VERSION = -32020, -32022
FRESH = 60_000  # ms that a client may keep what it has listed


@dataclass(frozen=True)
class Message:
    """A request or, without ``id``, a notification. modern: it says of itself what its revision is."""

    method: str
    params: Mapping[str, Any]
    id: str | int | None
    modern: bool

    @property
    def about(self) -> Mapping[str, Any]:
        """What it says of itself."""
        found = self.params.get("_meta")
        return found if isinstance(found, dict) else {}


class Wrong(Exception):
    """A message that isn't answered with a result."""

    def __init__(
        self, code: int, text: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST, **data: Any
    ) -> None:
        super().__init__(text)
        self.code, self.text, self.status, self.data = code, text, status, data


class Running:
    """A call that goes on, and the job that it asks for."""

    def __init__(self, call: Call, asking: Coroutine[Any, Any, list[Job]]) -> None:
        self.call, self._jobs = call, asyncio.ensure_future(asking)

    async def job(self) -> Job:
        """Return the job when it is queued, which giving up doesn't break off. Raises as ``submit_all``."""
        [job] = await asyncio.shield(self._jobs)
        return job

    async def stop(self) -> None:
        """Stop the job, unless it is over or was refused."""
        with suppress(Refused, UserError):
            job = await self.job()
            await self.call.studio.cancel(self.call.actor, job.id)


class Mcp:
    """The door. It knows which calls go on, as clients of earlier revisions stop them by a message."""

    def __init__(self) -> None:
        self._running: defaultdict[tuple[str, str | int], list[Running]] = defaultdict(list)

    async def answer(self, call: Call) -> Answer:
        """Answer a message of the Model Context Protocol: list the tools, or call one."""
        given = call.body.get("id")
        number = given if isinstance(given, str | int) and not isinstance(given, bool) else None
        try:
            message = read_message(call, number)
            if message.id is None:
                await self._hear(call, message)
                return Json(status=HTTPStatus.ACCEPTED)
            return await self._result(call, message)
        except Wrong as wrong:
            error = {"code": wrong.code, "message": wrong.text}
            error |= {"data": wrong.data} if wrong.data else {}
            return Json({"jsonrpc": "2.0", "id": number, "error": error}, wrong.status)

    async def _hear(self, call: Call, message: Message) -> None:
        """Stop the call that a client has no more use for, if that is only one."""
        if message.method != "notifications/cancelled":
            return
        number = message.params.get("requestId")
        if isinstance(number, str | int) and (found := self._running.get((_who(call), number))):
            if len(found) == 1:
                await found[0].stop()

    async def _result(self, call: Call, message: Message) -> Answer:
        match message.method:
            case "initialize" if not message.modern:
                asked = message.params.get("protocolVersion")
                chosen = asked if asked in LEGACY else LEGACY[0]
                return _done(message, {"protocolVersion": chosen, "serverInfo": _server(), **_offers()})
            case "ping":
                return _done(message, {})
            case "server/discover":
                fresh = {"ttlMs": FRESH, "cacheScope": "private"}
                return _done(message, {"supportedVersions": [MODERN, *LEGACY], **_offers(), **fresh})
            case "tools/list":
                shapes = [tool.shape for tool in TOOLS.values() if tool.scope in _scopes(call)]
                return _done(message, {"tools": shapes, "ttlMs": FRESH, "cacheScope": "private"})
            case "tools/call":
                return await self._called(call, message)
        status = HTTPStatus.NOT_FOUND if message.modern else HTTPStatus.OK
        raise Wrong(UNKNOWN, f"There is no method {message.method[:60]!r} here.", status)

    async def _called(self, call: Call, message: Message) -> Answer:
        """Call a tool: what it looks up at once, what it makes as events until it is made."""
        tool = TOOLS.get(str(message.params.get("name")))
        arguments = message.params.get("arguments", {})
        if tool is None or not isinstance(arguments, dict):
            raise Wrong(PARAMS, "`name` takes one of tools/list, `arguments` an object.", HTTPStatus.OK)
        if tool.scope not in _scopes(call):
            return _done(message, _failed(_("This token lacks the scope {missing}.", missing=tool.scope)))
        takes = tool.takes.__struct_fields__
        if other := sorted(arguments.keys() - set(takes)):
            said = _("`{name}` isn't taken; these are: {names}.", name=other[0][:60], names=", ".join(takes))
            return _done(message, _failed(said))
        asked = replace(call, body=arguments)
        if issubclass(tool.takes, Asking):
            call.count(Bucket.ASK)
        try:
            if issubclass(tool.takes, Asking):
                return await self._asked(asked, message, read_body(asked, tool.takes))
            content = await read_body(asked, tool.takes).finds(asked)
        except (Refused, UserError) as error:
            return _done(message, _failed(_said(error)))
        return _done(message, {"content": content, "isError": False})

    async def _asked(self, call: Call, message: Message, given: Asking) -> Answer:
        """Queue a job and return its events. Who leaves stops it; in revisions before, a lost connection
        stopped nothing."""
        call.stream()
        new = await given.asks(call)
        running = Running(call, submit_all(call, [new]))
        left = running.stop if message.modern else None
        try:
            job = await running.job()
        except asyncio.CancelledError:  # nobody waits for the first byte any more
            if left is not None:
                await left()
            raise
        events = self._events(running, job, message, wait=given.wait)
        return Stream(events, "text/event-stream", left=left)

    async def _events(
        self, running: Running, job: Job, message: Message, *, wait: bool
    ) -> AsyncGenerator[bytes, None]:
        """Yield how far a job is, and what it made; without ``wait``, how far it is now."""
        assert message.id is not None
        key, call = (_who(running.call), message.id), running.call
        self._running[key].append(running)
        try:
            yield b": the job is queued\n\n"
            if wait:
                async for told in _progress(call, message, job):
                    yield event_of(told)
            result: dict[str, Any] = {"content": await describe_result(call, job.id), "isError": False}
        except (Refused, UserError) as error:
            result = _failed(_said(error))
        finally:
            self._running[key].remove(running)
            if not self._running[key]:
                del self._running[key]
        yield event_of(_shape(message, result))


async def _progress(call: Call, message: Message, job: Job) -> AsyncGenerator[dict[str, Any], None]:
    """Yield how far a job is, in percent, if that is wished; return when it is over. Raises Refused for an
    end without a result."""
    token, last = message.about.get("progressToken"), 0.0
    async for event in await call.studio.watch(call.actor, job.id):
        check_end(event)
        if not isinstance(token, str | int):
            continue
        percent = last + 0.01  # it must grow with each message
        if isinstance(event, Progress):
            percent = max(percent, 100.0 * event.step / max(1, event.total))
        state = describe_event(job.id, event)
        text = f"{job.id}: {state.get('doing') or state['state']}"
        last = percent
        told = {"progressToken": token, "progress": round(percent, 2), "total": 100, "message": text}
        yield {"jsonrpc": "2.0", "method": "notifications/progress", "params": told}


def read_message(call: Call, number: str | int | None) -> Message:
    """Return the message of a call. Raises Wrong, where it is none or its headers say something else."""
    body = call.body
    method, params = body.get("method"), body.get("params", {})
    if body.get("jsonrpc") != "2.0":
        raise Wrong(INVALID, '`jsonrpc` takes "2.0".')
    if not isinstance(method, str):
        raise Wrong(INVALID, "`method` takes a text.")
    if not isinstance(params, dict):
        raise Wrong(INVALID, "`params` takes an object.")
    if "id" in body and number is None:
        raise Wrong(INVALID, "`id` takes a text or a whole number.")
    found = Message(method, params, number, modern=False)
    version, header = found.about.get(f"{OWN}protocolVersion"), call.headers.get("MCP-Protocol-Version")
    if version is None and (header is None or header in LEGACY) or number is None and version is None:
        return found
    if version is None and header != MODERN:
        raise _unsupported(header)
    if version is None or not isinstance(found.about.get(f"{OWN}clientCapabilities"), dict):
        raise Wrong(PARAMS, f"`_meta` takes {OWN}protocolVersion and {OWN}clientCapabilities.")
    _check_headers(call, found, version)
    if version != MODERN:
        raise _unsupported(version)
    return replace(found, modern=True)


def _check_headers(call: Call, message: Message, version: Any) -> None:
    """Raise Wrong unless the headers say the same as the message."""
    wanted = {"MCP-Protocol-Version": version, "Mcp-Method": message.method}
    if message.method == "tools/call":
        wanted["Mcp-Name"] = message.params.get("name")
    for name, value in wanted.items():
        if (sent := _plain(call.headers.get(name, ""))) != value:
            raise Wrong(HEADER, f"Header mismatch: {name} is {sent[:60]!r}, the message says {value!r}.")


def _plain(sent: str) -> str:
    """Return what a header says, which base64 may wrap."""
    if not (sent.startswith("=?base64?") and sent.endswith("?=")):
        return sent
    try:
        return base64.b64decode(sent[9:-2], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return sent


def _unsupported(version: Any) -> Wrong:
    known = {"supported": [MODERN, *LEGACY], "requested": version}
    return Wrong(VERSION, "Unsupported protocol version", **known)


def _scopes(call: Call) -> frozenset[str]:
    """Return what the caller may do; a person in a browser, everything."""
    assert call.person is not None
    return frozenset(Scope if call.person.token is None else call.person.token.scopes.split())


def _who(call: Call) -> str:
    assert call.person is not None
    return call.person.session or (call.person.token.id if call.person.token else "")


@cache  # it is read from a file
def _server() -> dict[str, str]:
    return {"name": "atelier", "title": "Atelier", "version": release()}


def _offers() -> dict[str, Any]:
    return {"capabilities": {"tools": {}}}


def _done(message: Message, result: dict[str, Any]) -> Json:
    return Json(_shape(message, result))


def _shape(message: Message, result: dict[str, Any]) -> dict[str, Any]:
    about = {"resultType": "complete", "_meta": {f"{OWN}serverInfo": _server()}} if message.modern else {}
    return {"jsonrpc": "2.0", "id": message.id, "result": result | about}


def _failed(text: str) -> dict[str, Any]:
    content: Content = [{"type": "text", "text": text}]
    return {"content": content, "isError": True}


def _said(error: Refused | UserError) -> str:
    return retold(error.detail if isinstance(error, Refused) else str(error))
