"""Files on Discord's servers, as the studio takes them, and links as files or as names of our pictures."""

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import unquote, urlsplit

import aiohttp
import discord
from discord.http import HTTPClient

from bot.discord_api import http, private_api
from core.errors import ImageError, UserError
from studio.authority import Action, Actor
from studio.inputs import Given
from studio.media.uploads import Readable, short_name
from studio.media.video_decode import may_be_video
from studio.studio import Studio

_LINK = re.compile(
    r"<?https?://(?:\w+\.)?discord(?:app)?\.com/channels/(@me|\d{1,19})/(\d{1,19})/(\d{1,19})/?>?"
    r"(?:[\s#:]+(\d{1,4}))?",
    re.IGNORECASE,
)
MAX_ID = 2**63 - 1  # of Discord's ids, and of what a row holds
EXPIRED = "That link has expired: links to Discord's attachments live for a day. Attach the picture itself."
_MESSAGE = re.compile(r"https?://(?:\w+\.)?discord(?:app)?\.com/channels/", re.IGNORECASE)


@dataclass(frozen=True)
class DiscordFile:
    """A file on Discord's servers. ``size``: in bytes, 0 where it is known only once the file is read.
    ``servers``: hosts that it may lie on. ``fetch``: returns its bytes."""

    name: str
    size: int
    url: str
    servers: frozenset[str]
    fetch: Callable[[], Awaitable[bytes]]

    async def read(self) -> bytes:
        """Return its bytes. Raises ImageError when it lies elsewhere, is too large, or can't be had."""
        http.check_attachment(self.url, self.servers)
        short = short_name(self.name)
        try:
            return await self.fetch()
        except discord.HTTPException as error:
            raise ImageError(f"Discord didn't deliver {short} ({error.status}). Send it again.") from error
        except (aiohttp.ClientError, OSError) as error:
            raise ImageError(f"Discord didn't deliver {short}. Send it again.") from error


async def read_at_most(session: aiohttp.ClientSession, url: str, max_bytes: int) -> bytes:
    """Return a file of at most ``max_bytes``, read in pieces: discord.py reads it whole, however large it is.
    Raises ImageError for a larger one, an expired link, or a redirect."""
    async with session.get(url, allow_redirects=False) as response:
        if response.status in (403, 404):
            raise ImageError(EXPIRED)
        if response.status != 200:
            raise ImageError(
                f"Discord didn't deliver the linked picture ({response.status}). Attach the picture itself."
            )
        data = bytearray()
        async for piece in response.content.iter_chunked(1 << 16):
            data += piece
            if len(data) > max_bytes:
                raise ImageError(
                    f"The linked file is larger than {max_bytes / 2**20:.0f} MB, which is the limit."
                )
        return bytes(data)


class Links:
    """Makes of attachments and links what the studio takes. ``max_video_bytes``: of a linked video, where one
    is taken. ``servers``: hosts that files may lie on."""

    def __init__(
        self,
        studio: Studio,
        http: Callable[[], HTTPClient],
        max_bytes: int,
        max_video_bytes: int,
        servers: frozenset[str] = http.CDN,
    ) -> None:
        self._studio, self._http, self._servers = studio, http, servers
        self._max_bytes, self._max_video_bytes = max_bytes, max_video_bytes

    def attached(self, files: Sequence[discord.Attachment]) -> list[Readable]:
        """Return attachments as files that the studio reads."""
        return [DiscordFile(one.filename, one.size, one.url, self._servers, one.read) for one in files]

    async def resolve(self, actor: Actor, names: Iterable[str]) -> dict[str, Given]:
        """Return every link among ``names`` as a file, or as the name of one of our pictures. Raises
        ImageError or UserError for a link to a message that shows none of them, NotAllowedError."""
        links = [name for name in dict.fromkeys(names) if name.lower().startswith("http")]
        return {link: await self.given(actor, link) for link in links}

    async def given(self, actor: Actor, link: str, *, videos: bool = False) -> Given:
        """Return what a link leads to, ``videos`` where they are taken; the name of a picture as it is.
        Errors are those of ``resolve``."""
        link = link.strip("<> ")
        if _MESSAGE.match(link) or not link.lower().startswith("http"):
            return await self.name_of(actor, link)
        path = urlsplit(link).path
        max_bytes = self._max_video_bytes if videos and may_be_video(path) else self._max_bytes
        name = unquote(path.rpartition("/")[2])[:60] or "picture"
        return DiscordFile(name, 0, link, self._servers, partial(self._fetch, link, max_bytes))

    async def _fetch(self, url: str, max_bytes: int) -> bytes:
        client = self._http()
        if type(client) is not HTTPClient:  # the simulator's: it has no connection
            return await client.get_from_cdn(url)
        return await read_at_most(private_api.session_of(client), url, max_bytes)

    async def name_of(self, actor: Actor, text: str) -> str:
        """Return the name of the picture that a link to a message leads to, such as "abcd2345efgh 2"; another
        text as it is. Raises UserError for another server's message, ImageError for one that shows no picture
        of ours, NotAllowedError for somebody else's."""
        link = _LINK.fullmatch(text.strip())
        if link is None:
            return text
        guild, message_id, number = link[1], int(link[3]), link[4]
        if message_id > MAX_ID:
            raise ImageError("That isn't a valid message link: its number is too large.")
        if guild != "@me" and int(guild) != actor.guild_id:
            raise UserError(
                "That link leads to another server. Pictures are only taken from this one, or by job id."
            )
        found = await self._studio.job_of_message(actor, message_id, Action.USE)
        if found is None:
            raise ImageError("That message has no picture made by Atelier.")
        job, index = found
        shown = number or (None if index is None else str(index + 1))
        return f"{job.id} {shown}" if shown else job.id


def files_of(message: discord.Message) -> list[discord.Attachment]:
    """Return the files of a message, of one that was forwarded those that it brings."""
    forwarded = [file for snapshot in message.message_snapshots for file in snapshot.attachments]
    return [*message.attachments, *forwarded]


def is_seen(file: discord.Attachment) -> bool:
    """Return whether an attachment is likely to be a picture or a video."""
    kind = file.content_type or "image/"
    return kind.startswith("image/") or may_be_video(file.filename, kind)
