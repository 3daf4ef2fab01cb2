"""What goes wrong while drawing, and what is done about it."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from core.errors import OutOfMemory
from core.requests import ImagineRequest
from tests.support import tiny
from tests.vision.conftest import Recorder, ask, cpu_models
from tests.vision.families.test_families import SAME, apart
from tools.full_size import read_architectures
from vision.diffusion.model import BlankPicture
from vision.diffusion.vae import LatentMap, predicted
from vision.store import Models

REQUEST = ImagineRequest(prompt="a", seed=4, num_inference_steps=3)


@pytest.fixture
def models(folders: dict[str, Path], tmp_path: Path) -> Models:
    """A Stable Diffusion of this test's own, to be tampered with."""
    return cpu_models({"image": folders["stable-diffusion"]}, tmp_path)


def tamper(module: torch.nn.Module, name: str, change: Callable) -> None:
    original = getattr(module, name)
    setattr(module, name, lambda *args, **kwargs: change(original, *args, **kwargs))


def full_above(batch: int) -> Callable:
    def change(original: Callable, sample: torch.Tensor, *args, **kwargs):
        if sample.shape[0] > batch:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return original(sample, *args, **kwargs)

    return change


def test_out_of_memory_is_tried_once_more_one_by_one(models: Models) -> None:
    wanted, recorder = ask(models, REQUEST), Recorder()
    tamper(
        models.get("image").pipeline("text-to-image").unet, "forward", full_above(2)
    )  # guidance doubles one picture to two
    output = ask(models, REQUEST, reporter=recorder)
    assert len(output.pictures) == 4
    assert max(apart(a, b) for a, b in zip(wanted.pictures, output.pictures, strict=True)) <= SAME
    assert recorder.steps[-1] == (12, 12)


def test_out_of_memory_in_the_decoder_costs_no_steps(models: Models) -> None:
    def full_unless_tiled(original: Callable, z: torch.Tensor, **kwargs):
        if not vae.use_tiling:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return original(z, **kwargs)

    vae, recorder = models.get("image").pipeline("text-to-image").vae, Recorder()
    tamper(vae, "decode", full_unless_tiled)
    assert len(ask(models, REQUEST, reporter=recorder).pictures) == 4
    assert recorder.steps[-1] == (3, 3)


def test_out_of_memory_twice_is_told(models: Models) -> None:
    tamper(models.get("image").pipeline("text-to-image").unet, "forward", full_above(0))
    with pytest.raises(OutOfMemory, match="64x64 px"):
        ask(models, REQUEST)


def test_another_runtime_error_is_not_taken_for_memory(models: Models) -> None:
    def fail(original: Callable, *args, **kwargs):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    tamper(models.get("image").pipeline("text-to-image").unet, "forward", fail)
    with pytest.raises(RuntimeError, match="mat1"):
        ask(models, REQUEST)


def broken_below_float32(original: Callable, latents: torch.Tensor, *args, **kwargs):
    decoded = original(latents, *args, **kwargs)
    return (torch.full_like(decoded[0], torch.nan),) if latents.dtype != torch.float32 else decoded


def test_a_decoder_that_overflows_in_half_precision_decodes_again_in_float32(folders, tmp_path) -> None:
    models = cpu_models({"image": folders["stable-diffusion"]}, tmp_path, dtype="bfloat16")
    wanted, vae = ask(models, REQUEST), models.get("image").pipeline("text-to-image").vae
    assert vae.dtype == torch.bfloat16
    tamper(vae, "decode", broken_below_float32)
    output = ask(models, REQUEST)
    assert apart(wanted.pictures[0], output.pictures[0]) < 16
    assert vae.dtype == torch.bfloat16, "the decoder is put back"


@pytest.mark.parametrize("value", [torch.nan, -1.0], ids=["not a number", "black"])
def test_an_empty_picture_is_never_returned(value: float, models: Models) -> None:
    tamper(
        models.get("image").pipeline("text-to-image").vae,
        "decode",
        lambda original, z, **kwargs: (torch.full((1, 3, 64, 64), value),),
    )
    with pytest.raises(BlankPicture):
        ask(models, REQUEST)


def test_latents_that_are_not_numbers_are_told(models: Models) -> None:
    def poison(original: Callable, *args, **kwargs):
        return (original(*args, **kwargs)[0] * torch.nan,)

    tamper(models.get("image").pipeline("text-to-image").unet, "forward", poison)
    with pytest.raises(BlankPicture):
        ask(models, REQUEST)


def test_a_schedule_that_ends_at_a_level_has_two_steps_at_least(folders, tmp_path) -> None:
    """Of one step diffusers' schedule makes 0/0."""
    folder = tmp_path / "qwen"
    shutil.copytree(folders["qwen-image"], folder)
    config = read_architectures()["qwen-image-2512"]["parts"]["scheduler"]["config"]
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(config))
    models = cpu_models({"image": folder}, tmp_path)
    output = ask(models, replace(REQUEST, num_inference_steps=1))
    assert len(output.pictures) == 4 and output.parameters["num_inference_steps"] == 2
    assert "qwen takes 2 steps at least, so it took 2." in output.parameters["notes"]
    plain = ask(
        cpu_models({"image": folders["qwen-image"]}, tmp_path), replace(REQUEST, num_inference_steps=1)
    )
    assert plain.parameters["num_inference_steps"] == 1
    assert not any("steps" in note for note in plain.parameters.get("notes", ()))


def test_what_the_models_safety_checker_flags_is_veiled_and_said(models: Models) -> None:
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPImageProcessor

    clear, pipe = ask(models, REQUEST), models.get("image").pipeline("text-to-image")
    config = CLIPConfig(
        vision_config={**tiny.VISION, "projection_dim": 16}, text_config=tiny.CLIP_TEXT, projection_dim=16
    )
    checker = StableDiffusionSafetyChecker(config).eval()
    with torch.no_grad():
        checker.concept_embeds_weights.fill_(-2.0)  # thresholds below any cosine: everything is flagged
    sizes = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    pipe.register_modules(safety_checker=checker, feature_extractor=CLIPImageProcessor(**sizes))
    output = ask(models, REQUEST)
    assert "hidden picture 1, 2, 3, 4" in output.parameters["notes"][0]
    assert apart(clear.pictures[0], output.pictures[0]) > 20


def test_a_preview_shows_what_the_decoder_will_draw() -> None:
    """On an autoencoder that is only a change of scale, the fitted map must be that change of scale."""

    class Pooling(torch.nn.Module):
        dtype = torch.float32

        def encode(self, x: torch.Tensor):
            return SimpleNamespace(latents=torch.nn.functional.avg_pool2d(x, 8) * 3 + 0.5)

    fitted = LatentMap.fit(Pooling(), "cpu")
    rgb = torch.rand(1, 3, 5, 7)
    shown = fitted.pictures((rgb * 2 - 1) * 3 + 0.5)[0]
    assert shown.size == (7, 5)
    assert abs(shown.getpixel((3, 2))[1] - rgb[0, 1, 2, 3] * 255) < 2


@pytest.mark.parametrize("kind", ["flow", "exploding"])
def test_the_predicted_picture_of_an_exact_step_is_the_exact_picture(kind: str) -> None:
    from diffusers import EulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler

    torch.manual_seed(0)
    x0, noise = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8)
    scheduler = FlowMatchEulerDiscreteScheduler() if kind == "flow" else EulerDiscreteScheduler()
    scheduler.set_timesteps(6)

    def at(sigma: float) -> torch.Tensor:
        return (1 - sigma) * x0 + sigma * noise if kind == "flow" else x0 + sigma * noise

    before = at(float(scheduler.sigmas[2]))
    scheduler._step_index = 2
    velocity = noise - x0 if kind == "flow" else noise
    after = scheduler.step(velocity, scheduler.timesteps[2], before, return_dict=False)[0]
    assert torch.allclose(predicted(scheduler, before, after), x0, atol=1e-3)
