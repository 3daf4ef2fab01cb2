"""How fit stored pictures and films are to be shown: each is judged once, and what came of it is a row."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from core.errors import FilesAway, ImageError, StorageError
from storage import moderation as rows
from storage.blobs.base import Files
from storage.database import Database
from storage.videos import of_posters
from studio.moderation.classifier import PictureCheck, Unchecked

FILM, LATENTS = "mp4", "safetensors"  # how the files of a film and of its ends are called
Frames = Callable[[bytes], Awaitable[Sequence[bytes]]]
log = logging.getLogger(__name__)


class Scores:
    """Asks the classifier. check: gives it. frames: gives those of a film that are looked at, as encoded
    pictures; it raises ImageError."""

    def __init__(
        self, database: Database, files: Files, check: Callable[[], PictureCheck], frames: Frames
    ) -> None:
        self._database, self._files, self._check, self._frames = database, files, check, frames

    async def of(self, sha256s: Sequence[str]) -> list[float | None]:
        """Return the score of each stored picture, film or file of latents; None for one that can't be
        judged. A film and its poster are as the worst of its frames that were looked at."""
        if not sha256s:
            return []
        films = await self._database.read(partial(of_posters, posters=sha256s), once=True)
        groups = [(name, *sorted(films.get(name, ()))) for name in sha256s]
        every = list(dict.fromkeys(name for group in groups for name in group))
        work = partial(rows.scores, sha256s=every, classifier=self._check().name)
        known: dict[str, float | None] = dict(await self._database.read(work, once=True))
        for name in every:
            if name not in known:
                known[name] = await self._judge(name)
        return [_worst([known[name] for name in group]) for group in groups]

    async def _judge(self, sha256: str) -> float | None:
        try:
            score = await self._score(sha256)
        except FilesAway:
            raise  # later it can be judged
        except (Unchecked, StorageError, ImageError) as error:
            log.warning("moderation: a picture wasn't judged: %s", error)
            return None
        name = self._check().name
        await self._database.write(partial(rows.set_score, sha256=sha256, classifier=name, nsfw=score))
        return score

    async def _score(self, sha256: str) -> float:
        kind = (await self._files.entry(sha256)).extension
        if kind == LATENTS:  # nothing to be seen
            return 0.0
        data = await self._files.get(sha256)
        seen = await self._frames(data) if kind == FILM else [data]
        return max([await self._check().score(one) for one in seen])


def _worst(scores: Sequence[float | None]) -> float | None:
    """Return the highest of scores; None if one isn't known."""
    found = [score for score in scores if score is not None]
    return max(found) if len(found) == len(scores) else None
