"""Vary (Region) by a mask: from a picture's name and what somebody painted to a request. Whatever paints
comes in here: the upload in a window or a command, an editor on a web page.

    new = await regions.ask(actor, job_id, index, mask, words, kind="mask")

It needs an actor, whose right it checks, and bytes. The request is queued like any other.
"""

from __future__ import annotations

from typing import Literal

from studio.actor import Actor
from studio.asking import actions
from studio.asking.new_job import NewJob, PromptWithPictures, Source
from studio.asking.sources import Sources
from studio.authority import Action
from studio.pictures.intake import InMemory, Intake, Readable
from studio.rights import Rights

Kind = Literal["any", "mask"]


class Regions:
    """Turns what somebody painted over a picture into a request."""

    def __init__(self, rights: Rights, sources: Sources, intake: Intake) -> None:
        self._rights, self._sources, self._intake = rights, sources, intake

    async def ask(
        self,
        actor: Actor,
        job_id: str,
        index: int,
        mask: bytes,
        words: PromptWithPictures | None = None,
        *,
        name: str = "mask.png",
        kind: Kind = "any",
    ) -> NewJob:
        """Return the job that draws picture ``index`` (from 0) of a job once more where ``mask`` marks it.

        mask: an encoded picture, at most MAX_UPLOAD_MB. kind "any": what people send, which is guessed at:
        black and white of the same shape, white = redrawn, or the picture itself with the part erased or
        painted over. kind "mask": opaque black and white of exactly the picture's size; nothing is guessed
        or scaled. words: None = the picture's own. name: what messages call the mask.

        Raises NotAllowedError unless the actor may vary the job; ImageError for no job, picture or mask.
        """
        return await self.ask_with_file(actor, job_id, index, InMemory(name, mask), words, kind=kind)

    async def ask_with_file(
        self,
        actor: Actor,
        job_id: str,
        index: int,
        mask: Readable,
        words: PromptWithPictures | None = None,
        *,
        kind: Kind = "any",
    ) -> NewJob:
        """Do as ``ask`` does with a file that somebody sends; errors are the same."""
        job = await self._rights.job(actor, job_id, Action.VARY)
        source = await self._sources.of_result(await self._rights.result_of(actor, job), index)
        sha256 = await self.marked(actor, source, mask, kind)
        return actions.region(source, words, mask=sha256, lane=job.lane)

    async def marked(self, actor: Actor, source: Source, mask: Readable, kind: Kind = "any") -> str:
        """Return the SHA-256 of what ``mask`` marks on ``source``, stored as black and white.

        Raises ImageError, which says what is wrong with the mask, and as ``Sources.check_upload`` does.
        """
        await self._sources.check_upload(actor)
        return await self._intake.take_mask(mask, actor.user_id, source.sha256, exact=kind == "mask")
