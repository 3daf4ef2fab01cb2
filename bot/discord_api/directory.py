"""What Discord knows of people and places: channels from the library's cache, members by asking Discord."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Set
from functools import partial
from typing import Any

import discord

from bot.discord_api.http import FAILURES
from core.errors import UserError
from jobs.queue import Result
from studio.authority import Member, Place, ShownDuel, Unanswered

Postable = discord.TextChannel | discord.Thread | discord.VoiceChannel
POSTABLE = (discord.TextChannel, discord.Thread, discord.VoiceChannel)
Send = Callable[[Postable, Result, int, int], Awaitable[None]]  # to, what, picture from 0, user id
ShowDuel = Callable[[Place, ShownDuel, int | None], Awaitable[int]]  # where, what, message; a message
SendAlone = Callable[[int, Result, int], Awaitable[None]]  # user id, what, picture from 0
THREADS = (10, 11, 12)  # types of channels that are what their parent is
PATIENCE = 5.0  # seconds for a member to be looked up
log = logging.getLogger(__name__)


class DiscordDirectory:
    """Answers the studio's questions (``studio.authority.Directory``) for as long as ``client`` lives."""

    def __init__(
        self,
        client: discord.Client,
        owner_ids: Set[int],
        send: Send,
        send_alone: SendAlone,
        show_duel: ShowDuel,
    ) -> None:
        self._client, self._owner_ids, self._send, self._send_alone = client, owner_ids, send, send_alone
        self._show_duel = show_duel

    @property
    def owner_ids(self) -> Set[int]:
        """The application's owner, or its team's."""
        return self._owner_ids

    @property
    def server_ids(self) -> Set[int]:
        """The ids of the servers that the bot is in."""
        return {guild.id for guild in self._client.guilds}

    def age_restricted(self, place: Place) -> bool | None:
        """Whether a channel is age-restricted; a thread is what its channel is. None for an unknown one."""
        if place.guild_id is None:
            return False
        guild = self._client.get_guild(place.guild_id)
        channel = guild.get_channel_or_thread(place.channel_id) if guild is not None else None
        return channel.is_nsfw() if channel is not None and hasattr(channel, "is_nsfw") else None

    async def adult(self, place: Place) -> bool | None:
        """Whether a channel is age-restricted, asked of Discord for one that isn't known here."""
        if (known := self.age_restricted(place)) is not None:
            return known
        try:
            async with asyncio.timeout(PATIENCE):
                found: Mapping[str, Any] = await self._client.http.get_channel(place.channel_id)
                if found["type"] in THREADS:
                    found = await self._client.http.get_channel(found["parent_id"])
        except (discord.NotFound, discord.Forbidden):
            return False
        except FAILURES as error:
            log.warning("channel %d can't be looked up (%s)", place.channel_id, type(error).__name__)
            return None
        return found.get("guild_id") == str(place.guild_id) and bool(found.get("nsfw"))

    async def roles(self, user_id: int, guild_id: int) -> frozenset[int] | None:
        """Ids of a member's roles now, none for somebody who has left, None when Discord doesn't answer."""
        guild = self._client.get_guild(guild_id)
        if guild is None:
            gone = self._client.is_ready() and guild_id not in self.server_ids
            return frozenset() if gone else None
        try:
            return frozenset(role.id for role in (await guild.fetch_member(user_id)).roles)
        except discord.NotFound:
            return frozenset()
        except FAILURES as error:
            log.warning("the roles of user %d can't be read (%s)", user_id, type(error).__name__)
            return None

    def role_names(self, guild_id: int) -> Mapping[int, str]:
        """Names of a server's roles but @everyone, by id."""
        guild = self._client.get_guild(guild_id)
        return {role.id: role.name for role in guild.roles if not role.is_default()} if guild else {}

    async def can_read(self, user_id: int, place: Place) -> bool:
        """Whether a member can read a channel of a server; False when Discord doesn't answer."""
        guild = self._client.get_guild(place.guild_id or 0)
        try:
            return guild is not None and readable(guild, await guild.fetch_member(user_id), place.channel_id)
        except FAILURES as error:
            log.info("user %d can't be looked up in a server (%s)", user_id, type(error).__name__)
            return False

    async def member(self, user_id: int, guild_id: int) -> Member | None:
        """What somebody is in a server now, None where they aren't. Raises Unanswered."""
        guild = self._client.get_guild(guild_id)
        if guild is None:
            return None
        try:
            async with asyncio.timeout(PATIENCE):
                found = await guild.fetch_member(user_id)
        except discord.NotFound:
            return None
        except FAILURES as error:
            log.info("user %d can't be looked up in a server (%s)", user_id, type(error).__name__)
            raise Unanswered from error
        return Member(
            user_id,
            guild_id,
            guild.name,
            found.guild_permissions.manage_guild,
            lambda channel_id: readable(self._client.get_guild(guild_id), found, channel_id),
            partial(self._channels, guild_id),
            partial(self._writes, found),
        )

    async def post(self, place: Place, result: Result, index: int, user_id: int) -> None:
        """Send a picture to a channel in a person's name. Raises UserError when Discord refuses."""
        guild = self._client.get_guild(place.guild_id or 0)
        channel = guild and guild.get_channel_or_thread(place.channel_id)
        if not isinstance(channel, POSTABLE):
            raise UserError("That channel is gone.")
        await self._send(channel, result, index, user_id)

    async def send(self, user_id: int, result: Result, index: int) -> None:
        """Send a picture to a person alone. Raises UserError when Discord refuses."""
        await self._send_alone(user_id, result, index)

    async def tell(self, place: Place, text: str, user_id: int | None = None) -> None:
        """Write words to a channel, which notify nobody, not the person that they are about either; or to
        that person alone. Raises UserError, Unanswered."""
        guild = self._client.get_guild(place.guild_id or 0)
        channel = guild and guild.get_channel_or_thread(place.channel_id)
        try:
            if place.guild_id is None and user_id:
                user = await self._client.fetch_user(user_id)
                await user.send(text, allowed_mentions=discord.AllowedMentions.none())
                return
            if not isinstance(channel, POSTABLE):
                raise UserError("That channel is gone.")
            about = f"<@{user_id}>: " if user_id else ""
            await channel.send(f"{about}{text}", allowed_mentions=discord.AllowedMentions.none())
        except discord.Forbidden as error:
            raise UserError("The bot can't write there.") from error
        except FAILURES as error:
            raise Unanswered from error

    async def show_duel(self, place: Place, duel: ShownDuel, message_id: int | None) -> int:
        """Show pairs to vote on in a channel; return the message. Raises UserError, Unanswered."""
        return await self._show_duel(place, duel, message_id)

    def _writes(self, member: discord.Member, channel_id: int) -> str | None:
        """Return the name of a channel where somebody and the bot may send pictures now, None of others."""
        guild = self._client.get_guild(member.guild.id)
        channel = guild and guild.get_channel_or_thread(channel_id)
        if guild is None or not isinstance(channel, POSTABLE):
            return None
        return channel.name if all(writable(channel, one) for one in (member, guild.me)) else None

    def _channels(self, guild_id: int) -> list[int]:
        guild = self._client.get_guild(guild_id)
        return [] if guild is None else [channel.id for channel in (*guild.channels, *guild.threads)]


def reader_of(guild: discord.Guild | None, person: discord.User | discord.Member) -> Callable[[int], bool]:
    """Return what says whether somebody can read a channel of a server, by the roles that came with them."""
    return lambda channel_id: isinstance(person, discord.Member) and readable(guild, person, channel_id)


def writable(channel: Postable, member: discord.Member) -> bool:
    """Whether ``member`` can send pictures to a channel, by their roles and the channel's own rules; never
    to a private or locked thread."""
    allowed = channel.permissions_for(member)
    sends = allowed.send_messages
    if isinstance(channel, discord.Thread):
        sends = allowed.send_messages_in_threads and not channel.is_private() and not channel.locked
    return allowed.view_channel and sends and allowed.attach_files


def readable(guild: discord.Guild | None, member: discord.Member, channel_id: int) -> bool:
    """Whether ``member`` can read a channel, by their roles and the channel's own rules; nothing of a server
    that the bot has left (None). Never a private thread: Discord doesn't tell who is in it, and who asks from
    inside sees it anyway."""
    channel = None if guild is None else guild.get_channel_or_thread(channel_id)
    if channel is None:
        return False
    if isinstance(channel, discord.Thread) and (channel.is_private() or channel.parent is None):
        return False  # a thread's rules are its channel's; that one isn't known yet
    allowed = channel.permissions_for(member)
    return allowed.view_channel and allowed.read_message_history
