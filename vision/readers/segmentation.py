"""Masks and outlines: CLIPSeg's mask of what a text names, SAM's outline of what somebody points at
(arXiv:2304.02643), all objects of a picture by semantic segmentation (UPerNet, SegFormer), and the outline of
an object before a plain ground by its colours alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cachetools import LRUCache
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForSemanticSegmentation,
    AutoProcessor,
    CLIPSegForImageSegmentation,
    SamModel,
)

from core.errors import ModelError, UserError
from vision import devices
from vision.images.ops import Box, Flags, Real, connected, dilated, pieces

SEEN = 8  # pictures whose features are kept; 256 × 64 × 64 numbers each
Points = Sequence[tuple[float, float, int]]  # x, y, 1 = belongs to it, 0 = doesn't


@dataclass(frozen=True)
class Picked:
    """An object. mask: "L" at the picture's size, 255 = the object. score: 0..1, how sure the model is."""

    mask: Image.Image
    score: float


@dataclass(frozen=True)
class _Seen:
    features: Tensor
    original: Tensor  # (1, 2): height and width of the picture
    reshaped: Tensor  # (1, 2): what of the model's square it fills


class PointSegmenter:
    """A SAM in memory."""

    takes_words, takes_points = False, True

    def __init__(self, name: str, model: Any, processor: Any) -> None:
        self.name, self.model, self.processor = name, model, processor
        self._seen = LRUCache[str, _Seen](SEEN)

    def see(self, image: Image.Image, key: str = "") -> _Seen:
        """Return what the model sees in a picture, kept under ``key`` unless that is empty."""
        if not key:
            return self._embed(image)
        if key not in self._seen:
            self._seen[key] = self._embed(image)
        return self._seen[key]

    def _embed(self, image: Image.Image) -> _Seen:
        given = self.processor(images=image, return_tensors="pt")
        pixels = given["pixel_values"].to(self.model.device, self.model.dtype)
        with torch.no_grad():
            features = self.model.get_image_embeddings(pixels)
        return _Seen(features, given["original_sizes"], given["reshaped_input_sizes"])

    def pick(
        self, image: Image.Image, points: Points = (), box: Sequence[float] | None = None, *, key: str = ""
    ) -> Picked:
        """Return what is at ``points`` (x, y, 1 = belongs to it, 0 = doesn't) and in ``box``, px: the outline
        that the model trusts most of three, or the one that a box or several points leave."""
        seen = self.see(image, key)
        across, down = (float(seen.reshaped[0, i] / seen.original[0, i]) for i in (1, 0))
        given: dict[str, Any] = {}
        if points:
            places = [[[[x * across, y * down] for x, y, _ in points]]]
            given["input_points"] = torch.tensor(places, dtype=self.model.dtype, device=self.model.device)
            labels = [[[label for *_, label in points]]]
            given["input_labels"] = torch.tensor(labels, device=self.model.device)
        if box is not None:
            edges = [[[edge * (across, down)[i % 2] for i, edge in enumerate(box)]]]
            given["input_boxes"] = torch.tensor(edges, dtype=self.model.dtype, device=self.model.device)
        several = len(points) == 1 and box is None
        with torch.no_grad():
            found = self.model(image_embeddings=seen.features, multimask_output=several, **given)
        scores = found.iou_scores[0, 0].float().cpu()
        masks = self.processor.image_processor.post_process_masks(
            found.pred_masks.float().cpu(), seen.original, seen.reshaped
        )
        best = int(scores.argmax())
        flags = masks[0][0, best].numpy()
        score = min(1.0, max(0.0, float(scores[best])))
        return Picked(Image.fromarray(flags.astype("uint8") * 255), score)


GROUND = ("ground", "background")  # names of the class that is no object
KINDS = ("upernet", "segformer")  # model types
WHOLE = 32  # px: sides of what the model sees are multiples, else it halves them unevenly
LEAST = 0.002  # of the picture: smaller pieces are no objects
AROUND = 1.5  # times an object's longer side: the part that the second look is at
LOOKS = (1.5, 3.0)  # times an object's longer side: the parts by which it is named
FLOOR = 1e-3  # of a chance, so that one look alone rules nothing out
ALIKE = 0.02  # cosine: objects of one class that fit words within this are all meant
MAX_SIDE = 512  # px of the longer side of what CLIP is shown
Edges = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True, eq=False)
class Object:
    """An object as the first look finds it. piece: its cells in a grid over the picture. box: around them
    (left, top, right, bottom), shares of the sides. label: the model's class."""

    piece: Flags
    box: Edges
    label: int

    def part(self, size: tuple[int, int]) -> Box:
        """Return the part of a picture of ``size`` around the object, px."""
        left, top, right, bottom = (share * size[at % 2] for at, share in enumerate(self.box))
        side = AROUND * max(right - left, bottom - top)
        (x0, x1), (y0, y1) = _span(left, right, side, size[0]), _span(top, bottom, side, size[1])
        return x0, y0, x1, y1

    def at(self, x: float, y: float) -> bool:
        """Return whether the object is at a place, shares of the sides."""
        rows, columns = self.piece.shape
        row, column = min(max(int(y * rows), 0), rows - 1), min(max(int(x * columns), 0), columns - 1)
        return bool(self.piece[row, column])

    def inside(self, box: Edges) -> bool:
        """Return whether most of the object lies in a box, shares of the sides."""
        rows, columns = self.piece.shape
        ys, xs = np.nonzero(self.piece)
        x, y = (xs + 0.5) / columns, (ys + 0.5) / rows
        left, top, right, bottom = box
        return bool(((x > left) & (x < right) & (y > top) & (y < bottom)).mean() > 0.5)


class ObjectSegmenter:
    """A model of semantic segmentation in memory."""

    takes_words, takes_points = False, True

    def __init__(self, name: str, model: Any, processor: Any) -> None:
        self.name, self.model, self.processor = name, model, processor
        labels = {label.lower(): number for number, label in model.config.id2label.items()}
        known = [labels[name] for name in GROUND if name in labels]
        if not known:
            raise ModelError(f"{name} has no class called “ground” or “background”.")
        self.ground = known[0]
        self.side = int(processor.size.get("height") or processor.size["shortest_edge"])
        self._seen = LRUCache[str, list[Object]](SEEN)

    def see(self, image: Image.Image, key: str = "") -> list[Object]:
        """Return the objects of a picture, the largest first, kept under ``key`` unless that is empty."""
        if not key:
            return self._objects(image)
        if key not in self._seen:
            self._seen[key] = self._objects(image)
        return self._seen[key]

    def pick(
        self, image: Image.Image, points: Points = (), box: Sequence[float] | None = None, *, key: str = ""
    ) -> Picked:
        """Return the objects at ``points`` (x, y, 1 = belongs to it, 0 = doesn't), px, and those that lie
        mostly in ``box``; an empty mask for none."""
        wide, high = image.size
        edges = None if box is None else (box[0] / wide, box[1] / high, box[2] / wide, box[3] / high)
        chosen = []
        for obj in self.see(image, key):
            meant = {label for x, y, label in points if obj.at(x / wide, y / high)}
            if 0 not in meant and (1 in meant or (edges is not None and obj.inside(edges))):
                chosen.append(obj)
        return self.outline(image, chosen)

    def shown(self, image: Image.Image, objects: Sequence[Object]) -> list[Image.Image]:
        """Return a picture of each object, and last one of the ground with all of them painted over."""
        small = image.convert("RGB")
        small.thumbnail((MAX_SIDE, MAX_SIDE), reducing_gap=2)
        covered = np.logical_or.reduce([obj.piece for obj in objects])
        colours = np.asarray(small.resize(covered.shape[::-1], Image.Resampling.BOX)).copy()
        covered = dilated(covered, max(1, covered.shape[1] // 32))
        for y, row in enumerate(covered):
            rest = colours[y][~row] if not row.all() else colours[~covered]
            if row.any() and len(rest):
                colours[y][row] = rest.mean(0)
        return [*(small.crop(obj.part(small.size)) for obj in objects), Image.fromarray(colours)]

    def outline(self, image: Image.Image, objects: Sequence[Object]) -> Picked:
        """Return the outlines of ``objects`` in one mask, each looked at closely."""
        mask, scores = Image.new("L", image.size), []
        for obj in objects:
            part = obj.part(image.size)
            likely = 1 - self._look(image, part)[self.ground]
            piece = Image.fromarray(obj.piece.astype(np.uint8) * 255)
            across, down = piece.width / image.width, piece.height / image.height
            edges = (part[0] * across, part[1] * down, part[2] * across, part[3] * down)
            place = np.asarray(piece.resize(likely.shape[::-1], Image.Resampling.BILINEAR, edges)) > 127
            found = connected(place & (likely > 0.5), likely > 0.5)
            scores.append(float(likely[found].mean()) if found.any() else 0.0)
            alone = Image.fromarray(np.where(dilated(found, 1), likely, np.float32(0)))
            large = alone.resize((part[2] - part[0], part[3] - part[1]), Image.Resampling.BILINEAR)
            level = _levelled(np.asarray(large), np.asarray(image.convert("RGB").crop(part)))
            mask.paste(255, part[:2], Image.fromarray((level > 0.5).astype(np.uint8) * 255))
        return Picked(mask, min(scores, default=0.0))

    @property
    def labels(self) -> list[str]:
        """The names of its classes but the ground, in their order."""
        names = self.model.config.id2label
        return [str(names[number]) for number in sorted(names) if number != self.ground]

    def chances(self, image: Image.Image, obj: Object) -> Real:
        """Return (labels,): how likely each is an object's, by closer looks: with little around it and with
        much, as it stands and mirrored, of which the surer counts."""
        found = list[Real]()
        for mirrored in (False, True):
            looks = [self._likely(_surrounded(image, obj.box, around), mirrored) for around in LOOKS]
            likely: Real = np.exp(np.log(np.stack(looks) + FLOOR).mean(0))
            found.append(likely / likely.sum())
        return max(found, key=lambda likely: float(likely.max()))

    def _likely(self, part: Image.Image, mirrored: bool) -> Real:
        if mirrored:
            part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        shares = self._look(part, (0, 0, *part.size))
        inside = shares[self.ground] < 0.5
        likely = np.delete(shares[:, inside].sum(1), self.ground)
        return (likely / max(float(likely.sum()), 1e-9)).astype(np.float32)

    @torch.no_grad()
    def _look(self, image: Image.Image, part: Box) -> Real:
        """Return (classes, h, w): how likely each class is in the cells of a part of the picture, px."""
        wide, high = part[2] - part[0], part[3] - part[1]
        scale = self.side / (wide * high) ** 0.5
        size = [max(1, round(length * scale / WHOLE)) * WHOLE for length in (wide, high)]
        filter = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
        seen = image.convert("RGB").resize((size[0], size[1]), filter, part)
        pixels = self.processor(images=seen, do_resize=False, return_tensors="pt")["pixel_values"]
        logits = self.model(pixel_values=pixels.to(self.model.device, self.model.dtype)).logits
        return logits[0].float().softmax(0).cpu().numpy()

    def _objects(self, image: Image.Image) -> list[Object]:
        shares = self._look(image, (0, 0, *image.size))
        inside, objects = shares[self.ground] < 0.5, []
        for piece in pieces(inside, inside):
            if piece.sum() >= LEAST * piece.size:
                likely = shares[:, piece].sum(1)
                likely[self.ground] = 0
                objects.append(Object(piece, box_of(piece), int(likely.argmax())))
        return sorted(objects, key=lambda obj: -int(obj.piece.sum()))


def _surrounded(image: Image.Image, box: Edges, around: float) -> Image.Image:
    """Return a square of ``around`` times an object's longer side, beyond the picture in its rim's colour."""
    left, top, right, bottom = (share * image.size[at % 2] for at, share in enumerate(box))
    side = max(8, round(around * max(right - left, bottom - top)))
    x, y = round((left + right - side) / 2), round((top + bottom - side) / 2)
    pixels = np.asarray(image.convert("RGB"))
    rim = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    red, green, blue = (int(value) for value in np.median(rim, 0))
    part = Image.new("RGB", (side, side), (red, green, blue))
    part.paste(image, (-x, -y))
    return part


def meant(objects: Sequence[Object], fits: Sequence[float], ground: float) -> list[Object]:
    """Return the object that fits words best, with its like that fit as well; none where the ground does.

    fits, ground: how well the words fit each picture of ``ObjectSegmenter.shown``, cosines.
    """
    if not objects or ground > max(fits):
        return []
    best = max(range(len(objects)), key=fits.__getitem__)
    label, least = objects[best].label, fits[best] - ALIKE
    return [obj for obj, fit in zip(objects, fits, strict=True) if obj.label == label and fit >= least]


def _levelled(likely: Real, colours: NDArray[np.uint8]) -> Real:
    """Return (h, w) with its mean in every field between the rows and columns where the picture changes: a
    block of pixel art is of an object or not, as a whole. Elsewhere a field is one pixel."""
    edges = _changes(colours), _changes(colours.swapaxes(0, 1))
    if all(len(found) == side for found, side in zip(edges, likely.shape, strict=True)):
        return likely
    rows, columns = (np.diff(found, append=side) for found, side in zip(edges, likely.shape, strict=True))
    sums = np.add.reduceat(np.add.reduceat(likely, edges[0], 0), edges[1], 1)
    means = sums / np.outer(rows, columns)
    return means.repeat(rows, 0).repeat(columns, 1).astype(np.float32)


def _changes(colours: NDArray[np.uint8]) -> NDArray[np.intp]:
    return np.flatnonzero(np.concatenate(([True], (colours[1:] != colours[:-1]).any((1, 2)))))


def box_of(piece: Flags) -> Edges:
    """Return the box around what is set, as shares of the sides."""
    (rows, columns), (ys, xs) = piece.shape, np.nonzero(piece)
    edges = xs.min() / columns, ys.min() / rows, (xs.max() + 1) / columns, (ys.max() + 1) / rows
    left, top, right, bottom = map(float, edges)
    return left, top, right, bottom


def _span(begin: float, end: float, wanted: float, length: int) -> tuple[int, int]:
    """``wanted`` px around begin..end, inside of 0..length."""
    wanted = min(float(length), wanted)
    start = min(max(0.0, (begin + end - wanted) / 2), length - wanted)
    return int(start), min(length, max(int(start) + 1, round(start + wanted)))


NOTHING_FITS = (
    "Nothing in the picture fits these words. Try other words, or choose the part by `mask` or `fields`."
)
THRESHOLD = 0.4  # of the probability; its authors' examples use 0.3 to 0.5


class Segmenter:
    """A CLIPSeg in memory. card: the folder's ``atelier.json``; its "threshold" replaces THRESHOLD."""

    takes_words, takes_points = True, False

    def __init__(self, name: str, model: Any, processor: Any, card: Mapping[str, Any]) -> None:
        self.name, self.model, self.processor = name, model, processor
        self.threshold = float(card.get("threshold", THRESHOLD))

    @torch.no_grad()
    def probabilities(self, image: Image.Image, words: str) -> Tensor:
        """Return (h, w) of 0..1 at the model's own size, whatever the picture's shape."""
        how = {"padding": True, "truncation": True, "return_tensors": "pt"}
        given = self.processor(text=[words], images=[image], **how)
        logits = self.model(**devices.moved_to(self.model, given)).logits
        return logits.float().sigmoid().cpu().reshape(self.model.config.vision_config.image_size, -1)

    def mask(self, image: Image.Image, words: str) -> Image.Image:
        """Return an "L" mask at the picture's size, 255 where the words fit and a little around it.

        Raises UserError when nothing in the picture fits.
        """
        likely = self.probabilities(image, words)
        if float(likely.max()) < self.threshold:
            raise UserError(NOTHING_FITS)
        small = Image.fromarray((likely * 255).round().byte().numpy())
        large = small.resize(image.size, Image.Resampling.BILINEAR)
        return widened(large.point(lambda value: 255 * (value >= self.threshold * 255 - 0.5)))


def widened(mask: Image.Image) -> Image.Image:
    """Return a mask with a rim of a 128th of its shorter side."""
    return mask.filter(ImageFilter.MaxFilter(2 * max(1, min(mask.size) // 128) + 1))


def load_segmenter(
    folder: Path, name: str, card: Mapping[str, Any], device: str, dtype: torch.dtype
) -> Segmenter | PointSegmenter | ObjectSegmenter:
    """Load the folder of a CLIPSeg, a SAM, a UPerNet or a SegFormer. Raises ModelError for any other kind,
    and for one of the last two that has no class for the ground."""
    kind = AutoConfig.from_pretrained(folder, trust_remote_code=False).model_type
    if kind == "sam":
        model = devices.load_pretrained(SamModel, folder, device, dtype)
        return PointSegmenter(name, model, AutoProcessor.from_pretrained(folder, **devices.LOCAL))
    if kind in KINDS:
        model = devices.load_pretrained(AutoModelForSemanticSegmentation, folder, device, dtype)
        return ObjectSegmenter(name, model, AutoImageProcessor.from_pretrained(folder, **devices.LOCAL))
    if kind != "clipseg":
        raise ModelError(f"{name} is a {kind} model; SEGMENT_MODEL takes CLIPSeg, SAM, UPerNet or SegFormer.")
    model = devices.load_pretrained(CLIPSegForImageSegmentation, folder, device, dtype)
    return Segmenter(name, model, AutoProcessor.from_pretrained(folder, **devices.LOCAL), card)


SIDE = 256  # px of the longer side, at which pictures are looked at
# distance in RGB within which a pixel shows the ground; about what drawings' paper and noise have
NEAR = 28.0
BAND, SAMPLES = 12, 32  # a row's ground is sampled in a band of a twelfth of the height: that of a horizon
LEAST_OUTLINE, MOST = 0.1, 4.0  # of the rough place's area: an outline of less or more is of something else


def outlined(image: Image.Image, rough: Image.Image, others: Sequence[Image.Image] = ()) -> Image.Image:
    """Return the mask ("L", 255 = the object) of what stands out at about ``rough``, a mask of the same size;
    ``rough`` itself where nothing does. others: such masks of objects that aren't its ground."""
    scale = min(1.0, SIDE / max(image.size))
    size = max(8, round(image.width * scale)), max(8, round(image.height * scale))
    colours = np.asarray(image.resize(size, Image.Resampling.BOX), np.float32)
    near = np.asarray(rough.resize(size, Image.Resampling.BOX)) > 127
    if not near.any():
        return rough
    beside = np.zeros_like(near)
    for other in others:
        beside |= np.asarray(other.resize(size, Image.Resampling.BOX)) > 0
    obj = _object(solid_of(_apart(colours, near, beside)), near)
    if obj is None or not LEAST_OUTLINE <= obj.sum() / near.sum() <= MOST:
        return rough
    large = Image.fromarray(obj.astype(np.uint8) * 255).resize(image.size, Image.Resampling.BILINEAR)
    return large.point(lambda value: 255 * (value > 127))


def solid_of(flags: Flags) -> Flags:
    """Return flags with their holes filled: all that can't be reached from the picture's border."""
    border = np.zeros_like(flags)
    border[0] = border[-1] = border[:, 0] = border[:, -1] = True
    return ~connected(border & ~flags, ~flags)


def _apart(colours: NDArray[np.float32], near: Flags, beside: Flags) -> Flags:
    """Return which pixels show no colour around the object at their height, but of objects ``beside`` it."""
    ys, xs = np.nonzero(near)
    reach = max(3, round(0.3 * max(np.ptp(ys), np.ptp(xs))))
    around = ~dilated(near, reach)
    if (free := around & ~dilated(beside, reach)).any():
        around = free
    if not around.any():
        return np.zeros_like(near)
    chance, height = np.random.default_rng(0), len(colours)
    band, found = max(1, height // BAND), np.zeros(near.shape, np.float32)
    every = np.argwhere(around)
    for y in range(height):
        some = every[(every[:, 0] >= y - band) & (every[:, 0] <= y + band)]
        some = some if len(some) >= SAMPLES else every
        chosen = some[chance.integers(0, len(some), SAMPLES)]
        ground = colours[chosen[:, 0], chosen[:, 1]]  # (S, 3)
        found[y] = np.sqrt(np.square(colours[y][:, None] - ground).sum(-1).min(-1))
    return found > NEAR


def _object(solid: Flags, near: Flags) -> Flags | None:
    """Return the pieces mostly in the rough place, or the one with most of it; None for none."""
    found = list(pieces(solid & near, solid))
    if not found:
        return None
    best = max(found, key=lambda piece: int((piece & near).sum()))
    inside = [piece for piece in found if (piece & near).sum() > 0.5 * piece.sum()]
    least = 0.02 * best.sum()
    return np.logical_or.reduce([best, *(piece for piece in inside if piece.sum() > least)])
