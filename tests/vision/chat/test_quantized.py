"""Chat models whose weights take fewer bits: on which cards, and that answers are those of each alone."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from tests.vision.chat import mixes
from tools import full_size
from vision.chat import talker
from vision.loader import FoundModel, ModelLoader
from vision.protocol import WorkerConfig
from vision.weights import files, memory

GIB = 2**30
BOTH = frozenset(("int8", "fp8", "nf4"))


@pytest.fixture(scope="module", params=["qwen3-vl-4b"])
def full(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of full size without its weights."""
    folder = tmp_path_factory.mktemp("full") / request.param
    full_size.write_model(request.param, folder)
    return folder


def test_a_chat_model_leaves_the_card_to_those_that_draw(full: Path) -> None:
    def chosen(gib: int, **how) -> tuple[str, float]:
        kind, size = memory.choose_for_chat(gib * GIB, full, 2, **{"installed": BOTH, **how})
        return kind, round(size / 1e9, 1)

    assert chosen(24) == chosen(80) == ("off", 8.9)
    assert chosen(16) == ("int8", 4.8) and chosen(8) == ("nf4", 3.1)
    assert chosen(16, quantize="off") == chosen(16, installed=()) == ("off", 8.9)
    assert chosen(16, quantize="nf4") == ("nf4", 3.1) and chosen(8, installed={"int8"}) == ("int8", 4.8)
    (full / "config.json").write_text('{"quantization_config": {"quant_method": "torchao"}}')
    assert chosen(8)[0] == "off"


@pytest.mark.skipif(find_spec("torchao") is None, reason="make quantize-test installs torchao")
@pytest.mark.parametrize("name", ["qwen3-vl", "qwen3.5"])
def test_answers_in_int8_are_those_of_each_alone(folder_of: Callable[[str], Path], name: str) -> None:
    card = {"system": "Look well."}
    made = talker.load_chat_model(folder_of(name), name, card, "cpu", torch.float32, "int8")
    weights = [type(weight).__name__ for weight in made.model.model.parameters()]
    assert weights.count("Int8Tensor") > 20 and made.model.joins
    answers, wrong = mixes.mixes(made, 1, people=3)
    assert answers > 3 and wrong == 0


@pytest.mark.skipif(find_spec("torchao") is None, reason="make quantize-test installs torchao")
def test_what_is_counted_as_quantised_is_what_becomes_so(folder_of: Callable[[str], Path]) -> None:
    folder = folder_of("qwen3-vl")
    made = talker.load_chat_model(folder, "quantised", {}, "cpu", torch.float32, "int8").model.model
    quantised = {name for name, weight in made.named_parameters() if type(weight).__name__ == "Int8Tensor"}
    counted = {
        name
        for name, entry in files.header(folder / "model.safetensors").items()
        if name != "__metadata__" and memory.float_tensor("", name, 1, len(entry["shape"]), 4).weights
    }
    assert counted - quantised <= {"model.visual.pos_embed.weight"} and quantised <= counted


def test_a_worker_counts_what_it_chose(folder_of: Callable[[str], Path], tmp_path: Path, monkeypatch) -> None:
    folder = folder_of("qwen3-vl")
    plain = memory.bytes_in_memory(folder, 2)
    monkeypatch.setattr("vision.loader.devices.memory", lambda device: (plain, plain))
    monkeypatch.setattr("vision.loader.memory.installed", lambda device: BOTH)
    monkeypatch.setattr("vision.loader.devices.choose_dtype", lambda device, setting: torch.bfloat16)
    loader = ModelLoader(WorkerConfig(device="cuda", models={"ask": str(folder)}, cache_dir=str(tmp_path)))
    for role in ("ask", "caption"):
        found = loader.find(files.parse(str(folder)), lambda fraction: None, role)
        assert found.plan == memory.Plan("nf4") and found.bytes < plain
    for other in (loader, ModelLoader(WorkerConfig(device="cpu", models={}, cache_dir=str(tmp_path)))):
        role = "segment" if other is loader else "ask"
        found = other.find(files.parse(str(folder)), lambda fraction: None, role)
        assert found.plan == memory.Plan() and found.bytes == plain


@pytest.mark.skipif(find_spec("torchao") is None, reason="make quantize-test installs torchao")
@pytest.mark.parametrize("role", ["ask", "caption"])
def test_a_worker_loads_as_it_chose(folder_of: Callable[[str], Path], tmp_path: Path, role: str) -> None:
    folder = folder_of("qwen3-vl")
    loader = ModelLoader(WorkerConfig(device="cpu", models={role: str(folder)}, cache_dir=str(tmp_path)))
    found = FoundModel("quantised", folder, 1000, plan=memory.Plan("int8"))
    made = loader.load(role, found, lambda fraction: None, lambda: None, threads=1)
    assert "Int8Tensor" in {type(weight).__name__ for weight in made.model.model.parameters()}
