"""Child processes that read strangers' bytes, seen from outside: started without the studio's secrets,
asked, and ended; for one request, or kept for the next until they are idle."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol, TypeVar

from core.errors import ImageError
from core.settings import ROOT
from studio.media.confinement import LENGTHS

T = TypeVar("T")
Talk = Callable[[asyncio.StreamWriter, asyncio.StreamReader], Awaitable[T]]
KEPT = ("PATH", "LANG", "SYSTEMROOT", "LD_LIBRARY_PATH")  # of the environment: no token, no address
log = logging.getLogger(__name__)


class Content(Protocol):
    """Bytes that are handed on, wherever they lie."""

    @property
    def size(self) -> int:
        """How many they are."""

    def blocks(self) -> AsyncIterator[bytes]:
        """Yield them, some at a time."""


def child_environment() -> dict[str, str]:
    """Return the few variables of the environment that a confined process may know."""
    return {name: os.environ[name] for name in KEPT if name in os.environ} | {
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


async def start_child(*command: str) -> asyncio.subprocess.Process:
    """Start a program that is asked through stdin and answers on stdout."""
    return await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=child_environment(),
    )


async def ask_once(
    module: str,
    *arguments: str,
    called: str,
    too_much: str,
    patience: float,
    data: Content | bytes = b"",
    **given: Any,
) -> tuple[dict[str, Any], bytes]:
    """Return what a confined process of ``module`` answers that is started for this one request.

    arguments: the command, and what else ``module`` takes. data, given: of the request. patience: seconds
    until it is ended. Raises ImageError, a sentence that begins with ``called`` and goes on as the process
    says, or with ``too_much`` where it ended without an answer.
    """
    child, header, body = await start_child(sys.executable, "-m", module, *arguments), None, b""
    assert child.stdin is not None and child.stdout is not None
    try:
        async with asyncio.timeout(patience):
            try:
                header, body = await exchange(child.stdin, child.stdout, data, **given)
            except (BrokenPipeError, ConnectionResetError, asyncio.IncompleteReadError):
                await child.wait()
    except TimeoutError:
        pass
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if header is None:
        log.warning("%s %s ended with %s", module, arguments[0], child.returncode)
        header = {"error": too_much}
    if "error" in header:
        raise ImageError(f"{called} {header['error']}".strip())
    return header, body


async def exchange(
    asked: asyncio.StreamWriter, answers: asyncio.StreamReader, data: Content | bytes, **given: Any
) -> tuple[dict[str, Any], bytes]:
    """Send a confined process one request, see ``confinement.serve_confined``, and return its answer.
    Raises OSError and IncompleteReadError when it ends."""
    line = json.dumps(given).encode()
    asked.write(LENGTHS.pack(len(line), len(data) if isinstance(data, bytes) else data.size) + line)
    if isinstance(data, bytes):
        asked.write(data)
        await asked.drain()
    else:
        async for block in data.blocks():
            asked.write(block)
            await asked.drain()
    told, size = LENGTHS.unpack(await answers.readexactly(LENGTHS.size))
    return json.loads(await answers.readexactly(told)), await answers.readexactly(size)


class Child:
    """A process that runs ``command``, kept for further requests. One request at a time: who asks holds
    ``turn``."""

    def __init__(self, *command: str) -> None:
        self.command = command
        self.turn = asyncio.Lock()
        self.process: asyncio.subprocess.Process | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Task[int]] = set()

    @property
    def is_gone(self) -> bool:
        """Whether the next request has to start the process."""
        return self.process is None or self.process.returncode is not None

    async def ask(self, talk: Talk[T], patience: float, idle: float) -> T:
        """Return what ``talk`` makes of the process's answer; the process is started if it isn't there.

        patience: seconds for it all. idle: seconds until the process is let go. Raises TimeoutError, OSError,
        and what ``talk`` raises. The process is ended then, and when the caller is cancelled: its answer
        would be taken for the next request's.
        """
        try:
            async with asyncio.timeout(patience):
                if self.is_gone:
                    self.process = await start_child(*self.command)
                process = self.process
                assert process is not None and process.stdin is not None and process.stdout is not None
                answer = await talk(process.stdin, process.stdout)
        except BaseException:
            await self._stop()
            raise
        self._rest(idle)
        return answer

    async def start(self, idle: float) -> None:
        """Start the process before it is asked. idle: seconds until it is let go. Raises OSError."""
        self.process = await start_child(*self.command)
        self._rest(idle)

    def _rest(self, idle: float) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(idle, self.let_go)

    def let_go(self) -> None:
        """Let the process go: it ends by itself when its pipe closes, and the next request gets another."""
        process, self.process = self.process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            ending = asyncio.create_task(process.wait(), name=f"end {self.command[-1]}")
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    async def _stop(self) -> None:
        process, self.process = self.process, None
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
