"""What systemd is told: that the process serves, lives and stops, and nothing that it would restart for in
vain."""

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from host.process import ServiceManager
from jobs.queue import Health

WELL = Health(True, 1.0, 2, 3)
HUNG = Health(False, 950.0, 1, 0, "no step was finished for 950 s", hung=True)
FULL = Health(False, 1.0, 0, 4, "the disk is nearly full")


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    """A socket such as systemd gives."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.setblocking(False)
        yield receiver


def _environ(systemd: socket.socket, **more: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": systemd.getsockname(), **more}


async def _heard(systemd: socket.socket) -> list[str]:
    async with asyncio.timeout(5):
        return (await asyncio.get_running_loop().sock_recv(systemd, 4096)).decode().split("\n")


async def test_systemd_hears_of_the_start_of_each_sign_of_life_and_of_the_end(systemd: socket.socket) -> None:
    stopping = asyncio.Event()
    told = ServiceManager(_environ(systemd, WATCHDOG_USEC="60000", WATCHDOG_PID=str(os.getpid())))
    assert told.watchdog == 0.06
    async with told.serving(lambda: WELL, stopping):
        assert await _heard(systemd) == ["READY=1"]
        assert await _heard(systemd) == ["WATCHDOG=1", "STATUS=2 running, 3 waiting"]
        assert await _heard(systemd) == ["WATCHDOG=1"]  # nothing else is new
        stopping.set()
        async with asyncio.timeout(5):
            while await _heard(systemd) != ["STOPPING=1"]:
                pass


def test_a_hung_process_gives_no_sign_of_life_and_one_with_a_full_disk_does(systemd: socket.socket) -> None:
    told = ServiceManager(_environ(systemd, WATCHDOG_USEC="60000000"))
    told.tell_health(HUNG)
    assert systemd.recv(4096) == b"STATUS=no step was finished for 950 s (1 running, 0 waiting)"
    told.tell_health(FULL)
    assert systemd.recv(4096) == b"WATCHDOG=1\nSTATUS=the disk is nearly full (0 running, 4 waiting)"


async def test_a_loop_that_stands_still_gives_no_sign_of_life(systemd: socket.socket) -> None:
    told = ServiceManager(_environ(systemd, WATCHDOG_USEC="30000"))
    async with told.serving(lambda: WELL, asyncio.Event()):
        await _heard(systemd)
        await _heard(systemd)
        time.sleep(0.1)  # noqa: ASYNC251 - ten times as long as between two signs
        with pytest.raises(BlockingIOError):
            systemd.recv(4096)


def test_without_systemd_nothing_is_told_and_a_socket_that_is_gone_ends_nothing(tmp_path: Path) -> None:
    assert ServiceManager({}).watchdog == 0
    ServiceManager({}).tell("READY=1")
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")}).tell("READY=1")


def test_the_watchdog_of_another_process_and_one_that_is_no_number_are_none(systemd: socket.socket) -> None:
    assert ServiceManager(_environ(systemd, WATCHDOG_USEC="1000", WATCHDOG_PID="1")).watchdog == 0
    assert ServiceManager(_environ(systemd, WATCHDOG_USEC="soon")).watchdog == 0


def test_a_socket_without_a_file_is_reached_too() -> None:
    name = f"\0atelier-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(name)
        ServiceManager({"NOTIFY_SOCKET": f"@{name[1:]}"}).tell("READY=1")
        assert receiver.recv(100) == b"READY=1"
