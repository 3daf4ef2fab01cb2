"""`python -m demo.evaluate.edits`: which guidance and which threshold of relevance suit the editor,
tried on held-out compositions that `demo.evaluate` does not use. Prints a table; a person puts what it shows
into `demo.train.editor`.

Rows about `/edit`, through the product: drawn pictures of compositions that no training has seen, changed
by instructions of six kinds in turn, and read by `demo.judge`, which first reads the drawn answers."""

import argparse
import io
import random
import statistics
import time
from dataclasses import replace
from itertools import product

import numpy as np
import torch
from diffusers.utils import logging as diffusers_logging
from PIL import Image
from tqdm import tqdm

from core.requests import EditRequest
from demo.drawing import Placed
from demo.evaluate.images import Pack
from demo.evaluate.report import Report
from demo.judge import CENTRE, Found, Verdict
from demo.train.edit_words import KINDS, SUMMARY, Edit, held_out_edit, instruct
from vision.capabilities import edit as editing
from vision.pictures.encode import enlarge
from vision.reporter import Reporter

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
        report.share(f"edit, {kind}: done", some, None)
    name = "mean change outside the thing's box, of 255"
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


def main():
    parser = argparse.ArgumentParser(prog="python -m demo.evaluate.edits", description=__doc__)
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


if __name__ == "__main__":
    main()
