"""Jobs about own models in Discord: a version is trained, tried on pictures, or packed to run elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import discord

from bot import asking as asked
from bot.answers import Answers
from bot.asking import Asking
from bot.projects import windows
from bot.projects.cards import Cards
from bot.ui.windows import Submission, uploads
from bot.wire.interactions import actor_of, press_key
from core.errors import UserError
from core.job import Lane
from core.requests.own_models import STYLE
from studio.actor import Actor
from studio.asking.new_job import NewJob
from studio.asking.sources import Given
from studio.studio import Studio


class Making:
    """Queues jobs about own models. Of a project that is somebody's alone, only they see the answer."""

    def __init__(self, studio: Studio, answers: Answers, asking: Asking, cards: Cards) -> None:
        self._studio, self._answers, self._asking, self._cards = studio, answers, asking, cards

    async def train(self, interaction: discord.Interaction, name: str) -> None:
        """Queue the training of a project's next version. Raises UserError, NotAllowedError."""
        actor = actor_of(interaction)

        async def build() -> NewJob:
            return await self._studio.projects.training.train(actor, name)

        await self._queue(interaction, name, build, own_lane=False)

    async def look_through(self, interaction: discord.Interaction, name: str) -> None:
        """Queue the question what the version in use says of pictures without a label. Raises UserError,
        NotAllowedError."""
        actor = actor_of(interaction)

        async def build() -> NewJob:
            return await self._studio.projects.trying.look_through(actor, name)

        await self._queue(interaction, name, build, own_lane=False)

    async def bundle(self, interaction: discord.Interaction, name: str, number: int | None = None) -> None:
        """Queue the packing of a version (None = the one in use). Raises UserError, NotAllowedError."""
        actor = actor_of(interaction)

        async def build() -> NewJob:
            return await self._studio.projects.trying.bundle(actor, name, number)

        await self._queue(interaction, name, build)

    async def try_on(
        self,
        interaction: discord.Interaction,
        name: str,
        files: Sequence[discord.Attachment],
        given: Sequence[Given] = (),
        number: int | None = None,
    ) -> None:
        """Queue the question what a version (None = the one in use) says of pictures. given: pictures of
        ours, or linked ones. Raises UserError, NotAllowedError."""
        actor = actor_of(interaction)
        coming: list[Given] = [*self._asking.links.attached(files), *given]
        if not coming:
            raise UserError("Attach a picture, or paste a link as `link`.")

        async def build() -> NewJob:
            return await self._studio.projects.trying.try_(actor, name, coming, number=number)

        await self._queue(interaction, name, build)

    async def open_try(self, interaction: discord.Interaction, project: str, number: int | None) -> None:
        """Open the window for pictures to try. Raises UserError, NotAllowedError."""
        found = await self._studio.projects.shelf.card(actor_of(interaction), project)
        if found.project.task == STYLE:
            raise UserError("A style draws and judges nothing. Use it with `--lora`.")
        if found.version is None and number is None:
            raise UserError(f"{found.project.name} has no model yet. Press Train first.")
        await interaction.response.send_modal(windows.try_window(found, number))

    async def tried(self, interaction: discord.Interaction, sent: Submission) -> None:
        """Try the pictures of that window. Raises UserError, NotAllowedError."""
        number = int(sent.more) if sent.more else None
        await self.try_on(interaction, sent.job_id, uploads(interaction, sent, "pictures"), number=number)

    async def _queue(
        self,
        interaction: discord.Interaction,
        name: str,
        build: Callable[[], Awaitable[NewJob]],
        *,
        own_lane: bool = True,
    ) -> None:
        """Queue what is built, for its asker alone if they or the project want that. own_lane: in the lane
        that they have chosen."""
        reading = asyncio.create_task(self._chosen(actor_of(interaction), name))
        try:
            private = await self._known(reading)

            async def built() -> NewJob:
                lane, alone = await reading
                return (await build()).chosen(lane if own_lane else None, private=alone)

            await self._answers.ask(interaction, built, press_key=press_key(interaction), private=private)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _known(self, reading: asyncio.Task[tuple[Lane | None, bool]]) -> bool | None:
        """Return whether an answer is its asker's alone, None when that can't be read in time."""
        try:
            async with asyncio.timeout(asked.PATIENCE):
                return (await asyncio.shield(reading))[1]
        except TimeoutError:
            return None

    async def _chosen(self, actor: Actor, name: str) -> tuple[Lane | None, bool]:
        """Return the lane that somebody has chosen, and whether they, or the project, want the answer to be
        theirs alone. Raises UserError, NotAllowedError."""
        chosen = await self._studio.own.preferences(actor)
        project = (await self._studio.projects.shelf.card(actor, name)).project
        return chosen.lane, chosen.private or project.guild_id is None
