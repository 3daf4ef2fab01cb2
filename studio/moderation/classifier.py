"""Asks the classifier process how fit a picture is to be shown; starts it when it will be needed, and again
when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import struct
import sys
from typing import Any

from core.errors import AtelierError
from studio.pictures.child import Child

ANSWER = 60.0  # seconds for one picture, the start included
IDLE = 900.0  # seconds without a picture until the process is let go
PAUSE = 30.0  # seconds until it is started again after it failed
log = logging.getLogger(__name__)


class Unchecked(AtelierError):
    """There is no judgement: the classifier isn't there or can't read the picture."""


class PictureCheck:
    """``model``: a classifier's folder; empty = the one that comes as a package."""

    def __init__(self, model: str = "") -> None:
        self.child = Child(sys.executable, "-m", "vision.safety", *((model,) if model else ()))
        self.name = model or "open_nsfw"
        self._failed_at = float("-inf")
        self._starting: asyncio.Task[None] | None = None

    def get_ready(self) -> None:
        """Start the process while the picture is still being made: it takes a third of a second, longer
        beside a worker's own start."""
        if self.child.is_gone and (self._starting is None or self._starting.done()):
            self._starting = asyncio.create_task(self._begin(), name="start the classifier")

    async def _begin(self) -> None:
        async with self.child.turn:
            if self.child.is_gone and not self._pauses:
                with contextlib.suppress(OSError):  # whoever asks for a score is told
                    await self.child.start(IDLE)

    @property
    def _pauses(self) -> bool:
        return asyncio.get_running_loop().time() < self._failed_at + PAUSE

    async def score(self, data: bytes) -> float:
        """Return 0 (fit to be shown) to 1 for an encoded picture of ours. Raises Unchecked when there is no
        answer."""

        async def talk(asked: asyncio.StreamWriter, answers: asyncio.StreamReader) -> dict[str, Any]:
            asked.write(struct.pack(">I", len(data)) + data)
            await asked.drain()
            return json.loads(await answers.readuntil(b"\n"))

        async with self.child.turn:
            if self._pauses:
                raise Unchecked("the classifier has failed a moment ago")
            try:
                answer = await self.child.ask(talk, ANSWER, IDLE)
            except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError) as error:
                self._failed_at = asyncio.get_running_loop().time()
                log.error(
                    "pictures can't be checked: the classifier process ended (%s)", type(error).__name__
                )
                raise Unchecked("the classifier process ended") from error
        if "nsfw" not in answer:
            raise Unchecked(f"the classifier can't read it ({answer.get('error')})")
        return float(answer["nsfw"])

    async def close(self) -> None:
        """End the process."""
        if self._starting is not None:
            await asyncio.gather(self._starting, return_exceptions=True)
        await self.child.close()
