"""What people call pictures: their voices, boxes and masks, and labels of other programs."""

import io
import json
import zipfile

import pytest

from core.errors import ImageError, NotAllowedError, UserError
from storage.projects.projects import Project
from studio.media.masks import Bits, write_mask
from tests.studio.conftest import ALICE, BOB, MIRA, Sent
from tests.studio.projects.conftest import ALONE, LIMIT, World, noise, painted, sent_mask, zipped

POLYGON = [0, 0, 16, 0, 16, 32, 0, 32]


async def test_two_who_disagree_make_a_picture_disputed_until_one_gives_way(
    world: World, boards: Project
) -> None:
    await world.projects.share(ALICE, "boards", 0, ["label"])
    [fresh] = await world.put(boards, ALICE, [""], first=300)
    assert (await world.labelling.mark(ALICE, "boards", fresh, "good")).state == "labelled"
    disputed = await world.labelling.mark(BOB, "boards", fresh, "scratch")
    assert (disputed.state, disputed.label) == ("disputed", "")
    assert [mark.label for mark in await world.labelling.marks(MIRA, "boards", fresh)] == ["good", "scratch"]
    assert (await world.labelling.mark(BOB, "boards", fresh, "good")).label == "good"
    await world.labelling.mark(BOB, "boards", fresh, "")
    assert (await world.labelling.mark(ALICE, "boards", fresh, "")).state == "new"


async def test_what_is_disputed_is_asked_first_and_what_is_skipped_is_not_asked(
    world: World, boards: Project
) -> None:
    fresh = await world.put(boards, ALICE, ["", "", "good"], first=310)
    await world.labelling.mark(MIRA, "boards", fresh[2], "scratch")
    first = await world.labelling.next(ALICE, "boards")
    assert first is not None and first.sha256 == fresh[2]
    rest = await world.labelling.next(ALICE, "boards", [fresh[2]])
    assert rest is not None and rest.sha256 in fresh[:2]
    assert await world.labelling.next(ALICE, "boards", fresh) is None


async def test_a_label_counts_when_as_many_people_gave_it_as_the_project_asks_for(
    world: World, boards: Project
) -> None:
    await world.projects.share(ALICE, "boards", 0, ["label"])
    assert (await world.projects.set_voices(ALICE, "boards", 2)).voices == 2
    counts = (await world.projects.card(ALICE, "boards")).counts
    assert (counts.labels, counts.states, counts.voiced, counts.said) == ({}, {"new": 7}, 7, 7)
    assert await world.labelling.next(ALICE, "boards") is None, "hers are all said"
    asked = await world.labelling.next(BOB, "boards")
    assert asked is not None
    [hers] = await world.labelling.marks(BOB, "boards", asked.sha256)
    agreed = await world.labelling.mark(BOB, "boards", asked.sha256, hers.label)
    assert (agreed.state, agreed.label) == ("labelled", hers.label)
    other = await world.labelling.next(BOB, "boards")
    assert other is not None and other.sha256 != asked.sha256
    [hers] = await world.labelling.marks(BOB, "boards", other.sha256)
    opposite = {"good": "scratch", "scratch": "good"}[hers.label]
    assert (await world.labelling.mark(BOB, "boards", other.sha256, opposite)).state == "disputed"
    again = await world.labelling.next(ALICE, "boards")
    assert again is not None and again.sha256 == other.sha256
    with pytest.raises(UserError, match="it takes 1 to 3"):
        await world.projects.set_voices(ALICE, "boards", 4)
    with pytest.raises(NotAllowedError, match="Only the project's owner"):
        await world.projects.set_voices(BOB, "boards", 1)
    await world.projects.set_voices(ALICE, "boards", 1)
    counts = (await world.projects.card(ALICE, "boards")).counts
    assert (counts.voiced, counts.states) == (0, {"disputed": 1, "labelled": 6})


async def test_voices_of_one_person_are_one_and_a_training_learns_from_what_is_agreed_on(
    world: World, boards: Project
) -> None:
    await world.projects.share(ALICE, "boards", 0, ["label"])
    await world.projects.set_voices(ALICE, "boards", 2)
    pictures = await world.dataset.page(ALICE, "boards")
    for _ in range(2):
        assert (await world.labelling.mark(ALICE, "boards", pictures[0].sha256, "good")).label == ""
    with pytest.raises(UserError, match="No good picture yet"):
        await world.training.train(ALICE, "boards")
    await world.labelling.mark(BOB, "boards", pictures[0].sha256, "good")
    await world.trained(ALICE, "boards")
    assert [item.sha256 for item in world.learner.snapshots[0].items] == [pictures[0].sha256]


async def test_nobody_else_labels_one_s_own_project(world: World) -> None:
    await world.projects.new(ALONE, "mine")
    with pytest.raises(UserError, match="Nobody else labels this one"):
        await world.projects.set_voices(ALONE, "mine", 2)
    assert (await world.projects.set_voices(ALONE, "mine", 1)).voices == 1


async def test_after_it_has_looked_what_the_model_is_least_sure_of_comes_first(
    world: World, boards: Project
) -> None:
    with pytest.raises(UserError, match="no model yet"):
        await world.inference.look_through(ALICE, "boards")
    await world.trained(ALICE, "boards")
    with pytest.raises(UserError, match="has scanned every picture"):
        await world.inference.look_through(ALICE, "boards")
    calm, near, odd, odder, late = await world.put(boards, ALICE, [""] * 5, first=330)
    world.learner.scores = {calm: 0.2 * LIMIT, near: 1.1 * LIMIT, odd: 2 * LIMIT, odder: 3 * LIMIT}
    await world.ended(ALICE, await world.inference.look_through(ALICE, "boards"))
    [unseen] = await world.put(boards, ALICE, [""], first=340)
    disputed = (await world.dataset.page(ALICE, "boards", label="scratch"))[0].sha256
    await world.labelling.mark(MIRA, "boards", disputed, "good")
    seen: list[str] = []
    while (one := await world.labelling.next(ALICE, "boards", after=seen[-1] if seen else "")) is not None:
        if one.sha256 in seen:
            break
        seen.append(one.sha256)
    world.learner.score = 2.0
    assert seen[:4] == [disputed, near, odder, odd] and set(seen[4:]) == {calm, late, unseen}
    assert one is not None and one.sha256 == disputed, "and then from the beginning"
    await world.labelling.mark(ALICE, "boards", disputed, "good")
    following = await world.labelling.next(ALICE, "boards", after=disputed)
    assert following is not None and following.sha256 == near, "where it was, though it has its label now"
    with pytest.raises(NotAllowedError, match="label pictures"):
        await world.inference.look_through(BOB, "boards")


async def test_labels_that_are_probably_wrong_are_looked_at_again_until_somebody_has(
    world: World, boards: Project
) -> None:
    assert await world.labelling.doubted(ALICE, "boards") is None, "no model yet"
    every = sorted(await world.dataset.page(ALICE, "boards"), key=lambda one: one.sha256)
    other = {"good": "scratch", "scratch": "good"}
    world.learner.doubtful = [
        {"place": place, "label": every[place].label, "rather": other[every[place].label]}
        for place in (3, 0, 5)
    ]
    await world.trained(ALICE, "boards")
    first = await world.labelling.doubted(ALICE, "boards")
    assert first is not None and first.version == 1
    assert (first.item.sha256, first.rather) == (every[3].sha256, other[every[3].label])
    second = await world.labelling.doubted(ALICE, "boards", after=every[3].sha256)
    assert second is not None and second.item.sha256 == every[0].sha256
    assert await world.labelling.doubted(ALICE, "boards", after=every[5].sha256) is None
    await world.labelling.mark(ALICE, "boards", every[3].sha256, every[3].label)  # it is right
    await world.labelling.mark(ALICE, "boards", every[0].sha256, other[every[0].label])  # it isn't
    third = await world.labelling.doubted(ALICE, "boards")
    assert third is not None and third.item.sha256 == every[5].sha256
    assert await world.labelling.doubted(ALICE, "boards", [every[5].sha256]) is None
    with pytest.raises(NotAllowedError, match="label pictures"):
        await world.labelling.doubted(BOB, "boards")


async def test_labels_go_out_with_their_pictures_and_come_back_as_they_were(
    world: World, boards: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = b"".join([part async for part in world.labelling.pack(ALICE, "boards", "csv")])
    archive = zipfile.ZipFile(io.BytesIO(packed))
    assert len([name for name in archive.namelist() if name.startswith("images/")]) == 7
    await world.projects.new(ALICE, "again")
    await world.projects.put_label(ALICE, "again", "scratch")
    brought = await world.dataset.add_zip(ALICE, "again", Sent(packed, "boards.zip"))
    assert len(brought.new) == 7
    assert (await world.projects.card(ALICE, "again")).counts.labels == {"good": 5, "scratch": 2}
    monkeypatch.setattr("studio.projects.labels.MOST_TAKEN", 1000)
    with pytest.raises(UserError, match="Export the labels alone"):
        await anext(world.labelling.pack(ALICE, "boards", "csv"))


async def test_boxes_and_a_mask_belong_to_a_word(world: World, boards: Project) -> None:
    [fresh] = await world.put(boards, ALICE, [""], first=320)
    box = ("scratch", 0.1, 0.2, 0.5, 0.9)
    mask = await sent_mask(world, ALICE, painted())
    await world.labelling.mark(ALICE, "boards", fresh, "scratch", [box], mask)
    [mark] = await world.labelling.marks(ALICE, "boards", fresh)
    assert mark.boxes == (box,) and mark.mask == mask
    assert await world.labelling.mask(ALICE, "boards", fresh, mask) == painted()
    with pytest.raises(ImageError, match="no such mask"):
        await world.labelling.mask(ALICE, "boards", fresh, "ab" * 32)
    with pytest.raises(NotAllowedError, match="label pictures"):
        await world.labelling.mask(BOB, "boards", fresh, mask)
    parts = [part async for part in world.studio.own.export(ALICE, 10**7)]
    [archive] = [zipfile.ZipFile(io.BytesIO(part)) for part in parts]
    assert f"pictures/{mask}.png" in archive.namelist()
    await world.trained(ALICE, "boards")
    assert {item.mask for item in world.learner.snapshots[0].items} == {"", mask}
    await world.dataset.remove(ALICE, "boards", [fresh])
    await world.services.privacy.delete(ALICE.user_id)
    assert not world.services.files.exists(mask)


async def test_a_mask_is_one_s_own_fits_its_picture_and_marks_something(
    world: World, boards: Project
) -> None:
    await world.projects.share(ALICE, "boards", 0, ["label"])
    [fresh] = await world.put(boards, ALICE, [""], first=350)
    hers = await sent_mask(world, ALICE, painted())
    with pytest.raises(ImageError, match="mask is gone"):
        await world.labelling.mark(BOB, "boards", fresh, "scratch", (), hers)
    small = await sent_mask(world, ALICE, painted(16, 16))
    with pytest.raises(ImageError, match="has 16×16 px; its picture has 32×32 px"):
        await world.labelling.mark(ALICE, "boards", fresh, "scratch", (), small)
    empty = await sent_mask(world, ALICE, write_mask(Bits(32, 32, bytes(128))))
    with pytest.raises(ImageError, match="mask is empty"):
        await world.labelling.mark(ALICE, "boards", fresh, "scratch", (), empty)
    with pytest.raises(ImageError, match="isn't a mask"):
        await world.labelling.mark(ALICE, "boards", fresh, "scratch", (), fresh)
    assert await world.labelling.marks(ALICE, "boards", fresh) == []


async def test_masks_go_out_and_come_back_as_coco(world: World, boards: Project) -> None:
    [fresh] = await world.put(boards, ALICE, [""], first=360)
    mask = await sent_mask(world, ALICE, painted())
    box = ("scratch", 0.5, 0.5, 1.0, 1.0)
    await world.labelling.mark(ALICE, "boards", fresh, "scratch", (), mask)
    packed = await world.labelling.export(ALICE, "boards", "coco")
    told = json.loads(zipfile.ZipFile(io.BytesIO(packed)).read("annotations.json"))
    [outlined] = [one for one in told["annotations"] if "segmentation" in one]
    assert (outlined["bbox"], outlined["area"]) == ([0, 0, 16, 32], 512)
    await world.labelling.mark(ALICE, "boards", fresh, "good")
    assert (await world.labelling.import_(ALICE, "boards", Sent(packed, "labels.zip"))).labelled == 8
    [mark] = await world.labelling.marks(ALICE, "boards", fresh)
    assert (mark.label, mark.boxes, mark.mask) == ("scratch", (), mask), "the same pixels, the same file"
    # as other tools have them: polygons beside boxes, for a picture that comes along
    other = {
        "images": [{"id": 1, "file_name": "a.png", "width": 32, "height": 32}],
        "categories": [{"id": 1, "name": "scratch"}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "bbox": [0, 0, 16, 32], "segmentation": [POLYGON]},
            {"image_id": 1, "category_id": 1, "bbox": [16, 16, 16, 16]},
        ],
    }
    files = {"a.png": noise(361), "annotations.json": json.dumps(other).encode()}
    added = await world.dataset.add_zip(ALICE, "boards", zipped(files))
    [mark] = await world.labelling.marks(ALICE, "boards", added.new[0])
    assert (mark.label, mark.boxes, mark.mask) == ("scratch", (box,), mask)


@pytest.mark.parametrize("box", [(0.5, 0, 0.5, 1), (0, 0, 1.1, 1), (-0.1, 0, 1, 1), (0, 0.9, 1, 0.2)])
async def test_a_box_lies_in_its_picture(world: World, boards: Project, box: tuple[float, ...]) -> None:
    first = (await world.dataset.page(ALICE, "boards", limit=1))[0].sha256
    with pytest.raises(UserError, match="left, top, right, bottom"):
        await world.labelling.mark(ALICE, "boards", first, "scratch", [("scratch", *box)])  # type: ignore[list-item]


async def test_a_picture_that_is_not_there_or_a_right_that_is_not_given(
    world: World, boards: Project
) -> None:
    with pytest.raises(ImageError, match="isn't in this project"):
        await world.labelling.mark(ALICE, "boards", "ab" * 32, "good")
    with pytest.raises(NotAllowedError, match="label pictures"):
        await world.labelling.mark(BOB, "boards", "ab" * 32, "good")
    with pytest.raises(NotAllowedError, match="export from"):
        await world.labelling.export(BOB, "boards", "csv")


async def test_what_is_left_out_is_learned_from_no_more_until_it_is_taken_in(
    world: World, boards: Project
) -> None:
    one = (await world.dataset.page(ALICE, "boards", label="good"))[0].sha256
    await world.labelling.leave_out(ALICE, "boards", [one])
    assert (await world.projects.card(ALICE, "boards")).counts.labels["good"] == 4
    await world.labelling.leave_out(ALICE, "boards", [one], out=False)
    assert (await world.projects.card(ALICE, "boards")).counts.labels["good"] == 5


@pytest.mark.parametrize("form", ["csv", "coco", "yolo"])
async def test_labels_that_were_taken_out_come_back_as_they_were(
    world: World, boards: Project, form: str
) -> None:
    scratched = (await world.dataset.page(ALICE, "boards", label="scratch"))[0].sha256
    box = ("scratch", 0.125, 0.25, 0.5, 0.75)
    await world.labelling.mark(ALICE, "boards", scratched, "scratch", [box])
    data = await world.labelling.export(ALICE, "boards", form)
    assert zipfile.ZipFile(io.BytesIO(data)).testzip() is None
    assert data == await world.labelling.export(ALICE, "boards", form), "the same labels are the same bytes"
    everything = [one.sha256 for one in await world.dataset.page(ALICE, "boards")]
    for sha256 in everything:
        await world.labelling.mark(ALICE, "boards", sha256, "")
    found = await world.labelling.import_(ALICE, "boards", Sent(data, "labels.zip"))
    assert (found.labelled, found.boxes, found.unknown) == (7, 1, 0)
    assert (await world.projects.card(ALICE, "boards")).counts.labels == {"good": 5, "scratch": 2}
    [mark] = await world.labelling.marks(ALICE, "boards", scratched)
    assert mark.boxes[0] == pytest.approx(box)


async def test_rows_of_other_pictures_are_counted_and_a_file_of_something_else_is_refused(
    world: World, boards: Project
) -> None:
    table = Sent(b"file,label\nelsewhere.png,good\n", "labels.csv")
    assert (await world.labelling.import_(ALICE, "boards", table)).unknown == 1
    with pytest.raises(ImageError, match="columns file and label"):
        await world.labelling.import_(ALICE, "boards", Sent(b"hello", "labels.csv"))
