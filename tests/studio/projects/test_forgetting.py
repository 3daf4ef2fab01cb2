"""What a deletion leaves of somebody in projects, versions, charts and bundles: nothing, and a version that
is what it would have been without them."""

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from core.errors import UserError
from core.job import Status
from core.requests import ImagineRequest
from jobs.executors.base import Outcome, Report
from storage import privacy as rows
from storage.projects.projects import Project
from studio.authority import Actor
from studio.new_job import NewJob
from tests.jobs.conftest import eventually
from tests.studio.conftest import ALICE, BOB
from tests.studio.projects.conftest import Learner, World, noise, open_world, sent
from vision.custom_models.snapshot import Snapshot
from vision.protocol import Run, Stopped


def _holds(folder: Path, canary: str) -> list[str]:
    """Files below a folder with a canary in their name or bytes; the note of deletions may name people."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.name != "deletions.json"]
    raw = canary.encode()
    return [str(path) for path in found if canary in path.name or raw in path.read_bytes()]


async def test_a_contributor_who_is_deleted_leaves_nothing_and_the_rest_is_learned_anew(tmp_path) -> None:
    async with open_world(tmp_path) as world:
        boards = await world.projects.new(ALICE, "boards")
        await world.put(boards, ALICE, ["good"] * 5)
        bobs = await world.put(boards, BOB, ["good"] * 2, first=600)
        world.learner.tested = 3
        job = await world.trained(ALICE, "boards")
        bundle = await world.ended(ALICE, await world.inference.bundle(ALICE, "boards"))
        first = await world.training.trained(ALICE, job.id)
        assert first is not None and all(_holds(tmp_path, name) for name in bobs)

        await world.services.privacy.delete(BOB.user_id)
        second = await world.trained_again(boards)
        assert (second.number, second.settings["replaces"], second.settings["settled"]) == (2, 1, True)
        states = {one.number: one.state for one in await world.training.versions(ALICE, "boards")}
        assert states == {1: "tainted", 2: "active"}
        assert await world.services.queue.job(job.id) is None, "its charts showed his pictures"
        assert await world.services.queue.job(bundle.id) is None, "and so did the bundle"
        assert (await world.projects.card(ALICE, "boards")).project.due == 0
        artefact = await world.services.files.get(str(second.artefact))
    for name in bobs:
        assert _holds(tmp_path, name) == []

    never = world.learner.settled[0].without(bobs)  # of somebody who has never had his pictures
    assert never.sha256 == world.learner.snapshots[1].sha256
    assert artefact == f"model of {never.text()}".encode()


async def test_labels_that_somebody_gave_stay_without_their_name(world: World, boards: Project) -> None:
    await world.projects.share(ALICE, "boards", 0, ["label"])
    [fresh] = await world.put(boards, ALICE, [""], first=610)
    await world.labelling.mark(BOB, "boards", fresh, "scratch")
    await world.services.privacy.delete(BOB.user_id)
    [mark] = await world.labelling.marks(ALICE, "boards", fresh)
    assert (mark.user_id, mark.label) == (0, "scratch")
    await world.labelling.mark(ALICE, "boards", fresh, "scratch")
    assert (await world.projects.card(ALICE, "boards")).counts.labels["scratch"] == 3


async def test_a_server_s_project_goes_to_its_managers_and_one_s_own_goes(world: World) -> None:
    ours = await world.projects.new(BOB, "ours")
    mine = await world.projects.new(Actor(BOB.user_id, None, 60), "mine")
    names = await world.put(mine, BOB, ["good"] * 4, first=620)
    await world.trained(BOB, mine.id)
    await world.services.privacy.delete(BOB.user_id)
    manager = Actor(3, 10, 100, manages=True)
    assert [one.user_id for one in await world.projects.all(manager)] == [0]
    assert (await world.projects.card(manager, ours.id)).may > {"manage"}
    assert not any(world.services.files.exists(name) for name in names)
    assert (await world.projects.card(Actor(0, 10, 100), ours.id)).may == {"use"}, "0 is nobody's id"


async def test_a_picture_that_is_taken_out_taints_what_learned_from_it(world: World, boards: Project) -> None:
    await world.trained(ALICE, "boards")
    first = world.learner.snapshots[0].items[0].sha256
    await world.dataset.remove(ALICE, "boards", [first])
    assert (await world.trained_again(boards)).number == 2
    assert first not in {item.sha256 for item in world.learner.snapshots[1].items}
    assert not world.services.files.exists(first) or await world.services.queue.people.has_sent(1, first)


async def test_too_little_is_left_and_nothing_is_trained(world: World) -> None:
    parts = await world.projects.new(ALICE, "parts")
    await world.put(parts, BOB, ["good"] * 4, first=630)
    await world.trained(ALICE, "parts")

    def refuse(request: object, run: object) -> None:
        raise AssertionError("nothing is left to learn from")

    world.learner.learned = refuse  # type: ignore[assignment,method-assign]
    await world.services.privacy.delete(BOB.user_id)
    with pytest.raises(UserError, match="no model|being trained again"):
        await world.inference.try_(ALICE, "parts", [sent(1)])
    assert (await world.training.versions(ALICE, "parts"))[0].artefact is None


class Slow(Learner):
    """Trains only when it is told to, and stops when it is asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[set[str]] = []
        self.folders: list[set[str]] = []
        self.go, self.began = asyncio.Event(), asyncio.Event()
        self.stopped: dict[str, asyncio.Event] = {}

    def cancel(self, job_id: str) -> None:
        self.stopped[job_id].set()

    async def run(self, device: str, run: Run, report: Report) -> Outcome:
        if run.kind != "train":
            return await super().run(device, run, report)
        self.told.append(set(run.paths))
        self.folders.append(_left(Path(run.folder)))
        stop = self.stopped[run.job_id] = asyncio.Event()
        self.began.set()
        waits = [asyncio.ensure_future(event.wait()) for event in (self.go, stop)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if stop.is_set():
            return Stopped(run.job_id)
        return await super().run(device, run, report)


def _left(folder: Path) -> set[str]:
    names = {path.name for path in folder.iterdir()}
    (folder / "features").write_bytes(b"what was seen in every picture")
    return names


async def test_a_training_under_way_begins_anew_without_what_is_deleted(tmp_path: Path) -> None:
    slow = Slow()
    async with open_world(tmp_path, slow) as world:
        boards = await world.projects.new(ALICE, "boards")
        await world.put(boards, ALICE, ["good"] * 5)
        [bobs] = await world.put(boards, BOB, ["good"], first=640)
        new = await world.training.train(ALICE, "boards")
        job = (await world.studio.submit(ALICE, new)).job
        async with asyncio.timeout(20):
            await slow.began.wait()
            slow.began.clear()
            await world.services.privacy.delete(BOB.user_id)
            await slow.began.wait()
            slow.go.set()
            async for _ in await world.studio.watch(ALICE, job.id):
                pass
        assert [bobs in told for told in slow.told] == [True, False]
        assert slow.folders == [{"snapshot.json"}, {"snapshot.json"}], "what the first try had seen is gone"
        version = await world.training.trained(ALICE, job.id)
        assert version is not None and version.state == "active"


class Deaf(Slow):
    """Hears of nothing while it trains."""

    def cancel(self, job_id: str) -> None:
        """Goes on."""


async def test_a_worker_that_is_done_in_the_moment_of_the_deletion_has_worked_in_vain(tmp_path: Path) -> None:
    deaf = Deaf()
    async with open_world(tmp_path, deaf) as world:
        boards = await world.projects.new(ALICE, "boards")
        await world.put(boards, ALICE, ["good"] * 5)
        [bobs] = await world.put(boards, BOB, ["good"], first=640)
        job = (await world.studio.submit(ALICE, await world.training.train(ALICE, "boards"))).job
        async with asyncio.timeout(20):
            await deaf.began.wait()
            deaf.snapshots.append(Snapshot.read(await asyncio.to_thread(_snapshot, world)))
            await world.services.privacy.delete(BOB.user_id)
            deaf.go.set()
            async for _ in await world.studio.watch(ALICE, job.id):
                pass
        world.services.privacy.cleared.set()  # else it is looked for in a while
        assert bobs in {item.sha256 for item in deaf.snapshots[0].items}
        version = await world.trained_again(boards)
        states = {one.number: one.state for one in await world.training.versions(ALICE, "boards")}
        assert states == {1: "tainted", 2: "active"} and version.number == 2
        await eventually(lambda: _has_no_file(world, 1))
    assert await asyncio.to_thread(_holds, tmp_path, bobs) == []


async def _has_no_file(world: World, number: int) -> bool:
    """Whether a version has given up its file, a moment after somebody was asked to look."""
    world.services.privacy.cleared.set()
    there = await world.training.versions(ALICE, "boards")
    return next(one for one in there if one.number == number).artefact is None


def _snapshot(world: World) -> str:
    [path] = world.services.files.incoming.glob("*/snapshot.json")
    return path.read_text()


async def test_a_picture_of_a_job_goes_with_its_job_unless_that_only_expires(
    world: World, boards: Project
) -> None:
    drawn = await world.ended(ALICE, NewJob(ImagineRequest(prompt="a", seed=3, num_images=1)))
    kept = await world.ended(ALICE, NewJob(ImagineRequest(prompt="a", seed=5, num_images=1)))
    brought = await world.dataset.add(ALICE, "boards", [f"{drawn.id} 1", f"{kept.id} 1"], "good")
    await world.studio.delete(ALICE, drawn.id)
    now = datetime.now(UTC) + timedelta(days=1)
    await world.services.database.write(partial(rows.delete_jobs, ids=[kept.id], now=now, unpost=False))
    there = {one.sha256 for one in await world.dataset.page(ALICE, "boards")}
    assert set(brought.new) & there == {brought.new[1]}


async def test_a_project_s_pictures_stay_after_what_was_only_sent_expires(
    world: World, boards: Project
) -> None:
    before = {one.sha256 for one in await world.dataset.page(ALICE, "boards")}
    later = datetime.now(UTC) + timedelta(days=60)
    _, gone = await world.services.database.write(partial(rows.drop_uploads, before=later))
    assert gone & before == set()
    await world.services.janitor.sweep()
    assert all(world.services.files.exists(name) for name in before)


async def test_one_s_pictures_and_words_are_in_what_one_takes_away(world: World, boards: Project) -> None:
    files = [part async for part in _files(world)]
    data = json.loads(files[0])
    assert len(data["project_items"]) == 7 and [one["name"] for one in data["projects"]] == ["boards"]
    assert {one["label"] for one in data["project_marks"]} == {"good", "scratch"}
    assert (await world.services.privacy.holdings(ALICE.user_id)).items == 7
    assert noise(0) in files


async def _files(world: World) -> AsyncIterator[bytes]:
    async for part in world.studio.own.export(ALICE, 10**8):
        with zipfile.ZipFile(io.BytesIO(part)) as archive:
            for name in archive.namelist():
                yield archive.read(name)


async def test_old_versions_give_up_their_files_and_the_one_in_use_keeps_its_own(tmp_path: Path) -> None:
    async with open_world(tmp_path, PROJECT_VERSIONS="2") as world:
        boards = await world.projects.new(ALICE, "boards")
        await world.put(boards, ALICE, ["good"] * 4)
        for number in range(4):
            await world.put(boards, ALICE, ["good"], first=650 + number)  # so that each has other bytes
            await world.trained(ALICE, "boards")
        await eventually(lambda: _has_no_file(world, 2))
        kept = [one.number for one in await world.training.versions(ALICE, "boards") if one.artefact]
        assert kept == [4, 3, 1]
        with pytest.raises(UserError, match="no version 2 that can be used"):
            await world.training.use(ALICE, "boards", 2)


async def test_forgetting_a_project_stops_its_trainings(world: World, boards: Project) -> None:
    await world.services.queue.pause(1)
    job = (await world.studio.submit(ALICE, await world.training.train(ALICE, "boards"))).job
    await world.projects.forget(ALICE, "boards")
    found = await world.services.queue.job(job.id)
    assert found is not None and found.status is Status.CANCELLED
    assert await world.projects.all(ALICE) == []
