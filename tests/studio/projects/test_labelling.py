"""What people call pictures: their voices, boxes and masks, and labels of other programs."""

from __future__ import annotations

import io
import zipfile

import pytest

from core.errors import ImageError, NotAllowedError, UserError
from storage.projects.rows import Project
from tests.studio.conftest import ALICE, BOB, MIRA, Sent, png
from tests.studio.projects.conftest import World


async def test_two_who_disagree_make_a_picture_disputed_until_one_gives_way(
    world: World, boards: Project
) -> None:
    labelling = world.projects.labelling
    await world.projects.shelf.share(ALICE, "boards", 0, ["label"])
    [fresh] = await world.put(boards, ALICE, [""], first=300)
    assert (await labelling.mark(ALICE, "boards", fresh, "good")).state == "labelled"
    disputed = await labelling.mark(BOB, "boards", fresh, "scratch")
    assert (disputed.state, disputed.label) == ("disputed", "")
    assert [mark.label for mark in await labelling.marks(MIRA, "boards", fresh)] == ["good", "scratch"]
    assert (await labelling.mark(BOB, "boards", fresh, "good")).label == "good"
    await labelling.mark(BOB, "boards", fresh, "")
    assert (await labelling.mark(ALICE, "boards", fresh, "")).state == "new"


async def test_what_is_disputed_is_asked_first_and_what_is_skipped_is_not_asked(
    world: World, boards: Project
) -> None:
    labelling = world.projects.labelling
    fresh = await world.put(boards, ALICE, ["", "", "good"], first=310)
    await labelling.mark(MIRA, "boards", fresh[2], "scratch")
    first = await labelling.next(ALICE, "boards")
    assert first is not None and first.sha256 == fresh[2]
    rest = await labelling.next(ALICE, "boards", [fresh[2]])
    assert rest is not None and rest.sha256 in fresh[:2]
    assert await labelling.next(ALICE, "boards", fresh) is None


async def test_boxes_and_a_mask_belong_to_a_word(world: World, boards: Project) -> None:
    [fresh] = await world.put(boards, ALICE, [""], first=320)
    box = ("scratch", 0.1, 0.2, 0.5, 0.9)
    mask = Sent(png(32, 32, (255, 255, 255)), "mask.png")
    await world.projects.labelling.mark(ALICE, "boards", fresh, "scratch", [box], mask)
    [mark] = await world.projects.labelling.marks(ALICE, "boards", fresh)
    assert mark.boxes == (box,) and mark.mask is not None
    assert world.services.files.exists(mark.mask)
    await world.projects.pictures.remove(ALICE, "boards", [fresh])
    await world.services.privacy.delete(ALICE.user_id)
    assert not world.services.files.exists(mark.mask)


@pytest.mark.parametrize("box", [(0.5, 0, 0.5, 1), (0, 0, 1.1, 1), (-0.1, 0, 1, 1), (0, 0.9, 1, 0.2)])
async def test_a_box_lies_in_its_picture(world: World, boards: Project, box: tuple[float, ...]) -> None:
    first = (await world.projects.pictures.page(ALICE, "boards", limit=1))[0].sha256
    with pytest.raises(UserError, match="from left to right"):
        await world.projects.labelling.mark(ALICE, "boards", first, "scratch", [("scratch", *box)])  # type: ignore[list-item]


async def test_a_picture_that_is_not_there_or_a_right_that_is_not_given(
    world: World, boards: Project
) -> None:
    with pytest.raises(ImageError, match="isn't in this project"):
        await world.projects.labelling.mark(ALICE, "boards", "ab" * 32, "good")
    with pytest.raises(NotAllowedError, match="label pictures"):
        await world.projects.labelling.mark(BOB, "boards", "ab" * 32, "good")
    with pytest.raises(NotAllowedError, match="take away"):
        await world.projects.labelling.export(BOB, "boards", "csv")


async def test_what_is_left_out_is_learned_from_no_more_until_it_is_taken_in(
    world: World, boards: Project
) -> None:
    one = (await world.projects.pictures.page(ALICE, "boards", label="good"))[0].sha256
    await world.projects.labelling.leave_out(ALICE, "boards", [one])
    assert (await world.projects.shelf.card(ALICE, "boards")).counts.labels["good"] == 4
    await world.projects.labelling.leave_out(ALICE, "boards", [one], out=False)
    assert (await world.projects.shelf.card(ALICE, "boards")).counts.labels["good"] == 5


@pytest.mark.parametrize("form", ["csv", "coco", "yolo"])
async def test_labels_that_were_taken_out_come_back_as_they_were(
    world: World, boards: Project, form: str
) -> None:
    labelling = world.projects.labelling
    scratched = (await world.projects.pictures.page(ALICE, "boards", label="scratch"))[0].sha256
    box = ("scratch", 0.125, 0.25, 0.5, 0.75)
    await labelling.mark(ALICE, "boards", scratched, "scratch", [box])
    data = await labelling.export(ALICE, "boards", form)
    assert zipfile.ZipFile(io.BytesIO(data)).testzip() is None
    assert data == await labelling.export(ALICE, "boards", form), "the same labels are the same bytes"
    everything = [one.sha256 for one in await world.projects.pictures.page(ALICE, "boards")]
    for sha256 in everything:
        await labelling.mark(ALICE, "boards", sha256, "")
    found = await labelling.import_(ALICE, "boards", Sent(data, "labels.zip"))
    assert (found.labelled, found.boxes, found.unknown) == (7, 1, 0)
    assert (await world.projects.shelf.card(ALICE, "boards")).counts.labels == {"good": 5, "scratch": 2}
    [mark] = await labelling.marks(ALICE, "boards", scratched)
    assert mark.boxes[0] == pytest.approx(box)


async def test_rows_of_other_pictures_are_counted_and_a_file_of_something_else_is_refused(
    world: World, boards: Project
) -> None:
    table = Sent(b"file,label\nelsewhere.png,good\n", "labels.csv")
    assert (await world.projects.labelling.import_(ALICE, "boards", table)).unknown == 1
    with pytest.raises(ImageError, match="columns file and label"):
        await world.projects.labelling.import_(ALICE, "boards", Sent(b"hello", "labels.csv"))
