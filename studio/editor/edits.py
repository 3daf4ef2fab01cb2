"""From a document to a request: which kind it is, and what is told of it. Pure; the rules are these:

| the document | becomes |
|---|---|
| one picture on a canvas of its size, something painted | ``RegionRequest`` |
| one picture at whole px inside of a larger canvas, nothing painted | ``OutpaintRequest`` |
| one picture on a canvas of its size, nothing painted, but words or an amount | ``VariationRequest`` |
| anything else that leaves something to draw | ``ComposeRequest`` |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.errors import UserError
from core.limits import KEPT, MAX_SIDE
from core.requests import GenerateRequest
from studio.asking import actions
from studio.asking.new_job import NewJob, PromptWithPictures, Source
from studio.editor.document import Document, Layer

ROLES = {"style": "style_references", "character": "character_references", "thing": "omni_references"}
NOTHING = (
    "There is nothing to draw: paint over a part, make the canvas larger than the picture, or say what is to"
    " be different."
)
SEEN = "No picture can be seen on the canvas: show a layer, or make one less transparent."
REGION, OUTPAINT, VARIATION, RETEXTURE, COMPOSE = "region", "outpaint", "variation", "retexture", "compose"
SAID = {
    REGION: "The painted part is drawn anew; every other pixel stays.",
    OUTPAINT: "What is added to the canvas is drawn; the picture fades into it along that edge.",
    VARIATION: "The whole picture is drawn anew from itself (image-to-image).",
    RETEXTURE: (
        "Other looks for the same shapes, by image-to-image: this studio has no ControlNet, so shapes may"
        " move a little; a smaller amount keeps them better."
    ),
    COMPOSE: "The layers are put together; what is painted over, and what no layer covers, is drawn.",
}
CONTROLLED = (
    "Other looks for the same shapes, which are kept by their edges (ControlNet); with a model that it"
    " doesn't fit, by image-to-image, which the result tells."
)


@dataclass(frozen=True)
class Laid:
    """A layer that can be seen, with its picture."""

    layer: Layer
    source: Source


@dataclass(frozen=True)
class Plan:
    """What a document becomes. said: what it does, in a sentence. seam: px of what is covered that change
    along uncovered parts, None = the model decides."""

    kind: str
    said: str
    seam: int | None = 0


def plan(document: Document, laid: Sequence[Laid], painted: bool, *, controlnet: bool = False) -> Plan:
    """Return what ``document`` becomes. laid: its layers that can be seen. painted: its mask isn't empty.
    controlnet: the host has set one up.

    Raises UserError when nothing is seen, or nothing is left to draw.
    """
    if not laid:
        raise UserError(SEEN)
    kind = _kind(document, laid, painted)
    if kind == COMPOSE:
        request = _compose(document, laid, None, None).request
        return Plan(kind, SAID[kind], getattr(request, "seam", 0))
    said = CONTROLLED if kind == RETEXTURE and controlnet else SAID[kind]
    return Plan(kind, said, None if kind == OUTPAINT else 0)


def _kind(document: Document, laid: Sequence[Laid], painted: bool) -> str:
    first = laid[0]
    if len(laid) > 1 or not first.layer.is_plain:
        return COMPOSE
    x, y, source = int(first.layer.x), int(first.layer.y), first.source
    right, bottom = document.width - x - source.width, document.height - y - source.height
    if (x, y, right, bottom) == (0, 0, 0, 0):
        if painted:
            return REGION
        if document.keep_structure:
            return RETEXTURE
        if document.words.strip() or document.amount is not None:
            return VARIATION
        raise UserError(NOTHING)
    fits = max(document.width, document.height) <= MAX_SIDE
    if min(x, y, right, bottom) >= 0 and not painted and not document.keep_seam and fits:
        return OUTPAINT
    if max(x, y, right, bottom) <= 0 and not painted:
        raise UserError(NOTHING)
    return COMPOSE


def job_of(
    document: Document,
    laid: Sequence[Laid],
    words: PromptWithPictures | None,
    mask: str | None,
    references: Mapping[str, Sequence[str]] | None = None,
) -> NewJob:
    """Return the job that ``document`` asks for.

    words: None = the picture's own. mask: SHA-256 of what is painted, None for nothing. references: role →
    SHA-256 of pictures beside the words. Raises UserError as ``plan`` does, and for numbers out of range.
    """
    kind = plan(document, laid, mask is not None).kind
    source = laid[0].source
    if kind == REGION:
        new = actions.region(source, words, mask=mask)
    elif kind == OUTPAINT:
        new = actions.outpaint(source, _sides(document, laid[0]), words)
    elif kind in (VARIATION, RETEXTURE):
        new = actions.variation(source, "subtle" if kind == RETEXTURE else "strong", words)
    else:
        new = _compose(document, laid, words, mask)
    private = new.private or any(one.source.private for one in laid)
    request: Any = new.request
    given = _chosen(document, references or {}, request)
    if kind == RETEXTURE:
        given["keep_structure"] = True
    elif document.keep_structure:
        given.setdefault("strength", KEPT)
    return replace(new, request=replace(request, **given), private=private)


def _sides(document: Document, one: Laid) -> dict[str, int]:
    x, y = int(one.layer.x), int(one.layer.y)
    right, bottom = document.width - x - one.source.width, document.height - y - one.source.height
    return {"left": x, "top": y, "right": right, "bottom": bottom}


def _compose(
    document: Document, laid: Sequence[Laid], words: PromptWithPictures | None, mask: str | None
) -> NewJob:
    """Return the composed job: a child of the lowest layer that a job has made."""
    made = [one.source for one in laid if one.source.job is not None]
    layers = [
        (one.source.sha256, one.layer.x, one.layer.y, one.layer.scale, one.layer.opacity, one.layer.clip)
        for one in laid
    ]
    return actions.compose(
        made[0] if made else laid[0].source,
        words,
        canvas=(document.width, document.height),
        layers=layers,
        mask=mask,
        keep_seam=document.keep_seam,
    )


def _chosen(
    document: Document, references: Mapping[str, Sequence[str]], request: GenerateRequest
) -> dict[str, Any]:
    """Return the fields of the request that the document sets beside its words."""
    given: dict[str, Any] = {"num_images": document.images}
    if document.amount is not None:
        given["strength"] = document.amount
    if document.seed is not None:
        given["seed"] = document.seed
    for role, pictures in references.items():
        before = getattr(request, ROLES[role])
        given[ROLES[role]] = (*before, *((sha256, 1.0) for sha256 in pictures))
    return given
