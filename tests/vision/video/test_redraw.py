"""Frames are drawn over without noise that differs from frame to frame."""

from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import diffusers
import pytest
from PIL import Image

from vision.diffusion.model import SCHEDULERS, ImageModel
from vision.diffusion.parameters import Drawn, Generation
from vision.families import Mode
from vision.reporter import Reporter
from vision.video.cutout import compose

ASKED = Generation(Mode.TEXT, "a boat", (7,), 64, 64, num_inference_steps=4, guidance_scale=3.0)


def sampler_of(monkeypatch: pytest.MonkeyPatch, own: str, asked: str | None) -> str | None:
    """The sampler that two frames are drawn over with, by a model whose own one is ``own``."""
    name, extra = SCHEDULERS[own]
    scheduler = getattr(diffusers, name)(**extra)
    model: Any = SimpleNamespace(family=SimpleNamespace(whole_mask=False), scheduler=lambda _: scheduler)
    model.calm_sampler = partial(ImageModel.calm_sampler, model)
    given: list[Generation] = []

    def generate(_: object, generation: Generation, __: object) -> Drawn:
        given.append(generation)
        return Drawn(generation.images)

    monkeypatch.setattr(compose, "generate", generate)
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    drawn = compose.drawn_over(model, replace(ASKED, sampler=asked), frames, 0.3, Reporter())
    assert [image.size for image in drawn] == [(64, 64)] * 2
    assert len(set(given[0].seeds)) == 1
    return given[0].sampler


@pytest.mark.parametrize(
    ("own", "used"),
    [
        ("dpm++sde", "dpm++"),
        ("euler_a", "euler"),
        ("ddpm", "ddim"),
        ("dpm++", None),
        ("euler", None),
        ("unipc", None),
        ("heun", None),
    ],
)
def test_a_models_own_sampler_draws_frames_without_new_noise(monkeypatch, own: str, used: str | None) -> None:
    assert sampler_of(monkeypatch, own, None) == used


@pytest.mark.parametrize("asked", ["dpm++sde", "euler_a", "heun"])
def test_a_sampler_that_was_asked_for_is_used(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    assert sampler_of(monkeypatch, "dpm++sde", asked) == asked
