"""Versions of a project's model in Discord: reported on, chosen, made stricter or looser, compared."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import discord

from bot.delivery.post import Picture, Post
from bot.projects import text
from bot.projects.cards import Cards
from bot.projects.items import ProjectButton, ProjectMenu
from bot.ui.buttons import view_of
from bot.ui.replies import whisper
from bot.wire.interactions import acknowledge, actor_of
from core.errors import UserError
from core.requests.custom_models import ANOMALY, DETECT
from storage.projects.versions import ACTIVE, TAINTED
from studio.actor import Actor
from studio.projects.training import MOVES, Report
from studio.studio import Studio

REPORT, MISTAKES = "report", "mistakes"  # charts
SUFFIXES = {"image/png": "png", "image/webp": "webp", "image/jpeg": "jpg"}
MOST_CHARTS = 10  # that have a button
KEEP = "keep"  # begins the action that keeps a move


class Versions:
    """Says what versions are worth, and chooses among them. Answers are for whoever asks alone."""

    def __init__(self, studio: Studio, cards: Cards) -> None:
        self._studio, self._cards = studio, cards

    async def report(self, interaction: discord.Interaction, name: str, number: int | None = None) -> None:
        """Show what is known of a version (None = the one in use); the interaction was deferred. Raises
        UserError, NotAllowedError."""
        actor = actor_of(interaction)
        found = await self._studio.projects.shelf.card(actor, name)
        report = await self._studio.projects.training.report(actor, name, number)
        picture = None
        if REPORT in report.charts:
            picture = await self._chart(actor, name, report.version.number, REPORT)
        content = f"{text.report(found.project, report)}\n➡️ {text.next_step(found)}"
        await Post(content, picture, _charts(found.project.id, report)).answer(interaction)

    async def chart(self, interaction: discord.Interaction, project: str, more: str) -> None:
        """Show one chart of a version's report. more: "3-confusion". Raises UserError, NotAllowedError."""
        if not await acknowledge(interaction, ephemeral=True):
            return
        number, _, chart = more.partition("-")
        picture = await self._chart(actor_of(interaction), project, int(number), chart)
        await Post(f"{_called(chart)} of version {number}", picture).answer(interaction)

    async def _chart(self, actor: Actor, name: str, number: int, chart: str) -> Picture:
        data, media_type = await self._studio.projects.training.chart(actor, name, number, chart)
        return Picture(
            data, f"{chart}-{number}.{SUFFIXES[media_type]}", f"{_called(chart)} of version {number}"
        )

    async def list(self, interaction: discord.Interaction, name: str) -> None:
        """Show a project's versions, with a menu that chooses one; the interaction was deferred. Raises
        UserError, NotAllowedError."""
        actor = actor_of(interaction)
        found = await self._studio.projects.shelf.card(actor, name)
        versions = await self._studio.projects.training.versions(actor, name)
        fit = {
            str(one.number): f"Use version {one.number}"
            for one in versions
            if one.artefact and one.state not in (ACTIVE, TAINTED)
        }
        items: list[discord.ui.Item[Any]] = []
        if fit and "train" in found.may:
            items.append(ProjectMenu(found.project.id, "use", "", fit, hint="Use another version", row=0))
        if len(versions) > 1:
            new, old = versions[0].number, versions[1].number
            label = f"Compare {new} with {old}"
            items.append(ProjectButton(found.project.id, "compare", f"{old}-{new}", label=label, row=1))
        view = view_of(*items) if items else self._cards.view(found)
        await Post(text.versions(found.project, versions), view=view).answer(interaction)

    async def use(self, interaction: discord.Interaction, project: str, number: int) -> None:
        """Let a version be the one in use. Raises UserError, NotAllowedError."""
        if not await acknowledge(interaction, ephemeral=True):
            return
        actor = actor_of(interaction)
        await self._studio.projects.training.use(actor, project, number)
        found = await self._studio.projects.shelf.card(actor, project)
        content = f"Version {number} is in use from now on.\n{text.card(found)}"
        await Post(content, view=self._cards.view(found)).answer(interaction)

    async def compare(self, interaction: discord.Interaction, name: str, first: int, second: int) -> None:
        """Say which of two versions is better; the interaction was deferred. Raises UserError,
        NotAllowedError."""
        await whisper(
            interaction,
            await self._studio.projects.training.compare(actor_of(interaction), name, first, second),
        )

    async def move(
        self,
        interaction: discord.Interaction,
        name: str,
        move: str,
        number: int | None,
        *,
        keep: bool = False,
    ) -> None:
        """Say what a stricter, looser or the usual limit would change, or keep it; the interaction was
        deferred. Raises UserError, NotAllowedError."""
        actor = actor_of(interaction)
        moved = await self._studio.projects.training.threshold(actor, name, move, number, keep=keep)
        found = await self._studio.projects.shelf.card(actor, name)
        used = number or (found.version.number if found.version else 0)
        if keep:
            content = f"Kept: version {used} judges by the new limit from now on. {moved.sentence}"
            await Post(content, view=_moves(found.project.id, used, "")).answer(interaction)
            return
        content = f"{_called(move)}: {moved.sentence}\nNothing has changed yet."
        await Post(content, view=_moves(found.project.id, used, move)).answer(interaction)


def for_trained(
    project: str, number: int, task: str, charts: Collection[str], *, in_use: bool
) -> discord.ui.View:
    """Return what can be done with a version that was trained. charts: names of its report's."""
    use = [] if in_use else [ProjectButton(project, "use", number, next_step=True, row=0)]
    more = [ProjectButton(project, "bundle", number, row=1), ProjectButton(project, "report", number, row=1)]
    if task == "style":
        return view_of(*use, *more)
    tried = ProjectButton(project, "try", number, next_step=in_use, row=0)
    limits = ("stricter", "looser") if task in (ANOMALY, DETECT) else ()
    moves = [ProjectButton(project, move, number, row=0) for move in limits]
    mistakes = ProjectButton(project, "chart", f"{number}-{MISTAKES}", label=_called(MISTAKES), row=1)
    return view_of(tried, *use, *moves, *([mistakes] if MISTAKES in charts else []), *more)


def _moves(project: str, number: int, move: str) -> discord.ui.View:
    """Return the other moves, and for one that was shown what keeps it."""
    keep = [ProjectButton(project, f"{KEEP}{move}", number)] if move else []
    return view_of(*keep, *(ProjectButton(project, other, number) for other in MOVES if other != move))


def _charts(project: str, report: Report) -> discord.ui.View:
    number = report.version.number
    shown = [chart for chart in report.charts if chart != REPORT][:MOST_CHARTS]
    return view_of(
        ProjectButton(project, "try", number, row=0),
        ProjectButton(project, "bundle", number, row=0),
        ProjectButton(project, "show", row=0),
        *(
            ProjectButton(project, "chart", f"{number}-{chart}", label=_called(chart), row=1 + place // 5)
            for place, chart in enumerate(shown)
        ),
    )


def _called(chart: str) -> str:
    known = {"roc": "ROC", "pr": "Precision and recall", "scores": "Scores"}
    return known.get(chart, chart.replace("-", " ").capitalize())


def number_of(more: str) -> int | None:
    """Return the version that a button names, None = the one in use. Raises UserError for none."""
    if more and not more.isdigit():
        raise UserError("This button names no version.")
    return int(more) if more else None
