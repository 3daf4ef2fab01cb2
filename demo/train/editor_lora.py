"""Teaches the editor's UNet, and then a LoRA of it, to go from what it made of an edit to its answer.

An editor that has learned from drawings alone takes what it makes of noise for half of a drawing: a colour
that it missed in its first step is what it finds again in all others. The answer to a drawn edit is known,
so of each picture that it makes it can be told what it should have been (as `demo.train.lora` tells the
generator).
"""

import random
from dataclasses import replace

import numpy as np
import torch
from diffusers import AutoencoderTiny, StableDiffusionInstructPix2PixPipeline, UNet2DConditionModel
from scipy import ndimage
from transformers import CLIPTokenizer

from demo.captions import LENGTH, Encoder
from demo.drawing import SIZE
from demo.train import editor as network
from demo.train import lora, unet
from demo.train.autoencoder import to_pictures, to_tensor
from demo.train.edit_words import Edit, instruct, training_edit
from demo.train.loop import MODELS, WORK, Plan, Run, autocast, device, put_weights, trained_weights, workers
from demo.train.lora import Shards
from demo.train.lora import shards_make as make_shards
from demo.train.unet import tokenizer_folder

FOLDER = WORK / "edit_own"
SHARD = 256  # edits
# The first shards of four rounds: made by the shipped editor, by what learned from these, and twice with the
# LoRA that had learned from those before.
ROUNDS = (0, 100, 200, 300)
AT_ONCE = 16
# How many of a kind's edits are made: of those more that come out badly, and that do after the first round.
MIX = {"colour": 0.5, "thing": 1.0, "background": 0.4, "style": 0.6, "add": 0.8, "remove": 0.7}
MIX_AGAIN = {"colour": 0.4, "thing": 0.8, "background": 0.3, "style": 1.0, "add": 0.8, "remove": 1.0}
NEW = 0.5  # of a pixel, from which on it shows a thing
GUIDANCE = {name: network.DEFAULTS[name] for name in ("guidance_scale", "image_guidance_scale")}


def own_edit(rng: random.Random, again: bool = False) -> Edit:
    """A training edit, of those kinds more that come out badly."""
    mix = MIX_AGAIN if again else MIX
    while True:
        edit = training_edit(rng)
        if rng.random() < mix[edit.kind]:
            return edit


def meant(edit: Edit, mask: np.ndarray) -> Edit | None:
    """The edit whose answer a picture comes nearest to: where something is added, its words mostly leave
    open where, so that it lies where `mask`, (SIZE, SIZE) of 0 to 1, what shows a thing, has something new.
    None where nothing is recognised there."""
    if edit.kind != "add" or len(edit.changed) != 1:
        return edit
    [new] = edit.changed
    outline = edit.after.style == "outline"
    there = np.zeros_like(mask)
    for thing in edit.placed[0]:
        place = (SIZE * thing.x, SIZE * thing.y, 1.15 * SIZE * thing.half)
        there = np.maximum(there, lora.silhouette(thing.object, place, outline))
    free = mask * (there == 0)
    part = largest(free > NEW)
    if part.sum() < 0.01 * SIZE * SIZE:
        return None
    (x, y, half), overlap = lora.fit(free * part, new.object, outline)
    if overlap < lora.LEAST:
        return None
    moved = replace(new, x=x / SIZE, y=y / SIZE, half=half / SIZE)
    placed = tuple(moved if thing is new else thing for thing in edit.placed[1])
    return replace(edit, placed=(edit.placed[0], placed))


def largest(mask: np.ndarray) -> np.ndarray:
    """The largest connected part of a mask, (SIZE, SIZE) bool."""
    labels, count = ndimage.label(mask)
    return labels == 1 + np.argmax(np.bincount(labels.ravel())[1:]) if count else mask


@torch.no_grad()
def _shard(index: int, editor: StableDiffusionInstructPix2PixPipeline, segmenter) -> dict[str, np.ndarray]:
    """`drawn`, `before` and `after`, latents (N, 4, 16, 16) float16 each, and the `words`; every second shard
    is a draft."""
    settings = network.DRAFT if index % 2 else network.DEFAULTS
    parts = []
    for start in range(0, SHARD, AT_ONCE):
        edits, words, seeds = [], [], []
        for position in range(start, start + AT_ONCE):
            rng = random.Random(f"own edit {index} {position}")
            edits.append(own_edit(rng, again=index >= ROUNDS[1]))
            words.append(instruct(edits[-1], rng).text)
            seeds.append(torch.Generator().manual_seed(rng.randrange(1 << 30)))
        before = _encoded([edit.pictures()[0] for edit in edits], editor.vae)
        with autocast():
            drawn = editor(
                words,
                image=before,
                generator=seeds,
                num_inference_steps=settings["num_inference_steps"],
                output_type="latent",
                **GUIDANCE,
            ).images.float()
            pictures = to_pictures(editor.vae.decode(drawn).sample)
        answers = map(meant, edits, lora.things_in(pictures, segmenter))
        known = [(i, answer) for i, answer in enumerate(answers) if answer is not None]
        kept = [i for i, _ in known]
        after = _encoded([answer.pictures()[1] for _, answer in known], editor.vae)
        latents = {"drawn": drawn[kept], "before": before[kept], "after": after}
        part = {name: z.cpu().numpy().astype(np.float16) for name, z in latents.items()}
        parts.append({**part, "words": np.array([words[i] for i in kept], str)})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _encoded(pictures: list, vae) -> torch.Tensor:
    """Latents (B, 4, 16, 16) of drawn pictures."""
    with autocast():
        return vae.encoder(to_tensor(np.stack([np.asarray(picture) for picture in pictures]))).float()


def _make(shards: int, first: int, editor: StableDiffusionInstructPix2PixPipeline):
    segmenter = lora.segmenter()
    make_shards(FOLDER, first, shards, lambda index: _shard(index, editor, segmenter))


def _editor() -> StableDiffusionInstructPix2PixPipeline:
    """The pack's, without its LoRA."""
    vae = AutoencoderTiny.from_pretrained(MODELS / "stable-diffusion" / "vae", torch_dtype=torch.float32)
    editor = StableDiffusionInstructPix2PixPipeline.from_pretrained(
        MODELS / "edit", vae=vae, torch_dtype=torch.float32
    )
    editor.set_progress_bar_config(disable=True)
    return editor.to(device())


def make(shards: int = 20):
    """Makes `shards` x SHARD edits in FOLDER, several processes each their share; those already on disk are
    kept."""
    _make(shards, 0, _editor())


def make_again(shards: int = 12):
    """Makes more, by the editor that has learned from those before."""
    editor = _editor()
    put_weights(editor.unet, trained_weights("edit_own", lora.untrained))
    _make(shards, ROUNDS[1], editor)


def make_with(changes: dict[str, torch.Tensor], first: int, shards: int):
    """Makes more, by the editor with `changes` (layer → what is added, (out, in)) added to its UNet."""
    editor = _editor()
    lora.add(changes, editor.unet)
    _make(shards, first, editor)


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
        self.own, self.drawings = Shards(FOLDER, ROUNDS), network.Pairs()
        self.words = network.reader().to(device()).eval().requires_grad_(False)
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
        t = torch.cat([lora.times(HALF), network.timesteps(len(edits))]).to(device())
        a, noise = self.alphas[t].view(-1, 1, 1, 1), torch.randn_like(seen)
        noisy = a.sqrt() * torch.cat([drawn, after]) + (1 - a).sqrt() * noise
        with autocast():
            hidden = self.words(input_ids=ids).last_hidden_state
            v = self.model(torch.cat([noisy, seen], 1), t, hidden).sample.float()
        apart = torch.maximum((meant - source).abs(), (meant - drawn).abs()).amax(1, keepdim=True) > APART
        things = 1 + (THINGS - 1) * apart.float()
        fit = lora.error(v[:HALF], noisy[:HALF], a[:HALF], meant, things)
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


def _trained_lora(stage: str | None) -> lora.LowRank:
    """The LoRA as a stage left it; without one, as it begins: at what `train` changed most."""
    after = network.widen(unet.build())
    put_weights(after, trained_weights("edit_own", lora.untrained))
    before = _network()
    model = lora.LowRank(before, lora.changes(before, after), BUDGET)
    if stage:
        put_weights(model, trained_weights(stage, lora.untrained))
    return model


def train_lora(steps: int = 2000):
    """Trains the LoRA on all own edits there are."""
    lora.low_rank_train("edit_lora", _trained_lora(None), Plan(steps, lr=4e-4, **PLAN), _Loss)


def make_last(shards: int = 12):
    """Makes own edits with the LoRA of `train_lora`."""
    make_with(_trained_lora("edit_lora").changes(), ROUNDS[2], shards)


def refine_lora(steps: int = 1000):
    """Goes on from the end of `train_lora` with own edits that were made with it."""
    lora.low_rank_train("edit_lora_refine", _trained_lora("edit_lora"), Plan(steps, lr=3e-4, **PLAN), _Loss)


def make_finish(shards: int = 8):
    """Makes own edits with the LoRA of `refine_lora`."""
    make_with(_trained_lora("edit_lora_refine").changes(), ROUNDS[3], shards)


def finish_lora(steps: int = 900):
    """Goes on from the end of `refine_lora` in the same way, and ships the LoRA."""
    model = _trained_lora("edit_lora_refine")
    lora.low_rank_train("edit_lora_finish", model, Plan(steps, lr=3e-4, **PLAN), _Loss)
    if workers()[0] == 0:
        lora.write(model, MODELS / "edit", network.OWN_LORA, network.settings())
