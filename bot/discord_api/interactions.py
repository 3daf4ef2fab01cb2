"""An interaction: acknowledging it in time, and what the studio needs to know of it: who asks, where, and how
large a file may be there.

One that was acknowledged with "thinking …" is noted in a file until it is answered or has a job's row, so
that the start after a kill can say in its message that it was cut off. A write without a sync is enough: only
a crash of the whole machine could lose it. One that has no first answer yet is due within 3 s, so what other
jobs need after their acknowledgement stands back for a moment.
"""

import asyncio
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import discord

from bot.discord_api import private_api
from bot.discord_api.directory import reader_of
from bot.discord_api.http import FAILURES, GARBLED
from bot.discord_api.session import KeptSessions
from core.job import DEFAULT_FILE_LIMIT, Reply
from studio.authority import Actor, Place

# https://discord.com/developers/docs/topics/opcodes-and-status-codes
UNKNOWN, ACKNOWLEDGED = 10062, 40060
_BEFORE, _FORCED = "acknowledged before", "made private by Discord"  # in an interaction's extras
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
        answered = await interaction.response.defer(thinking=True, ephemeral=ephemeral)
        interaction.extras[_FORCED] = answered is not None and answered.is_ephemeral() and not ephemeral
        return True
    except (discord.DiscordServerError, *GARBLED, aiohttp.ClientError, OSError) as error:
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

    An earlier process may have decided otherwise, where who may see the answer wasn't known in time; Discord
    does, where the asker may not use apps of their own (USE_EXTERNAL_APPS).
    """
    if interaction.extras.get(_FORCED):
        return True
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


def is_away(interaction: discord.Interaction) -> bool:
    """Return whether the bot is there by somebody's own installation alone, whoever asks or presses."""
    owners = private_api.installed_by(interaction)
    return bool(owners) and owners.get(0) != (interaction.guild_id or 0)


def actor_of(interaction: discord.Interaction) -> Actor:
    """Return who asks, with the rights that Discord states in this very interaction; with none of a place
    that the bot isn't in, where anybody can be a manager.

    Whether they are barred, rows say; the studio asks those.
    """
    channel = interaction.channel
    if is_away(interaction):
        name = interaction.user.name
        return Actor(interaction.user.id, None, interaction.channel_id or 0, name=name, away=True)
    return Actor(
        interaction.user.id,
        interaction.guild_id,
        interaction.channel_id or 0,
        manages=interaction.guild_id is not None and interaction.permissions.manage_guild,
        reads=reader_of(interaction.guild, interaction.user),
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
        reads=reader_of(message.guild, author),
        name=author.name,
        roles=tuple(role.id for role in getattr(author, "roles", ())),
        parent_channel_id=channel.parent_id if isinstance(channel, discord.Thread) else None,
    )


def place_of(interaction: discord.Interaction) -> Place:
    """Return where an interaction's answer is shown."""
    return actor_of(interaction).place


def file_limit(interaction: discord.Interaction) -> int:
    """Return how many bytes a file may have in an interaction's answer."""
    return interaction.filesize_limit or DEFAULT_FILE_LIMIT


def reply_to(interaction: discord.Interaction) -> Reply:
    """Return where a job's answer goes that is the answer to the interaction itself."""
    limit = file_limit(interaction)
    return Reply(interaction.id, interaction.token, interaction.application_id, file_limit=limit)


def reply_beside(interaction: discord.Interaction) -> Reply:
    """Return where a job's answer goes that isn't the interaction's own: by message only."""
    return Reply(file_limit=file_limit(interaction))


def press_key(interaction: discord.Interaction) -> str | None:
    """Return what names one press of one button, or one choice in a menu, by one person, so that a double
    click is one job."""
    message, data = interaction.message, dict[str, Any](interaction.data or {})
    if message is None:
        return None
    return ":".join([str(message.id), data["custom_id"], *data.get("values", ()), str(interaction.user.id)])


SLOT_BYTES = 1024  # a note takes about 300


@dataclass(frozen=True)
class PendingInteraction:
    """What it takes to answer an interaction later, while its token lives."""

    interaction_id: int
    application_id: int
    token: str = field(repr=False)


class PendingInteractions:
    """The notes in the file ``path``, which only its owner may read."""

    def __init__(self, path: Path) -> None:
        self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0)
        path.chmod(0o600)
        data = self._file.read()
        notes = [_parsed(data[start : start + SLOT_BYTES]) for start in range(0, len(data), SLOT_BYTES)]
        self._left = tuple(note for note in notes if note is not None)
        self._slots = {note.interaction_id: i for i, note in enumerate(notes) if note is not None}
        self._free = [i for i, note in enumerate(notes) if note is None]

    def close(self) -> None:
        """Close the file; the notes stay in it."""
        self._file.close()

    def take_left(self) -> tuple[PendingInteraction, ...]:
        """Return what an earlier process left unanswered, once. The notes stay until they are dropped."""
        left, self._left = self._left, ()
        return left

    def take_over(self, interaction_id: int) -> None:
        """Leave an interaction of an earlier process to whoever does it in this one."""
        self._left = tuple(note for note in self._left if note.interaction_id != interaction_id)

    def note(self, pending: PendingInteraction) -> None:
        """Note an interaction that is about to be acknowledged."""
        text = json.dumps(asdict(pending)).encode()
        if len(text) > SLOT_BYTES or pending.interaction_id in self._slots:
            log.debug("interaction %d is not noted", pending.interaction_id)
            return
        slot = self._free.pop() if self._free else len(self._slots)
        self._slots[pending.interaction_id] = slot
        self._write(slot, text)

    def drop(self, interaction_id: int) -> None:
        """Forget an interaction that is answered, or has a row."""
        slot = self._slots.pop(interaction_id, None)
        if slot is not None:
            self._write(slot, b"")
            self._free.append(slot)

    @contextmanager
    def kept(self, pending: PendingInteraction) -> Iterator[None]:
        """Keep the note until the block ends, however it ends, but for a kill."""
        self.note(pending)
        try:
            yield
        finally:
            self.drop(pending.interaction_id)

    def _write(self, slot: int, text: bytes) -> None:
        self._file.seek(slot * SLOT_BYTES)
        self._file.write(text.ljust(SLOT_BYTES, b"\0"))


def _parsed(slot: bytes) -> PendingInteraction | None:
    """Return the note of a slot, None for an empty or damaged one."""
    text = slot.strip(b"\0\1")  # an older version put a 1 before each note
    if not text:
        return None
    try:
        return PendingInteraction(**json.loads(text))
    except (ValueError, TypeError):
        log.warning("a note of an unanswered interaction can't be read")
        return None


DUE = 3.0  # seconds; later Discord takes no first answer
PATIENCE = 0.5  # seconds that work stands back at most


class Unanswered:
    """``add`` what comes in, ``answered`` when the first answer was sent, and ``none_left`` before work that
    can wait."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._came: dict[discord.Interaction, float] = {}  # oldest first
        self._none_left, self._line = asyncio.Event(), asyncio.Lock()

    def __len__(self) -> int:
        return len(self._came)

    def add(self, interaction: discord.Interaction) -> None:
        """Count an interaction until it is answered, by whoever does it, or too old to be."""
        self._drop()
        if not interaction.response.is_done():
            self._came[interaction] = self._clock()

    def answered(self, interaction: discord.Interaction) -> None:
        """The first answer was sent, or nobody will send one."""
        self._came.pop(interaction, None)
        self._drop()

    async def none_left(self, patience: float = PATIENCE) -> None:
        """Return when nobody waits for a first answer, after ``patience`` seconds at most.

        Those who wait here go on one by one: all in one turn would hold the event loop up.
        """
        self._drop()
        if not self._came:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(patience), self._line:
                while self._came:
                    self._none_left.clear()
                    await self._none_left.wait()
                    self._drop()
                await asyncio.sleep(0)

    def _drop(self) -> None:
        """Forget the oldest ones that need no answer any more."""
        too_old = self._clock() - DUE
        while self._came:
            interaction, at = next(iter(self._came.items()))
            if at > too_old and not interaction.response.is_done():
                return
            del self._came[interaction]
        self._none_left.set()  # for those who look again
