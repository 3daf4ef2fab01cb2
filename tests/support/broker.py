"""A small broker of MQTT 3.1.1 for tests: topics with wildcards, retained messages, wills."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

CONNECT, PUBLISH, PUBACK, SUBSCRIBE, PING, DISCONNECT = 1, 3, 4, 8, 12, 14


@dataclass
class Broker:
    """said: every message that came, (topic, payload, retained), in order. password: that clients need."""

    password: str = ""
    said: list[tuple[str, bytes, bool]] = field(default_factory=list)
    port: int = 0
    _kept: dict[str, bytes] = field(default_factory=dict)
    _subscribed: dict[asyncio.StreamWriter, list[str]] = field(default_factory=dict)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield f"mqtt://me:{self.password or 'x'}@127.0.0.1:{self.port}"
        finally:
            server.close()
            for writer in list(self._subscribed):
                writer.transport.abort()

    async def send(self, topic: str, payload: bytes, *, keep: bool = False) -> None:
        """Publish a message to whoever has subscribed."""
        self.said.append((topic, payload, keep))
        if keep:
            self._kept[topic] = payload
        for writer, patterns in self._subscribed.items():
            if any(fits(topic, one) for one in patterns):
                writer.write(packet(PUBLISH << 4, text(topic) + payload))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._subscribed[writer], will = [], None
        try:
            while True:
                head = (await reader.readexactly(1))[0]
                length = shift = 0
                while True:
                    byte = (await reader.readexactly(1))[0]
                    length |= (byte & 127) << shift
                    shift += 7
                    if byte < 128:
                        break
                body = await reader.readexactly(length)
                match head >> 4:
                    case 1:
                        will = self._connect(writer, body)
                    case 3:
                        topic, rest = taken(body)
                        if head & 6:
                            writer.write(packet(PUBACK << 4, rest[:2]))
                            rest = rest[2:]
                        await self.send(topic.decode(), rest, keep=bool(head & 1))
                    case 8:
                        pattern, _rest = taken(body[2:])
                        self._subscribed[writer].append(pattern.decode())
                        writer.write(packet(0x90, body[:2] + b"\1"))
                        for topic, payload in self._kept.items():
                            if fits(topic, pattern.decode()):
                                writer.write(packet(PUBLISH << 4 | 1, text(topic) + payload))
                    case 12:
                        writer.write(packet(0xD0, b""))
                    case 14:
                        will = None
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._subscribed.pop(writer, None)
            if will:
                await self.send(*will, keep=True)
            writer.close()

    def _connect(self, writer: asyncio.StreamWriter, body: bytes) -> tuple[str, bytes] | None:
        _name, rest = taken(body)
        flags, rest = rest[1], rest[4:]
        _client, rest = taken(rest)
        will = None
        if flags & 4:
            topic, rest = taken(rest)
            payload, rest = taken(rest)
            will = (topic.decode(), payload)
        password = b""
        if flags & 128:
            _user, rest = taken(rest)
        if flags & 64:
            password, rest = taken(rest)
        is_known = not self.password or password.decode() == self.password
        writer.write(packet(0x20, b"\0\0" if is_known else b"\0\5"))
        return will if is_known else None


def fits(topic: str, pattern: str) -> bool:
    """Whether a topic is one of a pattern with + and #."""
    levels, wanted = topic.split("/"), pattern.split("/")
    if wanted[-1] == "#":
        levels, wanted = levels[: len(wanted) - 1], wanted[:-1]
    return len(levels) == len(wanted) and all(w in ("+", one) for one, w in zip(levels, wanted, strict=True))


def text(words: str) -> bytes:
    return len(words.encode()).to_bytes(2, "big") + words.encode()


def taken(data: bytes) -> tuple[bytes, bytes]:
    length = int.from_bytes(data[:2], "big")
    return data[2 : 2 + length], data[2 + length :]


def packet(head: int, body: bytes) -> bytes:
    length, sizes = len(body), bytearray()
    while True:
        length, byte = divmod(length, 128)
        sizes.append(byte | (128 if length else 0))
        if not length:
            return bytes([head]) + bytes(sizes) + body
