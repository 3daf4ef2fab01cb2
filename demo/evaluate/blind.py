"""`python -m demo.evaluate.blind FOLDER`: a blind choice between the pictures of an older pack and those of
the present one, on the same held-out prompts and seeds.

FOLDER holds the older image generator, as `git archive COMMIT demo/models/stable-diffusion` brings it; its
UNet, text encoder, autoencoder, sampler and settings are taken. Both packs' pictures are enlarged by the
present upscaler. The judge sees the two in an order drawn by lot. `--sheet` keeps all pairs in that order,
for eyes.

The measure of the blind choice, stated before any picture was drawn for it: of two pictures of one prompt
the better one is that of which the judge is surer that all is there; where it is about as sure of both, the
one with the narrower edges.
"""

import argparse
import json
import random
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderTiny, DPMSolverMultistepScheduler, UNet2DConditionModel
from diffusers.utils import logging as diffusers_logging
from PIL import Image, ImageDraw
from transformers import CLIPTextModel

from demo import judge
from demo.evaluate.images import KINDS, Pack, held_out, lines, merge_own_lora, prompt
from demo.evaluate.report import wilson
from demo.judge import Verdict
from demo.world import Scene

ABOUT = 0.05  # of the judge's confidence: less apart is "about as sure"


@dataclass(frozen=True)
class Look:
    """What the measure sees of a picture. sure: 0 to 1; width: of the edges, in px."""

    sure: float
    width: float


def look(verdict: Verdict, scene: Scene, enlarged: Image.Image) -> Look:
    """Look at a picture of `scene`: what the judge said of it, and the picture at the product's size."""
    return Look(_sure(verdict, scene), judge.edge_width(enlarged))


def _sure(verdict: Verdict, scene: Scene) -> float:
    """How sure the judge is of the thing it is least sure of; 0 where there is another number of things, a
    thing that wasn't asked for or another background."""
    asked = sorted((group.colour, group.object) for group in scene.groups for _ in range(group.count))
    if sorted((one.colour, one.object) for one in verdict.found) != asked:
        return 0.0
    if verdict.background != scene.background:
        return 0.0
    return min((one.score * one.named for one in verdict.found), default=1.0)


def prefers_second(first: Look, second: Look) -> bool | None:
    """Whether the second of two pictures is the better one; None: neither is, or it can't be told."""
    if abs(first.sure - second.sure) > ABOUT:
        return second.sure > first.sure
    if first.width == second.width or first.width != first.width or second.width != second.width:
        return None
    return second.width < first.width


SIDE, TEXT, GAP, COLUMNS = 160, 34, 8, 4  # px; pairs in a row


def _sheet(path: Path, prompts: list[str], pairs: list[tuple[Image.Image, Image.Image]]):
    """Writes the pairs in their order by lot, each under its prompt."""
    width, height = 2 * SIDE + 2 * GAP, SIDE + TEXT + GAP
    sheet = Image.new("RGB", (COLUMNS * width, -(-len(pairs) // COLUMNS) * height), "white")
    pen = ImageDraw.Draw(sheet)
    for index, (text, pair) in enumerate(zip(prompts, pairs, strict=True)):
        x, y = index % COLUMNS * width, index // COLUMNS * height
        for row, line in enumerate(lines(f"{index + 1}. {text}", 50, 2)):
            pen.text((x + 2, y + 3 + 13 * row), line, fill="black")
        for side, picture in enumerate(pair):
            sheet.paste(picture.resize((SIDE, SIDE), Image.LANCZOS), (x + side * SIDE, y + TEXT))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def _drawn(pack: Pack, prompts: list[str]) -> list[Image.Image]:
    """The pictures of the prompts at the product's size, with seeds that count up."""
    model = pack.models.image(None)
    return [model.enlarged(picture) for picture in pack.imagine(prompts, first_seed=70_000)]


def _older(folder: Path) -> Pack:
    """A pack with the UNet and its LoRA, the text encoder, the autoencoder, the sampler and the settings that
    lie in `folder`, and else the present parts."""
    pack = Pack()
    parts = pack.text_to_image
    parts.unet = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32)
    merge_own_lora(parts, folder)
    parts.text_encoder = CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32)
    parts.vae = AutoencoderTiny.from_pretrained(folder / "vae", torch_dtype=torch.float32)
    parts.scheduler = DPMSolverMultistepScheduler.from_pretrained(folder / "scheduler")
    pack.settings = json.loads((folder / "atelier.json").read_text())
    return pack


def main():
    parser = argparse.ArgumentParser(prog="python -m demo.evaluate.blind", description=__doc__)
    parser.add_argument("older", type=Path, metavar="FOLDER", help="the older image generator")
    parser.add_argument("--n", type=int, default=60, help="pairs of pictures")
    parser.add_argument("--sheet", type=Path, help="keep the pairs as a picture")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    diffusers_logging.set_verbosity_error()
    pack, lot = Pack(), random.Random("blind choice")
    scenes, prompts = [], []
    for scene, rng in held_out(arguments.n, KINDS, "blind choice"):
        scenes.append(scene)
        prompts.append(prompt(scene, rng))
    newer = _drawn(pack, prompts)
    older = _drawn(_older(arguments.older), prompts)

    swapped = [lot.random() < 0.5 for _ in scenes]
    pairs = [(b, a) if swap else (a, b) for a, b, swap in zip(older, newer, swapped, strict=True)]
    choices = []
    for (first, second), scene in zip(pairs, scenes, strict=True):
        looks: list[Look] = [
            look(verdict, scene, picture)
            for verdict, picture in zip(pack.judge([first, second]), (first, second), strict=True)
        ]
        choices.append(prefers_second(*looks))
    new = [choice != swap for choice, swap in zip(choices, swapped, strict=True) if choice is not None]
    print(f"of {len(scenes)} pairs {len(new)} told apart; the pack's picture chosen in {sum(new)}")
    if new:
        low, high = wilson(sum(new), len(new))
        print(f"{sum(new) / len(new):.1%} ({low:.1%} to {high:.1%})")
    if arguments.sheet:
        _sheet(arguments.sheet, prompts, pairs)


if __name__ == "__main__":
    main()
