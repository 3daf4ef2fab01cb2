"""Teaches the UNet, and then a LoRA of it, to go from what it drew to what it should have drawn.

A UNet that has learned from drawings alone takes what it makes of noise for a drawing: at every step it finds
again what it drew in the step before, an egg if it was an egg. Here it sees its own picture in the noise and
is asked for the ball (as imitation learning lets a learner act and has the teacher say what would have been
right: Ross et al., 2011, arXiv:1011.0686).
"""

import json
import random
from itertools import pairwise

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import CLIPTextModel, CLIPTokenizer

from demo.training import unet
from demo.training.form import fitted
from demo.training.loop import MODELS, Plan, Run, autocast, device, put_weights, trained_weights
from demo.training.text import tokenizer_folder
from demo.vocabulary import LENGTH, Encoder
from vision.image_model.attached import merged_lora

HALF = unet.BATCH // 2  # pairs in a batch; the others are drawings
FIRST, LAST = 60, 960  # times of the pairs: above, nothing is seen of what was drawn
WORDLESS = 0.1
THINGS = 3.0  # how much a cell counts in which what was drawn and what was meant differ, against the others
BUDGET = 740_000  # parameters of the LoRA, a byte each


class Pairs:
    """All fitted pairs so far, as many of each round; new shards are taken in while training."""

    def __init__(self):
        self.shards: dict[str, dict[str, np.ndarray]] = {}
        self.refresh()

    def refresh(self):
        for path in sorted(fitted.FOLDER.glob("*.npz")):
            if path.name not in self.shards:
                with np.load(path) as arrays:
                    self.shards[path.name] = {name: arrays[name] for name in arrays.files}
        starts = [f"{first:04d}" for first in (*fitted.ROUNDS, 9999)]
        rounds = [[n for n in self.shards if a <= n < b] for a, b in pairwise(starts)]
        self.rounds = [names for names in rounds if names]

    def sample(self, rng: random.Random, count: int):
        """Latents as drawn and as meant, (B, 4, 16, 16) each, loss weights (B, 1, 16, 16), and the words."""
        names = [rng.choice(rng.choice(self.rounds)) for _ in range(count)]
        chosen = [(self.shards[name], rng.randrange(len(self.shards[name]["words"]))) for name in names]
        drawn, meant, things = (
            torch.from_numpy(np.stack([shard[part][i] for shard, i in chosen])).float().to(device())
            for part in ("drawn", "meant", "things")
        )
        return drawn, meant, 1 + (THINGS - 1) * things[:, None], [str(s["words"][i]) for s, i in chosen]


class _Loss:
    """Of HALF pairs the mean square error of the noise-free latents that the prediction leads to, and of as
    many drawings the UNet's own loss, so that all else stays as it was."""

    def __init__(self, run: Run, model: torch.nn.Module):
        self.run, self.model, self.pairs = run, model, Pairs()
        self.pool = unet.Pool(unet.tellable)
        text = CLIPTextModel.from_pretrained(MODELS / "stable-diffusion" / "text_encoder")
        self.text = text.float().to(device()).eval().requires_grad_(False)
        self.encoder = Encoder(CLIPTokenizer.from_pretrained(tokenizer_folder()))
        self.alphas = unet.scheduler().alphas_cumprod.to(device())

    def __call__(self, rng: random.Random) -> tuple[torch.Tensor, dict[str, float]]:
        if self.run.step % 100 == 0:
            self.pairs.refresh()
        drawn, meant, things, words = self.pairs.sample(rng, HALF)
        scenes, z, weight = self.pool.sample(rng, unet.FORM, unet.BATCH - HALF, square_share=1.0)
        words += [unet.tell_settled(scene, rng) for scene in scenes]
        words = ["" if rng.random() < WORDLESS else told for told in words]
        ids = torch.tensor([self.encoder.text(told, LENGTH) for told in words], device=device())
        spread = (torch.rand(1) + torch.arange(HALF) / HALF) % 1
        t = torch.cat([(FIRST + (LAST - FIRST) * spread).long(), unet.timesteps(len(scenes))]).to(device())
        a, noise = self.alphas[t].view(-1, 1, 1, 1), torch.randn(len(t), *z.shape[1:], device=device())
        noisy = a.sqrt() * torch.cat([drawn, z]) + (1 - a).sqrt() * noise
        with autocast():
            hidden = self.text(input_ids=ids).last_hidden_state
            v = self.model(noisy.contiguous(memory_format=torch.channels_last), t, hidden).sample.float()
        clean = (a.sqrt() * noisy - (1 - a).sqrt() * v)[:HALF]
        fit = ((clean - meant).square() * things).mean() / things.mean()
        target = (a.sqrt() * noise)[HALF:] - (1 - a).sqrt()[HALF:] * z
        own = ((v[HALF:] - target).square() * weight).mean() / weight.mean()
        return (fit + own) / 2, {"fit": fit.item(), "own": own.item()}


def train(steps: int = 900):
    """Trains the whole UNet on pairs, from the shipped one. Its weights aren't shipped: they say where a LoRA
    has to change something, and draw the pairs that follow."""
    torch.manual_seed(0)
    run = Run("unet_fitted", unet.build(), Plan(steps, lr=2e-4, warmup=50, decay=0.6, ema=0.99))
    if run.step == 0:
        run.start_from(list(unet.shipped_unet().parameters()))
    run.train(_Loss(run, run.model.train()), save_every=100)


# The LoRA
# ------------------------------------------------------------------------------------------------------------


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

    def tensors(self) -> dict[str, torch.Tensor]:
        """The LoRA as diffusers' save_lora_weights names its tensors."""
        [model] = self.model
        found = {}
        for layer, down, up in zip(self.ranks, self.down, self.up, strict=True):
            weight = model.get_submodule(layer).weight
            found[f"unet.{layer}.lora_A.weight"] = down.detach().view(-1, *weight.shape[1:])
            found[f"unet.{layer}.lora_B.weight"] = up.detach().view(*up.shape, *[1] * (weight.ndim - 2))
        return found


def _changes() -> dict[str, torch.Tensor]:
    """What `train` made of each matrix and convolution."""
    before, after = unet.shipped_unet(), unet.build()
    put_weights(after, trained_weights("unet_fitted", fitted.untrained))
    old = dict(before.named_modules())
    return {
        name: (module.weight - old[name].weight.to(device())).detach().flatten(1)
        for name, module in after.named_modules()
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d)
    }


def train_lora(steps: int = 1800):
    """Trains the LoRA from what `train` changed most, on all pairs there are, and ships it."""
    _train_lora("form_lora", Plan(steps, lr=6e-4, weight_decay=0.0, warmup=50, decay=0.8, ema=0.99))


def refine_lora(steps: int = 1100):
    """Goes on from the end of `train_lora` with pairs that were drawn with it."""
    plan = Plan(steps, lr=4e-4, weight_decay=0.0, warmup=50, decay=0.9, ema=0.99)
    _train_lora("form_lora_refine", plan, "form_lora")


def _train_lora(name: str, plan: Plan, before: str | None = None):
    torch.manual_seed(0)
    network = unet.build()
    network.load_state_dict(unet.shipped_unet().state_dict())
    model = LowRank(network, _changes(), BUDGET)
    run = Run(name, model, plan)
    if before and run.step == 0:
        run.start_from(trained_weights(before, fitted.untrained))
    run.train(_Loss(run, model), save_every=100)
    run.use_average()
    if run.rank == 0:
        write(model)


def write(model: LowRank):
    """Writes the LoRA into the pack, in float8, which its sums lose next to nothing by, and names it on the
    card."""
    folder = MODELS / "stable-diffusion"
    small = {name: tensor.cpu().to(torch.float8_e4m3fn) for name, tensor in model.tensors().items()}
    (folder / merged_lora.FOLDER).mkdir(exist_ok=True)
    save_file(
        {name: tensor.contiguous() for name, tensor in small.items()},
        folder / merged_lora.FOLDER / unet.FORM_LORA,
    )
    (folder / "atelier.json").write_text(json.dumps(unet.settings(), indent=2) + "\n")
