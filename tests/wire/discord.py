"""A small Discord on 127.0.0.1: the gateway and the REST routes the bot uses, a world that outlives the bot,
and faults.

It knows what was posted where, how often, and when each interaction was acknowledged. It models no
permissions beyond the switches below, no rate-limit buckets, no threads and no TLS. Payload fields:
https://discord.com/developers/docs/reference
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import socket
import struct
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from types import SimpleNamespace
from typing import Any

from aiohttp import BodyPartReader, WSMsgType, web

from tests.support.messages import COMPONENTS, TEXT, parts_of, text_of

BOT, APPLICATION, GUILD, OWNER = 1001, 1002, 2001, 3001
TOKEN = "MTAwMQ.wire.bot"
EPOCH = 1_420_070_400_000  # ms, https://discord.com/developers/docs/reference#snowflakes
ACK_DEADLINE = 3.0  # seconds
NONCE_LIFE = 300.0  # seconds; "the past few minutes"
THINKING, EPHEMERAL = 128, 64  # message flags

FAULTS = ("500", "502", "503", "520", "524", "429", "429 from Cloudflare", "reset before commit")
FAULTS += ("reset after commit", "closed before commit", "closed after commit", "slow", "truncated")
FAULTS += ("wrong content type",)
"""Ways for one request to fail. 5xx and 429 commit nothing; slow, truncated and wrong content type do."""
COMMITTED = ("reset after commit", "closed after commit", "slow", "truncated", "wrong content type")
SLOW = 1.0  # seconds
TOUCHING = ("GET", "PATCH", "DELETE")  # what can be done with a message that is there
Files = list[tuple[str, bytes]]


class Refusal(Exception):
    """An answer other than success, with Discord's error code."""

    def __init__(self, status: int, code: int, message: str) -> None:
        self.status, self.code, self.message = status, code, message


def check_components(components: list[Any], content: str, files: set[str]) -> None:
    """Refuse a message of components alone that Discord would refuse."""
    parts = list(parts_of(components))
    texts = [part["content"] for part in parts if part["type"] == TEXT]
    size = sum(len(text.encode("utf-16-le")) // 2 for text in texts)
    named = set(re.findall(r'"attachment://([^"]+)"', json.dumps(components)))
    wrong = {
        "content": bool(content),
        "components": not 1 <= len(parts) <= 40,
        "texts": size > 4000 or "" in texts,
        "attachments": not named <= files,
    }
    if any(wrong.values()):
        raise Refusal(400, 50035, f"Invalid Form Body: {[name for name, is_so in wrong.items() if is_so]}")


@dataclass
class Message:
    """What stands in a channel. ``versions``: (monotonic seconds, words) of each state it had."""

    id: int
    channel_id: int
    content: str = ""
    files: Files = field(default_factory=list)
    components: list[Any] = field(default_factory=list)
    flags: int = 0
    deleted: bool = False
    author: int = BOT
    versions: list[tuple[float, str]] = field(default_factory=list)

    @property
    def shown(self) -> bool:
        """Something everybody in the channel sees."""
        return not self.deleted and not self.flags & (THINKING | EPHEMERAL)

    @property
    def shown_to_one(self) -> bool:
        """Something that nobody but the person it answers sees."""
        return not self.deleted and self.flags & (THINKING | EPHEMERAL) == EPHEMERAL


@dataclass
class Interaction:
    """Something a person did. Times are monotonic seconds; ``born`` is in the id, in wall-clock seconds.
    ``told``: the sessions that were connected and told of it. ``again``: acknowledgements after the first."""

    id: int
    token: str
    kind: int
    channel_id: int
    user_id: int
    born: float
    sent: float = 0.0
    acknowledged: float | None = None
    message: Message | None = None
    followups: list[Message] = field(default_factory=list)
    payload: dict[str, Any] = field(default_factory=dict, repr=False)
    told: set[str] = field(default_factory=set)
    again: int = 0


@dataclass
class Call:
    """One REST request. ``text``: the words it wants to show, if any."""

    method: str
    path: str
    body: Any
    files: Files
    query: dict[str, str]

    @property
    def text(self) -> str:
        if not isinstance(self.body, dict):
            return ""
        shown = {"content": "", "components": (), **self.body}
        return text_of(SimpleNamespace(**{name: value or () for name, value in shown.items()}))


class Discord:
    """``async with Discord() as discord``: serves at ``discord.url`` until it is left; the world stays
    readable.

    ``fault``: asked for every request, answers with one of FAULTS or None. ``before``, ``after``: told of
    every request before anything happened and after it was committed.
    """

    def __init__(self, *, heartbeat_interval: float = 41.25) -> None:
        self.heartbeat_interval = heartbeat_interval
        self.fault: Callable[[Call], str | None] = lambda call: None
        self.before: Callable[[Call], None] = lambda call: None
        self.after: Callable[[Call], None] = lambda call: None
        self.token_life = 900.0  # seconds, then 401 with code 50027
        self.closed_dms: set[int] = set()  # user ids; 403 with code 50007
        self.forbidden: set[int] = set()  # channel ids; 403 with code 50013
        self.file_limit = float("inf")  # bytes of a request's files; 413 with code 40005
        self.forgets_nonces = False
        self.messages: dict[int, Message] = {}
        self.interactions: dict[str, Interaction] = {}
        self.dms: dict[int, int] = {}  # user id → channel id
        self.commands: dict[str, dict[str, Any]] = {}
        self.faults_done: dict[str, int] = {}
        self.session_life = 180.0  # seconds that a session can be resumed after its connection is lost
        self.identifies = self.resumes = 0
        self.shards, self.max_concurrency = 1, 1  # that it asks for
        self.apart = 0.0  # seconds between two identifies of one key; who comes sooner is told opcode 9
        self.identified: list[tuple[float, int]] = []  # monotonic seconds, shard
        self.too_soon = self.invalid = 0  # identifies within ``apart``; sessions refused with opcode 9
        self.servers = [GUILD]
        self.places: dict[int, int] = {}  # channel → its server, where that isn't GUILD
        self.ended: dict[str, float] = {}  # session that the bot has closed → monotonic seconds
        self.close_codes: list[int | None] = []
        self._nonces: dict[tuple[int, str], tuple[float, Message]] = {}
        self._gateways: set[_Gateway] = set()
        self._sessions: dict[str, _Session] = {}
        self._numbers = itertools.count(1)
        self._waiters: set[asyncio.Future[None]] = set()
        self._runner: web.AppRunner | None = None
        self.port = 0

    # Start and stop

    async def __aenter__(self) -> Discord:
        app = web.Application(client_max_size=1 << 28)
        app.router.add_get("/gateway/", self._gateway)
        app.router.add_route("*", "/{tail:.*}", self._rest)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, backlog=1024).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.drop_gateways(1001)
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def until(
        self, predicate: Callable[[], Any], seconds: float = 60.0, *, every: float | None = None
    ) -> Any:
        """The first true value of ``predicate()``, asked again after each request and each change at the
        gateway, or ``every`` so many seconds for what isn't seen here."""
        async with asyncio.timeout(seconds):
            while not (value := predicate()):
                waiter = asyncio.get_running_loop().create_future()
                self._waiters.add(waiter)
                await asyncio.wait({waiter}, timeout=every)
        return value

    def _notify(self) -> None:
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def new_id(self, age: float = 0.0) -> int:
        """A snowflake, born ``age`` seconds ago."""
        return (int((time.time() - age) * 1000) - EPOCH << 22) | next(self._numbers) % 4096

    # People

    def interaction(self, channel_id: int, user_id: int, kind: int = 2, *, age: float = 0.0) -> Interaction:
        """One that the bot isn't told of."""
        number = self.new_id(age)
        made = Interaction(number, f"aW50-{number}", kind, channel_id, user_id, time.time() - age)
        self.interactions[made.token] = made
        return made

    def deferred(self, channel_id: int, user_id: int, *, age: float = 0.0) -> Interaction:
        """One that the bot has acknowledged with "thinking …"."""
        made = self.interaction(channel_id, user_id, age=age)
        made.acknowledged = time.monotonic()
        made.message = self.post(channel_id, flags=THINKING)
        return made

    def slash(self, name: str, channel_id: int, user_id: int, **options: Any) -> Interaction:
        """Somebody types a command, "queue mine" for one of a group; the bot hears of it at once."""
        made, (name, *part) = self.interaction(channel_id, user_id), name.split()
        values = [{"name": key, "type": 3, "value": value} for key, value in options.items()]
        inside = [{"name": part[0], "type": 1, "options": values}] if part else values
        data = {"id": str(self.commands[name]["id"]), "name": name, "type": 1, "options": inside}
        return self.act(made, {"data": data})

    def launch(self, channel_id: int, user_id: int) -> Interaction:
        """Somebody presses the command that opens the Activity."""
        data = {"id": self.commands["launch"]["id"], "name": "launch", "type": 4}
        return self.act(self.interaction(channel_id, user_id), {"data": data})

    def press(self, message: Message, custom_id: str, user_id: int) -> Interaction:
        """Somebody presses a button."""
        made = self.interaction(message.channel_id, user_id, kind=3)
        data = {"custom_id": custom_id, "component_type": 2}
        return self.act(made, {"data": data, "message": self._message(message)})

    def act(self, made: Interaction, extra: dict[str, Any]) -> Interaction:
        member = {"user": _user(made.user_id), "roles": [], "joined_at": "2026-01-01T00:00:00+00:00"}
        member |= {"permissions": "0", "deaf": False, "mute": False, "flags": 0}
        made.sent, guild_id = time.monotonic(), self.places.get(made.channel_id, GUILD)
        made.payload = {"id": str(made.id), "application_id": str(APPLICATION), "type": made.kind}
        made.payload |= {"token": made.token, "version": 1, "guild_id": str(guild_id)}
        made.payload |= {"channel_id": str(made.channel_id), "channel": _channel(made.channel_id, guild_id)}
        made.payload |= {"member": member, "app_permissions": "2147483647", "locale": "en-US"}
        made.payload |= {"entitlements": [], "context": 0}
        made.payload |= {"authorizing_integration_owners": {"0": str(guild_id)}}
        made.payload |= {"attachment_size_limit": 10 * 2**20, **extra}
        self.tell(made)
        return made

    def tell(self, made: Interaction) -> None:
        """The bot hears of it; twice, as when a resumed gateway tells again, if called again."""
        made.told |= self._dispatch("INTERACTION_CREATE", made.payload)

    # The world

    def post(self, channel_id: int, content: str = "", *, flags: int = 0, author: int = BOT) -> Message:
        message = Message(self.new_id(), channel_id, content, flags=flags, author=author)
        self.messages[message.id] = message
        return message

    def finals(self, job_id: str) -> list[Message]:
        """Messages that tell the end of a job."""
        return [m for m in self.messages.values() if m.shown and f"job {job_id}" in text_of(m)]

    def _message(self, message: Message) -> dict[str, Any]:
        attachments = [
            {
                "id": str(message.id + i),
                "filename": name,
                "size": len(data),
                "url": f"{self.url}/attachments/{message.id}/{i}",
                "proxy_url": f"{self.url}/attachments/{message.id}/{i}",
            }
            for i, (name, data) in enumerate(message.files)
        ]
        made = {"id": str(message.id), "channel_id": str(message.channel_id), "author": _user(message.author)}
        made |= {"content": message.content, "timestamp": "2026-01-01T00:00:00+00:00"}
        made |= {"edited_timestamp": None, "tts": False, "mention_everyone": False, "mentions": []}
        made |= {"mention_roles": [], "attachments": attachments, "embeds": [], "pinned": False, "type": 0}
        made |= {"flags": message.flags, "components": message.components}
        return made

    # REST

    async def _rest(self, request: web.Request) -> web.StreamResponse:
        call = Call(request.method, re.sub(r"^/api/v\d+", "", request.path), None, [], dict(request.query))
        if call.method not in ("GET", "DELETE"):
            call.body, call.files = await _read(request)
        self.before(call)
        fault = self.fault(call)
        if fault is None:
            return self._answer(call)
        self.faults_done[fault] = self.faults_done.get(fault, 0) + 1
        return await self._faulty(request, call, fault)

    def _answer(self, call: Call) -> web.Response:
        try:
            status, result = 200, self.route(call)
        except Refusal as refusal:
            status, result = refusal.status, {"message": refusal.message, "code": refusal.code}
        self.after(call)
        self._notify()
        if result is None:
            return web.Response(status=204)
        if isinstance(result, bytes):
            return web.Response(body=result, content_type="image/png")
        return _json(result, status)

    async def _faulty(self, request: web.Request, call: Call, fault: str) -> web.StreamResponse:
        answer = self._answer(call) if fault in COMMITTED else None
        if fault.isdecimal() and fault != "429":
            return web.Response(status=int(fault), text="<html>bad gateway</html>", content_type="text/html")
        if fault == "429":
            wait = {"message": "You are being rate limited.", "retry_after": 0.1, "global": False}
            return _json(wait, 429, {"Retry-After": "1", "Via": "1.1 google", "X-RateLimit-Scope": "user"})
        if fault == "429 from Cloudflare":
            return web.Response(status=429, text="<html>error code: 1015</html>", content_type="text/html")
        if fault in ("reset before commit", "reset after commit"):
            linger = struct.pack("ii", 1, 0)  # no lingering: the close is a reset
            request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            request.transport.abort()
        elif fault in ("closed before commit", "closed after commit"):
            request.transport.close()
        elif fault == "slow":
            await asyncio.sleep(SLOW)
            return answer
        elif fault == "truncated":
            half = answer.body[: len(answer.body) // 2]
            return web.Response(body=half, headers={"Content-Type": "application/json"})
        elif fault == "wrong content type":
            return web.Response(body=answer.body, headers={"Content-Type": "text/plain"})
        return web.Response()

    @cached_property
    def _routes(self) -> tuple[tuple[str, str, Callable[..., Any]], ...]:
        """Method, pattern of the path, and what answers."""
        return (
            ("GET", "/gateway(?:/bot)?", self._gateway_address),
            ("GET", "/users/@me", self._me),
            ("GET", r"/users/(\d+)", self._person),
            ("GET", "/oauth2/applications/@me", self._application),
            ("GET", r"/applications/(\d+)/commands", self._get_commands),
            ("PUT", r"/applications/(\d+)/commands", self._put_commands),
            ("POST", r"/interactions/(\d+)/([^/]+)/callback", self._acknowledge),
            *((method, r"/webhooks/(\d+)/([^/]+)/messages/@original", self._original) for method in TOUCHING),
            ("POST", r"/webhooks/(\d+)/([^/]+)", self._followup),
            ("POST", r"/channels/(\d+)/messages", self._create),
            ("GET", r"/channels/(\d+)/messages", self._history),
            *((method, r"/channels/(\d+)/messages/(\d+)", self._one) for method in TOUCHING),
            ("POST", "/users/@me/channels", self._open_dm),
            ("GET", r"/attachments/(\d+)/(\d+)", self._attachment),
        )

    def route(self, call: Call) -> Any:
        if sum(len(data) for _, data in call.files) > self.file_limit:
            raise Refusal(413, 40005, "Request entity too large")
        for method, pattern, handler in self._routes:
            found = re.fullmatch(pattern, call.path) if method == call.method else None
            if found:
                return handler(call, *(int(g) if g.isdecimal() else g for g in found.groups()))
        raise Refusal(404, 0, f"404: no such route here: {call.method} {call.path}")

    def _me(self, call: Call) -> Any:
        return {**_user(BOT), "bot": True, "verified": True, "mfa_enabled": False, "flags": 0}

    def _person(self, call: Call, user_id: int) -> Any:
        return _user(user_id)

    def _application(self, call: Call) -> Any:
        made = {"id": str(APPLICATION), "name": "Atelier", "description": "", "icon": None}
        made |= {"bot_public": True, "bot_require_code_grant": False, "owner": _user(OWNER)}
        made |= {"verify_key": "0" * 64, "flags": 0}
        return made

    def _gateway_address(self, call: Call) -> Any:
        limit = {"total": 1000, "remaining": 999, "reset_after": 0, "max_concurrency": self.max_concurrency}
        url = self.url.replace("http", "ws") + "/gateway/"
        return {"url": url, "shards": self.shards, "session_start_limit": limit}

    def make_entry_point(self) -> dict[str, Any]:
        """The command that Discord makes where Activities are ticked."""
        made = {"id": str(self.new_id()), "name": "launch", "type": 4, "description": "", "handler": 1}
        self.commands["launch"] = {**made, "application_id": APPLICATION}
        return self.commands["launch"]

    def _get_commands(self, call: Call, application: int) -> Any:
        return [{**command, "id": str(command["id"])} for command in self.commands.values()]

    def _put_commands(self, call: Call, application: int) -> Any:
        kept = {name for name, command in self.commands.items() if command["type"] == 4}
        if kept - {command["name"] for command in call.body}:
            raise Refusal(400, 50240, "You cannot remove this app's Entry Point command in a bulk update")
        named = {"application_id": application}
        self.commands = {c["name"]: {"id": self.new_id(), **c, **named} for c in call.body}
        known = {"description": "", "contexts": None, "integration_types": None}  # menus have no description
        return [{**known, **c, "id": str(c["id"])} for c in self.commands.values()]

    def _acknowledge(self, call: Call, number: int, token: str) -> Any:
        made = self.interactions.get(token)
        if made is None or (made.acknowledged is None and time.monotonic() - made.sent > ACK_DEADLINE):
            raise Refusal(404, 10062, "Unknown interaction")
        if made.acknowledged is not None:
            made.again += 1
            raise Refusal(400, 40060, "Interaction has already been acknowledged.")
        made.acknowledged = time.monotonic()
        data, kind = call.body.get("data") or {}, call.body["type"]
        if kind in (4, 5):
            flags = int(data.get("flags") or 0) | (THINKING if kind == 5 else 0)
            made.message = self.post(made.channel_id, flags=flags)
            self._change(made.message, data, call.files, keep_flags=True)
        elif kind in (6, 7):  # the message with the button stays, or changes
            made.message = self.messages.get(int(made.payload.get("message", {}).get("id", 0)))
            if kind == 7 and made.message is not None:
                self._change(made.message, data, call.files)
        told = {"interaction": {"id": str(made.id), "type": made.kind}}
        if kind == 12:
            told["resource"] = {"type": kind, "activity_instance": {"id": f"i-{made.id}"}}
        if made.message:
            told["resource"] = {"type": kind, "message": self._message(made.message)}
        return told

    def _by_token(self, token: str) -> Interaction:
        made = self.interactions.get(token)
        if made is None or made.acknowledged is None:
            raise Refusal(404, 10015, "Unknown Webhook")
        if time.time() - made.born > self.token_life:
            raise Refusal(401, 50027, "Invalid Webhook Token")
        return made

    def _original(self, call: Call, application: int, token: str) -> Any:
        message = self._by_token(token).message
        if message is None or message.deleted:
            raise Refusal(404, 10008, "Unknown Message")
        return self._touch(call, message)

    def _followup(self, call: Call, application: int, token: str) -> Any:
        made = self._by_token(token)
        flags = int(call.body.get("flags") or 0)
        # It takes the place of "thinking …"
        first = made.message is not None and made.message.flags & THINKING
        message = made.message if first else self.post(made.channel_id, flags=flags)
        if not first:
            made.followups.append(message)
        self._change(message, call.body, call.files)
        return self._message(message)

    def _one(self, call: Call, channel_id: int, message_id: int) -> Any:
        message = self.messages.get(message_id)
        if message is None or message.deleted or message.channel_id != channel_id:
            raise Refusal(404, 10008, "Unknown Message")
        return self._touch(call, message)

    def _touch(self, call: Call, message: Message) -> Any:
        if call.method == "DELETE":
            message.deleted = True
            return None
        if call.method == "PATCH":
            self._change(message, call.body, call.files)
        return self._message(message)

    def _change(self, message: Message, body: dict, files: Files, *, keep_flags: bool = False) -> None:
        if not keep_flags:
            message.flags &= ~THINKING
        content = body.get("content", message.content) or ""
        components = body.get("components", message.components) or []
        shown = files if "attachments" in body or files else message.files
        flags = message.flags | int(body.get("flags") or 0) & COMPONENTS
        if flags & COMPONENTS:
            check_components(components, content, {name for name, _ in shown})
        message.content, message.components, message.files, message.flags = content, components, shown, flags
        message.versions.append((time.monotonic(), text_of(message)))

    def _create(self, call: Call, channel_id: int) -> Any:
        person = next((user for user, channel in self.dms.items() if channel == channel_id), None)
        if person in self.closed_dms:
            raise Refusal(403, 50007, "Cannot send messages to this user")
        if channel_id in self.forbidden:
            raise Refusal(403, 50013, "Missing Permissions")
        key = (channel_id, str(call.body.get("nonce")))
        if call.body.get("enforce_nonce") and not self.forgets_nonces:
            at, message = self._nonces.get(key, (float("-inf"), None))
            if time.monotonic() - at < NONCE_LIFE:
                return self._message(message)
        message = self.post(channel_id)
        self._change(message, call.body, call.files)
        self._nonces[key] = (time.monotonic(), message)
        return self._message(message)

    def _history(self, call: Call, channel_id: int) -> Any:
        after, before = int(call.query.get("after", 0)), int(call.query.get("before", 1 << 63))
        here = [m for m in self.messages.values() if m.channel_id == channel_id and m.shown]
        found = sorted((m for m in here if after < m.id < before), key=lambda m: m.id)
        limit = int(call.query.get("limit", 50))
        return [self._message(m) for m in reversed(found[:limit] if after else found[-limit:])]

    def _open_dm(self, call: Call) -> Any:
        user_id = int(call.body["recipient_id"])
        channel_id = self.dms.setdefault(user_id, self.new_id())
        return {"id": str(channel_id), "type": 1, "recipients": [_user(user_id)], "last_message_id": None}

    def _attachment(self, call: Call, message_id: int, index: int) -> Any:
        return self.messages[message_id].files[index][1]

    # Gateway

    async def _gateway(self, request: web.Request) -> web.StreamResponse:
        socket_ = web.WebSocketResponse(max_msg_size=0)
        await socket_.prepare(request)
        gateway = _Gateway(socket_, compressed="compress" in request.query)
        self._gateways.add(gateway)
        writer = asyncio.create_task(gateway.write())
        gateway.op(10, {"heartbeat_interval": int(self.heartbeat_interval * 1000)})
        try:
            async for message in socket_:
                if message.type is WSMsgType.TEXT:
                    await self._said(gateway, json.loads(message.data))
        finally:
            writer.cancel()
            self._lose(gateway)
            self._notify()
        return socket_

    async def _said(self, gateway: _Gateway, said: dict[str, Any]) -> None:
        match said["op"]:
            case 1:
                gateway.op(11, None)
            case 2:
                if said["d"]["token"] != TOKEN:
                    await gateway.socket.close(code=4004)
                    return
                number, count = said["d"].get("shard", (0, 1))
                if not self._in_time(number):
                    self._refuse_session(gateway)
                    return
                gateway.session = f"session-{next(self._numbers)}"
                session = self._sessions[gateway.session] = _Session(shard=number, shards=count)
                held = [one for one in self.servers if session.holds(one)]
                self._send(
                    gateway.session,
                    "READY",
                    {
                        "v": 10,
                        "user": self._me(None),
                        "guilds": [{"id": str(one), "unavailable": True} for one in held],
                        "shard": [number, count],
                        "session_id": gateway.session,
                        "resume_gateway_url": self.url.replace("http", "ws") + "/gateway/",
                        "application": {"id": str(APPLICATION), "flags": 0},
                    },
                )
                for one in held:
                    self._send(gateway.session, "GUILD_CREATE", _guild(one))
                self.identifies += 1
            case 6:
                self._resume(gateway, said["d"])
        self._notify()

    def _refuse_session(self, gateway: _Gateway) -> None:
        self.invalid += 1
        gateway.op(9, False)

    def _in_time(self, shard: int) -> bool:
        now, key = time.monotonic(), shard % self.max_concurrency
        last = max((at for at, other in self.identified if other % self.max_concurrency == key), default=0.0)
        self.identified.append((now, shard))
        self.too_soon += now - last < self.apart
        return now - last >= self.apart

    def _resume(self, gateway: _Gateway, said: dict[str, Any]) -> None:
        """Tell again what came after the sequence number that the bot names."""
        session = self._sessions.get(said["session_id"])
        if session is None or said["token"] != TOKEN or session.lost < time.monotonic() - self.session_life:
            self._refuse_session(gateway)
            return
        gateway.session, session.lost = said["session_id"], float("inf")
        for text in session.events[said["seq"] :]:
            gateway.queue.put_nowait(text)
        self._send(gateway.session, "RESUMED", {})
        self.resumes += 1

    def _send(self, session: str, event: str, payload: dict[str, Any]) -> None:
        events = self._sessions[session].events
        events.append(json.dumps({"op": 0, "t": event, "s": len(events) + 1, "d": payload}))
        for gateway in self._gateways:
            if gateway.session == session:
                gateway.queue.put_nowait(events[-1])

    def _dispatch(self, event: str, payload: dict[str, Any]) -> set[str]:
        """To every session that lives, connected or not; several may have the same shard. Return those that
        are connected."""
        too_old = time.monotonic() - self.session_life
        self._sessions = {name: one for name, one in self._sessions.items() if one.lost >= too_old}
        guild_id = payload.get("guild_id")
        connected, told = {gateway.session for gateway in self._gateways}, set[str]()
        for name, session in self._sessions.items():
            if session.holds(None if guild_id is None else int(guild_id)):
                self._send(name, event, payload)
                told |= {name} & connected
        return told

    def dispatch(self, event: str, payload: dict[str, Any]) -> None:
        """Tell the bot of something that changed, now or when it resumes."""
        self._dispatch(event, payload)

    def _lose(self, gateway: _Gateway) -> None:
        """A connection has ended: its session goes on for a while, unless it was closed for good."""
        self._gateways.discard(gateway)
        self.close_codes.append(gateway.socket.close_code)
        session = self._sessions.get(gateway.session or "")
        if session is not None and all(other.session != gateway.session for other in self._gateways):
            session.lost = time.monotonic()
            if not gateway.dropped and gateway.socket.close_code in (1000, 1001):
                del self._sessions[gateway.session]
                self.ended[gateway.session] = time.monotonic()

    def holding(self, shard: int) -> int:
        """How many connections there are with this number whose session has begun."""
        sessions = (self._sessions.get(gateway.session or "") for gateway in self._gateways)
        return sum(one is not None and one.shard == shard for one in sessions)

    @property
    def connected(self) -> bool:
        return any(gateway.session for gateway in self._gateways)

    @property
    def sessions_begun(self) -> int:
        """How often the bot has begun or resumed a session."""
        return self.identifies + self.resumes

    async def drop_gateways(self, code: int = 4000) -> None:
        """Close every connection; 4000 may be resumed."""
        for gateway in list(self._gateways):
            gateway.dropped = True  # the bot's answer says nothing then: aiohttp's is 1000
            await gateway.socket.close(code=code)


@dataclass
class _Session:
    """What was told in a session, for one that resumes it. ``lost``: monotonic seconds."""

    events: list[str] = field(default_factory=list)
    lost: float = float("inf")
    shard: int = 0
    shards: int = 1

    def holds(self, guild_id: int | None) -> bool:
        """Whether it is told of a server, None = of direct messages."""
        return self.shard == (0 if guild_id is None else (guild_id >> 22) % self.shards)


class _Gateway:
    """One connection of the bot."""

    def __init__(self, socket_: web.WebSocketResponse, *, compressed: bool) -> None:
        self.socket, self.session, self.dropped = socket_, None, False
        self.queue: asyncio.Queue[str] = asyncio.Queue()
        self._deflate = zlib.compressobj() if compressed else None

    def op(self, op: int, data: Any) -> None:
        self.queue.put_nowait(json.dumps({"op": op, "d": data, "s": None, "t": None}))

    async def write(self) -> None:
        while True:
            text = await self.queue.get()
            try:
                if self._deflate is None:
                    await self.socket.send_str(text)
                else:
                    packed = self._deflate.compress(text.encode())
                    await self.socket.send_bytes(packed + self._deflate.flush(zlib.Z_SYNC_FLUSH))
            except (ConnectionError, RuntimeError):  # the bot is gone
                return


async def _read(request: web.Request) -> tuple[Any, Files]:
    """The JSON body and the files, from JSON or from multipart ("payload_json" and "files[n]")."""
    if not request.content_type.startswith("multipart/"):
        text = await request.text()
        return (json.loads(text) if text else None), []
    body, files = {}, []
    async for part in await request.multipart():
        assert isinstance(part, BodyPartReader)
        data = bytes(await part.read())
        if part.name == "payload_json":
            body = json.loads(data)
        else:
            files.append((part.filename or "", data))
    return body, files


def _json(payload: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """discord.py reads a body as JSON only when the type is exactly this, without a charset."""
    headers = {**(headers or {}), "Content-Type": "application/json"}
    return web.Response(body=json.dumps(payload).encode(), status=status, headers=headers)


def _user(user_id: int) -> dict[str, Any]:
    made = {"id": str(user_id), "username": f"user{user_id}", "discriminator": "0", "global_name": None}
    made |= {"avatar": None, "bot": user_id == BOT}
    return made


def _channel(channel_id: int, guild_id: int = GUILD) -> dict[str, Any]:
    made = {"id": str(channel_id), "type": 0, "name": f"channel-{channel_id}", "position": 0}
    made |= {"permission_overwrites": [], "nsfw": False, "parent_id": None, "guild_id": str(guild_id)}
    made |= {"permissions": "2147483647"}
    return made


def _guild(guild_id: int = GUILD) -> dict[str, Any]:
    everyone = {"id": str(guild_id), "name": "@everyone", "permissions": "2147483647", "position": 0}
    everyone |= {"color": 0, "hoist": False, "managed": False, "mentionable": False, "flags": 0}
    everyone |= {"colors": {"primary_color": 0}}
    made = {"id": str(guild_id), "name": "Wire", "icon": None, "owner_id": str(OWNER), "roles": [everyone]}
    made |= {"emojis": [], "stickers": [], "features": [], "channels": [_channel(guild_id + 1, guild_id)]}
    made |= {"threads": [], "members": [], "member_count": 2, "voice_states": [], "presences": []}
    made |= {"stage_instances": [], "guild_scheduled_events": [], "soundboard_sounds": []}
    made |= {"verification_level": 0, "default_message_notifications": 0, "explicit_content_filter": 0}
    made |= {"mfa_level": 0, "nsfw_level": 0, "premium_tier": 0, "system_channel_flags": 0}
    made |= {"preferred_locale": "en-US", "afk_timeout": 300, "large": False, "unavailable": False}
    made |= {"joined_at": "2026-01-01T00:00:00+00:00", "application_id": None, "description": None}
    made |= {"banner": None, "splash": None, "discovery_splash": None, "afk_channel_id": None}
    made |= {"system_channel_id": None, "rules_channel_id": None, "public_updates_channel_id": None}
    made |= {"vanity_url_code": None, "premium_progress_bar_enabled": False}
    return made
