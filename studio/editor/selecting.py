"""Questions about a thing in a picture, answered by a worker beside the jobs: one at a time for each."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from core.errors import FilesAway, ImageError, LimitError, StorageError
from storage.blobs.base import Files
from studio.pictures import bits
from studio.pictures.bits import Bits
from studio.search.eyes import Blind, Eyes

READY_PATIENCE = 30.0  # seconds; a model may have to be loaded first
BUSY = "Your last question about a picture isn't answered yet."
NOBODY = (
    "Nobody can look at pictures right now: the studio is starting or busy. Use the magic wand meanwhile."
)


@dataclass(frozen=True)
class Wanted:
    """What a thing is found by: points (x, y, 1 = belongs to it, 0 = doesn't), a box around it, words. None
    of them: get ready for the picture."""

    points: tuple[tuple[float, float, int], ...] = ()
    box: tuple[float, float, float, float] | None = None
    words: str = ""


@dataclass(frozen=True)
class Selection:
    """A thing. mask: a file as ``studio.pictures.bits`` writes it, None when none was asked for. by: "sam",
    "segment", "cutout" or "clip". box: around it, px. points, words: what can be asked here."""

    mask: bytes | None = field(repr=False)
    score: float
    box: tuple[int, int, int, int]
    by: str
    points: bool
    words: bool


class Selecting:
    """Asks a worker."""

    def __init__(self, eyes: Eyes, files: Files) -> None:
        self._eyes, self._files = eyes, files
        self._asking: set[int] = set()

    async def select(self, user_id: int, sha256: str, wanted: Wanted) -> Selection:
        """Return the thing in a picture.

        Raises LimitError while the person's last question isn't answered, or nobody can answer; ImageError
        when the picture is gone or nothing in it fits, which says what to do.
        """
        if user_id in self._asking:
            raise LimitError(BUSY)
        self._asking.add(user_id)
        try:
            path = await self._files.local(sha256)
            found = await self._eyes.select(
                path, wanted.points, wanted.box, wanted.words, patience=READY_PATIENCE
            )
        except FilesAway:
            raise
        except StorageError as error:
            raise ImageError("That picture is gone.") from error
        except Blind as error:
            raise LimitError(NOBODY) from error
        finally:
            self._asking.discard(user_id)
        if found.refused:
            raise ImageError(found.refused)
        mask = None
        if found.rows:
            mask = await asyncio.to_thread(bits.write, Bits(*found.size, found.rows))
        return Selection(mask, found.score, found.box, found.by, found.points, found.words)
