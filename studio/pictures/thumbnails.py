"""Small copies of pictures, made once and kept beside the originals' cache until those are removed.

The image process makes them: decoding a large picture takes more memory than the studio's own process may
have. It is started when it is needed and let go when it is idle.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from functools import partial

from core.errors import ImageError
from storage.files import Files
from studio.pictures.child import Child, exchange
from studio.pictures.intake import IMAGE_PROCESS, InMemory

SIZES = (256, 512)  # px of the longer side
ANSWER, IDLE = 30.0, 120.0  # seconds for one picture; without a picture until the process is let go
log = logging.getLogger(__name__)


class Thumbnails:
    """Makes and keeps small WebP copies of stored pictures."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self.child = Child(sys.executable, "-m", IMAGE_PROCESS, "thumbnail")

    async def get(self, sha256: str, side: int, *, veiled: bool = False) -> bytes:
        """Return a picture as WebP with its longer side of at most ``side`` px, one of ``SIZES``.

        veiled: so blurred that nothing can be recognised. Raises ImageError when it can't be read,
        StorageError when its file is gone.
        """
        name = f"{side}{'.veiled' if veiled else ''}.webp"
        kept = await self._files.get_derived(sha256, name)
        if kept is not None:
            return kept
        original = await self._files.get(sha256)
        made = await self._ask(original, side, veiled)
        if not made:
            raise ImageError("This picture can't be read any more.")
        await self._files.put_derived(sha256, name, made)
        return made

    async def _ask(self, original: bytes, side: int, veiled: bool) -> bytes:
        talk = partial(exchange, data=InMemory("", original), side=side, veiled=veiled)
        async with self.child.turn:
            try:
                return (await self.child.ask(talk, ANSWER, IDLE))[1]
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                log.warning("the process that makes thumbnails ended (%s)", type(error).__name__)
                raise ImageError("No small copy of this picture could be made.") from error

    async def close(self) -> None:
        """End the process."""
        await self.child.close()
