"""What asks a reader why it said a label."""

from __future__ import annotations

from collections.abc import Sequence

import discord

from bot.ui.buttons import JobButton, view_of
from bot.ui.messages import cut
from core.job import Job
from studio.texts import plain

ASKED = ("Why {}?", "Why not {}?", "Why not {}?")  # of the best label, and of those that come next
MAX_LABEL = 60  # characters on a button, which takes 80


def view(job: Job, labels: Sequence[str]) -> discord.ui.View:
    """Return the buttons for labels, the best first."""
    asked = []
    for place, (label, words) in enumerate(zip(labels, ASKED, strict=False)):
        button = JobButton(job.id, "why", place)
        button.item.label = words.format(cut(plain(label), MAX_LABEL) or "…")
        asked.append(button)
    return view_of(*asked)
