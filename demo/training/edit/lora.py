"""Teaches the editor's UNet, and then a LoRA of it, to go from what it made of an edit to its answer."""

import random

import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTokenizer

from demo.training import unet
from demo.training.edit import network, own, text
from demo.training.edit.words import instruct
from demo.training.form import correction, fitted, low_rank
from demo.training.form.shards import Shards
from demo.training.loop import MODELS, Plan, Run, autocast, device, put_weights, trained_weights, workers
from demo.training.text import tokenizer_folder
from demo.vocabulary import LENGTH, Encoder

HALF = network.BATCH // 2  # own edits in a batch; the others are drawings
APART = 0.25  # by which a cell differs whose loss counts more: of drawing and answer, or before and after
THINGS = 4.0  # how much more
BUDGET = 1_800_000  # parameters of the LoRA, a byte each in the pack
PLAN = {"weight_decay": 0.0, "warmup": 50, "decay": 0.8, "ema": 0.99}


class _Loss:
    """Of HALF own edits the mean square error of the noise-free latents that the prediction leads to, and of
    as many drawn ones the editor's own loss."""

    def __init__(self, run: Run, model: torch.nn.Module):
        self.run, self.model = run, model
        self.own, self.drawings = Shards(own.FOLDER, own.ROUNDS), network.Pairs()
        self.words = text.reader().to(device()).eval().requires_grad_(False)
        self.encoder = Encoder(CLIPTokenizer.from_pretrained(tokenizer_folder()))
        self.alphas = unet.scheduler().alphas_cumprod.to(device())

    def __call__(self, rng: random.Random) -> tuple[torch.Tensor, dict[str, float]]:
        if self.run.step % 100 == 0:
            self.own.refresh()
        self.drawings.grow(min(network.SHARDS, 6 + self.run.step // (2 * network.EVERY)))
        (source, drawn, meant), words = self.own.sample(rng, HALF, ("before", "drawn", "after"))
        edits, before, after = self.drawings.sample(rng, network.BATCH - HALF, square_share=1.0)
        words += [instruct(edit, rng).text for edit in edits]
        # without words and picture it can't be known what an own edit should have been
        seen, words = network.shown(rng, torch.cat([source, before]), words, always=HALF)
        ids = torch.tensor([self.encoder.text(told, LENGTH) for told in words], device=device())
        t = torch.cat([correction.times(HALF), network.timesteps(len(edits))]).to(device())
        a, noise = self.alphas[t].view(-1, 1, 1, 1), torch.randn_like(seen)
        noisy = a.sqrt() * torch.cat([drawn, after]) + (1 - a).sqrt() * noise
        with autocast():
            hidden = self.words(input_ids=ids).last_hidden_state
            v = self.model(torch.cat([noisy, seen], 1), t, hidden).sample.float()
        apart = torch.maximum((meant - source).abs(), (meant - drawn).abs()).amax(1, keepdim=True) > APART
        things = 1 + (THINGS - 1) * apart.float()
        fit = correction.error(v[:HALF], noisy[:HALF], a[:HALF], meant, things)
        target = (a.sqrt() * noise)[HALF:] - (1 - a).sqrt()[HALF:] * after
        weight = network.weights(before, after)
        drawings = ((v[HALF:] - target).square() * weight).mean() / weight.mean()
        return (fit + drawings) / 2, {"fit": fit.item(), "drawings": drawings.item()}


def train(steps: int = 900):
    """Trains the editor's whole UNet on own edits, from the shipped one. Its weights aren't shipped: they say
    where a LoRA has to change something, and make the edits that follow."""
    torch.manual_seed(0)
    run = Run("edit_own", _network(), Plan(steps, lr=2e-4, warmup=50, decay=0.6, ema=0.99))
    run.train(_Loss(run, run.model.train()), save_every=100)


def _network() -> torch.nn.Module:
    """The shipped editor's UNet without its LoRA; its picture's latents are as large as they are."""
    shipped = UNet2DConditionModel.from_pretrained(MODELS / "edit" / "unet", torch_dtype=torch.float32)
    model = network.widen(unet.build())
    model.load_state_dict(shipped.state_dict())
    return model


def _trained_lora(stage: str | None) -> low_rank.LowRank:
    """The LoRA as a stage left it; without one, as it begins: at what `train` changed most."""
    after = network.widen(unet.build())
    put_weights(after, trained_weights("edit_own", fitted.untrained))
    before = _network()
    model = low_rank.LowRank(before, low_rank.changes(before, after), BUDGET)
    if stage:
        put_weights(model, trained_weights(stage, fitted.untrained))
    return model


def train_lora(steps: int = 2000):
    """Trains the LoRA on all own edits there are."""
    low_rank.train("edit_lora", _trained_lora(None), Plan(steps, lr=4e-4, **PLAN), _Loss)


def make_last(shards: int = 12):
    """Makes own edits with the LoRA of `train_lora`."""
    own.make_with(_trained_lora("edit_lora").changes(), own.ROUNDS[2], shards)


def refine_lora(steps: int = 1000):
    """Goes on from the end of `train_lora` with own edits that were made with it."""
    low_rank.train("edit_lora_refine", _trained_lora("edit_lora"), Plan(steps, lr=3e-4, **PLAN), _Loss)


def make_finish(shards: int = 8):
    """Makes own edits with the LoRA of `refine_lora`."""
    own.make_with(_trained_lora("edit_lora_refine").changes(), own.ROUNDS[3], shards)


def finish_lora(steps: int = 900):
    """Goes on from the end of `refine_lora` in the same way, and ships the LoRA."""
    model = _trained_lora("edit_lora_refine")
    low_rank.train("edit_lora_finish", model, Plan(steps, lr=3e-4, **PLAN), _Loss)
    if workers()[0] == 0:
        low_rank.write(model, MODELS / "edit", network.OWN_LORA, network.settings())
