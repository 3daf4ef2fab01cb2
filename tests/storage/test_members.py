"""What members choose and keep, as rows."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.convert import Preferences
from core.job import Job, Lane
from core.requests import ImagineRequest
from storage import jobs
from storage.database import Database
from storage.job_queries import StoredOutput, StoredPicture
from storage.members import Members
from tests.storage.conftest import NOW, a_job, added

ALICE, BOB = 1, 2
PICTURES = tuple(StoredPicture(f"{n}" * 64, "image/png", 64, 48, n, n, 9) for n in range(4))


async def finished_job(database: Database, request: ImagineRequest, *, user_id: int) -> Job:
    job = await added(database, replace(a_job(user=user_id), request=request))
    await database.write(lambda c: jobs.claim(c, job.id, token="t", device="cpu", now=NOW))
    await database.write(
        lambda c: jobs.finish(c, job.id, StoredOutput(PICTURES), token="t", now=NOW, run_seconds=1.5)
    )
    return job


@pytest.fixture
def members(database: Database) -> Members:
    return Members(database)


async def test_preferences_are_kept_for_each_member(members: Members) -> None:
    assert await members.preferences(ALICE) == Preferences()
    await members.change(ALICE, remix=True, lane=Lane.RELAX)
    assert await members.change(ALICE, stylize=250) == Preferences(remix=True, lane=Lane.RELAX, stylize=250)
    assert await members.preferences(BOB) == Preferences()
    await members.reset(ALICE)
    assert await members.preferences(ALICE) == Preferences()


async def test_options_are_limited_in_number_and_can_be_changed_when_full(members: Members) -> None:
    assert [await members.set_option(ALICE, f"o{n}", "--ar 3:2", most=3) for n in range(4)] == [
        True,
        True,
        True,
        False,
    ]
    assert await members.set_option(ALICE, "o1", "--ar 1:1", most=3)
    assert await members.options(ALICE) == {"o0": "--ar 3:2", "o1": "--ar 1:1", "o2": "--ar 3:2"}
    assert await members.remove_option(ALICE, "o0") and not await members.remove_option(ALICE, "o0")
    assert await members.options(BOB) == {}


async def test_a_favourite_is_kept_and_let_go(database: Database, members: Members) -> None:
    job = await finished_job(database, ImagineRequest(prompt="a boat"), user_id=BOB)
    assert await members.toggle_favourites(ALICE, job.id, [1])
    assert await members.toggle_favourites(ALICE, job.id, [0, 1])  # one of them is new
    kept = await members.favourites(ALICE, limit=10)
    assert {(f.job_id, f.position, f.prompt) for f in kept} == {(job.id, 0, "a boat"), (job.id, 1, "a boat")}
    assert not await members.toggle_favourites(ALICE, job.id, [0, 1])
    assert await members.favourites(ALICE, limit=10) == [] and await members.count_favourites(ALICE) == 0


async def test_a_draft_comes_back_with_its_author(members: Members) -> None:
    name = await members.add_draft(ALICE, {"prompt": "{a, b}"})
    assert len(name) == 12 and await members.draft(name) == (ALICE, {"prompt": "{a, b}"})
    assert await members.draft("nosuchdraft2") is None


async def test_usage_counts_what_was_made(database: Database, members: Members) -> None:
    await finished_job(database, ImagineRequest(prompt="a boat"), user_id=ALICE)
    await finished_job(database, ImagineRequest(prompt="a cat"), user_id=ALICE)
    await finished_job(database, ImagineRequest(prompt="a dog"), user_id=BOB)
    used = await members.usage(ALICE)
    assert used.jobs == {"imagine": 2} and used.pictures == 8 and used.seconds == pytest.approx(3.0)
    assert (await members.usage(ALICE, datetime.now(UTC) + timedelta(days=1))).jobs == {}


async def test_recent_prompts_come_once_and_newest_first(database: Database, members: Members) -> None:
    for prompt in ("a boat", "a cat", "A Boat at night", "a boat"):
        await finished_job(database, ImagineRequest(prompt=prompt, chaos=3), user_id=ALICE)
    found = await members.recent(ALICE)
    assert [job.request.prompt for job in found] == ["a boat", "A Boat at night", "a cat"]
    assert found[0].request.chaos == 3 and len(await members.recent(ALICE, limit=2)) == 2
    assert await members.recent(BOB) == []
