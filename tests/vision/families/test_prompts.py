"""The prompts that people are offered to begin with, by the cards of models."""

import pytest

from core.errors import ModelError
from core.prompt.parser import parse_prompt
from vision.families import FAMILIES
from vision.weights.card import MOST_PROMPTS, make_card

WITHOUT = {"stable-diffusion", "krea-2", "longcat-image", "qwen-image-2.1", "other"}


def test_families_have_prompts_that_can_be_typed() -> None:
    found = {family.name: make_card(family, {}, {}).prompts for family in FAMILIES}
    assert {name for name, prompts in found.items() if not prompts} == WITHOUT
    for prompts in found.values():
        for prompt in prompts:
            faults: list[str] = []
            assert parse_prompt(prompt, faults).text == prompt and not faults


@pytest.mark.parametrize(
    ("prompts", "said"),
    [
        ("a house", "list of texts"),
        ([7], "list of texts"),
        ([""], "list of texts"),
        (["a"] * (MOST_PROMPTS + 1), "up to 8"),
        (["a" * 201], "200 characters"),
    ],
)
def test_a_card_s_own_prompts_are_checked(prompts: object, said: str) -> None:
    family = FAMILIES[0]
    assert make_card(family, {}, {"prompts": ["a tiny bakery"]}).prompts == ("a tiny bakery",)
    with pytest.raises(ModelError, match=said):
        make_card(family, {}, {"prompts": prompts})
