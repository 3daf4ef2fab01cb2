"""/queue: what runs and waits; one's own jobs for members, all of a server's for its managers; and the
same in a few words as the bot's status."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

import discord
from discord import ConnectionClosed, app_commands
from discord.ext import commands

from bot.client import Atelier, AtelierCog
from bot.discord_api.http import FAILURES
from bot.discord_api.interactions import actor_of
from bot.ui.buttons import JobButton, view_of
from bot.ui.messages import asker, cut_text, pages, quote
from bot.ui.replies import SILENT, add_whispers, answers_privately, choices, whisper
from core.errors import AtelierError
from core.job import Job
from jobs.queue import JobView, Snapshot
from studio.authority import Actor
from studio.requests.prompts import remix_text
from studio.texts import duration, job_name, ordinal, plain

log = logging.getLogger(__name__)
MAX_ROWS = 15
MAX_BUTTONS = 25  # of a message, https://discord.com/developers/docs/components/reference#action-row


async def answer_with_lines(
    interaction: discord.Interaction, lines: Sequence[str], view: discord.ui.View | None = None
) -> None:
    """Answer a deferred interaction with as many messages as ``lines`` need, the first with ``view``."""
    first, *others = pages(lines)
    await interaction.edit_original_response(content=first, view=view, allowed_mentions=SILENT)
    await add_whispers(interaction, others)


def queue_lines(snapshot: Snapshot, *, heading: str, show_user: bool) -> list[str]:
    """Return the queue as lines of text, at most MAX_ROWS rows of each part.

    show_user: it is a manager who looks: rows name their asker, and private ones say no prompt.
    """
    state = ""
    if snapshot.paused:
        state = " (paused by an admin: nothing starts until it is resumed)"
    elif snapshot.draining:
        state = " (draining: no new jobs)"
    rows = {view.job.id: f"{n}. {_row(view, show_user)}" for n, view in _numbered(snapshot)}
    return [
        f"**{heading}**{state}",
        f"**Running** {len(snapshot.running)}",
        *_part(snapshot.running, rows, len(snapshot.running)),
        f"**Waiting** {snapshot.total_waiting}",
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
    return shown + ([f"- and {total - len(shown)} more"] if total > len(shown) else [])


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
    parts.append(f"for {duration((discord.utils.utcnow() - view.since).total_seconds())}")
    if view.device:
        parts.append(f"on {view.device}")
    if view.eta is not None:
        parts.append(f"about {duration(view.eta)} {'until it starts' if view.position else 'to go'}")
    return " · ".join([*parts, *_link(job), f"`{job.id}`"])


def _link(job: Job) -> list[str]:
    """A link to the job's message, if there is one that others than its asker see."""
    origin, message_id = job.origin, job.reply.message_id
    if message_id is None or origin.private:
        return []
    place = origin.guild_id or "@me"
    return [f"[its message](https://discord.com/channels/{place}/{origin.channel_id}/{message_id})"]


class QueueCog(
    AtelierCog, commands.GroupCog, name="queue", description="See and manage jobs that run or wait"
):
    @app_commands.command(description="Show your own jobs and their ids")
    @answers_privately
    async def mine(self, interaction: discord.Interaction) -> None:
        snapshot = await self.bot.studio.own.jobs(actor_of(interaction))
        cancels = [JobButton(view.job.id, "cancel") for _, view in _numbered(snapshot)[:MAX_BUTTONS]]
        for number, button in enumerate(cancels, 1):
            button.item.label = f"Cancel {number}"
        lines = queue_lines(snapshot, heading="Your jobs", show_user=False)
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
        await answer_with_lines(interaction, queue_lines(snapshot, heading="The queue", show_user=True))

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
        await whisper(interaction, f"Job `{found}` {'runs next' if moved else 'is no longer waiting'}.")

    @answers_privately
    async def _operate(
        self, interaction: discord.Interaction, act: Callable[[Actor], Awaitable[object]], done: str
    ) -> None:
        await act(actor_of(interaction))
        await whisper(interaction, done)


TOLD_EVERY = 60.0  # seconds; Discord takes five a minute of a connection
MOST_STATUS = 128  # characters


def status_text(snapshot: Snapshot, model: str) -> str:
    """Return what the bot does, in a few words: how many jobs run and wait, and the model. Nothing of what
    somebody asks for."""
    loading = next((view.loading for view in snapshot.running if view.loading is not None), None)
    waiting = f"{snapshot.total_waiting} wait" if snapshot.total_waiting else ""
    if snapshot.paused or snapshot.draining:
        said = ["paused" if snapshot.paused else "no new jobs for now", waiting]
    elif loading is not None:
        share = "" if loading.fraction is None else f" {loading.fraction:.0%}"
        said = [f"{'fetching' if loading.fetching else 'loading'} {plain(loading.model)}{share}", waiting]
    elif snapshot.running:
        counts = [f"{len(snapshot.running)} drawing", *([waiting] if waiting else [])]
        said = [", ".join(counts), model]
    else:
        said = ["ready" if not waiting else waiting, model]
    return cut_text(" · ".join(one for one in said if one), MOST_STATUS)


class Presence(AtelierCog):
    """Tells what the bot does, once a minute at most and where that has changed."""

    def __init__(self, bot: Atelier) -> None:
        super().__init__(bot)
        self._told = ""
        self._task: asyncio.Task[None] | None = None

    @commands.Cog.listener()
    async def on_ready(self) -> None:
        """Begin, once: "ready" comes again after lost sessions."""
        if self._task is None and self.bot.settings.presence:
            self._task = asyncio.create_task(self.tell(), name="tell what the bot does")

    async def cog_unload(self) -> None:
        if self._task is not None:
            self._task.cancel()

    @commands.Cog.listener()
    async def on_shard_ready(self, _: int) -> None:
        """A connection has begun anew: its servers were told nothing yet."""
        self._told = ""

    async def tell(self) -> None:
        """Tell it for as long as the bot runs."""
        while True:
            await self.tell_once()
            await self.bot.outside(asyncio.sleep(TOLD_EVERY))

    async def tell_once(self) -> None:
        """Tell what the bot does, unless that is what it told last."""
        try:
            settings = self.bot.settings
            usual = settings.models.get("image", "")
            named = (name for name, spec in settings.image_models.items() if spec == usual)
            model = next(named, usual.rstrip("/").rpartition("/")[2])  # as members know it
            text = status_text(await self.bot.overview(), model)
            if text != self._told:
                await self.bot.change_presence(activity=discord.CustomActivity(text))
                self._told = text
        except (AtelierError, ConnectionClosed, *FAILURES) as error:
            log.info("the status isn't told (%s)", type(error).__name__)


async def setup(bot: Atelier) -> None:
    await bot.add_cog(QueueCog(bot))
    await bot.add_cog(Presence(bot))
