"""What the studio needs to know of an interaction: who asks, where, and how large a file may be there."""

from __future__ import annotations

import discord

from bot.wire.directory import reader
from core.job import DEFAULT_FILE_LIMIT, Reply
from studio.actor import Actor, Place


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
