"""/blend: between the pictures, in words and in pixels."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from core.requests import BlendRequest
from tests.support import tiny
from tests.vision.conftest import Recorder
from tests.vision.families.test_families import FROM_PICTURES, pixels
from vision.capabilities import blend, capability
from vision.store import Models

ONE, TWO = "a" * 64, "b" * 64
REQUEST = BlendRequest(images=(ONE, TWO), num_images=2, num_inference_steps=3, seed=4)


def test_the_mean_lies_between_and_has_the_asked_size() -> None:
    made = blend.mean(
        [Image.new("RGB", (40, 90), (10, 0, 200)), Image.new("RGB", (300, 20), (30, 100, 0))], (64, 48)
    )
    assert made.size == (64, 48) and np.asarray(made).reshape(-1, 3).tolist() == [[20, 50, 100]] * (64 * 48)


@pytest.mark.parametrize("name", FROM_PICTURES)
def test_every_family_blends(name: str, models_of: Callable[..., Models]) -> None:
    images, recorder = {ONE: tiny.picture(96, 64), TWO: tiny.picture(64, 64)}, Recorder()
    output = capability("blend")(REQUEST, images, models_of(image=name, caption="blip"), recorder)
    assert len(output.pictures) == 2 and output.grid is None
    assert output.pictures[0].width > output.pictures[0].height, "the first picture gives the shape"
    assert output.parameters["prompt"] == "" and "were read as" in " ".join(output.parameters["notes"])


def test_without_a_captioner_the_pixels_alone_count_and_that_is_said(models_of) -> None:
    models = models_of(image="stable-diffusion")
    dark, bright = Image.new("RGB", (64, 64), (10, 10, 10)), Image.new("RGB", (64, 64), (245, 245, 245))
    request = replace(REQUEST, strength=0.3)
    low, high = (
        capability("blend")(request, {ONE: picture, TWO: picture}, models, Recorder())
        for picture in (dark, bright)
    )
    assert pixels(high.pictures[0]).mean() != pixels(low.pictures[0]).mean()
    assert "No captioner" in " ".join(low.parameters["notes"])
