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
from studio.pictures.intake import child_environment

ANSWER = 60.0  # seconds for one picture, the start included
IDLE = 900.0  # seconds without a picture until the process is let go
PAUSE = 30.0  # seconds until it is started again after it failed
log = logging.getLogger(__name__)


class Unchecked(AtelierError):
    """There is no judgement: the classifier isn't there or can't read the picture."""


class PictureCheck:
    """``model``: a classifier's folder; empty = the one that comes as a package."""

    def __init__(self, model: str = "") -> None:
        self.name = model or "open_nsfw"
        self._command = (sys.executable, "-m", "vision.safety", *((model,) if model else ()))
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._failed_at = float("-inf")
        self._idle: asyncio.TimerHandle | None = None
        self._starting: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[int] | None = None

    def get_ready(self) -> None:
        """Start the process while the picture is still being made: it takes a third of a second, longer
        beside a worker's own start."""
        if self._gone and (self._starting is None or self._starting.done()):
            self._starting = asyncio.create_task(self._begin(), name="start the classifier")

    async def _begin(self) -> None:
        async with self._turn:
            loop = asyncio.get_running_loop()
            if self._gone and loop.time() >= self._failed_at + PAUSE:
                with contextlib.suppress(OSError):  # whoever asks for a score is told
                    await self._start()
                    self._rest(loop)

    @property
    def _gone(self) -> bool:
        return self._process is None or self._process.returncode is not None

    async def score(self, data: bytes) -> float:
        """Return 0 (fit to be shown) to 1 for an encoded picture of ours. Raises Unchecked when there is no
        answer."""
        async with self._turn:
            loop = asyncio.get_running_loop()
            if loop.time() < self._failed_at + PAUSE:
                raise Unchecked("the classifier has failed a moment ago")
            try:
                async with asyncio.timeout(ANSWER):
                    answer = await self._ask(data)
            except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError) as error:
                self._failed_at = loop.time()
                await self._stop()
                log.error(
                    "pictures can't be checked: the classifier process ended (%s)", type(error).__name__
                )
                raise Unchecked("the classifier process ended") from error
            except BaseException:  # cancelled: its answer would be taken for the next picture's
                await self._stop()
                raise
            self._rest(loop)
        if "nsfw" not in answer:
            raise Unchecked(f"the classifier can't read it ({answer.get('error')})")
        return float(answer["nsfw"])

    async def _ask(self, data: bytes) -> dict[str, Any]:
        if self._gone:
            await self._start()
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        process.stdin.write(struct.pack(">I", len(data)) + data)
        await process.stdin.drain()
        return json.loads(await process.stdout.readuntil(b"\n"))

    async def _start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=child_environment(),
        )

    def _rest(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = loop.call_later(IDLE, self._end_idle)

    def _end_idle(self) -> None:
        """Let the process go: it ends by itself when its pipe closes, and the next picture gets another."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            self._ending = asyncio.create_task(process.wait(), name="end the classifier")

    async def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def close(self) -> None:
        """End the process."""
        if self._starting is not None:
            await asyncio.gather(self._starting, return_exceptions=True)
        if self._idle is not None:
            self._idle.cancel()
        await self._stop()
        if self._ending is not None:
            await self._ending
