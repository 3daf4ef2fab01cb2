"""What words leave open about a picture's layout, and what the text encoder chooses instead."""

import random

import pytest

from demo.train.text import TEXT_MIX, is_as_settled, settled
from demo.world import Caption, Group, Scene, Word, describe, training_scene

pytestmark = pytest.mark.training

HOUSE, STAR = Group(1, "green", "house", "large"), Group(1, "red", "star", "medium")


def caption(text: str, colours: str, objects: str, *, told: bool = False) -> Caption:
    """A caption whose words that name colours and objects are given in the order of their groups."""
    words = []
    for word in text.split():
        role = "colour" if word in colours.split() else "object" if word in objects.split() else ""
        named = (colours if role == "colour" else objects).split()
        words.append(Word(word, role, named.index(word) if role else -1))
    count = len(objects.split())
    return Caption(tuple(words), (True,) * count, tuple(range(count)), True, True, told)


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("a light green house at night", "a large light green house in the center at night"),
        ("a tiny green house at night", "a tiny green house in the center at night"),
    ],
)
def test_a_single_thing_is_large_and_in_the_middle(text, chosen):
    scene = Scene((HOUSE,), "any", "night", "flat")
    words = settled(scene, caption(text, "green", "house"))
    assert " ".join(word for word, _ in words) == chosen
    assert [text.split()[index] for _, index in words if index >= 0] == text.split()


@pytest.mark.parametrize(
    ("joint", "rest"), [("and", ""), (",", ""), ("together with", ""), ("next to", ""), ("and", "giant")]
)
def test_the_first_of_two_stands_left(joint, rest):
    scene = Scene((HOUSE, STAR), "below", "night", "flat")
    text = f"a green house {joint} a {rest} red star".replace("  ", " ")
    words = settled(scene, caption(text, "green red", "house star"))
    assert " ".join(word for word, _ in words) == text.replace(f" {joint} ", " left of ")


def test_told_layouts_and_several_things_stay_as_they_are_told():
    told = caption("a green house above a red star", "green red", "house star", told=True)
    assert [word for word, _ in settled(Scene((HOUSE, STAR), "above", "night", "flat"), told)] == [
        word.text for word in told.words
    ]
    several = caption("three green houses", "green", "houses")
    group = Group(3, "green", "house", "medium")
    assert len(settled(Scene((group,), "any", "night", "flat"), several)) == 3


@pytest.mark.parametrize(
    ("groups", "place", "right"),
    [
        ((HOUSE,), "center", True),
        ((HOUSE,), "any", False),
        ((STAR,), "center", False),  # not large
        ((HOUSE, STAR), "left", True),
        ((HOUSE, STAR), "right", False),
        ((HOUSE, STAR), "above", False),
    ],
)
def test_which_scenes_have_the_chosen_layout(groups, place, right):
    words = " and ".join(f"a {group.colour} {group.object}" for group in groups)
    colours, objects = (" ".join(getattr(g, part) for g in groups) for part in ("colour", "object"))
    assert is_as_settled(Scene(groups, place, "night", "flat"), caption(words, colours, objects)) is right


def test_every_caption_keeps_its_words():
    rng = random.Random(0)
    for _ in range(300):
        scene = training_scene(rng, TEXT_MIX)
        made = describe(scene, rng)
        kept = [(word, index) for word, index in settled(scene, made) if index >= 0]
        changed = [made.words[index].text for word, index in kept if made.words[index].text != word]
        assert set(changed) <= {"and", ",", "with", "together", "next", "beside", "to"}
        assert len(kept) == len(made.words)
