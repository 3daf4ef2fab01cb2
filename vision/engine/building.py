"""Keeps what libraries change for the whole process while they build models away from the threads at work.

transformers (``local_torch_dtype``) and diffusers (``ModelMixin._set_default_torch_dtype``) call
``torch.set_default_dtype`` while ``from_pretrained`` builds a model, also when a ``dtype`` is passed. That
default is one for all threads: whatever another job made meanwhile without naming a dtype, such as the
levels of a noise scheduler, would be in half precision, too. accelerate (``init_empty_weights``) and peft
patch ``torch.nn.Module.register_parameter``, which puts the new parameters of every thread on the meta
device.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from vision.engine.priority_lock import PriorityLock


class BuildGuard:
    """One for each engine. lock: held while modules are made, of a model that is loaded or the layers
    of a LoRA."""

    def __init__(self) -> None:
        self.lock = PriorityLock()
        self._changed = threading.Condition()
        self._at_work = Counter[int]()  # thread → how many times it is inside ``working``
        self._waiting, self._other_dtype = 0, False

    @contextmanager
    def working(self) -> Iterator[None]:
        """Keep the default dtype as it is inside the ``with`` block, but for changes by this thread itself.

        Several threads may be inside at once, and one thread several times.
        """
        me = threading.get_ident()
        with self._changed:
            self._changed.wait_for(
                lambda: not self._other_dtype and not self._waiting or self._at_work[me] > 0
            )
            self._at_work[me] += 1
        try:
            yield
        finally:
            with self._changed:
                self._at_work[me] -= 1
                self._changed.notify_all()

    @contextmanager
    def building(self) -> Iterator[None]:
        """Let this thread build a model inside the ``with`` block: where it sets another default dtype, it
        waits for all threads at work, which then wait until the dtype is the usual one again."""
        plain, usual = torch.set_default_dtype, torch.get_default_dtype()
        guarded = _GuardedDtype(self, plain, usual)
        torch.set_default_dtype = guarded
        try:
            yield
        finally:
            torch.set_default_dtype = plain
            if guarded.changed:
                plain(usual)
                self.end_other_dtype()

    def begin_other_dtype(self) -> None:
        """Wait until no other thread is at work, and keep them from beginning."""
        me = threading.get_ident()
        with self._changed:
            self._waiting += 1
            self._changed.wait_for(
                lambda: not self._other_dtype and self._at_work.total() == self._at_work[me]
            )
            self._waiting, self._other_dtype = self._waiting - 1, True

    def end_other_dtype(self) -> None:
        """Let the other threads work again."""
        with self._changed:
            self._other_dtype = False
            self._changed.notify_all()


class _GuardedDtype:
    """Stands for ``torch.set_default_dtype`` while one thread builds a model; calls of others pass
    through."""

    def __init__(self, guard: BuildGuard, plain: Callable[[torch.dtype], None], usual: torch.dtype) -> None:
        self._guard, self._plain, self._usual = guard, plain, usual
        self._builder, self.changed = threading.get_ident(), False

    def __call__(self, dtype: torch.dtype) -> None:
        mine = threading.get_ident() == self._builder
        if mine and dtype != self._usual and not self.changed:
            self._guard.begin_other_dtype()
            self.changed = True
        self._plain(dtype)
        if mine and dtype == self._usual and self.changed:
            self.changed = False
            self._guard.end_other_dtype()
