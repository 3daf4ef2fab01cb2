"""LoRAs (Hu et al., 2021, arXiv:2106.09685) that begin at what training changed of all weights, and learn
on."""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file

from demo.training.loop import Plan, Run
from vision.image_model.attached import merged_lora


def changes(before: torch.nn.Module, after: torch.nn.Module) -> dict[str, torch.Tensor]:
    """What training made of each matrix and convolution of a model: layer → (out, in)."""
    old = dict(before.named_modules())
    return {
        name: (module.weight - old[name].weight.to(module.weight.device)).detach().flatten(1)
        for name, module in after.named_modules()
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d)
    }


def ranks(changes: dict[str, torch.Tensor], budget: int) -> dict[str, int]:
    """Layer → rank, such that most of the squares of all changes is kept by `budget` parameters. changes:
    layer → (out, in)."""
    directions = []
    for layer, change in changes.items():
        price = sum(change.shape)
        directions += [(float(s) ** 2 / price, price, layer) for s in torch.linalg.svdvals(change)]
    found: dict[str, int] = {}
    for _, price, layer in sorted(directions, reverse=True):
        if price > budget:
            break
        budget -= price
        found[layer] = found.get(layer, 0) + 1
    return found


@torch.no_grad()
def add(changes: dict[str, torch.Tensor], model: torch.nn.Module):
    """Adds changes, layer → (out, in), to a model's weights."""
    for layer, change in changes.items():
        weight = model.get_submodule(layer).weight
        weight += change.view_as(weight).to(weight.device)


class LowRank(torch.nn.Module):
    """A model, none of whose own weights is trained, with up · down added to those of some layers. The sums
    are made before each call, which trains faster than peft's layers, which compute beside the model's.

    changes: layer → (out, in), which up · down begin at, as far as `budget` parameters can hold them.
    """

    def __init__(self, model: torch.nn.Module, changes: dict[str, torch.Tensor], budget: int):
        super().__init__()
        self.model = (model.requires_grad_(False),)  # no part of this module: it has no weights to be kept
        self.ranks = ranks(changes, budget)
        self.down, self.up = torch.nn.ParameterList(), torch.nn.ParameterList()
        for layer, rank in self.ranks.items():
            u, s, v = torch.linalg.svd(changes[layer], full_matrices=False)
            self.down.append(s[:rank, None].sqrt() * v[:rank])
            self.up.append(u[:, :rank] * s[:rank].sqrt())

    def forward(self, *args):
        [model] = self.model
        weights = {}
        for layer, down, up in zip(self.ranks, self.down, self.up, strict=True):
            before = model.get_submodule(layer).weight
            weights[f"{layer}.weight"] = before + (up @ down).view_as(before)
        return torch.func.functional_call(model, weights, args)

    def changes(self) -> dict[str, torch.Tensor]:
        """What is added: layer → (out, in)."""
        parts = zip(self.ranks, self.down, self.up, strict=True)
        return {layer: (up @ down).detach() for layer, down, up in parts}

    def tensors(self) -> dict[str, torch.Tensor]:
        """The LoRA as diffusers' save_lora_weights names its tensors."""
        [model] = self.model
        found = {}
        for layer, down, up in zip(self.ranks, self.down, self.up, strict=True):
            weight = model.get_submodule(layer).weight
            found[f"unet.{layer}.lora_A.weight"] = down.detach().view(-1, *weight.shape[1:])
            found[f"unet.{layer}.lora_B.weight"] = up.detach().view(*up.shape, *[1] * (weight.ndim - 2))
        return found


def train(name: str, model: LowRank, plan: Plan, loss: Callable[[Run, LowRank], Callable]):
    """Trains the LoRA as a stage and leaves it with its average. loss: makes what `Run.train` takes."""
    torch.manual_seed(0)
    run = Run(name, model, plan)
    run.train(loss(run, model), save_every=100)
    run.use_average()


def write(model: LowRank, folder: Path, name: str, card: dict):
    """Writes the LoRA beside the parts of the pipeline in `folder`, in float8, which its sums lose next to
    nothing by, and the card that names it."""
    small = {name: tensor.cpu().to(torch.float8_e4m3fn) for name, tensor in model.tensors().items()}
    (folder / merged_lora.FOLDER).mkdir(exist_ok=True)
    save_file(
        {name: tensor.contiguous() for name, tensor in small.items()}, folder / merged_lora.FOLDER / name
    )
    (folder / "atelier.json").write_text(json.dumps(card, indent=2) + "\n")
