"""A line between a browser and the studio that can go silent, break or be cut off, and counts its sockets."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

OF_A_PAGE = re.compile(rb"GET /api/live(?!\?instance=)")  # the frame's around it has one too


@dataclass
class Line:
    """A proxy at ``port`` before a studio at ``to``, which thinks that it is called by its own address.
    sockets: WebSockets that were opened by it."""

    to: int
    port: int = 0
    is_cut: bool = False
    sockets: int = 0
    pairs: set[_Pair] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def here(self) -> bytes:
        return f"127.0.0.1:{self.port}".encode()

    @property
    def there(self) -> bytes:
        return f"127.0.0.1:{self.to}".encode()

    def silence(self) -> None:
        """Let what is open stay open, and nothing come through it any more: Wi-Fi is another now."""
        for pair in self.pairs:
            pair.is_silent = True

    def cut(self) -> None:
        """End what is open, and let nothing in until ``is_cut`` is taken back: the studio restarts."""
        self.is_cut = True
        for pair in list(self.pairs):
            pair.close()


@dataclass(eq=False)
class _Pair:
    """A connection of a browser's with its own to the studio."""

    near: asyncio.StreamWriter
    far: asyncio.StreamWriter
    is_silent: bool = False

    def close(self) -> None:
        self.near.close()
        self.far.close()

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: Line) -> None:
        try:
            while data := await reader.read(65536):
                line.sockets += bool(OF_A_PAGE.match(data))
                if not self.is_silent:
                    writer.write(data.replace(line.here, line.there))
                    await writer.drain()
        except ConnectionError:
            pass
        finally:
            if not self.is_silent:
                writer.close()


@asynccontextmanager
async def open_line(to: int) -> AsyncIterator[Line]:
    """Yield a line to a studio's port."""
    line = Line(to)

    async def serve(near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        if line.is_cut:
            return near.close()
        far_reader, far = await asyncio.open_connection("127.0.0.1", line.to)
        pair = _Pair(near, far)
        line.pairs.add(pair)
        await asyncio.gather(pair.pump(near_reader, far, line), pair.pump(far_reader, near, line))
        line.pairs.discard(pair)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    line.port = server.sockets[0].getsockname()[1]
    yield line
    line.cut()
    server.close()
