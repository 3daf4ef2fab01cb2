"""Edits that the editor made itself, and what each should have been.

An editor that has learned from drawings alone takes what it makes of noise for half of a drawing: a colour
that it missed in its first step is what it finds again in all others. The answer to a drawn edit is known,
so of each picture that it makes it can be told what it should have been (as `demo.training.form` tells the
generator).
"""

import random
from dataclasses import replace

import numpy as np
import torch
from diffusers import AutoencoderTiny, StableDiffusionInstructPix2PixPipeline
from scipy import ndimage

from demo.drawing import SIZE
from demo.training.autoencoder.network import to_pictures, to_tensor
from demo.training.edit import network
from demo.training.edit.scenes import Edit, training_edit
from demo.training.edit.words import instruct
from demo.training.form import fitted, low_rank
from demo.training.form.shards import make as make_shards
from demo.training.loop import MODELS, WORK, autocast, device, put_weights, trained_weights

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
        there = np.maximum(there, fitted.silhouette(thing.object, place, outline))
    free = mask * (there == 0)
    part = largest(free > NEW)
    if part.sum() < 0.01 * SIZE * SIZE:
        return None
    (x, y, half), overlap = fitted.fit(free * part, new.object, outline)
    if overlap < fitted.LEAST:
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
        answers = map(meant, edits, fitted.things_in(pictures, segmenter))
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
    segmenter = fitted.segmenter()
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
    put_weights(editor.unet, trained_weights("edit_own", fitted.untrained))
    _make(shards, ROUNDS[1], editor)


def make_with(changes: dict[str, torch.Tensor], first: int, shards: int):
    """Makes more, by the editor with `changes` (layer → what is added, (out, in)) added to its UNet."""
    editor = _editor()
    low_rank.add(changes, editor.unet)
    _make(shards, first, editor)
