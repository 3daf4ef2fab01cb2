"""What is asked for with a limit is found, however many rows that don't count came before it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from core.job import Job
from core.requests import AskRequest
from core.requests.chat import TryRequest
from core.requests.custom_models import InspectRequest
from storage import collections, conversations, gallery, job_queries, jobs, schema
from studio.authority import Actor
from tests.storage.conftest import NOW, a_job
from tests.studio.conftest import ALICE, MIRA, Opened

MANY = 201
LOOKED_AT = {"version": 1, "artefact": "cd" * 32, "images": ("ab" * 32,)}


async def put(opened: Opened, *rows: Job) -> None:
    """Write jobs that are over, in order."""

    def work(connection: sa.Connection) -> None:
        for job in rows:
            jobs.add_job(connection, job, cost_key="ask||", max_running=1)
        over = sa.update(schema.jobs).where(schema.jobs.c.id.in_([job.id for job in rows]))
        connection.execute(over.values(status="rendered", answer='{"text": "A house."}', rendered_at=NOW))

    await opened.services.database.write(work)


def asked(user: int, request: object, **origin: object) -> Job:
    return replace(a_job(user=user, **origin), request=request)


async def test_the_audit_of_a_quiet_server_is_there_beside_a_busy_one(opened: Opened) -> None:
    server, elsewhere = opened.studio.server, Actor(4, 11, 100, manages=True)
    await server.ban(MIRA, 77)
    for number in range(MANY):
        await server.allow(elsewhere, "channel", 1000 + number)
    assert [row.action for row in await server.audit(MIRA)] == ["ban"]


async def test_replies_and_the_newest_question_are_there_beside_others_private_ones(opened: Opened) -> None:
    first, read = a_job(user=1), opened.services.database.read
    question = AskRequest(question="What is it?", images=("ab" * 32,))
    hidden = [asked(2, question, parent=(first.id, 0), private=True) for _ in range(MANY)]
    alone = [asked(2, question, parent=(first.id, 0), guild_id=None) for _ in range(MANY)]
    shown = asked(2, question, parent=(first.id, 0))
    await put(opened, first, *hidden, *alone, shown)
    replies = await read(lambda c: conversations.replies(c, 1, first.id, 50))
    assert [one.job.id for one in replies] == [shown.id]
    assert len(await read(lambda c: conversations.replies(c, 2, first.id, 50))) == 50
    await put(opened, *(asked(2, question, private=True) for _ in range(MANY)))
    since = NOW - timedelta(days=1)
    newest = await read(lambda c: conversations.latest_question(c, 2, 1, since, own=False))
    assert newest is not None and newest.id == shown.id
    assert await read(lambda c: conversations.latest_question(c, 2, 1, since, own=True)) is None


async def test_what_was_made_from_a_picture_is_there_beside_others_private_ones(opened: Opened) -> None:
    first = a_job(user=1)
    hidden = [a_job(user=2, parent=(first.id, 0), private=True) for _ in range(MANY)]
    shown, posted = a_job(user=2, parent=(first.id, 0)), a_job(user=2, parent=(first.id, 0), guild_id=None)
    await put(opened, first, *hidden, shown, posted)
    await opened.services.queue.add_view(posted.id, 5, 2, 3)
    found = await opened.services.database.read(lambda c: gallery.made_from(c, 1, [first.id], 0, 60))
    assert [made.job.id for made in found] == [posted.id, shown.id]


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        (TryRequest, lambda about: TryRequest(image="ab" * 32, set_id=about)),
        (InspectRequest, lambda about: InspectRequest(project=about, task="anomaly", **LOOKED_AT)),
    ],
)
async def test_tries_are_there_beside_those_of_others(opened: Opened, kind, named) -> None:
    mine, other = "abcd2345efgh", "zzzz2345zzzz"
    first = asked(1, named(mine))
    await put(opened, first, *(asked(1, named(other)) for _ in range(MANY)), asked(2, named(mine)))
    found = await opened.services.database.read(lambda c: job_queries.newest_about(c, 1, kind.kind, mine, 10))
    assert [job.id for job in found] == [first.id]


async def test_the_newest_jobs_are_there_beside_those_in_the_trash(opened: Opened) -> None:
    kept = (await opened.drawn(ALICE)).job
    away = [(await opened.drawn(ALICE)).job for _ in range(3)]
    names = [(job.id, index) for job in away for index in range(4)]
    put_away = lambda c: collections.put_in_trash(c, ALICE.user_id, names, now=datetime.now(UTC))  # noqa: E731
    await opened.services.database.write(put_away)
    assert [seen.job.id for seen in await opened.studio.gallery.newest(ALICE, 2)] == [kept.id]
