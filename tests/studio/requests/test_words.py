"""Words about requests: shorter prompts, and the shape that a title tells."""

import pytest

from core.requests import EditRequest, ImagineRequest, VariationRequest
from studio.texts import may_be_drawn, prompt_text, shorter_prompts


def scored(prompt: str, *weak: str) -> list[tuple[str, float]]:
    """The words of ``prompt``, each worth a little less than the one before; ``weak`` ones least of all."""
    return [(word, 0.01 if word in weak else 1 - i / 100) for i, word in enumerate(prompt.split())]


@pytest.mark.parametrize(
    ("prompt", "weak", "shorter"),
    [
        ("a fox standing in the white snow", ("the", "in", "a", "white"), "a fox standing in the snow"),
        ("a fox standing in the white snow", ("fox", "a", "standing"), "the white snow"),
        ("cinematic shot of a big red house", ("shot", "of", "big"), "cinematic shot of a red house"),
        ("a lighthouse, wonderful, at night", ("wonderful,",), "a lighthouse, night"),
    ],
)
def test_a_shorter_prompt_is_still_english(prompt: str, weak: tuple[str, ...], shorter: str) -> None:
    assert shorter in shorter_prompts(scored(prompt, *weak))


def test_each_shorter_prompt_is_shorter_than_the_one_before() -> None:
    lengths = [len(text.split()) for text in shorter_prompts(scored("a red house in the snow by a cold sea"))]
    assert lengths and lengths == sorted(set(lengths), reverse=True) and lengths[0] < 10


@pytest.mark.parametrize("prompt", ["house", "a house", "in the"])
def test_what_cannot_be_shortened_is_left_alone(prompt: str) -> None:
    assert shorter_prompts(scored(prompt)) == []


def test_a_title_tells_the_shape_that_a_picture_gave() -> None:
    variation = VariationRequest(prompt="a fox", image="0" * 64, variation="subtle")
    assert prompt_text(variation, (3, 2)) == "a fox --ar 3:2" and prompt_text(variation) == "a fox"
    assert prompt_text(ImagineRequest(prompt="a fox", aspect_ratio=(2, 3)), (3, 2)) == "a fox --ar 2:3"
    edit = EditRequest(prompt="make it black", then=("put it at sea",), image="0" * 64)
    assert prompt_text(edit) == "make it black, then put it at sea"


@pytest.mark.parametrize(
    "answer", ["yes", "No.", "none", "4", "three", "", "Yes, a red house.", "I count two stars."]
)
def test_an_answer_that_shows_nothing_is_not_offered_as_a_prompt(answer: str) -> None:
    assert not may_be_drawn(answer) and may_be_drawn("a red house") and may_be_drawn("no cat but a house")
