"""What is decided of a sentence without any model: kinds, pictures, changes, and nothing else."""

from __future__ import annotations

import re
import string
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.talk import KINDS, MAX_SAID, NEEDS_PICTURE, Decision, Picture, State
from studio.talk import as_kind, decide, rules
from studio.talk.words import READ, plain, read_words

HOUSE = Picture(number=1, words="a red house in the snow", count=4)
BLUE = Picture(number=2, words="make it blue", kind="change", before=1)
BOAT = Picture(number=3, words="add a boat", kind="change", before=2)
NOW = State(pictures=(HOUSE, BLUE, BOAT), shown=3, undo=2)
GRID = State(pictures=(HOUSE,), shown=1)
BACK = State(pictures=(HOUSE, BLUE, BOAT), shown=1, redo=3)
COMMANDS = (Path(__file__).parents[3] / "docs/reference/commands.md").read_text("utf-8")
EXAMPLES = {
    "draw a knight on a horse": "draw",
    "make the house green": "change",
    "now at night, with a moon": "change",
    "try again": "again",
    "undo that": "back",
    "make it move": "video",
    "upscale it": "upscale",
    "cut out the boat": "cutout",
    "zoom out a bit": "extend",
    "how many windows does the house have?": "ask",
    "find my pictures with dragons": "find",
    "thank you so much": "talk",
    "hmm": "unclear",
    "delete all my pictures": "unclear",
}
state = st.sampled_from((State(), GRID, NOW, BACK))
WORDS = (
    "draw make it blue the house and then cut out undo 2 first picture with a boat ? , . -- moving 4k no"
).split()
sentence = st.one_of(st.text(max_size=300), st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join))


@pytest.mark.parametrize(("said", "kind"), EXAMPLES.items())
def test_plain_sentences_are_understood(said: str, kind: str) -> None:
    assert decide(said, NOW).kind == kind


def test_a_first_sentence_is_drawn() -> None:
    found = decide("Could you please draw me a small red boat on a calm sea?", State())
    assert (found.kind, found.words) == ("draw", "a small red boat on a calm sea")


@pytest.mark.parametrize(
    ("said", "where", "number", "steps"),
    [
        ("undo", NOW, 2, -1),
        ("redo", BACK, 3, 1),
        ("go back to the very first one", NOW, 1, 0),
        ("undo twice", NOW, 1, 0),
        ("picture 2 again", NOW, 2, 0),
        ("back to the red one", NOW, 1, 0),
        ("back to the one without the boat", NOW, 2, 0),
        ("the one with the boat again", BACK, 3, 1),
    ],
)
def test_going_back_finds_its_picture(said: str, where: State, number: int, steps: int) -> None:
    found = as_kind("back", said, where)
    assert (found.about, found.steps) == ((number,), steps)


@pytest.mark.parametrize(
    ("said", "about"),
    [
        ("make it green", (3,)),
        ("make the house in picture 1 green", (1,)),
        ("take the first one and make it green", (1,)),
        ("in the one before the boat, make the door red", (2,)),
        ("put the boat of 3 next to the house of 1", (1, 3)),
    ],
)
def test_a_change_is_about_what_it_names(said: str, about: tuple[int, ...]) -> None:
    assert as_kind("change", said, NOW).about == about


def test_one_of_four_is_picked() -> None:
    for said in (
        "the third one",
        "3",
        "number three please",
        "bottom left",
        "#3",
        "I like the third best",
        "if I have to choose, 3",
    ):
        found = as_kind("pick", said, GRID)
        assert (found.about, found.index) == ((1,), 3), said
    assert as_kind("pick", "the nice one", GRID).kind == "unclear"


def test_a_choice_after_a_change_is_of_the_grid_before_it() -> None:
    for said in ("the third one", "bottom left", "number 3 please"):
        found = decide(said, NOW)
        assert (found.kind, found.about, found.index) == ("pick", (1,), 3), said
    alone = State(pictures=(replace(HOUSE, count=1),), shown=1)
    assert decide("bottom left", alone).kind != "pick"


def test_without_a_picture_only_what_needs_none_is_decided() -> None:
    for said in ("undo", "make it blue", "the third one", "upscale it", "a lighthouse", "hello"):
        assert decide(said, State()).kind not in NEEDS_PICTURE, said


def test_of_two_pictures_that_came_a_change_is_about_both_only_where_words_join_them() -> None:
    sent = tuple(Picture(number=n, kind="sent") for n in (1, 2))
    came = State(pictures=sent, sent=(1, 2))
    assert as_kind("change", "make this house blue", came).about == (1,)
    assert as_kind("change", "put the cat of the first next to the house of the second", came).about == (1, 2)
    assert as_kind("change", "combine them", came).about == (1, 2)


@pytest.mark.parametrize(
    ("said", "changes"),
    [
        ("make the boat red and add a moon", ("make the boat red", "add a moon")),
        ("sky darker, house bigger", ("sky darker", "house bigger")),
        ("the sail should be white; remove the tree", ("the sail should be white", "remove the tree")),
        ("hat on the cat + a moon", ("hat on the cat", "a moon")),
        ("put a table with bread and cheese there", ("put a table with bread and cheese there",)),
        ("make it red and gold", ("make it red and gold",)),
        ("a scarf for him, because he looks cold", ("a scarf for him, because he looks cold",)),
        ("make it blue, please", ("make it blue, please",)),
        ("a red tie, please, and snow on the roof", ("a red tie", "snow on the roof")),
        ("oh and put a dragon on the tower", ("put a dragon on the tower",)),
        ('add a gull and write "Farewell, Tom" on it', ("add a gull", 'write "Farewell, Tom" on it')),
    ],
)
def test_a_sentence_is_cut_only_where_each_part_is_a_change(said: str, changes: tuple[str, ...]) -> None:
    assert as_kind("change", said, NOW).changes == changes


def test_what_is_wanted_of_a_job_is_read() -> None:
    assert as_kind("upscale", "4k please", NOW).factor == 4
    assert as_kind("upscale", "a bit larger", NOW).factor == 2
    assert as_kind("extend", "more room on the left", NOW).sides == ("left",)
    assert as_kind("extend", "wider", NOW).sides == ("left", "right")
    assert as_kind("extend", "zoom out", NOW).sides == ("all",)
    assert as_kind("cutout", "only the boat, no background", NOW).thing == "boat"
    assert as_kind("cutout", "transparent background", NOW).thing == ""
    assert as_kind("video", "make it move", NOW).words == ""
    assert as_kind("video", "the boat races over the waves", NOW).motion == "high"
    assert as_kind("draw", "look closely: three cats", NOW).closely
    assert as_kind("find", "find my pictures with dragons", NOW).words == "dragons"


def test_a_bare_thing_is_drawn_or_added() -> None:
    found = decide("a boat", NOW)
    first, second = (plan[0] for plan in found.offers)
    assert found.kind == "unclear"
    assert (first.kind, first.words, second.kind, second.changes) == (
        "draw",
        "a boat",
        "change",
        ("add a boat",),
    )


def test_several_jobs_are_a_plan() -> None:
    found = decide("make the house green and then animate it", NOW)
    assert found.kind == "unclear"
    assert [step.kind for step in found.offers[0]] == ["change", "video"]


def test_what_no_sentence_does_names_its_command() -> None:
    for said in (
        "delete all my pictures",
        "ban bob",
        "make it private",
        "use another model",
        "what does it cost?",
        "share it with everyone",
        "what can you do?",
    ):
        found = as_kind("unclear", said, NOW)
        assert found.command.startswith("/"), said
        assert f"## {found.command.split()[0]}\n" in COMMANDS


def test_without_a_picture_nothing_needs_one() -> None:
    for kind in KINDS:
        as_kind(kind, "the second one, 4x, to the left", State()).check(State())


def letters(text: str) -> str:
    return re.sub(r"\s+", "", text).lower()


def checked(found: Decision, said: str, where: State) -> None:
    found.check(where)
    for words in (found.words, found.thing, *found.changes):
        assert letters(words.removeprefix("add ")) in letters(said)
    for plan in found.offers:
        for step in plan[:1]:
            checked(step, said, where)


@settings(max_examples=150, deadline=None)
@given(sentence, state)
def test_any_text_gives_a_decision_of_its_own_words(said: str, where: State) -> None:
    checked(decide(said, where), said, where)


@settings(max_examples=40, deadline=None)
@given(sentence, st.sampled_from(KINDS), state)
def test_any_text_can_be_meant_as_any_kind(said: str, kind: str, where: State) -> None:
    checked(as_kind(kind, said, where), said, where)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "said",
    [
        "a " * 1000,
        "the one with " * 150,
        "make " + "and the red cat " * 120,
        "no " + "x" * 1990,
        "," * 2000,
        "back to " * 250,
        " ".join(string.ascii_lowercase[i % 26] * (i % 9 + 1) for i in range(400)),
        "draw me a picture of " * 95,
        "then " * 400,
        "1 2 3 4 " * 250,
    ],
)
def test_two_thousand_characters_take_a_bounded_number_of_calls(said: str) -> None:
    states = tuple(
        Picture(number=n, words="a red cat and a blue boat " * 8, before=n - 1 or None) for n in range(1, 25)
    )
    where = State(pictures=states, shown=24, undo=23)
    decide("warm", where)
    for remembered in (plain, read_words, rules.without_closely):
        remembered.cache_clear()
    work: Counter[str] = Counter()
    before = sys.getprofile()
    sys.setprofile(lambda _frame, event, _argument: work.update((event,)))
    try:
        decide(said[:MAX_SAID], where)
    finally:
        sys.setprofile(before)
    assert work["call"] + work["c_call"] < 12_000
    assert len(plain(said[:MAX_SAID])) <= READ  # no pattern reads more


def test_redo_undoes_nothing_where_nothing_was_undone() -> None:
    house = Picture(number=1, words="a red house")
    blue = Picture(number=2, words="make it blue", kind="change", before=1)
    undone = State(pictures=(house, blue), shown=1, redo=2)
    assert (decide("redo", undone).about, decide("redo", undone).steps) == ((2,), 1)
    assert decide("redo", State(pictures=(house, blue), shown=2, undo=1)).kind in ("unclear", "again")


@pytest.mark.parametrize(
    "said", ["What is this?", "what's in the picture", "Is there a dragon?", "how many boats are there?"]
)
@pytest.mark.parametrize("sent", [(), (2,)])
def test_a_plain_question_about_what_is_there_is_one(said: str, sent: tuple[int, ...]) -> None:
    here = State(pictures=(HOUSE, Picture(number=2, kind="sent")), shown=1, sent=sent)
    assert decide(said, here).kind == "ask"
    assert decide("is there a way to share it?", here).kind != "ask"


@pytest.mark.parametrize(
    ("said", "kind"),
    (
        ("remove the background", "cutout"),
        ("Can you get rid of the background, please?", "cutout"),
        ("delete the background", "cutout"),
        ("and now take away the bg", "cutout"),
        ("make a gif", "video"),
        ("create a gif", "video"),
    ),
)
def test_in_the_middle_of_a_conversation_a_job_is_of_what_is_shown(said: str, kind: str) -> None:
    decided = decide(said, NOW)
    assert (decided.kind, decided.about, decided.words) == (kind, (NOW.shown,), "")
    assert decide("remove the background", State()).kind != "cutout"
