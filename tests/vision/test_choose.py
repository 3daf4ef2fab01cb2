"""A choice in the worker: by letters, in both orders, by a chat model that compares given answers."""

import math
import os

import pytest
import torch

from core.errors import ModelError, UserError
from core.talk import KINDS
from tests.vision.chat import shapes
from tests.vision.conftest import cpu_models
from vision.chat import talker
from vision.protocol import Choose, Talk, Turn
from vision.reporter import Reporter
from vision.store import Models
from vision.worker import queries
from vision.worker.queries import choose

TEXT = "The sentence: “go back to the first one”\nWhich of these does the person want?"


@pytest.fixture(scope="module")
def real(tmp_path_factory) -> Models:
    os.environ["HF_HUB_OFFLINE"] = "1"
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("qwen3-vl")
    shapes.save("qwen3-vl", folder)
    return cpu_models({"ask": folder}, folder / "cache", cpu_threads=1)


def test_chances_are_the_mean_of_both_orders_by_letters(real: Models) -> None:
    answers, wanted = ("draw, a new picture", "change", "back"), [0.0, 0.0, 0.0]
    for order in ((0, 1, 2), (2, 1, 0)):
        lines = [f"{letter}: {answers[place]}" for letter, place in zip("ABC", order, strict=True)]
        asked = "\n".join([TEXT, *lines, "Answer with one letter."])
        talk = Talk((Turn("user", asked),), "short")
        scores = talker.score_answers(real.get("ask"), talk, {}, "ABC", Reporter())
        for place, score in zip(order, scores, strict=True):
            wanted[place] += math.exp(score) / sum(map(math.exp, scores)) / 2
    found = choose(Choose("q", TEXT, answers), real, Reporter())
    assert found.chances == pytest.approx(wanted, abs=1e-4)


def test_thirteen_kinds_are_weighed(real: Models) -> None:
    found = choose(Choose("q", TEXT, KINDS), real, Reporter())
    assert len(found.chances) == 13 and sum(found.chances) == pytest.approx(1)
    assert min(found.chances) > 0


@pytest.mark.parametrize(("liked", "agreed"), [("letter", False), ("meaning", True)])
def test_a_model_that_follows_the_letters_does_not_agree_with_itself(
    real: Models, monkeypatch, liked: str, agreed: bool
) -> None:
    def scores(_, talk: Talk, pictures, letters: str, reporter) -> list[float]:
        lines = dict(line.split(": ") for line in talk.turns[-1].text.split("\n") if line[1:2] == ":")
        best = "A" if liked == "letter" else next(one for one in letters if lines[one] == "back")
        return [0.0 if one == best else -9.0 for one in letters]

    monkeypatch.setattr(talker, "score_answers", scores)
    found = choose(Choose("q", TEXT, ("draw", "change", "back")), real, Reporter())
    assert found.agreed is agreed
    assert (found.chances[2] > 0.9) is agreed and sum(found.chances) == pytest.approx(1)


def test_what_cannot_be_asked_has_a_reason(real: Models, tmp_path) -> None:
    with pytest.raises(ModelError, match="no chat model"):
        choose(Choose("q", TEXT, ("a", "b")), cpu_models({}, tmp_path), Reporter())
    with pytest.raises(UserError, match="tokens"):
        choose(Choose("q", "word " * queries.MOST_TOKENS, ("a", "b")), real, Reporter())
