"""/queue: what runs and waits; one's own jobs for members, all of a server's for its managers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Atelier
from bot.ui.choices import choices
from bot.ui.queue_view import CancelView, answer, render
from bot.ui.replies import answers_privately, whisper
from bot.wire.interactions import actor_of
from core.job import Job
from studio.actor import Actor
from studio.requests.prompts import remix_text
from studio.texts import plain


class QueueCog(commands.GroupCog, name="queue", description="See and manage jobs that run or wait"):
    def __init__(self, bot: Atelier) -> None:
        self.bot = bot

    @app_commands.command(description="Show your own jobs and their ids")
    @answers_privately
    async def mine(self, interaction: discord.Interaction) -> None:
        snapshot = await self.bot.studio.own.jobs(actor_of(interaction))
        view, lines = CancelView(snapshot), render(snapshot, heading="Your jobs", show_user=False)
        await answer(interaction, lines, view if view.children else None)

    @app_commands.command(description="Cancel a running or waiting job")
    @app_commands.describe(job="Its id, from /queue mine")
    @answers_privately
    async def cancel(self, interaction: discord.Interaction, job: str) -> None:
        await self.bot.answers.cancel(interaction, job.strip().lower())

    @cancel.autocomplete("job")
    async def _jobs(self, interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        found = await self.bot.studio.server.cancellable(actor_of(interaction))
        offered = [(_name(view.job), view.job.id) for view in found]
        return choices(one for one in offered if current.lower() in one[0].lower())

    @app_commands.command(description="Show all jobs that run or wait (Manage Server)")
    @answers_privately
    async def show(self, interaction: discord.Interaction) -> None:
        snapshot = await self.bot.studio.server.queue(actor_of(interaction))
        await answer(interaction, render(snapshot, heading="The queue", show_user=True))

    @app_commands.command(description="Start no more jobs, but finish the running ones (Manage Server)")
    async def pause(self, interaction: discord.Interaction) -> None:
        text = "The queue is paused. Running jobs finish, and new ones wait until you use `/queue resume`."
        await self._operate(interaction, self.bot.studio.server.pause, text)

    @app_commands.command(description="Continue after a pause or a drain (Manage Server)")
    async def resume(self, interaction: discord.Interaction) -> None:
        await self._operate(interaction, self.bot.studio.server.resume, "The queue is running again.")

    @app_commands.command(description="Accept no new jobs, but finish all that are queued (Manage Server)")
    async def drain(self, interaction: discord.Interaction) -> None:
        text = "Atelier finishes the queued jobs but accepts no new ones until you use `/queue resume`."
        await self._operate(interaction, self.bot.studio.server.drain, text)

    @app_commands.command(description="Cancel all waiting jobs (Manage Server)")
    @app_commands.describe(user="Cancel only this member's jobs")
    @answers_privately
    async def clear(self, interaction: discord.Interaction, user: discord.User | None = None) -> None:
        count = await self.bot.studio.server.clear(actor_of(interaction), user.id if user else None)
        await whisper(interaction, f"{count} waiting {'job is' if count == 1 else 'jobs are'} cancelled.")

    @app_commands.command(description="Run a waiting job next (Manage Server)")
    @app_commands.describe(job="Its id, from /queue show")
    @answers_privately
    async def front(self, interaction: discord.Interaction, job: str) -> None:
        server = self.bot.studio.server
        found, moved = await server.move_to_front(actor_of(interaction), job.strip().lower())
        await whisper(
            interaction, f"Job `{found}` runs next." if moved else f"Job `{found}` is no longer waiting."
        )

    @answers_privately
    async def _operate(
        self, interaction: discord.Interaction, act: Callable[[Actor], Awaitable[object]], done: str
    ) -> None:
        await act(actor_of(interaction))
        await whisper(interaction, done)


def _name(job: Job) -> str:
    words = "" if job.origin.private else plain(remix_text(job))
    return f"{job.id} · {job.status} · /{job.request.kind} {words}".strip()


async def setup(bot: Atelier) -> None:
    await bot.add_cog(QueueCog(bot))
