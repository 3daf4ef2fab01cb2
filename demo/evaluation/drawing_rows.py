"""Rows about pictures that the pack draws, as `demo.judge` reads them."""

import io

import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

from core.requests import OutpaintRequest
from demo.drawing import draw
from demo.evaluation.pack import Pack
from demo.evaluation.report import Report
from demo.evaluation.scenes import SINGLE, caption, held_out, prompt, two_objects
from demo.judge import Verdict
from demo.world import Scene
from vision.capabilities import outpaint
from vision.pictures.encode import enlarge
from vision.reporter import Reporter


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
