"""A version at work: verdicts, *Wrong?*, tables and bundles."""

import pytest

from core.errors import ImageError, NotAllowedError, UserError
from core.requests.custom_models import InspectRequest
from core.results import TEST, LearnedFrom
from storage.projects.projects import Project
from studio.projects.inference import golden
from tests.studio.conftest import ALICE, BOB, Sent
from tests.studio.projects.conftest import World, sent


async def _tried(world: World, *seeds: int) -> str:
    new = await world.inference.try_(BOB, "boards", [sent(seed) for seed in seeds])
    return (await world.ended(BOB, new)).id


async def test_a_member_asks_the_model_and_its_limit_goes_along(world: World, boards: Project) -> None:
    await world.trained(ALICE, "boards")
    await world.training.threshold(ALICE, "boards", "stricter", keep=True)
    new = await world.inference.try_(BOB, "boards", [sent(500), sent(501)])
    assert isinstance(new.request, InspectRequest)
    assert (new.request.version, new.request.limit, len(new.request.images)) == (1, 1.2, 2)
    job = await world.ended(BOB, new)
    said = await world.inference.judged(BOB, job.id)
    assert [one.position for one in said] == [0, 1] and all(one.strange for one in said)
    tally = (await world.projects.card(BOB, "boards")).tally
    assert (tally.verdicts, tally.strange) == (2, 2)
    table = (await world.inference.table(BOB, job.id)).decode().splitlines()
    assert table[0] == "picture,version,score,strange,label,found" and table[1] == "1,1,2,1,,"


async def test_a_model_that_is_not_there_is_said_so(world: World, boards: Project) -> None:
    with pytest.raises(UserError, match="no model yet. Train it first"):
        await world.inference.try_(BOB, "boards", [sent(1)])
    await world.trained(ALICE, "boards")
    for pictures in ([], [sent(1)] * 51):
        with pytest.raises(UserError, match=f"{len(pictures)} pictures; a try takes 1 to 50"):
            await world.inference.try_(BOB, "boards", pictures)
    with pytest.raises(ImageError, match="can't be read"):
        await world.inference.try_(BOB, "boards", [Sent(b"no")])
    await world.projects.share(ALICE, "boards", 0, ["add"])
    with pytest.raises(NotAllowedError, match="use the model"):
        await world.inference.try_(BOB, "boards", [sent(1)])


async def test_a_false_alarm_joins_the_good_ones_and_is_counted(world: World, boards: Project) -> None:
    await world.trained(ALICE, "boards")
    job_id = await _tried(world, 510)
    told = await world.inference.answer(BOB, job_id, 0, right=False)
    assert told == "Saved. Someone with permission to add and label pictures can train it on this one."
    assert (await world.projects.card(BOB, "boards")).tally.wrong == 1
    assert await world.inference.answer(ALICE, job_id, 0, right=False) == "Saved; 1 new since version 1."
    assert (await world.projects.card(BOB, "boards")).counts.labels == {"good": 6, "scratch": 2}
    assert (await world.projects.card(BOB, "boards")).since == "1 new since version 1"
    assert (await world.inference.judged(BOB, job_id))[0].is_right is False


async def test_a_missed_defect_needs_a_name(world: World, boards: Project) -> None:
    await world.trained(ALICE, "boards")
    world.learner.score = 0.5
    job_id = await _tried(world, 520)
    assert "Say what it is" in await world.inference.answer(ALICE, job_id, 0, right=False)
    assert (
        await world.inference.answer(ALICE, job_id, 0, right=False, label="dent")
        == "Saved; 1 new since version 1."
    )
    assert (await world.projects.card(BOB, "boards")).counts.labels["dent"] == 1
    assert await world.inference.answer(ALICE, job_id, 0, right=True) == "Saved."
    with pytest.raises(ImageError, match="no verdict number 2"):
        await world.inference.answer(ALICE, job_id, 1, right=True)
    drawn = (await world.drawn(ALICE)).job.id
    with pytest.raises(ImageError, match="has no verdict"):
        await world.inference.answer(ALICE, drawn, 0, right=True)


async def test_a_picture_that_was_tested_on_stays_for_testing_after_its_label_changed(
    world: World, boards: Project
) -> None:
    world.learner.tested = 1
    await world.trained(ALICE, "boards")
    tested = world.learner.snapshots[0].items[0]
    await world.labelling.mark(ALICE, "boards", tested.sha256, "scratch")
    await world.trained(ALICE, "boards")
    [again] = [item for item in world.learner.snapshots[1].items if item.sha256 == tested.sha256]
    assert (again.part, again.label) == (TEST, "scratch")


async def test_a_bundle_is_for_those_who_may_export(world: World, boards: Project) -> None:
    await world.trained(ALICE, "boards")
    with pytest.raises(NotAllowedError, match="export from"):
        await world.inference.bundle(BOB, "boards")
    job = await world.ended(ALICE, await world.inference.bundle(ALICE, "boards"))
    [(file, data)] = await world.inference.files(ALICE, job.id)
    assert (file.name, file.media_type) == ("boards-v1.zip", "application/zip")
    assert data.startswith(b"bundle of model of")
    with pytest.raises(NotAllowedError, match="export from"):
        await world.inference.files(BOB, job.id)


def test_a_bundle_is_proven_with_every_label_and_first_with_what_was_not_learned() -> None:
    learned = [
        LearnedFrom(f"{n:064x}", label, part=part)
        for n, (label, part) in enumerate(
            [("good", "train")] * 5 + [("good", TEST)] + [("dent", "train")] * 2 + [("scratch", TEST)]
        )
    ]
    found = golden(learned)
    assert len(found) == len(set(found)) == 6
    assert {learned[int(name, 16)].label for name in found} == {"good", "dent", "scratch"}
    assert f"{5:064x}" in found and golden([]) == ()
