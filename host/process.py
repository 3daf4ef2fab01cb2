"""A process of the program from its start to its end: logs on the terminal and, rotated, in DATA_DIR/logs,
into which no token, prompt or signed address ever gets; what systemd is told; signals; garbage; and the heap.

systemd is told by one datagram of lines to the socket in NOTIFY_SOCKET:
https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html. It ends and starts a process that
says WATCHDOG=1 too rarely: one whose event loop stands still, or in which a job hangs. It isn't ended for
what a restart doesn't mend, such as a full disk or a database that is away.

A full garbage collection walks through everything that lives: 600 ms with ten thousand jobs queued, to find
that one object in two hundred is garbage. So what is loaded at the start is frozen, young objects are
collected in small portions as they come, and a full collection waits for a moment in which nothing is queued
or running, an hour at most. All of it happens between two turns of the event loop. Left to itself, Python
collects in whichever thread happens to make the next object; one that waits for a core meanwhile holds the
interpreter, and the event loop waits with it (37 ms were seen, 10 of them spent collecting).

glibc gives threads heaps of their own, eight for each core, and what one of them frees stays in its heap:
the bot's threads (SQLite's, the writer of logs, those that read and write files) held 1.5 MB more for every
hundred jobs, free and of no use to the others. Python takes objects up to 512 bytes from heaps of its own,
so that threads rarely wait for each other here. What is freed in the middle of a heap stays with the process
until it is asked for (``core.process.give_back``): 7 MB were seen after 700 losses of the connection."""

import asyncio
import atexit
import errno
import gc
import logging
import logging.handlers
import os
import queue
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import fields
from functools import partial
from pathlib import Path
from urllib.parse import unquote

import psutil

from core import process
from core.errors import AtelierError, StorageError
from core.process import Supervisor, of_glibc
from core.redact import RedactingFormatter, Redactor
from core.settings import Settings, known_parts
from jobs.queue import Health

log = logging.getLogger(__name__)

TELL_EVERY = 10.0  # seconds between two looks at what there is to tell; sooner for a shorter watchdog


class ServiceManager:
    """Tells systemd. environ: where it has said how; without NOTIFY_SOCKET nothing is told."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        mine = environ.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
        limit = environ.get("WATCHDOG_USEC", "")
        self.watchdog = int(limit) / 1e6 if mine and limit.isdigit() else 0.0  # seconds; 0 = there is none
        self._told = ""

    @asynccontextmanager
    async def serving(self, health: Callable[[], Health], stopping: asyncio.Event) -> AsyncIterator[None]:
        """Say that this process serves, and until the block ends how it is; that it stops, once ``stopping``
        is set. health: of the queue."""
        if not self._address:
            yield
            return
        self.tell("READY=1")
        telling = Supervisor().forever("service manager", partial(self._tell_for_ever, health))
        tasks = [
            asyncio.create_task(telling, name="service manager"),
            asyncio.create_task(self._tell_the_end(stopping), name="service manager, end"),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _tell_for_ever(self, health: Callable[[], Health]) -> None:
        while True:
            self.tell_health(health())
            await asyncio.sleep(min(TELL_EVERY, self.watchdog / 3 or TELL_EVERY))

    async def _tell_the_end(self, stopping: asyncio.Event) -> None:
        await stopping.wait()
        self.tell("STOPPING=1")

    def tell_health(self, health: Health) -> None:
        """Say that this process lives, unless it hangs, and how it is, where that has changed."""
        lines = ["WATCHDOG=1"] if self.watchdog and not health.hung else []
        status = f"{health.running} running, {health.waiting} waiting"
        if health.problem is not None:
            status = f"{health.problem} ({status})"
        if status != self._told:
            self._told = status
            lines.append(f"STATUS={status}")
        if lines:
            self.tell(*lines)

    def tell(self, *lines: str) -> None:
        """Send lines; what can't be sent is logged, for nobody is helped by ending over it."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            log.warning("the service manager can't be told (%s)", error.strerror)


STOPPING = "Stopping once the running jobs are done. Press Ctrl+C again to stop at once."


def stop_on_signals(stopping: asyncio.Event, said: str = STOPPING) -> None:
    """Set ``stopping`` with the first SIGINT or SIGTERM, which asks for an orderly stop; end the process at
    once with the second. said: to whoever sent the first."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if stopping.is_set():
            os._exit(130)  # workers end when their pipe closes; the rows say what has to go on
        print(said, flush=True)
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))


def watch_children() -> None:
    """Let the event loop learn of the end of child processes by itself, as from Python 3.12 on; before, it
    starts a thread for each, and stands still until that runs."""
    if sys.version_info < (3, 12) and hasattr(os, "pidfd_open"):
        asyncio.set_child_watcher(asyncio.PidfdChildWatcher())


YOUNG, PORTIONS = 500, 1  # objects; portions of the youngest until those that outlived them are looked at
LOOK_AT_YOUNG_EVERY, LOOK_EVERY = 0.02, 10.0  # seconds
LOOK_AGAIN = 0.005  # seconds after a portion: there is often more
UNSEEN = 0.1  # seconds without a portion: what was freed meanwhile hides from the count what was made
UNASKED, NEVER = 100_000, 10**9  # objects, at which Python collects the young ones by itself; the others
IDLE_EVERY, BUSY_EVERY = 600.0, 3600.0  # seconds between two full collections, at least and at most


def configure_gc() -> None:
    """Leave what lives now out of later collections, and make none unasked. Once all is loaded."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(UNASKED, NEVER, NEVER)
    gc.enable()


async def collect_garbage(busy: Callable[[], bool]) -> None:
    """Make all collections, until cancelled. ``busy``: whether anything is queued or running."""
    async with asyncio.TaskGroup() as both:
        both.create_task(_collect_young())
        both.create_task(_collect_when_idle(busy))


async def _collect_young() -> None:
    portions, pause, last = 0, LOOK_AT_YOUNG_EVERY, time.monotonic()
    while True:
        await asyncio.sleep(pause)
        pause = LOOK_AT_YOUNG_EVERY
        many = gc.get_count()[0] >= YOUNG
        if many or time.monotonic() - last >= UNSEEN:
            portions = (portions + 1) % (PORTIONS + 1)
            gc.collect(0 if portions else 1)
            pause, last = LOOK_AGAIN if many else LOOK_AT_YOUNG_EVERY, time.monotonic()


async def _collect_when_idle(busy: Callable[[], bool]) -> None:
    last = time.monotonic()
    while True:
        await asyncio.sleep(LOOK_EVERY)
        began = time.monotonic()
        if began - last > (BUSY_EVERY if busy() else IDLE_EVERY):
            found = gc.collect()
            process.give_back()
            last = time.monotonic()
            log.debug("%d unreachable objects collected in %.0f ms", found, 1000 * (last - began))


M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # malloc.h of glibc; mallopt(3)
LARGE = 32 * 1024  # bytes from which a block is mapped by itself, and goes back to the system when freed


def configure_heap() -> bool:
    """Let all threads that begin from now on use one heap of the C library, and keep large blocks out of it.
    Return whether it can.

    Left to itself, glibc takes blocks as large as the largest that was freed before (up to 32 MB) from the
    heap, and leaves as large a hole where one of them was.
    """
    mallopt = of_glibc("mallopt")
    return mallopt is not None and bool(mallopt(M_ARENA_MAX, 1)) and bool(mallopt(M_MMAP_THRESHOLD, LARGE))


def refuse_taken(setting: str, host: str, port: int) -> None:
    """Raise AtelierError when nobody could listen on ``port`` of ``host`` now, with who does, where the
    system tells. setting: that names the port."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((host, port))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise AtelierError(f"{setting}={port}: can't be used on {host}: {error.strerror}.") from error
        holder = ""
        with suppress(psutil.Error, OSError):  # of other people's processes it needs rights
            open_ones = psutil.net_connections("tcp")
            pids = [one.pid for one in open_ones if one.pid and one.laddr and one.laddr.port == port]
            holder = f" by {psutil.Process(pids[0]).name()} (process {pids[0]})" if pids else ""
        raise AtelierError(
            f"{setting}={port}: that port of {host} is taken{holder}. Stop that, or set another."
        ) from error


Lines = queue.SimpleQueue[logging.LogRecord]
WRITE_EVERY = 0.05  # seconds between two batches of lines
_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


def redactor(settings: Settings) -> Redactor:
    """Return a redactor that knows the secrets among the settings."""
    secrets = [getattr(settings, item.name) for item in fields(settings) if item.metadata["secret"]]
    password = re.search(r"://[^:/@]*:(.+)@", settings.database_url)
    parts = [password[1], unquote(password[1])] if password else []
    return Redactor([*map(str, secrets), *parts, *known_parts(settings.bus_creds)])


class _Writer(logging.handlers.QueueListener):
    """The thread that writes. It does so in batches: to wake it takes the interpreter from the event loop."""

    def __init__(self, lines: Lines, *handlers: logging.Handler) -> None:
        super().__init__(lines, *handlers)
        self._lines = lines

    def dequeue(self, block: bool) -> logging.LogRecord:
        """Return the next line, after a pause if there is none yet."""
        if self._lines.empty():
            time.sleep(WRITE_EVERY)
        return self._lines.get(block)


def _of_interest(record: logging.LogRecord) -> bool:
    """Whether a record may matter: Atelier never uses voice, and simcord opens a client without intents."""
    text = str(record.msg)
    return "voice will NOT be supported" not in text and "Guilds intent seems to be disabled" not in text


def set_up_logs(settings: Settings, *, name: str = "atelier") -> None:
    """Write what is logged from now on to the terminal and DATA_DIR/logs, redacted. name: of the file, which
    no other process may write to.

    Raises StorageError when that folder can't be written to.
    """
    terminal, file = logging.StreamHandler(sys.stderr), _log_file(settings.data_dir / "logs", name)
    for handler in (terminal, file):
        handler.setFormatter(RedactingFormatter(_FORMAT, redactor(settings)))
    # A slow disk or terminal must not hold the event loop up, so another thread writes
    lines: Lines = queue.SimpleQueue()
    handler = logging.handlers.QueueHandler(lines)
    handler.addFilter(_of_interest)
    logging.getLogger().addHandler(handler)
    listener = _Writer(lines, terminal, file)
    listener.start()
    atexit.register(listener.stop)
    logging.getLogger().setLevel(settings.log_level.upper())
    for noisy in ("discord", "alembic", "asyncio", "PIL"):  # below warning they tell little, or too much
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLogger().level))


def _log_file(folder: Path, name: str) -> logging.Handler:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return logging.handlers.RotatingFileHandler(
            folder / f"{name}.log", maxBytes=5_000_000, backupCount=5, encoding="utf-8"
        )
    except OSError as error:
        raise StorageError(
            f"can't write to {folder} ({error.strerror}). Set DATA_DIR to a folder you can write to."
        ) from error
