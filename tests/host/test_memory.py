"""Threads of the process share one heap of the C library."""

import ctypes
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from core import process
from core.settings import ROOT
from host import process as memory

THREADS = """
import ctypes, sys, threading
from host.process import configure_heap

if sys.argv[1] == "share":
    assert configure_heap()
libc, together = ctypes.CDLL(None), threading.Barrier(4)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.fopen.restype, libc.fclose.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]

def allocate():
    together.wait()
    libc.malloc(5000)
    together.wait()

threads = [threading.Thread(target=allocate) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
file = libc.fopen(sys.argv[2].encode(), b"w")
libc.malloc_info(0, file)
libc.fclose(file)
"""


def _heaps(how: str, file: Path) -> int:
    subprocess.run([sys.executable, "-c", THREADS, how, str(file)], cwd=ROOT, check=True, timeout=60)
    return file.read_text().count("<heap ")


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's way")
def test_threads_configure_heap(tmp_path: Path) -> None:
    assert _heaps("share", tmp_path / "heaps") == 1 < _heaps("leave", tmp_path / "heaps")


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's way")
def test_what_is_free_in_the_middle_of_the_heap_goes_back_to_the_system() -> None:
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    size, own = 16 * 1024, psutil.Process()
    blocks = [libc.malloc(size) for _ in range(2000)]
    for block in blocks:
        ctypes.memset(block, 1, size)
    for block in blocks[:-1]:  # the last holds the heap's end where it is
        libc.free(block)
    before = own.memory_info().rss
    assert process.give_back()
    assert before - own.memory_info().rss > 1900 * size
    libc.free(blocks[-1])


def test_elsewhere_it_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not memory.configure_heap() and not process.give_back()


LARGE_BLOCKS = """
import ctypes, sys, psutil
from host.process import configure_heap

if sys.argv[1] == "apart":
    assert configure_heap()
libc, own, size = ctypes.CDLL(None), psutil.Process(), 4 << 20
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.free(libc.malloc(size))  # glibc takes such blocks from its heap from now on
before = own.memory_info().rss
blocks = [libc.malloc(size), libc.malloc(5000)]
ctypes.memset(blocks[0], 1, size)
libc.free(blocks[0])  # with another block above
print(own.memory_info().rss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's way")
def test_a_large_block_leaves_no_hole_when_it_is_freed() -> None:
    def left(how: str) -> int:
        command = [sys.executable, "-c", LARGE_BLOCKS, how]
        run = subprocess.run(command, cwd=ROOT, check=True, timeout=60, capture_output=True, text=True)
        return int(run.stdout)

    assert left("apart") < 1 << 20 < left("leave")
