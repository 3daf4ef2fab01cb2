"""Versions: what a training is told, which one is used, thresholds, comparisons, reports."""

from dataclasses import replace

import pytest

from core import profiles
from core.errors import ImageError, LimitError, NotAllowedError, UserError
from core.job import Lane, Status
from core.results import TEST, TRAIN
from core.settings import load_settings
from storage.gallery import Filter
from storage.projects import versions
from storage.projects.projects import Project
from storage.projects.versions import Tally
from studio.authority import Action
from studio.projects.projects import ProjectLimits
from studio.projects.trainings import drift, verdict
from tests.jobs.conftest import until
from tests.studio.conftest import ALICE, BOB
from tests.studio.projects.conftest import ALONE, LIMIT, World, open_world, painted, sent_mask

WORKER = replace(BOB, roles=(77,))


async def test_a_training_learns_what_is_labelled_when_it_is_asked_for(world: World, boards: Project) -> None:
    [unlabelled] = await world.put(boards, ALICE, [""], first=400)
    new = await world.training.train(ALICE, "boards")
    assert new.lane is Lane.RELAX and not new.private
    job = await world.ended(ALICE, new)
    version = await world.training.trained(BOB, job.id)
    assert version is not None and (version.number, version.state, version.threshold) == (1, "active", LIMIT)
    [told] = world.learner.snapshots
    assert len(told.items) == 7 and unlabelled not in {item.sha256 for item in told.items}
    assert world.services.files.exists(str(version.artefact))
    await until(lambda: not list(world.services.files.incoming.glob("*")))  # the job's folder goes with it


async def test_a_training_is_told_where_the_agreed_label_was_marked(world: World, boards: Project) -> None:
    scratched = [one.sha256 for one in await world.dataset.page(ALICE, "boards", label="scratch")]
    await world.labelling.mark(ALICE, "boards", scratched[0], "scratch", [("scratch", 0.1, 0.2, 0.3, 0.4)])
    await world.trained(ALICE, "boards")
    told = {item.sha256: item.boxes for item in world.learner.snapshots[0].items}
    assert told[scratched[0]] == ((0.1, 0.2, 0.3, 0.4),) and told[scratched[1]] == ()


async def test_a_training_is_told_what_was_painted_on_a_picture(world: World, boards: Project) -> None:
    """Its worker is given the mask's file, which the learner looks for."""
    scratched = [one.sha256 for one in await world.dataset.page(ALICE, "boards", label="scratch")]
    mask = await sent_mask(world, ALICE, painted())
    await world.labelling.mark(ALICE, "boards", scratched[0], "scratch", (), mask)
    [mark] = await world.labelling.marks(ALICE, "boards", scratched[0])
    await world.trained(ALICE, "boards")
    told = {item.sha256: item.mask for item in world.learner.snapshots[0].items}
    assert told[scratched[0]] == mark.mask and told[scratched[1]] == ""


async def test_a_second_version_waits_to_be_used_and_the_first_can_come_back(
    world: World, boards: Project
) -> None:
    await world.trained(ALICE, "boards")
    await world.put(boards, ALICE, ["good"] * 3, first=410)
    assert (await world.projects.card(ALICE, "boards")).since == "3 new since version 1"
    await world.trained(ALICE, "boards")
    states = {one.number: one.state for one in await world.training.versions(BOB, "boards")}
    assert states == {1: "active", 2: "candidate"}
    assert (await world.training.use(ALICE, "boards", 2)).state == "active"
    assert (await world.projects.card(ALICE, "boards")).since == ""
    assert (await world.training.use(ALICE, "boards", 1)).state == "active"
    assert {one.number: one.state for one in await world.training.versions(BOB, "boards")} == {
        1: "active",
        2: "retired",
    }
    with pytest.raises(UserError, match="no version 9"):
        await world.training.use(ALICE, "boards", 9)
    with pytest.raises(NotAllowedError, match="train the model"):
        await world.training.use(BOB, "boards", 2)


async def test_what_was_tested_on_is_tested_on_for_good(world: World, boards: Project) -> None:
    world.learner.tested = 2
    await world.trained(ALICE, "boards")
    await world.put(boards, ALICE, ["good"] * 3, first=420)
    world.learner.tested = 0
    await world.trained(ALICE, "boards")
    first, second = world.learner.snapshots
    assert {item.part for item in first.items} == {TRAIN}
    kept = {item.sha256 for item in second.items if item.part == TEST}
    assert len(kept) == 2 and kept == {item.sha256 for item in first.items[:2]}


async def test_too_little_to_learn_from_is_said_in_a_sentence(world: World) -> None:
    shelf, training = world.projects, world.training
    parts = await shelf.new(ALICE, "parts")
    await world.put(parts, ALICE, ["scratch"])
    with pytest.raises(UserError, match="No good picture yet: one is enough to begin with"):
        await training.train(ALICE, "parts")
    await world.put(parts, ALICE, ["good"], first=440)
    assert "the limit is only a guess" in (await shelf.card(ALICE, "parts")).advice
    assert (await training.train(ALICE, "parts")).request.count == 2  # type: ignore[attr-defined]
    await world.put(parts, ALICE, ["good"] * 2, first=450)
    assert "may stop 1 good part in 4. 4 are better" in (await shelf.card(ALICE, "parts")).advice
    pets = await shelf.new(ALICE, "pets", "classify")
    await world.put(pets, ALICE, ["cat"] * 3 + ["dog"] * 2)
    with pytest.raises(UserError, match="2 labels with 3 pictures each; there are 3 of cat, 2 of dog"):
        await training.train(ALICE, "pets")
    ink = await shelf.new(ALICE, "ink", "style")
    await world.put(ink, ALICE, [""] * 4)
    with pytest.raises(UserError, match="5 to 40 pictures; there are 4"):
        await training.train(ALICE, "ink")
    await world.put(ink, ALICE, [""], first=430)
    new = await training.train(ALICE, "ink")
    assert (new.request.task, new.request.words, new.request.count) == ("style", "ink", 5)  # type: ignore[attr-defined]
    job = await world.ended(ALICE, new)
    found, version = await world.inference.style(BOB, "ink")
    assert found.id == ink.id and version.job_id == job.id
    assert len(world.learner.snapshots[-1].items) == 5


async def test_a_training_that_the_machine_lacks_software_for_is_refused_with_what_to_install(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(profiles, "is_installed", lambda package: package != "onnx")
    async with open_world(tmp_path) as world:
        parts = await world.projects.new(ALICE, "parts")
        await world.put(parts, ALICE, ["good"] * 4)
        assert (await world.projects.card(ALICE, "parts")).advice == profiles.NO_TRAINING
        with pytest.raises(UserError, match="make setup EXTRAS=train"):
            await world.training.train(ALICE, "parts")
        ink = await world.projects.new(ALICE, "ink", "style")
        await world.put(ink, ALICE, [""] * 5)
        assert (await world.training.train(ALICE, "ink")).request.kind == "train"
    elsewhere = {"BUS_URL": "nats://127.0.0.1:4222"}  # a remote worker may well have it
    assert ProjectLimits.of(load_settings(elsewhere, tmp_path / "none.env")).trains


async def test_a_server_has_two_trainings_waiting_at_most(world: World, boards: Project) -> None:
    await world.services.queue.pause(1)
    for _ in range(2):
        await world.studio.submit(ALICE, await world.training.train(ALICE, "boards"))
    with pytest.raises(LimitError, match="2 trainings wait or run already; the limit is 2"):
        await world.studio.submit(ALICE, await world.training.train(ALICE, "boards"))
    waiting = (await world.projects.card(ALICE, "boards")).training
    await world.studio.cancel(ALICE, waiting)
    await world.studio.submit(ALICE, await world.training.train(ALICE, "boards"))


async def test_a_threshold_moves_along_the_good_pictures_and_is_kept_only_when_told(
    world: World, boards: Project
) -> None:
    world.learner.tested = 3
    await world.trained(ALICE, "boards")
    tried = await world.training.threshold(ALICE, "boards", "stricter")
    assert (tried.threshold, tried.promise) == (1.2, pytest.approx(2 / 5)) and not tried.kept
    assert tried.stopped[1] + tried.found[1] == 3
    assert tried.sentence.startswith("It stops about 4 good parts in 10;")
    assert (await world.training.versions(ALICE, "boards"))[0].threshold == LIMIT
    await world.training.threshold(ALICE, "boards", "stricter", keep=True)
    assert (await world.training.versions(ALICE, "boards"))[0].threshold == 1.2
    assert (await world.training.threshold(ALICE, "boards", "looser")).threshold == 1.5
    assert (await world.training.threshold(ALICE, "boards", "usual", keep=True)).threshold == 1.5
    assert (await world.training.threshold(ALICE, "boards", "looser")).threshold == pytest.approx(1.65)
    assert (await world.training.threshold(ALICE, "boards", "fewest")).threshold == pytest.approx(1.5)
    with pytest.raises(UserError, match="usual, stricter, looser, fewest"):
        await world.training.threshold(ALICE, "boards", "sideways")
    with pytest.raises(NotAllowedError, match="owner, or somebody with Manage Server"):
        await world.training.threshold(BOB, "boards", "stricter")


async def test_several_shots_of_one_part_promise_no_more_than_one(world: World, boards: Project) -> None:
    world.learner.groups = [0, 0, 1, 1]  # of the scores 1.0, 1.2, 0.8 and 1.5
    await world.trained(ALICE, "boards")
    usual = await world.training.threshold(ALICE, "boards", "usual")
    stricter = await world.training.threshold(ALICE, "boards", "stricter")
    assert (usual.threshold, usual.promise) == (1.5, pytest.approx(1 / 3))
    assert (stricter.threshold, stricter.promise) == (1.2, pytest.approx(2 / 3))


async def test_versions_are_compared_on_what_both_were_tested_on(world: World, boards: Project) -> None:
    everything = [one.sha256 for one in await world.dataset.page(ALICE, "boards")]
    good = [one.sha256 for one in await world.dataset.page(ALICE, "boards", label="good")]
    world.learner.tested, world.learner.score = 7, 9.0  # calls everything strange
    await world.trained(ALICE, "boards")
    world.learner.said = {name: 0.1 if name in good else 9.0 for name in everything}
    await world.trained(ALICE, "boards")
    told = await world.training.compare(BOB, "boards", 1, 2)
    assert "no clear difference" in told and "right on 5" in told, "five against none is what chance does too"
    with pytest.raises(UserError, match="no version 3"):
        await world.training.compare(BOB, "boards", 1, 3)


def test_a_difference_is_told_from_six_against_none_on() -> None:
    assert verdict([False] * 6 + [True] * 4, [True] * 10, 1, 2).startswith(
        "Version 2 is better than version 1"
    )
    assert verdict([True] * 10, [False] * 8 + [True] * 2, 1, 2).startswith("Version 1 is better")
    assert "no clear difference" in verdict([True] * 4, [True] * 4, 1, 2)


def test_so_many_strange_pictures_are_told_and_chance_is_not() -> None:
    assert drift(Tally(19, 19), 0.05) == "" and drift(Tally(40, 3), 0.05) == ""
    assert drift(Tally(40, 9), None) == ""
    assert drift(Tally(40, 9), 0.05).startswith("9 of 40 pictures were unusual")
    assert drift(Tally(5000, 230), 0.05) == "" and drift(Tally(5000, 320), 0.05) != ""


async def test_a_training_s_charts_are_no_pictures_of_its_asker(world: World, boards: Project) -> None:
    job = await world.trained(ALICE, "boards")
    result = await world.studio.rights.result(ALICE, job.id, Action.SHOW)
    assert result.pictures == () and result.grid is not None
    assert (await world.studio.gallery.pictures(ALICE, Filter())).tiles == ()


async def test_a_report_has_its_charts_and_says_when_it_is_weak(world: World, boards: Project) -> None:
    world.learner.tested = 2
    await world.trained(ALICE, "boards")
    report = await world.training.report(BOB, "boards")
    assert sum(report.parts["train"].values()) == 5 and sum(report.parts["test"].values()) == 2
    assert report.charts == ("scores", "report")
    promised, learned, *_ = report.sentences
    assert promised == "It stops about 1 good part in 5; show it more good ones to lower that."
    assert learned == "It has learned." and any("weak" in one for one in report.sentences)
    assert report.exact.startswith("Exactly: on average over trainings at most 20.0 % of new good parts")
    data, media_type = await world.training.chart(BOB, "boards", 1, "report")
    assert data and media_type.startswith("image/")
    with pytest.raises(ImageError, match="no chart 'secret'"):
        await world.training.chart(BOB, "boards", 1, "secret")


async def test_a_training_that_fails_leaves_no_version(world: World, boards: Project) -> None:
    def broken(request: object, run: object) -> None:
        raise OSError("the disk is gone")

    world.learner.learned = broken  # type: ignore[assignment,method-assign]
    submitted = await world.studio.submit(ALICE, await world.training.train(ALICE, "boards"))
    async for _ in await world.studio.watch(ALICE, submitted.job.id):
        pass
    job = await world.services.queue.job(submitted.job.id)
    assert job is not None and job.status is Status.FAILED
    assert await world.training.versions(ALICE, "boards") == []
    assert (await world.projects.card(ALICE, "boards")).training == ""


async def test_a_project_of_one_s_own_is_trained_out_of_sight(world: World) -> None:
    mine = await world.projects.new(ALONE, "mine")
    await world.put(mine, ALICE, ["good"] * 4)
    job = await world.trained(ALICE, "mine")
    assert job.origin.private
    with pytest.raises(NotAllowedError):
        await world.training.trained(BOB, job.id)


async def test_one_version_is_used_whatever_happens_at_once(world: World, boards: Project) -> None:
    for _ in range(3):
        await world.trained(ALICE, "boards")
    database = world.services.database
    for number in (2, 3, 1, 3):
        assert await database.write(lambda c, n=number: versions.use_version(c, boards.id, n))
        used = [one for one in await world.training.versions(ALICE, "boards") if one.state == "active"]
        assert [one.number for one in used] == [number]
