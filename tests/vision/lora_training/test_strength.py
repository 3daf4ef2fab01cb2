"""How strong a style is kept: by what the host's CLIP sees in drawings at several strengths."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load

from core.errors import ModelError
from tests.vision.conftest import cpu_models
from tests.vision.custom_models.memory_store import MemoryStore
from tests.vision.lora_training.test_training import PLAN, SETTINGS, Dying, in_engine, models
from vision.custom_models.steps import Store
from vision.lora_training import dataset, train
from vision.lora_training.train import Learned, Seen, learn_style
from vision.reporter import Reporter
from vision.store import Models

GUIDED = replace(PLAN, settings=replace(SETTINGS, strengths=(1.2, 1.5, 9.0), whole=0.4))


@pytest.mark.parametrize(
    ("seen", "found"),
    [
        ({1.2: Seen(1.7, 0.97), 1.5: Seen(2.0, 0.9), 1.8: Seen(2.2, 0.8)}, 1.2),
        ({1.2: Seen(0.9, 0.97), 1.5: Seen(1.7, 0.9), 1.8: Seen(2.2, 0.8)}, 1.5),
        ({1.2: Seen(0.4, 0.99), 1.5: Seen(0.5, 0.95), 1.8: Seen(0.6, 0.9)}, 1.8),  # none is steady
        ({1.2: Seen(0.4, 0.99), 1.5: Seen(0.5, 0.95), 1.8: Seen(2.0, 0.7)}, 1.5),  # 1.8 shows other things
        ({1.2: Seen(0.4, 0.6), 1.5: Seen(0.5, 0.5), 1.8: Seen(2.0, 0.4)}, 1.2),  # all do
    ],
)
def test_the_weakest_steady_one_is_kept_of_those_that_show_what_was_asked(
    seen: dict[float, Seen], found: float
) -> None:
    assert train.best(seen) == found


def in_grey(level: int) -> Image.Image:
    return Image.fromarray(np.full((8, 8, 3), level, np.uint8))


class Matcher:
    """Sees two numbers in a picture: how grey it is, and how like any prompt, which the very bright are
    not."""

    def embed_image_lists(self, lists, before_slice) -> list[torch.Tensor]:
        return [self._unit([[float(np.asarray(one).mean()), 100.0] for one in shown]) for shown in lists]

    def embed_text_lists(self, lists, before_slice) -> list[torch.Tensor]:
        return [self._unit([[0.0, 1.0]] * len(texts)) for texts in lists]

    def _unit(self, rows: list[list[float]]) -> torch.Tensor:
        return torch.nn.functional.normalize(torch.tensor(rows), dim=-1)


def test_what_clip_sees_of_the_drawings_decides(folders, tmp_path: Path, monkeypatch) -> None:
    own = with_clip(folders, tmp_path)
    monkeypatch.setattr(own, "get", lambda role, reporter: Matcher())
    style, dark = [in_grey(60)] * 5, [in_grey(10), in_grey(12), in_grey(8)]
    near, off = [in_grey(50), in_grey(55), in_grey(45)], [in_grey(230), in_grey(240), in_grey(250)]
    little = [in_grey(15), in_grey(5), in_grey(14)]
    given = ["a boat", "a hut", "a tree"]

    def kept(tries: dict[float, list[Image.Image]]) -> float:
        return train.choose_strength(style, given, {0.0: dark, **tries}, 1.5, own, Reporter())

    assert kept({1.2: little, 1.5: near, 1.8: off}) == 1.5
    assert kept({1.2: near, 1.5: near, 1.8: off}) == 1.2
    assert kept({1.2: little, 1.5: little, 1.8: off}) == 1.5, "the strongest that shows what was asked for"


def with_clip(folders: dict[str, Path], folder: Path, family: str = "stable-diffusion") -> Models:
    return cpu_models({"image": str(folders[family]), "clip": str(folders["clip"])}, folder, cpu_threads=1)


@pytest.mark.slow
def test_the_file_tells_the_strength_that_was_chosen_and_is_drawn_with_by_it(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "best", max)
    monkeypatch.setattr(dataset, "TRIED", 2)
    own = with_clip(folders, tmp_path)
    made = in_engine({"style": lambda reporter: learn_style(GUIDED, own, MemoryStore(), reporter)})["style"]
    assert isinstance(made, Learned), made
    learned = learn_style(PLAN, models(folders, "stable-diffusion", tmp_path), MemoryStore(), Reporter())
    assert (made.about["strength"], made.about["guided"]) == (9.0, {"strength": 9.0, "whole": 0.4})
    assert [words for words, _ in made.rows] == ["without", "with it", "3 steps"]
    ours, theirs = load(made.file), load(learned.file)
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items()), "the weights are as learned"
    file = tmp_path / "ink.safetensors"
    file.write_bytes(made.file)
    drawn = dataset.draw_samples(
        ["a castle, ink wash"],
        "ink",
        "again",
        SETTINGS.seed,
        models(folders, "stable-diffusion", tmp_path, ink=str(file)).get("image"),
        MemoryStore(),
        Reporter(),
    )
    plain, chosen = (np.asarray(row[0], np.int16) for _, row in made.rows[:2])
    again = np.asarray(drawn[0], np.int16)
    assert np.abs(again - chosen).max() <= 1, "--lora draws what the sample showed"  # half precision
    assert np.abs(again - plain).max() > 1


@pytest.mark.slow
def test_strengths_beyond_the_time_of_its_card_are_not_tried(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "best", max)
    monkeypatch.setattr(train, "TIMED", 100)
    monkeypatch.setattr(dataset, "TRIED", 2)
    plan = replace(GUIDED, seconds=1e-6)
    made = learn_style(plan, with_clip(folders, tmp_path), MemoryStore(), Reporter())
    assert made.about["strength"] == 1.5, "the usual one, and not the strongest"


@pytest.mark.long
def test_one_that_is_cut_off_while_its_strength_is_sought_ends_in_the_same_bytes(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "KEEP_EVERY", 0.0)
    monkeypatch.setattr(dataset, "TRIED", 3)
    store, while_trying = Store(tmp_path / "kept"), 0
    while True:
        try:
            made = learn_style(GUIDED, with_clip(folders, tmp_path), store, Dying(12))
            break
        except KeyboardInterrupt:
            while_trying += any((tmp_path / "kept").glob("sample-*-6-1.2-*.png"))
    assert while_trying, "it was drawing at several strengths"
    assert made.file == learn_style(GUIDED, with_clip(folders, tmp_path), MemoryStore(), Reporter()).file


@pytest.mark.long
def test_a_family_without_guidance_has_the_strength_in_its_weights(folders, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(train, "best", max)
    monkeypatch.setattr(dataset, "TRIED", 2)
    made = learn_style(GUIDED, with_clip(folders, tmp_path, "flux"), MemoryStore(), Reporter())
    plain = learn_style(PLAN, models(folders, "flux", tmp_path), MemoryStore(), Reporter())
    assert (made.about["strength"], made.about.get("guided")) == (9.0, None)
    ours, theirs = load(made.file), load(plain.file)
    for name, value in ours.items():
        factor = 9.0 if name.endswith("lora_B.weight") else 1.0
        assert torch.allclose(value.float(), factor * theirs[name].float(), rtol=2e-3, atol=1e-6), name


def test_without_a_clip_that_can_be_had_it_stays_as_learned(folders, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(dataset, "TRIED", 2)
    plan = replace(PLAN, settings=replace(SETTINGS, steps=1, checkpoints=1, strengths=(1.0, 1.5)))
    none = learn_style(plan, models(folders, "stable-diffusion", tmp_path), MemoryStore(), Reporter())
    own = with_clip(folders, tmp_path)
    get = own.get

    def refused(role: str, reporter: Reporter | None = None) -> object:
        if role == "clip":
            raise ModelError("there is none")
        return get(role, reporter)

    monkeypatch.setattr(own, "get", refused)
    lost = learn_style(plan, own, MemoryStore(), Reporter())
    assert none.about["strength"] == lost.about["strength"] == 1.0
    assert none.file == lost.file
