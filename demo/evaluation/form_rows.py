"""Rows about how pictures look: the form of single things and the width of their edges, first of drawings,
then of what the pack makes of them, then of what it draws."""

import random

import numpy as np
from PIL import Image

from demo.drawing import SIZE, draw
from demo.evaluation import form, sharpness
from demo.evaluation.pack import Pack
from demo.evaluation.report import Report
from demo.world import Scene
from vision.pictures.encode import enlarge

EDGES = 40  # pictures whose edges are measured, at most


def _shares(
    report: Report, name: str, pictures: list[Image.Image], scenes: list[Scene], one_part: float | None = None
) -> float:
    """The share that is well formed. one_part: the least share that is to be one piece."""
    seen = [form.look(picture, scene) for picture, scene in zip(pictures, scenes, strict=True)]
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
    of the steepest steps, as docs/meaning.md measures them, and along Canny's edges."""
    scale, model = pack.settings["output_scale"], pack.models.image(None)
    scenes, _, pictures = pack.singles(n)
    side = (SIZE * scale, SIZE * scale)
    drawn = [draw(s, random.Random(f"edges {i}"), side) for i, s in enumerate(scenes[:EDGES])]
    made = [model.enlarged(picture) for picture in pictures[:EDGES]]
    plain = [enlarge(picture, scale) for picture in pictures[:EDGES]]
    kinds = {"drawings": drawn, "imagine": made, "imagine without its upscaler": plain}
    for measure, width in (("edge", sharpness.edge_width), ("Canny edge", sharpness.canny_edge_width)):
        middle = {name: float(np.nanmedian([width(p) for p in some])) for name, some in kinds.items()}
        for name, value in middle.items():
            report.row(f"{measure} width, px at 512, {name}, median", round(value, 2), None)
        ratio, bar = middle["imagine"] / middle["drawings"], 1.5 if measure == "edge" else None
        report.row(f"{measure} width, imagine against drawings", round(ratio, 2), bar, at_most=True)
