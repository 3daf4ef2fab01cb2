"""A database in a temporary folder, and jobs to put in it."""

import itertools
from collections.abc import AsyncIterator
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.job import Job, Lane, Origin, Reply, Status, new_job_id
from core.requests import ImagineRequest
from storage import jobs
from storage.database import Database, open_database
from storage.engines import base
from tests.support import postgres
from tests.support.fresh import DURABLE, address_in

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
REPLY = {field.name for field in fields(Reply)}
_interactions = itertools.count(1)


def url_of(folder: Path) -> str:
    """Where a test with this folder has its database, which nobody has made yet unless it is a server's."""
    return address_in(folder, migrated=postgres.folder() is not None)


def make_first_schema(folder: Path, address: str) -> None:
    """Make the tables that the first migration begins with, in an empty database at ``address``."""
    folder.mkdir(exist_ok=True)
    engine = sa.create_engine(address)
    tables = Path(__file__).with_name(f"first_schema.{engine.dialect.name}.sql").read_text()
    with engine.begin() as connection:
        for statement in tables.splitlines():
            connection.exec_driver_sql(statement)
    engine.dispose()


@pytest.fixture(autouse=True)
def as_the_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here commits wait for the disk."""
    monkeypatch.setattr(base, "PRAGMAS", DURABLE)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(address_in(tmp_path), tmp_path / "backups") as opened:
        yield opened


def a_job(
    *,
    user: int = 1,
    prompt: str = "a red house",
    lane: Lane = Lane.FAST,
    parent: tuple[str, int] | None = None,
    **origin: Any,
) -> Job:
    place = {"user_id": user, "channel_id": 2, "guild_id": 3, "interaction_id": next(_interactions), **origin}
    parent_id, parent_index = parent or (None, None)
    return Job(
        new_job_id(),
        ImagineRequest(prompt=prompt),
        Origin(**{name: value for name, value in place.items() if name not in REPLY}),
        Status.QUEUED,
        lane,
        NOW,
        parent_id,
        parent_index,
        reply=Reply(**{name: value for name, value in place.items() if name in REPLY}),
    )


async def added(database: Database, job: Job | None = None, **options: Any) -> Job:
    job = job or a_job(**options)
    await database.write(lambda c: jobs.add_job(c, job, cost_key="imagine||image", max_running=3))
    return job


async def running(database: Database, token: str = "t", **options: Any) -> Job:
    job = await added(database, **options)
    claimed = await database.write(lambda c: jobs.claim(c, job.id, token=token, device="cpu", now=NOW))
    assert claimed is not None
    return claimed


async def put_setting(database: Database, key: str) -> None:
    await database.write(lambda c: c.execute(sa.text("INSERT INTO settings VALUES (:k, '1')"), {"k": key}))


async def count_settings(database: Database) -> int:
    return await database.read(lambda c: c.scalar(sa.text("SELECT count(*) FROM settings")))
