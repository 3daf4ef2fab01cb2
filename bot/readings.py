"""The text in pictures, on Discord: one job for each picture of a command or of a message."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import discord

from bot.answers import Answers
from bot.asking import Asking
from bot.ui import messages
from bot.ui.replies import SILENT
from bot.wire.attachments import files_of
from bot.wire.interactions import actor_of, press_key
from core.errors import ImageError
from core.job import Job
from core.requests import ReadRequest
from studio.actor import Actor
from studio.asking.new_job import NewJob, Source
from studio.authority import Action
from studio.studio import Studio

MOST = 4  # pictures of one message
Find = Callable[[], Awaitable[list[Source]]]


class Readings:
    """Queues what interactions want to have read."""

    def __init__(self, studio: Studio, answers: Answers, asking: Asking) -> None:
        self._studio, self._answers, self._asking = studio, answers, asking

    async def read(
        self, interaction: discord.Interaction, files: Sequence[discord.Attachment], link: str | None
    ) -> None:
        """Read attached pictures, or the one that ``link`` leads to or names. Raises UserError."""
        actor = actor_of(interaction)

        async def find() -> list[Source]:
            if link is not None:
                return [await self._asking.picture(actor, None, link)]
            return await self._sent(actor, files)

        await self._queue(interaction, actor, find, len(files) or 1)

    async def read_message(self, interaction: discord.Interaction, message: discord.Message) -> None:
        """Read the pictures of a message: of ours the stored ones. Raises UserError."""
        actor = actor_of(interaction)
        found = await self._studio.job_of_message(actor, message.id, Action.READ)
        numbers = await self._numbers(actor, found) if found is not None else []
        files = [] if numbers else pictures_of(message)
        if not numbers and not files:
            raise ImageError("That message has no picture.")

        async def find() -> list[Source]:
            if found is not None and numbers:
                return [
                    await self._studio.picture_of(actor, found[0].id, number, Action.READ)
                    for number in numbers
                ]
            return await self._sent(actor, files)

        private = found is not None and found[0].origin.private
        await self._queue(interaction, actor, find, len(numbers or files), private)

    async def _numbers(self, actor: Actor, found: tuple[Job, int | None]) -> list[int]:
        """Return which pictures (from 0) of a job a message shows."""
        job, index = found
        _, result = await self._studio.made(actor, job.id, Action.READ)
        shown = [picture.index for picture in result.pictures] if result else []
        return shown[:MOST] if index is None else [index] if shown else []

    async def _sent(self, actor: Actor, files: Sequence[discord.Attachment]) -> list[Source]:
        return [await self._studio.sources.meant(actor, file) for file in self._asking.links.attached(files)]

    async def _queue(
        self,
        interaction: discord.Interaction,
        actor: Actor,
        find: Find,
        count: int,
        private: bool = False,
    ) -> None:
        chosen = await self._asking.preferences(actor)
        private = private or chosen.private

        async def found() -> list[NewJob]:
            return [
                NewJob(ReadRequest(image=source.sha256), parent=source.parent, private=source.private).chosen(
                    chosen.lane, private=private
                )
                for source in await find()
            ]

        if count == 1:

            async def first() -> NewJob:
                return (await found())[0]

            await self._answers.ask(interaction, first, press_key=press_key(interaction), private=private)
            return
        if not await self._answers.acknowledge(interaction, ephemeral=private):
            return
        jobs = await found()
        # said at once, else the first follow-up would take its place
        text = messages.asked(jobs[0].request, interaction.user.id)
        await interaction.edit_original_response(content=text, allowed_mentions=SILENT)
        first_job = await self._answers.submit(interaction, jobs[0], press_key=press_key(interaction))
        if first_job is not None:
            await self._asking.queue_all(interaction, jobs[1:], key=f"read:{first_job.id}", before=1)


def pictures_of(message: discord.Message, most: int = MOST) -> list[discord.Attachment]:
    """Return the first pictures among the files of a message, forwarded ones included."""
    files = (a for a in files_of(message) if (a.content_type or "image/").startswith("image/"))
    return list(files)[:most]
