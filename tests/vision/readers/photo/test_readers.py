"""What the readers of photographs make of what their networks say."""

import numpy as np
import pytest
import torch
from PIL import Image

from tests.vision.readers.photo.conftest import PretendReader, disk
from vision.readers.photo import describe, models
from vision.readers.photo.models import MARGIN, TILE, Compact, Cutter, Enlarger, Face, FaceFinder

WIDE = Image.new("RGB", (400, 200), "grey")


def test_the_middle_of_any_shape_is_looked_at() -> None:
    for size in ((900, 30), (30, 900), (224, 224), (5000, 300)):
        assert models.pixels(Image.new("RGB", size, "white")).shape == (3, 224, 224)
    white = models.pixels(Image.new("RGB", (300, 300), "white"))
    assert torch.equal(white, torch.ones_like(white))


def test_a_face_is_told_once_and_at_the_pictures_size() -> None:
    def run(pixels: np.ndarray) -> list[np.ndarray]:
        rows, columns = pixels.shape[2] // 4, pixels.shape[3] // 4
        maps = [np.zeros((1, channels, rows, columns), np.float32) for channels in (1, 2, 2, 10)]
        maps[0][0, 0, 10, 20], maps[0][0, 0, 10, 21], maps[0][0, 0, 3, 3] = 0.9, 0.8, 0.2
        maps[1][:] = np.log(8)  # 32 px
        return maps

    [face] = FaceFinder(run).find(Image.new("RGB", (640, 320)))
    assert face.score == pytest.approx(0.9) and face.box == pytest.approx((66, 26, 98, 58))
    [half] = FaceFinder(run).find(Image.new("RGB", (1280, 640)))
    assert half.box == pytest.approx((132, 52, 196, 116))


def test_what_stands_out_is_picked_by_a_point_and_a_box() -> None:
    cutter = Cutter(disk)
    inside = np.asarray(cutter.pick(WIDE, [(200, 100, 1)]).mask) > 0
    assert inside[100, 200] and not inside[10, 10] and 0.17 < inside.mean() < 0.23
    for points in ([(10, 10, 1)], [(200, 100, 0)], [(200, 100, 1), (210, 100, 0)]):
        assert cutter.pick(WIDE, points).mask.getbbox() is None
    left, top, right, bottom = cutter.pick(WIDE, box=(0, 0, 100, 100)).mask.getbbox()
    assert right < 90 and bottom < 90 and left > 10 and top > 10


def test_a_picture_without_anything_has_no_mask() -> None:
    assert Cutter(lambda pixels: np.zeros((1, 1, 320, 320), np.float32)).alpha(WIDE).getbbox() is None


def test_tiles_leave_no_seams() -> None:
    torch.manual_seed(1)
    enlarger = Enlarger(Compact().eval().requires_grad_(False))
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (TILE + 40, TILE + 30, 3), np.uint8))
    whole = Image.new("RGB", (image.width * 2, image.height * 2))
    assert len(enlarger.parts(image, 2).tiles) == 4
    made = enlarger.enlarge(image, 2)
    assert made.size == whole.size
    part = image.crop((TILE - 2 * MARGIN, 0, image.width, TILE))  # the seam is in its middle
    alone = enlarger.enlarge(part, 2)
    inner = (slice(0, 2 * (TILE - 2 * MARGIN)), slice(2 * MARGIN, 4 * MARGIN))
    left = 2 * (TILE - 2 * MARGIN)
    there = np.asarray(made, int)[: inner[0].stop, left + 2 * MARGIN : left + 4 * MARGIN]
    assert np.abs(there - np.asarray(alone, int)[inner]).max() <= 2


def test_labels_mean_classes_by_everyday_words() -> None:
    names = describe.names()
    assert {names[at] for at in describe.classes_of("cats")} >= {"tabby", "Siamese cat"}
    assert describe.classes_of("a red cat") == describe.classes_of("cat")
    assert [names[at] for at in describe.classes_of("tiger cat")] == ["tiger cat"]
    assert names.index("espresso") in describe.classes_of("coffee")
    assert describe.classes_of("gruffalo") == () == describe.classes_of("!?")
    assert describe.means_people("an old Woman") and not describe.means_people("a snowman")
    for word, classes in describe.GROUPS.items():
        assert classes and all(0 <= number < 1000 for number in classes), word


def test_people_are_known_by_their_faces() -> None:
    chances = PretendReader(True, "football helmet").chances
    found = [Face(0.93, (0, 0, 9, 9)), Face(0.9, (20, 0, 29, 9))]
    assert describe.best_with_faces(chances, found, 2) == [
        ("2 people", pytest.approx(0.93)),
        ("football helmet", pytest.approx(0.6)),
    ]
    scores, unknown = describe.compare_labels(chances, found, ("dog", "people", "gruffalo"))
    assert scores[0][0] == "people" and sum(share for _, share in scores) == pytest.approx(1)
    assert unknown == ["gruffalo"]


def test_sentences_differ_and_claim_only_what_was_found() -> None:
    likely = [("Egyptian cat", 0.5), ("tabby", 0.3), ("lynx", 0.05)]
    orange = Image.new("RGB", (300, 200), (250, 140, 20))
    told = list(describe.captions(orange, likely, 0, 8, seed=3))
    assert len(set(told)) == 8 and told[0] == "a photograph of an Egyptian cat"
    assert told == list(describe.captions(orange, likely, 0, 8, seed=3))
    assert told != list(describe.captions(orange, likely, 0, 8, seed=4))
    text = " ".join(told)
    assert "a tabby" in text and "lynx" not in text and "orange" in text and "wide format" in text
    people = " ".join(describe.captions(orange, likely, 2, 4, seed=0))
    assert "two people" in people and "cat" not in people
    assert "something" in next(describe.captions(orange, [("lynx", 0.02)], 0, 1, seed=0))


@pytest.mark.parametrize(
    ("colour", "name"),
    [
        ((10, 10, 10), "black"),
        ((250, 250, 250), "white"),
        ((128, 128, 128), "grey"),
        ((200, 20, 20), "red"),
        ((90, 50, 20), "brown"),
        ((30, 60, 200), "blue"),
        ((30, 160, 40), "green"),
    ],
)
def test_colours_have_their_names(colour: tuple[int, int, int], name: str) -> None:
    assert describe.colours_of(Image.new("RGB", (20, 20), colour)) == [name]
