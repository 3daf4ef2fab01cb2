"""Films from people: their size is checked first, a limited child process reads them, and of what it saw only
pictures are stored, by content hash, each with its time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import ImageError
from storage.files import Files
from studio.films.kinds import READ, kind_of, may_be_film
from studio.pictures.child import ask_once
from studio.pictures.intake import TIMEOUT, InMemory, Note, Readable, Sent, fetched, short_name

VIDEO_PROCESS = "studio.films.video_process"
PATIENCE = 60.0  # seconds on the clock for one film, which has five of processor time
AT_ONCE, IN_MEMORY = 1, 2  # film processes, and films of people from their first byte on
CHECKED, CHECKED_PIXELS = 8, 512 * 512  # frames of a film for moderation, whose classifier takes 224×224
TOO_MUCH = "takes too much time or memory to read; try a shorter or smaller one."


@dataclass(frozen=True)
class Film:
    """A film that somebody sent, as pictures. frames: (seconds, SHA-256), ascending. seconds: how long it is,
    also beyond what was looked at."""

    frames: tuple[tuple[float, str], ...]
    seconds: float


class Films:
    """Turns films that people give into stored pictures: at most ``frames`` of each, of at most ``pixels``.

    max_bytes: of a film, and of a picture that comes where a film could. note: writes down who sent which
    file, so that it can be told and deleted.
    """

    def __init__(
        self, files: Files, note: Note, *, frames: int, pixels: int, max_bytes: int, max_picture_bytes: int
    ) -> None:
        self._files, self._note = files, note
        self._frames, self._pixels = frames, pixels
        self._max_bytes, self._max_picture_bytes = max_bytes, max_picture_bytes
        self._slots, self._room = asyncio.Semaphore(AT_ONCE), asyncio.Semaphore(IN_MEMORY)

    async def take(self, file: Readable, user_id: int) -> Film | Sent:
        """Return a film that the user sends as stored frames; anything else as it is, fetched.

        Raises ImageError, which says what is wrong with it and what is taken.
        """
        async with self._room:
            self._check_size(file.name, file.size, may_be_film(file.name))
            sent = await fetched(file)
            head = await asyncio.to_thread(lambda: sent.head)
            is_film = kind_of(head) is not None
            self._check_size(file.name, sent.size, is_film or may_be_film(file.name))
            if is_film:
                return await self._looked_at(sent, user_id)
        if may_be_film(file.name) and not _is_picture(head):
            raise ImageError(f"{short_name(file.name)} can't be read as a film; {READ} are.")
        return sent

    async def _looked_at(self, sent: Sent, user_id: int) -> Film:
        async with self._slots:
            header, pictures = await _frames(sent, self._frames, self._pixels, short_name(sent.name))
        kept = list[tuple[float, str]]()
        for seconds, png in pictures:
            sha256 = await self._files.put(png, "image/png")
            await self._note(user_id, sha256)
            kept.append((seconds, sha256))
        return Film(tuple(kept), float(header["whole"]))

    def _check_size(self, name: str, size: int, as_film: bool) -> None:
        most, what = (self._max_bytes, "films") if as_film else (self._max_picture_bytes, "pictures")
        if size > most:
            has, fits = size / 2**20, most / 2**20
            raise ImageError(f"{short_name(name)} has {has:.0f} MB; {what} of up to {fits:.0f} MB are read.")


async def pictures_of(data: bytes, most: int, pixels: int) -> list[tuple[float, bytes]]:
    """Return at most ``most`` frames of a film as (seconds, PNG of at most ``pixels``), ascending. Raises
    ImageError, which says why it can't be read."""
    return (await _frames(data, most, pixels, "The film"))[1]


async def checked_frames(film: bytes) -> list[bytes]:
    """Return the frames of a film that moderation looks at, as PNGs: some evenly, and the first after each
    cut. Raises ImageError for what can't be read as a film."""
    return [png for _, png in await pictures_of(film, CHECKED, CHECKED_PIXELS)]


async def _frames(
    data: bytes | Sent, most: int, pixels: int, name: str
) -> tuple[dict[str, Any], list[tuple[float, bytes]]]:
    """Return what the process says of a film, and its pictures."""
    header, body = await _ask("frames", data, PATIENCE, most=most, max_pixels=pixels)
    if "error" in header:
        raise ImageError(f"{name} {header['error']}")
    found, start = list[tuple[float, bytes]](), 0
    for seconds, length in header["frames"]:
        found.append((float(seconds), body[start : start + length]))
        start += length
    return header, found


async def strip(pictures: Sequence[bytes], labels: Sequence[str], marked: Sequence[int]) -> bytes:
    """Return pictures of ours side by side, as WebP, each above its label; b"" is an empty place. marked:
    places that are set off. Raises ImageError when it can't be made."""
    shown = {"labels": list(labels), "lengths": list(map(len, pictures)), "marked": list(marked)}
    header, body = await _ask("strip", b"".join(pictures), TIMEOUT, **shown)
    if "error" in header:
        raise ImageError(f"The strip {header['error']}")
    return body


async def _ask(
    command: str, data: bytes | Sent, patience: float, **given: Any
) -> tuple[dict[str, Any], bytes]:
    sent = InMemory("", data) if isinstance(data, bytes) else data
    answer = await ask_once(VIDEO_PROCESS, command, data=sent, patience=patience, **given)
    return answer or ({"error": TOO_MUCH}, b"")


def _is_picture(data: bytes) -> bool:
    """Return whether a file begins like a picture, so that the picture process says what it thinks of it."""
    return data.startswith((b"\x89PNG", b"\xff\xd8", b"RIFF"))
