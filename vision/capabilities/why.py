"""The button *Why?* under /classify: where in the picture its reader sees a label, laid over the picture."""

from functools import partial
from typing import Any

from PIL import Image

from core.errors import ModelError, UserError
from core.events import Output
from core.requests import WhyRequest
from vision.images import encode
from vision.readers import attribution
from vision.readers.photo import describe
from vision.reporter import Reporter
from vision.store import Models

GONE = "This reader doesn't know that label any more: its model was changed."
HOW = {
    "attention": "what it attended to, weighed with how much that changes the answer (attention rollout)",
    "covering": "how much the answer suffers when a part is covered",
    "faces": "the faces that were found",
}


def run(request: WhyRequest, images: encode.Pictures, models: Models, reporter: Reporter) -> Output:
    """See vision.capabilities. ``Output.scores`` has the label alone; ``Output.grid`` is the map."""
    image, labels = images[request.image], tuple(dict.fromkeys(request.labels))
    reason, name = _reason(image, request.label, labels, models, reporter)
    reporter.step(1, 1)
    drawn = partial(attribution.draw_heat, image, reason.counts, reason.seen)
    sheet = reporter.in_thread(lambda: encode.drawing(drawn()))
    notes = [
        f"Bright areas support the answer: {HOW[reason.how]}. This shows where, not whether it is right."
    ]
    parameters: dict[str, Any] = {"kind": request.kind, "model": name, "how": reason.how}
    parameters |= {"labels": list(request.labels), "notes": notes}
    return Output(grid=sheet, scores=((request.label, reason.chance),), parameters=parameters)


def _reason(
    image: Image.Image, label: str, labels: tuple[str, ...], models: Models, reporter: Reporter
) -> tuple[attribution.Reason, str]:
    """Return why the reader that /classify would ask says a label, and that reader's name. Raises
    UserError when it doesn't know the label."""
    looked = describe.look_at(image, models, reporter, "clip" if labels else "vit")
    if looked.chances is not None:
        found = describe.faces(image, models, reporter)
        if describe.knows(labels or (label,)):
            reader = models.get("photograph", reporter)
            reason = attribution.photograph_reason(reader, image, label, labels, found, reporter)
            return reason, reader.name
    if not labels:
        try:
            classifier = models.get("vit", reporter)
        except ModelError:
            labels = models.get("clip", reporter).labels
        else:
            if label not in classifier.labels:
                raise UserError(GONE)
            return attribution.classifier_reason(classifier, image, label, reporter), classifier.name
    if label not in labels:
        raise UserError(GONE)
    matcher = models.get("clip", reporter)
    return attribution.matcher_reason(matcher, image, label, labels, reporter), matcher.name
