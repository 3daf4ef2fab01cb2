"""A sheet of drafts: each is the picture that it would be alone, with words and a style of its own."""

import io
import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from core.convert import imagine_fields_of, prompts_of
from core.limits import SHEET
from core.requests import ImagineRequest, VariationRequest
from tests.vision.conftest import SHA, Recorder, ask
from vision.store import Models


def sheet(text: str) -> ImagineRequest:
    [prompt] = prompts_of(text, {})
    return ImagineRequest(**{"seed": 5} | imagine_fields_of(prompt, code=9))


def pixels(picture) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture.data)).convert("RGB"))


@pytest.mark.parametrize("text", ("a --sheet", "a {red, blue} house --sheet", "a --sheet --sref random"))
def test_a_draft_of_a_sheet_is_the_picture_that_its_seed_gives_alone(
    text: str, models_of: Callable[..., Models]
) -> None:
    request, models = sheet(text), models_of(image="stable-diffusion")
    drafts = ask(models, request).pictures
    assert [one.seed for one in drafts] == list(range(5, 5 + SHEET))
    for number in (0, 6, 23):
        seed = request.seed_of(number)
        one = replace(request.of_seed(seed), seed=seed, num_images=1)
        alone = ask(models, one).pictures[0]
        assert (pixels(alone) == pixels(drafts[number])).all()
        told = json.loads(Image.open(io.BytesIO(drafts[number].data)).text["atelier"])
        assert (told["prompt"], told["draft"], told["seed"]) == (one.prompt, True, seed)


def test_a_sheet_is_shown_whole_while_it_is_drawn(models_of: Callable[..., Models]) -> None:
    seen = Recorder()
    ask(models_of(image="stable-diffusion"), sheet("a house --sheet"), reporter=seen)
    steps, last = [step for step, _ in seen.steps], Image.open(io.BytesIO(seen.previews[-1]))
    assert steps == sorted(steps) and seen.steps[-1][0] == seen.steps[-1][1]
    assert last.size == (640, 427)  # six by four


def test_a_draft_is_drawn_in_full_at_the_strength_of_the_card(models_of: Callable[..., Models]) -> None:
    models = models_of(image="stable-diffusion")
    request = VariationRequest(prompt="a", image=SHA, num_images=1, variation="full")
    made = ask(models, request, Image.new("RGB", (64, 64), (200, 30, 30)))
    assert made.parameters["strength"] == models.image(None, Recorder()).card.variation["full"] == 0.4
