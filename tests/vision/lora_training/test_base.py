"""Styles for distilled models: learned on the base, drawn with by the model that was distilled from it."""

import json
import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from safetensors.torch import load, load_file, save_file

from core.errors import JobCancelled, ModelError, UserError
from core.requests import ImagineRequest
from tests.vision.conftest import Recorder, ask
from tests.vision.custom_models.memory_store import MemoryStore
from tests.vision.families.test_families import apart
from tests.vision.lora_training.test_training import PLAN, SETTINGS, Dying, in_engine
from vision.custom_models.steps import Store
from vision.lora_training import config, train
from vision.lora_training.train import Learned, learn_style
from vision.protocol import WorkerConfig
from vision.reporter import Reporter
from vision.store import Models
from vision.weights import files, hub, memory
from vision.weights.card import FILE as CARD
from vision.weights.card import family_and_card

REQUEST = ImagineRequest(prompt="a castle, ink wash", seed=5, num_images=1, num_inference_steps=2)


@pytest.fixture(autouse=True)
def keep_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "KEEP_EVERY", 0.0)
    monkeypatch.setattr(train, "KEEP_SHARE", 1e9)


@pytest.fixture(params=["flux2-klein", pytest.param("z-image", marks=pytest.mark.slow)])
def distilled(request: pytest.FixtureRequest, folders: dict[str, Path], tmp_path: Path) -> Path:
    """A model and, beside it, its base: other weights of the same shapes, a transformer and no more."""
    folder, base = tmp_path / "house", tmp_path / "house-base"
    shutil.copytree(folders[request.param], folder)
    own = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps({**own, "base": base.name}))
    base.mkdir()
    shutil.copy(folder / "model_index.json", base)
    for part in ("transformer", "scheduler"):
        shutil.copytree(folder / part, base / part)
    file = next((base / "transformer").glob("*.safetensors"))
    numbers = torch.Generator().manual_seed(8)
    weights = {
        name: value + 0.02 * torch.randn(value.shape, generator=numbers)
        for name, value in load_file(file).items()
    }
    save_file(weights, file, {"format": "pt"})
    return folder


def models(folder: Path, cache: Path, **more) -> Models:
    return Models(WorkerConfig("cpu", {"image": str(folder)}, str(cache), cpu_threads=1, **more))


def learned(distilled: Path, cache: Path, rate: float, own: Models | None = None) -> Learned:
    settings = replace(SETTINGS, steps=24, rank=4, learning_rate=rate, checkpoints=1)
    plan = replace(PLAN, settings=settings)
    return learn_style(plan, own or models(distilled, cache), MemoryStore(), Reporter())


def test_the_base_learns_and_the_distilled_model_draws(distilled: Path, tmp_path: Path) -> None:
    before = ask(models(distilled, tmp_path), REQUEST).pictures[0]
    own = models(distilled, tmp_path)
    made, still = learned(distilled, tmp_path, 1e-2, own), learned(distilled, tmp_path, 1e-6)
    # step by step with the same pictures and the same noise
    assert (np.subtract(still.losses, made.losses)[-8:] > 0).all()
    assert made.about["learned_on"] == "house-base" and made.about["model"] == "house"
    assert [words for words, _ in made.rows] == ["without", "with it"]
    assert apart(ask(own, REQUEST).pictures[0], before) == 0, "the model that draws is as it was"
    file = tmp_path / "ink.safetensors"
    file.write_bytes(made.file)
    styled = models(distilled, tmp_path, loras={"ink": str(file)})
    drawn = ask(styled, replace(REQUEST, loras=(("ink", 1.0),))).pictures[0]
    assert apart(drawn, before) > 0.2
    assert apart(ask(styled, REQUEST).pictures[0], before) == 0


def test_diffusers_itself_reads_the_file(distilled: Path, tmp_path: Path) -> None:
    made = learn_style(PLAN, models(distilled, tmp_path), MemoryStore(), Reporter())
    (tmp_path / "pytorch_lora_weights.safetensors").write_bytes(made.file)
    pipe = diffusers.DiffusionPipeline.from_pretrained(distilled)
    pipe.load_lora_weights(tmp_path, weight_name="pytorch_lora_weights.safetensors")
    names = {name for name in pipe.transformer.state_dict() if ".lora_" in name}
    assert len(names) == len(load(made.file)) > 0
    for name, value in load(made.file).items():
        ours = name.removeprefix("transformer.").replace(".weight", ".default_0.weight")
        assert torch.equal(pipe.transformer.state_dict()[ours].half(), value), name


def test_one_that_is_killed_ends_in_the_same_bytes(distilled: Path, tmp_path: Path) -> None:
    whole = learn_style(PLAN, models(distilled, tmp_path), MemoryStore(), Reporter()).file
    store = Store(tmp_path / "kept")
    for at in (9, 4):
        with pytest.raises(KeyboardInterrupt):
            learn_style(PLAN, models(distilled, tmp_path), store, Dying(at))
    assert store.get(train.STATE) is not None
    seen = Recorder()
    assert learn_style(PLAN, models(distilled, tmp_path), store, seen).file == whole
    assert min(step for step, _ in seen.steps) > 1, "it went on where it was"


def test_a_cancel_is_seen_between_two_steps(distilled: Path, tmp_path: Path) -> None:
    store = MemoryStore()
    with pytest.raises(JobCancelled):
        learn_style(PLAN, models(distilled, tmp_path), store, Recorder(stop_after=8))
    state = train.State.decode(store.get(train.STATE) or b"", _fingerprint(distilled, tmp_path))
    assert state is not None and 0 < state.step < SETTINGS.steps


def _fingerprint(folder: Path, cache: Path) -> str:
    return PLAN.fingerprint(models(folder, cache).image(None))


@pytest.mark.parametrize("distilled", ["flux2-klein"], indirect=True)
def test_where_one_of_them_fits_neither_is_held_beside_the_other(
    distilled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = models(distilled, tmp_path)
    monkeypatch.setattr(Models, "_fits", lambda self, wanted, without=(): not self.held.keys() - without)
    found = in_engine({"style": lambda reporter: learn_style(PLAN, own, MemoryStore(), reporter)})
    assert isinstance(found["style"], Learned), found["style"]
    assert len(own.held) == 1
    alone = learn_style(PLAN, models(distilled, tmp_path), MemoryStore(), Reporter())
    assert found["style"].file == alone.file


@pytest.mark.parametrize("distilled", ["flux2-klein"], indirect=True)
@pytest.mark.parametrize("base", ["../elsewhere", "owner/name", "owner/name@main", 7])
def test_a_base_that_is_not_pinned_or_lies_elsewhere_is_refused(base, distilled: Path) -> None:
    (distilled / CARD).write_text(json.dumps({"base": base}))
    with pytest.raises(ModelError, match="base is .* 40 hex digits, or the name"):
        family_and_card(distilled)


def test_what_a_base_takes_is_counted_and_the_nearest_way_that_fits_is_taken() -> None:
    takes = {"off": 8, "int8": 4, "nf4": 2}
    sizes = {kind: memory.Sizes({"transformer": size}, memory.Needs(0, 1, 0)) for kind, size in takes.items()}
    every = ("int8", "nf4")

    def kind(free: int, quantize: str = "auto", installed=every) -> str:
        return config.choose_kind(sizes, "house", free, quantize, installed)

    assert [kind(9), kind(8), kind(4), kind(9, "int8")] == ["off", "int8", "nf4", "off"]
    for refused in (lambda: kind(2), lambda: kind(8, "off"), lambda: kind(4, installed=("int8",))):
        with pytest.raises(UserError, match="Training a style on house needs about"):
            refused()


HUB = f"black-forest-labs/house@{'a' * 40}/transformer"


def test_of_a_base_on_the_hub_the_transformer_alone_is_fetched() -> None:
    source = files.parse(HUB)
    assert (source.id, source.revision, source.part) == ("black-forest-labs/house", "a" * 40, "transformer")
    names = (
        *("model_index.json", "house.safetensors", "scheduler/scheduler_config.json", "vae/config.json"),
        *("transformer/config.json", "transformer/diffusion_pytorch_model.safetensors"),
        *("text_encoder/model.safetensors", "vae/diffusion_pytorch_model.safetensors"),
    )
    chosen = hub.choose_files(names, half=True, only=source.part)
    assert [name for name in chosen if name.endswith(".safetensors")] == [names[5]]
    assert {"model_index.json", "scheduler/scheduler_config.json", "transformer/config.json"} <= set(chosen)
    whole = files.parse(HUB.removesuffix("/transformer"))
    assert source.key != whole.key and source.name == whole.name


@pytest.mark.skipif(find_spec("torchao") is None, reason="make quantize-test installs torchao")
@pytest.mark.slow
def test_a_quantised_base_learns_nearly_the_same(
    distilled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, still = (learned(distilled, tmp_path, rate) for rate in (1e-2, 1e-6))
    monkeypatch.setattr(config, "choose_kind", lambda *_: "int8")
    own = models(distilled, tmp_path)
    made = learned(distilled, tmp_path, 1e-2, own)
    weights = own.base(str(distilled) + "-base", Reporter()).components["transformer"].parameters()
    assert any(type(weight).__name__ == "Int8Tensor" for weight in weights)
    gained = np.subtract(still.losses, plain.losses)[-8:].mean()
    assert abs(np.subtract(made.losses, plain.losses)[-8:].mean()) < 0.1 * gained
