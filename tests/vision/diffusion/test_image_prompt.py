"""Pictures in a prompt: shown to models with references, begun at by the others; and ``--hd``."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import ModelError
from core.requests import ImagineRequest, UpscaleRequest, VariationRequest
from tests.support import tiny
from tests.vision.conftest import SHA, Recorder, ask, cpu_models
from tests.vision.families.test_families import FROM_PICTURES, SAME, apart, pixels
from vision.capabilities import capability
from vision.diffusion import prompt_embeddings
from vision.reporter import Stage
from vision.store import Models

ONE, TWO = "a" * 64, "b" * 64
REQUEST = ImagineRequest(prompt="a red house", seed=7, num_images=1, num_inference_steps=10)
BLACK, WHITE = Image.new("RGB", (64, 64), (8, 8, 8)), Image.new("RGB", (64, 64), (247, 247, 247))
SHOWN = ("flux2-klein",)


def run(models: Models, request: ImagineRequest, **images: Image.Image):
    return capability("imagine")(
        request, {ONE: images.get("one"), TWO: images.get("two")}, models, Recorder()
    )


@pytest.mark.parametrize("name", [name for name in FROM_PICTURES if name != "qwen-image-2.1"])
@pytest.mark.parametrize(
    "kind", ["image_prompts", "style_references", "character_references", "omni_references"]
)
def test_every_kind_of_picture_acts_in_every_family_and_is_told(kind: str, name: str, models_of) -> None:
    request = replace(REQUEST, **{kind: ((ONE, 1.0),)}, num_inference_steps=4)
    dark, bright = (run(models_of(image=name), request, one=image) for image in (BLACK, WHITE))
    assert apart(dark.pictures[0], bright.pictures[0]) > 0
    note = dark.parameters["notes"][0]
    assert ("references" in note) is (name in SHOWN)
    assert ("began at the picture" in note) is (name not in SHOWN)


def test_a_family_that_begins_at_no_picture_says_so(folders, tmp_path: Path) -> None:
    models = cpu_models({"image": folders["krea-2"]}, tmp_path)
    request = replace(REQUEST, num_inference_steps=2)
    model = models.get("image")
    model.family = replace(model.family, image=None, inpaint=None)
    assert "can't start from a picture" in ask(models, replace(request, hd=True)).parameters["notes"][0]
    drawn = run(models, replace(request, image_prompts=((ONE, 1.0),)), one=WHITE)
    assert "draws from words alone" in drawn.parameters["notes"][0]
    for asked in (VariationRequest(prompt="a", image=ONE), UpscaleRequest(prompt="a", image=ONE)):
        with pytest.raises(ModelError, match="krea-2 can't do image-to-image"):
            capability(asked.kind)(asked, {ONE: WHITE}, models, Recorder())


def test_more_image_weight_is_nearer_to_the_picture(models_of: Callable[..., Models]) -> None:
    source = tiny.picture(64, 64)
    distances = []
    for weight in (0.5, 2.0, 3.0):
        output = run(
            models_of(image="stable-diffusion"),
            replace(REQUEST, image_prompts=((ONE, 1.0),), image_weight=weight, num_images=4),
            one=source,
        )
        apart_each = [np.abs(pixels(p) - np.asarray(source, np.int16)).mean() for p in output.pictures]
        distances.append(np.mean(apart_each))
    assert distances[2] < distances[1] < distances[0]


def test_weight_zero_is_as_if_it_had_not_been_given(models_of: Callable[..., Models]) -> None:
    models = models_of(image="stable-diffusion")
    for given in ({"image_weight": 0.0}, {"image_prompts": ((ONE, 0.0),)}):
        request = replace(REQUEST, **{"image_prompts": ((ONE, 1.0),), **given})
        assert apart(run(models, request, one=WHITE).pictures[0], run(models, REQUEST).pictures[0]) == 0


def test_two_pictures_are_begun_at_by_their_weights() -> None:
    request = replace(REQUEST, image_prompts=((ONE, 3.0), (TWO, 1.0)))
    shown = prompt_embeddings.reference_pictures(request, {ONE: BLACK, TWO: WHITE})
    image, strength = prompt_embeddings.mean(shown, (32, 16))
    assert image.size == (32, 16) and strength == pytest.approx(0.8)
    assert np.asarray(image).mean() == pytest.approx(0.75 * 8 + 0.25 * 247, abs=1)


def test_a_negative_weight_is_told(models_of: Callable[..., Models]) -> None:
    request = replace(REQUEST, image_prompts=((ONE, 1.0), (TWO, -0.5)))
    assert (
        "negative weight"
        in run(models_of(image="stable-diffusion"), request, one=BLACK, two=WHITE).parameters["notes"][0]
    )


def test_an_attached_picture_comes_first_and_that_is_said(models_of: Callable[..., Models]) -> None:
    models, request = models_of(image="stable-diffusion"), replace(REQUEST, image=ONE, strength=0.3)
    with_style = run(models, replace(request, style_references=((TWO, 1.0),)), one=BLACK, two=WHITE)
    assert apart(with_style.pictures[0], run(models, request, one=BLACK).pictures[0]) == 0
    assert "had no effect" in with_style.parameters["notes"][0]


@pytest.mark.parametrize("size", [(10, 10), (2000, 20), (20, 2000), (640, 480)])
def test_references_are_as_large_and_as_short_as_the_model_wants(size: tuple[int, int]) -> None:
    (image,) = prompt_embeddings.references(
        [prompt_embeddings.ReferencePicture("--oref", tiny.picture(*size), 1, 1)], 4
    )
    assert min(image.size) >= 64 and max(image.size) / min(image.size) <= 8.01


def test_only_as_many_references_as_the_model_takes(models_of: Callable[..., Models]) -> None:
    shas = tuple((f"{i}" * 64, 1.0 + i) for i in range(6))
    request = replace(REQUEST, image_prompts=shas, num_inference_steps=2)
    output = ask(models_of(image="flux2-klein"), request, tiny.picture(64, 64))
    assert "Only the first 4" in output.parameters["notes"][0]
    assert (
        prompt_embeddings.reference_pictures(request, dict.fromkeys((sha for sha, _ in shas), BLACK))[
            0
        ].weight
        == 6
    )


@pytest.mark.parametrize("name", FROM_PICTURES)
def test_hd_draws_twice_the_side_and_keeps_the_picture(name: str, models_of: Callable[..., Models]) -> None:
    request, recorder = replace(REQUEST, num_images=2, num_inference_steps=4, hd=True), Recorder()
    large = ask(models_of(image=name), request, reporter=recorder)
    small = ask(models_of(image=name), replace(request, hd=False))
    assert large.pictures[0].width == 2 * small.pictures[0].width
    assert large.pictures[0].height == 2 * small.pictures[0].height
    assert large.parameters["width"] == large.pictures[0].width
    assert [step for step, _ in recorder.steps] == sorted(step for step, _ in recorder.steps)
    assert recorder.steps[-1] == (1000, 1000)
    block = 32  # px of the large one: over such a field, colours stay
    a = pixels(large.pictures[0])[:block, :block].mean((0, 1))
    b = pixels(small.pictures[0])[: block // 2, : block // 2].mean((0, 1))
    assert np.abs(a - b).max() < 25


def test_a_stage_is_a_share_of_the_whole() -> None:
    whole = Recorder()
    for step in (1, 2):
        Stage(whole, 0.5, 1.0).step(step, 2)
    assert whole.steps == [(750, 1000), (1000, 1000)]


def test_pictures_of_a_grid_stay_their_seeds_own_with_an_image_prompt(models_of) -> None:
    models, request = (
        models_of(image="stable-diffusion"),
        replace(REQUEST, image_prompts=((SHA, 1.0),), num_images=3),
    )
    three = ask(models, request, tiny.picture())
    assert (
        apart(
            three.pictures[2], ask(models, replace(request, seed=9, num_images=1), tiny.picture()).pictures[0]
        )
        <= SAME
    )
