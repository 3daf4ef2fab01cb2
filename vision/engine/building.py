"""What libraries change for the whole process while they build models, and how the other threads are kept out
of it.

``torch.set_default_dtype`` is one for all threads: whatever is made meanwhile without naming a dtype, such as
the levels of a noise scheduler, would be in half precision, too. accelerate and peft put every new parameter
of anybody on the meta device.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from vision.engine.turn import Turn

MAKING = Turn()  # who makes modules: a model that is being loaded, or layers for a LoRA

_changed = threading.Condition()
_working = Counter[int]()  # by thread, how many times it is within
_waiting, _built = 0, False


@contextmanager
def working() -> Iterator[None]:
    """Within, nothing of that is changed, but where this thread does it. Several threads may be within at
    once, and one several times."""
    me = threading.get_ident()
    with _changed:
        _changed.wait_for(lambda: not _built and not _waiting or _working[me])
        _working[me] += 1
    try:
        yield
    finally:
        with _changed:
            _working[me] -= 1
            _changed.notify_all()


@contextmanager
def apart() -> Iterator[None]:
    """Within, in a thread that builds a model, another default dtype waits for all who are at work, and they
    then wait for its end."""
    plain, usual, mine = torch.set_default_dtype, torch.get_default_dtype(), threading.get_ident()
    changed = False

    def set_default_dtype(dtype: torch.dtype) -> None:
        nonlocal changed
        if threading.get_ident() == mine and dtype != usual and not changed:
            _begin()
            changed = True
        plain(dtype)
        if threading.get_ident() == mine and dtype == usual and changed:
            changed = False
            _end()

    torch.set_default_dtype = set_default_dtype
    try:
        yield
    finally:
        torch.set_default_dtype = plain
        if changed:
            plain(usual)
            _end()


def _begin() -> None:
    global _waiting, _built
    me = threading.get_ident()
    with _changed:
        _waiting += 1
        _changed.wait_for(lambda: not _built and _working.total() == _working[me])
        _waiting, _built = _waiting - 1, True


def _end() -> None:
    global _built
    with _changed:
        _built = False
        _changed.notify_all()
