"""/queue: what runs and waits; one's own jobs for members, all of a server's for its managers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Atelier
from bot.ui.buttons import JobButton
from bot.ui.messages import pages
from bot.ui.replies import SILENT, add_whisper, whisper
from core.job import Job
from jobs.views import JobView, Snapshot
from studio.asking.words import duration, ordinal
from studio.authority import Action

MAX_ROWS = 15


class QueueCog(commands.GroupCog, name="queue", description="What runs and what waits"):
    def __init__(self, bot: Atelier) -> None:
        self.bot = bot

    @app_commands.command(description="Your own jobs, with their ids")
    async def mine(self, interaction: discord.Interaction) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        snapshot = await self.bot.queue.mine(interaction.user.id)
        view = CancelView(snapshot)
        await answer(
            interaction,
            render(snapshot, heading="Your jobs", show_user=False),
            view if view.children else None,
        )

    @app_commands.command(description="Cancel a job, running or waiting")
    @app_commands.describe(job="Its id; see /queue mine")
    async def cancel(self, interaction: discord.Interaction, job: str) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        await self.bot.cancel(interaction, job.strip().lower())

    @cancel.autocomplete("job")
    async def _jobs(self, interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        actor = self.bot.actor(interaction)
        snapshot = await self.bot.queue.snapshot()
        seen = [
            v
            for v in (*snapshot.running, *snapshot.waiting)
            if self.bot.authority.allows(actor, Action.CANCEL, v.job)
        ]
        return [
            app_commands.Choice(name=f"{v.job.id} · {v.job.request.kind} · {v.job.status}", value=v.job.id)
            for v in seen
            if current.lower() in v.job.id
        ][:25]

    @app_commands.command(description="Everything that runs and waits (Manage Server)")
    async def show(self, interaction: discord.Interaction) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        await self.bot.check(interaction, Action.QUEUE)
        snapshot = await self.bot.queue.snapshot()
        await answer(
            interaction,
            render(snapshot, heading="The queue", show_user=True, only_guild=self._only_guild(interaction)),
        )

    @app_commands.command(description="Start no more jobs; running ones end (Manage Server)")
    async def pause(self, interaction: discord.Interaction) -> None:
        await self._operate(
            interaction,
            self.bot.queue.pause,
            "The queue is paused. Running jobs end, new ones wait. `/queue resume` goes on.",
        )

    @app_commands.command(description="Go on after a pause or a drain (Manage Server)")
    async def resume(self, interaction: discord.Interaction) -> None:
        await self._operate(interaction, self.bot.queue.resume, "The queue goes on.")

    @app_commands.command(description="Take no new jobs, finish what is there (Manage Server)")
    async def drain(self, interaction: discord.Interaction) -> None:
        await self._operate(
            interaction,
            self.bot.queue.drain,
            "No new jobs are taken; what is there gets finished. `/queue resume` goes back.",
        )

    @app_commands.command(description="Drop waiting jobs (Manage Server)")
    @app_commands.describe(user="Only this member's")
    async def clear(self, interaction: discord.Interaction, user: discord.User | None = None) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        await self.bot.check(interaction, Action.QUEUE)
        count = await self.bot.queue.clear(
            interaction.user.id, user_id=user.id if user else None, guild_id=self._only_guild(interaction)
        )
        await whisper(interaction, f"{count} waiting {'job is' if count == 1 else 'jobs are'} cancelled.")

    @app_commands.command(description="Let a waiting job run next (Manage Server)")
    @app_commands.describe(job="Its id; see /queue show")
    async def front(self, interaction: discord.Interaction, job: str) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        found = await self.bot.job_for(interaction, job.strip().lower(), Action.FRONT)
        moved = await self.bot.queue.move_to_front(interaction.user.id, found.id)
        await whisper(
            interaction,
            f"Job `{found.id}` runs next." if moved else f"Job `{found.id}` doesn't wait any more.",
        )

    def _only_guild(self, interaction: discord.Interaction) -> int | None:
        """The server whose jobs this person may see; None = all."""
        return self.bot.authority.scope(self.bot.actor(interaction))

    async def _operate(
        self, interaction: discord.Interaction, act: Callable[[int], Awaitable[object]], done: str
    ) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        await self.bot.check(interaction, Action.OPERATE)
        await act(interaction.user.id)
        await whisper(interaction, done)


class CancelView(discord.ui.View):
    """A Cancel button for each of one's own unfinished jobs, at most five."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__(timeout=None)
        for view in (*snapshot.running, *snapshot.waiting)[:5]:
            button = JobButton(view.job.id, "cancel")
            button.item.label = f"Cancel {view.job.id}"
            self.add_item(button)


async def answer(
    interaction: discord.Interaction, lines: Sequence[str], view: discord.ui.View | None = None
) -> None:
    """To a deferred interaction: as many messages as ``lines`` need, the first with ``view``."""
    first, *others = pages(lines)
    await interaction.edit_original_response(content=first, view=view, allowed_mentions=SILENT)
    for page in others:
        await add_whisper(interaction, page)


def render(
    snapshot: Snapshot, *, heading: str, show_user: bool, only_guild: int | None = None, links: bool = False
) -> list[str]:
    """The queue as lines of text, at most MAX_ROWS rows of each part. links: to the jobs' messages."""
    state = " (paused)" if snapshot.paused else " (draining: no new jobs)" if snapshot.draining else ""
    running = [v for v in snapshot.running if only_guild is None or v.job.origin.guild_id == only_guild]
    waiting = [v for v in snapshot.waiting if only_guild is None or v.job.origin.guild_id == only_guild]
    lines = [f"**{heading}**{state}", f"**Running** {len(running)}", *_rows(running, show_user, links)]
    count = snapshot.total_waiting if only_guild is None else len(waiting)
    lines += [f"**Waiting** {count}", *_rows(waiting, show_user, links)]
    return lines + [
        f"-# {device.name}: {device.state}{f', {device.problem}' if device.problem else ''}"
        for device in snapshot.devices
    ]


def _rows(views: list[JobView], show_user: bool, links: bool) -> list[str]:
    rows = [f"- {_row(view, show_user)}{_link(view.job) if links else ''}" for view in views[:MAX_ROWS]]
    return rows + ([f"- and {len(views) - MAX_ROWS} more"] if len(views) > MAX_ROWS else [])


def _row(view: JobView, show_user: bool) -> str:
    job: Job = view.job
    parts = [f"`{job.id}`", f"/{job.request.kind}"]
    if show_user:
        parts.append(f"<@{job.origin.user_id}>")
    if view.position:
        parts.append(ordinal(view.position))
    if view.progress is not None:
        parts.append(f"{view.progress.step / max(1, view.progress.total):.0%}")
    parts.append(f"for {duration((discord.utils.utcnow() - view.since).total_seconds())}")
    if view.device:
        parts.append(f"on {view.device}")
    if view.eta is not None:
        parts.append(f"about {duration(view.eta)} {'until it starts' if view.position else 'to go'}")
    return " · ".join(parts)


def _link(job: Job) -> str:
    origin, message_id = job.origin, job.reply.message_id
    if message_id is None or origin.private:
        return ""
    return f" · https://discord.com/channels/{origin.guild_id or '@me'}/{origin.channel_id}/{message_id}"


async def setup(bot: Atelier) -> None:
    await bot.add_cog(QueueCog(bot))
