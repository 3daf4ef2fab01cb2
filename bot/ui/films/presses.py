"""What *Remix*, *Blend…*, *Cut* and *GIF* under a film do, and what comes back from their windows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import discord

from bot.asking import Asking
from bot.delivery.sharing import Sharing
from bot.ui import windows
from bot.ui.films.windows import blend_window, cut_window, remix_window
from bot.ui.windows import Submission
from bot.wire.interactions import actor_of
from core.errors import UserError
from core.job import Job
from studio.actor import Actor
from studio.asking.films import actions
from studio.asking.films.sources import FilmSource
from studio.asking.films.words import seconds
from studio.asking.new_job import NewJob
from studio.asking.prompts import remix_text
from studio.asking.sources import Given
from studio.studio import Studio

Press = Callable[[discord.Interaction, Job, int], Awaitable[None]]


class FilmPresses:
    """Buttons under films that don't make a job by themselves, and their windows."""

    def __init__(self, studio: Studio, asking: Asking, sharing: Sharing) -> None:
        self._studio, self._asking, self._sharing = studio, asking, sharing
        self.own: dict[str, Press] = {
            "vremix": self._open_remix,
            "vblend": self._open_blend,
            "cut": self._open_cut,
            "gif": self._gif,
        }

    # Windows, opened

    async def _open_remix(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        clip = await self._clip(actor_of(interaction), job, index, "vremix")
        await interaction.response.send_modal(remix_window(clip, job.id, remix_text(job)))

    async def _open_blend(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        clip = await self._clip(actor_of(interaction), job, index, "vblend")
        await interaction.response.send_modal(blend_window(clip, job.id))

    async def _open_cut(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        clip = await self._clip(actor_of(interaction), job, index, "cut")
        await interaction.response.send_modal(cut_window(clip, job.id))

    async def _clip(self, actor: Actor, job: Job, index: int, action: str) -> FilmSource:
        return await self._studio.filming.of_job(actor, job, index, actions.RIGHTS[action])

    # Windows, sent

    async def made(self, interaction: discord.Interaction, job: Job, sent: Submission) -> NewJob:
        """Return the job that a window asks for. Raises UserError for what can't be read, ImageError for a
        film that isn't there, NotAllowedError for somebody else's."""
        actor, filming = actor_of(interaction), self._studio.filming
        if sent.what == "cut":
            clip = await self._clip(actor, job, sent.index, "cut")
            return await filming.cut(clip, seconds(sent.text("start")) or 0.0, seconds(sent.text("end")))
        words = await self._asking.words(actor, sent.text("prompt"), job, film=True)
        if sent.what == "vblend":
            other = await self._other(interaction, actor, sent)
            return await filming.blend(actor, job, sent.index, other, words if words.prompt.text else None)
        clip = await self._clip(actor, job, sent.index, "vremix")
        strength = actions.STRENGTHS.get(sent.files.get("strength", ("mild",))[0])
        typed = words.prompt.strength
        return actions.remix(clip, words, strength if typed is None else typed, lane=job.lane)

    async def _other(self, interaction: discord.Interaction, actor: Actor, sent: Submission) -> Given:
        """Return the film that a window names or brings along."""
        named, files = sent.text("source"), sent.files.get("clip", ())
        if bool(named) == bool(files):
            raise UserError("Name a film made here, or attach one, but not both.")
        if named:
            return await self._asking.links.name_of(actor, named)
        upload = windows.uploaded(interaction, files[0])
        if upload is None:
            raise UserError("The film didn't arrive. Send it again.")
        [film] = self._asking.links.attached([upload])
        return film

    # Without a window

    async def _gif(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        await interaction.response.defer(thinking=True, ephemeral=job.origin.private)
        result = await self._studio.rights.result(actor_of(interaction), job.id, actions.RIGHTS["gif"])
        await self._sharing.answer_gif(interaction, result, index)
