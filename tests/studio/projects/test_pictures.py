"""Pictures on their way into a project: by the door, in zip files, from jobs; and out of it again."""

import io
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from core.errors import ImageError, LimitError, NotAllowedError, UserError
from core.requests import ImagineRequest
from storage.projects.projects import Project
from studio.moderation.moderator import PictureCheck
from studio.new_job import NewJob
from studio.projects.dataset import Brought
from tests.studio.conftest import ALICE, BOB, MIRA, Sent, open_studio, png
from tests.studio.projects.conftest import World, noise, sent, zipped


def unpacked(packed: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return b"".join(archive.read(name) for name in archive.namelist())


async def test_pictures_come_with_a_label_and_the_same_one_twice_is_one(
    world: World, boards: Project
) -> None:
    brought = await world.dataset.add(
        ALICE, "boards", [sent(50), sent(51), sent(50)], "Scratch", together=True
    )
    assert len(brought.new) == 2 and len(brought.known) == 1
    there = await world.dataset.page(ALICE, "boards", label="scratch", limit=100)
    mine = [one for one in there if one.sha256 in brought.new]
    assert len(mine) == 2 and len({one.group for one in mine}) == 1 and mine[0].group, "shots of one part"
    assert (await world.dataset.add(ALICE, "boards", [sent(51)])).sentence == "0 taken, 1 here already."


async def test_what_is_no_picture_is_refused_alone(world: World, boards: Project) -> None:
    files = [sent(60), Sent(b"GIF89a", "video.gif"), Sent(b"no", "x.png")]
    brought = await world.dataset.add(ALICE, "boards", files)
    assert len(brought.new) == 1
    assert [name for name, _ in brought.refused] == ["`video.gif`", "`x.png`"]
    assert brought.sentence.startswith("1 taken, 2 refused: `video.gif` is a GIF; send PNG")


async def test_folders_of_a_zip_file_are_labels_and_say_nothing_else(world: World, boards: Project) -> None:
    files = {
        "parts/train/good/1.png": noise(70),
        "parts/test/scratch/1.png": noise(71),
        "parts/ground_truth/scratch/1_mask.png": noise(72),
        "images/2.jpg": png(form="JPEG"),
        "__MACOSX/x.png": noise(73),
        "../../escape.png": noise(74),
        "notes.docx": b"words",
        "more.zip": b"PK",
    }
    brought = await world.dataset.add_zip(ALICE, "boards", zipped(files))
    assert len(brought.new) == 4
    assert {why for _, why in brought.refused} == {
        "isn't a supported picture. Use PNG, JPEG or WebP.",
        "is an archive in an archive.",
    }
    counts = (await world.projects.card(ALICE, "boards")).counts
    assert counts.labels == {"good": 6, "scratch": 3} and counts.states["new"] == 2


async def test_label_files_in_a_zip_file_say_what_its_pictures_are_called(
    world: World, boards: Project
) -> None:
    files = {
        "images/a.png": noise(80),
        "images/b.png": noise(81),
        "labels/a.txt": b"1 0.5 0.5 0.2 0.4\n",
        "labels/b.txt": b"0 0.5 0.5 1 1\n",
        "data.yaml": b"names: [good, scratch]\n",
    }
    brought = await world.dataset.add_zip(ALICE, "boards", zipped(files))
    called = {}
    for sha256 in brought.new:
        [mark] = await world.labelling.marks(ALICE, "boards", sha256)
        called[mark.label] = mark.boxes
    assert called["good"] == ()
    assert called["scratch"][0] == pytest.approx(("scratch", 0.4, 0.3, 0.6, 0.7))


async def test_who_may_add_and_not_label_brings_pictures_without_labels(
    world: World, boards: Project
) -> None:
    await world.projects.share(ALICE, "boards", 0, ["add"])
    with pytest.raises(NotAllowedError, match="label pictures"):
        await world.dataset.add(BOB, "boards", [sent(90)], "good")
    brought = await world.dataset.add_zip(BOB, "boards", zipped({"good/1.png": noise(91)}))
    [item] = [
        one for one in await world.dataset.page(BOB, "boards", state="new") if one.sha256 in brought.new
    ]
    assert item.user_id == BOB.user_id and item.label == ""


async def test_a_new_label_is_the_owner_s_to_make(world: World, boards: Project) -> None:
    await world.projects.share(ALICE, "boards", 0, ["add", "label"])
    with pytest.raises(UserError, match=r"no label 'dent'; there are good, scratch"):
        await world.dataset.add(BOB, "boards", [sent(92)], "dent")
    await world.dataset.add(ALICE, "boards", [sent(92)], "dent")
    assert [label.name for label in (await world.projects.card(BOB, "boards")).book][-1] == "dent"


async def test_a_picture_that_is_kept_private_enters_no_server_s_project(
    world: World, boards: Project
) -> None:
    request = ImagineRequest(prompt="a red house", seed=3, num_images=1)
    job = await world.ended(ALICE, NewJob(request, private=True))
    shown = await world.ended(ALICE, NewJob(replace(request, seed=4)))
    brought = await world.dataset.add(ALICE, "boards", [f"{job.id} 1", f"{shown.id} 1"])
    assert len(brought.new) == 1 and "is private" in brought.refused[0][1]
    mine = await world.projects.new(ALICE, "mine", shared=False)
    assert len((await world.dataset.add(ALICE, mine.id, [f"{job.id} 1"])).new) == 1


class Strict:
    """A classifier to which no picture is fit."""

    name = "none fit"

    def get_ready(self) -> None:
        """It always is."""

    async def score(self, data: bytes) -> float:
        return 1.0

    async def close(self) -> None:
        """Nothing is open."""


async def test_the_rules_of_the_place_hold_at_the_door(world: World, boards: Project) -> None:
    checked: PictureCheck = Strict()  # type: ignore[assignment]
    world.services.moderator.check = checked
    brought = await world.dataset.add(ALICE, "boards", [sent(95)])
    assert brought == Brought((), (), brought.refused) and "rule here" in brought.refused[0][1]


async def test_a_project_has_room_for_so_many_pictures(tmp_path: Path) -> None:
    async with open_studio(tmp_path, PROJECT_PICTURES="10") as opened:
        world = World(opened.studio, opened.services)
        made = await world.projects.new(ALICE, "boards")
        await world.put(made, ALICE, [""] * 9)
        brought = await world.dataset.add(ALICE, "boards", [sent(n) for n in (100, 101)])
        assert len(brought.new) == 1 and "more than the 10 pictures" in brought.sentence
        with pytest.raises(LimitError, match="takes 10 pictures, and boards is full"):
            await world.dataset.add(ALICE, "boards", [sent(102)])


async def test_a_picture_is_shown_to_those_who_may_look_and_nobody_else(
    world: World, boards: Project
) -> None:
    first = (await world.dataset.page(BOB, "boards", limit=1))[0].sha256
    assert (await world.dataset.show(BOB, "boards", first))[8:12] == b"WEBP"
    assert await world.dataset.show(BOB, "boards", first, whole=True) == (
        await world.services.files.get(first)
    )
    with pytest.raises(ImageError, match="isn't in this project"):
        await world.dataset.show(BOB, "boards", "ab" * 32)
    await world.projects.share(ALICE, "boards", 0, [])
    with pytest.raises(UserError, match="no such project"):
        await world.dataset.show(BOB, "boards", first)


async def test_what_somebody_has_thrown_away_is_shown_to_nobody_else(world: World, boards: Project) -> None:
    job = await world.ended(BOB, NewJob(ImagineRequest(prompt="a red house", seed=3, num_images=1)))
    [sha256] = (await world.dataset.add(ALICE, "boards", [f"{job.id} 1"], "good")).new
    labels = partial(world.labelling.export, name="boards", form="csv")
    assert sha256.encode() in unpacked(await labels(ALICE))
    assert await world.dataset.show(ALICE, "boards", sha256)
    await world.studio.trash.put(BOB, [(job.id, 0)])
    with pytest.raises(ImageError, match="isn't in this project"):
        await world.dataset.show(ALICE, "boards", sha256)
    assert sha256.encode() not in unpacked(await labels(ALICE))
    assert await world.dataset.show(BOB, "boards", sha256)


async def test_pages_follow_one_another_without_a_gap(world: World, boards: Project) -> None:
    seen: list[str] = []
    while page := await world.dataset.page(ALICE, "boards", limit=3, after=seen[-1] if seen else None):
        seen += [one.sha256 for one in page]
    assert len(seen) == len(set(seen)) == 7


async def test_one_s_own_pictures_can_be_taken_out_and_others_by_managers(
    world: World, boards: Project
) -> None:
    await world.projects.share(ALICE, "boards", 0, ["add"])
    [bobs] = await world.put(boards, BOB, [""], first=200)
    hers = (await world.dataset.page(ALICE, "boards", label="good"))[0].sha256
    assert await world.dataset.remove(BOB, "boards", [bobs, hers]) == 1
    with pytest.raises(UserError, match="None of these pictures is yours"):
        await world.dataset.remove(BOB, "boards", [hers])
    assert await world.dataset.remove(MIRA, "boards", [hers]) == 1
