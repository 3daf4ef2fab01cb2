"""The editor's: pictures laid on a canvas; what is marked, and what none of them covers, is drawn.

Every pixel that is neither marked nor uncovered, nor within the seam along an uncovered part, is the composed
picture's. The model gets a crop around what is to be drawn, so a canvas may be larger than it can draw.
"""

import math
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image

from core.errors import UserError
from core.events import Output
from core.requests import ComposeRequest
from core.requests.images import Layer
from vision.diffusion import inpaint
from vision.diffusion import task as drawing
from vision.diffusion.generate import generate
from vision.diffusion.model import ImageModel
from vision.images import encode, ops
from vision.reporter import Reporter
from vision.store import Models
from vision.weights.card import Card


@dataclass(frozen=True)
class Composed:
    """Pictures on a canvas. colour: (h, w, 3), black where none lies. covered: where one does."""

    colour: np.ndarray
    covered: ops.Flags

    @property
    def size(self) -> tuple[int, int]:
        """(w, h), px."""
        return self.colour.shape[1], self.colour.shape[0]


def compose_layers(canvas: tuple[int, int], layers: tuple[Layer, ...], images: encode.Pictures) -> Composed:
    """Return ``layers``, the lowest first, on a canvas of (w, h) px. images: SHA-256 → picture. What is not
    opaque is mixed with what lies below it; over nothing it is as if it were opaque."""
    width, height = canvas
    colour, covered = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), bool)
    for sha256, x, y, scale, opacity, clip in layers:
        picture = images[sha256]
        box = _place(picture.size, x, y, scale, canvas)
        if box is None or opacity <= 0:
            continue
        left, top, right, bottom = box
        inside = slice(top, bottom), slice(left, right)
        above = np.asarray(_part(picture, box, x, y, scale))
        shown = np.ones(above.shape[:2], bool)
        if clip is not None:  # the layer's own mask
            shown = np.asarray(_part(images[clip].convert("L"), box, x, y, scale)) >= 128
        below = covered[inside] & shown
        if opacity < 1:
            mixed = above * opacity + colour[inside] * (1 - opacity)
            above = np.where(below[..., None], mixed.round().astype(np.uint8), above)
        np.copyto(colour[inside], above, where=shown[..., None])
        covered[inside] |= shown
    return Composed(colour, covered)


def _place(
    size: tuple[int, int], x: float, y: float, scale: float, canvas: tuple[int, int]
) -> ops.Box | None:
    """Return the pixels of the canvas whose centres a layer covers, None for none."""
    left, top = max(0, math.ceil(x - 0.5)), max(0, math.ceil(y - 0.5))
    right = min(canvas[0], math.ceil(x + size[0] * scale - 0.5))
    bottom = min(canvas[1], math.ceil(y + size[1] * scale - 0.5))
    return (left, top, right, bottom) if left < right and top < bottom else None


def _part(picture: Image.Image, box: ops.Box, x: float, y: float, scale: float) -> Image.Image:
    """Return what a layer shows in ``box``: copied where it can be, else by Lanczos where it shrinks and by
    bicubic interpolation where it grows."""
    # what of the layer's own px lies under it
    own = ((edge - at) / scale for edge, at in zip(box, (x, y, x, y), strict=True))
    part = [min(max(edge, 0.0), most) for edge, most in zip(own, (*picture.size, *picture.size), strict=True)]
    if scale == 1 and x == int(x) and y == int(y):
        return picture.crop((int(part[0]), int(part[1]), int(part[2]), int(part[3])))
    method = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC
    # with at least a little of the picture in it: a layer may be smaller than a pixel
    left, top = min(part[0], picture.width - 1e-3), min(part[1], picture.height - 1e-3)
    inside = left, top, max(part[2], left + 1e-3), max(part[3], top + 1e-3)
    return picture.resize((box[2] - box[0], box[3] - box[1]), method, inside)


@dataclass(frozen=True)
class Plan:
    """What is drawn. layout: the crop and the model's size of it. alpha: how much of its pixels is new."""

    composed: Composed = field(repr=False)
    layout: inpaint.RegionLayout
    alpha: ops.Real = field(repr=False)

    @property
    def crop(self) -> Image.Image:
        """The composed picture under the crop."""
        return Image.fromarray(ops.part(self.composed.colour, self.layout.box))

    @property
    def covered(self) -> ops.Flags:
        """What of the crop some layer covers."""
        return ops.part(self.composed.covered, self.layout.box)


def run(request: ComposeRequest, images: encode.Pictures, models: Models, reporter: Reporter) -> Output:
    """See vision.capabilities."""
    model = models.image(request.model, reporter)
    plan = reporter.in_thread(lambda: plan_canvas(request, images, model.card))
    task = prepare(request, plan, model)
    task = drawing.with_references(task, request, images, model, models, reporter)
    reporter.place(plan.layout.box)
    drawn = generate(model, task.generation, reporter)
    return reporter.in_thread(
        lambda: drawing.output(task, drawn, [pasted(one, plan, model) for one in drawn.images])
    )


def plan_canvas(request: ComposeRequest, images: encode.Pictures, card: Card) -> Plan:
    """Return what is to be drawn. Raises UserError when the canvas is covered and nothing is marked."""
    composed = compose_layers(request.canvas, request.layers, images)
    marked = np.zeros(composed.covered.shape, bool)
    if request.mask_image is not None:
        mask = images[request.mask_image].convert("L").resize(composed.size, Image.Resampling.NEAREST)
        marked = np.asarray(mask) >= 128
    uncovered = ~composed.covered
    touched = marked | (ops.distance(uncovered, request.seam) <= request.seam)
    if not touched.any():
        raise UserError(
            "There is nothing to draw: the pictures cover the whole canvas, and nothing is painted over."
        )
    # what no layer covers continues the picture; only what is painted over all of it is a thing of its own
    layout = inpaint.plan_region(_marks(touched), card, near=request.remix and not uncovered.any())
    inside, gaps = (np.asarray(_marks(one).crop(layout.box)) > 0 for one in (marked, uncovered))
    edge = max(1, min(inside.shape) // 64)
    return Plan(composed, layout, ops.alpha(inside, gaps, request.seam, edge))


def prepare(request: ComposeRequest, plan: Plan, model: ImageModel) -> drawing.Task:
    """Return the task: the crop at the model's scale with its gaps filled, and what to paint of it."""
    card, size = model.card, plan.layout.size
    known = encode.resize(_marks(plan.covered), size)
    start = encode.resize(plan.crop, size)
    usual = card.region
    if not plan.covered.all():
        start, usual = ops.filled(start, known), card.outpaint.strength
    mask = inpaint.widened(_marks(plan.alpha > 0), size, card)
    task = drawing.prepare_inpainting(request, model, size, start, mask, usual)
    width, height = request.canvas
    used = {"width": width, "height": height, "seam": request.seam, "box": list(plan.layout.box)}
    return replace(task, parameters=task.parameters | used)


def pasted(painted: Image.Image, plan: Plan, model: ImageModel) -> Image.Image:
    """Return the composed picture with ``painted`` in its place."""
    if plan.covered.all():
        added = ops.tone(plan.crop, painted, plan.alpha > 0)
    else:
        kept = np.asarray(encode.resize(_marks(plan.alpha == 0), painted.size)) == 255
        blur = max(2.0, min(painted.size) / 16)
        added = ops.drift(encode.resize(plan.crop, painted.size), painted, kept, blur)
    return inpaint.paste(plan.composed.colour, model.enlarged(painted), added, plan.alpha, plan.layout)


def _marks(flags: ops.Flags) -> Image.Image:
    return Image.fromarray(flags.astype(np.uint8) * 255)
