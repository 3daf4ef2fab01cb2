"""Pictures that a prompt names: by number, by link to a Discord attachment, by link to a message of ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from urllib.parse import unquote, urlsplit

import aiohttp
import discord
from discord.http import HTTPClient

from bot.wire import addresses, private_api
from core.errors import ImageError
from studio.asking.sources import Sources
from studio.authority import Actor
from studio.pictures.intake import Intake

MAX_PICTURES = 10  # of one prompt
_MESSAGE = re.compile(r"https?://(?:\w+\.)?discord(?:app)?\.com/channels/", re.IGNORECASE)


class Linked:
    """A file on Discord's servers that a prompt links to, as ``Intake`` takes attachments. ``size`` is known
    once it is read."""

    def __init__(self, url: str, http: HTTPClient, max_bytes: int) -> None:
        self.url, self._http, self._max_bytes = url, http, max_bytes
        self.filename, self.size = unquote(urlsplit(url).path.rpartition("/")[2])[:60] or "picture", 0

    async def read(self) -> bytes:
        if type(self._http) is not HTTPClient:  # the simulator's: it has no connection
            return await self._http.get_from_cdn(self.url)
        return await _read_at_most(private_api.session_of(self._http), self.url, self._max_bytes)


async def _read_at_most(session: aiohttp.ClientSession, url: str, max_bytes: int) -> bytes:
    """discord.py reads a file whole, however large it is."""
    async with session.get(url, allow_redirects=False) as response:
        if response.status in (403, 404):
            raise ImageError(
                "That link has expired: links to Discord's attachments live for a day. Attach the picture"
                " itself."
            )
        if response.status != 200:
            raise ImageError(
                f"Discord didn't hand the linked picture over ({response.status}). Attach the picture itself."
            )
        data = bytearray()
        async for piece in response.content.iter_chunked(1 << 16):
            data += piece
            if len(data) > max_bytes:
                raise ImageError(
                    f"The linked picture is larger than {max_bytes / 2**20:.0f} MB; that is what is taken."
                )
        return bytes(data)


class Pictures:
    """Finds what a prompt's words call a picture."""

    def __init__(
        self, intake: Intake, sources: Sources, http: Callable[[], HTTPClient], max_bytes: int
    ) -> None:
        self._intake, self._sources, self._http, self._max_bytes = intake, sources, http, max_bytes

    async def attached(self, actor: Actor, files: Sequence[discord.Attachment]) -> dict[str, str]:
        """``<n>`` → SHA-256."""
        return {
            f"<{n}>": (await self._intake.take(file, actor.user_id)).sha256 for n, file in enumerate(files, 1)
        }

    async def named(self, actor: Actor, names: Iterable[str], given: Mapping[str, str]) -> dict[str, str]:
        """``given`` and every link among ``names`` → SHA-256. ImageError for a link to anywhere but Discord;
        nothing else is ever fetched."""
        links = [
            name for name in dict.fromkeys(names) if name.lower().startswith("http") and name not in given
        ]
        if len(links) + len(given) > MAX_PICTURES:
            raise ImageError(
                f"There are {len(links) + len(given)} pictures in this prompt; up to {MAX_PICTURES} fit."
            )
        return {**given, **{link: await self._linked(actor, link) for link in links}}

    async def _linked(self, actor: Actor, link: str) -> str:
        if _MESSAGE.match(link):
            return (await self._sources.find(actor, None, link)).sha256
        try:
            return (
                await self._intake.take(Linked(link, self._http(), self._max_bytes), actor.user_id)
            ).sha256
        except addresses.ForeignHost as error:
            raise ImageError(
                "Only links to Discord's own attachments are taken; attach the picture itself."
            ) from error
