"""Random documents over pictures of every kind: the mask that arrives is the mask that was painted, and no
pixel outside of it changes: ``python -m proofs.vision.exact_edits [--documents 2000]``.

The way is that of a call: JSON, the process that paints, the request, the worker's own composing and pasting.
What the model would draw is noise, so that every pixel that can change does. What may change is worked out
here once more, slowly and from the rules of docs/explanation/editor.md alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import msgspec
import numpy as np
from PIL import Image, ImageFilter

from core.errors import UserError
from core.job import Job, Lane, Origin, Status
from core.requests import ComposeRequest, ImagineRequest, OutpaintRequest, RegionRequest, from_json, to_json
from storage.blobs.local import Folder
from studio.editor import document as documents
from studio.editor import editor
from studio.editor.editor import Laid
from studio.media import uploads
from studio.media.uploads import Intake
from studio.new_job import Source
from tests.studio.editor import reference
from tests.studio.media.test_strokes import stroke
from vision.capabilities import compose, outpaint
from vision.diffusion import inpaint
from vision.images import encode
from vision.weights.card import Card, Draft

CARD = Card(64, 8, 4, 3.0, Draft(2, 1.0), "prompt", "any")
KINDS = ("black", "white", "two tones", "noise", "like a photo")
JOB = "abcd2345efgh"
MODEL: Any = SimpleNamespace(enlarged=lambda image: image)
LARGE = 40  # one document in so many is over a large picture


def picture(rng: random.Random, kind: str, width: int, height: int) -> Image.Image:
    """Return a picture of a kind."""
    numbers = np.random.default_rng(rng.randrange(2**32))
    if kind == "black" or kind == "white":
        return Image.new("RGB", (width, height), kind)
    if kind == "two tones":
        tones = numbers.integers(0, 2, (height, width, 1), np.uint8) * 255
        return Image.fromarray(np.repeat(tones, 3, axis=2))
    pixels = numbers.integers(0, 256, (height, width, 3), np.uint8)
    if kind == "noise":
        return Image.fromarray(pixels)
    small = Image.fromarray(pixels[:: max(1, height // 9), :: max(1, width // 9)])
    return small.resize((width, height), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(1))


@dataclass
class Case:
    """A document, its pictures by name of their layer, and its clips by their place in the list of layers."""

    data: dict[str, Any]
    pictures: list[Image.Image]
    kind: str
    clips: list[np.ndarray | None] = field(default_factory=list)


def case_of(rng: random.Random) -> Case:
    """Return any document that leaves something to draw, most of them small."""
    side = rng.choice([64, 97, 128, 200, 256]) if rng.randrange(LARGE) else rng.choice([1024, 2048, 4096])
    width, height = side, rng.choice([side, max(64, side * 2 // 3), max(64, side - 13)])
    kind = rng.choice(KINDS)
    shape = rng.choice(["region", "region", "outpaint", "compose", "compose"])
    if shape == "outpaint":
        canvas = min(2048, width + rng.randrange(1, 60)), min(2048, height + rng.randrange(60))
        width, height = min(width, canvas[0] - 1), min(height, canvas[1])
        x, y = rng.randrange(canvas[0] - width + 1), rng.randrange(canvas[1] - height + 1)
        layer = {"id": "a", "source": {"job": JOB, "n": 1}, "x": x, "y": y}
        made = _document(canvas, [layer], [])
        return Case(made, [picture(rng, kind, width, height)], kind, [None])
    if shape == "region":
        made = _document(
            (width, height), [{"id": "a", "source": {"job": JOB, "n": 1}}], _painted(rng, width, height)
        )
        return Case(made, [picture(rng, kind, width, height)], kind, [None])
    return _composed(rng, kind, width, height)


def _document(canvas: tuple[int, int], layers: list, strokes: list) -> dict[str, Any]:
    return {"v": 1, "width": canvas[0], "height": canvas[1], "layers": layers, "mask": {"strokes": strokes}}


def _painted(rng: random.Random, width: int, height: int) -> list[dict]:
    """Return strokes that leave something painted: the last one is a dot that is sure to be there."""
    some = [stroke(rng, width, height) for _ in range(rng.randrange(4))]
    large = [
        one for one in some if width <= 256 or one["tool"] not in ("grow", "shrink")
    ]  # slow in plain Python
    middle = [8 * rng.randrange(width) + 4, 8 * rng.randrange(height) + 4]
    return [*large, {"tool": "brush", "value": 1, "r": [rng.choice([6, 40, 200])], "at": middle, "xy": ""}]


def _composed(rng: random.Random, kind: str, width: int, height: int) -> Case:
    layers, pictures, clips = [], [], []
    for number in range(rng.randrange(1, 4)):
        own = (width, height) if not number else (rng.randrange(20, width + 9), rng.randrange(20, height + 9))
        place = {"x": rng.randrange(-30, 40), "y": rng.randrange(-30, 40)}
        if rng.random() < 0.4:
            place = {"x": rng.uniform(-30, 40), "y": rng.uniform(-30, 40), "scale": rng.uniform(0.3, 2)}
        if rng.random() < 0.2:
            place["opacity"] = rng.uniform(0.1, 0.9)
        layers.append({"id": f"l{number}", "source": {"job": JOB, "n": number + 1}, **place})
        pictures.append(picture(rng, rng.choice((kind, *KINDS)), *own))
        clips.append(np.random.default_rng(number).random(own[::-1]) < 0.7 if rng.random() < 0.3 else None)
    canvas = width + rng.randrange(30), height + rng.randrange(30)
    made = _document((min(4096, canvas[0]), min(4096, canvas[1])), layers, _painted(rng, width, height))
    return Case({**made, "keep_seam": rng.random() < 0.4}, pictures, kind, clips)


@dataclass
class Found:
    """What was counted. bits: of masks that are others. pixels: that changed and may not."""

    documents: Counter[str] = field(default_factory=Counter)
    bits: int = 0
    pixels: int = 0
    untouched: int = 0  # documents of which nothing changed at all: then the proof says nothing


async def check(case: Case, painter: Intake, files: Folder, found: Found, rng: random.Random) -> None:
    """Send one document all the way, and count what is wrong."""
    read = documents.read_document(json.loads(json.dumps(case.data)))
    size = read.width, read.height
    painted, mask_file, marked = None, None, np.zeros(size[::-1], bool)
    if not read.mask.is_empty:
        strokes = msgspec.to_builtins(list(read.mask.strokes))
        plain = reference.replay(*size, None, strokes)
        marked = np.frombuffer(bytes(plain), np.uint8).reshape(size[::-1]) > 0
        painted = await painter.paint(size, strokes, None, 1)
        mask_file = encode.open_picture(str(files.path(painted.sha256)))
        arrived = np.asarray(mask_file.convert("L"))
        found.bits += int(((arrived == 255) != marked).sum() + ((arrived != 0) & (arrived != 255)).sum())
        found.bits += painted.pixels != reference.digest(plain)
    images = {f"{number:064x}": one for number, one in enumerate(case.pictures, 1)}
    laid = [_laid(read, number, sha256, case, images) for number, sha256 in enumerate(list(images))]
    job = editor.job_of(read, laid, None, painted and painted.count and painted.sha256 or None)
    request = from_json(job.request.kind, to_json(job.request))
    if isinstance(request, RegionRequest | ComposeRequest):
        request = replace(request, remix=rng.random() < 0.5)  # as with new words
    if painted is not None:
        images[painted.sha256] = mask_file
    try:
        before, after, may = _drawn(request, images, marked, case, rng)
    except UserError as error:
        assert "nothing to draw" in str(error), error
        found.documents["nothing to draw"] += 1
        return
    changed = (before != after).any(axis=-1)
    found.documents[request.kind] += 1
    found.pixels += int((changed & ~may).sum())
    found.untouched += not changed.any()


def _laid(read, number: int, sha256: str, case: Case, images: dict[str, Image.Image]) -> Laid:
    layer, one, clip = read.layers[number], case.pictures[number], case.clips[number]
    origin, asked = Origin(1, 0, None), ImagineRequest(prompt="a", num_images=1)
    row = Job(JOB, asked, origin, Status.DELIVERED, Lane.FAST, datetime.now(UTC))
    if clip is not None:
        name = f"{number + 100:064x}"
        images[name] = Image.fromarray(clip.astype(np.uint8) * 255).convert("RGB")
        layer = msgspec.structs.replace(layer, clip=name)
    return Laid(layer, Source(sha256, one.width, one.height, row, number))


def _noise(rng: random.Random, size: tuple[int, int]) -> Image.Image:
    numbers = np.random.default_rng(rng.randrange(2**32))
    return Image.fromarray(numbers.integers(0, 256, (size[1], size[0], 3), np.uint8))


def _drawn(request: Any, images: Any, marked: np.ndarray, case: Case, rng: random.Random):
    """Return the picture before and after, and which pixels may differ."""
    if isinstance(request, RegionRequest):
        image, mask = (
            images[request.image],
            inpaint.from_picture(images[request.mask_image], marked.shape[::-1]),
        )
        layout = inpaint.plan_region(mask, CARD, near=request.remix)
        after = inpaint.pasted(_noise(rng, layout.size), image, mask, layout, MODEL)
        return np.asarray(image), np.asarray(after), marked
    if isinstance(request, OutpaintRequest):
        image = images[request.image]
        layout = outpaint.plan_canvas(request, image.size, CARD)
        after = np.asarray(outpaint.paste_back(_noise(rng, layout.size), image, layout))
        before, old = (
            after.copy(),
            (slice(request.top, request.top + image.height), slice(request.left, request.left + image.width)),
        )
        before[old] = np.asarray(image)
        may = np.ones(after.shape[:2], bool)
        across, down = layout.seam()
        kept = slice(
            request.top + down * bool(request.top), request.top + image.height - down * bool(request.bottom)
        )
        may[
            kept,
            request.left + across * bool(request.left) : request.left
            + image.width
            - across * bool(request.right),
        ] = False
        before[may & (before == after).all(axis=-1)] ^= 255  # what is new was nothing before
        return before, after, may
    assert isinstance(request, ComposeRequest)
    plan = compose.plan_canvas(request, images, CARD)
    before, covered = _composed_plainly(request, images, plan)
    after = np.asarray(compose.pasted(_noise(rng, plan.layout.size), plan, MODEL))
    return before, after, marked | _near(~covered, request.seam)


def _composed_plainly(
    request: ComposeRequest, images: Any, plan: compose.Plan
) -> tuple[np.ndarray, np.ndarray]:
    """Return the composed picture and what is covered: pixel by pixel where nothing is resampled or mixed."""
    plain = all(
        x == int(x) and y == int(y) and scale == opacity == 1 for _, x, y, scale, opacity, _ in request.layers
    )
    if not plain:
        return plan.composed.colour, plan.composed.covered
    width, height = request.canvas
    canvas, covered = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), bool)
    for sha256, x, y, _, _, clip in request.layers:
        own = np.asarray(images[sha256])
        shown = np.ones(own.shape[:2], bool) if clip is None else np.asarray(images[clip])[..., 0] > 127
        for row, line in enumerate(own):
            down = int(y) + row
            if not 0 <= down < height:
                continue
            first, last = max(0, -int(x)), min(len(line), width - int(x))
            if first < last:
                there = slice(first + int(x), last + int(x))
                canvas[down, there][shown[row, first:last]] = line[first:last][shown[row, first:last]]
                covered[down, there] |= shown[row, first:last]
    return canvas, covered


def _near(flags: np.ndarray, reach: int) -> np.ndarray:
    """Return the flags with all that is at most ``reach`` steps away, a step at a time."""
    found = flags.copy()
    for _ in range(reach):
        wider = found.copy()
        wider[1:] |= found[:-1]
        wider[:-1] |= found[1:]
        wider[:, 1:] |= found[:, :-1]
        wider[:, :-1] |= found[:, 1:]
        found = wider
    return found


async def prove(count: int, seed: int) -> Found:
    """Check ``count`` random documents."""
    found, rng = Found(), random.Random(seed)

    async def unnoted(user_id: int, sha256: str) -> None:
        """Nobody asks who sent it."""

    with tempfile.TemporaryDirectory() as folder:
        files = Folder(Path(folder))
        painter = Intake(files, 2**20, unnoted)
        for _ in range(count):
            await check(case_of(rng), painter, files, found, rng)
    return found


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--documents", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    given, began = parser.parse_args(), time.monotonic()
    with mock.patch.object(uploads, "TIMEOUT", 3600.0):  # the machine may stand still meanwhile
        found = asyncio.run(prove(given.documents, given.seed))
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(found.documents.items()))
    print(f"{given.documents} documents ({kinds}), {found.untouched} without any change")
    print(f"bits of masks that differ: {found.bits}; pixels that changed and may not: {found.pixels}")
    print(f"{time.monotonic() - began:.0f} s")
    return int(bool(found.bits or found.pixels or found.untouched))


if __name__ == "__main__":
    raise SystemExit(main())
