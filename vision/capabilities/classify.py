"""/classify: how well labels fit a picture: given ones by CLIP or SigLIP, otherwise a classifier's own. Where
these are the demo models, photographs are read by a classifier of photographs."""

import logging

from PIL import Image

from core.errors import ModelError
from core.events import Output
from core.requests import ClassifyRequest
from vision.images import chart, encode
from vision.readers.photo import describe
from vision.reporter import Reporter
from vision.store import Models

log = logging.getLogger(__name__)


def run(request: ClassifyRequest, images: encode.Pictures, models: Models, reporter: Reporter) -> Output:
    """``Output.scores`` has every given label, or the best ``top_k``; ``Output.grid`` is the chart."""
    image, labels = images[request.image], tuple(dict.fromkeys(request.labels))
    looked = describe.look_at(image, models, reporter, "clip" if labels else "vit")
    notes, knows = [looked.note] if looked.note else [], looked.knows
    read = _photograph(image, labels, looked, request.top_k, models, reporter, notes)
    if read is not None:
        scores, name = read
    elif labels:
        knows = describe.DRAWING if knows else ""
        scores, name = _match(image, labels, models, reporter)
    else:
        try:
            classifier = models.get("vit", reporter)
            scores = reporter.batched("classifier", classifier.classify_each, (image, request.top_k))
            name = classifier.name
        except ModelError as error:
            log.warning("no classifier (%s); CLIP's default labels are used", error)
            scores, name = _match(image, None, models, reporter)
            scores = scores[: request.top_k]
            notes.append("There is no classifier; a default list of labels was tried with CLIP.")
    reporter.step(1, 1)
    sheet = reporter.in_thread(lambda: encode.png(chart.draw_chart(scores, title=f"{name}")))
    parameters = {"kind": request.kind, "model": name, "labels": list(request.labels), "notes": notes}
    parameters |= {"knows": knows} if knows else {}
    return Output(grid=sheet, scores=tuple(scores), parameters=parameters)


def _photograph(
    image: Image.Image,
    labels: tuple[str, ...],
    looked: describe.Look,
    top_k: int,
    models: Models,
    reporter: Reporter,
    notes: list[str],
) -> tuple[list[tuple[str, float]], str] | None:
    """Return scores, and the name of the reader of photographs; None when another is to read the picture,
    for a reason that is added to ``notes`` where it isn't that the picture is drawn."""
    if looked.chances is None:
        return None
    name = models.get("photograph", reporter).name
    found = describe.faces(image, models, reporter)
    if not labels:
        return describe.best_with_faces(looked.chances, found, top_k), name
    scores, unknown = describe.compare_labels(looked.chances, found, labels)
    if not unknown:
        return scores, name
    notes.append(
        f"This looks like a photograph, but {name} knows nothing called {', '.join(unknown[:5])}; a model"
        " that knows drawings compared the labels."
    )
    return None


def _match(
    image: Image.Image, labels: tuple[str, ...] | None, models: Models, reporter: Reporter
) -> tuple[list[tuple[str, float]], str]:
    matcher = models.get("clip", reporter)
    labels = labels or matcher.labels
    chances = matcher.probabilities(image, labels, reporter.batched_as("clip"))
    return sorted(zip(labels, chances, strict=True), key=lambda pair: -pair[1]), matcher.name
