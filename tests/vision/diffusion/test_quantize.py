"""Quantised loading: how near its pictures are, that a saved one comes back the same, LoRAs on it, and GGUF
files. All families: ``python -m proofs.vision.quantized``."""

import re
import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.errors import ModelError
from proofs.vision import quantized
from proofs.vision.quantized import NEAR, models_of, pixels
from tests.vision.diffusion.test_loras import save_lora
from vision.diffusion import load
from vision.diffusion.load import configuration
from vision.weights import card, copies, files, memory

LIBRARIES = ("torchao", "bitsandbytes", "gguf")  # a third of diffusers' import, so not of every test's
pytestmark = pytest.mark.skipif(
    not all(map(find_spec, LIBRARIES)), reason="make quantize-test installs the quantising libraries"
)


@pytest.mark.parametrize("name, kind", [("stable-diffusion", "int8"), ("z-image", "fp8"), ("z-image", "nf4")])
def test_a_quantised_model_draws_nearly_the_same_and_comes_back_from_disk(
    name: str, kind: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    with quantized.nf4_on_the_processor():
        found = quantized.distance(folders[name], kind, tmp_path)
    assert 0 < found.mean < NEAR[kind]
    assert found.back <= 1


def test_float8_is_multiplied_as_it_is_where_the_card_can_and_no_row_counts_for_another(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchao.quantization import PerTensor, quant_api, quantize_

    def config(capability: tuple[int, int], dtype: torch.dtype) -> Any:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
        mapping = configuration(folders["z-image"], "fp8", dtype).quant_mapping
        monkeypatch.undo()
        return mapping["transformer"].quant_type

    weights_alone = "Float8WeightOnlyConfig"
    assert type(config((8, 6), torch.bfloat16)).__name__ == weights_alone
    assert type(config((8, 9), torch.float32)).__name__ == weights_alone
    by_rows = config((8, 9), torch.bfloat16)
    monkeypatch.setattr(quant_api, "_check_hardware_support", lambda granularity: None)  # slow, but it can
    rows = torch.randn(4, 7, 64, generator=torch.Generator().manual_seed(0)).bfloat16()
    louder = torch.cat([rows[:1], 100 * rows[1:]])
    apart = []
    for used in (by_rows, type(by_rows)(granularity=PerTensor())):
        layer = torch.nn.Linear(64, 128, bias=False).bfloat16()
        quantize_(layer, used)
        with torch.no_grad():
            apart.append(not torch.equal(layer(rows)[0], layer(louder)[0]))
    assert apart == [False, True]


@pytest.mark.parametrize("name", ["stable-diffusion-3", "z-image", "qwen-image"])
def test_the_matrices_that_are_counted_as_quantised_are_those_that_become_so(
    name: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    pipe = models_of(folders[name], tmp_path, "int8").get("image")._base
    for part in memory.quantizable_parts(folders[name]):
        made = {n for n, w in getattr(pipe, part).named_parameters() if type(w).__name__ == "Int8Tensor"}
        header = files.header(next((folders[name] / part).glob("*.safetensors")))
        header.pop("__metadata__", None)
        counted = {
            n
            for n, entry in header.items()
            if memory.float_tensor(part, n, 1, len(entry["shape"]), 4).weights
        }
        assert {_inner(n) for n in counted} == {_inner(n) for n in made}


def _inner(name: str) -> str:
    """A tensor's name without the outer modules of language models, which files name differently."""
    return re.sub(r"^(model\.)?(language_model\.)?", "", name)


def test_nf4_without_a_card_is_refused_with_its_reason(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="QUANTIZE=nf4 .* a graphics card"):
        models_of(folders["z-image"], tmp_path, "nf4").get("image")


@pytest.mark.parametrize("kind", ["int8", "nf4"])
def test_a_lora_changes_a_quantised_model_as_it_changes_the_plain_one(kind: str, folders, tmp_path) -> None:
    save_lora("flux", tmp_path / "ink.safetensors", 0, ("transformer",), 6.0)
    request = replace(quantized.REQUEST, loras=(("ink", 1.0),))
    changed = []
    with quantized.nf4_on_the_processor():
        for name in ("off", kind):
            models = models_of(
                folders["flux"], tmp_path, name, loras={"ink": str(tmp_path / "ink.safetensors")}
            )
            changed.append(pixels(models, request) - pixels(models))
    assert np.abs(changed[0]).mean() > 10
    assert np.abs(changed[0] - changed[1]).mean() < NEAR[kind]


# Copies


@pytest.mark.parametrize("kind", ["int8", "fp8", "nf4"])
def test_a_restart_reads_what_was_quantised_and_draws_the_same_bits(
    kind: str, folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "SPARE_SHARE", 0)
    monkeypatch.setattr(copies, "SPARE", 0)
    house = tmp_path / "house"
    shutil.copytree(folders["z-image"], house)
    quantise, made = load.configuration, list[str]()
    monkeypatch.setattr(load, "configuration", lambda *given: made.append(given[1]) or quantise(*given))
    with quantized.nf4_on_the_processor():
        first = pixels(models_of(house, tmp_path, kind))
        again = models_of(house, tmp_path, kind)
        assert np.array_equal(first, pixels(again)) and made == [kind], "nothing was quantised again"
        assert quantized.kinds_of_weights(again) & {"Int8Tensor", "Float8Tensor", "Params4bit"}
        (copy,) = (tmp_path / copies.FOLDER).iterdir()
        file = next((copy / "transformer").glob("*.safetensors"))
        file.write_bytes(file.read_bytes()[:-100])
        assert np.array_equal(first, pixels(models_of(house, tmp_path, kind))), "a damaged copy is made anew"
        assert np.array_equal(first, pixels(models_of(house, tmp_path, kind))) and made == [kind] * 2


# GGUF


@pytest.fixture
def gguf_model(folders: dict[str, Path], tmp_path: Path) -> Path:
    """z-image's transformer as one GGUF file, matrices in Q8_0, and the rest of the model beside it."""
    import gguf
    from safetensors.numpy import load_file

    shutil.copytree(folders["z-image"], tmp_path / "house")
    for file in (tmp_path / "house" / "transformer").glob("*.safetensors"):
        file.unlink()
    writer = gguf.GGUFWriter(tmp_path / "house.gguf", "z-image")
    q8 = gguf.GGMLQuantizationType.Q8_0
    for name, tensor in load_file(next((folders["z-image"] / "transformer").glob("*.safetensors"))).items():
        if tensor.ndim == 2 and tensor.shape[1] % 32 == 0 and tensor.shape[0] > 1:
            writer.add_tensor(name, gguf.quants.quantize(tensor, q8), raw_dtype=q8)
        else:
            writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tmp_path / "house.gguf"


def test_a_gguf_file_draws_nearly_what_its_folder_draws(gguf_model: Path, folders, tmp_path) -> None:
    plain, models = pixels(models_of(folders["z-image"], tmp_path)), models_of(gguf_model, tmp_path)
    assert 0 < np.abs(plain - pixels(models)).mean() < NEAR["int8"]
    assert models.get("image").family.name == "z-image"
    assert "GGUFParameter" in quantized.kinds_of_weights(models)


def test_a_gguf_file_is_counted_with_the_rest_of_its_model(gguf_model: Path) -> None:
    folder = gguf_model.with_suffix("")
    assert memory.quantizable_parts(gguf_model) == ("text_encoder",)
    whole = memory.sizes(gguf_model, 4)["off"]
    assert whole.total == gguf_model.stat().st_size + memory.bytes_in_memory(folder, 4)
    assert card.family_and_card(gguf_model)[0].name == "z-image"


def test_a_gguf_file_alone_or_damaged_is_refused_with_a_sentence(gguf_model: Path) -> None:
    alone = gguf_model.with_name("alone.gguf")
    shutil.copy(gguf_model, alone)
    with pytest.raises(ModelError, match="beside it, with the name alone"):
        files.check_file(alone)
    alone.write_bytes(b"PK" + alone.read_bytes()[2:])
    with pytest.raises(ModelError, match="isn't a GGUF file"):
        files.check_file(alone)
