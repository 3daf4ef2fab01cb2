"""A studio whose worker sees."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from storage import embeddings as rows
from studio import search
from studio.authority import Actor
from studio.search import Found
from tests.jobs.conftest import eventually
from tests.studio.conftest import Opened, open_studio
from tests.studio.library.eyes import Seeing


@dataclass
class Searched:
    """An open studio, and what sees in it."""

    opened: Opened
    eyes: Seeing

    async def drawn(self, actor: Actor, text: str) -> str:
        """The id of a job that was drawn and looked at."""
        result = await self.opened.drawn(actor, text)
        wanted = {picture.sha256 for picture in result.pictures}
        await eventually(lambda: self.seen(wanted))
        return result.job.id

    async def seen(self, sha256s: set[str]) -> bool:
        return not await self.missing(sha256s)

    async def placed(self) -> bool:
        """Whether all vectors are noted as those of everybody's pictures that have them."""
        model, read = self.opened.services.indexing.model, self.opened.services.database.read
        made = [sha256 for _, sha256 in await read(lambda c: rows.made_before(c, None, 99))]
        return not any(await read(lambda c: rows.lacking(c, model, made)))

    async def missing(self, sha256s: set[str]) -> list[str]:
        model = self.opened.services.indexing.model
        return await self.opened.services.database.read(lambda c: rows.without_vector(c, model, sha256s))

    async def find(self, actor: Actor, text: str, **options: int) -> Found:
        return await self.opened.studio.search.find(actor, search.read_query(text), **options)

    async def seeds(self, actor: Actor, text: str, **options: int) -> list[int | None]:
        """The seeds of what is found, in order."""
        return [tile.picture.seed for tile in (await self.find(actor, text, **options)).tiles]


@pytest.fixture
async def searched(tmp_path: Path) -> AsyncIterator[Searched]:
    eyes = Seeing()
    async with open_studio(tmp_path, executor=eyes) as opened:
        yield Searched(opened, eyes)
