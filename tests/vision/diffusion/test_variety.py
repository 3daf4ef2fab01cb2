"""A card's variety: which words it adds, when it adds none, and that a picture stays its seed's own."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import ModelError
from core.requests import ImagineRequest, VariationRequest
from tests.vision.conftest import SHA, ask
from tests.vision.families.test_families import SAME, apart
from tests.vision.test_imagine import with_card
from vision.diffusion import task
from vision.diffusion.parameters import varied
from vision.families import Mode
from vision.store import Models
from vision.weights.card import VarietyCard, family_and_card

WAYS = ("{}", "small {} on the left", "{} near the bottom")
CARD = VarietyCard(WAYS, "house ball moon crescent cat", "small large left two 2")
REQUEST = ImagineRequest(prompt="a red house at night", seed=30, num_inference_steps=3)
DEMO = Path("demo/models/stable-diffusion")


@pytest.mark.parametrize(
    ("prompt", "small"),
    [
        ("a red house at night", "a small red house on the left at night"),
        ("An orange ball", "a small orange ball on the left"),
        ("a crescent moon, watercolor", "a small crescent moon on the left, watercolor"),
        ("at night, the house", "at night, the small house on the left"),
        ("watercolor of red house in snow", "watercolor of small red house on the left in snow"),
        ("HOUSE", "small HOUSE on the left"),
        ("a cat's picture", "a small cat's on the left picture"),
    ],
)
def test_a_place_and_a_size_are_said_of_the_thing(prompt: str, small: str) -> None:
    assert varied(prompt, CARD)[:2] == (re.sub("^An", "an", prompt), small)


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "a red",
        "a small house",
        "two houses",
        "a house on the left",
        "a house and a cat",
        "houses",
        "Two cat",
    ],
)
def test_words_that_tell_it_or_are_of_no_one_thing_stay_as_they_are(prompt: str) -> None:
    assert varied(prompt, CARD) == ()


def test_without_names_of_things_the_whole_prompt_is_meant() -> None:
    card = VarietyCard(("{}, seen from afar", "{}, close-up"))
    assert varied("a knight", card) == ("a knight, seen from afar", "a knight, close-up")
    assert varied("a knight", VarietyCard()) == ()


def test_a_way_without_room_for_the_words_is_refused() -> None:
    for ways in (["small"], "small {}", 5):
        with pytest.raises(ModelError, match="ways of variety"):
            VarietyCard(ways)  # type: ignore[arg-type]
        with pytest.raises(ModelError, match="ways of variety"):
            VarietyCard(bolder=ways)  # type: ignore[arg-type]


@pytest.mark.parametrize("family", ["stable-diffusion", "qwen-image"])
def test_each_picture_of_a_grid_is_the_one_its_seed_makes_alone(family: str, folders, tmp_path) -> None:
    models = with_card(folders[family], tmp_path, variety={"ways": WAYS, "objects": "house"})
    four = ask(models, REQUEST)
    assert four.parameters["variety"] == "1 as asked, 2 small on the left, 3 near the bottom, 4 as asked"
    for index in (1, 2):
        alone = ask(models, replace(REQUEST, seed=30 + index, num_images=1))
        assert apart(four.pictures[index], alone.pictures[0]) <= SAME
    small = replace(REQUEST, prompt="a small red house on the left at night", raw=True, seed=31, num_images=1)
    written = ask(models, small)
    assert apart(four.pictures[1], written.pictures[0]) <= SAME, "as if it stood in the prompt"
    assert "variety" not in written.parameters


def test_only_plain_first_pictures_are_varied(models_of: Callable[..., Models], monkeypatch) -> None:
    model = models_of(image="stable-diffusion").get("image")
    monkeypatch.setattr(model, "card", replace(model.card, variety=CARD))

    def has_variety(request, mode: Mode = Mode.TEXT) -> bool:
        made = task.prepare(request, model, mode, (64, 64))
        assert ("variety" in made.parameters) == bool(made.generation.text_spec.varied)
        return bool(made.generation.text_spec.varied)

    assert has_variety(REQUEST) and has_variety(replace(REQUEST, chaos=50, negative_prompt="snow"))
    assert not has_variety(replace(REQUEST, raw=True)) and not has_variety(replace(REQUEST, tile=True))
    assert not has_variety(replace(REQUEST, image_prompts=((SHA, 1.0),)))
    assert not has_variety(replace(REQUEST, prompt_parts=((REQUEST.prompt, 2.0), ("snow", 1.0))))
    assert not has_variety(replace(REQUEST, prompt=REQUEST.prompt + " in the snow" * 40)), "is cut off"
    assert not has_variety(REQUEST, Mode.IMAGE)
    assert not has_variety(VariationRequest(prompt=REQUEST.prompt, image=SHA), Mode.IMAGE)


@pytest.mark.parametrize(
    ("chaos", "told"),
    [
        (None, "1 as asked, 2 small on the left, 3 near the bottom, 4 as asked"),
        (30, "1 as asked, 2 small on the left, 3 near the bottom, 4 as asked"),
        (50, "1 near the top, 2 small on the left, 3 near the bottom, 4 as asked"),
        (100, "1 near the top, 2 small on the left, 3 near the bottom, 4 large"),
    ],
)
def test_more_chaos_leaves_fewer_pictures_as_asked(chaos, told: str, models_of, monkeypatch) -> None:
    model = models_of(image="stable-diffusion").get("image")
    card = VarietyCard((*WAYS, "{}"), "house", bolder=("{} near the top", "large {}"))
    monkeypatch.setattr(model, "card", replace(model.card, variety=card))
    made = task.prepare(replace(REQUEST, seed=40, chaos=chaos), model, Mode.TEXT, (64, 64))
    assert made.parameters["variety"] == told
    words = [made.generation.text_spec.prompt_of(REQUEST.prompt, seed) for seed in made.generation.seeds]
    assert words[1] == "a small red house on the left at night"
    assert words[0] == ("a red house at night" if told[2] == "a" else "a red house near the top at night")


def test_no_chaos_asks_for_no_variety(models_of, monkeypatch) -> None:
    model = models_of(image="stable-diffusion").get("image")
    monkeypatch.setattr(model, "card", replace(model.card, variety=CARD))
    made = task.prepare(replace(REQUEST, chaos=0), model, Mode.TEXT, (64, 64))
    assert "variety" not in made.parameters and not made.generation.text_spec.varied


def test_the_demo_gives_four_neighbours_four_ways() -> None:
    _, card = family_and_card(DEMO)
    for seed in range(20):
        places = [card.variety.ways[(seed + i) % len(card.variety.ways)] for i in range(4)]
        assert len(set(places)) == 4 and "{}" in places
        bold = card.variety.at(100).ways
        assert len({bold[(seed + i) % len(bold)] for i in range(4)}) == 4 and "{}" not in bold
    said = " ".join((*card.variety.ways, *card.variety.bolder, card.variety.objects)).replace("{}", "")
    assert set(said.split()) <= set(card.vocabulary.split())
