"""/queue: what runs and waits; one's own jobs for members, all of a server's for its managers."""

from collections.abc import Awaitable, Callable, Sequence

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Atelier, AtelierCog
from bot.discord_api.interactions import actor_of
from bot.ui.buttons import JobButton, view_of
from bot.ui.messages import asker, pages, quote
from bot.ui.replies import SILENT, add_whisper, answers_privately, choices, whisper
from core.job import Job
from core.language import _
from jobs.queue import JobView, Snapshot
from studio.authority import Actor
from studio.requests.prompts import remix_text
from studio.texts import duration, job_name, ordinal, plain

MAX_ROWS = 15
MAX_BUTTONS = 25  # of a message, https://discord.com/developers/docs/components/reference#action-row


async def answer_with_lines(
    interaction: discord.Interaction, lines: Sequence[str], view: discord.ui.View | None = None
) -> None:
    """Answer a deferred interaction with as many messages as ``lines`` need, the first with ``view``."""
    first, *others = pages(lines)
    await interaction.edit_original_response(content=first, view=view, allowed_mentions=SILENT)
    for page in others:
        await add_whisper(interaction, page)


def queue_lines(snapshot: Snapshot, *, heading: str, show_user: bool) -> list[str]:
    """Return the queue as lines of text, at most MAX_ROWS rows of each part.

    show_user: it is a manager who looks: rows name their asker, and private ones say no prompt.
    """
    state = ""
    if snapshot.paused:
        state = _(" (paused by an admin: nothing starts until it is resumed)")
    elif snapshot.draining:
        state = _(" (draining: no new jobs)")
    rows = {view.job.id: f"{n}. {_row(view, show_user)}" for n, view in _numbered(snapshot)}
    return [
        f"**{heading}**{state}",
        _("**Running** {running}", running=len(snapshot.running)),
        *_part(snapshot.running, rows, len(snapshot.running)),
        _("**Waiting** {total_waiting}", total_waiting=snapshot.total_waiting),
        *_part(snapshot.waiting, rows, snapshot.total_waiting),
        *(
            f"-# {device.name}: {device.state}{f', {device.problem}' if device.problem else ''}"
            for device in snapshot.devices
        ),
    ]


def _numbered(snapshot: Snapshot) -> list[tuple[int, JobView]]:
    """Return the jobs that have a row, with its number, from 1."""
    return list(enumerate((*snapshot.running[:MAX_ROWS], *snapshot.waiting[:MAX_ROWS]), 1))


def _part(views: Sequence[JobView], rows: dict[str, str], total: int) -> list[str]:
    shown = [rows[view.job.id] for view in views[:MAX_ROWS]]
    return shown + ([_("- and {total} more", total=total - len(shown))] if total > len(shown) else [])


def _row(view: JobView, show_user: bool) -> str:
    job: Job = view.job
    words = "" if show_user and job.origin.private else quote(remix_text(job), 80)
    parts = [f"**{words}**"] if words else []
    parts.append(job_name(job.request))
    if show_user:
        parts.append(asker(job.origin.user_id))
    if view.position:
        parts.append(ordinal(view.position))
    if view.progress is not None:
        parts.append(f"{view.progress.step / max(1, view.progress.total):.0%}")
    parts.append(
        _(
            "for {total_seconds}",
            total_seconds=duration((discord.utils.utcnow() - view.since).total_seconds()),
        )
    )
    if view.device:
        parts.append(_("on {device}", device=view.device))
    if view.eta is not None:
        parts.append(
            _(
                "about {eta} {word}",
                eta=duration(view.eta),
                word=_("until it starts") if view.position else _("to go"),
            )
        )
    return " · ".join([*parts, *_link(job), f"`{job.id}`"])


def _link(job: Job) -> list[str]:
    """A link to the job's message, if there is one that others than its asker see."""
    origin, message_id = job.origin, job.reply.message_id
    if message_id is None or origin.private:
        return []
    place = origin.guild_id or "@me"
    return [
        _(
            "[its message](https://discord.com/channels/{place}/{channel_id}/{message_id})",
            place=place,
            channel_id=origin.channel_id,
            message_id=message_id,
        )
    ]


class QueueCog(
    AtelierCog, commands.GroupCog, name="queue", description="See and manage jobs that run or wait"
):
    @app_commands.command(description="Show your own jobs and their ids")
    @answers_privately
    async def mine(self, interaction: discord.Interaction) -> None:
        snapshot = await self.bot.studio.own.jobs(actor_of(interaction))
        cancels = [JobButton(view.job.id, "cancel") for _unused, view in _numbered(snapshot)[:MAX_BUTTONS]]
        for number, button in enumerate(cancels, 1):
            button.item.label = _("Cancel {number}", number=number)
        lines = queue_lines(snapshot, heading=_("Your jobs"), show_user=False)
        await answer_with_lines(interaction, lines, view_of(*cancels) if cancels else None)

    @app_commands.command(description="Cancel a running or waiting job")
    @app_commands.describe(job="Its id, from /queue mine")
    @answers_privately
    async def cancel(self, interaction: discord.Interaction, job: str) -> None:
        await self.bot.answers.cancel(interaction, job.strip().lower())

    @cancel.autocomplete("job")
    async def _jobs(self, interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        found = await self.bot.studio.server.cancellable(actor_of(interaction))
        offered = []
        for job in (view.job for view in found):
            words = "" if job.origin.private else plain(remix_text(job))
            offered.append((f"{job.id} · {job.status} · {job_name(job.request)} {words}".strip(), job.id))
        return choices(one for one in offered if current.lower() in one[0].lower())

    @app_commands.command(description="Show all jobs that run or wait (Manage Server)")
    @answers_privately
    async def show(self, interaction: discord.Interaction) -> None:
        snapshot = await self.bot.studio.server.queue(actor_of(interaction))
        await answer_with_lines(interaction, queue_lines(snapshot, heading=_("The queue"), show_user=True))

    @app_commands.command(description="Start no more jobs, but finish the running ones (Manage Server)")
    async def pause(self, interaction: discord.Interaction) -> None:
        text = _("The queue is paused. Running jobs finish, and new ones wait until you use `/queue resume`.")
        await self._operate(interaction, self.bot.studio.server.pause, text)

    @app_commands.command(description="Continue after a pause or a drain (Manage Server)")
    async def resume(self, interaction: discord.Interaction) -> None:
        await self._operate(interaction, self.bot.studio.server.resume, _("The queue is running again."))

    @app_commands.command(description="Accept no new jobs, but finish all that are queued (Manage Server)")
    async def drain(self, interaction: discord.Interaction) -> None:
        text = _("Atelier finishes the queued jobs but accepts no new ones until you use `/queue resume`.")
        await self._operate(interaction, self.bot.studio.server.drain, text)

    @app_commands.command(description="Cancel all waiting jobs (Manage Server)")
    @app_commands.describe(user="Cancel only this member's jobs")
    @answers_privately
    async def clear(self, interaction: discord.Interaction, user: discord.User | None = None) -> None:
        count = await self.bot.studio.server.clear(actor_of(interaction), user.id if user else None)
        await whisper(
            interaction,
            _(
                "{count} waiting {word} cancelled.",
                count=count,
                word=_("job is") if count == 1 else _("jobs are"),
            ),
        )

    @app_commands.command(description="Run a waiting job next (Manage Server)")
    @app_commands.describe(job="Its id, from /queue show")
    @answers_privately
    async def front(self, interaction: discord.Interaction, job: str) -> None:
        server = self.bot.studio.server
        found, moved = await server.move_to_front(actor_of(interaction), job.strip().lower())
        await whisper(
            interaction,
            _(
                "Job `{found}` {word}.",
                found=found,
                word=_("runs next") if moved else _("is no longer waiting"),
            ),
        )

    @answers_privately
    async def _operate(
        self, interaction: discord.Interaction, act: Callable[[Actor], Awaitable[object]], done: str
    ) -> None:
        await act(actor_of(interaction))
        await whisper(interaction, done)


async def setup(bot: Atelier) -> None:
    await bot.add_cog(QueueCog(bot))
