from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from core.job import Status
from storage import job_queries, jobs, privacy
from storage.database import Database
from storage.job_queries import StoredOutput, StoredPicture, UnreadableJob
from storage.jobs import MAX_ATTEMPTS
from storage.schema import GRID
from tests.storage.conftest import NOW, a_job, added, running

PICTURE = StoredPicture("a" * 64, "image/png", 64, 48, 7, 0, 123)
OUTPUT = StoredOutput(
    (PICTURE,),
    StoredPicture("b" * 64, "image/webp", 128, 96, None, GRID, 456),
    ("one",),
    (("cat", 0.5),),
    {"model": "m"},
)


async def test_a_job_comes_back_as_it_was(database: Database) -> None:
    job = a_job(
        user=2**62,
        roles=(5, 6),
        press_key="1:x:2",
        interaction_token="secret",
        application_id=9,
        private=True,
        file_limit=77,
    )
    await added(database, job)
    assert await database.read(lambda c: job_queries.read_job(c, job.id)) == job


async def test_a_claim_is_made_once(database: Database) -> None:
    job = await added(database)
    first = await database.write(lambda c: jobs.claim(c, job.id, token="a", device="cpu", now=NOW))
    assert (first.status, first.attempts, first.device, first.started_at) == (Status.RUNNING, 1, "cpu", NOW)
    assert await database.write(lambda c: jobs.claim(c, job.id, token="b", device="cpu", now=NOW)) is None


async def test_finishing_stores_everything_in_one_go(database: Database) -> None:
    job = await running(database)
    later = NOW + timedelta(seconds=5)
    assert await database.write(
        lambda c: jobs.finish(c, job.id, OUTPUT, token="t", now=later, run_seconds=5.0)
    )
    found, output = await database.read(lambda c: job_queries.read_output(c, job.id))
    assert output == OUTPUT
    assert (found.status, found.rendered_at, found.finished_at) == (Status.RENDERED, later, later)
    assert await database.read(job_queries.durations) == [("imagine||image", 5.0)]


@pytest.mark.parametrize("end", ["finish", "fail", "retry", "give_back"])
async def test_a_run_that_lost_its_lease_changes_nothing(database: Database, end: str) -> None:
    job = await running(database)
    await database.write(lambda c: jobs.cancel(c, job.id, now=NOW))
    ends = {
        "finish": lambda c: jobs.finish(c, job.id, OUTPUT, token="t", now=NOW, run_seconds=1.0),
        "fail": lambda c: jobs.fail(c, job.id, "no", token="t", now=NOW),
        "retry": lambda c: jobs.retry(c, job.id, "no", token="t", now=NOW),
        "give_back": lambda c: jobs.give_back(c, job.id, token="t"),
    }
    assert not await database.write(ends[end])
    assert (await database.read(lambda c: job_queries.read_job(c, job.id))).status is Status.CANCELLED
    assert await database.read(lambda c: job_queries.read_output(c, job.id)) is None


async def test_the_last_attempt_ends_in_failure(database: Database) -> None:
    job = await added(database)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        claimed = await database.write(lambda c: jobs.claim(c, job.id, token="t", device="cpu", now=NOW))
        assert claimed.attempts == attempt
        status = await database.write(lambda c: jobs.retry(c, job.id, "Given up.", token="t", now=NOW))
        assert status is (Status.FAILED if attempt == MAX_ATTEMPTS else Status.QUEUED)
    failed = await database.read(lambda c: job_queries.read_job(c, job.id))
    assert (failed.error, failed.finished_at) == ("Given up.", NOW)


async def test_what_was_given_back_may_be_tried_as_often_as_before(database: Database) -> None:
    job = await running(database)
    assert await database.write(lambda c: jobs.give_back(c, job.id, token="t"))
    again = await database.read(lambda c: job_queries.read_job(c, job.id))
    assert (again.status, again.attempts, again.started_at) == (Status.QUEUED, 0, None)


async def test_recovery_takes_up_what_ran_and_touches_nothing_else(database: Database) -> None:
    ran, waits = await running(database), await added(database)
    assert await database.write(lambda c: jobs.recover(c, "Given up.", now=NOW)) == [(ran.id, Status.QUEUED)]
    assert [row.id for row in await database.read(job_queries.list_waiting)] == [ran.id, waits.id]


async def test_the_same_interaction_cannot_be_written_twice(database: Database) -> None:
    job = await added(database, a_job(interaction_id=10**9))
    assert await database.read(lambda c: job_queries.of_interaction(c, 10**9)) == job
    with pytest.raises(IntegrityError):
        await added(database, a_job(interaction_id=10**9))


async def test_a_button_can_be_pressed_again_when_its_job_was_delivered(database: Database) -> None:
    job = await running(database, press_key="1:v1:2")
    with pytest.raises(IntegrityError):
        await added(database, a_job(press_key="1:v1:2"))
    await database.write(lambda c: jobs.finish(c, job.id, OUTPUT, token="t", now=NOW, run_seconds=1.0))
    with pytest.raises(IntegrityError):
        await added(database, a_job(press_key="1:v1:2"))
    await database.write(lambda c: jobs.deliver(c, job.id, message_id=5, channel_id=2, rung="edit", now=NOW))
    await added(database, a_job(press_key="1:v1:2"))


async def test_delivery_is_noted_once_and_drops_the_token(database: Database) -> None:
    job = await running(database, interaction_token="secret")
    assert not await database.write(
        lambda c: jobs.deliver(c, job.id, message_id=5, channel_id=2, rung="edit", now=NOW)
    )
    await database.write(lambda c: jobs.finish(c, job.id, OUTPUT, token="t", now=NOW, run_seconds=1.0))
    assert await database.write(
        lambda c: jobs.deliver(c, job.id, message_id=5, channel_id=2, rung="edit", now=NOW)
    )
    assert not await database.write(
        lambda c: jobs.deliver(c, job.id, message_id=6, channel_id=2, rung="dm", now=NOW)
    )
    found, index = await database.read(lambda c: job_queries.of_message(c, 5))
    assert (found.status, found.reply.message_id, found.reply.interaction_token, index) == (
        Status.DELIVERED,
        5,
        None,
        None,
    )
    assert await database.read(job_queries.undelivered) == []


async def test_a_failure_stays_a_failure_when_it_was_told(database: Database) -> None:
    job = await running(database)
    await database.write(lambda c: jobs.fail(c, job.id, "No.", token="t", now=NOW))
    assert [j.id for j in await database.read(job_queries.undelivered)] == [job.id]
    assert await database.write(
        lambda c: jobs.deliver(c, job.id, message_id=None, channel_id=None, rung="kept", now=NOW)
    )
    assert (await database.read(lambda c: job_queries.read_job(c, job.id))).status is Status.FAILED


async def test_a_message_can_come_to_show_another_job_or_one_picture(database: Database) -> None:
    one, two = await added(database), await added(database)
    await database.write(
        lambda c: jobs.add_message(c, one.id, message_id=8, channel_id=2, guild_id=3, index=2, now=NOW)
    )
    assert await database.read(lambda c: job_queries.of_message(c, 8)) == (one, 2)
    await database.write(
        lambda c: jobs.remember_message(c, two.id, message_id=8, channel_id=2, guild_id=3, now=NOW)
    )
    found, index = await database.read(lambda c: job_queries.of_message(c, 8))
    assert (found.id, index) == (two.id, None)
    assert not await database.write(
        lambda c: jobs.remember_message(c, "nobody", message_id=9, channel_id=2, guild_id=3, now=NOW)
    )


async def test_the_front_is_for_the_last_one_moved(database: Database) -> None:
    one, two, ran = await added(database), await added(database), await running(database)
    assert await database.write(lambda c: jobs.set_front(c, one.id)) == 1
    assert await database.write(lambda c: jobs.set_front(c, two.id)) == 2
    assert await database.write(lambda c: jobs.set_front(c, ran.id)) is None


async def test_clearing_takes_only_what_waits_and_only_theirs(database: Database) -> None:
    mine, other, ran = await added(database), await added(database, user=2), await running(database)
    assert await database.write(lambda c: jobs.cancel_waiting(c, now=NOW, user_id=1, guild_id=99)) == []
    assert await database.write(lambda c: jobs.cancel_waiting(c, now=NOW, user_id=1)) == [mine.id]
    assert await database.write(lambda c: jobs.cancel_waiting(c, now=NOW)) == [other.id]
    assert (await database.read(lambda c: job_queries.read_job(c, ran.id))).status is Status.RUNNING


async def test_children_are_counted_by_picture(database: Database) -> None:
    parent = await added(database)
    await added(database, parent=(parent.id, 1))
    assert [
        await database.read(lambda c, i=i: job_queries.count_children(c, parent.id, i)) for i in range(3)
    ] == [0, 1, 0]


async def test_a_row_of_another_version_hides_no_other(database: Database) -> None:
    odd, good = await added(database), await added(database)
    await database.write(
        lambda c: c.execute(sa.text("UPDATE jobs SET kind = 'sculpt' WHERE id = :i"), {"i": odd.id})
    )
    assert [job.id for job in await database.read(job_queries.undelivered)] == [good.id]
    with pytest.raises(UnreadableJob):
        await database.write(lambda c: jobs.claim(c, odd.id, token="t", device="cpu", now=NOW))
    assert len(await database.read(job_queries.list_waiting)) == 2, "the claim was undone"


async def test_deleting_a_job_takes_its_rows_along_and_frees_its_files(database: Database) -> None:
    job = await running(database)
    await database.write(lambda c: jobs.finish(c, job.id, OUTPUT, token="t", now=NOW, run_seconds=1.0))
    await database.write(lambda c: jobs.deliver(c, job.id, message_id=5, channel_id=2, rung="edit", now=NOW))
    child = await added(database, parent=(job.id, 0))
    assert await database.read(lambda c: privacy.known_files(c, ["a" * 64, "c" * 64])) == {"a" * 64}
    await database.write(lambda c: c.execute(sa.text("DELETE FROM jobs WHERE id = :i"), {"i": job.id}))
    for table in ("pictures", "inputs", "messages"):
        assert (
            await database.read(
                lambda c, t=table: c.scalar(sa.select(sa.func.count()).select_from(sa.table(t)))
            )
            == 0
        )
    assert await database.read(lambda c: privacy.known_files(c, ["a" * 64])) == set()
    assert (await database.read(lambda c: job_queries.read_job(c, child.id))).parent_id is None


@pytest.mark.parametrize(
    "wrong",
    [
        "status = 'sleeping'",
        "lane = 'slow'",
        "status = 'running'",
        "lease_token = 'x'",
        "attempts = 4",
        "attempts = -1",
        "status = 'failed'",
        "status = 'rendered'",
        "delivered_at = 1",
        "status = 'delivered', rendered_at = 1",
    ],
)
async def test_the_table_refuses_states_that_cannot_be(database: Database, wrong: str) -> None:
    await added(database)
    with pytest.raises(IntegrityError):
        await database.write(lambda c: c.execute(sa.text(f"UPDATE jobs SET {wrong}")))  # noqa: S608


async def test_a_clear_in_parts_takes_the_oldest_first_and_leaves_the_rest(database: Database) -> None:
    ids = [(await added(database)).id for _ in range(5)]
    other = await added(database, user=2)
    part = lambda c: jobs.cancel_waiting(c, now=NOW, user_id=1, most=3)  # noqa: E731
    assert sorted(await database.write(part)) == sorted(ids[:3])
    assert sorted(await database.write(part)) == sorted(ids[3:])
    assert await database.write(part) == []
    assert (await database.read(lambda c: job_queries.read_job(c, other.id))).status is Status.QUEUED
