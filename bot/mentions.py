"""Questions that come as messages: a mention of the bot, a reply to it, words in a direct message. What they
ask is a job like every other; its answer stands in a reply."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import discord

from bot.asking import Asking
from bot.delivery.follow import Delivery
from bot.ui import messages
from bot.ui.replies import reply_to
from bot.wire.attachments import is_seen
from bot.wire.interactions import actor_of_message
from bot.wire.transport import FAILURES
from core.errors import NotAllowedError, UserError
from core.job import DEFAULT_FILE_LIMIT, Job, Reply
from core.requests import AskRequest
from studio.actor import Actor
from studio.asking.new_job import NewJob
from studio.asking.sources import Given
from studio.authority import Action
from studio.studio import Studio

GOES_ON = timedelta(days=1)  # a direct message is the next turn of a conversation that is no older
NEW = ("new", "start over")  # words of a direct message that end a conversation
ASKS = re.compile(r"\?|^\s*ask\b", re.IGNORECASE)
BY_BUTTON = (
    "I can't read replies here unless they mention me: press **Ask more**, or mention me in the reply."
)
STEALTH = "Stealth is on, and everybody would see an answer here: use `/ask` instead."
FRESH = "A new conversation: send a picture with your next question."
_SAID_BY_BUTTON = "told_ask_more"


class Mentions:
    """Asks on behalf of messages."""

    def __init__(self, studio: Studio, asking: Asking, delivery: Delivery) -> None:
        self._studio, self._asking, self._delivery = studio, asking, delivery

    async def in_server(self, message: discord.Message, me: discord.ClientUser) -> None:
        """Answer a message of a server that mentions the bot, or replies to an answer of it."""
        if message.author.bot or message.guild is None or not self._studio.talking.is_possible:
            return
        actor = actor_of_message(message)
        question = re.sub(rf"<@!?{me.id}>", " ", message.content).strip()
        if me not in message.mentions or not question:
            await self._tell_by_button(actor, message)
            return
        try:
            before = await self._before(actor, message)
            if before is None and not message.attachments:
                return  # somebody talks about the bot, not to it
            await self._ask(actor, message, question, before)
        except UserError as error:
            await reply_to(message, f"❌ {error}")

    async def direct(self, message: discord.Message) -> bool:
        """Take a direct message as a question; return False where it is none: a picture without one, or words
        with nothing that they could be about."""
        talking = self._studio.talking
        if not talking.is_possible:
            return False
        actor = actor_of_message(message)
        if message.attachments:
            if not ASKS.search(message.content):
                return False
            question = re.sub(r"^\s*ask\s+", "", message.content, flags=re.IGNORECASE)
            return await self._ask_or_say(actor, message, question, None)
        if message.content.strip().lower() in NEW:
            await talking.end_direct(actor)
            await reply_to(message, FRESH)
            return True
        before = await self._replied_to(actor, message)
        if before is None or not isinstance(before[0].request, AskRequest):
            since = datetime.now(UTC) - GOES_ON
            latest = await talking.latest(actor, since)
            before = (latest, None) if latest else None
        if before is None or not message.content.strip():
            return False
        return await self._ask_or_say(actor, message, message.content, before)

    async def _ask_or_say(
        self, actor: Actor, message: discord.Message, question: str, before: tuple[Job, int | None] | None
    ) -> bool:
        try:
            await self._ask(actor, message, question, before)
        except UserError as error:
            await reply_to(message, f"❌ {error}")
        return True

    async def _tell_by_button(self, actor: Actor, message: discord.Message) -> None:
        """Say once to each person how to go on, when they reply to an answer in words that don't arrive."""
        reference = message.reference
        if message.content or reference is None or reference.message_id is None:
            return
        try:
            found = await self._studio.job_of_message(actor, reference.message_id, Action.ASK_MORE)
        except NotAllowedError:
            return
        if found and isinstance(found[0].request, AskRequest):
            if await self._studio.talking.first_time(actor, _SAID_BY_BUTTON):
                await reply_to(message, BY_BUTTON)

    async def _before(self, actor: Actor, message: discord.Message) -> tuple[Job, int | None] | None:
        """Return what a message is about: the job that it replies to, or the latest question of its thread,
        or the answer that the thread began under."""
        found = await self._replied_to(actor, message)
        if found is not None or not isinstance(message.channel, discord.Thread):
            return found
        latest = await self._studio.talking.latest_here(actor)
        if latest is not None:
            return latest, None
        return await self._studio.job_of_message(actor, message.channel.id, Action.USE)

    async def _replied_to(self, actor: Actor, message: discord.Message) -> tuple[Job, int | None] | None:
        reference = message.reference
        if reference is None or reference.message_id is None:
            return None
        return await self._studio.job_of_message(actor, reference.message_id, Action.USE)

    async def _ask(
        self,
        actor: Actor,
        message: discord.Message,
        question: str,
        before: tuple[Job, int | None] | None,
    ) -> None:
        """Queue a question and follow it in a reply. Raises UserError."""
        chosen = await self._asking.preferences(actor)
        files = [file for file in message.attachments if is_seen(file)]
        given: list[Given] = [*self._asking.links.attached(files)]
        talking = self._studio.talking
        if before is not None and isinstance(before[0].request, AskRequest):
            new = await talking.ask_more(actor, before[0].id, question, given)
        else:
            names = await self._names(actor, before) if before is not None else []
            new = await talking.ask(actor, question, [*names, *given])
        new = new.chosen(chosen.lane, private=chosen.private)
        if new.private and actor.guild_id is not None:
            raise UserError(STEALTH)
        await self._submit(actor, message, new)

    async def _names(self, actor: Actor, before: tuple[Job, int | None]) -> list[str]:
        job, index = before
        result = await self._studio.rights.result(actor, job.id, Action.USE)
        numbers = [picture.index for picture in result.pictures] if index is None else [index]
        return [f"{job.id} {number + 1}" for number in numbers if result.pictures]

    async def _submit(self, actor: Actor, message: discord.Message, new: NewJob) -> None:
        """Say that it waits, in the message that its answer will stand in, if
        Discord takes that; the same message asked about twice makes one job."""
        shown = await reply_to(message, messages.asked(new.request, message.author.id))
        limit = message.guild.filesize_limit if message.guild else DEFAULT_FILE_LIMIT
        reply = Reply(message_id=shown.id if shown else None, file_limit=limit)
        try:
            submitted = await self._studio.submit(actor, new, reply, once=f"message:{message.id}")
        except BaseException:
            await _take_back(shown)
            raise
        if submitted.duplicate:
            await _take_back(shown)
        self._delivery.follow(submitted.job)


async def _take_back(shown: discord.Message | None) -> None:
    if shown is not None:
        with suppress(discord.HTTPException, *FAILURES):
            await shown.delete()
