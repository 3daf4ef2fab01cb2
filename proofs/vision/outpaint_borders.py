"""How well pictures of the demo go on beyond their old borders: zoomed out, and panned.

    python -m proofs.vision.outpaint_borders --n 100 --sheet sheet.png

Pictures of held-out prompts are drawn, then extended as the buttons do it. Across each old border the mean
step of colours is measured, at the worst place of the seam, and compared with the mean one of the picture's
own columns or rows: over one pixel, where a hard edge shows, and over HALO of a side, where a halo does. 1 is
as the picture itself. The sheet shows old and new side by side.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from core.profiles import PROFILES
from core.requests.images import ImagineRequest, OutpaintRequest
from demo.evaluate.images import ANY, held_out, prompt
from vision.capabilities import imagine, outpaint
from vision.protocol import WorkerConfig
from vision.reporter import Reporter
from vision.store import Models

Real = NDArray[np.float32]
SHA = "0" * 64
WAYS: Mapping[str, Mapping[str, float]] = {  # what is added on each side, as shares of the picture's sides
    "zoom out 2x": dict(left=0.5, right=0.5, top=0.5, bottom=0.5),
    "zoom out 1.5x": dict(left=0.25, right=0.25, top=0.25, bottom=0.25),
    "pan right": dict(right=0.5),
    "pan up": dict(top=0.5),
}
SIDE = 256  # px of a cell of the sheet
COLUMNS = 10
HALO = 1 / 16  # of the picture's side
BESIDE = 4  # px beyond the border that belong to the seam
LEAST = 0.5  # of 255: a picture of one colour has steps of its own, too, those of its grain


def steps(picture: Real, reach: int) -> Real:
    """Return (w,): the mean step of colours from column to column ``reach`` px on, between their soft
    values."""
    soft = np.cumsum(np.pad(picture, ((0, 0), (1, 0), (0, 0))), axis=1)
    mean = (soft[:, reach:] - soft[:, :-reach]) / reach  # of each ``reach`` columns
    apart = np.abs(mean[:, reach:] - mean[:, :-reach]).mean((0, 2))
    return np.asarray(np.pad(apart, (reach - 1, reach), mode="edge")[: picture.shape[1]], np.float32)


def ratios(new: Image.Image, box: tuple[int, int, int, int], seam: int) -> Iterator[tuple[str, float]]:
    """Yield kind and ratio for each old border. box: of the old picture. seam: px of it that may change."""
    pixels = np.asarray(new.convert("RGB"), np.float32)
    left, top, right, bottom = box
    for first, last, length, along in (
        (left, right, new.width, pixels[top:bottom]),
        (top, bottom, new.height, pixels[:, left:right].swapaxes(0, 1)),
    ):
        for border, seen in (
            (first, slice(first - BESIDE, first + seam)),
            (last, slice(last - seam, last + BESIDE)),
        ):
            if border in (0, length):
                continue
            for kind, reach in (("edge", 1), ("halo", round(HALO * (last - first)))):
                found = steps(along, reach)
                own = found[first + seam + reach : last - seam - reach].mean()
                yield kind, float(found[seen].max() / max(own, LEAST))


def extended(
    models: Models, picture: Image.Image, words: str, seed: int, way: str
) -> tuple[Image.Image, int]:
    """Return a picture extended as a button does it, and the width of the seam, px."""
    sides = {
        name: round(share * (picture.width if name in ("left", "right") else picture.height))
        for name, share in WAYS[way].items()
    }
    request = OutpaintRequest(prompt=words, image=SHA, seed=seed, **sides)
    output = outpaint.run(request, {SHA: picture}, models, Reporter())
    return Image.open(io.BytesIO(output.pictures[0].data)).convert("RGB"), output.parameters["seam"]


def measure(
    models: Models, n: int, ways: list[str]
) -> tuple[dict[tuple[str, str], list[float]], list[list[Image.Image]]]:
    """Return ratios by way and kind, and each picture followed by what was made of it."""
    found, rows = defaultdict[tuple[str, str], list[float]](list), list[list[Image.Image]]()
    for number, (scene, rng) in enumerate(held_out(n, ANY, "borders")):
        words = prompt(scene, rng)
        request = ImagineRequest(prompt=words, seed=number, num_images=1)
        drawn = imagine.run(request, {}, models, Reporter())
        picture = Image.open(io.BytesIO(drawn.pictures[0].data)).convert("RGB")
        row = [picture]
        for way in ways:
            new, seam = extended(models, picture, words, number, way)
            sides = WAYS[way]
            left, top = (round(sides.get(name, 0) * picture.width) for name in ("left", "top"))
            box = left, top, left + picture.width, top + picture.height
            for kind, ratio in ratios(new, box, seam):
                found[way, kind].append(ratio)
            row.append(new)
        rows.append(row)
    return found, rows


def sheet(rows: list[list[Image.Image]]) -> Image.Image:
    """Return all pictures, each row of them beside what was made of it."""
    wide = max(1, COLUMNS // len(rows[0]))
    down = -(-len(rows) // wide)
    made = Image.new("RGB", (wide * len(rows[0]) * SIDE, down * SIDE), "white")
    for number, row in enumerate(rows):
        for place, picture in enumerate(row):
            small = picture.copy()
            small.thumbnail((SIDE - 6, SIDE - 6), Image.Resampling.BOX)
            at = ((number % wide) * len(row) + place) * SIDE, number // wide * SIDE
            made.paste(small, (at[0] + (SIDE - small.width) // 2, at[1] + (SIDE - small.height) // 2))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=100)
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=list(WAYS))
    parser.add_argument("--sheet", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        roles = PROFILES["demo"]
        named = {
            "image": roles["IMAGE_MODEL"],
            "segment": roles["SEGMENT_MODEL"],
            "clip": roles["CLIP_MODEL"],
        }
        models = Models(WorkerConfig("cpu", named, folder, cpu_threads=1, allow_download=False))
        found, rows = measure(models, arguments.n, arguments.ways)
    for (way, kind), values in found.items():
        over = sum(value > 1.5 for value in values)
        print(
            f"{way}, {kind}: mean {np.mean(values):.2f}, median {median(values):.2f},"
            f" {over} of {len(values)} borders over 1.5"
        )
    print(json.dumps({f"{way}, {kind}": round(float(np.mean(v)), 3) for (way, kind), v in found.items()}))
    if arguments.sheet:
        sheet(rows).save(arguments.sheet)


if __name__ == "__main__":
    main()
