"""Vary (Region) by a mask: from a picture's name and what somebody painted to a request. Whatever paints
comes in here: the upload in the window and in ``/region`` today, an editor on a web page later.

    ask = await regions.ask(actor, job_id, index, mask, words)

It needs no interaction: an actor, whose right is checked, and bytes. The request is queued like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import ImageError
from studio.asking import actions
from studio.asking.actions import Ask, Source, Words
from studio.authority import Action, Actor

if TYPE_CHECKING:
    from bot.client import Atelier


class Regions:
    def __init__(self, client: Atelier) -> None:
        self._client = client

    async def ask(
        self,
        actor: Actor,
        job_id: str,
        index: int,
        mask: bytes,
        words: Words | None = None,
        *,
        name: str = "mask.png",
    ) -> Ask:
        """Picture ``index`` (from 0) of a job, drawn anew where ``mask`` marks it, to ``words`` or else its
        own.

        mask: an encoded picture, at most MAX_UPLOAD_MB: black and white of the same shape, white = drawn
        anew; or the picture itself with the part erased or painted over. name: what messages call it.
        NotAllowedError unless ``actor`` may vary the job; ImageError for no job, no picture, no mask.
        """
        job = await self._client.queue.job(job_id)
        if job is None:
            raise ImageError(f"Job `{job_id}` is gone.")
        await self._client.check_actor(actor, Action.VARY, job)
        source = actions.source_of(await self._client.result_of(job), index)
        sha256 = await self.marked(source, mask, actor.user_id, name)
        return actions.region(
            source, words, seed=await self._client.next_seed(source), mask=sha256, lane=job.lane
        )

    async def marked(self, source: Source, mask: bytes, user_id: int, name: str) -> str:
        """SHA-256 of what ``mask`` marks on ``source``, stored as black and white. ImageError says what is
        wrong with it."""
        original = await self._client.files.get(source.sha256)
        return await self._client.intake.take_mask(mask, user_id, original, name)
