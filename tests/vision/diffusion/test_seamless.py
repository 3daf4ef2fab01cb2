"""``--tile``: opposite edges meet, and nobody else notices."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.requests import ImagineRequest, VariationRequest
from demo.train.loop import MODELS
from tests.support import tiny
from tests.vision.conftest import SHA, ask, cpu_models
from tests.vision.families.test_families import FAMILY_NAMES, FROM_PICTURES, SAME, apart, pixels
from vision.diffusion import seamless
from vision.diffusion.seamless import Rolling
from vision.images import encode
from vision.store import Models

REQUEST = ImagineRequest(prompt="a red house", seed=7, num_images=2, num_inference_steps=4, tile=True)


def seam(picture: np.ndarray) -> float:
    """The step across opposite edges in ordinary steps between neighbours."""
    a = picture.astype(float)
    across = np.abs(a[0] - a[-1]).mean() + np.abs(a[:, 0] - a[:, -1]).mean()
    return across / (np.abs(np.diff(a, axis=0)).mean() + np.abs(np.diff(a, axis=1)).mean())


@torch.no_grad()
def test_a_copy_has_the_same_tensors_and_turns_with_its_input(models_of: Callable[..., Models]) -> None:
    unet = models_of(image="stable-diffusion").get("image").pipeline("text-to-image").unet
    copied = seamless.circular_copy(unet)
    assert [id(p) for p in copied.parameters()] == [id(p) for p in unet.parameters()]
    x, words = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)), torch.zeros(1, 77, 32)
    errors = {}
    for name, module in (("copy", copied), ("plain", unet)):
        turned = module(torch.roll(x, (2, 4), (-2, -1)), 5, words)[0]
        errors[name] = float((turned - torch.roll(module(x, 5, words)[0], (2, 4), (-2, -1))).abs().max())
    assert errors["copy"] < 1e-5 < 1e-3 < errors["plain"]


@torch.no_grad()
def test_a_picture_is_decoded_as_a_ring(models_of: Callable[..., Models]) -> None:
    vae = models_of(image="stable-diffusion").get("image").pipeline("text-to-image").vae
    z = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))

    def ring(latents: torch.Tensor) -> torch.Tensor:
        return seamless.unwrapped(vae.decode(seamless.wrapped(latents), return_dict=False)[0], latents)

    def plain(latents: torch.Tensor) -> torch.Tensor:
        return vae.decode(latents, return_dict=False)[0]

    assert ring(z).shape == plain(z).shape
    turned = torch.roll(z, (2, 3), (-2, -1))
    errors = [
        float((decode(turned) - torch.roll(decode(z), (16, 24), (-2, -1))).abs().mean())
        for decode in (ring, plain)
    ]
    assert errors[0] < errors[1] / 3, errors  # not 0: normalisation and attention see the whole picture


@pytest.mark.parametrize("shape", [(2, 4, 6, 8), (2, 48, 4), (2, 4, 1, 6, 8)])
def test_a_rolling_denoiser_gives_back_what_belongs_to_each_place(shape: tuple[int, ...]) -> None:
    seen = []

    def denoiser(hidden_states, timestep):
        seen.append(hidden_states)
        return (hidden_states * 2,)

    rolling, x = Rolling(denoiser, 8 / 6), torch.randn(shape)
    for _ in range(3):
        assert torch.equal(rolling(hidden_states=x, timestep=1)[0], x * 2)
    assert not any(torch.equal(a, b) for a, b in zip(seen, [x, *seen], strict=False)), "the borders move"


def test_pictures_to_look_at_that_came_along_are_not_rolled() -> None:
    x = torch.randn(1, 51, 4)
    assert torch.equal(Rolling(lambda hidden_states: (hidden_states,), 1.0)(hidden_states=x)[0], x)


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_every_family_draws_tiles_and_the_next_job_is_as_before(name: str, models_of) -> None:
    models, plain = models_of(image=name), replace(REQUEST, tile=False)
    before = ask(models, plain)
    tiled = ask(models, REQUEST)
    assert apart(before.pictures[0], tiled.pictures[0]) > 0
    assert not [n for n in tiled.parameters["notes"] if "tile" in n]
    assert apart(tiled.pictures[1], ask(models, replace(REQUEST, seed=8, num_images=1)).pictures[0]) <= SAME
    if name in FROM_PICTURES:
        picture = VariationRequest(prompt="a", image=SHA, tile=True, num_images=1, num_inference_steps=4)
        assert ask(models, picture, tiny.picture()).parameters["tile"]
    assert [p.data for p in ask(models, plain).pictures] == [p.data for p in before.pictures]


@pytest.mark.slow
def test_the_demo_models_edges_meet(tmp_path) -> None:
    models = cpu_models({"image": MODELS / "stable-diffusion"}, tmp_path, cpu_threads=1)
    request = ImagineRequest(prompt="red flowers on the grass", seed=40, num_images=4, num_inference_steps=6)
    plain, tiled = (ask(models, replace(request, tile=tile)) for tile in (False, True))
    assert np.median([seam(pixels(p)) for p in plain.pictures]) > 5
    assert np.median([seam(pixels(p)) for p in tiled.pictures]) < 2.5


def test_enlarging_a_tile_keeps_its_edges_together() -> None:
    whole = np.asarray(encode.enlarge(encode.wrapped(tiny.picture(48, 48), 8), 4), int)[32:-32, 32:-32]
    assert np.abs(whole - np.asarray(encode.enlarge(tiny.picture(48, 48), 4, seamless=True), int)).max() <= 1
