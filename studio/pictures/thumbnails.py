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
from studio.pictures.intake import child_environment

SIZES = (256, 512)  # px of the longer side
QUALITY, BLURRED_SIDE = 75, 24  # of WebP; px that a veiled picture is reduced to before it is enlarged again
ANSWER, IDLE = 30.0, 120.0  # seconds for one picture; without a picture until the process is let go
MAX_MEMORY, MAX_SECONDS = 440 * 2**20, 3600  # bytes and seconds of processor time of the process
MAX_PIXELS = 16_777_216
_ASKED = struct.Struct(">IHB")  # bytes that follow, px of the longer side, whether it is veiled
_ANSWERED = struct.Struct(">I")  # bytes that follow, 0 when the picture can't be read
log = logging.getLogger(__name__)


class Thumbnails:
    """Makes and keeps small WebP copies of stored pictures."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Task[int]] = set()

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

    async def close(self) -> None:
        """End the process."""
        if self._idle is not None:
            self._idle.cancel()
        await self._stop()
        await asyncio.gather(*self._ending)

    async def _ask(self, original: bytes, side: int, veiled: bool) -> bytes:
        async with self._turn:
            try:
                async with asyncio.timeout(ANSWER):
                    made = await self._answer(original, side, veiled)
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                log.warning("the process that makes thumbnails ended (%s)", type(error).__name__)
                await self._stop()
                raise ImageError("No small copy of this picture could be made.") from error
            except BaseException:  # cancelled: its answer would be taken for the next picture's
                await self._stop()
                raise
            self._rest()
            return made

    async def _answer(self, original: bytes, side: int, veiled: bool) -> bytes:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "studio.pictures.thumbnails",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=child_environment(),
            )
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        stdin.write(_ASKED.pack(len(original), side, veiled))
        stdin.write(original)
        await stdin.drain()
        [length] = _ANSWERED.unpack(await stdout.readexactly(_ANSWERED.size))
        return await stdout.readexactly(length)

    def _rest(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(IDLE, self._end_idle)

    def _end_idle(self) -> None:
        """Let the process go: it ends by itself when its pipe closes, and the next picture gets another."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            ending = asyncio.create_task(process.wait(), name="end the thumbnails")
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    async def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.wait()


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
