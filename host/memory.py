"""Keeps free memory from piling up beside what is in use.

glibc gives threads heaps of their own, eight for each core, and what one of them frees stays in its heap: the
bot's threads (SQLite's, the writer of logs, those that read and write files) held 1.5 MB more for every
hundred jobs, free and of no use to the others. Python takes objects up to 512 bytes from heaps of its own, so
that threads rarely wait for each other here.
"""

from __future__ import annotations

import ctypes
import sys

M_ARENA_MAX = -8  # malloc.h of glibc; mallopt(3)


def share_one_heap() -> bool:
    """Let all threads that begin from now on use one heap of the C library. Return whether it can."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    return mallopt is not None and bool(mallopt(M_ARENA_MAX, 1))
