"""/outpaint: a larger canvas around a picture whose own pixels stay, with no visible seam.

The new area is the picture mirrored and blurred, with noise. A mask with a soft edge reaches a band into the
old picture, and the model paints there. Near the seam its colours are drawn to the old picture's. Then the
old pixels are pasted over it, fading only within the band and only at edges that were extended.

A small model draws its words once more around the picture, a house around a house. Where its card says so and
nobody gave words of their own, the picture's still ground goes on instead: each row and column with its own
colours and the mirrored grain, without the objects there; one that the border cuts is rounded off behind it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from PIL import Image, ImageFilter

from core.errors import UserError
from core.events import Output
from core.limits import MAX_SIDE
from core.requests import OutpaintRequest
from vision.diffusion import task as drawing
from vision.diffusion.generate import generate
from vision.diffusion.model import ImageModel
from vision.diffusion.parameters import Drawn
from vision.images import encode, ops
from vision.images.ops import Real
from vision.reporter import Reporter
from vision.store import Models
from vision.video.cutout.compose import SHADOW, filled, find_object_mask
from vision.weights.card import Card

NOISE = 40  # standard deviation of the noise under the new area, of 255
STILL = (
    "{} can't continue an object at the border, so only the background was extended. Say what to draw there."
)


@dataclass(frozen=True)
class CanvasLayout:
    """Where the old picture lies on the canvas. width, height: of the old picture; left, top, right, bottom:
    what is added on each side; all in px of the finished picture. size: (w, h) of the canvas at the model's
    scale. band: px of the old picture, at the model's scale, that are painted again along extended edges."""

    width: int
    height: int
    left: int
    top: int
    right: int
    bottom: int
    size: tuple[int, int]
    band: int

    @property
    def canvas(self) -> tuple[int, int]:
        """(w, h) of the canvas in finished px."""
        return self.width + self.left + self.right, self.height + self.top + self.bottom

    @property
    def scale(self) -> tuple[float, float]:
        """Model px for each finished px, across and down."""
        return self.size[0] / self.canvas[0], self.size[1] / self.canvas[1]

    def seam(self) -> tuple[int, int]:
        """Return how wide the fading is, finished px: the band, at most a third of the old picture."""
        across, down = (max(1, round(self.band / scale)) for scale in self.scale)
        return min(across, self.width // 3), min(down, self.height // 3)


def run(request: OutpaintRequest, images: encode.Pictures, models: Models, reporter: Reporter) -> Output:
    """See vision.capabilities."""
    model = models.image(request.model, reporter)
    assert request.image is not None  # its constructor has checked that
    image = images[request.image]
    layout = plan_canvas(request, image.size, model.card)
    task = prepare(request, image, layout, model)
    if model.card.outpaint.still and not request.remix:
        objects = find_object_mask(image, "", models, reporter)
        return reporter.in_thread(lambda: _still_output(task, model.name, image, objects, layout))
    task = drawing.with_references(task, request, images, model, models, reporter)
    reporter.place((0, 0, *layout.canvas))
    drawn = generate(model, task.generation, reporter)
    return reporter.in_thread(
        lambda: drawing.output(task, drawn, [paste_back(one, image, layout) for one in drawn.images])
    )


def prepare(
    request: OutpaintRequest, image: Image.Image, layout: CanvasLayout, model: ImageModel
) -> drawing.Task:
    """Return the task: canvas and mask at the model's scale, with its parameters and notes."""
    strength, start = model.card.outpaint.strength, canvas(image, layout)
    otherwise = "the whole canvas was redrawn and the old picture laid over it"
    mask = paint_mask(layout)
    task = drawing.prepare_inpainting(request, model, layout.size, start, mask, strength, otherwise)
    width, height = layout.canvas
    sides = {name: getattr(request, name) for name in ("left", "top", "right", "bottom")}
    own = {**sides, "width": width, "height": height, "seam": max(layout.seam())}
    return replace(task, parameters=task.parameters | own)


def _still_output(
    task: drawing.Task, name: str, image: Image.Image, objects: Image.Image | None, layout: CanvasLayout
) -> Output:
    """Return the output of a task for which the ground goes on; its pictures are all the same."""
    pictures = (extended(image, objects, layout),) * len(task.generation.seeds)
    parameters = drawing.undrawn(task).parameters | {"seam": _rim(image)}
    still = replace(task, parameters=parameters, notes=(STILL.format(name),))
    return drawing.output(still, Drawn(pictures), pictures)


def plan_canvas(request: OutpaintRequest, size: tuple[int, int], card: Card) -> CanvasLayout:
    """Return the layout of the canvas: about the native area, up to the card's ``outpaint.max_area`` times
    that. size: (w, h) of the old picture, px. Raises UserError for over MAX_SIDE px a side or 8:1."""
    width, height = size
    total = width + request.left + request.right, height + request.top + request.bottom
    if max(total) > MAX_SIDE:
        raise UserError(
            f"The canvas would have {total[0]}x{total[1]} px; up to {MAX_SIDE} px a side fit. Add less, or"
            " start from a smaller picture."
        )
    if max(total) > 8 * min(total):
        raise UserError(f"The canvas would have {total[0]}x{total[1]} px; up to 8:1 fits.")
    native = card.native_size**2
    area = min(max(total[0] * total[1], 0.75 * native), card.outpaint.max_area * native)
    scale = math.sqrt(area / (total[0] * total[1]))
    sides = request.left, request.top, request.right, request.bottom
    drawn = encode.round_to(total[0] * scale, card.multiple), encode.round_to(total[1] * scale, card.multiple)
    return CanvasLayout(*size, *sides, drawn, card.outpaint.band or max(16, card.native_size // 24))


def _old(layout: CanvasLayout) -> tuple[int, int, int, int]:
    """Return the old picture's box (left, top, right, bottom) at the model's scale."""
    across, down = layout.scale
    left, top = round(layout.left * across), round(layout.top * down)
    right, bottom = layout.left + layout.width, layout.top + layout.height
    return left, top, max(left + 1, round(right * across)), max(top + 1, round(bottom * down))


def canvas(image: Image.Image, layout: CanvasLayout) -> Image.Image:
    """Return the old picture in its place at the model's scale; around it lies its mirror image, blurred,
    with noise that is always the same (the seed is the model's)."""
    left, top, right, bottom = _old(layout)
    width, height = layout.size
    old = np.asarray(encode.resize(image, (right - left, bottom - top)))
    padded = np.pad(old, ((top, height - bottom), (left, width - right), (0, 0)), mode="symmetric")
    blur = ImageFilter.GaussianBlur(max(2, min(width, height) / 32))
    blurred = np.asarray(Image.fromarray(padded).filter(blur), np.float32)
    around = (blurred + np.random.default_rng(0).normal(0, NOISE, padded.shape)).clip(0, 255).astype(np.uint8)
    around[top:bottom, left:right] = old
    return Image.fromarray(around)


def paint_mask(layout: CanvasLayout) -> Image.Image:
    """Return the "L" mask, 255 = paint: the new area and a soft band of the old along extended edges."""
    left, top, right, bottom = _old(layout)
    across, down = min(layout.band, (right - left) // 3), min(layout.band, (bottom - top) // 3)
    paint = np.full((layout.size[1], layout.size[0]), 255, np.uint8)
    keep_left, keep_right = left + across * bool(layout.left), right - across * bool(layout.right)
    keep_top, keep_bottom = top + down * bool(layout.top), bottom - down * bool(layout.bottom)
    paint[keep_top:keep_bottom, keep_left:keep_right] = 0
    return Image.fromarray(paint).filter(ImageFilter.GaussianBlur(max(1, layout.band // 3)))


def paste_back(painted: Image.Image, image: Image.Image, layout: CanvasLayout) -> Image.Image:
    """Return the canvas in finished px. Old pixels stay, but for ``seam`` px where they fade."""
    large = np.asarray(encode.resize(painted, layout.canvas), np.float32) + correction(painted, image, layout)
    box = slice(layout.top, layout.top + layout.height), slice(layout.left, layout.left + layout.width)
    old, under = np.asarray(image, np.float32), large[box]
    weight = _fade(layout)[..., None]  # (h, w, 1), 1 = the old pixel
    large[box] = old * weight + under * (1 - weight)
    return Image.fromarray(large.round().clip(0, 255).astype(np.uint8))


def correction(painted: Image.Image, image: Image.Image, layout: CanvasLayout) -> np.ndarray:
    """Return (H, W, 3), to be added to the enlarged ``painted``: the old picture's soft difference from it,
    fading to nothing away from the old picture."""
    left, top, right, bottom = _old(layout)
    old, known = painted.copy(), np.zeros((layout.size[1], layout.size[0]), bool)
    old.paste(encode.resize(image, (right - left, bottom - top)), (left, top))
    known[top:bottom, left:right] = True
    small = ops.drift(old, painted, known, 1.5 * layout.band)
    return np.asarray(small.resize(layout.canvas, Image.Resampling.BICUBIC), np.float32) - 128


def _fade(layout: CanvasLayout) -> np.ndarray:
    """Return (h, w): 1 inside, falling smoothly to 0 at extended edges over ``seam`` px."""
    across, down = layout.seam()

    def ramp(length: int, width: int, start: bool, end: bool) -> np.ndarray:
        distance = np.arange(length) + 0.5
        line = np.ones(length)
        for present, away in ((start, distance), (end, distance[::-1])):
            if present and width:
                t = np.clip(away / width, 0, 1)
                line *= t * t * (3 - 2 * t)
        return line

    return np.outer(
        ramp(layout.height, down, layout.top > 0, layout.bottom > 0),
        ramp(layout.width, across, layout.left > 0, layout.right > 0),
    )


# of a side: decoders darken and lighten the edges of their pictures, which nobody wants to go on
RIM = 1 / 40
TREND = 1 / 16  # of the height: what changes more slowly up and down goes on as it is at the border
GRAIN = 12.0  # of 255: what differs much more from that isn't grain but a horizon
STRIP = 1 / 4  # of the height, whose grain goes on above and below
EVEN = 1 / 8  # of a side, over which what lies along the border becomes even, so that it draws no streaks
JOIN = 1 / 32  # of a side, over which what the ground lacks at the border fades
ROUND = 1 / 16  # of a side: so far at most an object that the border cut off goes on


def _rim(image: Image.Image) -> int:
    return max(1, round(max(image.size) * RIM))


def extended(image: Image.Image, objects: Image.Image | None, layout: CanvasLayout) -> Image.Image:
    """Return the canvas in finished px with the picture's ground around it. Old pixels stay exactly as they
    were, but for ``_rim`` px along extended edges. objects: "L" at its size, 255 = none of the ground."""
    rim, longer, (width, height) = _rim(image), max(image.size), image.size
    added = np.array((layout.left, layout.top, layout.right, layout.bottom))
    cut = np.where(added > 0, np.minimum(rim, np.array((width, height, width, height)) // 4), 0)
    box = (int(cut[0]), int(cut[1]), width - int(cut[2]), height - int(cut[3]))
    left, top, right, bottom = (int(each) for each in added + cut)
    colours = np.asarray(image.convert("RGB").crop(box), np.float32)
    inside = np.zeros(colours.shape[:2], bool) if objects is None else np.asarray(objects.crop(box)) > 127
    inside = ops.dilated(inside, max(1, longer // 256))  # with the soft edge
    hole = ops.dilated(inside, round(SHADOW * longer / 2))
    ground = colours if hole.all() else filled(colours, hole)
    wide = _continued(ground, colours, inside, left, right, partial(_mirrored, most=ground.shape[1]))
    beside = ((0, 0), (left, right))
    there, behind = np.pad(inside, beside), wide.copy()
    behind[:, left : left + colours.shape[1]] = ground
    across = np.swapaxes(behind, 0, 1), np.swapaxes(wide, 0, 1), there.T
    full = _continued(*across, top, bottom, _bands)
    return Image.fromarray(np.swapaxes(full, 0, 1).round().clip(0, 255).astype(np.uint8))


def _continued(
    ground: Real,
    colours: Real,
    inside: ops.Flags,
    before: int,
    behind: int,
    beyond: Callable[[Real, int], Real],
) -> Real:
    """Return ``colours`` (h, w, 3) with ``before`` and ``behind`` columns beside them. inside: what of
    them is an object (h, w). beyond: so many columns that go on before the first of the ground."""
    parts = [colours]
    for count, way in ((before, slice(None)), (behind, slice(None, None, -1))):
        if not count:
            continue
        new, line, objects = beyond(ground[:, way], count), colours[:, way][:, 0], inside[:, way][:, 0]
        missing = np.where(objects[:, None], 0, line - new[:, 0])
        fading = np.exp(-np.arange(count) / (JOIN * ground.shape[1]))
        new = new + missing[:, None] * fading[None, :, None]
        _round_off(new, line, objects, round(ROUND * ground.shape[1]))
        parts = [new[:, ::-1], *parts] if way.step is None else [*parts, new]
    return np.concatenate(parts, 1)


def _mirrored(ground: Real, count: int, most: int) -> Real:
    """Return ``count`` columns before the first: the ``most`` first ones mirrored, there and back."""
    away = np.arange(count) % (2 * most)
    return ground[:, np.where(away < most, away, 2 * most - 1 - away)]


def _bands(ground: Real, count: int) -> Real:
    """Return ``count`` columns that go on before the first, in its colours and with the grain near it: skies
    and grounds go on without what lies at the other side of a horizon."""
    width = ground.shape[1]
    soft = _softened(ground, max(1, round(TREND * width)))
    grain = ground - soft
    grain = grain * np.exp(-((grain / GRAIN) ** 2))
    border, even = soft[:, :1], _softened(soft[:, 0][None], max(1, round(EVEN * len(ground))))[0][:, None]
    fading = np.exp(-np.arange(count) / (EVEN * width))[None, :, None]
    return even + (border - even) * fading + _mirrored(grain, count, max(1, round(STRIP * width)))


def _softened(values: Real, reach: int) -> Real:
    """Return the values (h, w, 3), each the soft mean of those ``reach`` columns around it."""
    for _ in range(3):
        padded = np.pad(values, ((0, 0), (reach + 1, reach), (0, 0)), mode="edge")
        sums = np.cumsum(padded, axis=1, dtype=np.float64)
        values = ((sums[:, 2 * reach + 1 :] - sums[:, : -2 * reach - 1]) / (2 * reach + 1)).astype(np.float32)
    return values


def _round_off(new: Real, line: Real, inside: ops.Flags, most: int) -> None:
    """Let objects that the border cuts off end in ``new`` (h, w, 3), whose first column lies beside ``line``
    (h, 3): each as half an ellipse, in the colours that it has along the line. inside: of the line."""
    ends = np.flatnonzero(np.diff(inside.astype(np.int8), prepend=0, append=0))
    places = np.arange(len(line)) + 0.5
    for begin, end in zip(ends[::2], ends[1::2], strict=True):
        half, middle = (end - begin) / 2, (begin + end) / 2
        depth = min(most, math.ceil(half), new.shape[1])
        for away in range(depth):
            wide = half * math.sqrt(1 - ((away + 0.5) / max(depth, 1)) ** 2)
            share = np.clip(wide - np.abs(places - middle) + 0.5, 0, 1)[:, None]
            source = begin + (places - middle + wide) / (2 * wide) * (end - begin)
            colours = line[source.clip(begin, end - 1).astype(int)]
            new[:, away] = new[:, away] * (1 - share) + colours * share
