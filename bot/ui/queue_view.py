"""The queue as text: what runs and waits, with a button to cancel each of one's own jobs."""

from __future__ import annotations

from collections.abc import Sequence

import discord

from bot.ui.buttons import JobButton
from bot.ui.messages import asker, pages, quote
from bot.ui.replies import SILENT, add_whisper
from core.job import Job
from jobs.queue import JobView, Snapshot
from studio.requests.prompts import remix_text
from studio.texts import duration, ordinal

MAX_ROWS = 15
MAX_BUTTONS = 25  # of a message, https://discord.com/developers/docs/components/reference#action-row


class CancelView(discord.ui.View):
    """A Cancel button for each of one's own unfinished jobs, with the number that its row bears."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__(timeout=None)
        for number, view in _numbered(snapshot)[:MAX_BUTTONS]:
            button = JobButton(view.job.id, "cancel")
            button.item.label = f"Cancel {number}"
            self.add_item(button)


async def answer(
    interaction: discord.Interaction, lines: Sequence[str], view: discord.ui.View | None = None
) -> None:
    """Answer a deferred interaction with as many messages as ``lines`` need, the first with ``view``."""
    first, *others = pages(lines)
    await interaction.edit_original_response(content=first, view=view, allowed_mentions=SILENT)
    for page in others:
        await add_whisper(interaction, page)


def render(snapshot: Snapshot, *, heading: str, show_user: bool) -> list[str]:
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
    parts.append(f"/{job.request.kind}")
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
