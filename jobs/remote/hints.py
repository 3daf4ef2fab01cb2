"""The text in a conversation's pictures, read by a worker of this machine and told to a server's model as a
worker's own model is told it."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Collection
from dataclasses import replace

from cachetools import LRUCache

from jobs.remote.looking import Look
from jobs.remote.messages import PICTURES_KEPT
from vision.ocr.quoting import UNREAD, ToRead, enough, to_read, with_texts
from vision.protocol import Answered, Measure, Measured, Run, Talk, kept_pictures

PATIENCE = 10.0  # seconds for all pictures of a question: somebody waits for its first word
KEPT = 500  # pictures whose text is kept for the turns that follow
log = logging.getLogger(__name__)


class Hints:
    """Has pictures read beside the jobs, each once. look: asks whoever reads."""

    def __init__(self, look: Look | None) -> None:
        self._look = look
        self._kept = LRUCache[tuple[str, str], str](KEPT)

    async def told(self, run: Run, talk: Talk, is_stopped: Callable[[], bool]) -> tuple[Talk, str, str]:
        """Return the conversation with the text of those pictures that the model sees, all of that text, and
        a note on what went wrong. is_stopped: whether nobody waits for it any more."""
        if self._look is None or not talk.read or talk.answer == "boxes":  # which needs the question as it is
            return talk, "", ""
        unseen = sum(len(turn.pictures) for turn in talk.turns) - kept_pictures(talk.turns, PICTURES_KEPT)
        texts = dict[int, str]()
        try:
            async with asyncio.timeout(PATIENCE):
                for one in to_read(talk.turns, unseen):
                    if is_stopped():
                        return talk, "", ""
                    text = await self._text(one, run, self._look)
                    if text is None:
                        return talk, "", ""  # nothing here reads
                    texts[one.number] = text
        except TimeoutError:
            log.warning("job %s: the text of its pictures took too long", run.job_id)
            return talk, "", UNREAD
        turns, said = with_texts(talk.turns, texts, talk.context // 2)
        return replace(talk, turns=turns), said, ""

    async def _text(self, one: ToRead, run: Run, look: Look) -> str | None:
        """Return what a picture says, "" for too little, None where nothing reads it. Kept by its job too, so
        that it goes with that."""
        key = one.job_id, one.sha256
        if key not in self._kept:
            if one.sha256 not in run.paths:
                return ""
            answered = await look(Measure(secrets.token_hex(8), run.paths[one.sha256], "text"))
            if not isinstance(answered, Answered):
                return None
            found: tuple[Measured, ...] = answered.answer
            self._kept[key] = enough(found[0].lines) if found else ""
        return self._kept[key]

    def forget(self, names: Collection[str]) -> None:
        """Give up what is kept of these jobs and pictures."""
        gone = set(names)
        for key in [key for key in self._kept if not gone.isdisjoint(key)]:
            del self._kept[key]
