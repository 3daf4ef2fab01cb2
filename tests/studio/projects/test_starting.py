"""Between asking for a training and its turn: rights that are taken meanwhile, and what the studio trains by
itself."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import pytest

from core.errors import LimitError
from core.job import NOBODY, Job, Status, Surface
from jobs import runs
from storage import people, privacy
from storage.projects import versions
from storage.projects.projects import Project
from studio.authority import Actor
from studio.new_job import NewJob
from tests.jobs.conftest import eventually
from tests.studio.conftest import ALICE, BOB, MIRA
from tests.studio.projects.conftest import ALONE, World

WELDER = 77
WORKER = replace(BOB, roles=(WELDER,))


async def _after(world: World, asker: Actor, new: NewJob, change: Callable[[], Awaitable[object]]) -> Job:
    """Queue a job, let something change before its turn, and return it when it is over."""
    await world.services.queue.pause(1)
    job = (await world.studio.submit(asker, new)).job
    await change()
    await world.services.queue.resume(1)
    found: list[Job] = []

    async def over() -> bool:
        row = await world.services.queue.job(job.id)
        assert row is not None
        found[:] = [row]
        return row.status.over

    await eventually(over)
    return found[0]


async def _shared(world: World, *rights: str) -> None:
    world.servers.servers[10].given = {BOB.user_id: {WELDER}}
    await world.projects.share(ALICE, "boards", WELDER, rights)


async def test_a_training_runs_while_its_asker_still_may(world: World, boards: Project) -> None:
    await _shared(world, "train")
    job = await _after(world, WORKER, await world.training.train(WORKER, "boards"), _nothing)
    assert job.status is Status.RENDERED, job.error


async def _nothing() -> None:
    """For a test in which nothing changes."""


@pytest.mark.parametrize("how", ["role", "right", "left", "banned", "timed out"])
async def test_nothing_is_trained_for_somebody_who_may_no_longer(
    world: World, boards: Project, how: str
) -> None:
    await _shared(world, "train")
    server = world.servers.servers[10]

    async def change() -> None:
        if how == "role":
            server.given.clear()
        elif how == "right":
            await world.projects.share(ALICE, "boards", WELDER, ["use"])
        elif how == "left":
            del server.members[BOB.user_id]
        elif how == "banned":
            ban = partial(people.ban, user_id=BOB.user_id, guild_id=10, actor_id=1, now=datetime.now(UTC))
            await world.services.database.write(ban)  # without the cancelling that goes with it on Discord
        else:
            await world.services.moderator.time_out(MIRA.user_id, BOB.user_id, 10, 30)

    job = await _after(world, WORKER, await world.training.train(WORKER, "boards"), change)
    assert job.status is Status.FAILED and job.error is not None
    why = {"banned": "An admin blocked you", "timed out": "time-out"}.get(how, "may no longer ask for it")
    assert why in job.error
    assert world.learner.snapshots == [], "its worker was told of no picture"
    assert await world.training.versions(ALICE, "boards") == []


async def test_who_manages_the_server_may_until_they_no_longer_do(world: World, boards: Project) -> None:
    new = await world.training.train(MIRA, "boards")
    assert (await _after(world, MIRA, new, _nothing)).status is Status.RENDERED

    async def change() -> None:
        world.servers.servers[10].members[MIRA.user_id] = False

    again = await world.training.train(MIRA, "boards")
    job = await _after(world, MIRA, again, change)
    assert job.status is Status.FAILED and "Ask its owner or a server manager" in str(job.error)


async def test_a_bundle_is_packed_for_nobody_who_may_no_longer_export(world: World, boards: Project) -> None:
    await world.trained(ALICE, "boards")
    await _shared(world, "export")

    async def change() -> None:
        world.servers.servers[10].given.clear()

    job = await _after(world, WORKER, await world.inference.bundle(WORKER, "boards"), change)
    assert job.status is Status.FAILED and "export from this project" in str(job.error)


@pytest.mark.parametrize("asker", [WORKER, MIRA])
async def test_a_training_waits_for_the_chat_service_to_answer(
    world: World, boards: Project, monkeypatch: pytest.MonkeyPatch, asker: Actor
) -> None:
    monkeypatch.setattr(runs, "LATER", 0.02)
    await _shared(world, "train")
    world.servers.silent = True

    async def change() -> None:
        async def later() -> None:
            await asyncio.sleep(0.1)
            assert world.learner.snapshots == [], "the roles that they had on asking tell nothing"
            world.servers.silent = False

        tasks.append(asyncio.create_task(later()))

    tasks: list[asyncio.Task[None]] = []
    job = await _after(world, asker, await world.training.train(asker, "boards"), change)
    await asyncio.gather(*tasks)
    assert job.status is Status.RENDERED, job.error


async def test_trainings_that_are_asked_for_at_once_keep_the_limit(world: World, boards: Project) -> None:
    await world.services.queue.pause(1)
    new = [await world.training.train(ALICE, "boards", seed=seed) for seed in range(6)]
    ends = await asyncio.gather(*(world.studio.submit(ALICE, one) for one in new), return_exceptions=True)
    refused = [end for end in ends if isinstance(end, BaseException)]
    assert len(refused) == 4 and all(isinstance(end, LimitError) for end in refused), refused
    await world.projects.new(ALONE, "mine", shared=False)
    await world.put((await world.projects.card(ALONE, "mine")).project, ALICE, ["good"] * 4, first=50)
    mine = await world.training.train(ALONE, "mine")
    assert (await world.studio.submit(ALONE, mine)).job, "one's own are counted apart"


# What the studio trains by itself


async def _deleted(world: World, project: Project) -> None:
    [first, *_] = await world.dataset.page(ALICE, project.id, label="good")
    await world.dataset.remove(ALICE, project.id, [first.sha256])


async def test_a_server_s_lists_and_limits_don_t_keep_a_project_from_being_trained_again(
    world: World, boards: Project
) -> None:
    await world.trained(ALICE, "boards")
    await world.services.queue.admin.allow(MIRA.user_id, 10, "role", WELDER)
    await world.services.queue.admin.allow(MIRA.user_id, 10, "channel", 100)
    await _deleted(world, boards)
    again = await world.trained_again(boards)
    assert (again.number, again.user_id, again.state) == (2, NOBODY, versions.ACTIVE)


async def test_a_training_by_the_studio_itself_is_told_as_such(world: World, boards: Project) -> None:
    await world.trained(ALICE, "boards")
    await world.services.queue.pause(1)
    await _deleted(world, boards)

    async def waits() -> bool:
        return bool((await world.services.queue.mine(NOBODY)).waiting)

    await eventually(waits)
    card = await world.projects.card(BOB, "boards")
    assert card.advice == "It is being trained again, without pictures that were deleted."
    [view] = (await world.studio.server.queue(MIRA)).waiting
    assert (view.job.origin.user_id, view.job.origin.surface) == (NOBODY, Surface.WEB)
    assert (await world.studio.own.info(BOB)).jobs.total_waiting == 0
    await world.services.queue.resume(1)
    await world.trained_again(boards)


async def test_an_owner_takes_away_what_the_studio_trained_again_for_them(world: World) -> None:
    mine = await world.projects.new(ALONE, "mine", shared=False)
    await world.put(mine, ALICE, ["good"] * 5)
    await world.trained(ALONE, mine.id)
    [first, *_] = await world.dataset.page(ALONE, mine.id)
    await world.dataset.remove(ALONE, mine.id, [first.sha256])
    await world.trained_again(mine)
    work = partial(privacy.export, user_id=ALICE.user_id, table="project_versions")
    told, _ = await world.services.database.read(work)
    assert {row["number"] for row in told} == {1, 2}
    await world.projects.forget(ALONE, mine.id)
    told, _ = await world.services.database.read(partial(privacy.export, user_id=NOBODY, table="jobs"))
    assert told == [], "with the project's words"
