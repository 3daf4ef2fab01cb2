"""Every transition of a job, compared column by column: what it changes, and that it changes nothing else."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from core.job import MOVES, Lane, Move, Status, Surface
from core.requests import BlendRequest, ClassifyRequest
from core.settings import ROOT
from storage import job_queries, jobs, privacy, schema
from storage.database import Database
from storage.job_queries import StoredOutput, StoredPicture, UnreadableJob, WaitingRow
from storage.jobs import MAX_ATTEMPTS, MAX_CUT_OFF
from storage.schema import GRID
from tests.storage.conftest import NOW, a_job, added, running

PICTURE = StoredPicture("a" * 64, "image/png", 64, 48, 7, 0, 123)
GRID_PICTURE = StoredPicture("b" * 64, "image/webp", 128, 96, None, GRID, 456)
OUTPUT = StoredOutput((PICTURE,), GRID_PICTURE, ("one",), (("cat", 0.5),), {"model": "m"})


async def test_a_job_comes_back_as_it_was(database: Database) -> None:
    reply = {"interaction_token": "secret", "application_id": 9, "file_limit": 77}
    job = await added(database, user=2**62, roles=(5, 6), press_key="1:x:2", private=True, **reply)
    assert await database.read(lambda c: job_queries.read_job(c, job.id)) == job


async def test_a_claim_is_made_once(database: Database) -> None:
    job = await added(database)
    first = await database.write(lambda c: jobs.claim(c, job.id, token="a", device="cpu", now=NOW))
    assert (first.status, first.attempts, first.device, first.started_at) == (Status.RUNNING, 1, "cpu", NOW)
    assert await database.write(lambda c: jobs.claim(c, job.id, token="b", device="cpu", now=NOW)) is None


async def test_finishing_stores_everything_in_one_go(database: Database) -> None:
    job = await running(database)
    later = NOW + timedelta(seconds=5)
    assert await database.write(lambda c: jobs.finish(c, job.id, OUTPUT, token="t", now=later, run_seconds=5))
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
    await deliver(database, job.id)
    await added(database, a_job(press_key="1:v1:2"))


async def test_delivery_is_noted_once_and_drops_the_token(database: Database) -> None:
    job = await running(database, interaction_token="secret")
    assert not await deliver(database, job.id)
    await database.write(lambda c: jobs.finish(c, job.id, OUTPUT, token="t", now=NOW, run_seconds=1.0))
    assert await deliver(database, job.id)
    assert not await deliver(database, job.id, message_id=6, rung="dm")
    found, index = await database.read(lambda c: job_queries.of_message(c, 5))
    assert (found.status, found.reply.message_id) == (Status.DELIVERED, 5)
    assert (found.reply.interaction_token, index) == (None, None)
    assert await database.read(job_queries.undelivered) == []


async def test_a_failure_stays_a_failure_when_it_was_told(database: Database) -> None:
    job = await running(database)
    await database.write(lambda c: jobs.fail(c, job.id, "No.", token="t", now=NOW))
    assert [j.id for j in await database.read(job_queries.undelivered)] == [job.id]
    assert await deliver(database, job.id, message_id=None, channel_id=None, rung="kept")
    assert (await database.read(lambda c: job_queries.read_job(c, job.id))).status is Status.FAILED


async def test_a_message_can_come_to_show_another_job_or_one_picture(database: Database) -> None:
    one, two = await added(database), await added(database)
    shown = {"message_id": 8, "channel_id": 2, "guild_id": 3, "now": NOW}
    await database.write(lambda c: jobs.add_message(c, one.id, index=2, **shown))
    assert await database.read(lambda c: job_queries.of_message(c, 8)) == (one, 2)
    await database.write(lambda c: jobs.remember_message(c, two.id, **shown))
    found, index = await database.read(lambda c: job_queries.of_message(c, 8))
    assert (found.id, index) == (two.id, None)
    assert not await database.write(lambda c: jobs.remember_message(c, "nobody", **shown | {"message_id": 9}))


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
    for index, count in enumerate((0, 1, 0)):
        assert await database.read(lambda c, i=index: job_queries.count_children(c, parent.id, i)) == count


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
    await deliver(database, job.id)
    child = await added(database, parent=(job.id, 0))
    assert await database.read(lambda c: privacy.known_files(c, ["a" * 64, "c" * 64])) == {"a" * 64}
    await database.write(lambda c: c.execute(sa.text("DELETE FROM jobs WHERE id = :i"), {"i": job.id}))
    for table in (schema.pictures, schema.inputs, schema.messages):
        assert await rows_of(database, table) == []
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


LATER = NOW + timedelta(seconds=5)
WEB = {"surface": Surface.WEB, "guild_id": None, "channel_id": 0, "interaction_id": None}
BACK = {"status": "queued", "started_at": None, "device": None, "lease_token": None}
OVER = {"finished_at": LATER, "lease_token": None}


async def row(database: Database, job_id: str) -> dict[str, Any]:
    statement = sa.select(schema.jobs).where(schema.jobs.c.id == job_id)
    return await database.read(lambda c: dict(c.execute(statement).one()._mapping))


async def change(database: Database, job_id: str, work: Callable[[sa.Connection], Any]) -> tuple[Any, dict]:
    """What ``work`` returns, and the columns that it has changed with their new values."""
    before = await row(database, job_id)
    result = await database.write(work)
    after = await row(database, job_id)
    return result, {name: value for name, value in after.items() if value != before[name]}


async def rows_of(database: Database, table: sa.Table) -> list[dict[str, Any]]:
    return await database.read(lambda c: [dict(r._mapping) for r in c.execute(sa.select(table))])


async def _web(database: Database) -> str:
    """A running job of the web."""
    job = await added(database, a_job(**WEB))
    await database.write(lambda c: jobs.claim(c, job.id, token="t", device="cpu", now=NOW))
    return job.id


DOES: dict[str, Callable[[sa.Connection, str], Any]] = {
    "claim": lambda c, i: jobs.claim(c, i, token="t", device="cpu", now=NOW),
    "give_back": lambda c, i: jobs.give_back(c, i, token="t"),
    "retry": lambda c, i: jobs.retry(c, i, "No.", token="t", now=NOW),
    "recover": lambda c, i: jobs.recover(c, "No.", now=NOW),
    "finish": lambda c, i: jobs.finish(c, i, StoredOutput(), token="t", now=NOW, run_seconds=1.0),
    "fail": lambda c, i: jobs.fail(c, i, "No.", token="t", now=NOW),
    "cancel": lambda c, i: jobs.cancel(c, i, now=NOW),
    "cancel_waiting": lambda c, i: jobs.cancel_waiting(c, now=NOW),
    "deliver": lambda c, i: jobs.deliver(c, i, message_id=5, channel_id=2, rung="edit", now=NOW),
    "tell": lambda c, i: jobs.tell(c, i),
}
WAYS = {  # to each status
    Status.QUEUED: (),
    Status.RUNNING: ("claim",),
    Status.RENDERED: ("claim", "finish"),
    Status.DELIVERED: ("claim", "finish", "deliver"),
    Status.FAILED: ("claim", "fail"),
    Status.CANCELLED: ("cancel",),
}


@pytest.mark.parametrize("move", MOVES, ids=lambda move: move.name)
async def test_each_move_begins_and_ends_where_the_table_says(database: Database, move: Move) -> None:
    does, ends = DOES[move.name], set[str]()
    spent = sa.update(schema.jobs).values(attempts=MAX_ATTEMPTS, cut_off=MAX_CUT_OFF - 1)
    for before, way in WAYS.items():
        for last, surface in ((False, {}), (True, WEB)):
            job = await added(database, a_job(**surface))
            for step in way:
                await database.write(lambda c, step=step, job=job: DOES[step](c, job.id))
            if last and before is Status.RUNNING:
                await database.write(
                    lambda c, job=job: c.execute(spent.where(schema.jobs.c.id == job.id)) and None
                )
            began = (await row(database, job.id))["status"]
            await database.write(lambda c, job=job: does(c, job.id))
            after = (await row(database, job.id))["status"]
            assert began == before or surface and before is Status.RENDERED
            moves = surface or move.name != "tell"  # a job of Discord is told of anyway
            if began in move.before and moves:
                ends.add(after)
            else:
                assert after == began
    assert ends == set(move.after)


def test_the_table_of_moves_is_the_one_of_the_page() -> None:
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    told = page.partition("## States\n")[2].partition("\n## ")[0].splitlines()
    assert [line for line in told if line.startswith("| ")][1:] == [
        f"| {', '.join(move.before)} | {' or '.join(move.after)} | `{move.name}` | {move.when} |"
        for move in MOVES
    ]
    assert {status for status in Status if not status.over} == {Status.QUEUED, Status.RUNNING}


async def test_a_new_row_has_everything_that_was_asked(database: Database) -> None:
    parent = await added(database)
    keys = {"press_key": "p", "request_key": "k"}
    reply = {"message_id": 77, "interaction_token": "secret", "application_id": 8, "file_limit": 99}
    job = a_job(user=4, lane=Lane.TURBO, parent=(parent.id, 2), private=True, roles=(5, 6), **keys, **reply)
    written = await database.write(lambda c: jobs.add_job(c, job, cost_key="imagine|1|m", max_running=7))
    assert written == WaitingRow(job.id, 2, 4, 3, Lane.TURBO, None, "imagine|1|m", 7, NOW, 0)
    stored = await row(database, job.id)
    asked = {"kind": "imagine", "prompt": "a red house", "parent_id": parent.id, "parent_index": 2}
    begun = {"status": "queued", "lane": "turbo", "surface": "discord", "created_at": NOW}
    more = {"private": 1, "roles": "[5, 6]", "interaction_id": job.reply.interaction_id}
    assert (keys | reply | asked | begun | more).items() <= stored.items()
    assert await database.read(lambda c: job_queries.read_job(c, job.id)) == job
    assert await rows_of(database, schema.inputs) == []


async def test_a_new_row_names_the_pictures_it_needs(database: Database) -> None:
    one, two = "a" * 64, "b" * 64
    job = replace(a_job(), request=BlendRequest(images=(one, two)))
    await database.write(lambda c: jobs.add_job(c, job, cost_key="blend||m", max_running=1))
    needed = [{"job_id": job.id, "sha256": sha256} for sha256 in (one, two)]
    assert await rows_of(database, schema.inputs) == needed
    assert (await row(database, job.id))["prompt"] == ""


async def test_a_request_without_words_is_stored_without_a_prompt(database: Database) -> None:
    job = replace(a_job(), request=ClassifyRequest(image="a" * 64))
    await database.write(lambda c: jobs.add_job(c, job, cost_key="classify||vit", max_running=1))
    assert (await row(database, job.id))["prompt"] is None


async def test_a_claim_counts_an_attempt_and_the_fourth_is_never_made(database: Database) -> None:
    job = await added(database)
    claim = {"token": "t", "device": "cpu", "now": LATER}
    claimed, changed = await change(database, job.id, lambda c: jobs.claim(c, job.id, **claim))
    assert claimed is not None and claimed.id == job.id
    lease = {"lease_token": "t", "device": "cpu", "started_at": LATER}
    assert changed == {"status": "running", "attempts": 1, **lease}
    spent = await added(database)
    tried = sa.update(schema.jobs).where(schema.jobs.c.id == spent.id).values(attempts=MAX_ATTEMPTS)
    await database.write(lambda c: c.execute(tried) and None)
    assert await database.write(lambda c: jobs.claim(c, spent.id, **claim)) is None
    assert (await row(database, spent.id))["status"] == "queued"


@pytest.mark.parametrize("surface", ["discord", "web"])
async def test_a_rendered_job_is_told_on_discord_and_delivered_elsewhere(
    database: Database, surface: str
) -> None:
    job_id = await _web(database) if surface == "web" else (await running(database)).id
    output = StoredOutput(
        (PICTURE,), GRID_PICTURE, ("ein Schloß",), (("Öl", 0.5),), {"path": PurePosixPath("m/ü")}
    )
    done, changed = await change(
        database, job_id, lambda c: jobs.finish(c, job_id, output, token="t", now=LATER, run_seconds=2.5)
    )
    told = {"status": "delivered", "delivered_at": LATER} if surface == "web" else {"status": "rendered"}
    assert done is True and changed == {
        **OVER,
        **told,
        "rendered_at": LATER,
        "run_seconds": 2.5,
        "captions": '["ein Schloß"]',  # as people read it
        "scores": '[["Öl", 0.5]]',
        "parameters": '{"path": "m/ü"}',
    }
    stored = await rows_of(database, schema.pictures)
    assert {(p["job_id"], p["position"], p["sha256"]) for p in stored} == {
        (job_id, schema.GRID, GRID_PICTURE.sha256),
        (job_id, 0, PICTURE.sha256),
    }
    found = await database.read(lambda c: job_queries.read_output(c, job_id))
    assert (found[1].pictures, found[1].grid) == ((PICTURE,), GRID_PICTURE)


async def test_what_a_job_did_not_make_leaves_no_trace(database: Database) -> None:
    job = await running(database)
    nothing = partial(
        jobs.finish, job_id=job.id, output=StoredOutput(), token="t", now=LATER, run_seconds=0.0
    )
    _, changed = await change(database, job.id, nothing)
    assert {"captions", "scores"}.isdisjoint(changed) and changed["parameters"] == "{}"
    assert await rows_of(database, schema.pictures) == []


async def test_a_failure_is_kept_with_its_reason(database: Database) -> None:
    job = await running(database)
    end, changed = await change(database, job.id, lambda c: jobs.fail(c, job.id, "No.", token="t", now=LATER))
    assert end is True and changed == {**OVER, "status": "failed", "error": "No."}
    web = await _web(database)
    _, changed = await change(database, web, lambda c: jobs.fail(c, web, "No.", token="t", now=LATER))
    assert changed == {**OVER, "status": "failed", "error": "No.", "delivered_at": LATER}


@pytest.mark.parametrize(
    ("attempts", "uncounted", "status"),
    [
        (1, 0, Status.QUEUED),
        (2, 0, Status.QUEUED),
        (1, 1, Status.QUEUED),
        (2, 1, Status.FAILED),
        (3, 0, Status.FAILED),
        (3, 1, Status.FAILED),
    ],
)
async def test_a_job_is_tried_again_until_its_attempts_are_spent(
    database: Database, attempts: int, uncounted: int, status: Status
) -> None:
    job = await running(database)
    tried = sa.update(schema.jobs).values(attempts=attempts)
    await database.write(lambda c: c.execute(tried) and None)
    work = partial(jobs.retry, job_id=job.id, message="Given up.", token="t", now=LATER, uncounted=uncounted)
    found, changed = await change(database, job.id, work)
    assert found is status
    tried_now = min(MAX_ATTEMPTS, attempts + uncounted)
    counted = {"attempts": tried_now} if tried_now != attempts else {}
    if status is Status.QUEUED:
        assert changed == BACK | counted
    else:
        ended = {"status": "failed", "error": "Given up.", "started_at": None, "device": None}
        assert changed == {**OVER, **ended} | counted


async def test_what_is_given_back_has_lost_no_attempt(database: Database) -> None:
    job = await running(database)
    back, changed = await change(database, job.id, lambda c: jobs.give_back(c, job.id, token="t"))
    assert back is True and changed == BACK | {"attempts": 0}


async def test_a_start_takes_up_what_ran_and_ends_what_ran_too_often(database: Database) -> None:
    once, often, waits = await running(database), await running(database), await added(database)
    tried = sa.update(schema.jobs).values(attempts=MAX_ATTEMPTS, cut_off=MAX_CUT_OFF - 1)
    await database.write(lambda c: c.execute(tried.where(schema.jobs.c.id == often.id)) and None)
    before = await row(database, waits.id)
    found = await database.write(lambda c: jobs.recover(c, "Given up.", now=LATER))
    assert sorted(found) == sorted([(once.id, Status.QUEUED), (often.id, Status.FAILED)])
    ended = await row(database, often.id)
    assert (ended["error"], ended["finished_at"], ended["cut_off"]) == ("Given up.", LATER, MAX_CUT_OFF)
    taken_up = await row(database, once.id)
    assert (taken_up["error"], taken_up["finished_at"]) == (None, None)
    assert (taken_up["attempts"], taken_up["cut_off"]) == (0, 1), "it was no fault of the job's"
    assert await row(database, waits.id) == before


async def test_a_cancel_ends_what_waits_or_runs_and_nothing_else(database: Database) -> None:
    for job_id, told in (
        ((await added(database)).id, {}),
        ((await running(database)).id, {}),
        (await _web(database), {"delivered_at": LATER}),
    ):
        ended, changed = await change(database, job_id, lambda c, i=job_id: jobs.cancel(c, i, now=LATER))
        assert changed.pop("lease_token", None) is None
        assert ended is True and changed == {"status": "cancelled", "finished_at": LATER, **told}
        assert await change(database, job_id, lambda c, i=job_id: jobs.cancel(c, i, now=NOW)) == (False, {})
    assert not await database.write(lambda c: jobs.cancel(c, "nobody", now=NOW))


@pytest.mark.parametrize(
    ("chosen", "ended"),
    [({}, "abc"), ({"user_id": 1}, "ab"), ({"guild_id": 3}, "ac"), ({"user_id": 1, "guild_id": 3}, "a")],
)
async def test_waiting_jobs_of_one_member_or_one_server_are_cancelled(
    database: Database, chosen: dict[str, int], ended: str
) -> None:
    named = {
        "a": (await added(database)).id,
        "b": (await added(database, guild_id=4)).id,
        "c": (await added(database, user=2)).id,
    }
    runs = await running(database)
    found = await database.write(lambda c: jobs.cancel_waiting(c, now=LATER, **chosen))
    assert sorted(found) == sorted(named[name] for name in ended)
    for name, job_id in named.items():
        stored = await row(database, job_id)
        over = ("cancelled", LATER) if name in ended else ("queued", None)
        assert (stored["status"], stored["finished_at"]) == over
    assert (await row(database, runs.id))["status"] == "running"


async def test_the_front_is_counted_among_those_that_wait(database: Database) -> None:
    one, two, three = [await added(database) for _ in range(3)]

    async def front(job_id: str) -> tuple[Any, dict]:
        return await change(database, job_id, lambda c: jobs.set_front(c, job_id))

    for place, job in enumerate((one, two, one), 1):
        assert await front(job.id) == (place, {"front": place})
    await database.write(lambda c: jobs.cancel(c, one.id, now=NOW))
    assert await front(three.id) == (3, {"front": 3}), "after two, which waits still"
    assert await front(one.id) == (None, {})
    assert await database.write(lambda c: jobs.set_front(c, "nobody")) is None


async def deliver(database: Database, job_id: str, **given: Any) -> bool:
    told = {"message_id": 5, "channel_id": 2, "rung": "edit", "now": LATER} | given
    return await database.write(lambda c: jobs.deliver(c, job_id, **told))


async def test_a_delivery_notes_its_message_and_forgets_the_token(database: Database) -> None:
    job = await running(database, interaction_token="secret", message_id=4)
    await database.write(lambda c: jobs.finish(c, job.id, OUTPUT, token="t", now=NOW, run_seconds=1.0))
    delivery = {"message_id": 5, "channel_id": 2, "rung": "edit", "now": LATER}
    told, changed = await change(database, job.id, lambda c: jobs.deliver(c, job.id, **delivery))
    end = {"status": "delivered", "delivered_at": LATER, "rung": "edit"}
    assert told and changed == {**end, "interaction_token": None, "message_id": 5}
    place = {"message_id": 5, "channel_id": 2, "guild_id": 3}
    noted = place | {"job_id": job.id, "position": None, "created_at": LATER}
    assert await rows_of(database, schema.messages) == [noted]
    assert not await deliver(database, job.id, message_id=6)
    assert len(await rows_of(database, schema.messages)) == 1
    assert await rows_of(database, schema.unposted) == [], "the job is there still"


@pytest.mark.parametrize("status", ["failed", "cancelled"])
async def test_a_told_end_stays_what_it_was(database: Database, status: str) -> None:
    job = await running(database, message_id=4)
    if status == "failed":
        await database.write(lambda c: jobs.fail(c, job.id, "No.", token="t", now=NOW))
    else:
        await database.write(lambda c: jobs.cancel(c, job.id, now=NOW))
    assert await deliver(database, job.id, message_id=None, channel_id=None, rung="kept")
    told = await row(database, job.id)
    assert (told["status"], told["delivered_at"]) == (status, LATER)
    assert (told["rung"], told["message_id"]) == ("kept", 4)
    assert await rows_of(database, schema.messages) == []


@pytest.mark.parametrize("given", [{"message_id": None}, {"channel_id": None}])
async def test_without_a_message_or_its_channel_none_is_noted(
    database: Database, given: dict[str, None]
) -> None:
    job = await running(database)
    await database.write(lambda c: jobs.cancel(c, job.id, now=NOW))
    assert await deliver(database, job.id, **given)
    assert not await deliver(database, "gone", **given)
    assert await rows_of(database, schema.messages) == await rows_of(database, schema.unposted) == []


async def test_the_message_of_a_job_that_was_deleted_meanwhile_is_to_be_deleted(database: Database) -> None:
    assert not await deliver(database, "gone")
    assert await rows_of(database, schema.unposted) == [{"message_id": 5, "channel_id": 2, "at": LATER}]
    assert not await deliver(database, (await added(database)).id, message_id=6), "it waits"
    assert len(await rows_of(database, schema.unposted)) == 1


async def test_the_messages_that_show_a_job_are_noted_with_their_places(database: Database) -> None:
    one, two = await added(database), await added(database)
    noted = {"message_id": 8, "channel_id": 2, "guild_id": 3, "now": NOW}
    shown, changed = await change(database, one.id, lambda c: jobs.remember_message(c, one.id, **noted))
    assert shown is True and changed == {"message_id": 8}
    message = {"message_id": 8, "channel_id": 2, "guild_id": 3, "job_id": one.id, "position": None}
    assert await rows_of(database, schema.messages) == [{**message, "created_at": NOW}]
    again = {**noted, "channel_id": 7, "guild_id": None, "now": LATER}
    _, changed = await change(database, two.id, lambda c: jobs.add_message(c, two.id, index=1, **again))
    assert changed == {}
    moved = {"channel_id": 7, "guild_id": None, "job_id": two.id, "position": 1}
    assert await rows_of(database, schema.messages) == [{**message, **moved, "created_at": NOW}]
    assert not await database.write(lambda c: jobs.remember_message(c, "nobody", **noted))
