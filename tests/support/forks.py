"""Processes forked from one that has imported the libraries, which takes most of the time of what a test asks
of a process.

Where a start as such is tested or timed, nothing is forked.
"""

import functools
import multiprocessing
from multiprocessing.context import BaseContext

import PIL

from tests.support import REAL

CONFINED = (  # read strangers' bytes; see tests.support.confined
    "studio.media.transcode",
    "studio.media.media_process",
    "studio.projects.label_formats",
)
IMPORTED = (
    "aiohttp.web",
    "aiosqlite",
    "alembic.command",
    "av",
    "discord.ext.commands",
    "jobs.executors.local",
    "numpy",
    "prometheus_client",
    "sqlalchemy.ext.asyncio",
    "tests.bot.pretend_worker",
    "tests.jobs.fake_worker",
    "proofs.jobs.kills",
    *CONFINED,
    *(f"PIL.{name}" for name in PIL._plugins),
)


@functools.cache
def forks() -> BaseContext:
    """Return where to get such processes; the one they are forked from ends with this one. In the real
    profile they are started, as the program starts its workers."""
    if REAL:
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(IMPORTED))
    return context
