"""Processor time of one thread alone: other threads and the collector of garbage don't count."""

import contextlib
import gc
import time
from collections.abc import Iterator


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Fail when the body takes more than ``seconds`` of this thread's processor time."""
    was_enabled = gc.isenabled()
    gc.disable()
    began = time.thread_time()
    try:
        yield
        taken = time.thread_time() - began
    finally:
        if was_enabled:
            gc.enable()
    assert taken < seconds, f"{taken:.2f} s"
