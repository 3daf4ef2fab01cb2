"""``--stop``: fewer steps, and no noise left at the end."""

from dataclasses import replace

import diffusers
import pytest
import torch

from core.requests import ImagineRequest, VariationRequest
from tests.support import tiny
from tests.vision.conftest import SHA, Recorder, ask
from tests.vision.families.test_families import FAMILY_NAMES, FROM_PICTURES, apart
from vision.diffusion import checkpoint
from vision.diffusion.model import SCHEDULERS

FLOW = ("FlowMatchEulerDiscreteScheduler", {})
KINDS = {**SCHEDULERS, "flow": FLOW}


def run(
    scheduler, steps: int, clean: torch.Tensor, calls_at_most: int | None = None
) -> tuple[int, torch.Tensor]:
    """Denoise with an oracle that always knows the clean picture: (calls, where it ends)."""
    scheduler.set_timesteps(steps)
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(clean.shape, generator=generator)
    flow = type(checkpoint.unwrapped(scheduler)).__name__.startswith("FlowMatch")
    x = noise if flow else noise * scheduler.init_noise_sigma
    calls = 0
    for t in scheduler.timesteps[:calls_at_most]:
        seen = x if flow else scheduler.scale_model_input(x, t)
        if flow:
            out = (x - clean) / scheduler.sigmas[scheduler.step_index or 0]
        else:
            a = scheduler.alphas_cumprod[int(t)]
            out = (seen - a**0.5 * clean) / (1 - a) ** 0.5
        x = scheduler.step(out, t, x, return_dict=False)[0]
        calls += 1
    return calls, x


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_schedule_that_is_stopped_ends_at_the_clean_picture(kind: str) -> None:
    name, extra = KINDS[kind]
    clean = torch.linspace(-1, 1, 32).reshape(1, 2, 4, 4)
    whole, _ = run(getattr(diffusers, name)(**extra), 20, clean)
    calls, end = run(checkpoint.stopped_at(getattr(diffusers, name)(**extra), 0.5), 20, clean)
    assert abs(calls - whole / 2) <= 1
    assert (end - clean).abs().max() < 0.05
    _, broken_off = run(getattr(diffusers, name)(**extra), 20, clean, calls)
    assert (broken_off - clean).abs().max() > 0.2, "simply leaving the loop would leave noise"


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_whole_schedule_is_untouched(kind: str) -> None:
    name, extra = KINDS[kind]
    scheduler = getattr(diffusers, name)(**extra)
    assert checkpoint.stopped_at(scheduler, 1.0) is scheduler and type(scheduler) is getattr(diffusers, name)


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_every_family_stops_early_from_words_and_from_a_picture(name: str, models_of) -> None:
    words = ImagineRequest(prompt="a red house", seed=7, num_images=1, num_inference_steps=10)
    picture = VariationRequest(
        prompt="a red house", seed=7, num_images=1, num_inference_steps=10, image=SHA, strength=0.8
    )
    for request in (words, picture) if name in FROM_PICTURES else (words,):
        whole, half = Recorder(), Recorder()
        full = ask(models_of(image=name), request, tiny.picture(), whole)
        stopped = ask(models_of(image=name), replace(request, stop=50), tiny.picture(), half)
        assert half.steps[-1][0] == half.steps[-1][1] and abs(len(half.steps) - len(whole.steps) / 2) <= 1
        assert apart(full.pictures[0], stopped.pictures[0]) > 0
        assert stopped.parameters["stop"] == 50
