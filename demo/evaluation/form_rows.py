"""Rows about how pictures look: the form of single things and the width of their edges, first of drawings,
then of what the pack makes of them, then of what it draws."""

import random
import statistics

from PIL import Image

from demo.drawing import SIZE, draw
from demo.evaluation import form, sharpness
from demo.evaluation.pack import Pack
from demo.evaluation.report import Report
from demo.world import Scene
from vision.pictures.encode import enlarge

EDGES = 40  # pictures whose edges are measured, at most


def _shares(report: Report, name: str, pictures: list[Image.Image], scenes: list[Scene]):
    seen = [form.look(picture, scene) for picture, scene in zip(pictures, scenes, strict=True)]
    both = list(zip(seen, scenes, strict=True))
    report.share(f"form, {name}: well formed", [f.fits(s) for f, s in both], None)
    nearest = [f.object == s.groups[0].object for f, s in both]
    report.share(f"form, {name}: the asked outline fits best", nearest, None)
    report.share(f"form, {name}: one part", [f.parts == 1 for f in seen], None)


def form_rows(pack: Pack, report: Report, n: int):
    """What a judge without training finds in drawings, in drawings through the autoencoder, and in pictures
    made from words."""
    scenes, _, pictures = pack.singles(n)
    drawn = [draw(scene, random.Random(f"form {i}")) for i, scene in enumerate(scenes)]
    _shares(report, "drawings", drawn, scenes)
    _shares(report, "drawings through the autoencoder", pack.decoded(drawn), scenes)
    _shares(report, "imagine", pictures, scenes)


def edge_rows(pack: Pack, report: Report, n: int):
    """Width of edges at the product's size: of drawings of that size, and of the pack's pictures enlarged."""
    scale, model = pack.settings["output_scale"], pack.models.image(None)
    scenes, _, pictures = pack.singles(n)
    side = (SIZE * scale, SIZE * scale)
    drawn = [draw(s, random.Random(f"edges {i}"), side) for i, s in enumerate(scenes[:EDGES])]
    widths = [sharpness.edge_width(picture) for picture in drawn]
    made = [sharpness.edge_width(model.enlarged(picture)) for picture in pictures[:EDGES]]
    plain = [sharpness.edge_width(enlarge(picture, scale)) for picture in pictures[:EDGES]]
    report.row("edge width, px at 512, drawings, median", round(statistics.median(widths), 2), None)
    middle = statistics.median(made)
    report.row("edge width, px at 512, imagine, median", round(middle, 2), None)
    sharpened = round(statistics.median(plain), 2)
    report.row("edge width, px at 512, imagine without its upscaler, median", sharpened, None)
    ratio = middle / statistics.median(widths)
    report.row("edge width, imagine against drawings", round(ratio, 2), 1.5, at_most=True)
