"""An edit changes what its words mean; everything else stays the picture's own, to the pixel."""

import json
from dataclasses import replace
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch

from core.requests import EditRequest
from tests.support import tiny
from tests.vision import tiny_editors
from tests.vision.conftest import SHA, ask, cpu_models
from tests.vision.diffusion.test_checkpoint import Died, Kept
from tests.vision.families.test_families import pixels
from vision.diffusion import edit_mask
from vision.diffusion.edit_mask import Keeping, reached
from vision.store import Models

REQUEST = EditRequest(prompt="make it blue", image=SHA, seed=7, num_images=2, num_inference_steps=8)
SOME, NONE = 15.0, 1000.0  # thresholds: some of the tiny model's cells count as meant; none does
STEPS, COUNT = 8, 2
PLACE = (slice(None), slice(None), slice(2, 5), slice(3, 6))  # of what the words mean, in the latents


class Words:
    """A denoiser that knows the picture, and what the words put at PLACE."""

    def __init__(self, scheduler, source: torch.Tensor) -> None:
        self.scheduler, self.config = scheduler, {"in_channels": 8}
        self.clean = source.clone()
        self.clean[PLACE] += 3
        self.elsewhere = torch.randn(source.shape, generator=torch.Generator().manual_seed(1)) / 10

    def __call__(self, sample: torch.Tensor, timestep):
        noisy, alpha = sample[:, :4], self.scheduler.alphas_cumprod[int(timestep)]
        clean = (self.clean + self.elsewhere).repeat(len(sample) // COUNT, 1, 1, 1)
        noise = (noisy - alpha.sqrt() * clean) / (1 - alpha).sqrt()
        if self.scheduler.config.prediction_type == "epsilon":
            return (noise,)
        return (alpha.sqrt() * noise - (1 - alpha).sqrt() * clean,)


def drawn(sampler: str, kind: str, *, guided: bool = True) -> tuple[Keeping, torch.Tensor, torch.Tensor]:
    """What an InstructPix2Pix's loop makes: the mask's keeper, the picture's latents, and the new ones."""
    given = {"clip_sample": False} if sampler == "DDIMScheduler" else {}
    scheduler = getattr(diffusers, sampler)(prediction_type=kind, **given)
    noise = torch.Generator().manual_seed(0)
    source = torch.randn(COUNT, 4, 12, 13, generator=noise)
    denoiser = Words(scheduler, source * 0.5)
    keeping = Keeping(denoiser, scheduler, scale=0.5, threshold=0.5, steps=STEPS, count=COUNT)
    scheduler.set_timesteps(STEPS)
    latents = torch.randn(source.shape, generator=noise) * scheduler.init_noise_sigma
    extra = {"generator": noise} if "Ancestral" in sampler else {}
    for time in scheduler.timesteps:
        given = torch.cat([scheduler.scale_model_input(latents, time), source], 1)
        empty = torch.cat([given[:, :4], torch.zeros_like(source)], 1)
        told, *rest = keeping(torch.cat([given, given, empty]) if guided else given, time)[0].split(COUNT)
        guess = rest[1] + 3 * (told - rest[0]) + 1.5 * (rest[0] - rest[1]) if guided else told
        latents = scheduler.step(guess, time, latents, **extra).prev_sample
    return keeping, source * 0.5, latents


@pytest.mark.parametrize("kind", ("epsilon", "v_prediction"))
@pytest.mark.parametrize(
    "sampler",
    (
        "DPMSolverMultistepScheduler",
        "EulerDiscreteScheduler",
        "EulerAncestralDiscreteScheduler",
        "DDIMScheduler",
    ),
)
def test_what_the_words_do_not_mean_ends_as_it_was(sampler: str, kind: str) -> None:
    keeping, source, latents = drawn(sampler, kind)
    free = keeping.free
    assert free is not None and free[:, 2:5, 3:6].all() and not free[:, :, 9:].any()
    assert (latents - source)[~free[:, None].expand_as(source)].abs().max() < 0.02
    assert (latents - source)[PLACE].mean() > 2.5
    masks = [np.asarray(mask) for mask in keeping.masks()]
    assert all(np.array_equal(mask > 0, one.numpy()) for mask, one in zip(masks, free, strict=True))


def test_it_works_without_guidance_too() -> None:
    keeping, source, latents = drawn("DPMSolverMultistepScheduler", "v_prediction", guided=False)
    assert keeping.free is not None
    assert (latents - source)[~keeping.free[:, None].expand_as(source)].abs().max() < 0.02


def test_where_all_is_meant_all_is_free() -> None:
    scheduler = diffusers.DDIMScheduler(prediction_type="sample")
    keeping = Keeping(
        lambda sample, time: (sample[:, :4] + 9,), scheduler, scale=1.0, threshold=0.5, steps=4, count=1
    )
    sample = torch.zeros(3, 8, 4, 4)
    assert keeping.free is None and keeping.masks() == [None]
    assert torch.equal(keeping(sample, 900)[0], sample[:, :4] + 9)
    assert keeping.free is not None and keeping.free.all()


def rows(*lines: str) -> torch.Tensor:
    return torch.tensor([[[[cell != "." for cell in line] for line in lines]]])


def test_likely_cells_change_where_they_hang_together_with_certain_ones() -> None:
    certain = rows("#......", ".......", ".......", ".......")
    likely = rows("##....#", "..#...#", "..#....", ".#.....")
    assert torch.equal(reached(certain, likely), rows("##.....", "..#....", "..#....", ".#....."))
    assert not reached(rows("......."), rows("#######")).any()


@pytest.fixture
def certain_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """All cells of a tiny model hang together: nothing is let in that doesn't reach the threshold."""
    monkeypatch.setattr(edit_mask, "LIKELY", 1.0)


def editor(root: Path, threshold: float) -> Models:
    """The tiny editor as the product loads it, with a card of its own."""
    folder = tiny_editors.build(root / f"{threshold}", "instruct-pix2pix")
    (folder / "atelier.json").write_text(json.dumps({**tiny.CARD, "relevance_threshold": threshold}))
    return cpu_models({"image": str(folder), "edit": str(folder)}, root / "cache", cpu_threads=1)


def test_an_edit_that_means_nothing_gives_the_picture_back(tmp_path: Path) -> None:
    source = tiny.picture()
    for picture in ask(editor(tmp_path, NONE), REQUEST, source).pictures:
        assert np.array_equal(pixels(picture), np.asarray(source))


def test_pixels_outside_are_the_pictures_own_whatever_the_company_or_an_interruption(
    certain_alone, tmp_path: Path
) -> None:
    models, source = editor(tmp_path, SOME), tiny.picture()
    wanted = ask(models, REQUEST, source)
    two = [pixels(picture) for picture in wanted.pictures]
    same = [(one == np.asarray(source)).all(2).mean() for one in two]
    assert all(0.05 < share < 0.95 for share in same), same
    alone = pixels(ask(models, replace(REQUEST, seed=8, num_images=1), source).pictures[0])
    assert np.abs(two[1] - alone).max() <= 2
    for died_after in (1, 4):  # while it gathers, and after
        with pytest.raises(Died):
            ask(models, REQUEST, source, Kept(tmp_path / f"{died_after}", die_after=died_after))
        resumed = ask(models, REQUEST, source, Kept(tmp_path / f"{died_after}"))
        assert [p.data for p in resumed.pictures] == [p.data for p in wanted.pictures]
