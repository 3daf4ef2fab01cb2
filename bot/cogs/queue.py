"""/queue: what runs and waits; one's own jobs for members, all of a server's for its managers; and the
same in a few words as the bot's status."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import discord
from discord import ConnectionClosed, app_commands
from discord.ext import commands

from bot.client import Atelier, AtelierCog
from bot.discord_api.http import FAILURES
from bot.discord_api.interactions import actor_of
from bot.ui.buttons import JobButton, KeptItem
from bot.ui.layout import layout_of
from bot.ui.messages import asker, cut_text, pages, quote
from bot.ui.replies import SILENT, add_whispers, answers_privately, choices, whisper
from core.errors import AtelierError
from core.job import Job
from core.language import _, n_
from jobs.queue import JobView, Snapshot
from studio.authority import Actor
from studio.requests.prompts import remix_text
from studio.texts import duration, job_name, ordinal, plain

log = logging.getLogger(__name__)
MAX_ROWS = 15
PAGE = 10  # jobs of a message with a button beside each
LONGEST = 330  # characters of one of them


class QueuePageButton(KeptItem, template=r"qp:(?P<page>[0-9]{1,3}):(?P<side>[lr])"):
    """Turns to a page of the presser's own jobs."""

    def __init__(self, page: int, side: str, *, disabled: bool = False) -> None:
        emoji = "◀️" if side == "l" else "▶️"
        super().__init__(discord.ui.Button(emoji=emoji, custom_id=f"qp:{page}:{side}", disabled=disabled))
        self.page = page

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        await client.cogs["queue"].turn_to(interaction, self.page)


def own_layout(snapshot: Snapshot, page: int) -> discord.ui.LayoutView:
    """Return a page (from 0) of somebody's own jobs, each with the button that cancels it."""
    views = list(enumerate((*snapshot.running, *snapshot.waiting), 1))
    last = max(0, (len(views) - 1) // PAGE)
    page = min(page, last)
    counts = _(
        "**Running** {running} · **Waiting** {total_waiting}",
        running=len(snapshot.running),
        total_waiting=snapshot.total_waiting,
    )
    heading = _("**Your jobs**{snapshot}\n{counts}", snapshot=_state(snapshot), counts=counts)
    jobs = [
        discord.ui.Section[Any](
            cut_text(f"**{number}** {_row(view, show_user=False)}", LONGEST),
            accessory=JobButton(view.job.id, "cancel"),
        )
        for number, view in views[page * PAGE : (page + 1) * PAGE]
    ]
    turning = (
        QueuePageButton(max(0, page - 1), "l", disabled=page == 0),
        QueuePageButton(page + 1, "r", disabled=page == last),
    )
    devices = "\n".join(_devices(snapshot))
    return layout_of(
        discord.ui.TextDisplay[Any](heading),
        *([discord.ui.Separator[Any](), *jobs] if jobs else []),
        *([discord.ui.ActionRow[Any](*turning)] if last else []),
        *([discord.ui.TextDisplay[Any](devices)] if devices else []),
    )


async def answer_with_lines(interaction: discord.Interaction, lines: Sequence[str]) -> None:
    """Answer a deferred interaction with as many messages as ``lines`` need."""
    first, *others = pages(lines)
    await interaction.edit_original_response(content=first, allowed_mentions=SILENT)
    await add_whispers(interaction, others)


def queue_lines(snapshot: Snapshot, *, heading: str, show_user: bool) -> list[str]:
    """Return the queue as lines of text, at most MAX_ROWS rows of each part.

    show_user: it is a manager who looks: rows name their asker, and private ones say no prompt.
    """
    rows = {view.job.id: f"{n}. {_row(view, show_user=show_user)}" for n, view in _numbered(snapshot)}
    return [
        f"**{heading}**{_state(snapshot)}",
        _("**Running** {running}", running=len(snapshot.running)),
        *_part(snapshot.running, rows, len(snapshot.running)),
        _("**Waiting** {total_waiting}", total_waiting=snapshot.total_waiting),
        *_part(snapshot.waiting, rows, snapshot.total_waiting),
        *_devices(snapshot),
    ]


def _state(snapshot: Snapshot) -> str:
    if snapshot.paused:
        return _(" (paused by an admin: nothing starts until it is resumed)")
    return _(" (draining: no new jobs)") if snapshot.draining else ""


def _devices(snapshot: Snapshot) -> list[str]:
    return [
        f"-# {device.name}: {device.state}{f', {device.problem}' if device.problem else ''}"
        for device in snapshot.devices
    ]


def _numbered(snapshot: Snapshot) -> list[tuple[int, JobView]]:
    """Return the jobs that have a row, with its number, from 1."""
    return list(enumerate((*snapshot.running[:MAX_ROWS], *snapshot.waiting[:MAX_ROWS]), 1))


def _part(views: Sequence[JobView], rows: dict[str, str], total: int) -> list[str]:
    shown = [rows[view.job.id] for view in views[:MAX_ROWS]]
    return shown + ([_("- and {total} more", total=total - len(shown))] if total > len(shown) else [])


def _row(view: JobView, *, show_user: bool) -> str:
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
            _("about {eta} until it starts", eta=duration(view.eta))
            if view.position
            else _("about {eta} to go", eta=duration(view.eta))
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
        await self._show_own(interaction, 0)

    async def turn_to(self, interaction: discord.Interaction, page: int) -> None:
        """Show a page (from 0) of the presser's own jobs in the same message."""
        await interaction.response.defer()
        await self._show_own(interaction, page)

    async def _show_own(self, interaction: discord.Interaction, page: int) -> None:
        view = own_layout(await self.bot.studio.own.jobs(actor_of(interaction)), page)
        await interaction.edit_original_response(view=view, allowed_mentions=SILENT)

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
        said = n_("{n} waiting job is cancelled.", "{n} waiting jobs are cancelled.", count)
        await whisper(interaction, said)

    @app_commands.command(description="Run a waiting job next (Manage Server)")
    @app_commands.describe(job="Its id, from /queue show")
    @answers_privately
    async def front(self, interaction: discord.Interaction, job: str) -> None:
        server = self.bot.studio.server
        found, moved = await server.move_to_front(actor_of(interaction), job.strip().lower())
        said = _("Job `{found}` runs next.") if moved else _("Job `{found}` is no longer waiting.")
        await whisper(interaction, said.format(found=found))

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
        said = ["paused" if snapshot.paused else _("no new jobs for now"), waiting]
    elif loading is not None:
        share = "" if loading.fraction is None else f" {loading.fraction:.0%}"
        said = [
            f"{(_('fetching') if loading.fetching else _('loading'))} {plain(loading.model)}{share}",
            waiting,
        ]
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
    bot.add_dynamic_items(QueuePageButton)
    await bot.add_cog(QueueCog(bot))
    await bot.add_cog(Presence(bot))
