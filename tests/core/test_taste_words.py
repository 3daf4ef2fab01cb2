"""Words that a taste may add: only of what a prompt leaves open."""

import pytest

from core.taste_words import amount_of, in_one, joined, open_kinds, told_as

ALL = ["colour", "medium", "light", "place"]


@pytest.mark.parametrize(
    ("prompt", "kinds"),
    [
        ("a house", ALL),
        ("two cats and a dog", ALL),
        ("a red house", ["medium", "light", "place"]),
        ("a colourful house", ["medium", "light", "place"]),
        ("a house at night", ["colour", "medium"]),
        ("a house, watercolour", ["colour", "light", "place"]),
        ("a house by Monet", ["colour", "light"]),
        ("mountains", ["colour", "medium", "light"]),
        ("a foggy mountain", ["colour", "medium"]),
        ("a red fish at sea, pixel art", ["light"]),
        ("ein rotes Haus", []),
        ("une maison", []),
        ("una casa azul", []),
        ("赤い家", []),
    ],
)
def test_a_prompt_s_own_words_close_their_kind(prompt: str, kinds: list[str]) -> None:
    assert open_kinds([prompt]) == kinds


def test_what_is_unwanted_isn_t_added() -> None:
    assert open_kinds(["a house", "snow, blue"]) == ["medium", "light"]


def test_stylize_says_how_much_words_count() -> None:
    amounts = [amount_of(stylize) for stylize in (0, 50, None, 100, 425, 750, 1000)]
    assert amounts == pytest.approx([0, 0.35, 0.7, 0.7, 0.85, 1, 1])


def test_words_stand_behind_a_prompt_or_around_it() -> None:
    whole = in_one(["blue {}", "at night"])
    assert whole == "blue {}, at night"
    assert joined("a house", whole) == "blue a house, at night"
    assert joined("a house", "in the snow") == "a house, in the snow"
    assert joined("", "in the snow") == "in the snow"
    assert told_as("blue {}") == "blue"
