"""What a version of somebody's own model says of pictures: verdicts, with what is strange, what speaks for a
label, or boxes around objects laid over them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from core.events import Output
from core.requests.custom_models import ANOMALY, CLASSIFY, DETECT, InspectRequest
from core.results import Verdict
from vision.custom_models import figures, inference
from vision.custom_models.steps import in_slice
from vision.images import encode
from vision.readers import attribution as explained
from vision.reporter import Reporter
from vision.store import Models

MOST = 1536  # px of the longer side of what is shown of one picture
CELL, LINE, GAP, COLUMNS = 240, 22, 8, 5  # px, pictures side by side on a sheet
GOOD, STRANGE = "#57f287", "#ed4245"  # frames
GROUND, INK = "#2b2d31", "#f2f3f5"


def run(
    request: InspectRequest, paths: Mapping[str, str], models: Models, reporter: Reporter, folder: Path
) -> Output:
    """See vision.capabilities. ``Output.verdicts`` has one for each picture, in the request's order; ``grid``
    is the picture beside its map, or a sheet of several."""
    one = inference.loaded(request.artefact, Path(paths[request.artefact]), request.task, models, reporter)
    verdicts, shown, count = list[Verdict](), list[Image.Image](), len(request.images)
    alone = count == 1
    words = None
    if request.task == CLASSIFY and one.model.card["weights"][1]:
        words = inference.label_words(one.model.card["labels"], models, reporter, one.model.card["words"])
    for number, sha256 in enumerate(request.images, 1):
        image = reporter.in_thread(partial(encode.open_picture, paths[sha256]))
        if request.task == ANOMALY:
            verdict, places = inference.inspected(sha256, image, one, request.limit, reporter)
            shown.append(_inspected(image, places, verdict, alone, request.explain))
        elif request.task == DETECT:
            verdict, outlined = inference.detected(sha256, image, one, request.limit, reporter)
            shown.append(outlined if alone else ImageOps.pad(outlined, (CELL, CELL), color=GROUND))
        else:
            verdict = inference.classified(sha256, image, one, words, reporter)
            shown.append(_classified(image, verdict, one, request.explain and alone, reporter))
        verdicts.append(verdict)
        reporter.step(number, count)
    sheet = shown[0] if alone else _sheet(shown, verdicts)
    grid = reporter.in_thread(lambda: encode.drawing(sheet))
    parameters: dict[str, Any] = {
        "kind": request.kind,
        "model": one.extractor.name,
        "version": request.version,
    }
    told = [asdict(verdict) for verdict in verdicts]
    parameters |= {"version": request.version, "verdicts": told, "notes": []}
    return Output(grid=grid, scores=verdicts[0].names, verdicts=tuple(verdicts), parameters=parameters)


def _inspected(
    image: Image.Image, places: np.ndarray, verdict: Verdict, alone: bool, explain: bool
) -> Image.Image:
    small = _small(image) if alone else ImageOps.pad(image, (CELL, CELL), color=GROUND)
    if not explain:
        return small
    if not alone:
        return figures.overlay(image.resize((CELL, CELL), Image.Resampling.BILINEAR), places)
    return figures.beside(small, places, verdict.regions)


def _classified(
    image: Image.Image, verdict: Verdict, one: inference.Loaded, explain: bool, reporter: Reporter
) -> Image.Image:
    if not explain:
        return ImageOps.pad(image, (CELL, CELL), color=GROUND)
    label = verdict.label or verdict.names[0][0]
    counts = in_slice(reporter, "why", lambda: inference.why(image, one, label))
    small = _small(image)
    both = Image.new("RGB", (2 * small.width + GAP, small.height), GROUND)
    both.paste(small, (0, 0))
    both.paste(explained.draw_heat(small, counts), (small.width + GAP, 0))
    return both


def _small(image: Image.Image) -> Image.Image:
    found = image.copy()
    found.thumbnail((MOST, MOST), Image.Resampling.LANCZOS)
    return found


def _sheet(shown: Sequence[Image.Image], verdicts: Sequence[Verdict]) -> Image.Image:
    """Return numbered pictures with frames in the colour of their verdicts, and what these are."""
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    high = CELL + LINE + GAP
    page = Image.new("RGB", (columns * (CELL + GAP) + GAP, rows * high + GAP), GROUND)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(15)
    for number, (image, verdict) in enumerate(zip(shown, verdicts, strict=True)):
        x, y = GAP + number % columns * (CELL + GAP), GAP + number // columns * high
        page.paste(image, (x, y))
        frame = STRANGE if verdict.strange else GOOD
        pen.rectangle((x, y, x + CELL - 1, y + CELL - 1), outline=frame, width=4)
        pen.text((x, y + CELL + 2), f"{number + 1}  {_short(verdict)}"[:32], INK, font)
    return page


def _short(verdict: Verdict) -> str:
    if not verdict.limit:
        return "none of these" if verdict.strange else f"{verdict.label} {verdict.score:.0%}"
    if not verdict.good:  # no parts that it was compared with: objects that were found
        return verdict.label or "nothing"
    ratio = f"{verdict.score / verdict.limit:.2f} x the limit"
    return f"{verdict.label} {ratio}" if verdict.label else ratio
