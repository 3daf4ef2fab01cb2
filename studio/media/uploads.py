"""Pictures and videos from people: their size is checked first, a limited child process reads them, and what
it wrote clean is stored by content hash; of a video only pictures, each with its time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, Protocol

from core.errors import FilesAway, ImageError, StorageError
from storage.blobs.base import Files
from studio.media import masks
from studio.media.child import ask_once
from studio.media.video_decode import READ, kind_of, may_be_video
from studio.texts import aspect_ratio

CHILDREN = 2  # picture processes at once
IN_MEMORY = 4  # files of people at once, from their first byte on
HEAD, BLOCK = 2**20, 2**18  # bytes that tell what a file is, and that are handed on at a time
SEVERAL, SEVERAL_BYTES = 16, 4 * 2**20  # pictures, and bytes of them, that one process reads
PNG_HEADER = 24  # bytes: signature, then width and height (https://www.w3.org/TR/png-3/#11IHDR)
TIMEOUT = 20.0  # seconds for one picture, waiting excluded
TOO_MUCH = "takes too much time or memory to read; try a smaller one."
MASK_GONE = "That mask is gone; paint it again."
TOO_LONG = "These strokes take too long to paint again. Bake them into the mask below them first."
PROCESS = "studio.media.media_process"
PICTURE_LIMIT = "{has:.1f} MB; the limit is {most:.0f} MB."


class Readable(Protocol):
    """A file that somebody gives, wherever it lies."""

    @property
    def name(self) -> str:
        """What messages call the file."""

    @property
    def size(self) -> int:
        """Bytes as far as that is known, 0 if it isn't."""

    async def read(self) -> bytes:
        """Return the bytes. Raises ImageError, which says why they can't be had."""


@dataclass(frozen=True)
class InMemory:
    """A file that is here already."""

    name: str
    data: bytes = field(repr=False)

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data)

    @property
    def head(self) -> bytes:
        """What the file begins with, at most ``HEAD`` bytes."""
        return self.data[:HEAD]

    async def read(self) -> bytes:
        """Return the bytes."""
        return self.data

    async def blocks(self) -> AsyncIterator[bytes]:
        """Yield the bytes, some at a time."""
        yield self.data

    def part(self, name: str, start: int, size: int) -> InMemory:
        """Return some of the bytes as a file of their own."""
        return InMemory(name, self.data[start : start + size])

    @contextmanager
    def opened(self) -> Iterator[bytes]:
        """Open the bytes, to look for something in them."""
        yield self.data


@dataclass(frozen=True)
class OnDisk:
    """``size`` bytes of a file of ours, from ``start`` on; whoever has made the file deletes it."""

    name: str
    path: Path
    size: int
    start: int = 0

    @property
    def head(self) -> bytes:
        """What the file begins with, at most ``HEAD`` bytes."""
        return self._read(0, HEAD)

    async def read(self) -> bytes:
        """Return the bytes, all at once."""
        return await asyncio.to_thread(self._read, 0, self.size)

    async def blocks(self) -> AsyncIterator[bytes]:
        """Yield the bytes, some at a time."""
        for start in range(0, self.size, BLOCK):
            yield await asyncio.to_thread(self._read, start, BLOCK)

    def part(self, name: str, start: int, size: int) -> OnDisk:
        """Return some of the bytes as a file of their own."""
        return OnDisk(name, self.path, size, self.start + start)

    @contextmanager
    def opened(self) -> Iterator[mmap]:
        """Open the bytes of a whole file, to look for something in them."""
        with self.path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as found:
            yield found

    def _read(self, start: int, size: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(self.start + start)
            return file.read(min(size, self.size - start))


Sent = InMemory | OnDisk


async def fetched(file: Readable) -> Sent:
    """Return a file that is here, wherever it lay. Raises ImageError."""
    return file if isinstance(file, Sent) else InMemory(file.name, await file.read())


async def fetched_within(file: Readable, max_bytes: int, limit: str) -> Sent:
    """Return a file that is here and has at most ``max_bytes``. limit: what a sentence says of its size, with
    ``has`` and ``most`` MB. Raises ImageError."""
    check_size(file.name, file.size, max_bytes, limit)
    sent = await fetched(file)
    check_size(file.name, sent.size, max_bytes, limit)  # it may have said less before
    return sent


def check_size(name: str, size: int, max_bytes: int, limit: str) -> None:
    """Raise ImageError, as ``fetched_within`` does, for a file of more than ``max_bytes``."""
    if size > max_bytes:
        raise ImageError(f"{short_name(name)} has {limit.format(has=size / 2**20, most=max_bytes / 2**20)}")


@dataclass(frozen=True)
class Taken:
    """A clean, stored picture. look: red, green and blue of 8 × 8 cells, where that was asked for."""

    sha256: str
    width: int
    height: int
    look: bytes = b""


@dataclass(frozen=True)
class Painted:
    """A stored mask. pixels: SHA-256 of all of them, a byte each, 0 or 1. count: how many are 1."""

    sha256: str
    pixels: str
    count: int


Note = Callable[[int, str], Awaitable[None]]


class Intake:
    """Turns files that people give into stored pictures of at most ``max_bytes``.

    ``note`` writes down who sent which file, so that it can be told and deleted.
    """

    def __init__(self, files: Files, max_bytes: int, note: Note) -> None:
        self._files, self._max_bytes, self._note = files, max_bytes, note
        self._slots, self._room = asyncio.Semaphore(CHILDREN), asyncio.Semaphore(IN_MEMORY)

    async def take(self, picture: Readable, user_id: int, *, look: bool = False) -> Taken:
        """Store a picture that the user sends as a clean PNG. Raises ImageError, which says what is wrong
        with it and what is taken."""
        async with self._room:
            given: dict[str, Any] = {"look": True} if look else {}
            sent = await self._fetched(picture)
            answer = await self._child("clean", sent, short_name(picture.name), **given)
        return await self._keep(user_id, *answer)

    async def take_key_frame(self, name: str, data: bytes, codec: str, user_id: int) -> Taken:
        """Store a key frame of a stream ("h264" or "hevc"), as ``take`` does."""
        async with self._room:
            answer = await self._child("key-frame", data, short_name(name), codec=codec)
        return await self._keep(user_id, *answer)

    async def take_all(self, pictures: Sequence[Readable], user_id: int) -> list[Taken | ImageError]:
        """Store pictures that the user sends, as ``take_several`` does, however many and large they are."""
        found: list[Taken | ImageError] = []
        some: list[InMemory] = []
        for picture in pictures:
            try:
                read = InMemory(picture.name, await (await self._fetched(picture)).read())
            except ImageError as error:
                found += [*(await self.take_several(some, user_id) if some else ()), error]
                some = []
                continue
            if some and (len(some) == SEVERAL or read.size + sum(one.size for one in some) > SEVERAL_BYTES):
                found += await self.take_several(some, user_id)
                some = []
            some.append(read)
        return [*found, *(await self.take_several(some, user_id) if some else ())]

    async def take_several(self, pictures: Sequence[InMemory], user_id: int) -> list[Taken | ImageError]:
        """Store pictures that the user sends together, as ``take`` does, several in one process; one that
        ends it costs the others nothing. Return an ImageError in the place of each that isn't taken."""
        taken: list[Taken | ImageError] = []
        async with self._room:
            data = b"".join(picture.data for picture in pictures)
            try:
                header, body = await self._child("several", data, "", lengths=[one.size for one in pictures])
            except ImageError:
                header, body = {"pictures": ()}, b""
        if len(header["pictures"]) != len(pictures):
            for picture in pictures:
                try:
                    taken.append(await self.take(picture, user_id))
                except ImageError as error:
                    taken.append(error)
            return taken
        for picture, one in zip(pictures, header["pictures"], strict=True):
            if "error" in one:
                taken.append(ImageError(f"{short_name(picture.name)} {one['error']}"))
                continue
            png, body = body[: one["size"]], body[one["size"] :]
            taken.append(await self._keep(user_id, one, png))
        return taken

    async def clean(self, picture: Readable) -> bytes:
        """Return a picture that isn't kept as a clean PNG. Raises ImageError as ``take`` does."""
        async with self._room:
            return (await self._child("clean", await self._fetched(picture), short_name(picture.name)))[1]

    async def take_mask(self, mask: Readable, user_id: int, original: str, *, exact: bool = False) -> str:
        """Store what ``mask`` marks on ``original`` (SHA-256 of a picture of ours) as a black and white PNG,
        and return its SHA-256.

        exact: take black and white of the picture's own size only, without guessing. Raises ImageError, which
        says what is wrong with the mask.
        """
        command = "exact-mask" if exact else "mask"
        async with self._room:
            data = await (await self._fetched(mask)).read()
            both = data + await self._files.get(original)
            answer = await self._child(command, both, short_name(mask.name), size=len(data))
        return (await self._keep(user_id, *answer)).sha256

    async def keep_mask(self, data: bytes, user_id: int) -> masks.Bits:
        """Store a mask that the user sends, as it is, and return it. Raises ImageError for anything else."""
        mask = await asyncio.to_thread(masks.read_mask, data)
        await self._store(user_id, data)
        return mask

    async def read_mask(self, sha256: str) -> tuple[bytes, masks.Bits]:
        """Return a stored mask, as the file that it is and read. Raises ImageError for one that is gone, or
        another file."""
        try:
            data = await self._files.get(sha256)
            return data, await asyncio.to_thread(masks.read_mask, data)
        except FilesAway:
            raise
        except StorageError as error:
            raise ImageError(MASK_GONE) from error

    async def keep_runs(self, counts: Sequence[int], size: tuple[int, int], user_id: int) -> str | None:
        """Store a mask that a label file of the user's has as runs, and return its SHA-256; None where it is
        no mask of ours: too small, too large, or empty."""

        def written() -> bytes:
            data = masks.write_mask(masks.mask_of(counts, *size))
            return data if masks.read_mask(data).painted else b""

        try:
            data = await asyncio.to_thread(written)
        except (ImageError, ValueError):
            return None
        return await self._store(user_id, data) if data else None

    async def paint(
        self, size: tuple[int, int], strokes: Sequence[Mapping[str, Any]], base: str | None, user_id: int
    ) -> Painted:
        """Store the mask that ``strokes`` of a checked document make of ``base`` (SHA-256 of a stored one).

        size: width and height. Raises ImageError for a base of another size, or strokes that take too long.
        """
        sent = await asyncio.to_thread(lambda: json.dumps(list(strokes)).encode())
        below = b"" if base is None else await self._files.get(base)
        shape = {"width": size[0], "height": size[1], "length": len(sent)}
        header, png = await self._child("paint", sent + below, "", TOO_LONG, **shape)
        return Painted(await self._store(user_id, png), str(header["sha256"]), int(header["painted"]))

    async def numbered(self, data: bytes, side: int) -> bytes:
        """Return ``data`` (a picture of ours) with ``side`` × ``side`` numbered fields, as WebP. Raises
        ImageError when it can't be read."""
        return (await self._child("numbered", data, "The picture", side=side))[1]

    async def likeness(
        self, sha256s: Sequence[str], places: Sequence[tuple[float, float]] = ()
    ) -> list[tuple[float, float, float]]:
        """Return how well the fine structure of the first picture of ours fits that of each other, and by how
        much of the sides, right and down, the other is moved for that. places: a point on each, in 0..1;
        then it is what lies around them that has to fit. Raises ImageError when they can't be read."""
        try:
            data = [await self._files.get(one) for one in sha256s]
        except StorageError as error:
            raise ImageError("That picture is gone; send it again.") from error
        lengths = list(map(len, data))
        given: dict[str, Any] = {"lengths": lengths, "places": list(places)}
        header, _ = await self._child("alike", b"".join(data), "The picture", **given)
        return [(float(fit), float(right), float(down)) for fit, right, down in header["alike"]]

    async def sheet(self, pictures: Sequence[bytes], numbers: Sequence[int], across: int = 3) -> bytes:
        """Return small pictures of ours on one sheet, as WebP, each with its number, ``across`` in a row;
        b"" is an empty cell. Raises ImageError when it can't be made."""
        how: dict[str, Any] = {
            "lengths": list(map(len, pictures)),
            "numbers": list(numbers),
            "across": across,
        }
        answer = await self._child("sheet", b"".join(pictures), "The sheet", **how)
        return answer[1]

    async def _keep(self, user_id: int, header: dict[str, Any], png: bytes) -> Taken:
        size = int(header["width"]), int(header["height"])
        return Taken(await self._store(user_id, png), *size, bytes.fromhex(header.get("look", "")))

    async def _store(self, user_id: int, png: bytes) -> str:
        sha256 = await self._files.put(png, "image/png")
        await self._note(user_id, sha256)
        return sha256

    async def _fetched(self, picture: Readable) -> Sent:
        return await fetched_within(picture, self._max_bytes, PICTURE_LIMIT)

    async def size(self, sha256: str) -> tuple[int, int]:
        """Return (width, height) of a picture taken earlier. Raises ImageError when its file is gone."""
        try:
            head = await OnDisk(sha256, await self._files.local(sha256), PNG_HEADER).read()
        except (OSError, LookupError) as error:
            raise ImageError("That picture is gone; send it again.") from error
        return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")

    async def shape(self, sha256: str) -> tuple[int, int] | None:
        """Return the aspect ratio of a picture taken earlier; None for a square, or when its file is gone."""
        try:
            return aspect_ratio(*await self.size(sha256))
        except ImageError:
            return None

    async def shrink(self, data: bytes, limit: int) -> tuple[bytes, str, str]:
        """Return a picture of ours in at most ``limit`` bytes: (bytes, media type, encoding's name). Raises
        ImageError when no encoding is small enough."""
        header, body = await self._child("shrink", data, "The picture", limit=limit)
        return body, str(header["media_type"]), str(header["name"])

    async def _child(
        self, command: str, data: bytes | Sent, called: str, too_much: str = TOO_MUCH, **given: Any
    ) -> tuple[dict[str, Any], bytes]:
        """Return what the image process answers. called: how a sentence on what is wrong begins."""
        async with self._slots:
            return await ask_once(
                PROCESS, command, data=data, called=called, too_much=too_much, patience=TIMEOUT, **given
            )


def short_name(name: str) -> str:
    """Return a file's name as messages show it: harmless characters in backticks, at most 60."""
    clean = "".join(c for c in name if c.isalnum() or c in "._- ")[:60]
    return f"`{clean}`" if clean else "The picture"


PATIENCE = 60.0  # seconds on the clock for one video, which has five of processor time
AT_ONCE, VIDEOS_IN_MEMORY = 1, 2  # video processes, and videos of people from their first byte on
CHECKED, CHECKED_PIXELS = 8, 512 * 512  # frames of a video for moderation, whose classifier takes 224×224
VIDEO_TOO_MUCH = "takes too much time or memory to read; try a shorter or smaller one."


@dataclass(frozen=True)
class Video:
    """A video that somebody sent, as pictures. frames: (seconds, SHA-256), ascending. seconds: how long it
    is, also beyond what was looked at."""

    frames: tuple[tuple[float, str], ...]
    seconds: float


class Videos:
    """Turns videos that people give into stored pictures: at most ``frames`` of each, of at most ``pixels``.

    max_bytes: of a video, and of a picture that comes where a video could. note: writes down who sent which
    file, so that it can be told and deleted.
    """

    def __init__(
        self, files: Files, note: Note, *, frames: int, pixels: int, max_bytes: int, max_picture_bytes: int
    ) -> None:
        self._files, self._note = files, note
        self._frames, self._pixels = frames, pixels
        self._max_bytes, self._max_picture_bytes = max_bytes, max_picture_bytes
        self._slots, self._room = asyncio.Semaphore(AT_ONCE), asyncio.Semaphore(VIDEOS_IN_MEMORY)

    async def take(self, file: Readable, user_id: int) -> Video | Sent:
        """Return a video that the user sends as stored frames; anything else as it is, fetched. Raises
        ImageError, which says what is wrong with it and what is taken."""
        called = may_be_video(file.name)
        async with self._room:
            check_size(file.name, file.size, *self._limit(called))
            sent = await fetched(file)
            head = await asyncio.to_thread(lambda: sent.head)
            is_video = kind_of(head) is not None
            check_size(file.name, sent.size, *self._limit(is_video or called))
            if is_video:
                return await self._looked_at(sent, user_id)
        is_picture = head.startswith((b"\x89PNG", b"\xff\xd8", b"RIFF"))  # told by its own process
        if called and not is_picture:
            raise ImageError(f"{short_name(file.name)} can't be read as a video. Supported: {READ}.")
        return sent

    async def _looked_at(self, sent: Sent, user_id: int) -> Video:
        async with self._slots:
            whole, pictures = await _frames(sent, self._frames, self._pixels, short_name(sent.name))
        kept = list[tuple[float, str]]()
        for seconds, png in pictures:
            sha256 = await self._files.put(png, "image/png")
            await self._note(user_id, sha256)
            kept.append((seconds, sha256))
        return Video(tuple(kept), whole)

    def _limit(self, as_video: bool) -> tuple[int, str]:
        """Return how many bytes are read, and the sentence that says so."""
        most, what = (self._max_bytes, "videos") if as_video else (self._max_picture_bytes, "pictures")
        return most, f"{{has:.0f}} MB; the limit for {what} is {{most:.0f}} MB."


async def read_frames(data: bytes, most: int, pixels: int) -> list[tuple[float, bytes]]:
    """Return at most ``most`` frames of a video as (seconds, PNG of at most ``pixels``), ascending. Raises
    ImageError, which says why it can't be read."""
    return (await _frames(data, most, pixels, "The video"))[1]


async def checked_frames(video: bytes) -> list[bytes]:
    """Return the frames of a video that moderation looks at, as PNGs: some evenly, and the first after each
    cut. Raises ImageError for what can't be read as a video."""
    return [png for _, png in await read_frames(video, CHECKED, CHECKED_PIXELS)]


async def _frames(
    data: bytes | Sent, most: int, pixels: int, name: str
) -> tuple[float, list[tuple[float, bytes]]]:
    """Return how many seconds a video lasts, and its pictures."""
    given = {"most": most, "max_pixels": pixels}
    header, body = await ask_once(
        PROCESS, "frames", data=data, called=name, too_much=VIDEO_TOO_MUCH, patience=PATIENCE, **given
    )
    found, start = list[tuple[float, bytes]](), 0
    for seconds, length in header["frames"]:
        found.append((float(seconds), body[start : start + length]))
        start += length
    return float(header["whole"]), found


async def strip(pictures: Sequence[bytes], labels: Sequence[str], marked: Sequence[int]) -> bytes:
    """Return pictures of ours side by side, as WebP, each above its label; b"" is an empty place. marked:
    places that are set off. Raises ImageError when it can't be made."""
    shown = {"labels": list(labels), "lengths": list(map(len, pictures)), "marked": list(marked)}
    whole, called = b"".join(pictures), "The strip"
    answer = await ask_once(
        PROCESS, "strip", data=whole, called=called, too_much=VIDEO_TOO_MUCH, patience=TIMEOUT, **shown
    )
    return answer[1]
