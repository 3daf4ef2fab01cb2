"""Interactions that were acknowledged with "thinking …" and have no answer yet, kept in a file that outlives
a kill of this process.

An interaction is noted before its acknowledgement is sent, and dropped when it is answered or has a job's
row. What the next start finds was cut off in between: it says so in the message that would stand there
thinking. The file has a slot for each note, so that it stays small and keeps no token longer than needed; a
write without a sync is enough, since only a crash of the whole machine could lose it.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

SLOT_BYTES = 1024  # a note takes about 300
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PendingInteraction:
    """What it takes to answer an interaction later, while its token lives."""

    interaction_id: int
    application_id: int
    token: str = field(repr=False)


class PendingInteractions:
    """The notes in the file ``path``, which only its owner may read."""

    def __init__(self, path: Path) -> None:
        self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0)
        path.chmod(0o600)
        notes = self._read()
        self._left = tuple(note for note in notes if note is not None)
        self._slots = {note.interaction_id: i for i, note in enumerate(notes) if note is not None}
        self._free = [i for i, note in enumerate(notes) if note is None]

    def close(self) -> None:
        """Close the file; the notes stay in it."""
        self._file.close()

    def take_left(self) -> tuple[PendingInteraction, ...]:
        """Return what an earlier process left unanswered, once. The notes stay until they are dropped."""
        left, self._left = self._left, ()
        return left

    def take_over(self, interaction_id: int) -> None:
        """Leave an interaction of an earlier process to whoever does it in this one."""
        self._left = tuple(note for note in self._left if note.interaction_id != interaction_id)

    def note(self, pending: PendingInteraction) -> None:
        """Note an interaction that is about to be acknowledged."""
        text = json.dumps(asdict(pending)).encode()
        if len(text) > SLOT_BYTES or pending.interaction_id in self._slots:
            log.debug("interaction %d is not noted", pending.interaction_id)
            return
        slot = self._free.pop() if self._free else len(self._slots)
        self._slots[pending.interaction_id] = slot
        self._write(slot, text)

    def drop(self, interaction_id: int) -> None:
        """Forget an interaction that is answered, or has a row."""
        slot = self._slots.pop(interaction_id, None)
        if slot is not None:
            self._write(slot, b"")
            self._free.append(slot)

    @contextmanager
    def kept(self, pending: PendingInteraction) -> Iterator[None]:
        """Keep the note until the block ends, however it ends, but for a kill."""
        self.note(pending)
        try:
            yield
        finally:
            self.drop(pending.interaction_id)

    def _write(self, slot: int, text: bytes) -> None:
        self._file.seek(slot * SLOT_BYTES)
        self._file.write(text.ljust(SLOT_BYTES, b"\0"))

    def _read(self) -> list[PendingInteraction | None]:
        """The note of each slot, None for an empty or damaged one."""
        data = self._file.read()
        return [_parsed(data[start : start + SLOT_BYTES]) for start in range(0, len(data), SLOT_BYTES)]


def _parsed(slot: bytes) -> PendingInteraction | None:
    text = slot.strip(b"\0\1")  # an older version put a 1 before each note
    if not text:
        return None
    try:
        return PendingInteraction(**json.loads(text))
    except (ValueError, TypeError):
        log.warning("a note of an unanswered interaction can't be read")
        return None
