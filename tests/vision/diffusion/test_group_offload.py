"""Models whose layers come to the device one by one draw what those draw that stay there, and share steps."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.vision.diffusion.test_loras import save_lora
from tests.vision.engine.test_engine import Job, generation, keep_latents, together
from tools.short_memory import Card, draw
from vision.diffusion.load import load_image_model
from vision.diffusion.model import ImageModel
from vision.families import Mode
from vision.weights.memory import Plan

__all__ = ["keep_latents"]


@pytest.fixture
def loaded(folders: dict[str, Path], tmp_path: Path) -> Callable[[str, str], ImageModel]:
    def load(name: str, offload: str) -> ImageModel:
        return load_image_model(
            folders[name],
            name,
            device="cpu",
            dtype=torch.float32,
            plan=Plan("off", offload),
            offline=True,
            report=lambda share: None,
            find_lora=lambda name, reporter: tmp_path / f"{name}.safetensors",
        )

    return load


def drawn(
    model: ImageModel, loras: tuple[tuple[str, float], ...] = ()
) -> tuple[list[torch.Tensor], list[int]]:
    """The latents of three jobs that come one after the other, and the rows of each pass."""
    rng, rows = random.Random(3), list[int]()
    jobs = [Job(generation(rng, mode)) for mode in (Mode.TEXT, Mode.TEXT, Mode.IMAGE)]
    jobs[1].generation = replace(jobs[1].generation, loras=loras)
    denoiser = model.pipeline(Mode.TEXT).components.get("unet") or model.pipeline(Mode.TEXT).transformer

    def count(module: torch.nn.Module, args: tuple, given: dict) -> None:
        sample = (
            args[0]
            if args
            else next(given[name] for name in ("sample", "hidden_states", "x") if name in given)
        )
        rows.append(len(sample))

    hook = denoiser.register_forward_pre_hook(count, with_kwargs=True)
    together(model, jobs, [0, 0, 1])
    hook.remove()
    assert [job.error for job in jobs] == [None] * 3
    return [latents for job in jobs for latents in job.latents], rows


@pytest.mark.parametrize("name", ["stable-diffusion", "flux2-klein", "qwen-image"])
def test_layers_that_move_draw_the_same_bits_in_the_same_shared_passes(
    name: str, loaded: Callable[[str, str], ImageModel], keep_latents: None
) -> None:
    moving, staying = loaded(name, "group"), loaded(name, "none")
    assert moving.shares_steps and moving.label != staying.label, "its passes take longer"
    latents, rows = drawn(moving)
    wanted, wanted_rows = drawn(staying)
    assert all(torch.equal(a, b) for a, b in zip(latents, wanted, strict=True))
    assert rows == wanted_rows and max(rows) > min(rows), "they share"


def test_loras_apply_to_layers_that_move(
    loaded: Callable[[str, str], ImageModel], keep_latents, tmp_path
) -> None:
    save_lora("stable-diffusion", tmp_path / "ink.safetensors", 0, ("unet",), 6.0)
    plain, _ = drawn(loaded("stable-diffusion", "none"))
    latents, rows = drawn(loaded("stable-diffusion", "group"), (("ink", 1.0),))
    wanted, wanted_rows = drawn(loaded("stable-diffusion", "none"), (("ink", 1.0),))
    assert all(torch.equal(a, b) for a, b in zip(latents, wanted, strict=True)) and rows == wanted_rows
    assert not all(torch.equal(a, b) for a, b in zip(latents, plain, strict=True))


def test_on_a_card_the_next_layer_comes_while_one_computes_and_the_picture_is_the_same(
    folders: dict[str, Path],
) -> None:
    plain = draw(folders["stable-diffusion"], Card("ample", 1 << 40, "none"))
    found = draw(folders["stable-diffusion"], Card("ample", 1 << 40, "group"))
    assert found.plan == "group" and found.is_back and found.output and plain.output
    assert [one.data for one in found.output.pictures] == [one.data for one in plain.output.pictures]
    assert found.weights < plain.weights / 2 and found.peak < plain.peak - plain.weights / 2
