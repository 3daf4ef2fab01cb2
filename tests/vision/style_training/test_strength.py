"""How strong a style is kept: by what the host's CLIP sees in drawings at several strengths."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load

from core.errors import ModelError
from tests.vision.style_training.test_training import PLAN, SETTINGS, in_engine, models
from vision.model_store import Models
from vision.own_models.steps import MemoryStore
from vision.protocol import WorkerConfig
from vision.reporter import Reporter
from vision.style_training import strength
from vision.style_training.learning import Learned, learn

STRENGTHS = (1.0, 1.5)


@pytest.mark.parametrize(
    ("near", "found"),
    [
        ({0.0: 0.0, 1.0: 0.45, 1.5: 0.6}, 1.0),
        ({0.0: 0.0, 1.0: 0.2, 1.5: 0.6}, 1.5),
        ({0.0: 0.0, 1.0: 0.2, 1.5: 0.1}, 1.0),  # none is near enough
    ],
)
def test_the_weakest_that_is_near_enough_is_kept(near: dict[float, float], found: float) -> None:
    assert strength.weakest(near, 0.5) == found


def with_clip(folders: dict[str, Path], folder: Path) -> Models:
    specs = {name: str(folders[name]) for name in ("stable-diffusion", "clip")}
    config = {"image": specs["stable-diffusion"], "clip": specs["clip"]}
    return Models(WorkerConfig("cpu", config, str(folder), cpu_threads=1))


@pytest.mark.slow
def test_the_file_has_the_strength_that_was_chosen(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strength, "weakest", lambda near, own: max(near))
    plan = replace(PLAN, settings=replace(SETTINGS, strengths=STRENGTHS))
    own = with_clip(folders, tmp_path)
    found = in_engine({"style": lambda reporter: learn(plan, own, MemoryStore(), reporter)})
    made = found["style"]
    assert isinstance(made, Learned), made
    plain = learn(PLAN, models(folders, "stable-diffusion", tmp_path), MemoryStore(), Reporter())
    assert (made.about["strength"], plain.about["strength"]) == (1.5, 1.0)
    assert [words for words, _ in made.rows] == ["without", "3 steps", "6 steps", "times 1.5"]
    ours, theirs = load(made.file), load(plain.file)
    for name, value in ours.items():
        factor = 1.5 if name.endswith("lora_B.weight") else 1.0
        assert torch.allclose(value.float(), factor * theirs[name].float(), rtol=2e-3, atol=1e-6), name


def test_without_a_clip_that_can_be_had_it_stays_as_learned(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = replace(PLAN, settings=replace(SETTINGS, steps=1, checkpoints=1, strengths=STRENGTHS))
    none = learn(plan, models(folders, "stable-diffusion", tmp_path), MemoryStore(), Reporter())
    own = with_clip(folders, tmp_path)
    get = own.get

    def refused(role: str, reporter: Reporter | None = None) -> object:
        if role == "clip":
            raise ModelError("there is none")
        return get(role, reporter)

    monkeypatch.setattr(own, "get", refused)
    lost = learn(plan, own, MemoryStore(), Reporter())
    assert none.about["strength"] == lost.about["strength"] == 1.0
    assert none.file == lost.file
