"""Chat models whose weights take fewer bits: on which cards, and that answers are those of each alone."""

import shutil
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("qwen3-vl-2b", ["int8", "off", "off", "off"]),
        ("qwen3-vl-4b", ["nf4", "int8", "int8", "off"]),
        ("qwen3-vl-8b", ["nf4", "nf4", "nf4", "int8"]),
        ("qwen3.5-4b", ["nf4", "int8", "int8", "off"]),
    ],
)
def test_each_card_holds_a_chat_model_beside_those_that_draw(
    name: str, expected: list[str], tmp_path: Path
) -> None:
    full_size.write_model(name, tmp_path / name)
    cards = [8, 12, 16, 24]  # GiB
    assert [
        memory.choose_for_chat(gib * GIB, tmp_path / name, 2, "auto", BOTH)[0] for gib in cards
    ] == expected


def test_a_chat_model_is_quantised_where_it_would_crowd_a_card(
    folder_of: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(folder_of("qwen3-vl"), folder)
    plain = memory.bytes_in_memory(folder, 2)

    def chosen(share: float, **how) -> str:
        """By how much of the card its weights would take."""
        given = {"installed": BOTH, **how}
        kind, size = memory.choose_for_chat(round(plain / share), folder, 2, **given)
        assert (size < plain) == (kind != "off")
        return kind

    assert [chosen(share) for share in (0.1, 0.4, 0.5, 1.0)] == ["off", "off", "int8", "nf4"]
    assert chosen(1.0, quantize="off") == chosen(1.0, installed=()) == "off"
    assert chosen(0.5, quantize="nf4") == "nf4" and chosen(1.0, installed={"int8"}) == "int8"
    (folder / "config.json").write_text('{"quantization_config": {"quant_method": "torchao"}}')
    assert chosen(1.0) == "off"


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
