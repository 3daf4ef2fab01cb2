"""Inspections: what is found, where, how it is named, and that the same is learned from the same."""

import json
from dataclasses import replace

import pytest
import torch
from PIL import Image

from core.errors import ModelError, UserError
from tests.vision.custom_models.conftest import Pile, needs_train, pile
from tests.vision.custom_models.memory_store import MemoryStore
from vision.custom_models import thresholds
from vision.custom_models.anomaly import detector, features, train
from vision.custom_models.anomaly.detector import Inspector, score
from vision.custom_models.anomaly.train import Settings, train_inspection
from vision.custom_models.dataset import Apart
from vision.custom_models.features import blurred, filters, gaussian, pixels
from vision.custom_models.snapshot import Item, Snapshot
from vision.custom_models.steps import Store, exhausted

GOOD = [("dial", seed, None) for seed in range(8)]
SEEN = [("dial", 100 + seed, kind) for kind in ("missing", "crack") for seed in range(4)]


@pytest.fixture(scope="module")
def dials(part_of) -> Pile:
    return pile([(part_of(*which), which[2] or "good") for which in GOOD + SEEN])


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture(scope="module")
def inspector(dials: Pile, store: MemoryStore) -> Inspector:
    torch.set_num_threads(1)
    return exhausted(train_inspection(dials.snapshot, dials.open, [filters()], Settings(), store))


@pytest.mark.slow
@needs_train
def test_a_part_in_a_fixture_is_laid_onto_the_others_and_its_defect_is_found(inspector, part_of) -> None:
    assert inspector.card["alike"] == "fixture"
    assert inspector.card["method"] == "cells"
    bad = inspector.inspect(part_of("dial", 200, "missing"), filters())
    good = inspector.inspect(part_of("dial", 201), filters())
    assert bad.strange
    assert bad.ratio > 1 > good.ratio
    assert bad.sentence().startswith("Not like the good ones")
    assert good.sentence().startswith("Like the good ones")
    assert good.name == ""


@needs_train
def test_the_strangest_place_is_where_the_defect_is(inspector) -> None:
    from tests.vision.custom_models.parts import picture

    for seed, kind in ((210, "crack"), (211, "colour"), (212, "misplaced")):
        image, mask = picture("dial", seed, kind)
        heat = inspector.inspect(image, filters()).heat
        at = int(heat.argmax())
        y, x = at // heat.shape[1] * 4, at % heat.shape[1] * 4
        assert mask[max(0, y - 6) : y + 10, max(0, x - 6) : x + 10].any(), kind


@needs_train
def test_a_defect_is_named_once_there_are_three_of_its_kind(inspector, part_of) -> None:
    assert inspector.card["names"] == ["crack", "good", "missing"]
    found = [inspector.inspect(part_of("dial", 220 + n, "missing"), filters()).name for n in range(3)]
    assert found.count("missing") >= 2


@needs_train
def test_the_limit_is_the_largest_held_out_score_and_says_what_it_promises(inspector) -> None:
    assert inspector.limit == pytest.approx(max(inspector.card["good_scores"]), abs=1e-5)
    assert inspector.card["promise"] == [1, 9]


@pytest.mark.slow
@needs_train
def test_the_same_pictures_make_the_same_bytes_whatever_was_kept(inspector, dials, store, tmp_path) -> None:
    """A second time from what was kept, and once more by a training that is stopped again and again."""
    again = exhausted(train_inspection(dials.snapshot, dials.open, [filters()], Settings(), store))
    assert again.pack() == inspector.pack()
    for steps in (4, 25):
        training = train_inspection(dials.snapshot, dials.open, [filters()], Settings(), Store(tmp_path))
        for _ in range(steps):
            next(training)
        training.close()
    resumed = train_inspection(dials.snapshot, dials.open, [filters()], Settings(), Store(tmp_path))
    assert exhausted(resumed).pack() == inspector.pack()


@needs_train
def test_an_inspection_is_read_as_it_was_written(inspector, part_of) -> None:
    read = Inspector.unpack(inspector.pack())
    assert read.pack() == inspector.pack()
    image = part_of("dial", 200, "missing")
    assert read.inspect(image, filters()).score == inspector.inspect(image, filters()).score


@needs_train
def test_parts_are_laid_as_they_were_when_the_limit_was_found(inspector) -> None:
    before = Inspector({**inspector.card, "format": 1}, inspector.tensors)
    margins = [
        {stage.margin for stage in one.detector(filters()).aligner.stages} for one in (before, inspector)
    ]
    assert margins == [{1 / 8}, {1 / 64}]


@needs_train
def test_steps_count_up_to_their_total(dials, store) -> None:
    steps = list(train_inspection(dials.snapshot, dials.open, [filters()], Settings(), store))
    assert [step.done for step in steps] == list(range(1, len(steps) + 1))
    assert {step.total for step in steps} == {len(steps)}


def test_what_is_no_inspection_or_of_another_backbone_is_refused() -> None:
    with pytest.raises(ModelError, match="no inspection"):
        Inspector.unpack(b"not a file of tensors")
    newer = Inspector({"task": "anomaly", "format": 3}, {"region": torch.ones(1, 1)})
    with pytest.raises(ModelError, match="format 3"):
        Inspector.unpack(newer.pack())
    other = Inspector({"format": 1, "extractor": "another"}, {"region": torch.ones(1, 1)})
    with pytest.raises(ModelError, match="train it again"):
        other.detector(filters())


def test_an_inspection_needs_a_good_picture(part_of) -> None:
    none = pile([(part_of("dial", 100 + seed, "missing"), "missing") for seed in range(3)])
    with pytest.raises(UserError, match="There is no good picture"):
        exhausted(train_inspection(none.snapshot, none.open, [filters()], Settings(), MemoryStore()))


@pytest.mark.slow
@needs_train
@pytest.mark.parametrize(("count", "promise"), [(1, [1, 1]), pytest.param(2, [1, 3], marks=pytest.mark.long)])
def test_few_good_pictures_are_learned_from_with_copies_and_promise_what_they_can(
    count: int, promise: list[int], part_of
) -> None:
    few_ = pile([(part_of("circuit", seed), "good") for seed in range(count)])
    inspector = exhausted(train_inspection(few_.snapshot, few_.open, [filters()], Settings(), MemoryStore()))
    assert inspector.card["promise"] == promise
    assert len(inspector.card["good_scores"]) == len(inspector.card["good"]) == count
    good, bad = (inspector.inspect(part_of("circuit", 300, kind), filters()) for kind in (None, "missing"))
    assert bad.strange
    assert bad.score > good.score
    assert count == 1 or not good.strange


def test_copies_are_other_pictures_of_the_same_and_the_same_each_time(part_of) -> None:
    picture = pixels(part_of("circuit", 1), 256)
    first = train.varied(picture, 1, 0)
    assert torch.equal(first, train.varied(picture, 1, 0))
    assert not torch.equal(first, train.varied(picture, 2, 0))
    assert 0.005 < (first - picture).abs().mean() < 0.15
    assert torch.equal(train.varied(picture, 0, 0), picture)


def test_shots_of_one_part_are_left_out_together_and_the_strangest_stands_for_it() -> None:
    """Pairs of nearly equal maps: told by its twin each would look usual."""
    torch.manual_seed(0)
    parts = torch.randn(6, 5, 8, 8).repeat_interleave(2, 0)
    maps = parts + 0.01 * torch.randn_like(parts)
    groups = [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    apart, together = (
        exhausted(features.fitting_bank(maps, 0)).strange,
        exhausted(features.fitting_bank(maps, 0, Apart.of(groups).without)).strange,
    )
    assert together.mean() > 5 * apart.mean()
    fitted = exhausted(features.fitting_cells(maps, groups))
    for at in (0, 1):
        others = fitted.others(at)
        mean = features.whitened(maps[2:].mean(0, keepdim=True), others.whiten)[0]
        torch.testing.assert_close(others.mean, mean, atol=1e-5, rtol=1e-5)
        strange, _ = fitted.others(at)(maps[at : at + 1])
        torch.testing.assert_close(strange[0], fitted.strange[at], atol=1e-4, rtol=1e-4)
    assert thresholds.strongest([1.0, 3.0, 2.0, 5.0], [0, 0, 1, 2]) == [3.0, 2.0, 5.0]
    items = [Item(f"{n:064x}", "good", group="a" if n < 3 else "") for n in range(6)]
    assert [shot.group for shot in train.few_tries(items)] == [0, 0, 0, 1, 2, 3]
    one = [Item(f"{n:064x}", "good", group="a") for n in range(20)]
    assert train.alone(train.few_tries(one)), "twenty shots of one part promise nothing"


@pytest.mark.slow
@needs_train
def test_the_promise_counts_parts_and_not_their_pictures(part_of) -> None:
    some = pile([(part_of("dial", seed), "good") for seed in range(6)])
    items = [replace(item, group="one") if at < 2 else item for at, item in enumerate(some.snapshot.items)]
    snapshot = Snapshot.of(items)
    inspector = exhausted(train_inspection(snapshot, some.open, [filters()], Settings(), MemoryStore()))
    assert inspector.card["promise"] == [1, 6]
    assert len(inspector.card["good_scores"]) == 6


@needs_train
@pytest.mark.parametrize("marked", [True, False])
def test_defects_that_are_missed_are_found_once_they_were_shown_and_good_parts_still_pass(
    marked: bool,
) -> None:
    """A change of a direction that good parts hardly vary in, too faint for the distance of all of them.
    Where nobody marks it, what the pictures have in common tells where it is."""
    maps = torch.randn(24, 12, 16, 16, generator=torch.Generator().manual_seed(1))
    fitted = exhausted(features.fitting_cells(maps[:12]))
    kernel = gaussian(1.0, 3)

    def pictured(group: int, strange: torch.Tensor, apart: torch.Tensor, marks=None) -> detector.Pictured:
        return detector.Pictured(blurred(strange[None], kernel), apart[None], group, marks)

    def shown(number: int) -> detector.Pictured:
        bad, marks = maps[number : number + 1].clone(), torch.zeros(16, 16)
        bad[:, 0, 4:9, 4:9] += 2.0
        marks[4:9, 4:9] = 1
        strange, apart = fitted.module(bad)
        return pictured(number, strange[0], apart[0], marks if marked else None)

    good = [pictured(at, fitted.strange[at], fitted.apart[at]) for at in range(12)]
    lesson = exhausted(detector.learn_defects(good, [shown(at) for at in range(12, 18)], max))
    assert lesson.helps and lesson.after >= 5 > lesson.before
    value = max(lesson.good)
    for at in range(18, 24):
        new = shown(at)
        assert float(score(torch.maximum(new.heat, lesson.module(new.apart)))) > value
    strange, apart = fitted.module(maps[18:])
    assert int((score(torch.maximum(blurred(strange, kernel), lesson.module(apart))) > value).sum()) <= 1


def test_a_mask_marks_what_is_painted_and_counts_in_place_of_boxes() -> None:
    painted = Image.new("L", (64, 32))
    painted.paste(255, (16, 8, 32, 16))
    boxed = Item("a" * 64, "scratch", boxes=((0.25, 0.25, 0.5, 0.5),))
    item = replace(boxed, boxes=((0.0, 0.0, 1.0, 1.0),), mask="b" * 64)
    found = train.marks(item, {"b" * 64: painted.convert("RGB")}.__getitem__)
    assert torch.equal(found, train.marks(boxed, {}.__getitem__))
    assert train.marks(Item("a" * 64, "scratch"), {}.__getitem__) is None


@needs_train
def test_what_was_taught_is_part_of_the_network_and_of_its_file(inspector, part_of) -> None:
    weight = torch.zeros(2 * inspector.tensors["cells.whiten"].shape[1])
    loud = detector.Taught(weight, torch.tensor(3.0), torch.tensor(2.0), torch.tensor(1.0))
    tensors = {f"taught.{name}": value for name, value in loud.state_dict().items()}
    changed = Inspector.unpack(Inspector(inspector.card, {**inspector.tensors, **tensors}).pack())
    image = part_of("dial", 201)
    assert changed.inspect(image, filters()).score == pytest.approx(
        max(7.0, inspector.inspect(image, filters()).score), rel=0.2
    )
    assert float(changed.inspect(image, filters()).heat.max() * changed.limit) >= 7.0


def test_settings_name_what_is_allowed() -> None:
    with pytest.raises(ValueError, match="auto, fixture, turns or free, not 'round'"):
        Settings(alike="round")


def test_a_picture_is_laid_onto_the_reference_from_any_side(part_of) -> None:
    reference = pixels(part_of("circuit", 1), 256)
    turned = pixels(part_of("circuit", 1).rotate(77, fillcolor=(44, 46, 50)), 256)[None]
    laid, motion, peak = features.Aligner(reference, features.TURNS)(turned)
    assert float(peak) > 0.8
    assert abs(abs(float(motion[0, 0]) * 57.29578) - 77) < 0.5
    inside = (slice(None), slice(90, 166), slice(90, 166))
    far = (laid[0][inside] - reference[inside]).abs().mean()
    assert far < 0.3 * (turned[0][inside] - reference[inside]).abs().mean()


def test_a_motion_backwards_undoes_it() -> None:
    motion = torch.tensor([[0.1, 0.05, -0.02]])
    none = features.joined(motion, features.backwards(motion))
    torch.testing.assert_close(none, torch.zeros(1, 3), atol=1e-6, rtol=0)


def test_each_good_part_is_told_by_all_others() -> None:
    torch.manual_seed(0)
    maps = torch.randn(6, 5, 8, 8)
    fitted = exhausted(features.fitting_cells(maps))
    strange, apart = fitted.others(2)(maps[2:3])
    torch.testing.assert_close(strange[0], fitted.strange[2], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(apart[0], fitted.apart[2], atol=1e-4, rtol=1e-4)
    banked = exhausted(features.fitting_bank(maps, seed=0))
    assert bool((banked.strange.amin((1, 2, 3)) > 0.1).all())  # none is its own neighbour
    in_bank, _ = banked.module(maps)
    assert in_bank.mean() < 0.1


def test_a_good_part_is_no_part_of_what_it_is_measured_by() -> None:
    """With many features and few parts, one that were in the covariance would look usual: new ones don't."""
    torch.manual_seed(0)
    maps = torch.randn(120, 40, 4, 4)
    fitted = exhausted(features.fitting_cells(maps[:12]))
    new, _ = fitted.module(maps[12:])
    assert float(fitted.strange.mean()) == pytest.approx(float(new.mean()), rel=0.06)
    rows = (maps[2:11] - maps[2:11].mean(0)).permute(0, 2, 3, 1).flatten(0, 2).double()
    whiten = features.evening(rows.T @ rows / (16 * 8))
    kept = exhausted(features.fitting_cells(maps[:11], [0, 0, *range(1, 10)])).others(0).whiten
    torch.testing.assert_close(kept, whiten, atol=1e-5, rtol=1e-4)


def test_a_good_picture_is_no_part_of_what_whitens_a_bank_that_it_is_measured_by() -> None:
    torch.manual_seed(0)
    maps = torch.randn(60, 48, 4, 4)
    fitted = exhausted(features.fitting_bank(maps[:10], seed=0))
    new, _ = fitted.module(maps[10:])
    assert float(fitted.strange.mean()) == pytest.approx(float(new.mean()), rel=0.1)
    assert float(fitted.apart.std()) > 1.05 * float(fitted.module.seen(maps[:10]).std())
    seen = fitted.module.seen(maps[:1])  # what is seen without the picture can be compared, number by number
    assert float(torch.corrcoef(torch.stack([fitted.apart[0].flatten(), seen.flatten()]))[0, 1]) > 0.7


def test_distances_in_a_bank_are_those_between_points() -> None:
    torch.manual_seed(0)
    rows, patches = torch.randn(7, 4), torch.randn(5, 4)
    torch.testing.assert_close(
        features.squares(rows, patches).sqrt(), torch.cdist(rows, patches), atol=1e-4, rtol=1e-4
    )


def test_a_coreset_covers_all_there_is() -> None:
    rows = torch.cat([torch.zeros(50, 2), torch.tensor([[9.0, 0], [0, 9]]), torch.zeros(50, 2)])
    assert sorted(exhausted(features.farthest(rows, 3)).tolist()) == [0, 50, 51]


def test_limits_follow_the_ranks_of_good_scores() -> None:
    scores = [1.0, 4.0, 2.0, 3.0]
    assert thresholds.from_good(scores) == thresholds.Limit(4.0, 4)
    assert str(thresholds.from_good(scores).promise) == "1/5"
    assert thresholds.from_good(scores, above=2).value == 2.0
    assert str(thresholds.from_good(scores, above=2).promise) == "3/5"
    assert thresholds.looser(scores).value > 4.0
    assert (
        "It stops about 1 good part in 5; show it more good ones" in thresholds.from_good(scores).sentence()
    )
    with pytest.raises(ValueError, match="0 to 3, not 4"):
        thresholds.from_good(scores, above=4)


@pytest.mark.parametrize(("above", "good"), [(1, 1), (1, 5), (2, 20), (7, 40), (3, 5000)])
def test_the_interval_of_a_promise_is_that_of_its_beta_distribution(above: int, good: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    low, high = (100 * stats.beta.ppf(share, above, good - above + 1) for share in (0.025, 0.975))
    said = thresholds.exact_promise(above / (good + 1), good)
    assert f"may stop {low:.1f} to {high:.1f} % with 95% certainty" in said


def test_the_limit_with_the_fewest_errors_lies_between_the_two_kinds() -> None:
    found = thresholds.fewest_errors([1.0, 2.0, 9.0], [5.0, 6.0, 7.0])
    assert 2.0 <= found.value < 5.0
    assert found.above == 1


@pytest.mark.parametrize("kind", train.KINDS)
def test_a_trial_defect_changes_a_small_place_and_is_the_same_for_the_same_seed(kind: str, part_of) -> None:
    one, other = pixels(part_of("circuit", 1), 256), pixels(part_of("circuit", 2), 256)
    drawn = train.drawn(one, other, kind, 4)
    assert 0.0003 < ((drawn - one).abs().amax(0) > 0.02).float().mean() < 0.05
    assert torch.equal(drawn, train.drawn(one, other, kind, 4))
    assert not torch.equal(drawn, train.drawn(one, other, kind, 5))


@needs_train
def test_the_card_is_json_and_names_no_picture_by_more_than_its_hash(inspector, dials) -> None:
    card = json.loads(json.dumps(inspector.card))
    assert set(card["good"]) < set(dials.images)
    assert card["snapshot"] == dials.snapshot.sha256
