"""Learned styles in shared passes: jobs with different ones draw together what each draws alone."""

import hashlib
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load, save

from core.prompt.values import StoredLora
from tests.vision.custom_models.memory_store import MemoryStore
from tests.vision.engine import test_engine
from tests.vision.engine.test_engine import CLOSE, Job, apart, generation, together
from tests.vision.lora_training.test_training import FAMILIES, OTHERS, models
from vision.diffusion.model import ImageModel
from vision.diffusion.parameters import Generation
from vision.families import Mode
from vision.lora_training import families, train
from vision.lora_training.config import Settings
from vision.lora_training.dataset import Example
from vision.lora_training.train import Plan, learn_style
from vision.reporter import Reporter
from vision.store import Models

keep_latents = test_engine.keep_latents
PROJECTS = {"ink": "abcdefgh2345", "rust": "mnpqrstu6789"}


def learned(own: Models, tint: tuple[int, int, int], seed: int) -> bytes:
    """A style from five pictures of noise in a tint, in few and large steps."""
    lots = np.random.default_rng(seed)
    shown = [lots.integers(0, 90, (64, 64, 3), np.uint8) + np.array(tint, np.uint8) for _ in range(5)]
    examples = tuple(Example(Image.fromarray(one), "a cat") for one in shown)
    settings = Settings("ink wash", 4, 2, "fine", 1e-2, batch=2, checkpoints=1, seed=seed)
    return learn_style(Plan(None, examples, (), settings), own, MemoryStore(), Reporter()).file


@pytest.mark.parametrize("family", [FAMILIES[0], *OTHERS])
def test_jobs_with_different_learned_styles_share_passes_and_draw_what_they_draw_alone(
    family: str, folders: dict[str, Path], tmp_path: Path, keep_latents
) -> None:
    torch.set_num_threads(1)
    teacher, names, stored = models(folders, family, tmp_path), {}, {}
    for seed, (name, tint) in enumerate({"ink": (0, 60, 120), "rust": (140, 60, 0)}.items()):
        file = tmp_path / f"{name}.safetensors"
        made = learned(teacher, tint, seed)
        if family == "flux2-klein":  # whose tiny one learns too little in so few steps to be seen
            made = save(train.scaled(load(made), 10.0))
        file.write_bytes(made)
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        names[name], stored[sha256] = str(StoredLora(name, PROJECTS[name], sha256)), file
    ink, rust = names["ink"], names["rust"]
    first = generation(random.Random(2), Mode.TEXT)
    choices = [((ink, 1.0),), ((rust, 0.7),), (), ((ink, 0.5), (rust, -0.4))]
    asked = [
        replace(first, loras=choice, seeds=(at,), num_inference_steps=3 + at % 2)
        for at, choice in enumerate(choices)
    ]
    passes: list[int] = []  # pictures in each

    def fresh() -> ImageModel:
        own = models(folders, family, tmp_path)
        own.loader.note_stored(stored)
        model = own.get("image")
        network = model.pipeline(Mode.TEXT).components[families.recipe_of(model).part]
        network.register_forward_pre_hook(_noted(passes), with_kwargs=True)
        return model

    shared, single = [Job(one) for one in asked], fresh()
    together(fresh(), shared, [0, 0, 1, 1])
    widest, count = max(passes), len(passes)
    for job in shared:
        assert job.error is None
        assert apart(job.latents, _alone(single, job.generation)) < CLOSE, job.generation.loras
    assert max(passes[count:]) < widest and len(passes) - count > count, "passes were shared"
    own = _alone(single, asked[0])
    for other in ((), ((rust, 1.0),)):
        assert apart(own, _alone(single, replace(asked[0], loras=other))) > 10 * CLOSE, "it can be seen"


def _alone(model: ImageModel, one: Generation) -> list[torch.Tensor]:
    job = Job(one)
    together(model, [job], [0])
    assert job.error is None
    return job.latents


def _noted(passes: list[int]) -> Callable[..., None]:
    """Return a hook that notes how many pictures a call has: the length of its first tensor."""

    def note(module: torch.nn.Module, positional: tuple, named: dict) -> None:
        given = (*positional, *named.values())
        passes.append(len(next(value for value in given if isinstance(value, torch.Tensor))))

    return note
