"""What is asked before a job waits, in which order, and what is written."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from core.errors import ImageError, LimitError, NotAllowedError, UserError
from core.job import Job
from core.requests import BlendRequest, ImagineRequest
from jobs import admission
from jobs.admission import DISK_KNOWN, Admission, Limits
from jobs.waitlist import cost_key
from storage import jobs as rows
from storage import people
from storage.database import Database
from storage.people import RoleLimit
from tests.storage.conftest import NOW, a_job, added, database

__all__ = ["database"]  # the fixture
ASKED = ImagineRequest(prompt="a red house")


class Store:
    """Files by name, and as many free bytes as a test says."""

    def __init__(self, *names: str, free: int = 10**12) -> None:
        self.names, self.free, self.looks = names, free, 0

    async def has(self, sha256: str) -> bool:
        return sha256 in self.names

    def free_bytes(self) -> int:
        self.looks += 1
        return self.free


def admitting(database: Database, files: Store | None = None, **limits: int) -> Admission:
    return Admission(database, files or Store(), Limits(**limits))


# The disk and the files


async def test_a_picture_that_is_gone_is_told(database: Database) -> None:
    one, two = "a" * 64, "b" * 64
    asked = BlendRequest(images=(one, two))
    assert await admitting(database, Store(one, two)).problem_with_files(asked) is None
    assert await admitting(database).problem_with_files(ASKED) is None
    problem = await admitting(database, Store(one)).problem_with_files(asked)
    assert isinstance(problem, ImageError) and str(problem) == "That picture is gone. Attach it again."


async def test_a_nearly_full_disk_takes_nothing_and_names_its_floor(database: Database) -> None:
    for request in (ASKED, BlendRequest(images=("a" * 64, "b" * 64))):
        full = await admitting(database, Store(free=499_999_999)).problem_with_files(request)
        assert isinstance(full, LimitError) and str(full) == (
            "The studio's disk is nearly full (less than 500 MB free). "
            "Please tell the host; nothing was queued."
        )
    assert await admitting(database, Store(free=500_000_000)).full_disk() is None


async def test_the_disk_is_looked_at_once_a_second_while_it_has_room(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.5]  # seconds since the machine's start, say
    monkeypatch.setattr(admission.time, "monotonic", lambda: now[0])
    store = Store()
    asked = admitting(database, store)
    looks = []
    for now[0] in (0.5, 0.5 + DISK_KNOWN - 0.01, 0.5 + DISK_KNOWN):
        assert await asked.full_disk() is None
        looks.append(store.looks)
    assert looks == [1, 1, 2]
    store.free = 0
    for now[0] in (9.0, 9.1):
        assert await asked.full_disk() is not None
    assert store.looks == 4, "a full one is looked at each time, for somebody may be making room"


# The rows


async def test_a_job_is_written_with_what_its_asker_may_run_and_its_cost(database: Database) -> None:
    await database.write(
        partial(people.set_role_rule, guild_id=3, rule=RoleLimit(7, user_running=5, user_waiting=2))
    )
    await database.write(partial(people.set_served, user_id=1, turn=4))
    job = a_job(roles=(7,))
    admitted = await admitting(database).admit(job, None)
    assert admitted.job is job and admitted.served == 4
    assert (admitted.row.max_running, admitted.row.cost_key) == (5, cost_key(job.request))
    assert (await admitting(database).admit(a_job(user=2), None)).served == 0


async def refused(database: Database, job: Job, problem: UserError | None = None, **limits: int) -> UserError:
    with pytest.raises(UserError) as caught:
        await admitting(database, **limits).admit(job, problem)
    return caught.value


async def test_what_was_asked_before_is_the_same_job_whatever_is_wrong_now(database: Database) -> None:
    first = await added(database, interaction_id=99, press_key="a press")
    asked = admitting(database, user_waiting=0)
    asked.draining = True
    for again in (a_job(interaction_id=99), a_job(press_key="a press")):
        admitted = await asked.admit(again, UserError("no"))
        assert admitted.job.id == first.id and admitted.row is None
    with pytest.raises(LimitError, match="takes no new jobs at the moment"):
        await asked.admit(a_job(), UserError("no"))


async def test_a_problem_with_files_comes_before_rules_and_limits(database: Database) -> None:
    await database.write(partial(people.ban, user_id=1, guild_id=3, actor_id=9, now=NOW))
    problem = ImageError("That picture is gone.")
    assert await refused(database, a_job(), problem) is problem
    assert isinstance(await refused(database, a_job()), NotAllowedError)
    assert (await admitting(database).admit(a_job(guild_id=4), None)).row is not None


async def test_waiting_jobs_are_counted_for_the_member_and_for_the_server(database: Database) -> None:
    await added(database)
    await added(database, user=2, guild_id=4)
    assert "You have 1 jobs waiting; the limit is 1." in str(await refused(database, a_job(), user_waiting=1))
    assert "1 jobs waiting; the limit is 1." in str(
        await refused(database, a_job(user=3, guild_id=4), guild_waiting=1)
    )
    job = a_job(user=3, guild_id=5)
    assert (await admitting(database, user_waiting=1, guild_waiting=1).admit(job, None)).row is not None
    await database.write(partial(rows.cancel_waiting, now=NOW))
    assert (await admitting(database, user_waiting=1).admit(a_job(), None)).row is not None


async def test_in_a_direct_message_no_server_s_limit_counts(database: Database) -> None:
    await added(database, user=2, guild_id=None)
    admitted = await admitting(database, guild_waiting=1).admit(a_job(guild_id=None), None)
    assert admitted.row is not None


async def test_a_parent_must_be_there(database: Database) -> None:
    parent = await added(database)
    child = a_job(parent=(parent.id, 0))
    assert (await admitting(database).admit(child, None)).row is not None
    orphan = replace(a_job(), parent_id="abcdefghjkmn", parent_index=0)
    assert str(await refused(database, orphan)) == "The job it comes from is gone."


async def test_a_key_is_of_one_person_s_and_a_press_is_over_when_its_job_is(database: Database) -> None:
    first = await added(database, request_key="k", interaction_id=None)
    asked = admitting(database)
    assert (await asked.admit(a_job(request_key="k", interaction_id=None), None)).job.id == first.id
    other = await asked.admit(a_job(user=2, request_key="k", interaction_id=None), None)
    assert other.row is not None
    pressed = await added(database, press_key="p", interaction_id=None)
    await database.write(partial(rows.cancel, job_id=pressed.id, now=NOW))
    assert (await asked.admit(a_job(press_key="p"), None)).row is not None
