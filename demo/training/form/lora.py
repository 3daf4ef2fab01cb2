"""Teaches the UNet, and then a LoRA of it, to go from what it drew to what it should have drawn.

A UNet that has learned from drawings alone takes what it makes of noise for a drawing: at every step it finds
again what it drew in the step before, an egg if it was an egg. Here it sees its own picture in the noise and
is asked for the ball (as imitation learning lets a learner act and has the teacher say what would have been
right: Ross et al., 2011, arXiv:1011.0686).
"""

import random

import torch
from transformers import CLIPTextModel, CLIPTokenizer

from demo.training import unet
from demo.training.form import correction, fitted, low_rank
from demo.training.form.shards import Shards
from demo.training.loop import MODELS, Plan, Run, autocast, device, put_weights, trained_weights, workers
from demo.training.text import tokenizer_folder
from demo.vocabulary import LENGTH, Encoder

HALF = unet.BATCH // 2  # pairs in a batch; the others are drawings
WORDLESS = 0.1
THINGS = 3.0  # how much a cell counts in which what was drawn and what was meant differ, against the others
BUDGET, WIDE = 740_000, 2_400_000  # parameters of the LoRAs, a byte each in the pack


class _Loss:
    """Of HALF pairs the mean square error of the noise-free latents that the prediction leads to, and of as
    many drawings the UNet's own loss, so that all else stays as it was."""

    def __init__(self, run: Run, model: torch.nn.Module):
        self.run, self.model = run, model
        self.pairs = Shards(fitted.FOLDER, fitted.ROUNDS)
        self.pool = unet.Pool(unet.tellable)
        text = CLIPTextModel.from_pretrained(MODELS / "stable-diffusion" / "text_encoder")
        self.text = text.float().to(device()).eval().requires_grad_(False)
        self.encoder = Encoder(CLIPTokenizer.from_pretrained(tokenizer_folder()))
        self.alphas = unet.scheduler().alphas_cumprod.to(device())

    def __call__(self, rng: random.Random) -> tuple[torch.Tensor, dict[str, float]]:
        if self.run.step % 100 == 0:
            self.pairs.refresh()
        (drawn, meant, things), words = self.pairs.sample(rng, HALF, ("drawn", "meant", "things"))
        scenes, z, weight = self.pool.sample(rng, unet.FORM, unet.BATCH - HALF, square_share=1.0)
        words += [unet.tell_settled(scene, rng) for scene in scenes]
        words = ["" if rng.random() < WORDLESS else told for told in words]
        ids = torch.tensor([self.encoder.text(told, LENGTH) for told in words], device=device())
        t = torch.cat([correction.times(HALF), unet.timesteps(len(scenes))]).to(device())
        a, noise = self.alphas[t].view(-1, 1, 1, 1), torch.randn(len(t), *z.shape[1:], device=device())
        noisy = a.sqrt() * torch.cat([drawn, z]) + (1 - a).sqrt() * noise
        with autocast():
            hidden = self.text(input_ids=ids).last_hidden_state
            v = self.model(noisy.contiguous(memory_format=torch.channels_last), t, hidden).sample.float()
        things = 1 + (THINGS - 1) * things[:, None]  # (B, 1, 16, 16)
        fit = correction.error(v[:HALF], noisy[:HALF], a[:HALF], meant, things)
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


def _changes() -> dict[str, torch.Tensor]:
    """What `train` made of each matrix and convolution."""
    after = unet.build()
    put_weights(after, trained_weights("unet_fitted", fitted.untrained))
    return low_rank.changes(unet.shipped_unet(), after)


def _network() -> torch.nn.Module:
    network = unet.build()
    network.load_state_dict(unet.shipped_unet().state_dict())
    return network


def train_lora(steps: int = 1800):
    """Trains a LoRA from what `train` changed most, on all pairs there are."""
    plan = Plan(steps, lr=6e-4, weight_decay=0.0, warmup=50, decay=0.8, ema=0.99)
    low_rank.train("form_lora", low_rank.LowRank(_network(), _changes(), BUDGET), plan, _Loss)


def _trained_lora(stage: str) -> low_rank.LowRank:
    """The LoRA as a stage left it."""
    model = low_rank.LowRank(_network(), _changes(), BUDGET)
    put_weights(model, trained_weights(stage, fitted.untrained))
    return model


def make_last(shards: int = 20):
    """Makes pairs with the LoRA of `train_lora`."""
    fitted.make_with(_trained_lora("form_lora").changes(), fitted.ROUNDS[2], shards)


def refine_lora(steps: int = 1100):
    """Goes on from the end of `train_lora` with pairs that were drawn with it."""
    plan = Plan(steps, lr=4e-4, weight_decay=0.0, warmup=50, decay=0.9, ema=0.99)
    low_rank.train("form_lora_refine", _trained_lora("form_lora"), plan, _Loss)


def _half_way() -> dict[str, torch.Tensor]:
    """Half of what all weights have learned and half of the LoRA's: together they draw better than either
    alone (as averages of weights often do: Wortsman et al., 2022, arXiv:2203.05482)."""
    both = {layer: 0.5 * change for layer, change in _changes().items()}
    for layer, change in _trained_lora("form_lora_refine").changes().items():
        both[layer] += 0.5 * change
    return both


def make_wide(shards: int = 10):
    """Makes pairs by what `widen_lora` begins at."""
    fitted.make_with(_half_way(), fitted.ROUNDS[3], shards)


def widen_lora(steps: int = 2400):
    """Trains a larger LoRA, and ships it."""
    model = low_rank.LowRank(_network(), _half_way(), WIDE)
    plan = Plan(steps, lr=3e-4, weight_decay=0.0, warmup=50, decay=0.9, ema=0.99)
    low_rank.train("form_lora_wide", model, plan, _Loss)
    if workers()[0] == 0:
        low_rank.write(model, MODELS / "stable-diffusion", unet.FORM_LORA, unet.settings())
