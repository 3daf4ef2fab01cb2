"""A moderator on a database of its own, with a judge and a directory that say what a test wants."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.requests.base import Request
from storage import jobs
from storage.blobs.local import Folder
from storage.database import Database, open_database
from storage.job_queries import StoredOutput, StoredPicture
from studio.authority import CurrentDirectory, Place
from studio.moderation import confusables, rules
from studio.moderation.moderator import Moderator, Unchecked
from studio.moderation.rules import ModerationSettings
from tests.storage.conftest import a_job
from tests.support.fresh import address_in

SERVER, CHANNEL, CELLAR = 3, 2, 18  # CELLAR: an age-restricted channel


@dataclass
class Judge:
    """A classifier with a score for each picture's bytes; None: it can't read it."""

    scores: dict[bytes, float | None] = field(default_factory=dict)
    asked: list[bytes] = field(default_factory=list)
    made_ready: int = 0
    name: str = "test"

    def get_ready(self) -> None:
        """Count how often."""
        self.made_ready += 1

    async def score(self, data: bytes) -> float:
        self.asked.append(data)
        if (score := self.scores.get(data, 0.0)) is None:
            raise Unchecked("no picture")
        return score


@dataclass
class People(CurrentDirectory):
    """A directory: the roles that members have now, and the places that can be told of."""

    members: dict[int, frozenset[int]] = field(default_factory=dict)
    unknown: set[int] = field(default_factory=set)  # channels of which nothing can be told at once
    told: dict[int, bool] = field(default_factory=dict)  # and what is told of them when it is asked for

    def __post_init__(self) -> None:
        super().__init__()

    def age_restricted(self, place: Place) -> bool | None:
        return None if place.channel_id in self.unknown else place.channel_id == CELLAR

    async def adult(self, place: Place) -> bool | None:
        return (
            self.told.get(place.channel_id)
            if place.channel_id in self.unknown
            else await super().adult(place)
        )

    async def roles(self, user_id: int, guild_id: int) -> frozenset[int] | None:
        assert guild_id == SERVER
        return self.members.get(user_id)


@dataclass
class World:
    """A moderator, and what it asks."""

    moderator: Moderator
    database: Database
    files: Folder
    judge: Judge
    people: People

    async def picture(self, data: bytes, score: float | None) -> str:
        """Store a picture that gets this score; its SHA-256."""
        self.judge.scores[data] = score
        return await self.files.put(data, "image/png")

    async def drawn(self, request: Request, data: bytes, score: float | None = 0.0) -> str:
        """Store a picture that a finished job made; its SHA-256."""
        sha256, asked = await self.picture(data, score), replace(a_job(), request=request)
        stored = StoredPicture(sha256, "image/png", 64, 64, None, 0, len(data))

        def write(connection: sa.Connection) -> None:
            jobs.add_job(connection, asked, cost_key="", max_running=3)
            jobs.claim(connection, asked.id, token="t", device="cpu", now=asked.created_at)
            made = StoredOutput((stored,))
            jobs.finish(connection, asked.id, made, token="t", run_seconds=1.0, now=asked.created_at)

        await self.database.write(write)
        return sha256


@pytest.fixture(autouse=True)
def nothing_read_before() -> None:
    """Each test reads its texts itself, whichever test has read the same ones before."""
    confusables.read_text.cache_clear()
    rules.own_terms.cache_clear()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_database(address_in(tmp_path), None) as database:
        files, judge, people = Folder(tmp_path / "pictures", ballast_bytes=4096), Judge(), People()
        moderator = Moderator(database, files, judge, ModerationSettings(), people)
        yield World(moderator, database, files, judge, people)
