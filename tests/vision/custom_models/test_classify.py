"""Classifiers with own labels: what they say, how sure they are, what is none of theirs."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from core.errors import ModelError, UserError
from tests.vision.custom_models.conftest import Pile, needs_train, pile
from tests.vision.custom_models.memory_store import MemoryStore
from vision.custom_models import classification
from vision.custom_models.classification import NONE, Classifier, doubts, folds, suspicion, train_classifier
from vision.custom_models.features import filters
from vision.custom_models.snapshot import Snapshot
from vision.custom_models.steps import Store, exhausted

COLOURS = {"red": (200, 40, 40), "green": (40, 180, 60), "blue": (50, 70, 210)}


def coloured(colour: tuple[int, int, int], seed: int) -> Image.Image:
    """A square of a colour on grey, somewhere, with noise."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal(120, 6, (96, 96, 3))
    y, x = rng.integers(4, 50, 2)
    pixels[y : y + 40, x : x + 40] = np.asarray(colour) + rng.normal(0, 6, (40, 40, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def colours() -> Pile:
    return pile(
        [(coloured(c, 10 * n + k), name) for k, (name, c) in enumerate(COLOURS.items()) for n in range(6)]
    )


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture(scope="module")
def classifier(colours: Pile, store: MemoryStore) -> Classifier:
    torch.set_num_threads(1)
    return exhausted(train_classifier(colours.snapshot, colours.open, [filters()], store))


@needs_train
@pytest.mark.parametrize("name", COLOURS)
def test_own_labels_are_told_from_six_examples(classifier, name: str) -> None:
    answer = classifier.classify(coloured(COLOURS[name], 901), filters())
    assert answer.label == name
    assert answer.chances[0][1] > 0.6
    assert sum(chance for _, chance in answer.chances) == pytest.approx(1, abs=1e-5)


@needs_train
def test_what_is_unlike_all_that_was_taught_is_none_of_these(classifier, part_of) -> None:
    assert classifier.classify(part_of("keypad", 1), filters()).label == NONE


@needs_train
def test_the_card_tells_what_left_out_examples_say(classifier) -> None:
    card = classifier.card
    assert card["labels"] == ["blue", "green", "red"]
    assert card["accuracy"] >= 0.9
    assert 0 <= card["calibration_error"] <= 0.25
    assert card["weights"] == [1.0, 0.0]


@needs_train
def test_the_same_examples_make_the_same_bytes_and_go_on_where_they_were(
    classifier, colours, store, tmp_path
) -> None:
    assert (
        exhausted(train_classifier(colours.snapshot, colours.open, [filters()], store)).pack()
        == classifier.pack()
    )
    stopped = train_classifier(colours.snapshot, colours.open, [filters()], Store(tmp_path))
    for _ in range(7):
        next(stopped)
    stopped.close()
    resumed = train_classifier(colours.snapshot, colours.open, [filters()], Store(tmp_path))
    assert exhausted(resumed).pack() == classifier.pack()
    assert Classifier.unpack(classifier.pack()).pack() == classifier.pack()


@needs_train
def test_a_removed_persons_pictures_leave_no_trace_in_what_is_trained_again(colours, store) -> None:
    gone = [item.sha256 for item in colours.snapshot.items][:3]
    rebuilt = exhausted(train_classifier(colours.snapshot.without(gone), colours.open, [filters()], store))
    never = pile(
        [(colours.images[i.sha256], i.label) for i in colours.snapshot.items if i.sha256 not in gone]
    )
    fresh = exhausted(train_classifier(never.snapshot, never.open, [filters()], MemoryStore()))
    assert rebuilt.pack() == fresh.pack()


@needs_train
def test_words_count_while_they_help(colours, store) -> None:
    """Words that are right beside labels that pictures say nothing of, and words that know nothing."""

    def knowing(images: list[Image.Image]) -> torch.Tensor:
        found = []
        for image in images:
            means = torch.tensor(np.asarray(image, np.float32).max((0, 1)))  # brightest of red, green, blue
            found.append((means / 4).log_softmax(0)[[2, 1, 0]])  # blue, green, red
        return torch.stack(found)

    def blind(images: list[Image.Image]) -> torch.Tensor:
        return torch.full((len(images), 3), 1 / 3).log()

    helped = exhausted(train_classifier(colours.snapshot, colours.open, [filters()], store, words=knowing))
    assert helped.card["weights"][1] > 0.05
    assert helped.classify(coloured(COLOURS["red"], 902), filters(), words=knowing).label == "red"
    unhelped = exhausted(train_classifier(colours.snapshot, colours.open, [filters()], store, words=blind))
    assert unhelped.classify(coloured(COLOURS["red"], 902), filters(), words=blind).label == "red"


def test_one_label_alone_is_no_classifier() -> None:
    one = pile(
        [(coloured(COLOURS["red"], n), "red") for n in range(4)] + [(coloured(COLOURS["blue"], 9), "blue")]
    )
    with pytest.raises(
        UserError, match="at least 2 labels with 3 pictures each; there are 1 of blue, 4 of red"
    ):
        exhausted(train_classifier(one.snapshot, one.open, [filters()], MemoryStore()))


def test_what_is_no_classifier_is_refused() -> None:
    with pytest.raises(ModelError, match="no classifier"):
        Classifier.unpack(b"nothing of the kind")
    with pytest.raises(ModelError, match="no classifier"):
        Classifier.unpack(Classifier({"task": "anomaly", "format": 1}, {"mean": torch.zeros(1)}).pack())


def test_shots_of_one_object_are_left_out_together_and_labels_are_spread() -> None:
    labels = [0, 0, 0, 0, 1, 1, 1, 1]
    found = folds(labels, ["a", "a", "b", "c", "d", "e", "f", "f"], 3)
    assert sorted(at for fold in found for at in fold) == list(range(8))
    assert all(len({i for i, fold in enumerate(found) if at in fold}) == 1 for at in range(8))
    for one, other in ((0, 1), (6, 7)):
        assert [one in fold for fold in found] == [other in fold for fold in found]
    assert all({labels[at] for at in fold} == {0, 1} for fold in found)


@needs_train
def test_labels_by_lot_are_not_learned_however_many_shots_there_are() -> None:
    """Ten objects, three shots each, labelled by lot: with groups the accuracy stays near a half."""
    torch.manual_seed(5)
    rows = (torch.randn(20, 12)[:, None] + 0.01 * torch.randn(20, 3, 12)).flatten(0, 1)
    labels = [int(label) for label in torch.arange(20).remainder(2)[torch.randperm(20)].repeat_interleave(3)]
    _, honest = exhausted(classification.fitting(rows, labels, [str(at // 3) for at in range(60)], 2))
    _, leaky = exhausted(classification.fitting(rows, labels, [str(at) for at in range(60)], 2))
    right = torch.tensor(labels)
    assert (leaky.logits.argmax(1) == right).float().mean() > 0.9
    assert 0.25 < (honest.logits.argmax(1) == right).float().mean() < 0.75


def test_a_temperature_makes_sure_heads_modest() -> None:
    torch.manual_seed(0)
    right = torch.randint(2, (400,))
    said = torch.where(torch.rand(400) < 0.7, right, 1 - right)
    logits = 10.0 * torch.nn.functional.one_hot(said, 2).float()
    assert classification.expected_error(logits.softmax(1), right) > 0.25
    temperature = classification.calibrate(logits, right)
    assert temperature > 4
    assert classification.expected_error((logits / temperature).softmax(1), right) < 0.05


def test_a_label_is_doubted_where_another_is_as_likely_as_it_usually_is() -> None:
    chances = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.15, 0.85], [0.45, 0.55], [0.1, 0.9], [0.2, 0.8]])
    found = doubts(chances, [0, 0, 0, 0, 1, 1])
    assert [(one.place, one.label, one.rather) for one in found] == [(2, 0, 1)]  # the fourth is only unsure
    assert (found[0].chance, found[0].other) == (pytest.approx(0.15), pytest.approx(0.85))
    assert [one.place for one in suspicion(chances, [0, 0, 0, 0, 1, 1])] == [2, 3, 1, 5, 0, 4]
    assert doubts(torch.tensor([[0.9, 0.1, 0.0]]), [0]) == []


@needs_train
def test_a_wrong_label_is_doubted_and_told_without_naming_the_picture(colours, classifier, store) -> None:
    wrong = next(item for item in colours.snapshot.items if item.label == "red")
    some = Snapshot.of(
        replace(item, label="blue") if item == wrong else item for item in colours.snapshot.items
    )
    from vision.custom_models import report as reports

    model = exhausted(train_classifier(some, colours.open, [filters()], store))
    assert model.card["doubtful"][0][:3] == [wrong.sha256, "blue", "red"]
    names = [item.sha256 for item in some.items]
    report = reports.of_classifier(model, [], colours.open, names)
    first = report.metrics["doubtful"][0]
    assert names[first["place"]] == wrong.sha256
    assert (first["label"], first["rather"]) == ("blue", "red") and first["chance"] < first["other"]
    assert wrong.sha256[:12] not in json.dumps(report.metrics)
    assert "look again at 1 label that may be wrong" in report.sentence
    assert list(report.charts) == ["accuracy", "look-again"]
    assert classifier.card["doubtful"] == []


def test_chance_alone_makes_an_error_where_there_are_few_pictures() -> None:
    torch.manual_seed(0)
    chances = torch.rand(2000, 4).pow(3)
    chances = chances / chances.sum(1, keepdim=True)
    few, many = classification.by_chance(chances[:40]), classification.by_chance(chances)
    assert few > 0.08 and many < 0.04
    right = torch.multinomial(chances, 1)[:, 0]
    assert classification.expected_error(chances, right) == pytest.approx(many, abs=0.025)


def test_few_examples_leave_a_temperature_near_one() -> None:
    logits = 3.0 * torch.eye(2)[torch.tensor([0, 1, 0, 1])]
    right = torch.tensor([0, 1, 0, 1])
    assert 0.6 < classification.calibrate(logits, right) < 1  # all are right, which would make any head surer
    assert classification.calibrate(logits.repeat(100, 1), right.repeat(100)) < 0.5
