"""Projects that find objects: what is marked in pictures, what a training is told of it, and what is
found."""

import csv
import io
import json
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import ImageError, UserError
from core.events import Output
from core.requests.custom_models import DETECT, MARKED, InspectRequest, TrainRequest
from core.results import Region, Verdict
from storage.projects.projects import Project
from tests.jobs.conftest import eventually
from tests.studio.conftest import ALICE, BOB, Sent
from tests.studio.projects.conftest import Learner, World, noise, open_world, sent, zipped
from vision.protocol import Run

BOXES = [("nut", 0.1, 0.2, 0.3, 0.4), ("screw", 0.5, 0.5, 0.9, 0.8)]
FOUND = (Region(0.1, 0.2, 0.3, 0.4, 0.04, 3.0, "nut", 0.9), Region(0, 0, 0.5, 0.5, 0.25, 1.1, "=screw", 0.33))


class Finding(Learner):
    """Finds two objects in every picture, and of each training one of the two that were kept for testing.
    limits: that it was asked with."""

    def __init__(self) -> None:
        super().__init__()
        self.tested, self.limits = 2, list[float]()
        self.scores = [[0.9, 0.35], [0.32, 0.0]]

    def learned(self, request: TrainRequest, run: Run) -> Output:
        output = super().learned(request, run)
        assert output.learned is not None
        test = [
            {"objects": [["nut", one], ["screw", other]], "false": [["nut", 0.5]]}
            for one, other in self.scores
        ]
        metrics = {"test": test, "found": [3, 4], "labels": {}}
        return replace(output, learned=replace(output.learned, threshold=0.3, promise=None, metrics=metrics))

    def _judged(self, request: InspectRequest, model: Path) -> Output:
        self.limits.append(request.limit)
        said = tuple(
            Verdict(name, 0.9, False, "Found: 1 nut, 1 screw.", "1 nut, 1 screw", 0.3, (), FOUND)
            for name in request.images
        )
        told = [{"regions": [vars(one) for one in FOUND]} for _ in said]
        return Output(verdicts=said, parameters={"verdicts": told})


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, Finding()) as found:
        yield found


@pytest.fixture
async def trays(world: World) -> Project:
    """Alice's project in her server, with four pictures in which two objects are marked, and one without."""
    made = await world.projects.new(ALICE, "trays", DETECT)
    names = await world.put(made, ALICE, [""] * 5)
    for name in names[:4]:
        await world.labelling.mark(ALICE, "trays", name, "anything", BOXES)
    return made


async def _items(world: World, **which: str) -> list[str]:
    return [one.sha256 for one in await world.dataset.page(ALICE, "trays", **which)]


async def test_a_training_is_told_each_box_with_what_it_is_called(world: World, trays: Project) -> None:
    [empty] = await _items(world, state="new")
    await world.labelling.mark(ALICE, "trays", empty, MARKED)
    await world.trained(ALICE, "trays")
    told = {item.sha256: item for item in world.learner.snapshots[0].items}
    assert len(told) == 5 and told[empty].boxes == () and told[empty].label == MARKED
    others = [item for sha256, item in told.items() if sha256 != empty]
    assert {item.names for item in others} == {("nut", "screw")}
    assert {item.boxes for item in others} == {tuple(box[1:] for box in BOXES)}


async def test_the_latest_word_on_boxes_counts_and_is_something_new(world: World, trays: Project) -> None:
    await world.trained(ALICE, "trays")
    await world.projects.share(ALICE, "trays", 0, ["label"])
    first = (await _items(world, state="labelled"))[0]
    marked = await world.labelling.mark(BOB, "trays", first, MARKED, BOXES[:1])
    assert (marked.state, marked.label) == ("labelled", MARKED), "two who draw otherwise don't dispute"
    card = await world.projects.card(ALICE, "trays")
    assert card.since == "1 new since version 1" and dict(card.boxes) == {"nut": 4, "screw": 3}
    await world.trained(ALICE, "trays")
    told = {item.sha256: item.names for item in world.learner.snapshots[-1].items}
    assert told[first] == ("nut",)


async def test_boxes_have_labels_of_the_book_and_marked_is_none_of_them(world: World, trays: Project) -> None:
    card = await world.projects.card(ALICE, "trays")
    assert [one.name for one in card.book] == ["nut", "screw"] and dict(card.boxes) == {"nut": 4, "screw": 4}
    await world.projects.drop_label(ALICE, "trays", "screw", "nut")
    assert dict((await world.projects.card(ALICE, "trays")).boxes) == {"nut": 8}
    await world.projects.put_label(ALICE, "trays", "bolt")
    await world.projects.drop_label(ALICE, "trays", "nut")
    assert not (await world.projects.card(ALICE, "trays")).boxes
    with pytest.raises(UserError, match="has boxes|left out|leave `label` out"):
        await world.dataset.add(ALICE, "trays", [sent(900)], "nut")


async def test_too_few_marked_pictures_are_told_before_anything_is_queued(world: World) -> None:
    made = await world.projects.new(ALICE, "few", DETECT)
    [one, _] = await world.put(made, ALICE, ["", ""])
    await world.labelling.mark(ALICE, "few", one, MARKED, BOXES)
    with pytest.raises(UserError, match="1 picture with boxes; at least 4 are needed, and 10 are better"):
        await world.training.train(ALICE, "few")
    assert (await world.projects.card(ALICE, "few")).advice.startswith("1 picture with boxes")


@pytest.mark.parametrize("form", ["coco", "yolo", "csv"])
async def test_boxes_go_out_and_come_back_with_pictures_that_show_nothing(
    world: World, trays: Project, form: str
) -> None:
    [empty] = await _items(world, state="new")
    await world.labelling.mark(ALICE, "trays", empty, MARKED)
    data = await world.labelling.export(ALICE, "trays", form)
    names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    marked = await _items(world, state="labelled")
    for name in marked:
        await world.labelling.mark(ALICE, "trays", name, "")
    done = await world.labelling.import_(ALICE, "trays", Sent(data, "labels.zip"))
    assert (done.labelled, done.boxes, done.unknown) == (4, 8, 0), names
    card = await world.projects.card(ALICE, "trays")
    assert dict(card.boxes) == {"nut": 4, "screw": 4} and card.counts.labels == {MARKED: 4}
    assert {one.name for one in card.book} == {"nut", "screw"}, "marked is no label of the book"


async def test_a_zip_file_with_boxes_in_it_marks_its_pictures(world: World, trays: Project) -> None:
    files = {
        "folder/a.png": noise(700),
        "folder/b.png": noise(701),
        "data.yaml": b"names: [nut, washer]\n",
        "labels/a.txt": b"1 0.5 0.5 0.2 0.2\n0 0.2 0.2 0.1 0.1\n",
    }
    brought = await world.dataset.add_zip(ALICE, "trays", zipped(files))
    assert len(brought.new) == 2
    card = await world.projects.card(ALICE, "trays")
    assert dict(card.boxes) == {"nut": 5, "screw": 4, "washer": 1}
    assert card.counts.states == {"labelled": 5, "new": 2}, "a folder says nothing of objects"


async def test_another_threshold_is_told_kept_and_asked_with(world: World, trays: Project) -> None:
    await world.trained(ALICE, "trays")
    moved = await world.training.threshold(ALICE, "trays", "stricter", keep=True)
    assert moved.threshold == 0.4 and "1 of 4 objects in test pictures are found (3 now)" in moved.sentence
    await world.ended(ALICE, await world.inference.try_(ALICE, "trays", [sent(800)]))
    assert world.learner.limits == [0.4]  # type: ignore[attr-defined]
    report = await world.training.report(ALICE, "trays")
    assert any("from a score of 0.4 on" in sentence for sentence in report.sentences)


async def test_versions_are_compared_by_the_objects_that_each_finds(world: World, trays: Project) -> None:
    await world.trained(ALICE, "trays")
    world.learner.scores = [[0.9, 0.9], [0.9, 0.9]]  # type: ignore[attr-defined]
    await world.trained(ALICE, "trays", seed=1)
    said = await world.training.compare(ALICE, "trays", 1, 2)
    assert "4 marked objects show no clear difference" in said and "Wrong boxes: 2 of version 1, 2" in said


async def test_wrong_boxes_bring_their_picture_in_to_be_drawn_anew(world: World, trays: Project) -> None:
    await world.trained(ALICE, "trays")
    job = await world.ended(ALICE, await world.inference.try_(ALICE, "trays", [sent(810)]))
    assert "Draw its boxes" in await world.inference.answer(ALICE, job.id, 0, right=False)
    [judged] = await world.inference.judged(ALICE, job.id)
    assert judged.is_right is False and judged.sha256 in await _items(world, state="new")
    with pytest.raises(ImageError):
        await world.inference.answer(ALICE, job.id, 7, right=False)


async def test_a_deleted_member_s_pictures_are_learned_from_no_more(world: World, trays: Project) -> None:
    """The next training sees what it would have seen without them, to the byte."""
    bobs = await world.put(trays, BOB, [""] * 2, first=840)
    for name in bobs:
        await world.labelling.mark(ALICE, "trays", name, MARKED, BOXES[:1])
    await world.trained(ALICE, "trays")
    await world.services.privacy.delete(BOB.user_id)

    async def learned_again() -> bool:
        card = await world.projects.card(ALICE, "trays")
        return len(world.learner.snapshots) == 2 and not card.project.due

    await eventually(learned_again)
    assert world.learner.settled[0].without(bobs).sha256 == world.learner.snapshots[1].sha256
    assert {item.names for item in world.learner.snapshots[1].items} == {("nut", "screw")}
    assert not any(world.services.files.exists(name) for name in bobs)


async def test_a_table_has_a_line_for_each_object(world: World, trays: Project) -> None:
    await world.trained(ALICE, "trays")
    asked = await world.inference.try_(ALICE, "trays", [sent(820), sent(821)])
    job = await world.ended(ALICE, asked)
    rows = list(csv.DictReader(io.StringIO((await world.inference.table(ALICE, job.id)).decode())))
    assert [row["picture"] for row in rows] == ["1", "1", "2", "2"]
    assert [rows[0][name] for name in ("label", "score", "left", "bottom")] == ["nut", "0.9", "0.1", "0.4"]
    assert rows[1]["label"] == "'=screw", "no spreadsheet labels it a formula"
    assert json.dumps(rows)
