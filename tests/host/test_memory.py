"""Threads of the process share one heap of the C library."""

import ctypes
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from core.settings import ROOT
from host import memory

THREADS = """
import ctypes, sys, threading
from host.memory import share_one_heap

if sys.argv[1] == "share":
    assert share_one_heap()
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
def test_threads_share_one_heap(tmp_path: Path) -> None:
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
    assert memory.give_back()
    assert before - own.memory_info().rss > 1900 * size
    libc.free(blocks[-1])


def test_elsewhere_it_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not memory.share_one_heap() and not memory.give_back()
