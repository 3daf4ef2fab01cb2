"""An interaction: acknowledging it in time, and what the studio needs to know of it: who asks, where, and how
large a file may be there."""

from __future__ import annotations

import logging

import aiohttp
import discord

from bot.wire import private_api
from bot.wire.directory import reader, reader_of
from bot.wire.session import KeptSessions
from bot.wire.transport import FAILURES, GARBLED
from core.job import DEFAULT_FILE_LIMIT, Reply
from studio.actor import Actor, Place

# https://discord.com/developers/docs/topics/opcodes-and-status-codes
UNKNOWN, ACKNOWLEDGED = 10062, 40060
_BEFORE = "acknowledged before"  # in an interaction's extras
log = logging.getLogger(__name__)


async def acknowledge(interaction: discord.Interaction, *, ephemeral: bool = False) -> bool:
    """Defer, unless it was answered already. Return False when Discord has given the interaction up, so that
    nobody would see an answer.

    A lost answer to the defer may mean that it arrived: what was asked is done, and shown by whichever way
    then holds. One that was acknowledged before was so by a try whose answer was lost, of this process or of
    one that was killed then: nothing has been done about it yet.
    """
    if interaction.response.is_done():
        return True
    try:
        await interaction.response.defer(thinking=True, ephemeral=ephemeral)
        return True
    except (discord.DiscordServerError, *GARBLED, aiohttp.ClientError, OSError, TimeoutError) as error:
        log.warning("interaction %s: acknowledged or not (%s)", interaction.id, type(error).__name__)
    except discord.HTTPException as error:
        if error.code != ACKNOWLEDGED:
            log.warning("interaction %s came too late (%s, %s)", interaction.id, error.status, error.code)
            return False
        interaction.extras[_BEFORE] = True
    sessions: KeptSessions | None = getattr(interaction.client, "kept_sessions", None)
    if sessions is not None:
        sessions.settle(interaction.id)
    private_api.mark_deferred(interaction)
    return True


async def acknowledged_alone(interaction: discord.Interaction) -> bool | None:
    """Return whether an acknowledgement that was there before shows the answer to its asker alone. None for
    one of our own, or where Discord doesn't tell.

    An earlier process may have decided otherwise, where who may see the answer wasn't known in time.
    """
    if not interaction.extras.get(_BEFORE):
        return None
    try:
        return (await interaction.original_response()).flags.ephemeral
    except (*FAILURES, *GARBLED) as error:
        log.warning("interaction %s: can't look at its answer (%s)", interaction.id, type(error).__name__)
        return None


def came_too_late(error: BaseException) -> bool:
    """Return whether ``error`` says that Discord takes no first answer any more, which nobody can mend."""
    return isinstance(error, discord.HTTPException) and error.code in (UNKNOWN, ACKNOWLEDGED)


def is_trouble(record: logging.LogRecord) -> bool:
    """Return whether a record of discord.py's tells of more than choices that came too late: those are logged
    as errors, with a traceback."""
    error = record.exc_info[1] if record.exc_info else None
    return error is None or not came_too_late(error)


def actor_of(interaction: discord.Interaction) -> Actor:
    """Return who asks, with the rights that Discord states in this very interaction.

    Whether they are barred, rows say; the studio asks those.
    """
    channel = interaction.channel
    return Actor(
        interaction.user.id,
        interaction.guild_id,
        interaction.channel_id or 0,
        manages=interaction.guild_id is not None and interaction.permissions.manage_guild,
        reads=reader(interaction),
        name=interaction.user.name,
        roles=tuple(role.id for role in getattr(interaction.user, "roles", ())),
        parent_channel_id=channel.parent_id if isinstance(channel, discord.Thread) else None,
    )


def actor_of_message(message: discord.Message) -> Actor:
    """Return who has written a message. What they may do beside asking, a message doesn't say."""
    channel, author = message.channel, message.author
    return Actor(
        author.id,
        message.guild.id if message.guild else None,
        channel.id,
        reads=reader_of(message),
        name=author.name,
        roles=tuple(role.id for role in getattr(author, "roles", ())),
        parent_channel_id=channel.parent_id if isinstance(channel, discord.Thread) else None,
    )


def place_of(interaction: discord.Interaction) -> Place:
    """Return where an interaction's answer is shown."""
    return Place(interaction.guild_id, interaction.channel_id or 0)


def file_limit(interaction: discord.Interaction) -> int:
    """Return how many bytes a file may have in an interaction's answer."""
    return interaction.filesize_limit or DEFAULT_FILE_LIMIT


def reply_to(interaction: discord.Interaction) -> Reply:
    """Return where a job's answer goes that is the answer to the interaction itself."""
    return Reply(
        interaction_id=interaction.id,
        interaction_token=interaction.token,
        application_id=interaction.application_id,
        file_limit=file_limit(interaction),
    )


def reply_beside(interaction: discord.Interaction) -> Reply:
    """Return where a job's answer goes that isn't the interaction's own: by message only."""
    return Reply(file_limit=file_limit(interaction))


def press_key(interaction: discord.Interaction) -> str | None:
    """Return what names one press of one button by one person, so that a double click is one job."""
    message, data = interaction.message, dict(interaction.data or {})
    return f"{message.id}:{data.get('custom_id')}:{interaction.user.id}" if message else None
