"""Keeps free memory from piling up beside what is in use.

glibc gives threads heaps of their own, eight for each core, and what one of them frees stays in its heap: the
bot's threads (SQLite's, the writer of logs, those that read and write files) held 1.5 MB more for every
hundred jobs, free and of no use to the others. Python takes objects up to 512 bytes from heaps of its own, so
that threads rarely wait for each other here.

What is freed in the middle of that heap stays with the process as well, until it is asked for
(``core.process.give_back``): 7 MB were seen after 700 losses of the connection.
"""

from __future__ import annotations

from core.process import of_glibc

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
