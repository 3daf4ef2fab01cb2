"""The queue as text: what runs and waits, with a button to cancel each of one's own jobs."""

from __future__ import annotations

from collections.abc import Sequence

import discord

from bot.ui.buttons import JobButton
from bot.ui.messages import pages
from bot.ui.replies import SILENT, add_whisper
from core.job import Job
from jobs.views import JobView, Snapshot
from studio.asking.words import duration, ordinal

MAX_ROWS = 15


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
    """Answer a deferred interaction with as many messages as ``lines`` need, the first with ``view``."""
    first, *others = pages(lines)
    await interaction.edit_original_response(content=first, view=view, allowed_mentions=SILENT)
    for page in others:
        await add_whisper(interaction, page)


def render(
    snapshot: Snapshot, *, heading: str, show_user: bool, only_guild: int | None = None, links: bool = False
) -> list[str]:
    """Return the queue as lines of text, at most MAX_ROWS rows of each part.

    only_guild: leave out other servers' jobs. links: add links to the jobs' messages.
    """
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
