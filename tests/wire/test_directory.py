"""What Discord's cache says of channels and members."""

from types import SimpleNamespace
from unittest import mock

import discord
import pytest

from bot.discord_api.directory import readable


def _thread(parent: object, *, private: bool = False) -> mock.Mock:
    """A thread as discord.py has it: without its channel in the cache it can't tell its rights."""
    thread = mock.Mock(spec=discord.Thread)
    thread.parent = parent
    thread.is_private.return_value = private
    allowed = SimpleNamespace(view_channel=True, read_message_history=True)
    thread.permissions_for.side_effect = None if parent else discord.ClientException("no parent")
    thread.permissions_for.return_value = allowed
    return thread


@pytest.mark.parametrize(
    ("thread", "reads"),
    [(_thread(object()), True), (_thread(object(), private=True), False), (_thread(None), False)],
    ids=["public", "private", "its channel isn't cached"],
)
def test_who_reads_a_thread(thread: mock.Mock, reads: bool) -> None:
    guild = SimpleNamespace(get_channel_or_thread=lambda channel_id: thread)
    assert readable(guild, mock.Mock(spec=discord.Member), 5) is reads
