"""Tells of interactions that an earlier process acknowledged, and then was killed before a row stood for
them."""

from __future__ import annotations

import logging

from bot.delivery.ladder import Ladder, token_lives
from bot.delivery.posts import Post
from bot.ui import messages
from bot.wire.pending import Promise, Promises
from bot.wire.transport import FAILURES
from core.job import Reply
from jobs.queue import Queue

log = logging.getLogger(__name__)


async def apologise(promises: Promises, queue: Queue, ladder: Ladder) -> None:
    """Say in each answer that still stands there "thinking …" that the request was lost. What has a job in
    ``queue`` is left to its delivery."""
    left, promises.left = promises.left, ()
    for promise in left:
        if await queue.job_of_interaction(promise.interaction_id) is None:
            await _apologise(promise, ladder)
        promises.drop(promise.interaction_id)


async def _apologise(promise: Promise, ladder: Ladder) -> None:
    if not token_lives(promise.interaction_id):
        return
    reply = Reply(promise.interaction_id, promise.token, promise.application_id)
    try:
        await ladder.edit_answer(reply, Post(messages.FORGOTTEN))
    except FAILURES as error:  # 404 also when the acknowledgement itself never left
        log.info("interaction %d: no apology (%s)", promise.interaction_id, type(error).__name__)
