"""What a training takes: counted by the planner as torch counts it, and refused with the number."""

import json
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from diffusers import FluxTransformer2DModel, UNet2DConditionModel
from peft import LoraConfig, inject_adapter_in_model
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from core.errors import UserError
from tools import full_size
from vision.lora_training import config, families
from vision.lora_training.config import Settings, needed_memory, refuse_memory

SD = {
    "sample_size": 64,
    "block_out_channels": (320, 640, 1280, 1280),
    "down_block_types": (*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"),
    "cross_attention_dim": 768,
    "attention_head_dim": 8,
}
XL = {
    "sample_size": 128,
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "attention_head_dim": (5, 10, 20),
    "transformer_layers_per_block": (1, 2, 10),
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
FLUX = {
    "_class_name": "FluxTransformer2DModel",
    "num_attention_heads": 24,
    "attention_head_dim": 128,
    "num_layers": 3,  # of 19, and 6 of 38: each is like the next
    "num_single_layers": 6,
    "guidance_embeds": True,
}


class Peak(TorchDispatchMode):
    """Counts the bytes of tensors that are alive besides the weights, and the most there were."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.live, self.peak, self.known = 0, 0, set[int]()
        self.own = [value.untyped_storage() for value in module.parameters()]
        self.known |= {id(storage) for storage in self.own}

    def __torch_dispatch__(self, func: Callable, types: Any, args: tuple = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        tree_map_only(torch.Tensor, self._see, output)
        return output

    def _see(self, tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if id(storage) not in self.known:
            self.known.add(id(storage))
            self.live += storage.nbytes()
            self.peak = max(self.peak, self.live)
            weakref.finalize(storage, self._gone, id(storage), storage.nbytes())
        return tensor

    def _gone(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.live -= size


def injected(module: torch.nn.Module, targets: list[str] | str, rank: int) -> int:
    """Insert a LoRA, in float32, into a module without contents; return how many weights it has."""
    module.requires_grad_(False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.Module, "to", lambda self, *args, **kwargs: self)  # nothing is there to move
        inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=rank, target_modules=targets), module)
    total = 0
    for name, layer in module.named_modules():
        if "lora_" in name and hasattr(layer, "weight"):
            layer.weight = torch.nn.Parameter(layer.weight.detach().float())
            total += layer.weight.numel()
    return total


def counted(kind: str, settings: Settings, side: int) -> tuple[int, int]:
    """Return the trained weights and the bytes at the peak of a step, as torch counts them on tensors without
    contents, in bfloat16."""
    made = {"device": "cpu", "dtype": torch.bfloat16}
    before = torch.get_default_dtype()
    with FakeTensorMode(allow_non_fake_inputs=True):
        torch.set_default_dtype(torch.bfloat16)
        try:
            flux = kind == "flux"
            module: Any = (
                FluxTransformer2DModel(**{k: v for k, v in FLUX.items() if k[0] != "_"})
                if flux
                else UNet2DConditionModel(**(SD if kind == "sd" else XL))
            )
            targets = families.RECIPES["flux" if flux else "stable-diffusion"].targets(
                settings.layers, module
            )
            weights = injected(module, targets, settings.rank)
        finally:
            torch.set_default_dtype(before)
        if settings.recompute:
            module.enable_gradient_checkpointing()
        latents = side // 8
        with Peak(module) as peak:
            if flux:
                tokens = (latents // 2) ** 2
                given = {
                    "hidden_states": torch.randn(1, tokens, 64, **made),
                    "timestep": torch.rand(1, **made),
                    "guidance": torch.ones(1),
                    "pooled_projections": torch.randn(1, 768, **made),
                    "encoder_hidden_states": torch.randn(1, 512, 4096, **made),
                    "txt_ids": torch.zeros(512, 3),
                    "img_ids": torch.zeros(tokens, 3),
                }
            else:
                words = torch.randn(1, 77, module.config.cross_attention_dim, **made)
                given = {
                    "sample": torch.randn(1, 4, latents, latents, **made),
                    "timestep": torch.ones(1),
                    "encoder_hidden_states": words,
                }
                if kind == "xl":
                    more = {
                        "text_embeds": torch.randn(1, 1280, **made),
                        "time_ids": torch.randn(1, 6, **made),
                    }
                    given["added_cond_kwargs"] = more
            module(**given, return_dict=False)[0].float().pow(2).mean().backward()
    return weights, peak.peak


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "side", "millions"),
    [
        ("sd", 256, 859),
        *(pytest.param(*case, marks=pytest.mark.long) for case in (("sd", 512, 859), ("xl", 1024, 2567))),
    ],
)
def test_a_training_takes_less_over_a_unet_than_is_reckoned(kind: str, side: int, millions: int) -> None:
    weights, peak = counted(kind, Settings("a", rank=16), side)
    # the peak has gradients in it, which are among the bytes of each trained weight
    taken = peak - 4 * weights + config.BYTES_A_WEIGHT * weights
    assert taken <= config.UNET_SHARE * 2 * millions * 1e6


@pytest.mark.slow
def test_the_planner_is_over_what_torch_counts_for_flux(tmp_path: Path) -> None:
    settings = Settings("a", rank=16)
    weights, peak = counted("flux", settings, 1024)
    found = config.transformer_memory(FLUX, settings, 2, 0)
    assert found is not None
    assert found.lora == weights * config.BYTES_A_WEIGHT
    assert peak - 4 * weights <= found.activations <= 1.3 * (peak - 4 * weights)


FEWER = {"num_layers": 2, "num_single_layers": 4, "n_layers": 4}  # blocks: each is like the next


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "model", "words"),
    [("flux2-klein", "flux2-klein-4b", (1, 512)), ("z-image", "z-image-turbo", (512,))],
)
def test_the_planner_is_over_what_torch_counts_for_the_base_of_a_distilled_model(
    family: str, model: str, words: tuple[int, ...]
) -> None:
    part, recipe = full_size.read_architectures()[model]["parts"]["transformer"], families.RECIPES[family]
    made = {**part["config"], **{name: few for name, few in FEWER.items() if name in part["config"]}}
    width = made.get("joint_attention_dim") or made["cap_feat_dim"]
    latents = (1, made["in_channels"], *((64, 64) if family == "flux2-klein" else (128, 128)))
    before = torch.get_default_dtype()
    with FakeTensorMode(allow_non_fake_inputs=True):
        torch.set_default_dtype(torch.bfloat16)
        try:
            module = getattr(diffusers, part["class"])(**made)
            weights = injected(module, recipe.targets("attention", module), 16)
        finally:
            torch.set_default_dtype(before)
        module.enable_gradient_checkpointing()
        texts = {"words": torch.randn(*words, width, dtype=torch.bfloat16), "ids": torch.zeros(1, 512, 4)}
        row = families.Row(torch.zeros(1), torch.zeros(1), texts, families.Crop((1024, 1024)))
        with Peak(module) as peak:
            noisy = torch.randn(latents, dtype=torch.bfloat16)
            recipe.predicted(module, noisy, torch.full((1,), 0.5), [row]).float().pow(2).mean().backward()
    found = config.transformer_memory({**made, "_class_name": part["class"]}, Settings("a", rank=16), 2, 0)
    assert found is not None and found.lora == weights * config.BYTES_A_WEIGHT
    assert peak.peak - 4 * weights <= found.activations <= 1.3 * (peak.peak - 4 * weights)


@pytest.mark.parametrize("family", ["flux", "flux2-klein", "z-image"])
def test_the_weights_of_a_lora_are_counted_exactly(family: str, folders) -> None:
    settings = Settings("a", rank=4)
    path, recipe = folders[family], families.RECIPES[family]
    part = recipe.part
    cls = getattr(diffusers, json.loads((path / part / "config.json").read_text())["_class_name"])
    module = cls.from_pretrained(path / part)
    weights = injected(module, recipe.targets(settings.layers, module), 4)
    found = needed_memory(path, settings, 4)
    assert found is not None and found.lora == weights * config.BYTES_A_WEIGHT


def test_what_does_not_fit_is_refused_with_the_number(folders) -> None:
    path, settings = folders["stable-diffusion-xl"], Settings("a", rank=4)
    found = needed_memory(path, settings, 4)
    assert found is not None
    refuse_memory(path, "tiny", settings, 4, found.total)
    with pytest.raises(
        UserError, match=r"Training a style on tiny needs about \d+ MB of memory; this device has \d+ MB"
    ):
        refuse_memory(path, "tiny", settings, 4, found.total - 1)


def test_a_model_without_a_known_configuration_is_left_to_the_worker(folders, tmp_path: Path) -> None:
    assert needed_memory(folders["stable-diffusion-3"], Settings("a"), 4) is None
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"")
    assert needed_memory(file, Settings("a"), 4) is None


def test_the_planner_loads_no_torch() -> None:
    code = "import sys, vision.lora_training.config; print(json.dumps('torch' in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", f"import json; {code}"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) is False
