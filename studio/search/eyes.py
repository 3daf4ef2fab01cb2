"""What texts and pictures show, as vectors: asked of a worker, which has the model and the arithmetic.
Nothing is computed in this process."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence
from pathlib import Path

from cachetools import LRUCache

from core.errors import AtelierError
from jobs.executor import Executor
from vision.protocol import Check, Checked, Declined, Embed, Nearest, Neighbours, Question, Select, Selected
from vision.weights import fingerprint

PATIENCE = 8.0  # seconds that somebody who searches waits for a worker
LONG_PATIENCE = 120.0  # … for a check, which reads pictures and asks a chat model
KEPT = 500  # vectors of texts that were asked for lately
log = logging.getLogger(__name__)


class Blind(AtelierError):
    """Nobody can say now what is in a picture: no worker is ready, or it has no model for that."""


class Busy(Blind):
    """A worker can, but is at something that takes longer than anybody waits."""


class Eyes:
    """Asks a worker. models are called as ``fingerprint.named`` calls them."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._texts = LRUCache[tuple[str, str], bytes](KEPT)

    async def read(self, model: str, text: str) -> bytes:
        """Return the vector of a text. Raises Blind, Busy."""
        key = model, text
        if key not in self._texts:
            question = Embed(_new_id(), fingerprint.spec_of(model), texts=(text,))
            [self._texts[key]] = await self._ask(question, PATIENCE)
        return self._texts[key]

    async def look(
        self, model: str, paths: Sequence[Path], patience: float | None = PATIENCE
    ) -> tuple[bytes, ...]:
        """Return the vectors of pictures, b"" for one that can't be read. patience: seconds, None = as long
        as it takes. Raises Blind, Busy."""
        question = Embed(_new_id(), fingerprint.spec_of(model), paths=tuple(map(str, paths)))
        return await self._ask(question, patience)

    async def nearest(
        self, path: Path, wanted: Sequence[bytes], places: str, first: str, most: int, *, clear: bool
    ) -> Neighbours:
        """Return the places in the file ``path`` whose vectors are nearest to all of ``wanted``: those among
        ``first``, and others of ``places``. clear: none of these that is clearly less alike than the best.
        Raises Blind, Busy."""
        question = Nearest(_new_id(), str(path), tuple(wanted), places, first, most, clear)
        return Neighbours(*await self._ask(question, PATIENCE))

    async def select(
        self,
        path: Path,
        points: Sequence[tuple[float, float, int]] = (),
        box: tuple[float, float, float, float] | None = None,
        words: str = "",
        *,
        patience: float = PATIENCE,
    ) -> Selected:
        """Return which pixels of the picture in the file ``path`` belong to a thing. Raises Blind, Busy."""
        question = Select(_new_id(), str(path), tuple(points), box, words)
        return Selected(*await self._ask(question, patience))

    async def check(self, paths: Sequence[Path], text: str, rules: Sequence[str]) -> Checked:
        """Return how pictures and a text stand to rules. Raises Blind, Busy."""
        question = Check(_new_id(), tuple(map(str, paths)), text, tuple(rules))
        return Checked(*await self._ask(question, LONG_PATIENCE))

    async def _ask(self, question: Question, patience: float | None) -> tuple:
        try:
            async with asyncio.timeout(patience):
                answer = await self._executor.ask(question)
        except TimeoutError as error:
            raise Busy("the worker takes too long") from error
        if isinstance(answer, Declined):
            raise Blind(answer.reason)
        return answer.answer


def _new_id() -> str:
    return secrets.token_hex(8)
