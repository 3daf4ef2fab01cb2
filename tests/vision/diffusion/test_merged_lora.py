"""A LoRA that a model's card names is in the model's weights, as diffusers itself would have fused it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file, save_file

from core.errors import ModelError
from tests.support import tiny
from tests.vision.diffusion.test_loras import save_lora
from vision.diffusion import loras
from vision.diffusion.model import ImageModel
from vision.families import Mode
from vision.protocol import WorkerConfig
from vision.store import Models
from vision.weights import files, memory

FILE = "lora/own.safetensors"  # in a model's folder


def with_lora(
    plain: Path, folder: Path, *, parts: tuple[str, ...] = ("unet",), file: str = "own.safetensors"
) -> Path:
    """A copy of the model ``plain`` with a random LoRA in its folder, which its card names."""
    shutil.copytree(plain, folder)
    (folder / "lora").mkdir()
    save_lora("stable-diffusion", folder / FILE, 3, parts)
    (folder / "atelier.json").write_text(json.dumps({**tiny.CARD, "merged_lora": file}))
    return folder


def loaded(folder: Path) -> ImageModel:
    config = WorkerConfig("cpu", {"image": str(folder)}, str(folder.parent), cpu_threads=1)
    return Models(config).get("image")


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """The UNet's, as the product loads them."""
    return loaded(folder).pipeline(Mode.TEXT).unet.state_dict()


def fused(plain: Path, lora: Path) -> dict[str, torch.Tensor]:
    """The UNet's weights with the LoRA in them, by diffusers' own functions."""
    pipe = StableDiffusionPipeline.from_pretrained(plain)
    pipe.load_lora_weights(lora.parent, weight_name=lora.name)
    pipe.fuse_lora(components=["unet"])
    pipe.unload_lora_weights()
    return pipe.unet.state_dict()


def change(file: Path, names: Any = None, values: Any = None, metadata: dict | None = None) -> None:
    """Write a LoRA's file anew. names, values: what becomes of each of its tensors'."""
    tensors = load_file(file)
    save_file(
        {(names or str)(k): (values or torch.clone)(v).contiguous() for k, v in tensors.items()},
        file,
        metadata and {"lora_adapter_metadata": json.dumps(metadata)},
    )


def test_the_weights_are_those_that_diffusers_fuses(folders, tmp_path) -> None:
    plain = folders["stable-diffusion"]
    folder = with_lora(plain, tmp_path / "sd")
    own = weights(folder)
    wanted, before = fused(plain, folder / FILE), weights(plain)
    assert set(own) == set(wanted)
    assert all(torch.allclose(own[name], wanted[name], atol=1e-6) for name in own)
    assert any((own[name] - before[name]).abs().max() > 0.01 for name in own)


def test_a_file_in_float8_is_as_good_as_its_numbers(folders, tmp_path) -> None:
    plain = folders["stable-diffusion"]
    folder = with_lora(plain, tmp_path / "sd")
    change(folder / FILE, values=lambda tensor: tensor.to(torch.float8_e4m3fn))
    own = weights(folder)
    change(folder / FILE, values=lambda tensor: tensor.float())
    wanted = fused(plain, folder / FILE)
    assert all(torch.allclose(own[name], wanted[name], atol=1e-6) for name in own)


def test_alpha_weighs_it(folders, tmp_path) -> None:
    plain = folders["stable-diffusion"]
    folder = with_lora(plain, tmp_path / "sd")
    once, none = fused(plain, folder / FILE), weights(plain)
    change(folder / FILE, metadata={"unet.r": 4, "unet.lora_alpha": 2})
    own = weights(folder)
    assert all(torch.allclose(own[n] - none[n], (once[n] - none[n]) / 2, atol=1e-6) for n in own)


def test_it_is_never_quantised_unasked(folders, tmp_path) -> None:
    plain = folders["stable-diffusion"]
    assert memory.quantizable_parts(plain) and not memory.quantizable_parts(with_lora(plain, tmp_path / "sd"))


def test_another_file_is_another_model(folders, tmp_path) -> None:
    folder = with_lora(folders["stable-diffusion"], tmp_path / "sd")
    before = files.identity(folder)
    assert Path(FILE).name in before
    change(folder / FILE, values=lambda tensor: tensor.half())
    assert files.identity(folder) != before


@pytest.mark.parametrize(
    "spoiled, told",
    [
        (lambda file: file.unlink(), "can't be read"),
        (lambda file: file.write_bytes(file.read_bytes()[:-9]), "cut off"),
        (
            lambda file: change(file, names=lambda name: name.replace("lora_A", "lora_down")),
            "save_lora_weights",
        ),
        (
            lambda file: change(file, names=lambda name: name.replace("mid_block", "middle")),
            "has no unet.middle",
        ),
        (lambda file: change(file, values=lambda tensor: torch.cat([tensor, tensor])), "another model"),
        (lambda file: change(file, metadata={"unet.alpha_pattern": {"mid": 2}}), "can't be read"),
    ],
    ids=["missing", "cut off", "another dialect", "another network", "another width", "alphas of layers"],
)
def test_what_cannot_be_merged_is_told(spoiled, told: str, folders, tmp_path) -> None:
    folder = with_lora(folders["stable-diffusion"], tmp_path / "sd")
    spoiled(folder / FILE)
    with pytest.raises(ModelError, match=told):
        loaded(folder)


def test_the_lora_of_an_encoder_is_told(folders, tmp_path) -> None:
    folder = with_lora(folders["stable-diffusion"], tmp_path / "sd", parts=("unet", "text_encoder"))
    with pytest.raises(ModelError, match="save_lora_weights"):
        loaded(folder)


def test_no_file_elsewhere_is_named(folders, tmp_path) -> None:
    folder = with_lora(folders["stable-diffusion"], tmp_path / "sd", file="../own.safetensors")
    with pytest.raises(ModelError, match="folder lora"):
        loaded(folder)


def test_quantised_weights_take_none(folders, tmp_path) -> None:
    folder = with_lora(folders["stable-diffusion"], tmp_path / "sd")
    pipe = StableDiffusionPipeline.from_pretrained(folder)
    for module in pipe.unet.modules():
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d):
            module.weight = torch.nn.Parameter(module.weight.detach().to(torch.int8), requires_grad=False)
    with pytest.raises(ModelError, match="QUANTIZE=off"):
        loras.merge(pipe, folder, Path(FILE).name)
