"""`python -m demo.evaluate.choose [pack | edits | blind FOLDER]`: what suits the pack, tried on held-out
compositions that `demo.evaluate` does not use; and what `demo.evaluate` asks about edits.

`pack` tries steps, guidance, scheduler and strengths, `edits` the editor's guidance and threshold of
relevance; a person puts what the table shows into `demo.train`. `blind` chooses between an older image
generator in FOLDER (as `git archive COMMIT demo/models/stable-diffusion` brings it) and the present one, on
the same prompts and seeds, in an order drawn by lot: the better picture is that of which the judge is surer
that all is there; where it is about as sure of both, the one with the narrower edges.
"""

import argparse
import io
import json
import random
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import torch
from diffusers import (
    AutoencoderTiny,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    UNet2DConditionModel,
    UniPCMultistepScheduler,
)
from diffusers.utils import logging as diffusers_logging
from PIL import Image, ImageDraw
from tqdm import tqdm
from transformers import CLIPTextModel

from core.requests import EditRequest
from demo import judge
from demo.drawing import Placed
from demo.evaluate import Report, wilson
from demo.evaluate.images import KINDS as SCENE_KINDS
from demo.evaluate.images import (
    SINGLE,
    Pack,
    has_both,
    held_out,
    lines,
    main_of,
    merge_own_lora,
    prompt,
    two_objects,
)
from demo.judge import CENTRE, Found, Verdict
from demo.train.edit_words import KINDS, SUMMARY, Edit, held_out_edit, instruct
from demo.world import Scene
from vision.capabilities import edit as editing
from vision.images.encode import enlarge
from vision.reporter import Reporter

SCHEDULERS = {  # a class and what it differs in from the pack's own
    "DPM++ 2M": (DPMSolverMultistepScheduler, {"algorithm_type": "dpmsolver++"}),
    "DPM++ 2M SDE": (DPMSolverMultistepScheduler, {"algorithm_type": "sde-dpmsolver++"}),
    "UniPC": (UniPCMultistepScheduler, {}),
    "Euler": (EulerDiscreteScheduler, {}),
    "DDIM": (DDIMScheduler, {}),
}


def _report(what: str, hits: dict[str, list[bool]], seconds: float):
    shares = ", ".join(f"{name} {sum(some) / len(some):6.1%}" for name, some in hits.items())
    print(f"{what:<34} {shares}   {seconds:.2f} CPU s a picture", flush=True)


def drawing(
    pack: Pack, n: int, steps: list[int], guidances: list[float], schedulers: list[str]
) -> Iterator[tuple]:
    """Every combination over `n` single objects and `n` pairs: what was tried, the hits, CPU seconds a
    picture."""
    own = pack.text_to_image.scheduler
    singles, pairs = held_out(n, SINGLE, "choose"), two_objects(n, "choose two")
    asked = [prompt(scene, rng) for scene, rng in singles + pairs]
    for name, count, guidance in product(schedulers, steps, guidances):
        kind, options = SCHEDULERS[name]
        pack.text_to_image.scheduler = kind.from_config(own.config, **options)
        started = time.process_time()
        pictures = pack.imagine(asked, num_inference_steps=count, guidance_scale=guidance)
        seconds = (time.process_time() - started) / len(pictures)
        verdicts = pack.judge(pictures)
        hits = {
            "object": [
                main_of(v).object == s.groups[0].object
                for v, (s, _) in zip(verdicts[:n], singles, strict=True)
            ],
            "colour": [
                main_of(v).colour == s.groups[0].colour
                for v, (s, _) in zip(verdicts[:n], singles, strict=True)
            ],
            "pair": [has_both(v, s) for v, (s, _) in zip(verdicts[n:], pairs, strict=True)],
            "well formed": [
                judge.look(picture, s).fits(s) for picture, (s, _) in zip(pictures[:n], singles, strict=True)
            ],
        }
        yield f"{name}, {count} steps, guidance {guidance:g}", hits, seconds
    pack.text_to_image.scheduler = own


def varying(pack: Pack, n: int, strengths: list[float]) -> Iterator[tuple]:
    """Variations of `n` generated pictures: does the judge read the same, has the object moved by 8 px or
    more?"""
    scenes = held_out(n, SINGLE, "choose variations")
    prompts = [prompt(scene, rng) for scene, rng in scenes]
    originals: list[Image.Image] = pack.imagine(prompts, first_seed=50_000)
    before = [main_of(v) for v in pack.judge(originals)]
    for strength in strengths:
        started = time.process_time()
        after = [main_of(v) for v in pack.judge(pack.vary(originals, prompts, strength))]
        both = list(zip(before, after, strict=True))
        hits = {
            "object": [a.object == b.object for a, b in both],
            "object and colour": [(a.object, a.colour) == (b.object, b.colour) for a, b in both],
            "moved": [max(abs(a.x - b.x), abs(a.y - b.y)) >= 1 / 16 for a, b in both],
        }
        yield f"variation, strength {strength:g}", hits, (time.process_time() - started) / n


def choose_settings():
    parser = argparse.ArgumentParser(prog="python -m demo.evaluate.choose", description=__doc__)
    parser.add_argument("--n", type=int, default=200, help="samples of each kind")
    parser.add_argument("--steps", type=int, nargs="*", default=[8, 12, 16])
    parser.add_argument("--guidances", type=float, nargs="*", default=[2.0, 3.0, 4.0])
    parser.add_argument("--schedulers", nargs="*", choices=SCHEDULERS, default=["DPM++ 2M"])
    parser.add_argument("--strengths", type=float, nargs="*", default=[0.25, 0.34, 0.42, 0.75, 0.85])
    parser.add_argument(
        "--bfloat16", action="store_true", help="draw in bfloat16: faster where the processor knows it"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    diffusers_logging.set_verbosity_error()
    pack = Pack(arguments.bfloat16)
    for row in drawing(pack, arguments.n, arguments.steps, arguments.guidances, arguments.schedulers):
        _report(*row)
    for row in varying(pack, arguments.n, arguments.strengths):
        _report(*row)


NEAR = 0.14  # of the side: how far from where a thing stands its middle may be seen
MARGIN = 1.3  # the box around a thing, in its half sizes: shadows and leaves lie inside
TOLD = 4  # place in SUMMARY of the colour of what is added


def edit_rows(pack: Pack, report: Report, n: int):
    """Every kind in turn; a change of one thing leaves a mean change outside its box, whole pictures none."""
    edits = [asked(f"edit rows {index}", KINDS[index % len(KINDS)]) for index in range(n)]
    judged = pack.judge([edit.pictures()[1] for edit, *_ in edits])
    _tell(report, "edit, judge on the drawn answers", edits, judged, (None, None))
    scale, made, outside = pack.settings["output_scale"], [], []
    for index, (edit, words, _) in enumerate(tqdm(edits, desc="edit", mininterval=10)):
        before, after = edited(pack, edit, words, index)
        made.append(after)
        if edit.group >= 0:
            outside.append(change_outside(edit.changed, before, after))
    verdicts = pack.judge(made)
    _tell(report, "edit", edits, verdicts, (0.9, 0.95))
    for kind in KINDS:
        of_kind = [i for i, (edit, *_) in enumerate(edits) if edit.kind == kind]
        some = [is_done(edits[i][0], verdicts[i], told=edits[i][2]) for i in of_kind]
        report.share(f"edit, {'object' if kind == 'thing' else kind}: done", some, None)
    name = "mean change outside the object's box, of 255"
    things = [edit for edit, *_ in edits if edit.group >= 0]
    drawn = [edit.pictures()[0] for edit in things]
    pairs = zip(things, drawn, pack.decoded(drawn), strict=True)
    coded = [change_outside(e.changed, enlarge(a, scale), enlarge(b, scale)) for e, a, b in pairs]
    report.row(f"edit, the autoencoder alone: {name}", round(statistics.mean(coded), 2), None)
    report.row(f"edit: {name}", round(statistics.mean(outside), 2), 4.0, at_most=True)


def asked(seed: str, kind: str) -> tuple[Edit, str, bool]:
    """An edit, its instruction, and whether that tells the colour of what is added."""
    rng = random.Random(seed)
    edit = held_out_edit(rng, kind)
    told = instruct(edit, rng)
    return edit, told.text, told.labels[TOLD] < SUMMARY[TOLD] - 1


def edited(pack: Pack, edit: Edit, words: str, seed: int) -> tuple[Image.Image, Image.Image]:
    """The drawn picture at the size that the product gives pictures, and what `/edit` makes of it."""
    before = enlarge(edit.pictures()[0], pack.settings["output_scale"])
    request = EditRequest(prompt=words, image="0" * 64, seed=seed, num_images=1)
    with pack.precision():
        output = editing.run(request, {request.image: before}, pack.models, Reporter())
    return before, Image.open(io.BytesIO(output.pictures[0].data)).convert("RGB")


def _tell(report: Report, name: str, edits, verdicts: list[Verdict], bars):
    pairs = list(zip(edits, verdicts, strict=True))
    report.share(f"{name}: asked change done", [is_done(e, v, told=t) for (e, _, t), v in pairs], bars[0])
    report.share(f"{name}: the rest kept", [is_kept(e, v) for (e, *_), v in pairs], bars[1])


def _there(verdict: Verdict) -> list[Found]:
    return [found for found in verdict.found if found.score > CENTRE]


def _at(verdict: Verdict, thing: Placed) -> Found | None:
    """What the judge sees where a thing stands: the nearest that is near enough."""
    near = [
        (max(abs(found.x - thing.x), abs(found.y - thing.y)), index)
        for index, found in enumerate(_there(verdict))
    ]
    distance, index = min(near, default=(1.0, 0))
    return _there(verdict)[index] if distance < NEAR else None


def is_done(edit: Edit, verdict: Verdict, *, told: bool) -> bool:
    """Whether a picture shows what was asked. told: the colour of what is added."""
    if edit.kind == "background":
        return verdict.background == edit.after.background
    if edit.kind == "style":
        return verdict.style == edit.after.style
    if edit.kind == "remove":
        return all(_at(verdict, thing) is None for thing in edit.changed)
    wanted = edit.after.groups[edit.group]
    if edit.kind == "add":
        new = [f for f in _there(verdict) if f.object == wanted.object]
        return any(not told or f.colour == wanted.colour for f in new)
    seen = [_at(verdict, thing) for thing in edit.changed]
    name = "colour" if edit.kind == "colour" else "object"
    return all(found is not None and getattr(found, name) == getattr(wanted, name) for found in seen)


def is_kept(edit: Edit, verdict: Verdict) -> bool:
    """Whether what wasn't asked for is as it was: other things and their colours, what the changed thing
    keeps of its own, the background; and that nothing else came."""
    if len(_there(verdict)) > len(edit.placed[1]):
        return False
    if edit.kind != "background" and verdict.background != edit.before.background:
        return False
    changed = edit.group if edit.kind != "add" else -1
    for thing in edit.placed[0]:
        found = _at(verdict, thing)
        if thing.group != changed:
            if found is None or (found.object, found.colour) != (thing.object, thing.colour):
                return False
        elif edit.kind == "colour" and (found is None or found.object != thing.object):
            return False
        elif edit.kind == "thing" and (found is None or found.colour != thing.colour):
            return False
    return True


def change_outside(things: list[Placed], before: Image.Image, after: Image.Image) -> float:
    """The mean difference of two pictures of one size, of 255, outside the boxes around things."""
    width, height = before.size
    apart = np.abs(np.asarray(before, np.float32) - np.asarray(after.resize(before.size), np.float32)).mean(2)
    outside = np.ones((height, width), bool)
    for thing in things:
        reach = thing.half * MARGIN * min(width, height)
        left, right = max(0, int(thing.x * width - reach)), int(thing.x * width + reach) + 1
        top, bottom = max(0, int(thing.y * height - reach)), int(thing.y * height + reach) + 1
        outside[top:bottom, left:right] = False
    return float(apart[outside].mean()) if outside.any() else 0.0


def tried(pack: Pack, edits: list[tuple], **settings: float) -> str:
    """What comes of the edits with other settings of the card, kind by kind."""
    model = pack.models.editor(None, Reporter())
    own, started = model.card, time.process_time()
    model.card = replace(own, **settings)
    pairs = [edited(pack, edit, words, 50_000 + index) for index, (edit, words, _) in enumerate(edits)]
    model.card = own
    seconds = (time.process_time() - started) / len(edits)
    verdicts = pack.judge([after for _, after in pairs])
    hits = [
        (edit.kind, is_done(edit, verdict, told=told), is_kept(edit, verdict))
        for (edit, _, told), verdict in zip(edits, verdicts, strict=True)
    ]
    outside = [
        change_outside(edit.changed, *pair)
        for (edit, *_), pair in zip(edits, pairs, strict=True)
        if edit.group >= 0
    ]
    shares = [_shares("all", hits), *(_shares(kind, [h for h in hits if h[0] == kind]) for kind in KINDS)]
    return f"{', '.join(shares)}; outside {statistics.mean(outside):.2f}; {seconds:.2f} CPU s a picture"


def _shares(name: str, hits: list[tuple[str, bool, bool]]) -> str:
    done, kept = (statistics.mean(hit[part] for hit in hits) if hits else 0.0 for part in (1, 2))
    return f"{name} {done:.1%} / {kept:.1%}"


def choose_edit_settings():
    parser = argparse.ArgumentParser(prog="python -m demo.evaluate.choose edits", description=__doc__)
    parser.add_argument("--n", type=int, default=60, help="edits, of every kind in turn")
    parser.add_argument("--guidances", type=float, nargs="*", default=[2.0, 3.0])
    parser.add_argument("--image-guidances", type=float, nargs="*", default=[1.5])
    parser.add_argument("--thresholds", type=float, nargs="*", default=[0.0, 0.28])
    parser.add_argument(
        "--bfloat16", action="store_true", help="draw in bfloat16: faster where the processor knows it"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    diffusers_logging.set_verbosity_error()
    pack = Pack(arguments.bfloat16)
    edits = [asked(f"choose edits {index}", KINDS[index % len(KINDS)]) for index in range(arguments.n)]
    given = product(arguments.guidances, arguments.image_guidances, arguments.thresholds)
    for guidance, image_guidance, threshold in given:
        found = tried(
            pack,
            edits,
            guidance_scale=guidance,
            image_guidance_scale=image_guidance,
            relevance_threshold=threshold,
        )
        print(f"{guidance:g}, {image_guidance:g}, {threshold:g}: done / kept {found}", flush=True)


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


def choose_blindly():
    parser = argparse.ArgumentParser(prog="python -m demo.evaluate.choose blind", description=__doc__)
    parser.add_argument("older", type=Path, metavar="FOLDER", help="the older image generator")
    parser.add_argument("--n", type=int, default=60, help="pairs of pictures")
    parser.add_argument("--sheet", type=Path, help="keep the pairs as a picture")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    diffusers_logging.set_verbosity_error()
    pack, lot = Pack(), random.Random("blind choice")
    scenes, prompts = [], []
    for scene, rng in held_out(arguments.n, SCENE_KINDS, "blind choice"):
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
    tries = {"pack": choose_settings, "edits": choose_edit_settings, "blind": choose_blindly}
    tries[sys.argv.pop(1) if sys.argv[1:2] and sys.argv[1] in tries else "pack"]()
