"""Tells of interactions that an earlier process acknowledged, and then was killed before they had a row."""

from __future__ import annotations

import logging

from bot.delivery.ladder import Ladder, token_lives
from bot.delivery.post import Post
from bot.ui import messages
from bot.wire.pending import PendingInteraction, PendingInteractions
from bot.wire.transport import FAILURES
from core.job import Reply
from jobs.queue import Queue

log = logging.getLogger(__name__)


async def apologise(pending: PendingInteractions, queue: Queue, ladder: Ladder) -> None:
    """Say in each answer that still stands there "thinking …" that the request was lost. What has a job in
    ``queue`` is left to its delivery."""
    for interaction in pending.take_left():
        if await queue.job_of_interaction(interaction.interaction_id) is None:
            await _apologise(interaction, ladder)
        pending.drop(interaction.interaction_id)


async def _apologise(pending: PendingInteraction, ladder: Ladder) -> None:
    if not token_lives(pending.interaction_id):
        return
    reply = Reply(pending.interaction_id, pending.token, pending.application_id)
    try:
        await ladder.edit_answer(reply, Post(messages.FORGOTTEN))
    except FAILURES as error:  # 404 also when the acknowledgement itself never left
        log.info("interaction %d: no apology (%s)", pending.interaction_id, type(error).__name__)
