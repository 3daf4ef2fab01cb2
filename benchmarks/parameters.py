"""``python -m benchmarks.parameters [row …] [--n 12]``: what each parameter does to the demo models, with
samples and spread.

Pictures are looked at by the pack's CLIP and by ``demo.judge``. Every row has the value it is compared with,
and seeds are fixed.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image

from benchmarks.demo_pack import (
    ONE,
    TWO,
    alike,
    ask,
    blueness,
    judge,
    pack,
    right,
    scenes,
    seam,
    spread,
)
from core.requests import BlendRequest, RegionRequest, ShortenRequest, UpscaleRequest
from demo.judge import edge_width, steps_between
from demo.world import COLOURS, OBJECTS
from vision.startup import quiet_libraries

Row = tuple[str, list[float]]  # what, one value a sample


# Rows


def seed(n: int) -> list[Row]:
    """Draw the same request twice, with another seed in between."""
    same, other = [], []
    for i, (_, words) in enumerate(scenes(n, "seed")):
        first = [p.data for p in pack().run(ask(words, i)).pictures]
        third = [p.data for p in pack().run(ask(words, i + n)).pictures]
        again = [p.data for p in pack().run(ask(words, i)).pictures]
        same.append(float(first == again))
        other.append(float(first == third))
    return [("identical files, same seed", same), ("identical files, another seed", other)]


def chaos(n: int) -> list[Row]:
    """Measure how far the four pictures lie apart as ``--chaos`` rises, and what is still as asked."""
    rows: dict[str, list[float]] = {}
    for i, (scene, words) in enumerate(scenes(n, "chaos")):
        for value in (0, 25, 50, 100):
            images = pack().draw(ask(words, i, chaos=value))
            rows.setdefault(f"CLIP distance of the four, --chaos {value}", []).append(spread(images))
            rows.setdefault(f"object, colour, background right, --chaos {value}", []).append(
                right(images, scene)
            )
        rows.setdefault("CLIP distance of the four, --chaos 0, other seeds", []).append(
            spread(pack().draw(ask(words, i + 500)))
        )
    return sorted(rows.items())


def no_blue(n: int) -> list[Row]:
    """Measure how blue pictures are plainly, with ``--no blue`` and with ``--no red``."""
    rows: dict[str, list[float]] = {}
    for i in range(n):
        words = f"a {OBJECTS[i % len(OBJECTS)]}"
        for name, negative in (("", ""), (", --no blue", "blue"), (", --no red", "red")):
            images = pack().draw(ask(words, i, negative_prompt=negative))
            rows.setdefault(f"blue of 255{name}", []).append(
                float(np.mean([blueness(image) for image in images]))
            )
    return list(rows.items())


def weights(n: int) -> list[Row]:
    """Measure which of two parts is seen as their weights change."""
    rows: dict[str, list[float]] = {}
    chance = random.Random("weights")
    for i in range(n):
        (a, b), (one, two) = chance.sample(OBJECTS, 2), chance.sample(COLOURS, 2)
        first, second = f"a {one} {a}", f"a {two} {b}"
        for weight, against in ((3, 1), (1, 1), (1, 3)):
            images = pack().draw(
                ask(f"{first}, {second}", i, prompt_parts=((first, weight), (second, against)))
            )
            verdicts = judge()(images)
            for what, wanted in (("a", a), ("b", b)):
                share = float(np.mean([v.found[0].object == wanted for v in verdicts]))
                rows.setdefault(f"object of {what} seen, a::{weight} b::{against}", []).append(share)
    return list(rows.items())


def tile(n: int) -> list[Row]:
    """Measure the step across opposite edges with and without ``--tile``."""
    rows: dict[str, list[float]] = {}
    for i, (_, words) in enumerate(scenes(n, "tile")):
        for value in (False, True):
            images = pack().draw(ask(words, i, tile=value))
            name = f"step across opposite edges, in steps between neighbours{', --tile' if value else ''}"
            rows.setdefault(name, []).append(float(np.mean([seam(image) for image in images])))
    return list(rows.items())


def image_weight(n: int) -> list[Row]:
    """Measure how near pictures come to an image prompt as ``--iw`` rises."""
    rows: dict[str, list[float]] = {}
    pairs = scenes(2 * n, "image weight")
    for i in range(n):
        (source,) = pack().draw(ask(pairs[2 * i][1], i, num_images=1))
        seen = pack().see([source])[0]
        for value in (0.0, 0.5, 1.0, 2.0, 3.0):
            images = pack().draw(
                ask(pairs[2 * i + 1][1], i + 300, image_prompts=((ONE, 1.0),), image_weight=value),
                {ONE: source},
            )
            rows.setdefault(f"CLIP cosine to the picture, other words, --iw {value:g}", []).append(
                float((pack().see(images) @ seen).mean())
            )
    return list(rows.items())


def upscale(n: int) -> list[Row]:
    """Measure how sharp and how near to the picture both ways of /upscale are, against bicubic."""
    rows: dict[str, list[float]] = {}
    for i, (_, words) in enumerate(scenes(n, "upscale")):
        (source,) = pack().draw(ask(words, i, num_images=1))
        made = {"bicubic": source.resize((2 * source.width, 2 * source.height), Image.Resampling.BICUBIC)}
        for mode in ("subtle", "creative"):
            made[mode] = pack().draw(
                UpscaleRequest(prompt=words, image=ONE, mode=mode, seed=i), {ONE: source}
            )[0]
        widths = {name: edge_width(image) for name, image in made.items()}
        for name, image in made.items():
            rows.setdefault(f"edge width, px, {name} 2x", []).append(widths[name])
            if name != "bicubic":
                rows.setdefault(f"sharper than bicubic, {name}", []).append(
                    float(widths[name] < widths["bicubic"])
                )
                rows.setdefault(f"CLIP cosine to the picture, {name}", []).append(alike(image, source))
    return sorted(rows.items())


def region(n: int) -> list[Row]:
    """Measure what /region changes outside and inside of its box, and what is then seen."""
    outside, inside, asked, kept = [], [], [], []
    chance = random.Random("region")
    for i, (scene, words) in enumerate(scenes(n, "region", {"single": 1})):
        (source,) = pack().draw(ask(words, i, num_images=1))
        at = judge()([source])[0].found[0]
        x, y, half = int(at.x * source.width), int(at.y * source.height), source.width // 5
        box = max(0, x - half), max(0, y - half), min(source.width, x + half), min(source.height, y + half)
        thing = chance.choice([name for name in OBJECTS if name != scene.groups[0].object])
        colour = chance.choice(
            [name for name in COLOURS if name not in (scene.groups[0].colour, scene.background)]
        )
        images = pack().draw(
            RegionRequest(prompt=f"a {colour} {thing}", image=ONE, boxes=(box,), seed=i), {ONE: source}
        )
        for image, verdict in zip(images, judge()(images), strict=True):
            changed = np.abs(np.asarray(image, int) - np.asarray(source, int)).max(-1)
            inside.append(float(changed[box[1] : box[3], box[0] : box[2]].mean()))
            changed[box[1] : box[3], box[0] : box[2]] = 0
            outside.append(float(changed.max()))
            asked.append(float(any(found.object == thing for found in verdict.found)))
            kept.append(float(verdict.background == scene.background))
    return [
        ("largest change outside, of 255", outside),
        ("mean change inside, of 255", inside),
        ("the new object is seen", asked),
        ("the background is still seen", kept),
    ]


def stop(n: int) -> list[Row]:
    """Count steps, and measure how steep pictures are, as ``--stop`` falls."""
    rows: dict[str, list[float]] = {}
    for i, (_, words) in enumerate(scenes(n, "stop")):
        for value in (100, 50, 20):
            images = pack().draw(ask(words, i, stop=value))
            rows.setdefault(f"steps run, --stop {value}", []).append(float(pack().reporter.steps))
            rows.setdefault(f"steepest 5 % of steps, of 255, --stop {value}", []).append(
                float(
                    np.mean(
                        [
                            np.sort(steps_between(image).ravel())[-image.width * image.height // 20 :].mean()
                            for image in images
                        ]
                    )
                )
            )
    return sorted(rows.items())


def stylize(n: int) -> list[Row]:
    """Measure how often a house style is seen as ``--stylize`` rises, and with ``--raw``."""
    rows: dict[str, list[float]] = {}
    asked = {
        "0": {"stylize": 0},
        "100": {"stylize": 100},
        "1000": {"stylize": 1000},
        "100 --raw": {"stylize": 100, "raw": True},
    }
    for i, (scene, _) in enumerate(scenes(n, "stylize")):
        for name, more in asked.items():
            images = pack("watercolor").draw(
                ask(f"a {scene.groups[0].colour} {scene.groups[0].object}", i, **more)
            )
            verdicts = judge()(images)
            rows.setdefault(f"watercolor is seen, house style watercolor, --stylize {name}", []).append(
                float(np.mean([v.style == "watercolor" for v in verdicts]))
            )
            group = scene.groups[0]
            named = [
                (v.found[0].object == group.object) + (v.found[0].colour == group.colour) for v in verdicts
            ]
            rows.setdefault(f"object and colour right, --stylize {name}", []).append(
                float(np.mean(named)) / 2
            )
    return sorted(rows.items())


def weird_and_exp(n: int) -> list[Row]:
    """Measure how far ``--weird`` and ``--exp`` lead from the usual."""
    rows: dict[str, list[float]] = {}
    for i, (scene, words) in enumerate(scenes(n, "weird")):
        plain = pack().draw(ask(words, i))
        usual = torch.nn.functional.normalize(pack().see(plain).mean(0), dim=0)
        for name, value in (("plain", 0), ("weird", 1000), ("weird", 3000), ("exp", 50), ("exp", 100)):
            more, name = ({name: value}, f"--{name} {value}") if value else ({}, name)
            images = pack().draw(ask(words, i, **more)) if more else plain
            rows.setdefault(f"CLIP distance from the usual, {name}", []).append(
                float((1 - pack().see(images) @ usual).mean())
            )
            rows.setdefault(f"mean step between neighbours, of 255, {name}", []).append(
                float(np.mean([steps_between(one).mean() for one in images]))
            )
            rows.setdefault(f"object, colour, background right, {name}", []).append(right(images, scene))
    return sorted(rows.items())


def hd(n: int) -> list[Row]:
    """Measure how sharp ``--hd`` is against bicubic, and how near to the plain picture."""
    rows: dict[str, list[float]] = {}
    for i, (_, words) in enumerate(scenes(n, "hd")):
        (plain,), (large,) = (pack().draw(ask(words, i, num_images=1, hd=value)) for value in (False, True))
        rows.setdefault("edge width, px, enlarged by bicubic", []).append(
            edge_width(plain.resize(large.size, Image.Resampling.BICUBIC))
        )
        rows.setdefault("edge width, px, --hd", []).append(edge_width(large))
        rows.setdefault("CLIP cosine to the plain picture", []).append(alike(plain, large))
    return list(rows.items())


def blend(n: int) -> list[Row]:
    """Measure how near blended pictures are to each of the two given."""
    rows: dict[str, list[float]] = {}
    pairs = scenes(2 * n, "blend", {"large": 1})
    for i in range(n):
        sources = [pack().draw(ask(pairs[2 * i + k][1], i + 50 * k, num_images=1))[0] for k in (0, 1)]
        images = pack().draw(BlendRequest(images=(ONE, TWO), seed=i), {ONE: sources[0], TWO: sources[1]})
        a, b = pack().see(sources)
        seen = pack().see(images)
        for name, value in (
            ("the first", (seen @ a).mean()),
            ("the second", (seen @ b).mean()),
            ("each other, the two given", a @ b),
        ):
            rows.setdefault(f"CLIP cosine to {name}", []).append(float(value))
    return list(rows.items())


def shorten(n: int) -> list[Row]:
    """Measure how often words that mean something outweigh fillers."""
    fillers, told = ("cinematic", "detailed", "8k", "photo", "of", "highly", "artistic", "35mm"), []
    for scene, _ in scenes(n, "shorten"):
        group = scene.groups[0]
        prompt = f"cinematic detailed 8k photo of {group.colour} {group.object} highly artistic 35mm"
        weights = dict(pack().run(ShortenRequest(prompt=prompt)).scores)
        told.append(
            float(
                np.mean(
                    [
                        weights[word] > weights[filler]
                        for word in (group.colour, group.object)
                        for filler in fillers
                    ]
                )
            )
        )
    return [("a word that means something outweighs one that doesn't", told)]


ROWS: dict[str, Callable[[int], list[Row]]] = {
    "seed": seed,
    "chaos": chaos,
    "no": no_blue,
    "weights": weights,
    "tile": tile,
    "iw": image_weight,
    "upscale": upscale,
    "region": region,
    "stop": stop,
    "stylize": stylize,
    "weird-exp": weird_and_exp,
    "hd": hd,
    "blend": blend,
    "shorten": shorten,
}


def interval(values: list[float]) -> tuple[float, float]:
    """Return the 95 % interval of the mean, by 2,000 bootstrap samples."""
    chance, a = np.random.default_rng(0), np.array([value for value in values if value == value])
    means = a[chance.integers(0, len(a), (2000, len(a)))].mean(1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def main() -> None:
    """Run the rows that the command line names, and print a table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.parameters", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("rows", nargs="*", help=f"of {', '.join(ROWS)}; none = all")
    parser.add_argument("--n", type=int, default=12, help="prompts, pairs or pictures a row")
    given = parser.parse_args()
    if unknown := set(given.rows) - set(ROWS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    torch.set_num_threads(1)
    quiet_libraries()
    print("| row | what | mean | 95 % of the mean | deviation | n |\n|---|---|---|---|---|---|", flush=True)
    for name in given.rows or ROWS:
        for what, values in ROWS[name](given.n):
            low, high = interval(values)
            print(
                f"| {name} | {what} | {np.nanmean(values):.3f} | {low:.3f} to {high:.3f} |"
                f" {np.nanstd(values):.3f} | {len(values)} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
