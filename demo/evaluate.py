"""`python -m demo.evaluate`: how well the pack does what it is asked, on compositions that no training has
seen.

Pictures are judged by `demo.judge`, a network that took no part in making the pack; its own accuracy comes
first. Each row is written to docs/demo-evaluation.json as soon as it is known, with its sample count and its
95 % interval; at the end the table goes into the model card, docs/demo-models.md.
"""

import argparse
import io
import json
import math
import random
import subprocess
import sys
import time
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import torch
from diffusers import (
    StableDiffusionImg2ImgPipeline,
    StableDiffusionPipeline,
)
from diffusers.utils import logging as diffusers_logging
from PIL import Image, ImageOps
from tqdm import tqdm
from transformers import (
    BlipForConditionalGeneration,
    BlipProcessor,
    CLIPModel,
    CLIPProcessor,
    ViTForImageClassification,
    ViTImageProcessor,
)

from core.requests import OutpaintRequest
from demo.captions import canonical, describe, parse
from demo.drawing import draw
from demo.judge import Judge, Verdict
from demo.training import MODELS
from demo.world import COLOURS, OBJECTS, Scene, held_out_scene
from vision.capabilities import outpaint
from vision.model_store import Models
from vision.pictures.encode import enlarge
from vision.protocol import WorkerConfig
from vision.reporter import Reporter

REPORT = Path("docs/demo-evaluation.json")
CARD = Path("docs/demo-models.md")
BATCH = 4


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson, 1927)."""
    z, p = 1.96, hits / count
    middle, spread = p + z * z / (2 * count), z * math.sqrt(p * (1 - p) / count + z * z / (4 * count * count))
    return (middle - spread) / (1 + z * z / count), (middle + spread) / (1 + z * z / count)


def prompt(scene: Scene, rng: random.Random) -> str:
    """A freely worded prompt that tells object, colour, background and style of a scene."""
    while True:
        caption = describe(scene, rng, noise=0.2, drop=0)
        if caption.background_told and caption.style_told:
            return caption.text


def held_out(
    count: int, kinds: dict[str, float], seed: str, pairs: str = "seen"
) -> list[tuple[Scene, random.Random]]:
    """Held-out scenes in seed order, each with a generator of its own."""
    scenes = []
    for index in range(count):
        rng = random.Random(f"{seed} {index}")
        scenes.append((held_out_scene(rng, rng.choices(list(kinds), list(kinds.values()))[0], pairs), rng))
    return scenes


SINGLE = {"large": 0.3, "single": 0.7}
ANY = {"large": 0.15, "single": 0.4, "several": 0.15, "pair": 0.3}


class Pack:
    """The models, loaded when first asked for. `bfloat16`: draw in it, twice as fast on a processor that
    knows it."""

    def __init__(self, bfloat16: bool = False):
        self.bfloat16 = bfloat16
        self.settings = json.loads((MODELS / "stable-diffusion" / "atelier.json").read_text())

    @cached_property
    def text_to_image(self) -> StableDiffusionPipeline:
        pipe = StableDiffusionPipeline.from_pretrained(MODELS / "stable-diffusion", torch_dtype=torch.float32)
        pipe.set_progress_bar_config(disable=True)
        return pipe

    @cached_property
    def image_to_image(self) -> StableDiffusionImg2ImgPipeline:
        pipe = StableDiffusionImg2ImgPipeline(**self.text_to_image.components, requires_safety_checker=False)
        pipe.set_progress_bar_config(disable=True)
        return pipe

    @cached_property
    def models(self) -> Models:
        """The models as a worker of the product holds them."""
        return Models(
            WorkerConfig(
                "cpu",
                {"image": str(MODELS / "stable-diffusion")},
                "data/cache",
                cpu_threads=1,
                allow_download=False,
            )
        )

    @cached_property
    def clip(self):
        return CLIPModel.from_pretrained(
            MODELS / "clip", dtype=torch.float32
        ).eval(), CLIPProcessor.from_pretrained(MODELS / "clip")

    @cached_property
    def captioner(self):
        model = BlipForConditionalGeneration.from_pretrained(MODELS / "captioner", dtype=torch.float32)
        return model.eval(), BlipProcessor.from_pretrained(MODELS / "captioner")

    @cached_property
    def vit(self):
        model = ViTForImageClassification.from_pretrained(MODELS / "vit", dtype=torch.float32)
        return model.eval(), ViTImageProcessor.from_pretrained(MODELS / "vit")

    @cached_property
    def judge(self) -> Judge:
        return Judge()

    @property
    def defaults(self) -> dict:
        return {key: self.settings[key] for key in ("num_inference_steps", "guidance_scale")}

    @cache  # noqa: B019 - one pack lives as long as its process
    def singles(self, n: int):
        """The held-out single-object scenes, their prompts and the pictures drawn for them."""
        scenes = held_out(n, SINGLE, "imagine")
        prompts = [prompt(scene, rng) for scene, rng in scenes]
        return [scene for scene, _ in scenes], prompts, self.imagine(prompts)

    def precision(self):
        return torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16)

    def imagine(self, prompts: list[str], first_seed: int = 0, **options) -> list[Image.Image]:
        """One picture a prompt, with seeds that count up from `first_seed`."""
        pictures = []
        for start in tqdm(range(0, len(prompts), BATCH), desc="imagine", mininterval=10):
            some = prompts[start : start + BATCH]
            seeds = [torch.Generator().manual_seed(first_seed + start + i) for i in range(len(some))]
            with self.precision():
                pictures += self.text_to_image(some, generator=seeds, **{**self.defaults, **options}).images
        return pictures

    def vary(self, pictures: list[Image.Image], prompts: list[str], strength: float) -> list[Image.Image]:
        varied = []
        for start in tqdm(range(0, len(prompts), BATCH), desc=f"vary {strength}", mininterval=10):
            some = slice(start, start + BATCH)
            seeds = [torch.Generator().manual_seed(1000 + start + i) for i in range(len(prompts[some]))]
            with self.precision():
                varied += self.image_to_image(
                    prompts[some], image=pictures[some], strength=strength, generator=seeds, **self.defaults
                ).images
        return varied


class Report:
    """The rows so far; printed as a table, kept as JSON."""

    def __init__(self):
        self.rows = self._stored()

    @staticmethod
    def _stored() -> dict:
        return json.loads(REPORT.read_text())["rows"] if REPORT.exists() else {}

    def share(self, name: str, hits: list[bool], least: float | None):
        low, high = wilson(sum(hits), len(hits))
        self.row(
            name,
            round(sum(hits) / len(hits), 4),
            least,
            n=len(hits),
            interval=[round(low, 4), round(high, 4)],
        )

    def row(self, name: str, value: float, bar: float | None, at_most: bool = False, **more):
        reached = None if bar is None else (value <= bar if at_most else value >= bar)
        self.rows = self._stored()  # another process may have added rows since
        self.rows[name] = {"value": value, "bar": bar, "reached": reached, **more}
        REPORT.parent.mkdir(exist_ok=True)
        about = "95 % Wilson intervals; seeds fixed; held-out compositions; judge: demo.judge"
        REPORT.write_text(json.dumps({"about": about, "rows": self.rows}, indent=1) + "\n")
        print(self.line(name), flush=True)

    def line(self, name: str) -> str:
        row = self.rows[name]
        value, bar = row["value"], row["bar"]
        if "interval" in row:
            low, high = row["interval"]
            text = f"{name:<58} {value:7.1%}  ({low:.1%} to {high:.1%}, n = {row['n']})"
            return text + (
                f"  asked {bar:.0%}: {'yes' if row['reached'] else 'NO'}" if bar is not None else ""
            )
        return f"{name:<58} {value:7.2f}" + (
            f"  asked {bar}: {'yes' if row['reached'] else 'NO'}" if bar is not None else ""
        )

    def markdown(self) -> str:
        """The table of docs/demo-models.md."""
        lines = ["| what | reached | 95 % interval | n | asked |", "|---|---|---|---|---|"]
        for name, row in self.rows.items():
            missed = "" if row["reached"] in (True, None) else " (missed)"
            if "interval" in row:
                asked = "" if row["bar"] is None else f"{row['bar']:.0%}{missed}"
                low, high = row["interval"]
                lines.append(
                    f"| {name} | {row['value']:.1%} | {low:.1%} to {high:.1%} | {row['n']} | {asked} |"
                )
            else:
                asked = "" if row["bar"] is None else f"at most {row['bar']}{missed}"
                lines.append(f"| {name} | {row['value']:.2f} | | | {asked} |")
        return "\n".join(lines)

    def publish(self):
        """Writes the table into the model card, between its two marks."""
        before, rest = CARD.read_text().split("<!-- figures -->")
        CARD.write_text(
            f"{before}<!-- figures -->\n{self.markdown()}\n<!-- /figures"
            f" -->{rest.split('<!-- /figures -->')[1]}"
        )


# Rows
# --------------------------------------------------------------------------------


def main_of(verdict: Verdict):
    return verdict.found[0]


def judge_rows(pack: Pack, report: Report, n: int):
    scenes = held_out(max(n, 1000), SINGLE, "judge")
    verdicts = pack.judge([draw(scene, rng) for scene, rng in scenes])
    groups = [scene.groups[0] for scene, _ in scenes]
    report.share(
        "judge on drawings: colour",
        [main_of(v).colour == g.colour for v, g in zip(verdicts, groups, strict=True)],
        0.97,
    )
    report.share(
        "judge on drawings: object",
        [main_of(v).object == g.object for v, g in zip(verdicts, groups, strict=True)],
        0.97,
    )
    right = [v.background == scene.background for v, (scene, _) in zip(verdicts, scenes, strict=True)]
    report.share("judge on drawings: background", right, 0.97)
    scenes = two_objects(n)
    verdicts = pack.judge([draw(scene, rng) for scene, rng in scenes])
    report.share(
        "judge on drawings: both of two objects",
        [has_both(v, s) for v, (s, _) in zip(verdicts, scenes, strict=True)],
        None,
    )


def two_objects(n: int, seed: str = "two") -> list[tuple[Scene, random.Random]]:
    """Held-out scenes of exactly two objects, each with a generator of its own."""
    scenes, index = [], 0
    while len(scenes) < n:
        rng = random.Random(f"{seed} {index}")
        scene = held_out_scene(rng, "pair")
        if all(group.count == 1 for group in scene.groups):
            scenes.append((scene, rng))
        index += 1
    return scenes


def has_both(verdict: Verdict, scene: Scene) -> bool:
    found = [(f.colour, f.object) for f in verdict.found]
    return all(pair in found for pair in scene.pairs)


def _single_rows(
    pack: Pack, report: Report, name: str, scenes: list[Scene], pictures: list[Image.Image], bars
):
    verdicts = pack.judge(pictures)
    rows = [
        (
            main_of(v).colour == s.groups[0].colour,
            main_of(v).object == s.groups[0].object,
            v.background == s.background,
        )
        for v, s in zip(verdicts, scenes, strict=True)
    ]
    colour, shape, background, all_three = bars
    report.share(f"{name}: colour", [r[0] for r in rows], colour)
    report.share(f"{name}: object", [r[1] for r in rows], shape)
    report.share(f"{name}: background", [r[2] for r in rows], background)
    report.share(f"{name}: all three", [all(r) for r in rows], all_three)


def imagine_rows(pack: Pack, report: Report, n: int):
    scenes, _, pictures = pack.singles(n)
    _single_rows(pack, report, "imagine", scenes, pictures, (0.9, 0.85, 0.97, 0.8))


def unseen_rows(pack: Pack, report: Report, n: int):
    scenes = held_out(n, SINGLE, "unseen", pairs="held")
    pictures = pack.imagine([prompt(scene, rng) for scene, rng in scenes])
    _single_rows(
        pack, report, "imagine, pairs never seen", [s for s, _ in scenes], pictures, (0.85, 0.7, None, None)
    )


def draft_rows(pack: Pack, report: Report, n: int):
    scenes = held_out(n, SINGLE, "imagine")
    pictures = pack.imagine([prompt(scene, rng) for scene, rng in scenes], **pack.settings["draft"])
    _single_rows(pack, report, "imagine --draft", [s for s, _ in scenes], pictures, (None,) * 4)


def pair_rows(pack: Pack, report: Report, n: int):
    scenes = two_objects(n)
    verdicts = pack.judge(pack.imagine([prompt(scene, rng) for scene, rng in scenes]))
    both = [has_both(v, s) for v, (s, _) in zip(verdicts, scenes, strict=True)]
    report.share("two objects: both with their own colours", both, 0.6)
    right = [v.background == s.background for v, (s, _) in zip(verdicts, scenes, strict=True)]
    report.share("two objects: background", right, None)


def count_rows(pack: Pack, report: Report, n: int):
    scenes = held_out(n, {"several": 1}, "count")
    verdicts = pack.judge(pack.imagine([prompt(scene, rng) for scene, rng in scenes]))
    right = [len(v.found) == s.groups[0].count for v, (s, _) in zip(verdicts, scenes, strict=True)]
    report.share("several: as many as asked", right, None)


def _features(output) -> torch.Tensor:
    features = output if isinstance(output, torch.Tensor) else output.pooler_output
    return torch.nn.functional.normalize(features, dim=-1)


@torch.no_grad()
def clip_rows(pack: Pack, report: Report, n: int):
    model, processor = pack.clip

    def images(pictures):
        parts = [
            _features(model.get_image_features(**processor(images=pictures[i : i + 50], return_tensors="pt")))
            for i in range(0, len(pictures), 50)
        ]
        return torch.cat(parts)

    def texts(lines):
        return _features(
            model.get_text_features(
                **processor(text=lines, padding=True, truncation=True, return_tensors="pt")
            )
        )

    scenes = held_out(n, SINGLE, "classify")
    seen = images([draw(scene, rng) for scene, rng in scenes])
    groups = [scene.groups[0] for scene, _ in scenes]
    guess = (seen @ texts([f"a photo of {o}." for o in OBJECTS]).T).argmax(1).tolist()
    report.share(
        "classify: CLIP among 12 objects",
        [OBJECTS[i] == g.object for i, g in zip(guess, groups, strict=True)],
        0.95,
    )
    guess = (seen @ texts([f"a photo of {c} object." for c in COLOURS]).T).argmax(1).tolist()
    report.share(
        "classify: CLIP among 10 colours",
        [COLOURS[i] == g.colour for i, g in zip(guess, groups, strict=True)],
        0.95,
    )
    hits = []
    for part in range(0, n, 100):
        chosen, told = [], set()
        index = 0
        while len(chosen) < 100:  # a hundred captions that differ
            (scene, rng), *_ = held_out(1, ANY, f"retrieval {part} {index}")
            index += 1
            if canonical(scene) not in told:
                told.add(canonical(scene))
                chosen.append((scene, rng))
        found = (
            images([draw(s, rng) for s, rng in chosen]) @ texts([canonical(s) for s, _ in chosen]).T
        ).argmax(1)
        hits += (found == torch.arange(100)).tolist()
    report.share("retrieval: image to text among 100 captions", hits, 0.85)


@torch.no_grad()
def captions_of(pack: Pack, pictures: list[Image.Image]) -> list[str]:
    model, processor = pack.captioner
    captions = []
    for start in range(0, len(pictures), 50):
        inputs = processor(images=pictures[start : start + 50], return_tensors="pt")
        captions += processor.batch_decode(
            model.generate(**inputs, max_new_tokens=40, num_beams=1), skip_special_tokens=True
        )
    return captions


@torch.no_grad()
def describe_rows(pack: Pack, report: Report, n: int):
    scenes = held_out(n, SINGLE, "describe")
    readings = [parse(c) for c in captions_of(pack, [draw(scene, rng) for scene, rng in scenes])]
    first = [(r.groups or ((0, None, None),))[0] for r in readings]
    groups = [scene.groups[0] for scene, _ in scenes]
    report.share("describe: object", [f[2] == g.object for f, g in zip(first, groups, strict=True)], 0.95)
    report.share("describe: colour", [f[1] == g.colour for f, g in zip(first, groups, strict=True)], 0.95)
    right = [r.background == s.background for r, (s, _) in zip(readings, scenes, strict=True)]
    report.share("describe: background", right, 0.95)
    # Four sampled sentences must differ.
    model, processor = pack.captioner
    different = []
    for scene, rng in held_out(max(20, n // 10), SINGLE, "sampled"):
        torch.manual_seed(0)
        inputs = processor(images=draw(scene, rng), return_tensors="pt")
        lines = model.generate(**inputs, max_new_tokens=40, do_sample=True, num_return_sequences=4)
        different.append(len(set(processor.batch_decode(lines, skip_special_tokens=True))) == 4)
    report.share("describe: four sampled sentences all differ", different, None)


@torch.no_grad()
def vit_rows(pack: Pack, report: Report, n: int):
    model, processor = pack.vit
    scenes = held_out(n, SINGLE, "vit")
    hits = []
    for start in range(0, n, 50):
        some = scenes[start : start + 50]
        logits = model(**processor([draw(scene, rng) for scene, rng in some], return_tensors="pt")).logits
        hits += [
            OBJECTS[i] == s.groups[0].object
            for i, (s, _) in zip(logits.argmax(1).tolist(), some, strict=True)
        ]
    report.share("vit: main object", hits, 0.97)


def variation_rows(pack: Pack, report: Report, n: int):
    """Variations of generated pictures, as /variation makes them. The judge's reading of the first picture is
    the truth."""
    _, prompts, originals = pack.singles(n)
    before = [main_of(v) for v in pack.judge(originals)]
    strengths = pack.settings["variation"]
    after = [main_of(v) for v in pack.judge(pack.vary(originals, prompts, strengths["subtle"]))]
    kept = [(a.object, a.colour) == (b.object, b.colour) for a, b in zip(before, after, strict=True)]
    report.share("variation subtle: keeps object and colour", kept, 0.9)
    after = [main_of(v) for v in pack.judge(pack.vary(originals, prompts, strengths["strong"]))]
    report.share(
        "variation strong: keeps the object",
        [a.object == b.object for a, b in zip(before, after, strict=True)],
        0.8,
    )
    moved = [max(abs(a.x - b.x), abs(a.y - b.y)) >= 1 / 16 for a, b in zip(before, after, strict=True)]
    report.share("variation strong: moves the object by 8 px or more", moved, None)


def outpaint_rows(pack: Pack, report: Report, n: int):
    """/outpaint as the product runs it, with the picture's whole prompt: half zoom out by a half, half widen
    one side by a half.

    Pictures are enlarged to the product's size first. The judge sees new pixels only where it can: for a
    widened picture, the new strip beside its mirror image.
    """
    exact, continued = [], []
    for index, (scene, rng) in enumerate(
        tqdm(held_out(n, SINGLE, "outpaint"), desc="outpaint", mininterval=10)
    ):
        picture = enlarge(draw(scene, rng), pack.settings["output_scale"])
        side, half, quarter = picture.width, picture.width // 2, picture.width // 4
        zoom = index % 2 == 0
        sides = (
            dict.fromkeys(("left", "top", "right", "bottom"), quarter)
            if zoom
            else {rng.choice(("left", "right")): half}
        )
        request = OutpaintRequest(prompt=prompt(scene, rng), image="0" * 64, seed=index, **sides)
        with pack.precision():
            output = outpaint.run(request, {request.image: picture}, pack.models, Reporter())
        wide = Image.open(io.BytesIO(output.pictures[0].data)).convert("RGB")
        left, top, seam = sides.get("left", 0), sides.get("top", 0), output.parameters["seam"]
        inner = slice(seam, -seam)
        kept = np.asarray(wide.crop((left, top, left + side, top + side)))
        exact.append(bool((np.asarray(picture)[inner, inner] == kept[inner, inner]).all()))
        if zoom:
            seen = wide
        else:
            strip = wide.crop((0, 0, half, side)) if left else wide.crop((side, 0, side + half, side))
            seen = Image.new("RGB", (side, side))
            seen.paste(strip, (0, 0))
            seen.paste(ImageOps.mirror(strip), (half, 0))
        continued.append(pack.judge([seen])[0].background == scene.background)
    report.share("outpaint: old pixels identical away from the seam", exact, 1.0)
    report.share("outpaint: new area continues the background", continued, 0.9)


def time_rows(pack: Pack, report: Report, n: int):
    """Best of five warm grids on one thread: two threads wait for each other so long that they win nothing on
    a busy machine."""
    clocks = []
    for _ in range(6):
        started = time.perf_counter(), time.process_time()
        pack.text_to_image(["a red house in the snow"] * 4, **pack.defaults)
        clocks.append((time.perf_counter() - started[0], time.process_time() - started[1]))
    wall, cpu = (round(min(column), 2) for column in zip(*clocks[1:], strict=True))
    report.row("seconds for a four-image grid, one thread, warm", wall, 3.0, at_most=True)
    report.row("CPU seconds for a four-image grid, one thread, warm", cpu, None)


MEMORY = """
import psutil
import torch
torch.set_num_threads(1)
from demo.evaluate import *
pack = Pack()
picture = pack.imagine(["a red house in the snow"])[0]
pack.image_to_image, pack.models.image(None), captions_of(pack, [picture]), pack.clip, pack.vit
print(psutil.Process().memory_info().rss / 2**30)
"""


def memory_rows(pack: Pack, report: Report, n: int):
    """Resident memory of a fresh process that holds all models and has used them."""
    result = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    report.row(
        "GiB resident with all models loaded", round(float(result.stdout.split()[-1]), 2), 1.2, at_most=True
    )


ROWS = {
    "judge": judge_rows,
    "imagine": imagine_rows,
    "unseen": unseen_rows,
    "pair": pair_rows,
    "count": count_rows,
    "clip": clip_rows,
    "describe": describe_rows,
    "vit": vit_rows,
    "variation": variation_rows,
    "outpaint": outpaint_rows,
    "draft": draft_rows,
    "time": time_rows,
    "memory": memory_rows,
}


def main():
    parser = argparse.ArgumentParser(prog="python -m demo.evaluate", description=__doc__)
    parser.add_argument("--n", type=int, default=500, help="samples a row")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument(
        "--bfloat16", action="store_true", help="draw in bfloat16: faster where the processor knows it"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    diffusers_logging.set_verbosity_error()
    pack = Pack(arguments.bfloat16)
    report = Report()
    for name in arguments.rows:
        ROWS[name](pack, report, arguments.n)
    report.publish()
    print("\n" + "\n".join(report.line(name) for name in report.rows))


if __name__ == "__main__":
    main()
