"""/read: the text in pictures, also from a message's menu: one job for each picture."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import discord
from discord import app_commands

from bot.client import Atelier, AtelierCog
from bot.discord_api.attachments import files_of
from bot.discord_api.interactions import actor_of, press_key
from bot.ui import messages
from bot.ui.replies import SILENT, takes_images
from core.errors import ImageError, UserError
from core.requests import ReadRequest
from studio.authority import Action, Actor
from studio.new_job import NewJob, Source

MOST = 4  # pictures of one message
Find = Callable[[], Awaitable[list[Source]]]


class Read(AtelierCog):
    @app_commands.command(description="Read the text in a picture, with a box around each line")
    @app_commands.describe(
        link="Or a link to a Discord attachment or to one of my messages, or a job id and number"
    )
    @takes_images(3, "The picture")
    async def read(
        self, interaction: discord.Interaction, images: list[discord.Attachment], link: str | None = None
    ) -> None:
        if bool(images) == (link is not None):
            raise UserError("Attach a picture as `image`, or paste a link as `link`.")
        actor = actor_of(interaction)

        async def find() -> list[Source]:
            if link is not None:
                return [await self.bot.asking.picture(actor, None, link)]
            return await self._sources(actor, images)

        await self._queue_readings(interaction, actor, find, len(images) or 1)

    async def read_message(self, interaction: discord.Interaction, message: discord.Message) -> None:
        """Read the pictures of a message: of ours the stored ones. Raises UserError."""
        actor = actor_of(interaction)
        found = await self.bot.studio.job_of_message(actor, message.id, Action.READ)
        numbers: list[int] = []  # from 0, of the job's pictures that the message shows
        if found is not None:
            job, index = found
            _, result = await self.bot.studio.made(actor, job.id, Action.READ)
            shown = [picture.index for picture in result.pictures] if result else []
            numbers = shown[:MOST] if index is None else [index] if shown else []
        files = [] if numbers else pictures_of_message(message)
        if not numbers and not files:
            raise ImageError("That message has no picture.")

        async def find() -> list[Source]:
            if found is not None and numbers:
                show = partial(self.bot.studio.picture_of, actor, found[0].id)
                return [await show(number, Action.READ) for number in numbers]
            return await self._sources(actor, files)

        private = found is not None and found[0].origin.private
        await self._queue_readings(interaction, actor, find, len(numbers or files), private)

    async def _sources(self, actor: Actor, files: Sequence[discord.Attachment]) -> list[Source]:
        return [await self.bot.studio.sources.meant(actor, file) for file in self.bot.links.attached(files)]

    async def _queue_readings(
        self, interaction: discord.Interaction, actor: Actor, find: Find, count: int, private: bool = False
    ) -> None:
        chosen = await self.bot.asking.preferences(actor)
        private = private or chosen.private

        async def found() -> list[NewJob]:
            new = [(ReadRequest(image=one.sha256), one.parent, one.private) for one in await find()]
            return [
                NewJob(request, parent=parent, private=alone).chosen(chosen.lane, private=private)
                for request, parent, alone in new
            ]

        if count == 1:

            async def first() -> NewJob:
                return (await found())[0]

            await self.bot.asking.queue(interaction, first, private=private, chosen=chosen)
            return
        if not await self.bot.answers.acknowledge(interaction, ephemeral=private):
            return
        jobs = await found()
        # said at once, else the first follow-up would take its place
        text = messages.placeholder_text(jobs[0].request, interaction.user.id)
        await interaction.edit_original_response(content=text, allowed_mentions=SILENT)
        first_job = await self.bot.answers.submit(interaction, jobs[0], press_key=press_key(interaction))
        if first_job is not None:
            await self.bot.asking.queue_all(interaction, jobs[1:], key=f"read:{first_job.id}", before=1)


def pictures_of_message(message: discord.Message, most: int = MOST) -> list[discord.Attachment]:
    """Return the first pictures among the files of a message, forwarded ones included."""
    files = (a for a in files_of(message) if (a.content_type or "image/").startswith("image/"))
    return list(files)[:most]


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Read(bot))
