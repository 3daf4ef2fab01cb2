"""Flags as typed, all the way to a picture of a tiny model: what each changes in it, or in the steps that
were run."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.convert import fields_of
from core.events import Output
from core.prompt.parser import parse_prompt
from core.requests import ImagineRequest
from tests.support import tiny
from tests.vision.conftest import SHA, Recorder, ask, cpu_models
from vision.store import Models

SOURCE = tiny.picture(64, 64)
USUAL = 8  # steps


def draw(models: Models, typed: str, recorder: Recorder | None = None) -> Output:
    """One picture of ``typed``; ``<1>`` is SOURCE. The seed is 7 unless it names one."""
    fields = {"seed": 7} | fields_of(parse_prompt(typed), {"<1>": SHA})
    fields["num_inference_steps"] = fields["num_inference_steps"] or (
        None if {"--q", "--draft"} & set(typed.split()) else USUAL
    )
    return ask(models, ImagineRequest(**fields, num_images=1), SOURCE, recorder)


def pixels(output: Output) -> np.ndarray:
    """(height, width, 3)"""
    return np.asarray(Image.open(io.BytesIO(output.pictures[0].data)).convert("RGB"), float)


def distance(a: Output | np.ndarray, b: Output | np.ndarray) -> float:
    """Mean difference, of 255."""
    a, b = (pixels(one) if isinstance(one, Output) else one for one in (a, b))
    return float(np.abs(a - b).mean())


@pytest.fixture
def models(models_of: Callable[..., Models]) -> Models:
    return models_of(image="stable-diffusion")


CHANGE = (
    *("a house --seed 8", "a house --no fog", "a house --exp 100", "a house --s 0", "a house --s 1000"),
    *("a house --weird 3000", "a house --chaos 100", "a house --sref 12", "a house --cfg 9"),
    *("a house --sampler lcm", "a house --stop 50", "a house --tile", "a house --q 4", "a house --draft"),
    *("house:: a::3", "<1> a house --iw 3", "a house --sref <1>", "a house --cref <1>"),
    *("a house --oref <1>", "<1> a house --strength 0.3", "a house --steps 3"),
)


@pytest.mark.parametrize("typed", CHANGE)
def test_a_flag_as_typed_changes_the_picture(typed: str, models: Models) -> None:
    plain = draw(models, "a house")
    assert distance(draw(models, "a house --seed 7"), plain) == 0
    changed = draw(models, typed)
    assert pixels(changed).shape != pixels(plain).shape or distance(changed, plain) > 0.01, changed.parameters
    assert not [note for note in changed.parameters["notes"] if "no effect" in note]


@pytest.mark.parametrize(
    ("typed", "shape"),
    [("a --ar 2:1", 2.0), ("a --ar 1:2", 0.5), ("a --size 128x64", 2.0), ("a --ar 1:1", 1.0)],
)
def test_a_shape_as_typed_is_the_pictures(typed: str, shape: float, models: Models) -> None:
    height, width, _ = pixels(draw(models, typed)).shape
    assert width / height == pytest.approx(shape, rel=0.25)


@pytest.mark.parametrize(
    ("typed", "steps"),
    [("a --steps 3", 3), ("a --stop 50 --steps 8", 4), ("a --q 2", 8), ("a --q 0.25", 1), ("a --draft", 2)],
)
def test_so_many_steps_are_run_as_were_typed(typed: str, steps: int, models: Models) -> None:
    """The tiny model's own number is 4, its draft's 2."""
    recorder = Recorder()
    draw(models, typed, recorder)
    assert len(recorder.steps) == steps


NEARER = {  # from far to near
    "--strength": ("<1> a house --strength 0.9", "<1> a house --strength 0.2"),
    "--iw": ("<1> a house --iw 0.5", "<1> a house --iw 3"),
    "--sw": ("a house --sref <1> --sw 20", "a house --sref <1> --sw 1000"),
    "--cw": ("a house --cref <1> --cw 0", "a house --cref <1> --cw 100"),
    "--ow": ("a house --oref <1> --ow 20", "a house --oref <1> --ow 1000"),
}


@pytest.mark.parametrize("flag", NEARER)
def test_more_weight_as_typed_is_nearer_to_the_picture(flag: str, models: Models) -> None:
    far, near = (draw(models, typed + " --steps 20") for typed in NEARER[flag])
    source = np.asarray(SOURCE.convert("RGB"), float)
    assert distance(near, source) < distance(far, source)
    assert near.parameters["strength"] < far.parameters["strength"]


def test_what_is_over_the_most_counts_as_the_most(models: Models) -> None:
    for over, most in (
        ("a house --s 60000", "a house --s 1000"),
        ("<1> a house --iw 100", "<1> a house --iw 3"),
    ):
        assert distance(draw(models, over), draw(models, most)) == 0


def test_hd_as_typed_is_twice_as_wide_and_sd_takes_it_back(models: Models) -> None:
    small, large, taken_back = (
        pixels(draw(models, typed)).shape for typed in ("a house", "a house --hd", "a house --sd")
    )
    assert large[:2] == (2 * small[0], 2 * small[1]) and taken_back == small


def test_a_model_as_typed_draws(folders: dict[str, Path], tmp_path: Path) -> None:
    usual, more = {"image": str(folders["stable-diffusion"])}, {"other": str(folders["stable-diffusion-xl"])}
    models = cpu_models(usual, tmp_path, cpu_threads=1, image_models=more)
    before, drawn = draw(models, "a house"), draw(models, "a house --model other")
    assert before.parameters["model"] == "stable-diffusion"
    assert drawn.parameters["model"] == "stable-diffusion-xl"
    assert distance(draw(models, "a house"), before) == 0
