"""Detectors: what is marked is found again, the same bytes come of a training that was cut off, and average
precision is what COCO's tool counts."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from core.errors import ModelError, UserError
from proofs.vision.custom_models import finding
from tests.vision.custom_models import trays
from tests.vision.custom_models.conftest import Pile, needs_train
from tests.vision.custom_models.memory_store import MemoryStore, watched
from vision.custom_models import detection, thresholds
from vision.custom_models.detection import (
    AROUND,
    CLOSE,
    FAINTEST,
    KEPT_EVERY,
    MOST,
    NAMED,
    Detector,
    Finder,
    Found,
    Marked,
    Network,
    Settings,
    agreed,
    closer,
    nearby,
    side_of,
    square,
    taught_labels,
    train_detector,
    varied,
    wanted_maps,
)
from vision.custom_models.figures import Outline, drawn
from vision.custom_models.metrics import Boxes, by_label, matched
from vision.custom_models.snapshot import Item, Snapshot
from vision.custom_models.steps import exhausted

FEW = Settings(side=64, steps=3, seed=1)


@pytest.fixture(scope="module")
def shown() -> Pile:
    return finding.pile(range(4))


@pytest.fixture(scope="module")
def detector(shown: Pile) -> Detector:
    return exhausted(train_detector(shown.snapshot, shown.open, FEW, MemoryStore()))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(shown: Pile, detector: Detector) -> None:
    again = exhausted(train_detector(shown.snapshot, shown.open, FEW, MemoryStore()))
    assert again.pack() == detector.pack()
    other = exhausted(train_detector(shown.snapshot, shown.open, replace(FEW, seed=2), MemoryStore()))
    assert other.pack() != detector.pack()


def test_a_training_that_was_cut_off_goes_on_with_the_same_bytes(shown: Pile, monkeypatch) -> None:
    monkeypatch.setattr("vision.custom_models.detection.KEPT_EVERY", 2)
    whole = exhausted(train_detector(shown.snapshot, shown.open, replace(FEW, steps=5), MemoryStore()))
    store = MemoryStore()
    cut = train_detector(shown.snapshot, shown.open, replace(FEW, steps=5), store)
    for _ in range(4 + 3):  # four pictures, three steps: the third isn't kept
        next(cut)
    cut.close()
    again, steps = watched(train_detector(shown.snapshot, shown.open, replace(FEW, steps=5), store))
    said = [step.words for step in steps]
    assert again.pack() == whole.pack()
    assert "learned 3 of 5" in said and "learned 2 of 5" not in said, "what was kept isn't learned again"
    assert KEPT_EVERY > 2


def test_what_is_kept_is_the_mean_of_the_last_steps(shown: Pile) -> None:
    settings = replace(FEW, steps=4)
    items = shown.snapshot.items
    lessons = [detection._marked(item, ["nut", "screw", "washer"], shown.open, 64) for item in items]
    course, states = detection._Course(lessons, 3, settings, MemoryStore(), "x"), []
    for _ in range(settings.steps):
        course.step()
        states.append({name: value.clone() for name, value in course._network.state_dict().items()})
    for name, value in course.tensors().items():
        if value.is_floating_point():
            assert torch.allclose(value, (states[2][name] + states[3][name]) / 2, atol=2e-3), name


def test_a_packed_detector_finds_what_it_found_before(shown: Pile, detector: Detector) -> None:
    again = Detector.unpack(detector.pack())
    image = shown.images[shown.snapshot.items[0].sha256]
    found = again.detect(image, 0.001)
    assert found == detector.detect(image, 0.001)
    assert len(found) > 1
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert again.detect(image, 0.999) == []
    for data in (b"", b"nothing", detector.pack()[:-40]):
        with pytest.raises(ModelError, match="no detector"):
            Detector.unpack(data)


def test_turning_a_picture_turns_its_boxes_along() -> None:
    image = Image.new("RGB", (64, 64), "black")
    ImageDraw.Draw(image).rectangle((20, 30, 29, 33), fill="white")
    pixels = torch.from_numpy(np.asarray(image, np.float32) / 255).permute(2, 0, 1)
    box = torch.tensor([[20 / 64, 30 / 64, 30 / 64, 34 / 64]])
    lots, upright = torch.Generator().manual_seed(0), set()
    for _ in range(30):
        seen = varied(Marked(pixels, box, torch.tensor([0])), lots, turned=True)
        bright = (seen.pixels.amax(0) > 0.45).nonzero().float()
        assert len(seen.boxes) == (1 if len(bright) else 0)
        if len(bright) and bright.amin() > 0 and bright.amax() < 63:
            (top, left), (bottom, right) = bright.amin(0), bright.amax(0) + 1
            there = torch.stack([left, top, right, bottom]) / 64
            if seen.upright:
                assert (there - seen.boxes[0]).abs().max() < 1.6 / 64
            middles = [(one[:2] + one[2:]) / 2 for one in (there, seen.boxes[0])]
            assert (middles[0] - middles[1]).abs().max() < 1.6 / 64, "any angle keeps an object's middle"
            upright.add(seen.upright)
    assert upright == {True, False}


def test_an_object_that_is_hardly_in_the_picture_any_more_is_painted_over() -> None:
    pixels = torch.zeros(3, 32, 32)
    pixels[:, 8:16, :4] = 1
    cut = detection.cut_to_picture(
        pixels, torch.tensor([[-0.5, 0.25, 0.125, 0.5], [0.5, 0.5, 0.9, 0.9]]), torch.tensor([0, 1])
    )
    assert cut.labels.tolist() == [1] and cut.pixels.max() < 0.2


def test_what_is_wanted_has_a_peak_in_each_middle_and_the_smaller_box_on_top() -> None:
    boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.45, 0.45, 0.55, 0.55]])
    right = wanted_maps(Marked(torch.zeros(3, 64, 64), boxes, torch.tensor([0, 1])), 2)
    assert right.heat[0, 8, 8] == 1 and right.heat[1, 8, 8] == 1 and right.heat[:, 0, 0].max() < 0.05
    assert right.boxes[:, 8, 8].tolist() == pytest.approx([7.2, 7.2, 8.8, 8.8], abs=1e-5)


class _Says(torch.nn.Module):
    """Two middles two cells apart in the heat of one label, one of another label at the same place, and one
    far from them."""

    def __init__(self, namer: torch.nn.Module | None = None) -> None:
        super().__init__()
        self.namer = namer

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = torch.full((1, 2, 16, 16), -9.0)
        logits[0, 0, 4, 4], logits[0, 0, 4, 6], logits[0, 1, 4, 4], logits[0, 1, 12, 12] = 3.0, 2.0, 1.0, 0.0
        return logits, torch.full((1, 4, 16, 16), 4.0)


def test_boxes_around_the_same_object_are_told_once_by_the_surest() -> None:
    finder = Finder(_Says())  # type: ignore[arg-type]
    boxes, scores, labels = finder(torch.zeros(1, 3, 64, 64))
    assert boxes.shape == (MOST, 4)
    kept = [
        (int(label), round(float(score), 3))
        for label, score in zip(labels, scores, strict=True)
        if score > 0.1
    ]
    assert kept == [(0, 0.953), (0, 0.881), (1, 0.5)], "the other label at the same place is the same thing"
    assert boxes[0].tolist() == pytest.approx([0.5 / 16, 0.5 / 16, 8.5 / 16, 8.5 / 16])


class _AlwaysSays(torch.nn.Module):
    """Says that every object is of label 1, quite surely, and how many it has looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.looked_at: list[int] = []

    def forward(self, objects: torch.Tensor) -> torch.Tensor:
        self.looked_at.append(len(objects))
        return torch.tensor([[0.0, 8.0]]).expand(len(objects), 2)


def test_a_closer_look_says_what_an_object_is_called_and_how_sure_that_is() -> None:
    finder = Finder(_Says(_AlwaysSays()))  # type: ignore[arg-type]
    boxes, scores, labels = finder(torch.zeros(1, 3, 64, 64))
    assert scores.tolist() == sorted(scores.tolist(), reverse=True)
    told = [(int(label), float(score)) for label, score in zip(labels[:3], scores[:3], strict=True)]
    assert [label for label, _ in told] == [1, 1, 1]
    assert told[0][1] == pytest.approx(0.953, abs=1e-3), "the other label is told, as surely as it was seen"
    assert 0.7 < told[1][1] < 0.88, "each look is sure of another label: less sure than what was seen"
    assert told[2][1] == pytest.approx(0.5, abs=1e-3), "no surer than it was that anything is there"
    assert boxes[0].tolist() == pytest.approx([0.5 / 16, 0.5 / 16, 8.5 / 16, 8.5 / 16])


def test_only_what_could_be_told_is_looked_at_more_closely(monkeypatch: pytest.MonkeyPatch) -> None:
    namer, pixels = _AlwaysSays(), torch.zeros(1, 3, 64, 64)
    finder = Finder(_Says(namer))  # type: ignore[arg-type]
    few = finder(pixels)
    monkeypatch.setattr(detection, "FAINTEST", 0.0)
    every = finder(pixels)
    assert namer.looked_at == [3, NAMED]
    told = [each[1] >= FAINTEST for each in (few, every)]
    for some, others in zip(few, every, strict=True):
        assert torch.equal(some[told[0]], others[told[1]])
    monkeypatch.setattr(detection, "FAINTEST", 1.0)
    finder(pixels)
    assert namer.looked_at[-1] == 1, "one at least, which a bundle's graph needs"


def test_two_looks_agree_on_the_likeliest_label() -> None:
    heat = torch.tensor([[0.5, 0.4], [0.9, 0.1], [0.3, 0.3]])  # whose roots are taken
    labels, chances = agreed(heat, torch.tensor([[0.25, 0.75], [0.5, 0.5], [0.8, 0.2]]))
    assert labels.tolist() == [1, 0, 0], "who can't tell leaves it to the other"
    assert chances.tolist() == pytest.approx([0.728509, 0.75, 0.8], abs=1e-5)


def test_from_nearby_a_small_object_looks_like_a_large_one() -> None:
    pixels = torch.zeros(1, 3, 256, 256)
    pixels[..., 40:60, 20:40], pixels[..., 128:208, 100:180] = 1, 1
    boxes = torch.tensor([[20, 40, 40, 60], [100, 128, 180, 208]]) / 256
    small, large = closer(pixels, *square(boxes), torch.eye(2))
    assert small.shape == (3, CLOSE, CLOSE) and (small - large).abs().mean() < 0.03
    for obj in (small, large):
        assert obj.mean().item() == pytest.approx(1 / AROUND**2, abs=0.03) and obj[:, 24, 24].min() == 1
    quarter = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    pixels[..., 40:50, 20:40] = 0  # its upper half
    [turned] = closer(pixels, *(each[:1] for each in square(boxes)), quarter)
    assert turned[:, 24, 34].min() == 1 and turned[:, 24, 14].max() == 0, "what was below is at the right"


def test_each_label_is_seen_from_nearby_as_often_as_any_other() -> None:
    pixels = torch.zeros(3, 128, 128)
    pixels[:, :64, :64] = (torch.arange(64) // 4 % 2).float()  # what is of label 0 has stripes
    corners = torch.arange(0.06, 0.4, 0.06)
    boxes = torch.stack([corners, corners, corners + 0.05, corners + 0.05], 1)
    boxes = torch.cat([boxes, torch.tensor([[0.7, 0.7, 0.9, 0.9]])])
    marked = Marked(pixels, boxes, torch.tensor([0] * len(corners) + [1]))
    lots, came = torch.Generator().manual_seed(3), []
    for turned in (True, False) * 10:
        objects, names = nearby([marked], 2, lots, turned=turned)
        assert ((objects.std((1, 2, 3)) > 0.1) == (names == 0)).all()
        came += names.tolist()
    assert 0.4 < sum(came) / len(came) < 0.6


def test_other_tones_keep_what_is_flat_flat_and_may_swap_dark_and_bright() -> None:
    pixels = torch.tensor([0.4, 0.6]).repeat(3, 4, 1)
    lots, brighter = torch.Generator().manual_seed(0), set()
    for _ in range(40):
        seen = detection.in_other_tones(pixels, lots)
        assert seen.shape == pixels.shape and 0 <= seen.min() and seen.max() <= 1
        assert torch.equal(seen, seen[:, :1].expand_as(seen)), "each row as before"
        brighter.add(bool(seen[0, 0, 1] > seen[0, 0, 0]))
    assert brighter == {True, False}


def test_detectors_of_before_and_of_one_label_see_from_afar_alone(shown: Pile, detector: Detector) -> None:
    earlier = finding.from_afar(detector)
    assert detector.finder.network.namer is not None and earlier.finder.network.namer is None
    assert len(earlier.detect(shown.images[shown.snapshot.items[0].sha256], 0.001)) > 1
    nuts = [
        replace(item, boxes=boxes, names=("nut",) * len(boxes))
        for item in shown.snapshot.items
        for boxes in [[box for box, name in zip(item.boxes, item.names, strict=True) if name == "nut"]]
    ]
    alone = exhausted(train_detector(Snapshot.of(nuts), shown.open, FEW, MemoryStore()))
    assert alone.labels == ["nut"] and Detector.unpack(alone.pack()).finder.network.namer is None


def test_a_mirrored_picture_is_seen_as_the_mirrored_one() -> None:
    torch.manual_seed(0)
    network, pixels = Network(2).eval(), torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        once, finder = Finder(network), Finder(network, mirrored=True)
        heat, sides = finder.look(pixels)
        for axes, order in (((3,), [2, 1, 0, 3]), ((2,), [0, 3, 2, 1])):
            other, distances = finder.look(pixels.flip(axes))
            assert torch.allclose(other.flip(axes), heat, atol=1e-6)
            assert torch.allclose(distances.flip(axes)[:, order], sides, atol=1e-4)
        assert not torch.allclose(once.look(pixels.flip(3))[0].flip(3), heat, atol=1e-6)


def test_only_a_detector_whose_pictures_may_be_turned_looks_at_mirrored_ones(
    shown: Pile, detector: Detector
) -> None:
    assert detector.card["mirrored"] and detector.finder.mirrored
    upright = exhausted(train_detector(shown.snapshot, shown.open, replace(FEW, turned=False), MemoryStore()))
    assert not upright.finder.mirrored
    earlier = {key: value for key, value in detector.card.items() if key != "mirrored"}
    assert not Detector(earlier, detector.tensors).finder.mirrored


def test_too_few_boxes_are_told_with_the_numbers(shown: Pile) -> None:
    few = Snapshot.of(replace(item, boxes=(), names=()) for item in shown.snapshot.items)
    with pytest.raises(UserError, match="there are 0, with none"):
        taught_labels(few)
    first, *rest = shown.snapshot.items
    labels, too_few = taught_labels(Snapshot.of([replace(first, names=("bolt", *first.names[1:])), *rest]))
    assert "bolt" not in labels and "bolt" in too_few


def test_sides_are_multiples_of_what_the_network_halves() -> None:
    assert (side_of(128), side_of(256), side_of(1000)) == (128, 256, 992)
    assert Settings(side=512).together == 2 and Settings(side=128).together == 5
    with pytest.raises(ValueError, match="multiple of 32"):
        Settings(side=100)


def test_a_snapshot_keeps_what_its_boxes_are_called(shown: Pile) -> None:
    assert Snapshot.read(shown.snapshot.text()) == shown.snapshot
    with pytest.raises(ValueError, match="as many names"):
        Item("a" * 64, "marked", boxes=((0, 0, 1, 1),), names=("a", "b"))
    with pytest.raises(ValueError, match="1 to 80"):
        Item("a" * 64, "marked", boxes=((0, 0, 1, 1),), names=("",))


def test_trays_have_what_is_marked_in_them_where_it_is_marked() -> None:
    kinds = set()
    for seed in range(3):
        image, objects = trays.picture(seed)
        assert image.size == (trays.SIDE, trays.SIDE) and objects
        for kind, (left, top, right, bottom) in objects:
            kinds.add(kind)
            assert 0.03 < left < right < 0.97 and 0.03 < top < bottom < 0.97
    assert kinds == set(trays.KINDS)


# Average precision

REFERENCE = {  # AP50 and AP of pycocotools 2.0.11 on ``_case`` of these seeds
    0: (0.3811080651675716, 0.14373260648249292),
    1: (0.4851528365990894, 0.21995648103524004),
    5: (0.5512559659327276, 0.2236016488404073),
}


def _case(seed: int) -> list[Boxes]:
    lots, rows = np.random.default_rng(seed), []
    for _ in range(12):
        count = int(lots.integers(0, 7))
        corner = lots.uniform(0, 0.7, (count, 2))
        right = np.concatenate([corner, corner + lots.uniform(0.05, 0.3, (count, 2))], 1)
        said = []
        for box in right:
            said += [box + lots.normal(0, 0.02, 4) for _ in range(int(lots.choice([0, 1, 1, 2])))]
        for _ in range(int(lots.integers(0, 4))):
            place = lots.uniform(0, 0.7, 2)
            said.append(np.concatenate([place, place + lots.uniform(0.05, 0.3, 2)]))
        boxes = np.array(said).reshape(-1, 4)
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 0.01)
        rows.append(Boxes(right, boxes, np.round(lots.uniform(0.05, 1, len(boxes)), 3)))
    return rows


@pytest.mark.parametrize("seed", REFERENCE)
def test_average_precision_is_that_of_cocos_tool(seed: int) -> None:
    assert by_label({"thing": _case(seed)})["thing"] == pytest.approx(REFERENCE[seed], abs=1e-9)


def test_each_marked_object_is_found_once_and_by_the_surest() -> None:
    box = np.array([[0.1, 0.1, 0.5, 0.5]])
    said = np.array([[0.1, 0.1, 0.5, 0.5], [0.12, 0.1, 0.5, 0.5], [0.6, 0.6, 0.9, 0.9]])
    scores, hits = matched(Boxes(box, said, np.array([0.4, 0.9, 0.7])), 0.5)
    assert scores.tolist() == [0.9, 0.7, 0.4] and hits.tolist() == [0, -1, -1]
    assert by_label({"thing": [Boxes(np.zeros((0, 4)), said, np.ones(3))]}) == {}


# The report


@needs_train
def test_a_report_counts_what_is_found_and_what_is_none() -> None:
    from vision.custom_models.report import Looked, of_detector

    model = Detector({**_CARD, "labels": ["nut", "screw"], "boxes": {"nut": 5, "screw": 4}}, {})
    right = (Found("nut", 1, (0.1, 0.1, 0.3, 0.3)), Found("screw", 1, (0.5, 0.5, 0.9, 0.9)))
    found = (
        Found("nut", 0.9, (0.1, 0.1, 0.3, 0.32)),
        Found("nut", 0.8, (0.6, 0.1, 0.8, 0.3)),
        Found("screw", 0.1, (0.5, 0.5, 0.9, 0.9)),  # below the limit
    )
    looked = [Looked("a" * 64, right, found), Looked("b" * 64, (), ())]
    report = of_detector(model, looked, lambda sha256: Image.new("RGB", (200, 160), "#335"))
    assert report.metrics["found"] == [1, 2] and report.metrics["right"] == [1, 2]
    assert report.metrics["labels"]["nut"]["precision"] == [1, 2]
    assert report.metrics["labels"]["screw"]["ap50"] == pytest.approx(1.0)
    assert report.metrics["test"] == [
        {"objects": (("nut", 0.9), ("screw", 0.1)), "false": (("nut", 0.8),)},
        {"objects": (), "false": ()},
    ]
    assert "1 of 2 (1-99 %) marked objects are found" in report.sentence and "say little" in report.sentence
    assert "a" * 12 not in json.dumps(report.metrics), "no picture is named"
    assert report.sheet is not None and set(report.charts) == {"curves"}
    untested = of_detector(model, [], lambda sha256: Image.new("RGB", (9, 9)))
    assert "isn't known" in untested.sentence and untested.metrics["ap50"] is None
    assert set(untested.charts) == {"boxes"}


_CARD = {"extractor": "centre points", "limit": 0.3, "too_few": [], "pictures": 3, "side": 64}
TEST = [
    {"objects": [["nut", 0.9], ["nut", 0.35], ["screw", 0.0]], "false": [["nut", 0.5]]},
    {"objects": [], "false": [["screw", 0.32]]},
]


def test_another_threshold_is_told_with_what_it_changes() -> None:
    value, told = thresholds.moved(0.3, TEST, "stricter")
    assert value == 0.4 and "1 of 3 objects in test pictures are found (2 now)" in told
    assert "1 box is drawn wrongly (2 now)" in told
    assert thresholds.moved(0.4, TEST, "looser")[0] == 0.3
    assert thresholds.moved(0.7, TEST, "usual")[0] == thresholds.USUAL
    assert 0.5 < thresholds.moved(0.3, TEST, "fewest")[0] <= 0.9
    with pytest.raises(UserError, match="0.1 to 0.9"):
        thresholds.moved(0.9, TEST, "stricter")
    with pytest.raises(UserError, match="errors can't be counted"):
        thresholds.moved(0.3, [], "fewest")


def test_two_versions_are_compared_on_objects_that_are_marked_as_they_were() -> None:
    first, second = (
        {"a": TEST[0], "b": TEST[1]},
        {"a": TEST[0], "b": {"objects": [["nut", 1.0]], "false": []}},
    )
    (one, other), wrong = thresholds.found_by(first, second, (0.3, 0.6))
    assert one == [True, True, False] and other == [True, False, False] and wrong == (1, 0)


def test_outlines_lie_where_boxes_are_with_their_names_inside_the_picture() -> None:
    plain = Image.new("RGB", (200, 100), "black")
    some = [
        Outline((0.5, 0.0, 1.0, 0.5), "washer 97%", "#ff0000"),
        Outline((0, 0.5, 0.2, 1), "", "#00ff00", True),
    ]
    found = np.asarray(drawn(plain, some))
    assert (found[40:52, 150] == (255, 0, 0)).all(-1).any() and (found[60:99, 0] == (0, 255, 0)).all(-1).any()
    assert not (found[60:99, 0] == (0, 255, 0)).all(), "what is missed is dashed"
    assert found.shape == (100, 200, 3) and plain.getpixel((100, 0)) == (0, 0, 0)


@pytest.mark.long
def test_ten_trays_are_enough_to_find_nine_of_ten_objects() -> None:
    [row] = finding.of_boxes(0.34)
    assert row["passes"], row


def test_little_training_says_little(shown: Pile, detector: Detector) -> None:
    found = finding.looked(detector, shown)
    assert [one.sha256 for one in found] == [item.sha256 for item in shown.snapshot.items]
    assert all(each.score >= FAINTEST for one in found for each in one.found)
