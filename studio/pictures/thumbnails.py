"""Small copies of pictures, made once and kept beside the originals' cache until those are removed.

A confined process makes them (``python -m studio.pictures.thumbnails``): decoding a large picture takes more
memory than the studio's own process may have. It is started when it is needed and let go when it is idle.
"""

from __future__ import annotations

import asyncio
import io
import logging
import struct
import sys

from core.errors import ImageError
from storage.files import Files
from studio.pictures import confine
from studio.pictures.child import Child

SIZES = (256, 512)  # px of the longer side
QUALITY, BLURRED_SIDE = 75, 24  # of WebP; px that a veiled picture is reduced to before it is enlarged again
ANSWER, IDLE = 30.0, 120.0  # seconds for one picture; without a picture until the process is let go
MAX_MEMORY, MAX_SECONDS = 440 * 2**20, 3600  # bytes and seconds of processor time of the process
MAX_PIXELS = 16_777_216
_ASKED = struct.Struct(">IHB")  # bytes that follow, px of the longer side, whether it is veiled
_ANSWERED = struct.Struct(">I")  # bytes that follow, 0 when the picture can't be read
log = logging.getLogger(__name__)


class Thumbnails(Child):
    """Makes and keeps small WebP copies of stored pictures."""

    def __init__(self, files: Files) -> None:
        super().__init__(sys.executable, "-m", "studio.pictures.thumbnails")
        self._files = files

    async def get(self, sha256: str, side: int, *, veiled: bool = False) -> bytes:
        """Return a picture as WebP with its longer side of at most ``side`` px, one of ``SIZES``.

        veiled: so blurred that nothing can be recognised. Raises ImageError when it can't be read,
        StorageError when its file is gone.
        """
        name = f"{side}{'.veiled' if veiled else ''}.webp"
        kept = await self._files.get_derived(sha256, name)
        if kept is not None:
            return kept
        original = await self._files.get(sha256)
        made = await self._ask(original, side, veiled)
        if not made:
            raise ImageError("This picture can't be read any more.")
        await self._files.put_derived(sha256, name, made)
        return made

    async def _ask(self, original: bytes, side: int, veiled: bool) -> bytes:
        async def talk(asked: asyncio.StreamWriter, answers: asyncio.StreamReader) -> bytes:
            asked.write(_ASKED.pack(len(original), side, veiled))
            asked.write(original)
            await asked.drain()
            [length] = _ANSWERED.unpack(await answers.readexactly(_ANSWERED.size))
            return await answers.readexactly(length)

        async with self._turn:
            try:
                return await self._exchange(talk, ANSWER, IDLE)
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                log.warning("the process that makes thumbnails ended (%s)", type(error).__name__)
                raise ImageError("No small copy of this picture could be made.") from error


def main() -> None:
    """Answer requests from stdin until it closes, in a process that can do nothing else."""
    from PIL import Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin  # noqa: F401

    Image.init()
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    small(_probe(), 256, veiled=True)  # loads all that the encoder needs
    confine.limit(MAX_MEMORY, MAX_SECONDS)
    confine.shut_in()
    asked, out = sys.stdin.buffer, sys.stdout.buffer
    while head := asked.read(_ASKED.size):
        length, side, veiled = _ASKED.unpack(head)
        made = small(asked.read(length), side, veiled=bool(veiled))
        out.write(_ANSWERED.pack(len(made)) + made)
        out.flush()


def small(original: bytes, side: int, *, veiled: bool) -> bytes:
    """Return an encoded picture as a WebP whose longer side has at most ``side`` px; nothing when it can't
    be read. veiled: blurred beyond recognition."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(original), formats=("PNG", "JPEG", "WEBP")) as picture:
            picture.draft("RGB", (side, side))
            shown = picture.convert("RGBA" if picture.mode in ("RGBA", "LA", "P") else "RGB")
    except (OSError, ValueError, Image.DecompressionBombError, MemoryError):
        return b""
    shown.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    if veiled:
        size = shown.size
        shown.thumbnail((BLURRED_SIDE, BLURRED_SIDE), Image.Resampling.BOX)
        shown = shown.resize(size, Image.Resampling.BICUBIC)
    kept = io.BytesIO()
    shown.save(kept, "WEBP", quality=QUALITY, method=2)
    return kept.getvalue()


def _probe() -> bytes:
    from PIL import Image

    probe = io.BytesIO()
    Image.new("RGB", (8, 8)).save(probe, "PNG")
    return probe.getvalue()


if __name__ == "__main__":
    main()
