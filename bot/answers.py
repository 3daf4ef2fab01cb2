"""From an interaction to a queued job: acknowledge in time, queue, and say in plain words what went wrong."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

import discord

from bot.ui import messages
from bot.ui.replies import SILENT, belongs_to_job, refuse, tell_unexpected, whisper
from bot.wire.interactions import (
    acknowledge,
    acknowledged_alone,
    actor_of,
    came_too_late,
    reply_beside,
    reply_to,
)
from bot.wire.pending import PendingInteraction, PendingInteractions
from bot.wire.transport import FAILURES
from bot.wire.unanswered import Unanswered
from core.errors import UserError
from core.job import Job, Status
from studio.asking.new_job import NewJob
from studio.authority import Action
from studio.studio import Studio

log = logging.getLogger(__name__)
FOR_ALL = "The answer comes below, where everybody here sees it."


class Answers:
    """Queues what interactions ask for. ``follow``: is given each queued job, to show it to its end."""

    def __init__(self, studio: Studio, pending: PendingInteractions, follow: Callable[[Job], None]) -> None:
        self._studio, self._pending, self._follow = studio, pending, follow
        self._unanswered = Unanswered()

    def note(self, interaction: discord.Interaction) -> None:
        """An interaction came in: jobs are queued when it has its first answer."""
        self._unanswered.add(interaction)

    async def ask(
        self,
        interaction: discord.Interaction,
        build: Callable[[], Awaitable[NewJob]],
        *,
        press_key: str | None = None,
        private: bool | None = False,
    ) -> Job | None:
        """Acknowledge at once (``private``: for the asker alone); then, when others are acknowledged as well,
        build the request, queue and follow it.

        private None: who may see the answer wasn't known in time. It is acknowledged for the asker alone. A
        request that isn't private is answered beside what only its asker sees, for everybody; an earlier
        process may have acknowledged it so. Returns the job, or None when there is none: whatever goes wrong
        is said to the asker.
        """
        with self._pending.kept(
            PendingInteraction(interaction.id, interaction.application_id, interaction.token)
        ):
            if not await self.acknowledge(interaction, ephemeral=private is not False):
                return None
            await self._unanswered.none_left()
            try:
                before = await acknowledged_alone(interaction)
                alone = private is not False if before is None else before
                new = await build()
                new = replace(new, private=new.private or bool(private))
                if alone and not new.private:
                    return await self._submit_for_all(interaction, new, press_key)
                shown = alone or not new.private
                return await self.submit(interaction, new, press_key=press_key, shown=shown)
            except UserError as error:
                await refuse(interaction, error)
            except Exception:
                log.exception("interaction %s failed", interaction.id)
                await tell_unexpected(interaction)
            return None

    async def guarded(self, interaction: discord.Interaction, work: Awaitable[None]) -> None:
        """Await ``work``, and say what goes wrong to the one who pressed."""
        try:
            await work
        except UserError as error:
            await refuse(interaction, error)
        except Exception as error:
            if came_too_late(error):
                log.warning("interaction %s came too late", interaction.id)
                return
            log.exception("interaction %s failed", interaction.id)
            await tell_unexpected(interaction)

    async def submit(
        self,
        interaction: discord.Interaction,
        new: NewJob,
        *,
        press_key: str | None = None,
        shown: bool = True,
    ) -> Job | None:
        """Queue a job and answer in this interaction's own message, or (not ``shown``: others see that
        message) by direct message. A double click gets a whisper, not a second job. Raises UserError."""
        reply = reply_to(interaction) if shown else reply_beside(interaction)
        submitted = await self._studio.submit(actor_of(interaction), new, reply, key=press_key)
        if submitted.duplicate and submitted.job.reply.interaction_id != interaction.id:
            await whisper(interaction, "That is on its way already.")
            return None
        self._follow(submitted.job)
        if shown:
            belongs_to_job(interaction)
        else:
            await whisper(interaction, "This is private: the result comes by direct message.")
        return submitted.job

    async def _submit_for_all(
        self, interaction: discord.Interaction, new: NewJob, press_key: str | None
    ) -> Job | None:
        """Queue a job whose answer all may see, of an interaction that was acknowledged for its asker."""
        await interaction.edit_original_response(content=FOR_ALL, allowed_mentions=SILENT)
        key = press_key or f"interaction:{interaction.id}"
        return await self.submit_beside(interaction, new, press_key=key)

    async def submit_beside(
        self, interaction: discord.Interaction, new: NewJob, *, press_key: str | None = None
    ) -> Job | None:
        """Queue a job with a message of its own as the place of its answer, for the asker alone if it is
        private: that one can be edited with the interaction's token only. Returns the job, None where the
        same was asked before.

        A refused job leaves no message behind, one asked before (``press_key``) makes no second job. Raises
        UserError.
        """
        self._studio.check_kind(new)
        message = await interaction.followup.send(
            messages.asked(new.request, interaction.user.id),
            wait=True,
            ephemeral=new.private,
            allowed_mentions=SILENT,
        )
        reply = reply_to(interaction) if new.private else reply_beside(interaction)
        reply = replace(reply, interaction_id=None, message_id=message.id)
        actor = replace(actor_of(interaction), channel_id=message.channel.id)
        try:
            submitted = await self._studio.submit(actor, new, reply, key=press_key)
        except BaseException:
            with suppress(discord.HTTPException, *FAILURES):
                await message.delete()
            raise
        if submitted.duplicate:
            await message.delete()
        self._follow(submitted.job)
        return None if submitted.duplicate else submitted.job

    async def acknowledge(self, interaction: discord.Interaction, *, ephemeral: bool = False) -> bool:
        """Defer, as ``bot.wire.interactions.acknowledge`` does; return False when nobody would see an
        answer."""
        try:
            return await acknowledge(interaction, ephemeral=ephemeral)
        finally:
            self._unanswered.answered(interaction)

    async def cancel(self, interaction: discord.Interaction, job_id: str) -> None:
        """Stop a job and say so; the interaction was deferred. Raises ImageError or NotAllowedError."""
        actor = actor_of(interaction)
        job, stopped = await self._studio.cancel(actor, job_id)
        if not stopped:
            text = f"Job `{job.id}` is over already ({job.status})."
        else:
            now = await self._studio.rights.job(actor, job.id, Action.CANCEL)
            gone = now.status is Status.CANCELLED
            text = f"Job `{job.id}` is cancelled." if gone else "It stops; what there is of it stays."
        await whisper(interaction, text)
