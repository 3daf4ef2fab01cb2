"""Numbers of whole frames, of which a band of rows is read and written at a time: in memory while they are
few, in a file where they are many."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO

import torch

IN_MEMORY = 16 * 2**20  # bytes of one film that stay there
FREE = 2**30  # bytes of the disk that are left to others


class Frames:
    """Frames (1, C, f, H, W) of which rows are taken and replaced."""

    def __init__(self, whole: torch.Tensor) -> None:
        self._whole = whole
        self.rows = whole.shape[3]

    def read(self, frames: int, begin: int, end: int) -> torch.Tensor:
        """Return rows ``begin`` to ``end`` of the first so many frames, good until they are written."""
        return self._whole[:, :, :frames, begin:end]

    def write(self, begin: int, given: torch.Tensor) -> None:
        """Replace the rows from ``begin`` on in the first frames by ``given``."""
        self._whole[:, :, : given.shape[2], begin : begin + given.shape[3]] = given


class _FramesInFile(Frames):
    """The same in a file, from the byte ``at`` on."""

    def __init__(self, file: BinaryIO, at: int, like: torch.Tensor, shape: tuple[int, ...]) -> None:
        self._file, self._at, self._like, self._shape = file, at, like.new_empty(0), shape
        self.rows = shape[3]

    def read(self, frames: int, begin: int, end: int) -> torch.Tensor:
        found = self._like.new_empty((*self._shape[:2], frames, end - begin, self._shape[4]))
        self._each(found, begin, lambda part, at: os.preadv(self._file.fileno(), [part], at))
        return found

    def write(self, begin: int, given: torch.Tensor) -> None:
        self._each(given.contiguous(), begin, lambda part, at: os.pwrite(self._file.fileno(), part, at))

    def _each(self, numbers: torch.Tensor, begin: int, move: Callable[[memoryview, int], int]) -> None:
        """Move each frame's rows, which follow each other in the file."""
        _, channels, frames, rows, columns = numbers.shape
        row = columns * numbers.element_size()
        parts = numbers.view(channels * frames, rows * columns).view(torch.uint8).numpy()
        for i, part in enumerate(parts):
            place = i // frames * self._shape[2] + i % frames
            left, at = memoryview(part), self._at + (place * self.rows + begin) * row
            while left:
                moved = move(left, at)
                if not moved:
                    raise OSError("the file of a film's frames has become shorter")
                left, at = left[moved:], at + moved


class Shelf:
    """What the decoder of one film keeps from one piece to the next. In a processor's memory are the first
    IN_MEMORY bytes of it; the others lie in a file without a name among the temporary ones (TMPDIR), which is
    gone with the process. Where that disk has no room everything stays in memory, as it does on any other
    device."""

    def __init__(self) -> None:
        self._file: BinaryIO | None = None
        self._room, self._end = IN_MEMORY, 0

    def frames(self, like: torch.Tensor, shape: tuple[int, ...]) -> Frames:
        """Return room for frames of ``shape`` (1, C, f, H, W), of the type of ``like`` and on its device."""
        size = torch.Size(shape).numel() * like.element_size()
        if like.device.type == "cpu" and size > self._room and hasattr(os, "posix_fallocate"):
            with suppress(OSError):
                return self._in_file(like, shape, size)
        self._room -= size
        return Frames(like.new_empty(shape))

    def _in_file(self, like: torch.Tensor, shape: tuple[int, ...], size: int) -> Frames:
        self._file = self._file or tempfile.TemporaryFile(buffering=0)
        disk = os.fstatvfs(self._file.fileno())
        if disk.f_bavail * disk.f_frsize < size + FREE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.posix_fallocate(self._file.fileno(), self._end, size)
        self._end += size
        return _FramesInFile(self._file, self._end - size, like, shape)

    def close(self) -> None:
        """Forget what lies in the file."""
        if self._file is not None:
            self._file.close()
