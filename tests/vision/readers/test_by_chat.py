"""A chat model is shown the most similar examples as turns, and its probabilities of the labels are
compared."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from core.errors import UserError
from tests.vision.chat.conftest import folder_of, loaded, talker_of  # noqa: F401 - fixtures
from tests.vision.chat.mixes import PICTURES
from vision.chat import talker as scoring
from vision.chat.talker import Talker
from vision.protocol import Talk, Turn
from vision.readers import few_shot
from vision.readers.few_shot import Lesson
from vision.reporter import Reporter

NAMES = sorted(PICTURES)
LABELS = ("dax", "blick", "wug")


def talk(count: int) -> Talk:
    """So many examples, labels in turn, and a question."""
    turns = list[Turn]()
    for number in range(count):
        sha = NAMES[number % len(NAMES)]
        turns += [Turn("user", "What is this?", (sha,), sha), Turn("assistant", LABELS[number % 3], (), sha)]
    return Talk((*turns, Turn("user", "What is this?", (NAMES[-1],), "job")))


def vectors(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Of the examples and of what is asked: the later an example, the more alike."""
    seen = torch.stack([torch.tensor([1.0, count - number]) for number in range(count)])
    return seen, torch.tensor([1.0, 0.0])


def test_a_lesson_leaves_out_examples_whose_picture_is_gone() -> None:
    turns = talk(4).turns
    gone = (Turn("user", "What is this?", (), "x"), Turn("assistant", "zib", (), "x"))
    lesson = Lesson.of(Talk((*gone, *turns)))
    assert lesson.labels == LABELS and lesson.places == (0, 1, 2, 0) and len(lesson.pictures) == 4
    for count, words in ((0, "none"), (1, "one")):
        with pytest.raises(UserError, match=f"has examples of {words} of the two labels"):
            Lesson.of(Talk((*turns[: 2 * count], turns[-1])))


def test_the_most_similar_come_last_and_no_label_has_more_than_its_share() -> None:
    lesson, (seen, asked) = Lesson.of(talk(30)), vectors(30)
    shown = few_shot.most_similar(lesson, seen, asked, range(30))
    assert shown == [22, 23, 24, 25, 26, 27, 28, 29]
    lesson = Lesson.of(Talk((*talk(3).turns[:-1], *talk(30).turns[::6] * 0, talk(1).turns[-1])))
    many = Lesson(lesson.turns[:1] * 20 + lesson.turns[1:], lesson.asked)
    seen, asked = vectors(22)
    shown = few_shot.most_similar(many, seen, asked, range(22))
    assert [many.places[place] for place in shown].count(0) == 3 and {20, 21} <= set(shown)


def test_what_it_says_is_the_scores_of_the_labels_behind_the_turns(
    talker_of: Callable[[str], Talker],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Talk] = []
    score = scoring.score_answers

    def listening(talker, some, *rest):
        asked.append(some)
        return score(talker, some, *rest)

    monkeypatch.setattr(scoring, "score_answers", listening)
    talker, lesson = talker_of("smolvlm"), Lesson.of(talk(9))
    seen, new = vectors(9)
    told = few_shot.tell_by_chat(lesson, talker, PICTURES, seen, new, Talk((), context=8192), Reporter())
    chances = told.chances[0].tolist()
    assert sum(chances) == pytest.approx(1) and len(chances) == 3
    scores = score(talker, asked[0], PICTURES, LABELS, Reporter())
    assert chances == pytest.approx(torch.tensor(scores).softmax(0).tolist(), abs=1e-4)
    assert told.tested == 9 and 0 <= told.right <= 9 and len(asked) == 10
    first = asked[0].turns
    assert len(first) == 17 and asked[0].most_pictures == 9, "eight pictures and the one that is asked about"
    assert first[0].text == "The answer is one of: dax, blick, wug.\nWhat is this?"
    _, shown = talker.model.prompts.messages(first, False, asked[0].most_pictures)
    assert len(shown) == 9
    for number, one in enumerate(asked[1:]):
        answers = [turn for turn in one.turns if turn.role == "assistant"]
        assert len(answers) == 8 and one.turns[-1].pictures == lesson.turns[number][0].pictures
        places = [turn.pictures for turn in one.turns[:-1:2]]
        assert (
            places.count(lesson.turns[number][0].pictures)
            == lesson.pictures.count(lesson.pictures[number]) - 1
        ), "the example itself isn't among those shown"


def test_the_same_set_is_tested_once_until_a_picture_of_it_is_forgotten(
    talker_of: Callable[[str], Talker],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted: list[int] = []
    monkeypatch.setattr(scoring, "score_answers", lambda *given: counted.append(1) or [0.0, -1.0, -2.0])
    talker, (seen, new) = talker_of("smolvlm"), vectors(6)

    def asked(lesson: Lesson) -> int:
        before = len(counted)
        told = few_shot.tell_by_chat(lesson, talker, PICTURES, seen, new, Talk(()), Reporter())
        assert (told.tested, told.right) == (6, 2)
        return len(counted) - before

    lesson = Lesson.of(talk(6))
    assert [asked(lesson), asked(lesson)] == [7, 1]
    talker.forget(["another"])
    assert asked(lesson) == 1
    talker.forget([lesson.pictures[2]])
    assert asked(lesson) == 7
    turned = Lesson(
        tuple((q, replace(a, text=LABELS[::-1][LABELS.index(a.text)])) for q, a in lesson.turns), lesson.asked
    )
    assert asked(turned) == 7, "other labels are another set"


def test_nothing_of_a_try_stays_in_the_models_memory(
    talker_of: Callable[[str], Talker],  # noqa: F811
) -> None:
    talker, (seen, new) = talker_of("smolvlm"), vectors(4)
    few_shot.tell_by_chat(Lesson.of(talk(4)), talker, PICTURES, seen, new, Talk(()), Reporter())
    assert len(talker.decoder.kept) == 0
