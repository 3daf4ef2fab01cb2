"""Whom the end of a job is noted for, in the transaction that ends it."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from core.job import Job, Surface
from storage import jobs, pushes, schema, watches
from storage.database import Database
from storage.job_queries import StoredOutput
from tests.storage.conftest import NOW, running

OUTPUT = StoredOutput((), None, (), (), {"model": "m"})
ANN, BEN = 7, 8
LATER = NOW + timedelta(seconds=11)


async def signed_in(database: Database, user: int) -> None:
    session = {"token_hash": f"of {user}", "id": str(user), "user_id": user, "name": "", "label": ""}
    row = session | {"created_at": NOW, "seen_at": NOW}
    await database.write(lambda c: c.execute(sa.insert(schema.sessions).values(**row)) and None)
    keys = (f"https://a.org/{user}", "key", "secret")
    assert await database.write(lambda c: pushes.subscribe(c, user, str(user), keys, now=NOW))


async def of_the_web(database: Database) -> Job:
    return await running(database, user=ANN, surface=Surface.WEB)


async def noted(database: Database) -> list[tuple[str, str]]:
    rows = sa.select(schema.pushes.c.session, schema.pushes.c.job_id).order_by(schema.pushes.c.job_id)
    return [tuple(row) for row in await database.read(lambda c: c.execute(rows).all())]


async def test_a_long_job_of_the_web_is_noted_for_its_person_s_browsers(database: Database) -> None:
    for user in (ANN, BEN):
        await signed_in(database, user)
    long, short, failed = [await of_the_web(database) for _ in range(3)]
    elsewhere = await running(database, user=ANN)
    await database.write(lambda c: jobs.finish(c, long.id, OUTPUT, token="t", now=LATER, run_seconds=1.0))
    await database.write(lambda c: jobs.finish(c, short.id, OUTPUT, token="t", now=NOW, run_seconds=1.0))
    await database.write(
        lambda c: jobs.finish(c, elsewhere.id, OUTPUT, token="t", now=LATER, run_seconds=1.0)
    )
    await database.write(lambda c: jobs.fail(c, failed.id, "No.", token="t", now=LATER))
    assert await noted(database) == sorted([(f"of {ANN}", long.id), (f"of {ANN}", failed.id)])
    assert await database.read(lambda c: pushes.list_due(c, now=LATER)) == [f"of {ANN}"]
    assert await database.read(lambda c: pushes.list_due(c, now=NOW)) == []


async def test_what_was_stopped_and_what_nobody_asked_for_is_noted_for_nobody(database: Database) -> None:
    await signed_in(database, ANN)
    stopped, watched = await of_the_web(database), await of_the_web(database)
    await database.write(lambda c: jobs.cancel(c, stopped.id, now=LATER))
    project = {"id": "p", "user_id": ANN, "name": "mine", "task": "anomaly", "created_at": NOW}
    watch = {"id": "w", "project_id": "p", "user_id": ANN, "camera": "", "source": "line", "created_at": NOW}
    watch |= {"channel_id": 2, "language": "en", "keep_days": 30}
    await database.write(lambda c: c.execute(sa.insert(schema.projects).values(**project)) and None)
    await database.write(lambda c: c.execute(sa.insert(schema.watches).values(**watch)) and None)
    await database.write(lambda c: watches.note_picture(c, "w", watched.id, "a.png", "", now=NOW))
    await database.write(lambda c: jobs.finish(c, watched.id, OUTPUT, token="t", now=LATER, run_seconds=1.0))
    assert await noted(database) == []


@pytest.mark.parametrize("ends", ["session", "subscription"])
async def test_what_is_noted_goes_with_its_browser(database: Database, ends: str) -> None:
    await signed_in(database, ANN)
    job = await of_the_web(database)
    await database.write(lambda c: jobs.finish(c, job.id, OUTPUT, token="t", now=LATER, run_seconds=1.0))
    assert await noted(database) == [(f"of {ANN}", job.id)]
    if ends == "session":
        await database.write(lambda c: c.execute(sa.delete(schema.sessions)) and None)
    else:
        assert await database.write(lambda c: pushes.unsubscribe(c, ANN, str(ANN)))
    assert await noted(database) == []


async def test_the_studio_keeps_the_key_that_it_made_first(database: Database) -> None:
    assert await database.write(lambda c: pushes.own_key(c, "first")) == "first"
    assert await database.write(lambda c: pushes.own_key(c, "second")) == "first"
