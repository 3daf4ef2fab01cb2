"""How surely a draft that is drawn in full stays the picture that was pressed.

    python -m proofs.vision.drafts_in_full --strengths 0.3 0.4 0.5 0.6

Of each prompt a sheet is drawn, and its first eight drafts are drawn in full, from their pictures as *Draw in
full* does it and by their seeds. A full picture is right where its own draft is the nearest of those eight by
pixels. Prompts leave much open, where drafts differ most, or say everything, where they hardly differ.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from core.profiles import PROFILES
from core.requests import ImagineRequest, VariationRequest
from vision.capabilities import imagine, variation
from vision.protocol import WorkerConfig
from vision.reporter import Reporter
from vision.store import Models
from vision.weights.card import VARIATION

OPEN = ("a house", "a cat", "a boat at sea", "a tree")
TOLD = ("a red house in the snow", "a blue boat at night")
EIGHT, SHA = 8, "0" * 64


def picture(data: bytes) -> Image.Image:
    """Return the picture of a file."""
    return Image.open(io.BytesIO(data)).convert("RGB")


def nearest(image: Image.Image, among: list[Image.Image]) -> int:
    """Return the number of the picture ``among`` others that is the nearest by its pixels' squares."""
    pixels = [np.asarray(one, np.float32) for one in (image, *among)]
    return int(np.argmin([np.square(one - pixels[0]).mean() for one in pixels[1:]]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strengths", type=float, nargs="+", default=[VARIATION["full"]])
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        config = WorkerConfig("cpu", {"image": PROFILES["demo"]["IMAGE_MODEL"]}, folder, cpu_threads=1)
        models, reporter = Models(config), Reporter()
        ways = [f"strength {strength:g}" for strength in given.strengths]
        right = {way: [] for way in (*ways, "by seed")}
        for words in (*OPEN, *TOLD):
            sheet = ImagineRequest(prompt=words, seed=given.seed, draft=True, num_images=24)
            drafts = [picture(one.data) for one in imagine.run(sheet, {}, models, reporter).pictures[:EIGHT]]
            for number, draft in enumerate(drafts):
                seed = sheet.seed_of(number)
                alone = replace(sheet, seed=seed, draft=False, num_images=1)
                [made] = imagine.run(alone, {}, models, reporter).pictures
                right["by seed"].append(nearest(picture(made.data), drafts) == number)
                for way, strength in zip(ways, given.strengths, strict=True):
                    full = VariationRequest(
                        prompt=words, image=SHA, seed=seed, num_images=1, variation="full", strength=strength
                    )
                    [made] = variation.run(full, {SHA: draft}, models, reporter).pictures
                    right[way].append(nearest(picture(made.data), drafts) == number)
            told = ", ".join(f"{way} {sum(found[-EIGHT:])}" for way, found in right.items())
            print(f"{words}: {told} of {EIGHT}", flush=True)
    for way, found in right.items():
        print(f"{way}: {sum(found)} of {len(found)}, {sum(found) / len(found):.1%}")


if __name__ == "__main__":
    main()
