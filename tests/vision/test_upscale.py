"""/upscale: sizes, limits, what each mode is told; on the demo models, sharper than bicubic."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import UserError
from core.requests import UpscaleRequest
from tests.support import tiny
from tests.vision.conftest import SHA, Recorder, ask
from tests.vision.families.test_families import FROM_PICTURES
from tests.vision.test_imagine import with_card
from vision.capabilities import upscale
from vision.store import Models

REQUEST = UpscaleRequest(prompt="a red house", image=SHA, num_inference_steps=4, seed=3)


def opened(output) -> Image.Image:
    return Image.open(io.BytesIO(output.pictures[0].data)).convert("RGB")


@pytest.mark.parametrize("mode", ["subtle", "creative"])
@pytest.mark.parametrize("name", FROM_PICTURES)
def test_every_family_enlarges_to_exactly_twice_the_side(name: str, mode: str, models_of) -> None:
    source, recorder = tiny.picture(90, 64), Recorder()
    output = ask(models_of(image=name), replace(REQUEST, mode=mode), source, recorder)
    assert opened(output).size == (180, 128) == (output.parameters["width"], output.parameters["height"])
    assert output.grid is None and recorder.steps[-1][0] == recorder.steps[-1][1]
    assert not recorder.previews  # its tiles side by side look like nothing
    small = np.asarray(opened(output).resize(source.size, Image.Resampling.BOX), int)
    soft = 16  # px over which colours are kept
    for y in range(0, 64 - soft, soft):
        assert np.abs((small - np.asarray(source, int))[y : y + soft].mean((0, 1))).max() < 12


def test_four_times_and_a_model_that_draws_small(folders: dict[str, Path], tmp_path: Path) -> None:
    models = with_card(folders["stable-diffusion"], tmp_path, output_scale=4)
    assert opened(ask(models, replace(REQUEST, factor=4), tiny.picture(130, 66))).size == (520, 264)


def test_what_is_too_large_is_refused_with_what_fits() -> None:
    with pytest.raises(UserError, match=r"8192x8192 px, and up to 4096 px a side fit, 2x fits"):
        upscale.measure(replace(REQUEST, factor=4), (2048, 2048))
    with pytest.raises(UserError, match=r"4096 px a side fit\."):
        upscale.measure(replace(REQUEST, factor=4), (4000, 10))


def test_only_creative_reads_the_words(models_of: Callable[..., Models]) -> None:
    models = models_of(image="stable-diffusion")
    for mode, differs in (("subtle", False), ("creative", True)):
        pair = [
            opened(ask(models, replace(REQUEST, mode=mode, prompt=p, strength=0.6), tiny.picture())).tobytes()
            for p in ("a cat", "the sea")
        ]
        assert (pair[0] != pair[1]) is differs
