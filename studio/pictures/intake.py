"""Pictures from people: size and host checked first, read in a limited child process, stored clean by content
hash."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import aiohttp
import discord

from bot.wire import addresses
from core.errors import ImageError
from core.settings import ROOT
from storage.files import Files
from studio.asking.words import aspect_ratio

log = logging.getLogger(__name__)
CHILDREN = 2  # picture processes at once
TIMEOUT = 20.0  # seconds for one picture, waiting excluded
KEPT = (
    "PATH",
    "LANG",
    "SYSTEMROOT",
    "LD_LIBRARY_PATH",
)  # of the environment, for a picture process: no token, no address


class Attachment(Protocol):
    """What is needed of ``discord.Attachment``."""

    filename: str
    size: int
    url: str

    async def read(self) -> bytes: ...


@dataclass(frozen=True)
class Taken:
    """A clean, stored picture."""

    sha256: str
    width: int
    height: int


Note = Callable[[int, str], Awaitable[None]]


class Intake:
    """Turns attachments into stored pictures. ``note`` writes down who sent which file, so that it can be
    told and deleted."""

    def __init__(
        self, files: Files, max_bytes: int, note: Note, servers: frozenset[str] = addresses.CDN
    ) -> None:
        self._files, self._max_bytes, self._note, self._servers = files, max_bytes, note, servers
        self._slots = asyncio.Semaphore(CHILDREN)

    async def take(self, attachment: Attachment, user_id: int) -> Taken:
        """Store ``attachment``, sent by the user, as a clean PNG. ImageError says what is wrong with it and
        what is taken."""
        return await self._keep(
            attachment.filename, user_id, await self._child(await self.read(attachment), "clean")
        )

    async def take_mask(self, data: bytes, user_id: int, original: bytes, name: str) -> str:
        """Store what ``data``, sent by the user as ``name``, marks on ``original`` (a picture of ours) as a
        black and white PNG; its SHA-256."""
        self._check_size(name, len(data))
        return (
            await self._keep(name, user_id, await self._child(data + original, "mask", str(len(data))))
        ).sha256

    async def numbered(self, data: bytes, side: int) -> io.BytesIO:
        """``data`` (a picture of ours) with ``side`` × ``side`` numbered fields, as WebP."""
        header, body = await self._child(data, "numbered", str(side))
        if "error" in header:
            raise ImageError(f"The picture {header['error']}")
        return io.BytesIO(body)

    async def _keep(self, name: str, user_id: int, answer: tuple[dict[str, object], bytes]) -> Taken:
        header, png = answer
        if "error" in header:
            raise ImageError(f"{_short_name(name)} {header['error']}")
        sha256 = await self._files.put(png, "image/png")
        await self._note(user_id, sha256)
        return Taken(sha256, int(header["width"]), int(header["height"]))

    async def read(self, attachment: Attachment) -> bytes:
        """What ``attachment`` holds. ImageError when it is too large, from elsewhere, or not to be had."""
        name = _short_name(attachment.filename)
        self._check_size(attachment.filename, attachment.size)
        addresses.check_attachment(attachment.url, self._servers)
        try:
            data = await attachment.read()
        except discord.HTTPException as error:
            raise ImageError(
                f"Discord didn't hand over {name} ({error.status}). Send it once more."
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            raise ImageError(f"Discord didn't hand over {name}. Send it once more.") from error
        self._check_size(attachment.filename, len(data))  # it may have said less before
        return data

    def _check_size(self, name: str, size: int) -> None:
        if size > self._max_bytes:
            raise ImageError(
                f"{_short_name(name)} has {size / 2**20:.1f} MB; up to {self._max_bytes / 2**20:.0f} MB are"
                " taken."
            )

    async def size(self, sha256: str) -> tuple[int, int]:
        """(width, height) of a picture taken earlier. ImageError when its file is gone."""
        try:
            head = await asyncio.to_thread(_read_head, self._files.path(sha256))
        except (OSError, LookupError) as error:
            raise ImageError("That picture is gone; send it once more.") from error
        return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")

    async def shape(self, sha256: str) -> tuple[int, int] | None:
        """Of a picture taken earlier, for ``--ar``; None for a square, or when its file is gone."""
        try:
            return aspect_ratio(*await self.size(sha256))
        except ImageError:
            return None

    async def shrink(self, data: bytes, limit: int) -> tuple[bytes, str, str]:
        """``data`` (a picture of ours) in at most ``limit`` bytes: (bytes, media type, name of the
        encoding)."""
        header, body = await self._child(data, "shrink", str(limit))
        if "error" in header:
            raise ImageError(f"The picture {header['error']}")
        return body, str(header["media_type"]), str(header["name"])

    async def _child(self, data: bytes, *command: str) -> tuple[dict[str, object], bytes]:
        async with self._slots:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "studio.pictures.gate",
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=child_environment(),
            )
            try:
                async with asyncio.timeout(TIMEOUT):
                    out, _ = await process.communicate(data)
            except TimeoutError:
                out = b""
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        line, _, body = out.partition(b"\n")
        if not line:
            log.warning("picture process ended with %s", process.returncode)
            return {"error": "takes too much time or memory to read; a smaller one may do."}, b""
        return json.loads(line), body


def child_environment() -> dict[str, str]:
    """What a picture process knows of this one."""
    return {name: os.environ[name] for name in KEPT if name in os.environ} | {
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _read_head(path: Path) -> bytes:
    """The first 24 bytes of a PNG: signature, then width and height (https://www.w3.org/TR/png-3/#11IHDR)."""
    with path.open("rb") as file:
        return file.read(24)


def _short_name(name: str) -> str:
    clean = "".join(c for c in name if c.isalnum() or c in "._- ")[:60]
    return f"`{clean}`" if clean else "The picture"
