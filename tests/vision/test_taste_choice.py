"""Pictures of /imagine that a taste chooses: of more drawings than are asked for, told in the message."""

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from core.events import Output
from core.limits import SHEET
from core.requests import ImagineRequest
from vision.capabilities import imagine
from vision.protocol import Taste
from vision.reporter import Reporter
from vision.store import Models

REQUEST = ImagineRequest(
    prompt="a red house", seed=5, num_inference_steps=1, num_images=2, taste=(("me", 1.0),), candidates=6
)


@pytest.fixture
def models(models_of: Callable[..., Models]) -> Models:
    return models_of(image="stable-diffusion", clip="clip")


@pytest.fixture
def taste(models: Models) -> Taste:
    width = models.get("clip", Reporter()).model.config.projection_dim
    direction = np.random.default_rng(1).normal(size=width).astype("<f4")
    return Taste(models.config.models["clip"], direction.tobytes())


def drawn(models: Models, request: ImagineRequest, taste: Taste | None) -> Output:
    return imagine.run(request, {}, models, Reporter(), taste)


def seeds(output: Output) -> list[int | None]:
    return [picture.seed for picture in output.pictures]


def looks(output: Output) -> bytes:
    return Image.open(io.BytesIO(output.pictures[0].data)).tobytes()


def test_some_of_more_drawings_are_kept_with_their_own_seeds(models: Models, taste: Taste) -> None:
    output = drawn(models, REQUEST, taste)
    kept = seeds(output)
    assert len(set(kept)) == 2 and set(kept) <= set(range(5, 11))
    assert output.parameters["notes"][0] == "`--p` kept 2 of 6 drawings."
    assert output.parameters["candidates"] == 6
    turned = Taste(taste.model, (-np.frombuffer(taste.direction, "<f4")).tobytes())
    assert seeds(drawn(models, REQUEST, turned)) != kept
    for picture in output.pictures:
        alone = drawn(models, replace(REQUEST, seed=picture.seed, num_images=1), None)
        assert alone.pictures[0].seed == picture.seed


def test_the_same_taste_keeps_the_same_pictures(models: Models, taste: Taste) -> None:
    first, second = drawn(models, REQUEST, taste), drawn(models, REQUEST, taste)
    assert [one.data for one in first.pictures] == [one.data for one in second.pictures]


def test_a_taste_that_is_not_known_yet_draws_plainly_and_says_why(models: Models) -> None:
    output = drawn(models, REQUEST, Taste(note="`--p` had no effect: too little is known."))
    assert seeds(output) == [5, 6] and output.parameters["notes"][0].endswith("too little is known.")
    assert "candidates" not in output.parameters


def test_without_a_model_that_sees_the_first_are_kept(models: Models, taste: Taste) -> None:
    output = drawn(models, REQUEST, replace(taste, model="/nowhere#0123456789ab"))
    assert seeds(output) == [5, 6] and "nothing can look at the drawings now" in output.parameters["notes"][0]


def test_stylize_0_chooses_nothing_and_says_so(models: Models, taste: Taste) -> None:
    output = drawn(models, replace(REQUEST, stylize=0, candidates=0), taste)
    assert seeds(output) == [5, 6] and "`--stylize 0`" in output.parameters["notes"][0]


def test_hd_is_drawn_of_what_is_kept_alone(models: Models, taste: Taste) -> None:
    request = replace(REQUEST, num_inference_steps=4)
    plain, large = drawn(models, request, taste), drawn(models, replace(request, hd=True), taste)
    assert seeds(plain) == seeds(large) and large.pictures[0].width == 2 * plain.pictures[0].width


def test_think_looks_instead_and_says_so(models: Models, taste: Taste) -> None:
    output = drawn(models, replace(REQUEST, think=True), taste)
    assert any("`--think`" in note and "`--p`" in note for note in output.parameters["notes"])


def test_a_sheet_is_shown_in_the_order_of_a_taste_and_keeps_its_numbers(models: Models, taste: Taste) -> None:
    request = replace(REQUEST, num_images=SHEET, candidates=8, draft=True)
    plain, output = drawn(models, replace(request, taste=()), None), drawn(models, request, taste)
    assert seeds(output) == [*range(5, 5 + SHEET)]
    assert [one.data for one in output.pictures] == [one.data for one in plain.pictures]
    order = output.parameters["order"]
    assert sorted(order) == [*range(SHEET)] != order
    turned = Taste(taste.model, (-np.frombuffer(taste.direction, "<f4")).tobytes())
    assert drawn(models, request, turned).parameters["order"][0] == order[-1]
    assert output.parameters["notes"][0] == "`--p` put first the drafts that you probably like best."
    for unlearned in (
        Taste(note="`--p` had no effect: too little is known."),
        replace(taste, model="/nowhere#0123456789ab"),
    ):
        said = drawn(models, request, unlearned).parameters
        assert "order" not in said and "`--p` had no effect" in said["notes"][0]


def test_words_of_a_taste_are_told_and_change_the_picture_unless_raw(models: Models) -> None:
    plain = replace(REQUEST, prompt="a house", num_images=1, taste=(), candidates=0)
    request = replace(plain, taste_words=("blue", "at night"))
    output = drawn(models, request, None)
    assert "`--p` added what the prompt left open: blue, at night." in output.parameters["notes"]
    assert output.parameters["prompt"] == "a house"
    assert output.pictures[0].data == drawn(models, request, None).pictures[0].data
    without = drawn(models, plain, None)
    assert looks(output) != looks(without)
    raw = drawn(models, replace(request, raw=True), None)
    assert looks(raw) == looks(drawn(models, replace(plain, raw=True), None))
