"""/variation: shapes and strengths."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.requests import ImagineRequest, VariationRequest
from tests.support import tiny
from tests.vision.conftest import SHA, Recorder, ask
from tests.vision.test_imagine import with_card
from vision.capabilities import variation
from vision.images import encode
from vision.store import Models


@pytest.mark.parametrize("size", [(64, 64), (1000, 700), (33, 90), (3000, 2000)])
def test_any_size_is_brought_to_the_native_area_in_its_shape(size: tuple[int, int], models_of) -> None:
    output = ask(
        models_of(image="stable-diffusion"),
        VariationRequest(prompt="", image=SHA, num_images=1),
        tiny.picture(*size),
    )
    width, height = Image.open(io.BytesIO(output.pictures[0].data)).size
    assert 0.75 < width * height / 64**2 < 1.3
    assert abs(width - height * size[0] / size[1]) <= 1 or abs(height - width * size[1] / size[0]) <= 1


def test_a_very_long_picture_is_cut_and_that_is_said(models_of: Callable[..., Models]) -> None:
    output = ask(
        models_of(image="stable-diffusion"),
        VariationRequest(prompt="", image=SHA, num_images=1),
        tiny.picture(2000, 100),
    )
    assert "middle" in output.parameters["notes"][0]


def test_a_wide_picture_of_imagine_keeps_its_shape(models_of: Callable[..., Models]) -> None:
    models = models_of(image="stable-diffusion")
    drawn = ask(models, ImagineRequest(prompt="a", aspect_ratio=(4, 1), num_images=1)).pictures[0]
    source = Image.open(io.BytesIO(drawn.data)).convert("RGB")
    output = ask(models, VariationRequest(prompt="a", image=SHA, num_images=1), source)
    assert Image.open(io.BytesIO(output.pictures[0].data)).size == source.size
    assert output.parameters["notes"] == []


def test_a_variation_keeps_the_whole_picture_and_its_shape(models_of: Callable[..., Models]) -> None:
    """What lies at the edges of a picture isn't cut off when it is varied."""
    source = Image.new("RGB", (312, 208), (20, 60, 200))
    source.paste((230, 40, 30), (0, 0, 24, 208))
    request = VariationRequest(prompt="", image=SHA, strength=0.01, num_images=1)
    model = models_of(image="stable-diffusion")
    output = ask(model, request, source)
    assert output.parameters["width"] * 2 == output.parameters["height"] * 3

    start = variation.prepare(request, {SHA: source}, model.image(None, Recorder())).generation.image
    begun = encode.cut_to_shape(start, source.size)
    assert begun.size[0] * 2 == begun.size[1] * 3
    red = [begun.getpixel((x, begun.height // 2))[0] > 128 for x in range(begun.width)]
    assert sum(red) == pytest.approx(begun.width * 24 / 312, abs=1) and red[0] and not red[-1]


def test_the_strengths_are_the_cards(folders: dict[str, Path], tmp_path: Path) -> None:
    models = with_card(
        folders["stable-diffusion"],
        tmp_path,
        variation={"subtle": 0.3, "strong": 0.9},
        num_inference_steps=10,
    )
    for name, strength in (("subtle", 0.3), ("strong", 0.9)):
        output = ask(
            models, VariationRequest(prompt="a", image=SHA, variation=name, num_images=1), tiny.picture()
        )
        assert (output.parameters["strength"], output.parameters["variation"]) == (strength, name)


def test_a_given_strength_comes_first(models_of: Callable[..., Models]) -> None:
    request = VariationRequest(prompt="a", image=SHA, strength=0.5, num_images=1)
    assert ask(models_of(image="stable-diffusion"), request, tiny.picture()).parameters["strength"] == 0.5


def test_a_picture_of_a_small_model_comes_back_at_its_own_scale(folders, tmp_path) -> None:
    """Enlarged and averaged again, a picture is nearly what the model drew."""
    models = with_card(folders["stable-diffusion"], tmp_path, output_scale=4)
    output = ask(models, VariationRequest(prompt="a", image=SHA, num_images=1), tiny.picture(256, 256))
    assert output.pictures[0].width == 256
    small = tiny.picture(64, 64)
    back = encode.resize(encode.enlarge(small, 4), small.size)
    assert np.abs(np.asarray(back, int) - np.asarray(small, int)).mean() < 6
