"""A process that answers one request after another, started when it is needed and let go when it is idle."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from studio.pictures.intake import child_environment

T = TypeVar("T")
Talk = Callable[[asyncio.StreamWriter, asyncio.StreamReader], Awaitable[T]]


class Child:
    """A process that runs ``command`` and knows nothing of the studio's secrets. One request at a time: who
    asks holds ``_turn``."""

    def __init__(self, *command: str) -> None:
        self._command = command
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Task[int]] = set()

    @property
    def _gone(self) -> bool:
        return self._process is None or self._process.returncode is not None

    async def _exchange(self, talk: Talk[T], patience: float, idle: float) -> T:
        """Return what ``talk`` makes of the process's answer; the process is started if it isn't there.

        patience: seconds for it all. idle: seconds until the process is let go. Raises TimeoutError, OSError,
        and what ``talk`` raises. The process is ended then, and when the caller is cancelled: its answer
        would be taken for the next request's.
        """
        try:
            async with asyncio.timeout(patience):
                process = await self._start() if self._gone else self._process
                assert process is not None and process.stdin is not None and process.stdout is not None
                answer = await talk(process.stdin, process.stdout)
        except BaseException:
            await self._stop()
            raise
        self._rest(idle)
        return answer

    async def _start(self) -> asyncio.subprocess.Process:
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=child_environment(),
        )
        return self._process

    def _rest(self, idle: float) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(idle, self._end_idle)

    def _end_idle(self) -> None:
        """Let the process go: it ends by itself when its pipe closes, and the next request gets another."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            ending = asyncio.create_task(process.wait(), name=f"end {self._command[-1]}")
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    async def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def close(self) -> None:
        """End the process, and wait for those that were let go."""
        if self._idle is not None:
            self._idle.cancel()
        await self._stop()
        await asyncio.gather(*self._ending)
