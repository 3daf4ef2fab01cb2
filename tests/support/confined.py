"""The processes that read strangers' bytes, forked from one that has imported their libraries: starting
Python and importing was nearly all of what a test gave them.

Each runs the same ``main`` with the same arguments, pipes, limits and filter as one that is started. Where a
start as such is tested, the fixture ``started`` starts them as the studio does.
"""

import asyncio
import importlib
import os
import select
import signal
import socket
import subprocess
import sys
from asyncio.base_subprocess import BaseSubprocessTransport
from asyncio.subprocess import Process, SubprocessStreamProtocol
from collections.abc import Mapping
from multiprocessing import forkserver, reduction
from multiprocessing.popen_forkserver import Popen
from typing import Any

from tests.support.forks import CONFINED, forks

LIMIT = 2**16  # bytes that a stream holds, asyncio's own
START = asyncio.create_subprocess_exec


async def create_subprocess_exec(program: str, *args: str, **options: Any) -> Process:
    """As asyncio's, but a process of ``CONFINED`` is forked."""
    if program != sys.executable or len(args) < 2 or args[0] != "-m" or args[1] not in CONFINED:
        return await START(program, *args, **options)
    loop = asyncio.get_running_loop()
    protocol, waiter = SubprocessStreamProtocol(LIMIT, loop), loop.create_future()
    streams = {name: options.pop(name) for name in ("stdin", "stdout", "stderr")}
    assert streams["stderr"] is subprocess.DEVNULL, "what such a process says of itself is dropped"
    transport = _Transport(loop, protocol, args[1:], False, **streams, bufsize=0, waiter=waiter, **options)
    try:
        await waiter
    except BaseException:  # as asyncio's own: who asked was cancelled meanwhile
        transport.close()
        await transport._wait()
        raise
    return Process(transport, protocol, loop)


class _Transport(BaseSubprocessTransport):
    """Pipes to a forked process."""

    def _start(self, args: Any, stdin: Any, stdout: Any, env: Mapping[str, str], **_: Any) -> None:
        self._proc = proc = _Forked(args, stdin, stdout, env)
        self._loop.add_reader(proc.sentinel, self._ended)

    def _ended(self) -> None:
        self._loop.remove_reader(self._proc.sentinel)
        self._process_exited(self._proc.poll())


class _Forked:
    """What a transport wants of a process."""

    stderr = None

    def __init__(self, args: tuple[str, ...], stdin: Any, stdout: Any, env: Mapping[str, str]) -> None:
        self.stdin = self.stdout = None
        theirs: list[Any] = [stdin, stdout]
        if stdin is subprocess.PIPE:  # sockets, as asyncio's own: they tell when the other side ends
            self.stdin, theirs[0] = socket.socketpair()
        if stdout is subprocess.PIPE:
            read, write = os.pipe()
            self.stdout, theirs[1] = open(read, "rb", 0), open(write, "wb", 0)
        streams = [_Passed(file.fileno()) for file in theirs]
        # Not by start() and exitcode: both wait for as long as a clock that a simulator has stopped stands.
        self._started = Popen(forks().Process(target=_run, args=(args, dict(env), *streams)))
        self.pid, self.sentinel = self._started.pid, self._started.sentinel
        self.returncode: int | None = None
        for ours, file in zip((stdin, stdout), theirs, strict=True):
            if ours is subprocess.PIPE:
                file.close()

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self.sentinel], [], [], 0)[0]:
            try:
                self.returncode = forkserver.read_signed(self.sentinel)
            except (OSError, EOFError):
                self.returncode = 255
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class _Passed:
    """A file that is open here and will be in the process."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return _taken, (reduction.DupFd(self._number),)


def _taken(passed: Any) -> int:
    return passed.detach()


def _run(args: tuple[str, ...], env: dict[str, str], stdin: int, stdout: int) -> None:
    nothing = os.open(os.devnull, os.O_WRONLY)
    for place, number in enumerate((stdin, stdout, nothing)):
        os.dup2(number, place)
        os.close(number)
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = list(args)
    importlib.import_module(args[0]).main()
