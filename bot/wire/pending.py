"""Interactions that were acknowledged with "thinking …" and have no answer yet, kept where a kill of this
process can't reach them.

Before an acknowledgement is sent, its interaction is noted; once a row stands for it, or it is answered, the
note goes. What the next start
finds was cut off in between: it says so in the message that would stand there thinking. The notes are slots
of a file that is mapped into memory, so that noting costs no system call and no wait for a disk. They hold
tokens: only the owner of the process may read the file.
"""

from __future__ import annotations

import json
import logging
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

SLOTS, SLOT_BYTES = 1024, 1024  # a note takes about 300 bytes
_FREE, _TAKEN = b"\0", b"\1"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Promise:
    """What it takes to answer an interaction later, while its token lives."""

    interaction_id: int
    application_id: int
    token: str = field(repr=False)


class Promises:
    """The notes in ``path``. ``left``: what an earlier process promised and didn't keep."""

    def __init__(self, path: Path) -> None:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.fchmod(handle, 0o600) if hasattr(os, "fchmod") else None
            os.truncate(handle if os.truncate in os.supports_fd else path, SLOTS * SLOT_BYTES)
            self._slots = mmap.mmap(handle, SLOTS * SLOT_BYTES)
        finally:
            os.close(handle)
        self.left = tuple(self._read())
        self._slots[:] = bytes(SLOTS * SLOT_BYTES)
        self._free = list(range(SLOTS))
        self._taken: dict[int, int] = {}  # interaction → slot
        for promise in self.left:
            self.note(promise)

    def note(self, promise: Promise) -> None:
        text = json.dumps(asdict(promise)).encode()
        if not self._free or len(text) > SLOT_BYTES - 1 or promise.interaction_id in self._taken:
            log.debug("interaction %d is not noted", promise.interaction_id)
            return
        slot = self._taken[promise.interaction_id] = self._free.pop()
        start = slot * SLOT_BYTES
        self._slots[start + 1 : start + 1 + len(text)] = text
        self._slots[start : start + 1] = _TAKEN  # last: a note is whole or not there

    def drop(self, interaction_id: int) -> None:
        """It is answered, or a row stands for it."""
        slot = self._taken.pop(interaction_id, None)
        if slot is not None:
            self._slots[slot * SLOT_BYTES : (slot + 1) * SLOT_BYTES] = bytes(SLOT_BYTES)
            self._free.append(slot)

    @contextmanager
    def kept(self, promise: Promise) -> Iterator[None]:
        """Noted until the block ends, however it ends, but for a kill."""
        self.note(promise)
        try:
            yield
        finally:
            self.drop(promise.interaction_id)

    def _read(self) -> Iterator[Promise]:
        for start in range(0, SLOTS * SLOT_BYTES, SLOT_BYTES):
            if self._slots[start : start + 1] == _TAKEN:
                try:
                    yield Promise(**json.loads(self._slots[start + 1 : start + SLOT_BYTES].rstrip(_FREE)))
                except (ValueError, TypeError):
                    log.warning("a note of an unanswered interaction can't be read")
