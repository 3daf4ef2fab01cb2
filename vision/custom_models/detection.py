"""A detector, its training from marked pictures and what is kept of it: each object is a point in a heat map
of its label, with how far its sides are from there. CenterNet (arXiv:1904.07850), taught as TTFNet
(arXiv:1909.00700) does, from nothing.

What an object is called is told once more from a closer look, brought to one size, so that a small nut and a
large one look alike."""

import hashlib
import io
import math
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import box_iou, generalized_box_iou_loss

from core.errors import ModelError, UserError
from vision.custom_models.features import CustomModel, Extractor, pixels
from vision.custom_models.snapshot import TRAIN, Item, Snapshot
from vision.custom_models.steps import Step, Store
from vision.custom_models.thresholds import USUAL


def block(before: int, after: int, stride: int = 1) -> nn.Sequential:
    """Return a convolution with what follows it."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
    )


class Twice(nn.Module):
    """Two convolutions beside a way round them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = block(width, width), block(width, width)

    def forward(self, seen: Tensor) -> Tensor:
        """(B, C, h, w) to the same."""
        return seen + self.second(self.first(seen))


CLOSE = 48  # px of the square that an object is brought to
FINER = 2  # samples along a pixel of it, whose mean it is, so that a large object's fine pattern stays grey
AROUND = 1.25  # side of the square that is looked at, in longer sides of a box
FLAT = 1e-3  # variance of an object that shows nothing


class Namer(nn.Module):
    """From objects (n, 3, CLOSE, CLOSE) in 0..1 to logits of their labels (n, labels). Each is brought to the
    same mean and contrast of all its colours together: few pictures show few lights and few grounds."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.seen = nn.Sequential(
            block(3, 16, 2), block(16, 32), block(32, 48, 2), Twice(48), block(48, 64, 2), Twice(64)
        )
        self.names = nn.Linear(64, labels)

    def forward(self, objects: Tensor) -> Tensor:
        """Return logits."""
        even = objects - objects.mean((1, 2, 3), keepdim=True)
        even = even / (even.square().mean((1, 2, 3), keepdim=True) + FLAT).sqrt()
        return self.names(self.seen(even).mean((2, 3)))


def square(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Return middles (n, 2), from -1 to 1 across the picture, and half the sides (n,) of what is looked at
    around boxes (n, 4)."""
    return boxes[:, :2] + boxes[:, 2:] - 1, (boxes[:, 2:] - boxes[:, :2]).amax(1) * AROUND


def closer(pixels: Tensor, middles: Tensor, halves: Tensor, turn: Tensor) -> Tensor:
    """Return squares of one picture (1, 3, S, S) as objects (n, 3, CLOSE, CLOSE). middles, halves: see
    ``square``. turn: (2, 2), from a direction in an object to one in the picture."""
    fine = CLOSE * FINER
    steps = (torch.arange(fine, device=pixels.device) + 0.5) * (2 / fine) - 1
    inside = torch.stack([steps[None].expand(fine, fine), steps[:, None].expand(fine, fine)], 2) @ turn.T
    places = middles[:, None, None] + halves[:, None, None, None] * inside  # (n, fine, fine, 2)
    found = F.grid_sample(
        pixels, places.reshape(1, -1, fine, 2), mode="bilinear", padding_mode="border", align_corners=False
    )
    return F.avg_pool2d(found.reshape(3, -1, fine, fine).transpose(0, 1), FINER)


def agreed(heat: Tensor, near: Tensor) -> tuple[Tensor, Tensor]:
    """Return the likeliest label of each object and its chance, (n,) both, by what is said of it from afar,
    heat (n, labels) in 0..1, with half its weight, and from nearby, chances (n, labels): multiplied."""
    both = heat.clamp(min=1e-6).sqrt() * near
    chances, labels = (both / both.sum(1, keepdim=True)).max(1)
    return labels, chances


STRIDE = 4  # pixels of a cell
MOST = 100  # objects in a picture
NAMED = 40  # of them, the surest, that are looked at more closely where they could be told
FAINTEST = 0.05  # score below which nothing is told at all
SAME = 0.6  # overlap from which on two boxes are the same thing
SMALLEST = 1e-3  # cells, of a distance to a side
MIRRORED = (((3,), (2, 1, 0, 3)), ((2,), (0, 3, 2, 1)), ((2, 3), (2, 3, 0, 1)))  # axes, then what sides are
RARE = -4.0  # logit of a cell before anything is learned: objects are rare


class Network(nn.Module):
    """From pixels (B, 3, S, S) in 0..1 to logits (B, labels, S / STRIDE, S / STRIDE), and distances to left,
    top, right and bottom (B, 4, …) in cells. named: beside them learns what looks at each object more
    closely, where there is more than one label; ``forward`` leaves it to a ``Finder``."""

    def __init__(self, labels: int, *, named: bool = True) -> None:
        super().__init__()
        self.fine = nn.Sequential(block(3, 16, 2), block(16, 32, 2), Twice(32))
        self.middle = nn.Sequential(block(32, 64, 2), Twice(64))
        self.coarse = nn.Sequential(block(64, 96, 2), Twice(96), Twice(96))
        self.from_coarse, self.from_middle = nn.Conv2d(96, 64, 1), nn.Conv2d(64, 48, 1)
        self.from_fine = nn.Conv2d(32, 48, 1)
        self.joined, self.last = block(64, 64), block(48, 48)
        self.heat, self.sides = nn.Conv2d(48, labels, 1), nn.Conv2d(48, 4, 1)
        nn.init.constant_(self.heat.bias, RARE)  # type: ignore[arg-type]
        nn.init.constant_(self.sides.bias, 1.0)  # type: ignore[arg-type]
        self.namer = Namer(labels) if named and labels > 1 else None

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and distances."""
        fine = self.fine((pixels - 0.5) / 0.25)
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        joined = self.joined(middle + _larger(self.from_coarse(coarse)))
        seen = self.last(self.from_fine(fine) + _larger(self.from_middle(joined)))
        return self.heat(seen), self.sides(seen).clamp(-3.0, 4.5).exp()


def _larger(seen: Tensor) -> Tensor:
    return nn.functional.interpolate(seen, scale_factor=2.0, mode="nearest")


class Finder(nn.Module):
    """From pixels of one picture (1, 3, S, S) to boxes (MOST, 4) in 0..1, their scores (MOST,), and the
    numbers of their labels (MOST,), the surest first. What is the same thing as a surer one, or no box,
    scores 0. mirrored: the picture, and each object, is also looked at mirrored along one axis, the other and
    both, and what is said of it is the mean. Where the network has a namer, it says of the surest objects, at
    most NAMED, what they are, and an object's score is what was seen there, times the chance of its label.
    That is never more than it was, so what is fainter than FAINTEST isn't looked at again."""

    def __init__(self, network: Network, *, mirrored: bool = False) -> None:
        super().__init__()
        self.network, self.mirrored = network, mirrored

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return boxes, scores and labels."""
        heat, sides = self.look(pixels)
        peaks = heat * (heat == nn.functional.max_pool2d(heat, 3, 1, 1))
        cells = heat.shape[2] * heat.shape[3]
        scores, at = peaks.reshape(-1).topk(MOST)
        labels, cell = at // cells, at % cells
        y, x = cell // heat.shape[3], cell % heat.shape[3]
        left, top, right, bottom = sides.reshape(4, cells)[:, cell]
        x, y = x + 0.5, y + 0.5
        edges = torch.stack([x - left, y - top, x + right, y + bottom], 1)
        boxes = (edges / heat.shape[3]).clamp(0, 1)
        surer = torch.ones(MOST, MOST, device=pixels.device).triu(1)
        same = (box_iou(boxes, boxes) > SAME).to(pixels.dtype) * surer
        alone = (same.amax(0) == 0) & (boxes[:, 2:] > boxes[:, :2]).all(1)
        scores = scores * alone.to(pixels.dtype)
        if (namer := self.network.namer) is None:
            return boxes, scores, labels
        scores, order = scores.topk(MOST)  # the surest first, those that are no box last
        boxes, labels, heat = boxes[order], labels[order], heat.reshape(-1, cells)[:, cell[order]].T
        count = cast(int, (scores[:NAMED] >= FAINTEST).sum().clamp(min=1).item())
        torch._check(count >= 1)  # which the exporter, to whom it is a symbol, can't know
        torch._check(count <= NAMED)
        objects = closer(pixels, *square(boxes[:count]), torch.eye(2, device=pixels.device))
        views = [objects, *(objects.flip(axes) for axes, _ in MIRRORED)] if self.mirrored else [objects]
        near = namer(torch.cat(views)).softmax(1).reshape(len(views), count, -1).mean(0)
        named, chances = agreed(heat[:count], near)
        scores, order = torch.cat([scores[:count] * chances, scores[count:]]).topk(MOST)
        return boxes[order], scores, torch.cat([named, labels[count:]])[order]

    def look(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the heat (1, L, g, g) and distances to sides (1, 4, g, g)."""
        if not self.mirrored:
            logits, sides = self.network(pixels)
            return logits.sigmoid(), sides
        logits, sides = self.network(torch.cat([pixels, *(pixels.flip(axes) for axes, _ in MIRRORED)]))
        heat, distances = list(logits.sigmoid().split(1)), list(sides.split(1))
        for at, (axes, order) in enumerate(MIRRORED, 1):
            heat[at], distances[at] = heat[at].flip(axes), distances[at].flip(axes)[:, list(order)]
        return torch.stack(heat).mean(0), torch.stack(distances).mean(0)


FORMAT = 1
NAME = "centre points"  # of what sees; it has no weights but those that were learned


@dataclass(frozen=True)
class Found:
    """An object in a picture. box: left, top, right, bottom in shares of the upright picture. score: 0..1."""

    label: str
    score: float
    box: tuple[float, float, float, float]


class Detector(CustomModel):
    """A trained detector, kept in float16."""

    noun, task, formats = "detector", "detect", (FORMAT,)

    def __init__(self, card: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        super().__init__(card, tensors)
        self._finder: Finder | None = None

    def _is_half(self, name: str, value: Tensor) -> bool:
        return value.is_floating_point()

    @property
    def labels(self) -> list[str]:
        """Its labels, in the order of their numbers."""
        return list(self.card["labels"])

    @property
    def limit(self) -> float:
        """The score from which on an object is told."""
        return float(self.card["limit"])

    @property
    def finder(self) -> Finder:
        """The network, made once. Raises ModelError when the tensors aren't those of one."""
        if self._finder is None:
            network = Network(len(self.labels), named=bool(self.card.get("named")))
            try:
                network.load_state_dict(self.tensors)
            except RuntimeError as error:
                raise ModelError("This file is no detector that can be read here.") from error
            mirrored = bool(self.card.get("mirrored"))  # neither is in cards of earlier ones
            self._finder = Finder(network, mirrored=mirrored).eval().requires_grad_(False)
        return self._finder

    @torch.no_grad()
    def detect(self, image: Image.Image, limit: float = 0.0) -> list[Found]:
        """Return what is found in a picture from a score of ``limit`` on (0 = its own), the surest first."""
        boxes, scores, labels = self.finder(pixels(image, int(self.card["side"]))[None])
        told = zip(boxes.tolist(), scores.tolist(), labels.tolist(), strict=True)
        return [
            Found(self.labels[label], score, (box[0], box[1], box[2], box[3]))
            for box, score, label in told
            if score >= (limit or self.limit)
        ]


def sees_with(side: int) -> Extractor:
    """Return what stands in the place of an extractor: a detector has none but its own network."""
    return Extractor(NAME, side, nn.Identity(), "")


SPREAD = 0.54  # of the heat around a middle, in boxes (TTFNet's alpha)
LEAST_SPREAD = 1.2  # cells: a middle that lies between two of them is in both
SEEN = 0.4  # share of an object that has to be in the picture
ZOOM, SHIFT, STRETCH = math.log(1.25), 0.2, 0.03
ASKEW = 0.5  # of the pictures that may be turned are turned by any angle
LIGHT, TONE, NOISE = 0.25, 0.08, 0.02
OBJECTS = 12  # of a step, that are looked at from nearby
BESIDE, NEARER = (
    0.08,
    0.15,
)  # how far beside an object a box that was found may lie, in halves; log of its size
KNOTS, TONES = 4, 0.5  # of the line from levels to others; how far a knot is moved
SMOOTHED = 0.05  # share of its chance that a label leaves to all: none is ever quite sure (arXiv:1512.00567)
FOCUS, AWAY, BOXES = 2.0, 4.0, 4.0  # powers of the focal loss; weight of the boxes


@dataclass(frozen=True)
class Marked:
    """A picture (3, S, S) in 0..1 with boxes (n, 4) in 0..1 and the numbers of their labels (n,). upright:
    False where it was turned by other than right angles, so that sizes of boxes are guesses."""

    pixels: Tensor
    boxes: Tensor
    labels: Tensor
    upright: bool = True


def varied(marked: Marked, lots: torch.Generator, *, turned: bool) -> Marked:
    """Return a picture as it could have been as well. turned: also mirrored and turned by right angles."""

    def lot(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=lots))

    pixels, boxes = marked.pixels, marked.boxes
    if turned:
        quarters = int(torch.randint(4, (), generator=lots))
        pixels = pixels.rot90(quarters, (1, 2))
        for _ in range(quarters):  # to the left: a new row was a column, from the right
            boxes = torch.stack([boxes[:, 1], 1 - boxes[:, 2], boxes[:, 3], 1 - boxes[:, 0]], 1)
        if lot(0, 1) < 0.5:
            pixels = pixels.flip(2)
            boxes = torch.stack([1 - boxes[:, 2], boxes[:, 1], 1 - boxes[:, 0], boxes[:, 3]], 1)
    zoom = math.exp(lot(-ZOOM, ZOOM))
    wide, high = (zoom * math.exp(lot(-STRETCH, STRETCH)) for _ in range(2))
    x, y = lot(-SHIFT, SHIFT), lot(-SHIFT, SHIFT)
    askew = lot(-math.pi / 4, math.pi / 4) if turned and lot(0, 1) < ASKEW else 0.0
    c, s = math.cos(askew), math.sin(askew)
    # a place p of the new picture, from -1 to 1, shows the old one's place turned(p / zoom) + shift
    matrix = torch.tensor([[c / wide, -s / high, x], [s / wide, c / high, y]])
    grid = nn.functional.affine_grid(matrix[None], [1, 3, *pixels.shape[1:]], align_corners=False)
    pixels = nn.functional.grid_sample(
        pixels[None], grid, mode="bilinear", padding_mode="border", align_corners=False
    )[0]
    middles, halves = boxes[:, :2] + boxes[:, 2:] - 1 - torch.tensor([x, y]), boxes[:, 2:] - boxes[:, :2]
    back = torch.tensor([[c, s], [-s, c]])
    scale = torch.tensor([wide, high])
    middles = middles @ back.T * scale
    halves = (halves.square() @ back.square().T).sqrt() * scale  # of the ellipse in a box
    moved = (torch.cat([middles - halves, middles + halves], 1) + 1) / 2
    pixels = _in_other_light(pixels, lots)
    return replace(cut_to_picture(pixels, moved, marked.labels), upright=not askew)


def nearby(
    lesson: Sequence[Marked], labels: int, lots: torch.Generator, *, turned: bool
) -> tuple[Tensor, Tensor]:
    """Return THINGS that are marked in pictures as they look from nearby (n, 3, CLOSE, CLOSE), any label as
    often as another, and the numbers of their labels (n,). turned: also mirrored and turned by any angle."""

    def lot(reach: float) -> float:
        return reach * (2 * float(torch.rand((), generator=lots)) - 1)

    seen, names = [], torch.randint(labels, (OBJECTS,), generator=lots)
    for name in names.tolist():
        places = [(one, at) for one in lesson for at in (one.labels == name).nonzero()[:, 0].tolist()]
        one, at = places[int(torch.randint(len(places), (), generator=lots))]
        middles, halves = square(one.boxes[at][None])
        middles = middles + halves * torch.tensor([lot(BESIDE), lot(BESIDE)])
        angle, mirror = (lot(math.pi), math.copysign(1.0, lot(1.0))) if turned else (0.0, 1.0)
        c, s = math.cos(angle), math.sin(angle)
        turn = torch.tensor([[c * mirror, -s], [s * mirror, c]])
        obj = closer(one.pixels[None], middles, halves * math.exp(lot(NEARER)), turn)[0]
        seen.append(_in_other_light(in_other_tones(obj, lots), lots))
    return torch.stack(seen), names


def _in_other_light(pixels: Tensor, lots: torch.Generator) -> Tensor:
    few = torch.rand(5, generator=lots) * 2 - 1
    gain = torch.exp(LIGHT * few[0]) * torch.exp(TONE * few[1:4])[:, None, None]
    noise = torch.randn(pixels.shape, generator=lots) * NOISE * few[4].abs()
    return (pixels * gain + noise).clamp(0, 1)


def in_other_tones(pixels: Tensor, lots: torch.Generator) -> Tensor:
    """Return pixels (3, h, w) with each level as another one, by a line with KNOTS that differs a little by
    colour: what was brighter than its ground may be darker."""
    moved = TONES * (2 * torch.rand(1, KNOTS, generator=lots) - 1)
    moved = moved + 0.15 * TONES * (2 * torch.rand(3, KNOTS, generator=lots) - 1)
    levels = (torch.linspace(0, 1, KNOTS) + moved).clamp(0, 1)  # (3, KNOTS)
    place = pixels.flatten(1) * (KNOTS - 1)  # (3, h w)
    below = place.floor().clamp(0, KNOTS - 2).long()
    share = place - below
    found = levels.gather(1, below) * (1 - share) + levels.gather(1, below + 1) * share
    return found.reshape(pixels.shape)


def cut_to_picture(pixels: Tensor, boxes: Tensor, labels: Tensor) -> Marked:
    """Return what is left of boxes inside the picture; what is hardly seen any more is painted over."""
    inside = boxes.clamp(0, 1)
    areas = [(each[:, 2:] - each[:, :2]).clamp(min=0).prod(-1) for each in (boxes, inside)]
    share = areas[1] / areas[0].clamp(min=1e-9)
    kept = share >= SEEN
    for left, top, right, bottom in (inside[~kept & (share > 0)] * pixels.shape[1]).tolist():
        rows, columns = slice(int(top), math.ceil(bottom)), slice(int(left), math.ceil(right))
        pixels[:, rows, columns] = pixels.mean((1, 2))[:, None, None]
    return Marked(pixels, inside[kept], labels[kept])


@dataclass(frozen=True)
class Wanted:
    """What is right of each cell. heat: (L, g, g) in 0..1, 1 in middles. weights: (g, g), how much a cell's
    box counts. boxes: (4, g, g), in cells."""

    heat: Tensor
    weights: Tensor
    boxes: Tensor


def wanted_maps(marked: Marked, labels: int) -> Wanted:
    """Return what a network should say of a picture."""
    cells = marked.pixels.shape[1] // STRIDE
    heat, weights = torch.zeros(labels, cells, cells), torch.zeros(cells, cells)
    boxes, places = torch.zeros(4, cells, cells), torch.arange(cells).float()
    boxes[2:] = 1
    sizes = (marked.boxes[:, 2:] - marked.boxes[:, :2]).prod(-1)
    for at in sizes.argsort(descending=True, stable=True).tolist():  # smaller ones last: they are on top
        box = marked.boxes[at] * cells
        left, top, right, bottom = box.tolist()
        x, y = min(cells - 1, int((left + right) / 2)), min(cells - 1, int((top + bottom) / 2))
        across = max(SPREAD * (right - left) / 6, LEAST_SPREAD)
        down = max(SPREAD * (bottom - top) / 6, LEAST_SPREAD)
        one = torch.exp(
            -((places[None] - x) ** 2) / (2 * across**2) - (places[:, None] - y) ** 2 / (2 * down**2)
        )
        label = int(marked.labels[at])
        heat[label] = torch.maximum(heat[label], one)
        if not marked.upright:
            continue
        near = one > 0.3
        weights[near] = one[near] / one[near].sum()
        boxes[:, near] = box[:, None]
    return Wanted(heat, weights, boxes)


def loss(logits: Tensor, sides: Tensor, right: Sequence[Wanted]) -> Tensor:
    """Return how wrong logits (B, L, g, g) and distances (B, 4, g, g) are: a focal loss of the heat, and one
    minus the generalised overlap (arXiv:1902.09630) of the boxes."""
    heat = torch.stack([one.heat for one in right])
    weights = torch.stack([one.weights for one in right])
    boxes = torch.stack([one.boxes for one in right])
    chance = logits.sigmoid().clamp(1e-4, 1 - 1e-4)
    middle = (heat == 1).float()
    missed = middle * (1 - chance) ** FOCUS * chance.log()
    wrong = (1 - middle) * (1 - heat) ** AWAY * chance**FOCUS * (1 - chance).log()
    objects = middle.sum().clamp(min=1)
    places = torch.arange(logits.shape[-1]) + 0.5
    x, y = places[None, None].expand_as(weights), places[None, :, None].expand_as(weights)
    left, top, right_, bottom = sides.unbind(1)
    found = torch.stack([x - left, y - top, x + right_, y + bottom], 1)
    apart = generalized_box_iou_loss(found.movedim(1, -1), boxes.movedim(1, -1))
    return -(missed + wrong).sum() / objects + BOXES * (apart * weights).sum() / weights.sum().clamp(min=1)


LEAST, LEAST_PICTURES = 3, 3  # boxes of a label that is taught; pictures with boxes
STEPS, PICTURES, SIDE = 600, 5, 256  # pictures of a step are as many at this side, fewer of larger ones
RATE, WARM, LAST, DECAY, MOST_SLOPE = 4e-3, 20, 0.01, 1e-2, 20.0
KEPT_EVERY = 25  # steps between two states that are kept
AVERAGED = 0.3  # of the steps, the last ones: the network is the mean of theirs (arXiv:1803.05407)
METHOD = 3  # number of the way it is learned: a state that was kept of another is of no use
COARSEST = 32  # px that a side is a multiple of

Open = Callable[[str], Image.Image]


@dataclass(frozen=True)
class Settings:
    """side: px of the square that pictures are learned from in. turned: pictures may be mirrored and turned
    by right angles. seed: of all lots. steps: how many."""

    side: int = SIDE
    turned: bool = True
    seed: int = 0
    steps: int = STEPS

    def __post_init__(self) -> None:
        if self.side < COARSEST or self.side % COARSEST:
            raise ValueError(f"side must be a multiple of {COARSEST}, not {self.side}")

    @property
    def together(self) -> int:
        """How many pictures are learned from in a step."""
        return max(2, min(PICTURES, round(PICTURES * (SIDE / self.side) ** 2)))


def train_detector(
    snapshot: Snapshot, open_picture: Open, settings: Settings, store: Store
) -> Generator[Step, None, Detector]:
    """Yield steps and return a detector of what is marked in the snapshot's training part.

    Raises UserError for fewer than LEAST_PICTURES pictures with boxes; labels of fewer than LEAST boxes are
    left out and named in the card. One thread and the same snapshot and settings give the same bytes, also
    where an earlier try was cut off and left its state in the store.
    """
    labels, too_few = taught_labels(snapshot)
    items = [item for item in snapshot.part(TRAIN) if not item.names or set(item.names) & set(labels)]
    total, lesson = len(items) + settings.steps, list[Marked]()
    for number, item in enumerate(items, 1):
        lesson.append(_marked(item, labels, open_picture, settings.side))
        yield Step(number, total, f"opened {number} of {len(items)}")
    learned_by = f"detect {FORMAT} {METHOD} {snapshot.sha256} {settings}"
    name = hashlib.sha256(learned_by.encode()).hexdigest()
    course = _Course(lesson, len(labels), settings, store, name)
    for number in range(course.done + 1, settings.steps + 1):
        course.step()
        yield Step(len(items) + number, total, f"learned {number} of {settings.steps}")
    counted = Counter(name for item in items for name in item.names if name in labels)
    card = {
        "format": FORMAT,
        "task": "detect",
        "snapshot": snapshot.sha256,
        "labels": labels,
        "too_few": too_few,
        "extractor": NAME,
        "licence": "",
        "side": settings.side,
        "turned": settings.turned,
        "mirrored": settings.turned,
        "named": True,
        "steps": settings.steps,
        "seed": settings.seed,
        "limit": USUAL,
        "pictures": len(items),
        "boxes": {label: counted[label] for label in labels},
    }
    return Detector(card, course.tensors())


def side_of(pixels: int) -> int:
    """Return the side that a detector can have next to as many pixels."""
    return max(COARSEST, round(pixels / COARSEST) * COARSEST)


def taught_labels(snapshot: Snapshot) -> tuple[list[str], list[str]]:
    """Return the labels that can be taught, sorted, and those with too few boxes. Raises UserError where
    there are too few pictures with boxes, or none of a label."""
    items = [item for item in snapshot.part(TRAIN) if item.names]
    counts = Counter(name for item in items for name in item.names)
    labels = sorted(label for label, count in counts.items() if count >= LEAST)
    if len(items) < LEAST_PICTURES or not labels:
        raise UserError(
            f"A detector needs at least {LEAST_PICTURES} pictures to learn from in which objects are marked,"
            f" and {LEAST} boxes of a label; there are {len(items)}, with"
            f" {', '.join(f'{count} of {label}' for label, count in sorted(counts.items())) or 'none'}."
        )
    return labels, sorted(set(counts) - set(labels))


def _marked(item: Item, labels: Sequence[str], open_picture: Open, side: int) -> Marked:
    pairs = [
        (box, labels.index(name)) for box, name in zip(item.boxes, item.names, strict=True) if name in labels
    ]
    boxes = torch.tensor([box for box, _ in pairs], dtype=torch.float32).reshape(-1, 4)
    return Marked(pixels(open_picture(item.sha256), side), boxes, torch.tensor([label for _, label in pairs]))


class _Course:
    """A training as far as it has come. Its lots are of the seed and the step, so that one that goes on draws
    what it would have drawn."""

    def __init__(
        self, lesson: Sequence[Marked], labels: int, settings: Settings, store: Store, name: str
    ) -> None:
        self._lesson, self._labels, self._settings = lesson, labels, settings
        self._store, self._name, self.done = store, name, 0
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(settings.seed)
            self._network = Network(labels)
        for weight in self._network.parameters():
            if weight.dim() == 4:  # a sixth quicker
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        self._optimizer = torch.optim.AdamW(self._network.parameters(), RATE, weight_decay=DECAY)
        self._mean: dict[str, Tensor] = {}  # of states so far, from the first that counts on
        if (data := store.get(name)) is not None:
            held = torch.load(io.BytesIO(data), weights_only=True)
            self._network.load_state_dict(held["network"])
            self._optimizer.load_state_dict(held["optimizer"])
            self._mean, self.done = held["mean"], int(held["done"])

    def step(self) -> None:
        """Learn from some of the pictures."""
        settings, lots = self._settings, self._lots()
        if len(self._lesson) >= settings.together:
            chosen = torch.randperm(len(self._lesson), generator=lots)[: settings.together].tolist()
        else:
            chosen = torch.randint(len(self._lesson), (settings.together,), generator=lots).tolist()
        shown = [varied(self._lesson[at], lots, turned=settings.turned) for at in chosen]
        right = [wanted_maps(one, self._labels) for one in shown]
        for group in self._optimizer.param_groups:
            warm = min(1.0, (self.done + 1) / WARM)
            group["lr"] = (
                RATE * warm * (LAST + (1 - LAST) * (1 + math.cos(math.pi * self.done / settings.steps)) / 2)
            )
        self._network.train()
        seen = torch.stack([one.pixels for one in shown]).to(memory_format=torch.channels_last)
        with torch.enable_grad():
            self._optimizer.zero_grad()
            logits, sides = self._network(seen)
            loss(logits, sides, right).backward()
            torch.nn.utils.clip_grad_norm_(self._network.parameters(), MOST_SLOPE)
            if (namer := self._network.namer) is not None:
                objects, names = nearby(
                    self._lesson, self._labels, self._lots(" objects"), turned=settings.turned
                )
                objects = objects.contiguous(memory_format=torch.channels_last)
                F.cross_entropy(namer(objects), names, label_smoothing=SMOOTHED).backward()
            self._optimizer.step()
        self.done += 1
        # count the network as it is now, where it is one of the last
        number = self.done - math.floor((1 - AVERAGED) * self._settings.steps)
        if number == 1:
            self._mean = {name: value.clone() for name, value in self._network.state_dict().items()}
        elif number > 1:
            for name, value in self._network.state_dict().items():
                if value.is_floating_point():
                    self._mean[name] += (value - self._mean[name]) / number
        if self.done % KEPT_EVERY == 0:
            held = io.BytesIO()
            state = {"network": self._network.state_dict(), "optimizer": self._optimizer.state_dict()}
            torch.save({**state, "mean": self._mean, "done": self.done}, held)
            self._store.put(self._name, held.getvalue())

    def _lots(self, of: str = "") -> torch.Generator:
        drawn = hashlib.sha256(f"{self._settings.seed} {self.done}{of}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(drawn[:7]))

    def tensors(self) -> dict[str, Tensor]:
        """Return what was learned, as exactly as it is kept."""
        return {
            name: value.half().float().contiguous() if value.is_floating_point() else value.clone()
            for name, value in self._mean.items()
        }
