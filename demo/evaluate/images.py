"""Rows about the pictures that the pack draws: what `demo.judge` reads in them, how well they are formed, and
what they cost in time and memory. Also the pack as evaluation and benchmarks use it, and the held-out scenes.

`python -m demo.evaluate.images` draws the contact sheet: the first 64 held-out prompts in seed order, with
the default steps.
"""

import io
import json
import random
import subprocess
import sys
import time
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionPipeline
from PIL import Image, ImageDraw, ImageOps
from tqdm import tqdm
from transformers import (
    BlipForConditionalGeneration,
    BlipProcessor,
    CLIPModel,
    CLIPProcessor,
    ViTForImageClassification,
    ViTImageProcessor,
)

from core.requests import ImagineRequest, OutpaintRequest
from demo import judge
from demo.drawing import SIZE, draw
from demo.evaluate import Report
from demo.judge import Judge, Verdict
from demo.train.loop import MODELS
from demo.world import Caption, Scene, describe, held_out_scene
from vision.capabilities import imagine, outpaint
from vision.diffusion import loras
from vision.images.encode import enlarge
from vision.protocol import WorkerConfig
from vision.reporter import Reporter
from vision.store import Models

SINGLE = {"large": 0.3, "single": 0.7}
ANY = {"large": 0.15, "single": 0.4, "several": 0.15, "pair": 0.3}


def caption(scene: Scene, rng: random.Random) -> Caption:
    """A freely worded prompt that tells object, colour, background and style of a scene, and what it
    tells."""
    while True:
        made = describe(scene, rng, noise=0.2, drop=0)
        if made.background_told and made.style_told:
            return made


def prompt(scene: Scene, rng: random.Random) -> str:
    """The words of such a prompt."""
    return caption(scene, rng).text


def held_out(
    count: int, kinds: dict[str, float], seed: str, pairs: str = "seen"
) -> list[tuple[Scene, random.Random]]:
    """Held-out scenes in seed order, each with a generator of its own."""
    scenes = []
    for index in range(count):
        rng = random.Random(f"{seed} {index}")
        scenes.append((held_out_scene(rng, rng.choices(list(kinds), list(kinds.values()))[0], pairs), rng))
    return scenes


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


BATCH = 4


def merge_own_lora(pipe: StableDiffusionPipeline, folder: Path):
    """Adds the LoRA that the card in `folder` names, if it does, as the product does."""
    if name := json.loads((folder / "atelier.json").read_text()).get("merged_lora"):
        loras.merge(pipe, folder, name)


class Pack:
    """The models, loaded when first asked for. `bfloat16`: draw in it, twice as fast on a processor that
    knows it. `verdicts`: a folder in which what is said of videos is kept. `skipped`: videos at the beginning
    of a row that are left out."""

    def __init__(self, bfloat16: bool = False, verdicts: Path | None = None, skipped: int = 0):
        self.bfloat16, self.verdicts, self.skipped = bfloat16, verdicts, skipped
        self.settings = json.loads((MODELS / "stable-diffusion" / "atelier.json").read_text())

    @cached_property
    def text_to_image(self) -> StableDiffusionPipeline:
        folder = MODELS / "stable-diffusion"
        pipe = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32)
        merge_own_lora(pipe, folder)
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
                {
                    "image": str(MODELS / "stable-diffusion"),
                    "clip": str(MODELS / "clip"),
                    "vit": str(MODELS / "vit"),
                    "segment": str(MODELS / "segmenter"),
                    "caption": str(MODELS / "captioner"),
                    "ask": str(MODELS / "ask"),
                    "edit": str(MODELS / "edit"),
                },
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

    @torch.no_grad()
    def decoded(self, pictures: list[Image.Image]) -> list[Image.Image]:
        """The pictures through the autoencoder alone."""
        vae, processor = self.text_to_image.vae, self.text_to_image.image_processor
        made = []
        for start in range(0, len(pictures), BATCH):
            x = processor.preprocess(pictures[start : start + BATCH])
            made += processor.postprocess(vae.decode(vae.encode(x).latents).sample)
        return made

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
    related = [in_relation(v, s) for v, (s, _) in zip(verdicts, scenes, strict=True)]
    report.share("judge on drawings: both in the asked relation", related, None)


def has_both(verdict: Verdict, scene: Scene) -> bool:
    found = [(f.colour, f.object) for f in verdict.found]
    return all(pair in found for pair in scene.pairs)


def in_relation(verdict: Verdict, scene: Scene) -> bool:
    """Whether both of a scene's two objects are there, and the first stands where the scene says."""
    places = {(one.colour, one.object): one for one in reversed(verdict.found)}  # the surest of each
    if not has_both(verdict, scene):
        return False
    first, second = (places[pair] for pair in scene.pairs)
    right, down = first.x - second.x, first.y - second.y
    return {"left": -right, "right": right, "above": -down, "below": down}[scene.place] > 0


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
    _single_rows(pack, report, "imagine", scenes, pictures, (0.9, 0.85, 0.97, 0.96))


def unseen_rows(pack: Pack, report: Report, n: int):
    scenes = held_out(n, SINGLE, "unseen", pairs="held")
    pictures = pack.imagine([prompt(scene, rng) for scene, rng in scenes])
    _single_rows(
        pack, report, "imagine, pairs never seen", [s for s, _ in scenes], pictures, (0.85, 0.7, None, 0.85)
    )


def draft_rows(pack: Pack, report: Report, n: int):
    scenes = held_out(n, SINGLE, "imagine")
    pictures = pack.imagine([prompt(scene, rng) for scene, rng in scenes], **pack.settings["draft"])
    _single_rows(pack, report, "imagine --draft", [s for s, _ in scenes], pictures, (None,) * 4)


def pair_rows(pack: Pack, report: Report, n: int):
    scenes = two_objects(n)
    captions = [caption(scene, rng) for scene, rng in scenes]
    verdicts = pack.judge(pack.imagine([one.text for one in captions]))
    both = [has_both(v, s) for v, (s, _) in zip(verdicts, scenes, strict=True)]
    report.share("two objects: both with their own colours", both, 0.92)
    related = [
        in_relation(v, s)
        for v, (s, _), one in zip(verdicts, scenes, captions, strict=True)
        if one.place_told  # and not only "next to"
    ]
    report.share("two objects: both, in the asked relation", related, 0.85)
    right = [v.background == s.background for v, (s, _) in zip(verdicts, scenes, strict=True)]
    report.share("two objects: background", right, None)


def count_rows(pack: Pack, report: Report, n: int):
    scenes = held_out(n, {"several": 1}, "count")
    verdicts = pack.judge(pack.imagine([prompt(scene, rng) for scene, rng in scenes]))
    right = [len(v.found) == s.groups[0].count for v, (s, _) in zip(verdicts, scenes, strict=True)]
    report.share("several: as many as asked", right, 0.88)


GRIDS = 72  # of four pictures, from words that tell neither place nor size


def variety_rows(pack: Pack, report: Report, n: int):
    """How far apart the objects of a grid are, as the product draws it: the mean distance from their middle,
    and that of their sizes from the mean. Whether the pictures are right, also by `--raw`, which leaves the
    card's variety out."""
    scenes: list[tuple[Scene, str]] = []
    for index in range(GRIDS):
        rng = random.Random(f"variety {index}")
        scene = held_out_scene(rng, "single")
        while scene.place != "any" or scene.groups[0].size != "medium":
            scene = held_out_scene(rng, "single")
        scenes.append((scene, prompt(scene, rng)))
    for name, raw in (("variety", False), ("variety, --raw", True)):
        places, sizes, right = [], [], []
        for index, (scene, words) in enumerate(tqdm(scenes, desc=name, mininterval=10)):
            seed = random.Random(f"variety seed {index}").randrange(1 << 32)
            request = ImagineRequest(prompt=words, seed=seed, raw=raw)
            output = imagine.run(request, {}, pack.models, Reporter())
            grid = [Image.open(io.BytesIO(one.data)).convert("RGB") for one in output.pictures]
            asked = (scene.groups[0].object, scene.groups[0].colour, scene.background)
            right += [(main_of(v).object, main_of(v).colour, v.background) == asked for v in pack.judge(grid)]
            found = np.array([one for one in (judge.place(picture, scene) for picture in grid) if one])
            if len(found) > 1:  # (pictures, 3): x, y, size
                places.append(np.hypot(*(found[:, :2] - found[:, :2].mean(0)).T).mean() * SIZE)
                sizes.append(np.abs(found[:, 2] / found[:, 2].mean() - 1).mean())
        if not raw:
            report.row(f"{name}: px of {SIZE} from its middle", round(float(np.mean(places)), 2), 10.0)
            report.row(f"{name}: size, from its mean", round(float(np.mean(sizes)), 3), 0.15)
        report.share(f"{name}: all three", right, None)


GROUPS = ("single", "pair", "single", "several")  # of one prompt after the other: half with two or more


def think_rows(pack: Pack, report: Report, n: int):
    """Grids of four as the product draws them, without and with `--think`, from the same freely worded
    prompts and seeds: half of one object, a quarter of two, a quarter of two to four alike. Every eighth has
    a colour and object that no training showed together. The judge is none of the readers."""
    right: dict[tuple[str, bool], list[bool]] = {}
    seconds = {False: 0.0, True: 0.0}
    for index in tqdm(range(n), desc="think", mininterval=10):
        rng, kind = random.Random(f"think {index}"), GROUPS[index % 4]
        scene = held_out_scene(rng, kind, "held" if index % 8 == 2 else "seen")
        while scene.style != "flat" or (kind == "pair" and any(group.count > 1 for group in scene.groups)):
            scene = held_out_scene(rng, kind, "held" if index % 8 == 2 else "seen")
        words = prompt(scene, rng)
        for think in (False, True):
            started = time.process_time()
            request = ImagineRequest(prompt=words, seed=1000 * index, think=think)
            output = imagine.run(request, {}, pack.models, Reporter())
            seconds[think] += time.process_time() - started
            grid = [Image.open(io.BytesIO(one.data)).convert("RGB") for one in output.pictures]
            good = [shows(verdict, scene) for verdict in pack.judge(grid)]
            right[kind, think] = right.get((kind, think), []) + good
            if pack.verdicts:
                with (pack.verdicts / "think.txt").open("a") as kept:
                    note = output.parameters["notes"][-1] if think else ""
                    print(index, think, sum(good), round(seconds[think], 1), words, note, sep="|", file=kept)
    for kind, name in (("single", "one object"), ("pair", "two objects"), ("several", "several alike")):
        report.share(f"think: {name}", right[kind, True], None)
        print(f"{name} without it: {sum(right[kind, False])} of {len(right[kind, False])}")
    for think, name in ((False, "all, without it"), (True, "all")):
        every = [one for (_, how), some in right.items() if how == think for one in some]
        report.share(f"think: {name}", every, 0.98 if think else None)
    times = round(seconds[True] / seconds[False], 2)
    report.row("think: CPU seconds, times those without it", times, 1.6, True)


def shows(verdict: Verdict, scene: Scene) -> bool:
    """Whether a picture has the objects of a scene in their colours, no more and no fewer, and its ground."""
    asked = sorted(pair for group in scene.groups for pair in [(group.colour, group.object)] * group.count)
    return (
        sorted((f.colour, f.object) for f in verdict.found) == asked
        and verdict.background == scene.background
    )


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


EDGES = 40  # pictures whose edges are measured, at most


def _shares(
    report: Report, name: str, pictures: list[Image.Image], scenes: list[Scene], one_part: float | None = None
) -> float:
    """The share that is well formed. one_part: the least share that is to be one piece."""
    seen = [judge.look(picture, scene) for picture, scene in zip(pictures, scenes, strict=True)]
    both = list(zip(seen, scenes, strict=True))
    fitting = [f.fits(s) for f, s in both]
    report.share(f"form, {name}: well formed", fitting, None)
    nearest = [f.object == s.groups[0].object for f, s in both]
    report.share(f"form, {name}: the asked outline fits best", nearest, None)
    report.share(f"form, {name}: one part", [f.parts == 1 for f in seen], one_part)
    return float(np.mean(fitting))


def form_rows(pack: Pack, report: Report, n: int):
    """What a judge without training finds in drawings, in drawings through the autoencoder, and in pictures
    made from words."""
    scenes, _, pictures = pack.singles(n)
    drawn = [draw(scene, random.Random(f"form {i}")) for i, scene in enumerate(scenes)]
    best = _shares(report, "drawings", drawn, scenes)
    _shares(report, "drawings through the autoencoder", pack.decoded(drawn), scenes)
    made = _shares(report, "imagine", pictures, scenes, one_part=0.97)
    report.row("form, imagine: well formed, share of the drawings'", round(made / best, 3), 0.92)


def edge_rows(pack: Pack, report: Report, n: int):
    """Width of edges at the product's size: of drawings of that size, and of the pack's pictures enlarged;
    of the steepest steps, and along Canny's edges."""
    scale, model = pack.settings["output_scale"], pack.models.image(None)
    scenes, _, pictures = pack.singles(n)
    side = (SIZE * scale, SIZE * scale)
    drawn = [draw(s, random.Random(f"edges {i}"), side) for i, s in enumerate(scenes[:EDGES])]
    made = [model.enlarged(picture) for picture in pictures[:EDGES]]
    plain = [enlarge(picture, scale) for picture in pictures[:EDGES]]
    kinds = {"drawings": drawn, "imagine": made, "imagine without its upscaler": plain}
    for measure, width in (("edge", judge.edge_width), ("Canny edge", judge.canny_edge_width)):
        middle = {name: float(np.nanmedian([width(p) for p in some])) for name, some in kinds.items()}
        for name, value in middle.items():
            report.row(f"{measure} width, px at 512, {name}, median", round(value, 2), None)
        ratio, bar = middle["imagine"] / middle["drawings"], 1.5 if measure == "edge" else None
        report.row(f"{measure} width, imagine against drawings", round(ratio, 2), bar, at_most=True)


def time_rows(pack: Pack, report: Report, n: int):
    """Best of five warm grids on one thread: two threads wait for each other so long that they win nothing on
    a busy machine."""
    clocks = []
    for _ in range(6):
        started = time.perf_counter(), time.process_time()
        pack.text_to_image(["a red house in the snow"] * 4, **pack.defaults)
        clocks.append((time.perf_counter() - started[0], time.process_time() - started[1]))
    wall, cpu = (round(min(column), 2) for column in zip(*clocks[1:], strict=True))
    what = "seconds by the plain pipeline, four of 128 px, warm"
    report.row(what, wall, 2.0, at_most=True)
    report.row(f"CPU {what}", cpu, None)


MEMORY = """
import psutil
import torch
torch.set_num_threads(1)
from demo.evaluate.images import Pack
from demo.evaluate.readers import captions_of
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


SHEET = Path("docs/evidence/demo-contact-sheet.webp")
KINDS = {"large": 0.3, "single": 0.35, "several": 0.1, "pair": 0.25}
COLUMNS, COUNT = 8, 64
SIDE, TEXT, GAP = 192, 46, 8  # px


def lines(text: str, width: int = 31, most: int = 3) -> list[str]:
    """Words wrapped at `width` letters, cut after `most` lines."""
    rows = [""]
    for word in text.split():
        if len(rows[-1]) + len(word) + 1 > width:
            rows.append("")
        rows[-1] = f"{rows[-1]} {word}".strip()
    return rows[:most]


def main():
    torch.set_num_threads(1)
    prompts = [prompt(scene, rng) for scene, rng in held_out(COUNT, KINDS, "contact sheet")]
    pictures = Pack().imagine(prompts)
    cell_width, cell_height = SIDE + GAP, SIDE + TEXT + GAP
    sheet = Image.new("RGB", (COLUMNS * cell_width + GAP, COUNT // COLUMNS * cell_height + GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for index, (text, picture) in enumerate(zip(prompts, pictures, strict=True)):
        x, y = GAP + index % COLUMNS * cell_width, GAP + index // COLUMNS * cell_height
        sheet.paste(picture.resize((SIDE, SIDE), Image.LANCZOS), (x, y))
        for row, line in enumerate(lines(text)):
            pen.text((x, y + SIDE + 3 + 13 * row), line, fill="black")
    SHEET.parent.mkdir(exist_ok=True)
    sheet.save(SHEET, quality=90, method=6)


if __name__ == "__main__":
    main()
