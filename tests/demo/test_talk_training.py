"""What the studio has learned of how people talk: from these sentences, small, and the same again."""

from __future__ import annotations

import pytest

from core.talk import KINDS, NEEDS_PICTURE
from demo import world
from demo.train.talk import __main__ as training
from demo.train.talk import corpora, patterns
from demo.train.talk.copies import COPIES, copies
from studio import talk
from studio.talk.classifier import pack, stored_weights, unpack
from studio.talk.words import kind_of


@pytest.mark.parametrize("name", ["kinds", "cuts"])
def test_the_weights_were_learned_from_the_sentences_as_they_are(name: str) -> None:
    assert stored_weights(name).learned_from == corpora.digest(), (
        "run `python -m demo.train.talk words`, then `python -m demo.train.talk train`"
    )


@pytest.mark.parametrize(("name", "most"), [("kinds", 1_000_000), ("cuts", 40_000)])
def test_the_weights_are_small_and_read_as_they_were_written(name: str, most: int) -> None:
    weights = stored_weights(name)
    assert len(pack(weights)) <= most
    assert unpack(pack(weights)) == weights


def test_the_words_of_the_demo_have_their_class() -> None:
    for kind, table in (("thing", world.OBJECT_WORDS), ("colour", world.COLOUR_WORDS)):
        for word in {word for words in table.values() for word in words if " " not in word}:
            assert kind_of(word) in (kind, "colour", "thing"), word


def test_every_sentence_of_the_writers_has_a_kind_and_a_picture_that_is_there() -> None:
    for dialogues in corpora.read_writers().values():
        for dialogue in dialogues:
            for turn, state in corpora.with_states(dialogue):
                assert turn["kind"] in KINDS
                assert "about" not in turn or state.picture(turn["about"])


def test_every_pattern_gives_sentences_that_are_filled_and_meet_their_kind() -> None:
    found = list(patterns.sentences())
    assert {turn["kind"] for turn, _ in found} == set(KINDS)
    for turn, state in found:
        assert turn["say"]
        assert not set(turn["say"]) & set("(){}|[]\\"), turn["say"]
        assert turn["kind"] not in NEEDS_PICTURE or state.shown is not None
    assert found == list(patterns.sentences())


def test_copies_say_the_same_in_other_words_and_meet_the_same_conversation() -> None:
    dialogues = corpora.read_writers()["30"]
    true = [one for dialogue in dialogues for one in corpora.with_states(dialogue)] * COPIES
    made = list(copies(dialogues))
    assert [turn["kind"] for turn, _ in made] == [turn["kind"] for turn, _ in true]
    assert [state.shown for _, state in made] == [state.shown for _, state in true]
    others = [
        turn["say"]
        for (turn, _), (said, _) in zip(made, true, strict=True)
        if turn["say"] != said["say"].lower()
    ]
    assert len(others) > len(true) / 2
    assert all(turn["say"] and "{" not in turn["say"] for turn, _ in made)
    assert made == list(copies(dialogues))


@pytest.mark.training
@pytest.mark.timeout(3600)
def test_learning_again_decides_the_same() -> None:
    again = training.learn_kinds(corpora.read_writers())
    turns = [
        (turn["say"], state)
        for dialogue in corpora.read_writers()["1"]
        for turn, state in corpora.with_states(dialogue)
    ]
    same = [talk.decide(said, state).kind == talk.decide(said, state, again).kind for said, state in turns]
    assert sum(same) >= 0.99 * len(same)
