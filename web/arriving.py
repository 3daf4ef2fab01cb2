"""Bodies on their way in: how many at once, how large, how long. A large one lies on the disk."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

from aiohttp import web

from studio.media.uploads import BLOCK, InMemory, OnDisk, Sent
from web.call import Refused

IN_MEMORY = 2**20  # bytes of a body beyond which it goes to the disk as it comes
BODY_TIME = 60.0  # seconds for a body to arrive
SLOWEST = 128 * 1024  # bytes a second of a large one, for which it has longer
PATIENCE = 60.0  # seconds that a call waits until those before it are through
ONE, ALL = 1, 64  # uploads at once, of a person and of everybody
ONE_SMALL, ALL_SMALL = 8, 256  # bodies that fit into memory
log = logging.getLogger(__name__)


class Slots:
    """Lets ``one`` call of each person go on at once, and ``most`` of everybody; the others wait."""

    def __init__(self, one: int, most: int) -> None:
        self._one, self._most = one, most
        self._taken: Counter[str] = Counter()
        self._freed = asyncio.Condition()

    @asynccontextmanager
    async def of(self, who: str) -> AsyncIterator[None]:
        """Hold a slot while the block runs. Raises Refused for whoever waits too long."""

        def is_free() -> bool:
            return self._taken[who] < self._one and self._taken.total() < self._most

        try:
            async with asyncio.timeout(PATIENCE), self._freed:
                await self._freed.wait_for(is_free)
                self._taken[who] += 1
        except TimeoutError as error:
            raise Refused(
                HTTPStatus.SERVICE_UNAVAILABLE, "Other files are still on their way. Try again soon.", 10.0
            ) from error
        try:
            yield
        finally:
            self._taken[who] -= 1
            if not self._taken[who]:
                del self._taken[who]
            async with self._freed:
                self._freed.notify_all()


class Bodies:
    """Takes the bodies of calls; those too large for memory lie in ``folder`` while their call goes on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._large, self._small = Slots(ONE, ALL), Slots(ONE_SMALL, ALL_SMALL)

    @asynccontextmanager
    async def taken(self, request: web.Request, limit: int, who: str) -> AsyncIterator[Sent]:
        """Hold a body of at most ``limit`` bytes while the block runs. Raises Refused for a larger one, one
        that doesn't come, or one too many."""
        if (request.content_length or 0) > limit:
            raise _too_large(limit)
        slots = self._large if limit > IN_MEMORY else self._small
        async with slots.of(who):
            async with AsyncExitStack() as opened:
                try:
                    async with asyncio.timeout(BODY_TIME + limit / SLOWEST):
                        found = await self._arrived(request, limit, opened)
                except TimeoutError as error:
                    raise Refused(HTTPStatus.REQUEST_TIMEOUT, "The rest took too long to arrive.") from error
                yield found

    async def _arrived(self, request: web.Request, limit: int, opened: AsyncExitStack) -> Sent:
        """Return a body when it is whole; ``opened`` deletes its file, if it needs one."""
        waiting, size = bytearray(), 0
        file: BinaryIO | None = None
        path = self._folder / f"sent-{secrets.token_hex(8)}"
        async for part in request.content.iter_any():
            size += len(part)
            if size > limit:
                raise _too_large(limit)
            waiting += part
            if file is None and max(size, request.content_length or 0) > IN_MEMORY:
                with _on_disk():
                    self._folder.mkdir(parents=True, exist_ok=True)
                    opened.push_async_callback(asyncio.to_thread, path.unlink, missing_ok=True)
                    file = opened.enter_context(path.open("wb"))
            if file is not None and len(waiting) >= BLOCK:
                with _on_disk():
                    await asyncio.to_thread(file.write, waiting)
                waiting = bytearray()
        if file is None:
            return InMemory("", bytes(waiting))
        with _on_disk():
            await asyncio.to_thread(file.write, waiting)
            await asyncio.to_thread(file.flush)
        return OnDisk("", path, size)


@contextmanager
def _on_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        log.error("a file that somebody sends can't be written: %s", error)
        detail = "The studio's disk takes no more files. Tell its host."
        raise Refused(HTTPStatus.INSUFFICIENT_STORAGE, detail) from error


def _too_large(limit: int) -> Refused:
    detail = f"That is too much: up to {limit:,} bytes fit."
    return Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
