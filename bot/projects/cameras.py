"""Cameras of a project in Discord: what they have seen, on and off, and gone; and their alarms."""

from collections.abc import Sequence

import discord

from bot.discord_api.interactions import actor_of
from bot.projects import views
from bot.projects.views import ProjectButton
from bot.ui.buttons import JobButton, Rows, rows_of
from bot.ui.layout import BAD, GOOD
from bot.ui.messages import cut_text, fit_message, notes_of, quote
from bot.ui.replies import Post, answers_privately, whisper
from core.job import Job
from core.language import N_, _
from jobs.queue import Result
from storage.projects.projects import Project
from storage.watches import Watch, Watched
from studio.projects.watches import OFF, POST, Board
from studio.studio import Studio

ACTIONS = ("watchon", "watchoff", "watchend", "cameras")
MOST_ROWS = 4  # of cameras that have buttons
HOW = N_("`/inspect watch` with a source adds one.")


class Cameras:
    """Shows them and does what their buttons say. Answers are for whoever asks alone."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    async def show(self, interaction: discord.Interaction, name: str) -> None:
        """Show a project's cameras; the interaction was deferred. Raises UserError, NotAllowedError."""
        board = await self._studio.watches.board(actor_of(interaction), name)
        text = board_text(board, is_possible=self._studio.watches.is_possible)
        await Post(text, rows=_rows(board)).answer(interaction)

    async def press(self, interaction: discord.Interaction, project: str, action: str, watch_id: str) -> None:
        """Do what a camera's button says, and show them all; the interaction was deferred. Raises UserError,
        NotAllowedError."""
        watches, actor = self._studio.watches, actor_of(interaction)
        if action == "watchend":
            await watches.remove(actor, project, watch_id)
        elif action != "cameras":
            await watches.turn(actor, project, watch_id, on=action == "watchon")
        await self.show(interaction, project)

    @answers_privately
    async def false_alarm(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        """Note that the part on a camera's picture is good."""
        noted = await self._studio.inference.answer(actor_of(interaction), job.id, 0, right=False)
        await whisper(interaction, noted)

    @answers_privately
    async def snooze(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        """Let a camera's alarms be quiet for an hour."""
        until = await self._studio.watches.snooze_by(actor_of(interaction), job.id)
        await whisper(interaction, _("No alarms of this camera until <t:{at}:t>.", at=int(until.timestamp())))


def alarm(result: Result, project: Project, seen: Watched, said: Sequence[str]) -> Post:
    """Return what is posted of a camera's picture. said: the verdict first."""
    job, strange = result.job, result.parameters["verdicts"][0]["strange"]
    where = _(
        "-# 📷 {camera} · {project} version {number} · <t:{at}:f> · score {score:.2f}",
        camera=quote(seen.camera, 80),
        project=views.name(project),
        number=seen.number,
        at=int(seen.at.timestamp()),
        score=seen.score,
    )
    lines = [said[0], where, *said[1:], *notes_of(result.parameters), f"-# job {job.id}"]
    rows = rows_of(
        *(JobButton(job.id, action, row=0) for action in ("isright", "falsealarm", "snooze", "verdict")),
        ProjectButton(project.id, "show", row=0),
    )
    return Post(fit_message("\n".join(lines)), rows=rows, accent=BAD if strange else GOOD)


def board_text(board: Board, *, is_possible: bool) -> str:
    """Return what a project's cameras have seen. is_possible: whether the operator allows any folder."""
    lines = [_("Cameras of {project}", project=views.name(board.project))]
    lines += [_line(one) for one in board.watches]
    posts = [one for one in board.watches if one.source == POST]
    lines += [f"-# `POST /api/projects/{one.project_id}/watches/{one.id}/pictures`" for one in posts]
    if board.manages and not board.watches:
        lines.append(_(HOW) if is_possible else _(OFF))
    if board.rate:
        lines.append(f"-# {quote(board.rate, 300)}")
    if board.alarms:
        newest = board.alarms[0]
        told = _(
            "-# Last alarm: {camera}, <t:{at}:R>",
            camera=quote(newest.camera, 80),
            at=int(newest.at.timestamp()),
        )
        lines.append(told)
    return fit_message("\n".join(lines))


def _line(one: Watch) -> str:
    state = _("on") if one.is_on else _("off")
    where = f" · <#{one.channel_id}>" if one.channel_id else ""
    seen = f" · <t:{int(one.seen_at.timestamp())}:R>" if one.seen_at else ""
    trouble = f"\n-# ⚠️ {quote(one.trouble, 200)}" if one.trouble else ""
    trouble += f"\n-# {quote(one.notice, 200)}" if one.notice else ""
    where += f" · 🌙 {quote(one.hours, 60)}" if one.hours else ""
    kept = _("pictures are kept for {days} days", days=one.keep_days)
    return f"**{quote(one.camera, 80)}** · {state} · {quote(one.source, 100)}{where}{seen} · {kept}{trouble}"


def _rows(board: Board) -> Rows:
    """Return the buttons of the cameras, a row for each."""
    items: list[ProjectButton] = []
    for row, one in enumerate(board.watches[:MOST_ROWS]):
        turn = "watchoff" if one.is_on else "watchon"
        for action in (turn, "watchend"):
            label = f"{_(views.LOOKS[action].label or '')}: {cut_text(one.camera, 40)}"
            items.append(ProjectButton(board.project.id, action, one.id, label=label, row=row))
    items.append(ProjectButton(board.project.id, "show", row=MOST_ROWS))
    return rows_of(*items)
