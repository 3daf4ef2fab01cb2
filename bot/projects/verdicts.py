"""What is done about verdicts: right, wrong and what instead, and all of it as JSON."""

from __future__ import annotations

import json

import discord

from bot.delivery.post import Picture, Post
from bot.projects import windows
from bot.projects.cards import Cards
from bot.projects.items import ProjectButton
from bot.ui.buttons import view_of
from bot.ui.replies import whisper
from bot.ui.windows import Submission
from bot.wire.interactions import acknowledge, actor_of
from core.errors import UserError
from core.job import Job
from core.requests.own_models import DETECT, ProjectRequest
from studio.asking.words import counted
from studio.authority import Action
from studio.studio import Studio

NO_VERDICT = "That job has no verdict."


class Verdicts:
    """Takes what people find of verdicts. Answers are for whoever presses alone."""

    def __init__(self, studio: Studio, cards: Cards) -> None:
        self._studio, self._cards = studio, cards
        self.own = {
            "isright": self._right,
            "iswrong": self._open_wrong,
            "verdict": self._details,
            "project": self._project,
        }

    async def _right(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        if not await acknowledge(interaction, ephemeral=True):
            return
        actor, trying = actor_of(interaction), self._studio.projects.trying
        said = await trying.judged(actor, job.id)
        if not said:
            raise UserError(NO_VERDICT)
        for judged in said:
            noted = await trying.answer(actor, job.id, judged.position, right=True)
        await whisper(
            interaction, noted if len(said) == 1 else f"{counted(len(said), 'verdict')} found right."
        )

    async def _open_wrong(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        actor = actor_of(interaction)
        said = await self._studio.projects.trying.judged(actor, job.id)
        if not said or not isinstance(job.request, ProjectRequest):
            raise UserError(NO_VERDICT)
        found = await self._studio.projects.shelf.card(actor, job.request.project)
        if found.project.task == DETECT and len(said) == 1:
            if await acknowledge(interaction, ephemeral=True):
                await self._draw_anew(interaction, job.id, 0)
            return
        strange = len(said) == 1 and said[0].strange
        await interaction.response.send_modal(windows.wrong_window(job.id, found, len(said), strange=strange))

    async def was_wrong(self, interaction: discord.Interaction, sent: Submission) -> None:
        """Note what a verdict should have been. Raises UserError, NotAllowedError."""
        if not await acknowledge(interaction, ephemeral=True):
            return
        actor, trying = actor_of(interaction), self._studio.projects.trying
        number = sent.text("number") or "1"
        if not number.isdecimal() or not int(number):
            raise UserError(f"{number[:10]!r} is no number of a picture; the first one is 1.")
        job = await self._studio.rights.job(actor, sent.job_id, Action.SHOW)
        if isinstance(job.request, ProjectRequest) and job.request.task == DETECT:
            await self._draw_anew(interaction, job.id, int(number) - 1)
            return
        label = windows.label_of(sent.chosen("label"), sent.text("new"))
        noted = await trying.answer(actor, sent.job_id, int(number) - 1, right=False, label=label)
        assert isinstance(job.request, ProjectRequest)  # or else it had no verdict
        found = await self._studio.projects.shelf.card(actor, job.request.project)
        if found.version is None or not found.new or "train" not in found.may:
            await whisper(interaction, noted)
            return
        label = f"Train version {found.version.number + 1}"
        view = view_of(ProjectButton(found.project.id, "train", label=label))
        await Post(noted, view=view).answer(interaction)

    async def _draw_anew(self, interaction: discord.Interaction, job_id: str, position: int) -> None:
        """Note that boxes are wrong, and say where to draw them as they should be."""
        actor, trying = actor_of(interaction), self._studio.projects.trying
        noted = await trying.answer(actor, job_id, position, right=False)
        judged = (await trying.judged(actor, job_id))[position]
        found = await self._studio.projects.shelf.card(actor, judged.project_id)
        where = f"?picture={judged.sha256}&job={job_id}"
        draw = self._cards.draw(judged.project_id, where) if "label" in found.may else []
        await Post(noted, view=view_of(*draw, ProjectButton(judged.project_id, "show"))).answer(interaction)

    async def _details(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        if not await acknowledge(interaction, ephemeral=True):
            return
        result = await self._studio.rights.result(actor_of(interaction), job.id, Action.DETAILS)
        told = {"job": job.id, **result.parameters}
        data = json.dumps(told, indent=2, ensure_ascii=False, default=str).encode()
        file = Picture(data, f"verdict-{job.id}.json", "")
        await Post("Everything about it, as JSON:", more=(file,)).answer(interaction)

    async def _project(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        if not isinstance(job.request, ProjectRequest):
            raise UserError("That job belongs to no project.")
        if await acknowledge(interaction, ephemeral=True):
            await self._cards.show(interaction, job.request.project)
