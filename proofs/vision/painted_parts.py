"""What words painted into a mask become: ``python -m proofs.vision.painted_parts [--out sheet.webp]``.

Masks of 2, 5, 10 and 25 % of drawn pictures, in the middle, at the borders and in the corners, rectangles and
ellipses by turns; in each a thing that isn't there yet is asked of the demo model, in two or three words, as
people do. Told are: whether the judge sees the thing, and in its colour, where the mask is; how much of the
mask's rim the thing runs into, where it is cut off; and how the ground's tone steps there.
"""

from __future__ import annotations

import argparse
import io
import itertools
import random
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter

from core.requests import RegionRequest
from demo.drawing import Placed, draw
from demo.evaluate.images import Pack
from demo.judge import Found, Judge
from demo.world import COLOURS, FAINT, HELD_PAIRS, OBJECTS, PLACES, Group, Scene
from vision.capabilities import region
from vision.images import ops
from vision.reporter import Reporter
from vision.store import Models

SIDE = 512  # px of a picture
SHARES = (0.02, 0.05, 0.1, 0.25)
SPOTS = {
    "middle": [(0.5, 0.5)],
    "border": [(0.0, 0.4), (1.0, 0.6), (0.6, 0.0), (0.4, 1.0)],
    "corner": [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)],
}
ROUNDS = {"middle": 4, "border": 1, "corner": 1}  # so that each kind of place has as many
THING = 40  # of 255: what differs by more from the picture before is the thing, not the ground's tone
SEEN_WITH = (1.2, 1.6, 2.1)  # sides of what the judge is shown, in the mask's own
IMAGE, MASK = "a" * 64, "b" * 64


@dataclass(frozen=True)
class Case:
    """A picture, the mask ("L", 255 = paint) and the thing that is asked for in it."""

    picture: Image.Image
    mask: Image.Image
    colour: str
    thing: str
    share: float
    spot: str

    @property
    def words(self) -> str:
        return f"a {self.colour} {self.thing}"


@dataclass(frozen=True)
class Seen:
    """What has become of it. cut: share of the rim that the thing runs into. fill: of the mask that it takes.
    step: of the ground's tone from outside of the rim to inside of it, of 255; before: in the picture that
    was there."""

    thing: bool
    colour: bool
    cut: float
    fill: float
    step: float
    before: float


def cases(rounds: int) -> list[Case]:
    """Return the cases: every share at every spot, with things and grounds in turn."""
    found = []
    pairs = [(c, t) for c, t in itertools.product(COLOURS, OBJECTS) if (c, t) not in HELD_PAIRS]
    random.Random(1).shuffle(pairs)
    every = [(kind, at) for kind, places in SPOTS.items() for at in places * ROUNDS[kind]] * rounds
    for number, ((kind, at), share) in enumerate(itertools.product(every, SHARES)):
        rng = random.Random(number)
        ground = rng.choice([*PLACES, "white", "blue", "green"])
        while pairs[0][0] == ground or pairs[0][0] in FAINT[ground]:
            pairs.append(pairs.pop(0))
        colour, thing = pairs.pop(0)
        pairs.append((colour, thing))
        # a thing of another kind stands in the middle, unless the mask does
        other = Group(
            1, rng.choice([c for c in ("red", "yellow", "purple") if c != ground]), "house", "small"
        )
        there = () if kind == "middle" else (other,)
        scene = Scene(there, "center", ground, "flat")
        placed = [Placed(other.object, other.colour, 0.5, 0.55, 0.13, 0)] if there else []
        picture = draw(scene, rng, (SIDE, SIDE), placed)
        found.append(Case(picture, _mask(share, at, number % 2 == 1), colour, thing, share, kind))
    return found


def _mask(share: float, at: tuple[float, float], is_round: bool) -> Image.Image:
    area = share * SIDE * SIDE / (np.pi / 4 if is_round else 1)
    width, height = round(area**0.5 * 1.1), round(area**0.5 / 1.1)
    left, top = round(at[0] * (SIDE - width)), round(at[1] * (SIDE - height))
    mask = Image.new("L", (SIDE, SIDE))
    box = (left, top, left + width - 1, top + height - 1)
    brush = ImageDraw.Draw(mask)
    (brush.ellipse if is_round else brush.rectangle)(box, 255)
    return mask


def drawn(case: Case, models: Models, seed: int) -> Image.Image:
    """Return the picture with the thing drawn into it, as a worker does it."""
    request = RegionRequest(
        prompt=case.words, image=IMAGE, mask_image=MASK, num_images=1, seed=seed, remix=True
    )
    output = region.run(request, {IMAGE: case.picture, MASK: case.mask.convert("RGB")}, models, Reporter())
    return Image.open(io.BytesIO(output.pictures[0].data)).convert("RGB")


def look(case: Case, after: Image.Image, judge: Judge) -> Seen:
    """Return what is there now."""
    old, new = np.asarray(case.picture, np.float32), np.asarray(after, np.float32)
    inside = np.asarray(case.mask) > 0
    if (old != new).any(-1)[~inside].any():
        raise AssertionError("a pixel outside of the mask changed")
    thing = inside & (np.abs(old - new).max(-1) > THING)
    width = max(3, round(inside.sum() ** 0.5 / 24))  # px; nearer to the rim the old picture still shows
    wide = np.pad(inside, 2 * width)  # a thing is cut off by the picture's border, too
    rim = (ops.eroded(wide, width) & ~ops.eroded(wide, 2 * width))[
        2 * width : -2 * width, 2 * width : -2 * width
    ]
    around = _around(old, ~inside, 2 * width)
    ground = rim & ~thing & (around[..., 0] >= 0)
    step = [np.abs(one - around)[ground].mean() if ground.any() else np.nan for one in (new, old)]
    found = _found(case, after, judge)
    return Seen(
        found.object == case.thing,
        found.colour == case.colour,
        float(thing[rim].mean()),
        float(thing.sum() / inside.sum()),
        float(step[0]),
        float(step[1]),
    )


def _around(old: np.ndarray, outside: ops.Flags, reach: int) -> np.ndarray:
    """Return the mean of what lies outside near each pixel, -1 where nothing does."""
    blur = ImageFilter.BoxBlur(reach)
    share = np.asarray(_marks(outside).filter(blur), np.float32)[..., None] / 255
    there = Image.fromarray(np.where(outside[..., None], old, 0).astype(np.uint8))
    total = np.asarray(there.filter(blur), np.float32)
    return np.where(share > 0.05, total / np.maximum(share, 0.05), -1)


def _marks(flags: ops.Flags) -> Image.Image:
    return Image.fromarray(flags.astype(np.uint8) * 255)


def _found(case: Case, after: Image.Image, judge: Judge) -> Found:
    """Return what the judge sees in the middle of the mask: the surest of three looks, near and far."""
    left, top, right, bottom = case.mask.getbbox() or (0, 0, 0, 0)
    wide = np.pad(np.asarray(after), ((SIDE, SIDE), (SIDE, SIDE), (0, 0)), mode="edge")
    parts = []
    for share in SEEN_WITH:
        half = round(max(right - left, bottom - top) * share / 2)
        x, y = SIDE + (left + right) // 2, SIDE + (top + bottom) // 2
        parts.append(Image.fromarray(wide[y - half : y + half, x - half : x + half]))
    near = [
        min(verdict.found, key=lambda one: (one.x - 0.5) ** 2 + (one.y - 0.5) ** 2)
        for verdict in judge(parts)
    ]
    return max(near, key=lambda one: one.score * one.named)


def told(name: str, seen: list[Seen]) -> str:
    """Return a row of the table."""
    some = np.array(
        [(one.thing, one.thing and one.colour, one.cut, one.fill, one.step, one.before) for one in seen]
    )
    thing, both, cut, fill, step, before = np.nanmean(some, axis=0)
    shares = f"{thing:.0%} | {both:.0%} | {cut:.1%} | {fill:.0%}"
    return f"| {name} | {len(seen)} | {shares} | {step:.1f} | {before:.1f} |"


def sheet(pairs: list[tuple[Case, Image.Image]], across: int = 12) -> Image.Image:
    """Return the pictures beside each other, each mask's edge marked at its side."""
    side = 160
    page = Image.new("RGB", (across * side, -(-len(pairs) // across) * (side + 14)), "white")
    for at, (case, after) in enumerate(pairs):
        x, y = at % across * side, at // across * (side + 14)
        page.paste(after.resize((side, side), Image.Resampling.LANCZOS), (x, y))
        left, top, right, bottom = (edge * side // SIDE for edge in case.mask.getbbox() or (0, 0, 0, 0))
        ImageDraw.Draw(page).text((x + 2, y + side + 1), f"{case.words} {case.share:.0%}", "black")
        for corner in ((left, top), (right, top), (left, bottom), (right, bottom)):
            ImageDraw.Draw(page).circle((x + corner[0], y + corner[1]), 1, "red")
    return page


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=1, help="48 masks each")
    parser.add_argument("--out", help="where to write a sheet of the pictures")
    given, pack = parser.parse_args(), Pack()
    torch.set_num_threads(1)
    made = [(case, drawn(case, pack.models, seed)) for seed, case in enumerate(cases(given.rounds))]
    seen = [(case, look(case, after, pack.judge)) for case, after in made]
    print("| masks | n | thing seen | and its colour | cut off by the rim | fills | step | before |")
    for share in SHARES:
        print(told(f"{share:.0%}", [one for case, one in seen if case.share == share]))
    for spot in SPOTS:
        print(told(spot, [one for case, one in seen if case.spot == spot]))
    print(told("all", [one for _, one in seen]))
    if given.out:
        sheet(made).save(given.out)


if __name__ == "__main__":
    main()
