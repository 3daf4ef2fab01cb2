"""A session with Discord's gateway as a file that outlives this process: whose it is, how far it has been
dealt with, and what fills a fresh client's caches.

The file begins with a slot that is written over at each event; behind it stand records, which are only added:
READY and every later event that changes servers, roles, channels or threads. No record holds a token or a
member other than the bot. A plain write is enough: after a crash of the whole machine the two clocks in the
slot no longer agree, and the file isn't used.
"""

from __future__ import annotations

import json
import logging
import os
import struct
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SLOT_BYTES = 4096
MAX_BYTES = 32 * 2**20  # about 3,000 servers; a session that needs more isn't kept
MAX_AGE = 300.0  # seconds; Discord keeps a session "a few minutes", an older one isn't worth the try
CLOCKS_APART = 10.0  # seconds that the wall clock and the monotonic one may differ by over a restart
COMMANDS = "COMMANDS"  # the record of which commands are registered; every other name is an event's
_HEAD = struct.Struct("<II")  # a record's length and checksum
log = logging.getLogger(__name__)
Event = tuple[str, Mapping[str, Any]]  # name and payload


@dataclass(frozen=True)
class StoredSession:
    """What an earlier process left. ``last``: the highest sequence number it received. ``unsettled``: those
    up to it that have to be told again."""

    owner: str
    commands: str
    events: tuple[Event, ...]  # READY first
    last: int
    unsettled: frozenset[int]

    @property
    def sequence(self) -> int:
        """The sequence number after which Discord shall tell again what happened."""
        return min(self.unsettled) - 1 if self.unsettled else self.last

    @property
    def ready(self) -> Mapping[str, Any]:
        """The payload that the session began with."""
        return self.events[0][1]


class SessionFile:
    """The file ``path``, which only its owner may read. Whatever goes wrong with it costs the session, and
    never more. ``clock``: seconds since 1970; ``monotonic``: seconds since the machine was started."""

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path, self._clock, self._monotonic = path, clock, monotonic
        self._descriptor: int | None = None
        self._bytes = 0

    def read(self) -> StoredSession | None:
        """Return the session that an earlier process left, if it may still live; remove any other."""
        try:
            data = self._path.read_bytes()
            stored = self._parsed(data)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, TypeError, AttributeError, zlib.error) as error:
            log.warning("the kept session with Discord can't be read (%s)", type(error).__name__)
            stored = None
        if stored is None:
            self.remove()
        return stored

    def write(self, session: StoredSession) -> None:
        """Begin the file anew with ``session``, in one step."""
        records = [
            _record("OWNER", {"owner": session.owner}),
            _record(COMMANDS, {"digest": session.commands}),
        ]
        records += [_record(name, payload) for name, payload in _latest(session.events)]
        data = self._slot(session.last, session.unsettled) + b"".join(records)
        self.close()
        try:
            self._replace(data)
        except OSError as error:
            self._give_up(error)

    def add(self, name: str, payload: Mapping[str, Any]) -> None:
        """Add a record, if there is a session."""
        if self._descriptor is None:
            return
        record = _record(name, payload)
        if self._bytes + len(record) > MAX_BYTES:
            log.info("the session with Discord has become too large to be kept over a restart")
            self.remove()
            return
        self._put(record, self._bytes)
        self._bytes += len(record)

    def note(self, last: int, unsettled: Iterable[int]) -> None:
        """Write down how far the session has been dealt with, if there is one."""
        if self._descriptor is not None:
            self._put(self._slot(last, unsettled), 0)

    def remove(self) -> None:
        """Forget the session."""
        self.close()
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("the kept session with Discord can't be removed (%s)", type(error).__name__)

    def close(self) -> None:
        """Close the file; the session stays in it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _replace(self, data: bytes) -> None:
        temporary = self._path.with_name(f"{self._path.name}.new")
        temporary.unlink(missing_ok=True)
        binary = getattr(os, "O_BINARY", 0)  # Windows
        made = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | binary, 0o600)
        with os.fdopen(made, "wb") as file:
            file.write(data)
        temporary.replace(self._path)
        self._descriptor = os.open(self._path, os.O_RDWR | binary)
        self._bytes = len(data)

    def _put(self, data: bytes, at: int) -> None:
        assert self._descriptor is not None
        try:
            os.lseek(self._descriptor, at, os.SEEK_SET)
            if os.write(self._descriptor, data) != len(data):
                raise OSError("written in part")
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        log.warning("the session with Discord can't be kept (%s)", error.strerror or type(error).__name__)
        self.remove()

    def _slot(self, last: int, unsettled: Iterable[int]) -> bytes:
        numbers = sorted(unsettled)
        at = {"wall": self._clock(), "monotonic": self._monotonic()}
        while True:
            text = json.dumps({"last": last, "unsettled": numbers, **at}).encode()
            if len(text) <= SLOT_BYTES:
                return text.ljust(SLOT_BYTES)
            numbers = numbers[len(numbers) // 2 :]  # the oldest have had their time

    def _parsed(self, data: bytes) -> StoredSession | None:
        slot = json.loads(data[:SLOT_BYTES])
        elapsed = self._monotonic() - slot["monotonic"]
        apart = abs(self._clock() - slot["wall"] - elapsed)
        if not 0 <= elapsed <= MAX_AGE or apart > CLOCKS_APART:
            return None
        (_, owner), *rest = _records(data[SLOT_BYTES:])
        commands = [payload["digest"] for name, payload in rest if name == COMMANDS]
        events = tuple(event for event in rest if event[0] != COMMANDS)
        if not events or events[0][0] != "READY":
            return None
        unsettled = frozenset(map(int, slot["unsettled"]))
        return StoredSession(owner["owner"], commands[-1], events, int(slot["last"]), unsettled)


def _record(name: str, payload: Mapping[str, Any]) -> bytes:
    data = zlib.compress(json.dumps([name, payload]).encode(), 1)
    return _HEAD.pack(len(data), zlib.crc32(data)) + data


def _records(data: bytes) -> Iterator[Event]:
    """The records up to the end, or up to one that a kill cut off."""
    at = 0
    while at + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, at)
        record = data[at + _HEAD.size : at + _HEAD.size + length]
        if len(record) < length or zlib.crc32(record) != checksum:
            return
        name, payload = json.loads(zlib.decompress(record))
        yield name, payload
        at += _HEAD.size + length


def _latest(events: Iterable[Event]) -> list[Event]:
    """Of several events with the same name about the same thing only the last, in the order of these."""
    found: dict[tuple[str, object], Event] = {}
    for name, payload in events:
        inner = payload.get("role") or payload.get("user") or payload
        thing = payload.get("role_id") or inner.get("id") or str(payload.get("channel_ids"))
        key = name, (payload.get("guild_id"), thing)
        found.pop(key, None)
        found[key] = name, payload
    return list(found.values())
