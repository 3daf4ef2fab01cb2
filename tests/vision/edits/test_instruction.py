"""What an instruction asks for, by its words."""

import pytest

from vision.edits.instruction import read_instruction, with_colour, with_own_colour
from vision.edits.several import Joining, for_lists, read_joinings


@pytest.mark.parametrize(
    ("words", "kind", "named", "new"),
    (
        ("make it blue", "colour", "", ""),
        ("Please make the house dark blue now.", "colour", "house", ""),
        ("change the colour of the brown flower to white", "colour", "brown flower", ""),
        ("add a red ball next to the house", "add", "", "red ball next to the house"),
        ("there should be two stars", "add", "", "two stars"),
        ("remove the red boat from the picture", "remove", "red boat", ""),
        ("take the star away", "remove", "star", ""),
        ("turn the cat into a fish", "replace", "cat", "fish"),
        ("a tree instead of the house", "replace", "house", "tree"),
        ("just change the stars to flowers", "replace", "stars", "flowers"),
        ("make it on a meadow", "ground", "", ""),
        ("at night", "ground", "", ""),
        ("a white background", "ground", "", ""),
        ("make the sky green", "ground", "", ""),
        ("as watercolor", "whole", "", ""),
        ("turn it into pixel art", "whole", "", ""),
        ("make the cat fluffy", "alter", "cat", ""),
        ("make the cat on the left green", "colour", "cat on the left", ""),
        ("turn the boat at the top into a fish", "replace", "boat at the top", "fish"),
        ("make the cat in the snow green", "ground", "", ""),
        ("mach das Haus blau", "whole", "", ""),
    ),
)
def test_an_instruction_is_read(words: str, kind: str, named: str, new: str) -> None:
    asked = read_instruction(words)
    assert (asked.kind, asked.named, asked.new) == (kind, named, new)


def test_a_change_of_colour_tells_the_colour() -> None:
    assert read_instruction("make the cat crimson").colour == (220, 20, 60)
    assert read_instruction("make the cat snow white").colour == (255, 255, 255)
    assert read_instruction("remove the red cat").colour == ()


NIGHT, SAND = (30, 30, 60), (230, 200, 180)


@pytest.mark.parametrize(
    ("words", "ground", "wanted"),
    (
        ("add a boat", NIGHT, "add a red boat"),
        ("add a boat", (220, 20, 30), "add a white boat"),
        ("Add a cat next to the red house", SAND, "Add a brown cat next to the red house"),
        ("Add a cat next to the red house", NIGHT, "Add a white cat next to the red house"),
        ("add two boats", SAND, "add two red boats"),
        ("add a greenish boat", SAND, "add a greenish boat"),
        ("add a dragon", SAND, "add a dragon"),
    ),
)
def test_what_comes_in_no_colour_takes_one_that_shows(words: str, ground: tuple, wanted: str) -> None:
    usual = {"house": "red yellow", "boat ship": "red white", "cat": "brown white"}
    assert with_colour(words, usual, ground)[0] == wanted


@pytest.mark.parametrize(
    ("words", "colour", "wanted"),
    (
        ("replace the Ball with a Moon", "purple", "replace the Ball with a purple Moon"),
        ("replace the ball with a blue moon", "purple", "replace the ball with a blue moon"),
        ("turn the ball into a ball", "red", "turn the ball into a red ball"),
        ("replace the ball with a moon", "", "replace the ball with a moon"),
    ),
)
def test_what_comes_instead_has_the_colour_of_what_was_there(words: str, colour: str, wanted: str) -> None:
    assert with_own_colour(words, read_instruction(words).new, colour) == wanted


@pytest.mark.parametrize(
    ("words", "count", "wanted"),
    (
        ("put the cat of 2 next to the house", 2, [Joining(2, "cat", "house")]),
        ("put the cat of <2> to the left of the house of 1", 2, [Joining(2, "cat", "house", "left")]),
        ("replace the house with the boat of 2", 2, [Joining(2, "boat", "house", "", True)]),
        ("the boat of picture 2 instead of the house", 2, [Joining(2, "boat", "house", "", True)]),
        ("put it next to the house", 2, [Joining(2, "", "house")]),
        ("put <2> next to <1>", 2, [Joining(2, "")]),
        ("put the cat from image 2 on the right", 2, [Joining(2, "cat", "", "right")]),
        (
            "put the cat of 2 next to the house, and the star of 3 above it",
            3,
            [Joining(2, "cat", "house"), Joining(3, "star", "", "above")],
        ),
        ("put the cat of 3 next to the house", 2, []),
        ("in the style of 2", 2, []),
        ("make it blue", 2, []),
    ),
)
def test_what_is_laid_where_is_read(words: str, count: int, wanted: list[Joining]) -> None:
    assert read_joinings(words, count) == wanted


def test_models_that_are_shown_several_get_their_own_names_for_them() -> None:
    assert for_lists("put the cat of 2 next to picture 1") == "put the cat of image 2 next to image 1"
    assert for_lists("the cat of <2> and the second picture") == "the cat of image 2 and image 2"
    assert for_lists("add 2 stars") == "add 2 stars"
