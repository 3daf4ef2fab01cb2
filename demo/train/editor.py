"""Trains the editor: a copy of the generator's text encoder that reads instructions, and a UNet that edits.

The UNet starts from the generator's with four more input channels, at nothing, for the latents of the picture
that is edited, as InstructPix2Pix did (Brooks et al., 2022, arXiv:2211.09800, section 3.2), and learns on
pairs of drawn pictures. At the end and at every padding token the text encoder must know what is to be
changed into what; what it says of captions is held to what the shipped one says, so that the generator's
UNet, from which the editor starts, goes on understanding it.
"""

import copy
import random
import shutil
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from diffusers import AutoencoderTiny, StableDiffusionInstructPix2PixPipeline, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from demo.captions import LENGTH, Encoder, describe, known_words
from demo.train import unet
from demo.train.autoencoder import to_tensor
from demo.train.edit_words import SUMMARY, Edit, instruct, instruction_words, training_edit
from demo.train.loop import MODELS, WORK, Plan, Run, autocast, device, put_weights, ship, trained_weights
from demo.train.unet import TEXT_MIX, WIDTH, tokenizer_folder
from demo.world import training_scene

TEXT_BATCH = 64  # instructions
CAPTIONS = 16
TEXT_FOLDER = WORK / "edit_text"


def text_folder() -> Path:
    """Where the encoder lies that was trained last; without one, the shipped one."""
    return TEXT_FOLDER if TEXT_FOLDER.exists() else MODELS / "edit" / "text_encoder"


def reader() -> CLIPTextModel:
    """That encoder in float32."""
    return CLIPTextModel.from_pretrained(text_folder()).float()


class Reader(nn.Module):
    """The encoder, and a head that is thrown away after training."""

    def __init__(self, encoder: CLIPTextModel):
        super().__init__()
        self.encoder = encoder
        self.summary = nn.Linear(WIDTH, sum(SUMMARY))


def text_train(steps: int = 500):
    """Writes the encoder to FOLDER; held to the shipped one's hidden states by their mean square."""
    torch.manual_seed(0)
    tokenizer = CLIPTokenizer.from_pretrained(tokenizer_folder())
    encoder = Encoder(tokenizer)
    shipped = CLIPTextModel.from_pretrained(MODELS / "stable-diffusion" / "text_encoder").float().to(device())
    model = Reader(copy.deepcopy(shipped)).to(device()).train()
    shipped.eval().requires_grad_(False)
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
                before = shipped(input_ids=ids[TEXT_BATCH:]).last_hidden_state
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
SHARD = 1024  # pairs
SHARDS = 40
EVERY = 60  # steps between two new shards
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
FOLDER = WORK / "edit_pairs"
OWN_LORA = "own.safetensors"  # `demo.train.editor_lora` writes it, anew for every new UNet


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


def start() -> UNet2DConditionModel:
    """The generator's UNet, widened; of the last stage where that has been trained, else the shipped one."""
    model = unet.build()
    put_weights(model, trained_weights("unet_hard", unet.shipped_unet))
    return widen(model)


# Pairs
# -----------------------------------------------------------------------------------------------------------


def _shape(shard: int) -> tuple[int, int]:
    """The shape of all of a shard's pictures in latent cells: every sixth goes to the next of the others."""
    return unet.SHAPES[1 + shard // 6 % 6] if shard % 6 == 5 else unet.SHAPES[0]


def _edits(shard: int) -> list[Edit]:
    size = tuple(8 * cells for cells in _shape(shard))
    return [training_edit(random.Random(f"edit {shard} {index}"), size) for index in range(SHARD)]


@torch.no_grad()
def encode_pairs(shard: int, vae: AutoencoderTiny):
    """Draws and encodes a shard of pairs: (SHARD, 2, 4, rows, columns), before and after."""
    size = tuple(8 * cells for cells in _shape(shard))
    edits, latents = _edits(shard), []
    for first in range(0, SHARD, 16):
        drawn = [np.asarray(picture) for edit in edits[first : first + 16] for picture in edit.pictures(size)]
        with autocast():
            z = vae.encoder(to_tensor(np.stack(drawn))).float().cpu().numpy().astype(np.float16)
        latents.append(z.reshape(-1, 2, *z.shape[1:]))
    FOLDER.mkdir(parents=True, exist_ok=True)
    part = FOLDER / f"{shard:04d}.part"
    with part.open("wb") as file:
        np.save(file, np.concatenate(latents))
    part.replace(FOLDER / f"{shard:04d}.npy")


def weights(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """The loss weight of each latent cell: what changes counts about as much as all that stays.
    (B, 1, rows, columns)."""
    changed = ((after - before).abs().amax(1, keepdim=True) > 0.25).float()
    share = changed.mean((1, 2, 3), keepdim=True)
    return 1 + changed * (0.6 / share.clamp(min=0.02)).clamp(0.5, 6)


class Pairs:
    """All encoded pairs, by shard."""

    def __init__(self):
        vae = unet.made("vae")
        self.vae = AutoencoderTiny.from_pretrained(vae, torch_dtype=torch.float32).to(
            device(), memory_format=torch.channels_last
        )
        self.edits: list[list[Edit]] = []
        self.latents: list[torch.Tensor] = []  # (SHARD, 2, 4, rows, columns) each

    def grow(self, shards: int):
        """Takes in as many shards, drawing those that are not on disk."""
        for shard in range(len(self.edits), shards):
            path = FOLDER / f"{shard:04d}.npy"
            if not path.exists():
                encode_pairs(shard, self.vae)
            self.latents.append(torch.from_numpy(np.load(path)))
            self.edits.append(_edits(shard))

    def sample(self, rng: random.Random, count: int, square_share: float = unet.SQUARE):
        """`count` edits of one shape and their latents before and after, (B, 4, rows, columns) each."""
        square = [i for i in range(len(self.edits)) if _shape(i) == unet.SHAPES[0]]
        other = [i for i in range(len(self.edits)) if i not in square]
        if other and rng.random() > square_share:
            shards = [rng.choice(other)] * count
        else:
            shards = rng.choices(square, k=count)
        chosen = [(shard, rng.randrange(SHARD)) for shard in shards]
        latents = torch.stack([self.latents[shard][i] for shard, i in chosen]).float().to(device())
        return [self.edits[shard][i] for shard, i in chosen], latents[:, 0], latents[:, 1]


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


def train(steps: int = 4000):
    """From the generator's UNet, which has never seen a picture to edit."""
    torch.manual_seed(0)
    _train(Run("edit", start(), Plan(steps, lr=6e-4, decay=0.75, ema=0.996)))


def shipped_editor() -> UNet2DConditionModel:
    """The shipped editor's UNet, with its picture's latents as large as they are trained."""
    model = UNet2DConditionModel.from_pretrained(MODELS / "edit" / "unet", torch_dtype=torch.float32)
    with torch.no_grad():
        model.conv_in.weight[:, model.config.out_channels :] /= GAIN
    return model


def refine(steps: int = 5000):
    """Goes on from the end of `train`; where its checkpoint is gone, from the shipped editor."""
    torch.manual_seed(0)
    run = Run("edit_refine", widen(unet.build()), Plan(steps, lr=2.5e-4, decay=0.9, ema=0.99))
    if run.step == 0:
        run.start_from(trained_weights("edit", shipped_editor))
    _train(run)


def _train(run: Run):
    """Trains `run.model`, the UNet, with the text encoder as it is."""
    words = reader().to(device()).eval().requires_grad_(False)
    run.train(_Loss(run, run.model.train(), words), save_every=100)
    if run.rank == 0:
        assemble(run)


class _Loss:
    """The mean square error of v over a batch of pairs, as the generator's, weighted by `weights`; words,
    picture or both are left out now and then, for guidance by either. Trained is what of `model` (the UNet)
    and `words` (its text encoder) asks for gradients."""

    def __init__(self, run: Run, model: UNet2DConditionModel, words: CLIPTextModel):
        self.run, self.model, self.words = run, model, words
        self.encoder = Encoder(CLIPTokenizer.from_pretrained(tokenizer_folder()))
        self.pairs = Pairs()
        self.alphas = unet.scheduler().alphas_cumprod.to(device())

    def __call__(self, rng: random.Random) -> tuple[torch.Tensor, dict[str, float]]:
        self.pairs.grow(min(SHARDS, 4 + self.run.step // EVERY))
        edits, before, after = self.pairs.sample(rng, BATCH)
        seen, texts = shown(rng, before, [instruct(edit, rng).text for edit in edits])
        ids = torch.tensor([self.encoder.text(t, LENGTH) for t in texts], device=device())
        t = timesteps(BATCH).to(device())
        noise = torch.randn_like(after)
        a = self.alphas[t].view(-1, 1, 1, 1)
        noisy, target = a.sqrt() * after + (1 - a).sqrt() * noise, a.sqrt() * noise - (1 - a).sqrt() * after
        with autocast():
            hidden = self.words(input_ids=ids).last_hidden_state  # (B, 77, WIDTH)
            v = self.model(torch.cat([noisy, GAIN * seen], 1), t, hidden).sample.float()
        square, weight = (v - target).square(), weights(before, after)
        stays = weight == 1
        return (square * weight).mean() / weight.mean(), {
            "changes": square[(~stays).expand_as(square)].mean().item(),
            "stays": square[stays.expand_as(square)].mean().item(),
        }


def tune_text(steps: int = 3600):
    """Trains the text encoder by the loss of the UNet, which stays as it is, and writes text.FOLDER. It had
    learned from instructions alone."""
    torch.manual_seed(0)
    words = reader().to(device()).train()
    run = Run("edit_text_tune", words, Plan(steps, lr=3e-4, decay=0.8, ema=0.99))
    model = widen(unet.build()).requires_grad_(False)
    model.load_state_dict(shipped_editor().state_dict())
    run.train(_Loss(run, model, words), save_every=100)
    run.use_average()
    words.save_pretrained(TEXT_FOLDER)
    ship(words, MODELS / "edit" / "text_encoder")


def assemble(run: Run | None = None, folder: Path = MODELS / "edit"):
    """Writes the editor's pipeline from the newest checkpoint, in float16, without the autoencoder, which is
    the generator's."""
    if run is None:
        run = Run("edit", start(), Plan(1, lr=0))
    run.use_average()
    with torch.no_grad():
        run.model.conv_in.weight[:, run.model.config.out_channels :] *= GAIN
    kind = StableDiffusionInstructPix2PixPipeline
    unet.write(kind, run.model, unet.made("vae"), text_folder(), folder, settings(), unet.PLAIN)
    shutil.rmtree(folder / "vae")


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
        "merged_lora": OWN_LORA,
        "vocabulary": " ".join(words),
    }
