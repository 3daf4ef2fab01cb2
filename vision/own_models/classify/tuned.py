"""A transformer that learns to see labels: LoRA (arXiv:2106.09685) in the attention of a tower, and a linear
head on what it then pools.

It begins where the probe on the same tower stands (arXiv:2202.10054): with a head that fits, the tower is not
torn away from what it knows. What is kept are the added matrices, a few thousandths of the tower.
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional as F

from vision.own_models.classify.probe import Probe, plain
from vision.own_models.features.transformer import TransformerFeatures
from vision.own_models.steps import Store, Tensors

RANK = 8  # of the added matrices, which count as they are (alpha = rank)
TARGETS = ("q_proj", "v_proj")  # of each layer, as in the paper's section 4.2
EPOCHS, BATCH = 6, 16
RATE, DECAY = 3e-4, 1e-4  # of AdamW; the rate falls to 0 along a cosine
CLIP = 1.0  # norm of a gradient
CLOSE = 0.8  # least share of a side that a picture is cropped to while it is learned from
KEEP = 10  # steps between two writes of where it stands
MOMENTS = ("exp_avg", "exp_avg_sq")  # of AdamW
STRIDE = 1_000_003  # between the seeds of two trainings


@dataclass(frozen=True)
class Taught:
    """What is learned from. pictures: (n, 3, size, size), uint8, as the tower takes them. right: (n,)
    labels, of ``count``. strength: C of the probe that is begun with."""

    pictures: Tensor
    right: Tensor
    count: int
    strength: float

    def some(self, places: Sequence[int]) -> Taught:
        """Return the same of fewer pictures."""
        return replace(self, pictures=self.pictures[places], right=self.right[places])


def kept_small(module: TransformerFeatures, pixels: Tensor) -> Tensor:
    """Return a picture (3, side, side) in 0..1 as it is kept while it is learned from, uint8."""
    return (module.whole(pixels[None])[0] * 255).round().to(torch.uint8)


def steps(count: int) -> int:
    """Return how many steps are taken on so many pictures."""
    return EPOCHS * math.ceil(count / BATCH)


def learning(
    module: TransformerFeatures, taught: Taught, store: Store, key: str, seed: int, device: str = "cpu"
) -> Generator[None, None, tuple[Tensors, Probe]]:
    """Learn, stand still after each of ``steps``, and return the added matrices and the head. key: names what
    is learned from, so that one that was cut off goes on where it was. device: that steps are taken on."""
    tower, places = Adapted(module, seed, device), taught.right.to(device)
    probe = plain(rows(module, taught.pictures), taught.right, taught.count, taught.strength)
    weight, bias = nn.Parameter(probe.weight.to(device)), nn.Parameter(probe.bias.to(device))
    mean, scale, shares = (
        each.to(device) for each in (probe.mean, probe.scale, _shares(taught.right, taught.count))
    )
    held = {**tower.added(), "weight": weight, "bias": bias}
    optimiser = torch.optim.AdamW(held.values(), lr=RATE, weight_decay=DECAY)
    name = hashlib.sha256(f"{key} {RANK} {EPOCHS} {BATCH} {seed}".encode()).hexdigest()
    total, done = steps(len(taught.right)), _restored(store.get(name), held, optimiser)
    for _ in range(done):  # taken before
        yield
    for step in range(done, total):
        for group in optimiser.param_groups:
            group["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / total))
        some, numbers = _batch(len(taught.right), step, seed)
        seen, right = cropped(taught.pictures[some], numbers).to(device), places[some.to(device)]
        with torch.enable_grad():
            logits = (tower(seen) - mean) / scale @ weight + bias
            loss = (F.cross_entropy(logits, right, reduction="none") * shares[some.to(device)]).mean()
            loss.backward()
        torch.nn.utils.clip_grad_norm_(list(held.values()), CLIP)
        optimiser.step()
        optimiser.zero_grad()
        if (step + 1) % KEEP == 0 or step + 1 == total:
            store.put(name, _state(held, optimiser, step + 1))
        yield
    added = {name: value.detach().cpu().clone() for name, value in tower.added().items()}
    found = replace(probe, weight=weight.detach().cpu().contiguous(), bias=bias.detach().cpu())
    seen = rows(merged(module, added), taught.pictures)
    return added, replace(found, centres=_centres(found, seen, taught))


@torch.no_grad()
def rows(module: TransformerFeatures, pictures: Tensor) -> Tensor:
    """Return what is pooled, (n, P), of pictures (n, 3, size, size), uint8."""
    return torch.cat([module.pooled(some.float() / 255) for some in pictures.split(BATCH)])


class Adapted(nn.Module):
    """A tower with added matrices in it, which change nothing at first. Shares all other tensors with
    ``module``."""

    def __init__(self, module: TransformerFeatures, seed: int, device: str = "cpu") -> None:
        super().__init__()
        self.features = shared(module) if device == "cpu" else copy.deepcopy(module)
        config = LoraConfig(r=RANK, lora_alpha=RANK, target_modules=list(TARGETS))
        inject_adapter_in_model(config, self.features.tower)
        numbers = _numbers(seed, -1)
        with torch.no_grad():
            for name, value in sorted(self.added().items()):
                if name.endswith(".b"):
                    value.zero_()
                else:  # as peft does, by our own numbers
                    bound = 1 / math.sqrt(value.shape[1])
                    value.copy_((torch.rand(value.shape, generator=numbers) * 2 - 1) * bound)
        if device != "cpu":
            self.to(device)

    def forward(self, small: Tensor) -> Tensor:
        """Return what is pooled, (B, P), of pictures as the tower takes them, (B, 3, size, size) in 0..1."""
        return self.features.pooled(small)

    def added(self) -> dict[str, nn.Parameter]:
        """Return the added matrices: by the layer's name, ``.a`` down and ``.b`` up."""
        found = {}
        for name, layer in self.features.tower.named_modules():
            if isinstance(layer, LoraLayer):
                (adapter,) = layer.lora_A
                found[f"{name}.a"] = layer.lora_A[adapter].weight
                found[f"{name}.b"] = layer.lora_B[adapter].weight
        return found


def shared(module: TransformerFeatures) -> TransformerFeatures:
    """Return a copy with layers of its own that hold the same tensors."""
    held = {id(value): value for value in (*module.parameters(), *module.buffers())}
    return copy.deepcopy(module, held)


def merged(module: TransformerFeatures, added: Mapping[str, Tensor]) -> TransformerFeatures:
    """Return the tower with added matrices in its weights; all others are shared. Raises KeyError for
    matrices of layers that it hasn't."""
    found = shared(module)
    layers = dict(found.tower.named_modules())
    for name in sorted(name.removesuffix(".a") for name in added if name.endswith(".a")):
        layer = layers[name]
        more = added[f"{name}.b"] @ added[f"{name}.a"]
        layer.weight = nn.Parameter(layer.weight + more, requires_grad=False)
    return found.eval().requires_grad_(False)


def cropped(pictures: Tensor, numbers: torch.Generator) -> Tensor:
    """Return pictures (B, 3, size, size), uint8, each cropped somewhere and enlarged again, in 0..1."""
    count = len(pictures)
    size = CLOSE + (1 - CLOSE) * torch.rand(count, generator=numbers)
    away = (torch.rand(2, count, generator=numbers) * 2 - 1) * (1 - size)
    zero = torch.zeros(count)
    x, y = torch.stack([size, zero, away[0]], 1), torch.stack([zero, size, away[1]], 1)
    grid = F.affine_grid(torch.stack([x, y], 1), list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures.float() / 255, grid, padding_mode="border", align_corners=False)


def _batch(count: int, step: int, seed: int) -> tuple[Tensor, torch.Generator]:
    """Return which pictures a step learns from, and its random numbers."""
    each = math.ceil(count / BATCH)
    epoch, part = divmod(step, each)
    order = torch.randperm(count, generator=_numbers(seed, -2 - epoch))
    return order[part * BATCH : (part + 1) * BATCH], _numbers(seed, step)


def _numbers(seed: int, number: int) -> torch.Generator:
    return torch.Generator().manual_seed((seed * STRIDE + number) % 2**63)


def _shares(right: Tensor, count: int) -> Tensor:
    """Return how much each picture counts, (n,): labels count the same."""
    each = torch.bincount(right, minlength=count).clamp(min=1)
    return len(right) / ((torch.bincount(right, minlength=count) > 0).sum() * each)[right]


def _centres(probe: Probe, rows: Tensor, taught: Taught) -> Tensor:
    seen, found = (rows - probe.mean) / probe.scale, probe.centres.clone()
    for label in set(taught.right.tolist()):
        found[label] = seen[taught.right == label].mean(0)
    return found


def _state(held: Mapping[str, Tensor], optimiser: torch.optim.Optimizer, done: int) -> bytes:
    tensors = {f"value {name}": value.detach().cpu().clone() for name, value in held.items()}
    for name, value in held.items():
        for moment in MOMENTS:
            tensors[f"{moment} {name}"] = optimiser.state[value][moment].cpu()
    return save({**tensors, "done": torch.tensor(done)})


def _restored(data: bytes | None, held: Mapping[str, Tensor], optimiser: torch.optim.Optimizer) -> int:
    """Put back what was kept; return how many steps it had taken, 0 where nothing or nothing whole was."""
    if data is None:
        return 0
    try:
        kept = load(data)
    except SafetensorError:
        return 0
    done = int(kept["done"])
    for name, value in held.items():
        with torch.no_grad():
            value.copy_(kept[f"value {name}"])
        moments = {moment: kept[f"{moment} {name}"].to(value.device) for moment in MOMENTS}
        optimiser.state[value] = {"step": torch.tensor(float(done)), **moments}
    return done
