"""The bus: a connection that mends itself, may be made before there is a server and outlives it, who a
program is there (BUS_CREDS), and how messages are written: one byte for the version, then named fields in
MessagePack.

Subjects here are without the studio's prefix: ``beat.h1`` is ``at.beat.h1`` on the server. A message is
decoded into the class that its reader expects, each field by its type: what is unknown, missing, of another
type or too large is refused. Nothing that is read can name code."""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import logging
import re
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from core.errors import BusAway, BusError, WireError
from core.settings import Settings

CREDENTIALS_MOST = 64 * 2**10  # bytes of a file
_SEED = re.compile(r"SU[A-Z2-7]{56}")
_USER = re.compile(r"([A-Za-z0-9_-]{1,63}):(\S+)")
CREDENTIALS_FORMS = (
    "BUS_CREDS takes user:password, user:seed of an nkey, a seed alone, NATS's credentials, or the path of a"
    " file with one"
)
NEEDS_NKEYS = (
    "BUS_CREDS holds {what}, which needs the package nkeys: make setup EXTRAS=nkeys. Without it BUS_CREDS"
    " takes user:password."
)


@dataclass(frozen=True)
class Credentials:
    """user: on the bus, "" where only the server knows it: then the node's. options: of the client."""

    user: str = ""
    options: dict[str, Any] = field(default_factory=dict, repr=False)


def read_credentials(text: str) -> Credentials:
    """Return what ``text`` says, or the file that it names. Raises BusError."""
    if not text:
        return Credentials()
    found = _read(text)
    if found is not None:
        return found
    try:
        with Path(text).expanduser().open("rb") as file:
            held = file.read(CREDENTIALS_MOST).decode().strip()
    except (OSError, ValueError) as error:
        raise BusError(f"{CREDENTIALS_FORMS}; it can't be read: {type(error).__name__}") from error
    found = _read(held)
    if found is None:
        raise BusError(f"{CREDENTIALS_FORMS}; the file holds none of them")
    return found


def _read(text: str) -> Credentials | None:
    if "-----BEGIN NATS USER JWT-----" in text:
        _check_nkeys("NATS's credentials")
        from nats.aio.client import RawCredentials

        return Credentials(options={"user_credentials": RawCredentials(text)})
    pair = _USER.fullmatch(text)
    user, secret = (pair[1], pair[2]) if pair is not None else ("", text)
    if _SEED.fullmatch(secret):
        # The program signs what the server sends it. The server isn't told ``user``: its rights are the
        # key's, and name the subjects that answers come by
        _check_nkeys("an nkey's seed")
        return Credentials(user, {"nkeys_seed_str": secret})
    return Credentials(user, {"user": user, "password": secret}) if pair is not None else None


def _check_nkeys(what: str) -> None:
    if importlib.util.find_spec("nkeys") is None:
        raise BusError(NEEDS_NKEYS.format(what=what))


VERSION = 5  # of all messages; programs of two versions exchange none
MESSAGE_MOST = 8 * 2**20  # bytes of a message, as the server takes them (max_payload)


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Base of all messages. Where one of several may come, its class's name says which."""


class OtherVersion(WireError):
    """A program of another version has sent a message. ``version``: its."""

    def __init__(self, version: int) -> None:
        super().__init__(f"a message of version {version}, where this program has {VERSION}")
        self.version = version


_encoder = msgspec.msgpack.Encoder(enc_hook=str)  # what MessagePack has no form for goes as in the rows
_decoder = functools.cache(msgspec.msgpack.Decoder)


def encode_message(message: Message, most: int = MESSAGE_MOST) -> bytes:
    """Return a message as bytes. Raises WireError for more than ``most``, or what can't be written."""
    buffer = bytearray((VERSION,))
    try:
        _encoder.encode_into(message, buffer, 1)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise WireError(f"{type(message).__name__} can't be written: {error}") from error
    if len(buffer) > most:
        raise WireError(f"{type(message).__name__} has {len(buffer):,} bytes, at most {most:,} are taken")
    return bytes(buffer)


def decode_message(data: bytes, kind: type[T], most: int = MESSAGE_MOST) -> T:
    """Return the message that ``data`` is. kind: a class of messages, or a union of some. Raises WireError,
    OtherVersion for one of a program of another version."""
    if not data or len(data) > most:
        raise WireError(f"a message of {len(data):,} bytes, where 1 to {most:,} are taken")
    if data[0] != VERSION:
        raise OtherVersion(data[0])
    try:
        return _decoder(kind).decode(memoryview(data)[1:])
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise WireError(f"no {getattr(kind, '__name__', 'message')}: {error}") from error


RECONNECT_WAIT = 0.5  # seconds
PING_EVERY, PINGS_MISSED = 2, 2  # a server that is gone without a word is noticed after about 5 s
CONNECT_PATIENCE = 5
BUFFER = 64 * 2**20  # bytes that may wait for a slow line
SLOW = 64 * 2**20  # bytes that wait for a subscription's reader; then messages are dropped
TOLD_EVERY = 60.0  # seconds between two lines in the log about the same trouble
AT_ONCE = 16  # questions of one subscription that are answered beside each other
NEEDS_SCALE = "BUS_URL needs: make setup EXTRAS=scale"
T = TypeVar("T", bound=Message)
Hear = Callable[[T, str], None]
Answer = Callable[[T, str], Awaitable[Message | None]]
log = logging.getLogger(__name__)


@dataclass
class Counts:
    """What has happened on a connection. refused: by the server, for lack of rights."""

    reconnects: int = 0
    unread: int = 0
    refused: int = 0


@dataclass
class _Wanted:
    subject: str
    take: Callable[[Any], Awaitable[None]]
    handle: Any = field(default=None, repr=False)


class Bus:
    """Publishes, asks and listens. All methods belong to the event loop's thread; see ``connected``."""

    def __init__(self, client: Any, prefix: str, me: str) -> None:
        self._client, self._prefix, self.me = client, prefix, me
        self.counts, self._up = Counts(), asyncio.Event()
        self.last_refusal = self.last_trouble = ""
        self._closing = False
        self._wanted: list[_Wanted] = []
        self._watchers: list[Callable[[], None]] = []
        self._answering: set[asyncio.Task[None]] = set()
        self._told_at: dict[str, float] = {}

    @property
    def is_up(self) -> bool:
        """Whether there is a connection now, as far as is known."""
        return bool(self._client.is_connected)

    @property
    def most(self) -> int:
        """Bytes of the largest message that the server takes."""
        return min(MESSAGE_MOST, self._client.max_payload)

    def watch(self, changed: Callable[[], None]) -> None:
        """Call ``changed`` whenever the connection is lost or there again."""
        self._watchers.append(changed)

    async def publish(self, subject: str, message: Message) -> bool:
        """Send a message to whoever listens; False when there is no connection: then it is dropped. Raises
        WireError when it is too large."""
        data = encode_message(message, self.most)
        if not self.is_up:
            return False
        try:
            await self._client.publish(self._full(subject), data)
        except Exception as error:  # the library's own kinds; the connection was lost in this moment
            log.debug("%s is dropped: %s", subject, type(error).__name__)
            return False
        return True

    async def request(self, subject: str, message: Message, kind: type[T], *, patience: float) -> T:
        """Send a message and return its answer. patience: seconds. Raises BusAway, WireError."""
        data = encode_message(message, self.most)
        if not self.is_up:
            raise BusAway(f"the bus is away, so {subject} could not be asked")
        try:
            answer = await self._client.request(self._full(subject), data, timeout=patience)
        except Exception as error:
            raise BusAway(f"no answer from {subject}: {type(error).__name__}") from error
        return decode_message(answer.data, kind)

    async def listen(
        self,
        subject: str,
        kind: type[T],
        hear: Hear[T],
        *,
        most: int = MESSAGE_MOST,
        unread: Callable[[WireError, str], None] | None = None,
    ) -> Callable[[], Awaitable[None]]:
        """Call ``hear`` with each message of a subject, and the subject; return what ends that. ``*`` in the
        subject stands for any word. most: bytes of a message. unread: is told of those that can't be read."""

        async def take(message: T, raw: Any, short: str) -> None:
            try:
                hear(message, short)
            except Exception:  # whatever one message does, the next one is heard
                log.exception("a message of %s can't be dealt with", short)

        return await self._subscribe(subject, kind, take, most, unread)

    async def serve(
        self, subject: str, kind: type[T], answer: Answer[T], *, most: int = MESSAGE_MOST
    ) -> Callable[[], Awaitable[None]]:
        """Answer each message of a subject with what ``answer`` returns, None = not at all; return what ends
        that. AT_ONCE answers are made beside each other."""
        places = asyncio.Semaphore(AT_ONCE)

        async def reply(message: T, raw: Any, short: str) -> None:
            try:
                said = await answer(message, short)
                if said is not None and raw.reply and self.is_up:
                    await self._client.publish(raw.reply, encode_message(said, self.most))
            except Exception:  # whatever one question does, the next one is answered
                log.exception("a question of %s can't be answered", short)
            finally:
                places.release()

        async def take(message: T, raw: Any, short: str) -> None:
            await places.acquire()
            task = asyncio.create_task(reply(message, raw, short), name=f"answer to {short}")
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

        return await self._subscribe(subject, kind, take, most)

    async def until_up(self, patience: float) -> bool:
        """Wait until there is a connection; False when there is none after so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._up.wait()
        return self.is_up

    async def answers(self, patience: float) -> bool:
        """Return whether the server answers within so many seconds."""
        try:
            await self.flush(patience)
        except BusAway:
            return False
        return True

    async def lag(self, patience: float = 1.0) -> float | None:
        """Return the seconds until the server has taken all and answered, None if not within ``patience``."""
        began = time.monotonic()
        return time.monotonic() - began if self.is_up and await self.answers(patience) else None

    async def flush(self, patience: float = 5.0) -> None:
        """Wait until the server has taken what was sent. Raises BusAway."""
        try:
            async with asyncio.timeout(patience):
                # The client's ping would overtake what isn't written yet
                while self._client.pending_data_size:  # noqa: ASYNC110 - the client has no event for it
                    await asyncio.sleep(0.001)
                await self._client.flush(timeout=patience)
        except Exception as error:
            raise BusAway(f"the bus doesn't answer: {type(error).__name__}") from error

    async def close(self) -> None:
        """Send what is still to be sent, and close."""
        self._closing = True
        if self.is_up:
            with suppress(BusAway):
                await self.flush(1.0)
        for task in list(self._answering):
            task.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)
        with suppress(Exception):  # a connection that is just being made anew closes in its own ways
            await self._client.close()

    def _full(self, subject: str) -> str:
        return f"{self._prefix}.{subject}"

    async def _subscribe(
        self,
        subject: str,
        kind: type[T],
        take: Callable[[T, Any, str], Awaitable[None]],
        most: int,
        unread: Callable[[WireError, str], None] | None = None,
    ) -> Callable[[], Awaitable[None]]:
        async def read(raw: Any) -> None:
            short = raw.subject[len(self._prefix) + 1 :]
            try:
                message = decode_message(raw.data, kind, most)
            except WireError as error:
                self.counts.unread += 1
                if unread is not None:
                    unread(error, short)
                else:
                    about = f"unread {short.partition('.')[0]}"
                    self._tell(about, "a message of %s is dropped: %s", short, error)
            else:
                await take(message, raw, short)

        async def end() -> None:
            if wanted in self._wanted:
                self._wanted.remove(wanted)
                if wanted.handle is not None:
                    with suppress(Exception):
                        await wanted.handle.unsubscribe()

        wanted = _Wanted(self._full(subject), read)
        self._wanted.append(wanted)
        if self.is_up:
            await self._subscribe_to(wanted)
        return end

    async def _subscribe_to(self, wanted: _Wanted) -> None:
        wanted.handle = await self._client.subscribe(
            wanted.subject, cb=wanted.take, pending_msgs_limit=65_536, pending_bytes_limit=SLOW
        )

    def _tell(self, about: str, line: str, *arguments: object) -> None:
        """Log a warning, unless one about the same was logged just before."""
        now = time.monotonic()
        if now - self._told_at.get(about, -TOLD_EVERY) >= TOLD_EVERY:
            self._told_at[about] = now
            log.warning(line, *arguments)

    # What the client calls

    async def _connected(self) -> None:
        for wanted in list(self._wanted):
            if wanted.handle is None:  # the client renews the others itself
                await self._subscribe_to(wanted)
        self._up.set()
        self._changed()

    async def _reconnected(self) -> None:
        self.counts.reconnects += 1
        log.info("the bus is there again")
        await self._connected()

    async def _disconnected(self) -> None:
        self._up.clear()
        if self._closing:
            return
        log.warning("the bus is away")
        self._changed()

    async def _troubled(self, error: Exception) -> None:
        text = str(error)
        if "permissions violation" in text.lower():
            self.counts.refused += 1
            self.last_refusal = text
            self._tell(f"refused {text}", "the bus refuses: %s", text)
        else:
            self.last_trouble = text or type(error).__name__
            self._tell(f"trouble {type(error).__name__}", "the bus: %s %s", type(error).__name__, text)

    def _changed(self) -> None:
        for changed in self._watchers:
            changed()


@asynccontextmanager
async def connected(settings: Settings, name: str = "") -> AsyncIterator[Bus]:
    """Have a connection to the bus of BUS_URL while the block runs. It is made in the background: a server
    that isn't there yet is waited for.

    name: what the server is told of this program; "" = the node's. Raises BusError when the extra is missing
    or BUS_CREDS can't be read.
    """
    try:
        from nats.aio.client import Client  # here: nobody else needs it
    except ModuleNotFoundError as error:
        raise BusError(NEEDS_SCALE) from error
    known = read_credentials(settings.bus_creds)
    client = Client()
    me = known.user or settings.node
    opened = Bus(client, settings.bus_prefix, me)
    connecting = asyncio.create_task(
        _connect(opened, client, settings, {**known.options, "name": name or settings.node}), name="bus"
    )
    try:
        yield opened
    finally:
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)
        await opened.close()


async def _connect(opened: Bus, client: Any, settings: Settings, options: dict[str, Any]) -> None:
    context = None
    if settings.bus_ca or settings.bus_url[0].startswith("tls:"):
        context = ssl.create_default_context(cafile=settings.bus_ca or None)
    try:
        await client.connect(
            servers=list(settings.bus_url),
            tls=context,
            inbox_prefix=f"_INBOX.{opened.me}",
            max_reconnect_attempts=-1,
            reconnect_time_wait=RECONNECT_WAIT,
            ping_interval=PING_EVERY,
            max_outstanding_pings=PINGS_MISSED,
            connect_timeout=CONNECT_PATIENCE,
            pending_size=BUFFER,
            error_cb=opened._troubled,
            disconnected_cb=opened._disconnected,
            reconnected_cb=opened._reconnected,
            **options,
        )
    except asyncio.CancelledError:
        raise
    except Exception:
        log.exception("the bus can't be used")
        return
    log.info("connected to the bus as %s", opened.me)
    await opened._connected()
