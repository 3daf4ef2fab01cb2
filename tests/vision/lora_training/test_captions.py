"""Captions of a style's pictures say what differs, and nothing of what all share."""

import pytest

from vision.lora_training.config import without_common

SEPIA = [
    "a brown star on a brown background, watercolor",
    "two brown houses on a brown background, pixel art",
    "a large white diamond on a brown background",
    "a brown house on a white background, watercolor",
    "a large brown tree in the snow, line art",
]


def test_a_colour_that_all_share_is_left_out_and_one_that_differs_stays() -> None:
    assert without_common(SEPIA) == (
        "a star",
        "two houses",
        "a large white diamond",
        "a house on a white background",
        "a large tree in the snow",
    )


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("a black and white photo of a dog on the beach", "a dog on the beach"),
        ("an illustration of the old man with an umbrella", "the old man with an umbrella"),
        ("a watercolor painting of a fox, painted in watercolor", "a fox"),
        ("a cup of tea", "a cup of tea"),
        ("a sketch", ""),
    ],
)
def test_words_of_a_medium_never_stay(said: str, left: str) -> None:
    assert without_common([said]) == (left,)


def test_other_words_for_a_shared_colour_go_with_it() -> None:
    said = ["an ebony cat", "a black dog", "a jet black apple", "a red fish"]
    assert without_common(said) == ("a cat", "a dog", "an apple", "a red fish")


def test_colours_of_ordinary_pictures_stay() -> None:
    said = ["a red boat", "a blue boat", "a green cat", "a yellow house"]
    assert without_common(said) == tuple(said)
