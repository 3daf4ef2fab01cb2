"""What weights in float8 take in memory: as much as others, unless the model computes with them as they are.
And what a LoRA takes that is added to them: nothing."""

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file  # noqa: E402

from vision.weights import memory  # noqa: E402


@pytest.mark.parametrize(("config", "expected"), [({}, 4 * 40), ({"quantization_config": {}}, 32 + 4 * 8)])
def test_float8_is_counted_as_it_is_loaded(tmp_path: Path, config: dict, expected: int) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    tensors = {"a.weight": torch.zeros(4, 8, dtype=torch.float8_e4m3fn), "a.bias": torch.zeros(8)}
    save_file(tensors, tmp_path / "model.safetensors")
    assert memory.bytes_in_memory(tmp_path, 4) == expected


def test_a_lora_that_is_added_to_the_weights_is_not_counted(tmp_path: Path) -> None:
    (tmp_path / "lora").mkdir()
    save_file({"a.weight": torch.zeros(4, 8)}, tmp_path / "model.safetensors")
    save_file({"unet.a.lora_A.weight": torch.zeros(2, 8)}, tmp_path / "lora" / "own.safetensors")
    assert memory.bytes_in_memory(tmp_path, 4) == 4 * 32
