"""Rows about things that are selected by words: how well a mask covers what was drawn, through the product's
own code."""

import random
import statistics
import time

import numpy as np
from PIL import Image

from core.errors import UserError
from demo.drawing import SIZE, draw_apart, layout
from demo.evaluation.pack import Pack
from demo.evaluation.report import Report
from demo.evaluation.scenes import SINGLE
from demo.world import STYLES, Scene, held_out_scene
from vision.capabilities.region import by_words
from vision.reporter import Reporter

SHOWN = 512  # px of a side, as the studio shows pictures of the demo models
ENOUGH = 0.9  # IoU


def single_rows(pack: Pack, report: Report, n: int):
    """Single things, as many of each style, named by colour and kind."""
    times, found = [], []
    for style in STYLES:
        scenes = styled(style, SINGLE, n // len(STYLES))
        ious = []
        for scene, rng in scenes:
            picture, owner, _ = drawn(scene, rng)
            begun = time.process_time()
            ious.append(overlap(pack, picture, owner == 0, words(scene, 0)))
            times.append(time.process_time() - begun)
        report.share(f"select: a thing by words, {style}", [iou >= ENOUGH for iou in ious], None)
        found += ious
    report.share("select: a thing by words", [iou >= ENOUGH for iou in found], 0.95)
    report.row("select: median IoU", round(statistics.median(found), 3), None)
    report.row(
        "CPU seconds for a selected thing, p95", round(float(np.percentile(times, 95)), 2), 0.3, at_most=True
    )


def pair_rows(pack: Pack, report: Report, n: int):
    """One of two things that differ in kind or colour, the first or the second in turns."""
    hits = []
    for index, (scene, rng) in enumerate(styled(None, {"pair": 1}, n)):
        picture, owner, groups = drawn(scene, rng)
        asked = index % 2
        hits.append(
            overlap(pack, picture, np.isin(owner, np.flatnonzero(groups == asked)), words(scene, asked))
        )
    report.share("select: one of two things by words", [iou >= ENOUGH for iou in hits], 0.95)


def coded_rows(pack: Pack, report: Report, n: int):
    """Single things in pictures that went through the autoencoder and were enlarged, as its drawings are."""
    ious = []
    for style in STYLES:
        for scene, rng in styled(style, SINGLE, n // len(STYLES)):
            picture, owner, _ = drawn(scene, rng)
            coded = pack.decoded([picture.resize((SIZE, SIZE), Image.BOX)])[0].resize(
                picture.size, Image.BICUBIC
            )
            ious.append(overlap(pack, coded, owner == 0, words(scene, 0)))
    report.share("select: a thing by words, through the autoencoder", [iou >= ENOUGH for iou in ious], None)


def styled(style: str | None, kinds: dict[str, float], count: int) -> list[tuple[Scene, random.Random]]:
    """Held-out scenes with one of each thing, of one style or of any, each with a generator of its own."""
    scenes, index = [], 0
    while len(scenes) < count:
        rng = random.Random(f"select {style} {index}")
        scene = held_out_scene(rng, rng.choices(list(kinds), list(kinds.values()))[0])
        if style in (None, scene.style) and all(group.count == 1 for group in scene.groups):
            scenes.append((scene, rng))
        index += 1
    return scenes


def drawn(scene: Scene, rng: random.Random) -> tuple[Image.Image, np.ndarray, np.ndarray]:
    """The picture, the thing that each pixel shows (see `draw_apart`), and the group of each thing."""
    size = (SHOWN, SHOWN)
    placed = layout(scene, rng, size)
    picture, owner = draw_apart(scene, rng, size, placed)
    return picture, owner, np.array([thing.group for thing in placed])


def words(scene: Scene, group: int) -> str:
    """Words such as "a red boat"."""
    return f"a {scene.groups[group].colour} {scene.groups[group].object}"


def overlap(pack: Pack, picture: Image.Image, truth: np.ndarray, text: str) -> float:
    """The IoU of what the words select with the truth; 0 where the studio can't tell."""
    try:
        mask = by_words(picture, text, pack.models, Reporter(), rim=False).mask
    except UserError:
        return 0.0
    found = np.asarray(mask) > 127
    return float((found & truth).sum() / (found | truth).sum())
