"""Trains the editor: a copy of the generator's text encoder that reads instructions, and a UNet that edits.

The UNet starts from the generator's with four more input channels, at nothing, for the latents of the picture
that is edited, as InstructPix2Pix did (Brooks et al., 2022, arXiv:2211.09800, section 3.2), and learns on
pairs of drawn pictures. At the end and at every padding token the text encoder must know what is to be
changed into what; what it says of captions is held to what the generator's says, so that the generator's
UNet, from which the editor starts, goes on understanding it.

From the first step on it also learns from what it made of an edit, as `demo.train.corrections` tells the
generator: a colour that was missed in the first step is found again in all others.
"""

import copy
import random
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from diffusers import AutoencoderTiny, StableDiffusionInstructPix2PixPipeline, UNet2DConditionModel
from scipy import ndimage
from transformers import CLIPTextModel, CLIPTokenizer

from demo.drawing import SIZE
from demo.train import corrections, unet
from demo.train.edit_words import SUMMARY, Edit, instruct, instruction_words, training_edit
from demo.train.loop import (
    PACK,
    WORK,
    Plan,
    Run,
    autocast,
    device,
    grown,
    shard,
    to_pictures,
    to_tensor,
)
from demo.train.text import TEXT_MIX, WIDTH, tokenizer_folder
from demo.world import LENGTH, Encoder, describe, known_words, training_scene

TEXT_BATCH = 64  # instructions
CAPTIONS = 16
TEXT_FOLDER = WORK / "edit_text"


class Reader(nn.Module):
    """The encoder, and a head that is thrown away after training."""

    def __init__(self, encoder: CLIPTextModel):
        super().__init__()
        self.encoder = encoder
        self.summary = nn.Linear(WIDTH, sum(SUMMARY))


def train_text(steps: int):
    """Writes the encoder to TEXT_FOLDER; held to the generator's hidden states by their mean square."""
    torch.manual_seed(0)
    tokenizer = CLIPTokenizer.from_pretrained(tokenizer_folder())
    encoder = Encoder(tokenizer)
    generator = CLIPTextModel.from_pretrained(unet.FOLDER / "text_encoder").float().to(device())
    model = Reader(copy.deepcopy(generator)).to(device()).train()
    generator.eval().requires_grad_(False)
    run = Run("edit_text", model, Plan(steps, lr=1e-3, decay=0.6, betas=(0.9, 0.98), ema=0.99))

    def loss(rng):
        length = rng.choice((32, 32, 40, LENGTH))
        asked = [instruct(training_edit(rng), rng) for _ in range(TEXT_BATCH)]
        texts = [one.text for one in asked]
        texts += [describe(training_scene(rng, TEXT_MIX), rng).text for _ in range(CAPTIONS)]
        ids = torch.tensor([encoder.text(text, length) for text in texts], device=device())
        labels = torch.tensor([one.labels for one in asked], device=device())
        end = (ids[:TEXT_BATCH] == encoder.end).int().argmax(1)
        pad = end + ((length - end) * torch.rand(TEXT_BATCH, device=device())).long()
        rows = torch.arange(TEXT_BATCH, device=device())
        with autocast():
            hidden = model.encoder(input_ids=ids).last_hidden_state  # (B, L, WIDTH)
            with torch.no_grad():
                before = generator(input_ids=ids[TEXT_BATCH:]).last_hidden_state
            value = F.mse_loss(hidden[TEXT_BATCH:].float(), before.float())
            figures = {"apart": value.item()}
            for name, position in (("end", end), ("pad", pad)):
                parts = model.summary(hidden[rows, position]).float().split(SUMMARY, -1)
                told = zip(parts, labels.T, strict=True)
                value = value + sum(F.cross_entropy(part, target) for part, target in told) / 2
                right = [p.argmax(-1) == t for p, t in zip(parts, labels.T, strict=True)]
                figures[name] = torch.stack(right).all(0).float().mean().item()
        return value, figures

    run.train(loss)
    run.use_average()
    model.encoder.save_pretrained(TEXT_FOLDER)


BATCH = 32
SHARD, SHARDS = 256, 160  # pairs
EVERY = 40  # steps between two new shards
UNTOLD = 0.05  # shares of the batch: no words; no picture; neither
GAIN = 8.0  # the picture's latents are trained so much larger, so that their weights, from zero, grow as fast
SOFT = 0.3  # share of the sources with a little noise, as pictures have that were not drawn
DEFAULTS = {
    "num_inference_steps": 12,
    "guidance_scale": 3.0,
    "image_guidance_scale": 1.5,
    "relevance_threshold": 0.18,
}
DRAFT = {"num_inference_steps": 6, "guidance_scale": 3.0}


def widen(model: UNet2DConditionModel, channels: int = 8) -> UNet2DConditionModel:
    """The same UNet with more input channels; the new ones begin at zero."""
    old = model.conv_in
    new = torch.nn.Conv2d(channels, old.out_channels, old.kernel_size, padding=old.padding)
    with torch.no_grad():
        new.weight.zero_()
        new.weight[:, : old.in_channels] = old.weight
        new.bias.copy_(old.bias)
    model.conv_in = new
    model.register_to_config(in_channels=channels)
    return model.to(device())


# Pairs
# -----------------------------------------------------------------------------------------------------------


def _shape(shard: int) -> tuple[int, int]:
    """The shape of all of a shard's pictures in latent cells: every sixth goes to the next of the others."""
    return unet.SHAPES[1 + shard // 6 % 6] if shard % 6 == 5 else unet.SHAPES[0]


def _edits(shard: int) -> list[Edit]:
    size = tuple(8 * cells for cells in _shape(shard))
    return [training_edit(random.Random(f"edit {shard} {index}"), size) for index in range(SHARD)]


@torch.no_grad()
def _drawn(index: int, vae: AutoencoderTiny) -> dict[str, np.ndarray]:
    """latents of a shard of pairs: (SHARD, 2, 4, rows, columns), before and after."""
    size = tuple(8 * cells for cells in _shape(index))
    edits, latents = _edits(index), []
    for first in range(0, SHARD, 16):
        drawn = [picture for edit in edits[first : first + 16] for picture in edit.pictures(size)]
        z = _encoded(drawn, vae).cpu().numpy().astype(np.float16)
        latents.append(z.reshape(-1, 2, *z.shape[1:]))
    return {"latents": np.concatenate(latents)}


def _encoded(pictures: list, vae: AutoencoderTiny) -> torch.Tensor:
    """Latents (B, 4, rows, columns) of drawn pictures."""
    with autocast():
        return vae.encoder(to_tensor(np.stack([np.asarray(picture) for picture in pictures]))).float()


def weights(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """The loss weight of each latent cell: what changes counts about as much as all that stays.
    (B, 1, rows, columns)."""
    changed = ((after - before).abs().amax(1, keepdim=True) > 0.25).float()
    share = changed.mean((1, 2, 3), keepdim=True)
    return 1 + changed * (0.6 / share.clamp(min=0.02)).clamp(0.5, 6)


class Pairs:
    """All encoded pairs, by shard."""

    def __init__(self):
        self.vae = unet.autoencoder()
        self.edits: list[list[Edit]] = []
        self.latents: list[torch.Tensor] = []  # (SHARD, 2, 4, rows, columns) each

    def grow(self, shards: int):
        """Takes in as many shards, drawing those that are not on disk."""
        for index in range(len(self.edits), shards):
            arrays = shard(WORK / "edit_pairs" / f"{index:04d}.npz", partial(_drawn, index, self.vae))
            self.latents.append(torch.from_numpy(arrays["latents"]))
            self.edits.append(_edits(index))

    def sample(self, rng: random.Random, count: int, square: bool):
        """`count` edits of one shape, a square one or, where some are drawn, another; and their latents
        before and after, (B, 4, rows, columns) each."""
        squares = [i for i in range(len(self.edits)) if _shape(i) == unet.SHAPES[0]]
        others = [i for i in range(len(self.edits)) if i not in squares]
        if others and not square:
            shards = [rng.choice(others)] * count
        else:
            shards = rng.choices(squares, k=count)
        chosen = [(index, rng.randrange(SHARD)) for index in shards]
        latents = torch.stack([self.latents[index][i] for index, i in chosen]).float().to(device())
        return [self.edits[index][i] for index, i in chosen], latents[:, 0], latents[:, 1]


# Training
# -----------------------------------------------------------------------------------------------------------


def timesteps(count: int) -> torch.Tensor:
    """Stratified over 0 to 999, more where next to nothing but noise is seen: what stays is decided there."""
    q = (torch.rand(1) + torch.arange(count) / count) % 1
    return (1000 * q**0.6).long().clamp(0, 999)


def shown(
    rng: random.Random, before: torch.Tensor, words: list[str], always: int = 0
) -> tuple[torch.Tensor, list[str]]:
    """The pictures, (B, 4, rows, columns), and the words as the editor learns from them: some pictures have a
    little noise; UNTOLD of the edits have no words, as many no picture, as many neither, but for the first
    `always`."""
    left_out = torch.tensor([rng.random() for _ in words])
    left_out[:always] = 1
    wordless, blind = left_out < 2 * UNTOLD, (left_out > UNTOLD) & (left_out < 3 * UNTOLD)
    told = ["" if untold else text for untold, text in zip(wordless.tolist(), words, strict=True)]
    soft = torch.tensor([rng.uniform(0, 0.1) * (rng.random() < SOFT) for _ in words], device=device())
    seen = before + soft.view(-1, 1, 1, 1) * torch.randn_like(before)
    return seen * ~blind.to(device()).view(-1, 1, 1, 1), told


class _Loss:
    """The mean square error of v over a batch of pairs, as the generator's, weighted by `weights`; words,
    picture or both are left out now and then, for guidance by either. Of HALF a batch, as soon as an edit is
    known, it is the error of the noise-free latents that the prediction leads to from own edits."""

    def __init__(self, run: Run, words: CLIPTextModel, own: corrections.Own):
        self.run, self.words, self.own, self.pairs = run, words, own, Pairs()
        self.encoder = Encoder(CLIPTokenizer.from_pretrained(tokenizer_folder()))
        self.alphas = unet.scheduler().alphas_cumprod.to(device())

    def __call__(self, rng: random.Random) -> tuple[torch.Tensor, dict[str, float]]:
        self.pairs.grow(grown(self.run.step, EVERY, SHARDS))
        self.own.look(self.run.step)
        square, own, words = rng.random() < unet.SQUARE, [], []
        if square:
            own, words = self.own.sample(rng, HALF, ("before", "drawn", "after"))
        count = len(words)
        edits, before, after = self.pairs.sample(rng, BATCH - count, square)
        words += [instruct(edit, rng).text for edit in edits]
        # without words and picture it can't be known what an own edit should have been
        seen, words = shown(rng, torch.cat([*own[:1], before]), words, always=count)
        ids = torch.tensor([self.encoder.text(told, LENGTH) for told in words], device=device())
        t = torch.cat([corrections.times(count), timesteps(len(edits))]).to(device())
        a, noise = self.alphas[t].view(-1, 1, 1, 1), torch.randn_like(seen)
        noisy = a.sqrt() * torch.cat([*own[1:2], after]) + (1 - a).sqrt() * noise
        with autocast():
            hidden = self.words(input_ids=ids).last_hidden_state  # (B, 77, WIDTH)
            v = self.run.model(torch.cat([noisy, GAIN * seen], 1), t, hidden).sample.float()
        target = (a.sqrt() * noise)[count:] - (1 - a).sqrt()[count:] * after
        square_error, weight = (v[count:] - target).square(), weights(before, after)
        stays = (weight == 1).expand_as(square_error)
        value = (square_error * weight).mean() / weight.mean()
        figures = {"changes": square_error[~stays].mean().item(), "stays": square_error[stays].mean().item()}
        if count:
            source, drawn, meant = own
            apart = torch.maximum((meant - source).abs(), (meant - drawn).abs()).amax(1, keepdim=True) > APART
            things = 1 + (THINGS - 1) * apart.float()
            fit = corrections.error(v[:count], noisy[:count], a[:count], meant, things)
            value, figures["fit"] = (fit + value) / 2, fit.item()
        return value, {**figures, "own": count}


def train(steps: int = 9000):
    """Trains the text encoder, with an eighteenth of the steps more, and then the UNet, from the generator's.
    Writes the pipeline without the autoencoder, which is the generator's."""
    train_text(max(1, steps // 18))
    torch.manual_seed(0)
    words = CLIPTextModel.from_pretrained(TEXT_FOLDER).float().to(device()).eval().requires_grad_(False)
    run = Run("edit", widen(unet.load()), Plan(steps, lr=6e-4, decay=0.75, ema=0.996))
    run.train(_Loss(run, words, own_edits(run.model.train(), words)), save_every=100)
    run.use_average()
    model, folder = in_use(run.model), PACK / "edit"
    kind = StableDiffusionInstructPix2PixPipeline
    unet.write(kind, model, WORK / "vae", TEXT_FOLDER, folder, settings(), unet.PLAIN)
    shutil.rmtree(folder / "vae")


@torch.no_grad()
def in_use(model: UNet2DConditionModel) -> UNet2DConditionModel:
    """A copy that takes the picture's latents as large as they are."""
    model = copy.deepcopy(model)
    model.conv_in.weight[:, model.config.out_channels :] *= GAIN
    return model


def settings() -> dict:
    """How the pipeline is meant to be called."""
    generator = unet.settings()
    kept = {key: generator[key] for key in ("native_size", "max_area", "output_scale")}
    words = sorted({*known_words(), *instruction_words()})
    shared = dict.fromkeys(("vae", "upscaler"), "stable-diffusion")
    return {
        **DEFAULTS,
        "draft": DRAFT,
        **kept,
        "shared": shared,
        "vocabulary": " ".join(words),
    }


HALF = BATCH // 2  # own edits in a batch; the others are drawings
OWN_SHARD = 16  # edits that it makes at once
APART = 0.25  # by which a cell differs whose loss counts more: of drawing and answer, or before and after
THINGS = 4.0  # how much more
# How many of a kind's edits are made: of those more that come out badly.
MIX = {"colour": 0.4, "thing": 0.8, "background": 0.3, "style": 1.0, "add": 0.8, "remove": 1.0}
NEW = 0.5  # of a pixel, from which on it shows a thing
GUIDANCE = {name: DEFAULTS[name] for name in ("guidance_scale", "image_guidance_scale")}


def own_edit(rng: random.Random) -> Edit:
    """A training edit, of those kinds more that come out badly."""
    while True:
        edit = training_edit(rng)
        if rng.random() < MIX[edit.kind]:
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
        there = np.maximum(there, corrections.silhouette(thing.object, place, outline))
    free = mask * (there == 0)
    part = largest(free > NEW)
    if part.sum() < 0.01 * SIZE * SIZE:
        return None
    (x, y, half), overlap = corrections.fit(free * part, new.object, outline)
    if overlap < corrections.LEAST:
        return None
    moved = replace(new, x=x / SIZE, y=y / SIZE, half=half / SIZE)
    placed = tuple(moved if thing is new else thing for thing in edit.placed[1])
    return replace(edit, placed=(edit.placed[0], placed))


def largest(mask: np.ndarray) -> np.ndarray:
    """The largest connected part of a mask, (SIZE, SIZE) bool."""
    labels, count = ndimage.label(mask)
    return labels == 1 + np.argmax(np.bincount(labels.ravel())[1:]) if count else mask


def own_edits(model: UNet2DConditionModel, words: CLIPTextModel) -> corrections.Own:
    """What the editor makes of edits: `drawn`, `before` and `after`, latents (N, 4, 16, 16) float16 each.
    Every second shard is a draft."""
    segmenter, tokenizer = corrections.segmenter(), CLIPTokenizer.from_pretrained(tokenizer_folder())
    vae, scheduler = unet.autoencoder(unet.FOLDER / "vae"), unet.scheduler(unet.PLAIN)
    editor = StableDiffusionInstructPix2PixPipeline(
        vae, words, tokenizer, model, scheduler, None, None, requires_safety_checker=False
    )
    editor.set_progress_bar_config(disable=True)

    @torch.no_grad()
    def make(index: int) -> dict[str, np.ndarray]:
        settings = DEFAULTS if index % 2 else DRAFT
        edits, told, seeds = [], [], []
        for position in range(OWN_SHARD):
            rng = random.Random(f"own edit {index} {position}")
            edits.append(own_edit(rng))
            told.append(instruct(edits[-1], rng).text)
            seeds.append(torch.Generator().manual_seed(rng.randrange(1 << 30)))
        before = _encoded([edit.pictures()[0] for edit in edits], editor.vae)
        editor.register_modules(unet=in_use(model))
        with autocast():
            drawn = editor(
                told,
                image=before,
                generator=seeds,
                num_inference_steps=settings["num_inference_steps"],
                output_type="latent",
                **GUIDANCE,
            ).images.float()
            pictures = to_pictures(editor.vae.decode(drawn).sample)
        answers = map(meant, edits, corrections.things_in(pictures, segmenter))
        known = [(i, answer) for i, answer in enumerate(answers) if answer is not None]
        kept = [i for i, _ in known]
        after = _encoded([answer.pictures()[1] for _, answer in known], editor.vae) if known else before[:0]
        latents = {"drawn": drawn[kept], "before": before[kept], "after": after}
        made = {name: z.cpu().numpy().astype(np.float16) for name, z in latents.items()}
        return {**made, "words": np.array([told[i] for i in kept], str)}

    return corrections.Own(WORK / "own_edits", make)
