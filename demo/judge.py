"""The judges of generated pictures: a small convolutional network that finds objects, colours and the
background, a judge of form that was trained on nothing, and the width of edges.

The network is trained on drawn scenes only and takes no part in making the pack. It marks object centres on
a grid, after "Objects as Points" (Zhou et al., 2019, arXiv:1904.07850), and names the object and colour at
each.

The judge of form is told which scene was asked for. It cuts a single object out of its background, which it
knows as it knows the style, and lays its outline over those of the drawn objects: how many parts there are,
which outline fits best after the best shift, scale and turn, how many points a star has, how much of the
object is missing in its middle.
"""

import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file

from demo.drawing import LANDS, PAINT, Placed, draw, layout
from demo.train.loop import JUDGE, Plan, Run, autocast, device
from demo.train.readers import pixels
from demo.world import BACKGROUNDS, COLOURS, OBJECTS, STYLES, Group, Scene, training_scene
from vision.images.ops import edges as canny

# Beside the evaluation: the pack holds what the product loads.
WEIGHTS = Path(__file__).parent / "judge.safetensors"

SIZE = 64  # px
GRID = 16
BATCH = 64
MIX = {"large": 0.2, "single": 0.35, "several": 0.15, "pair": 0.25, "empty": 0.05}
CENTRE = 0.35  # a cell above this is an object's centre


def _block(before, after, stride=1):
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, 1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
        nn.Conv2d(after, after, 3, 1, 1, bias=False),
        nn.BatchNorm2d(after),
    )


class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.body = _block(channels, channels)

    def forward(self, x):
        return F.relu(x + self.body(x))


class Network(nn.Module):
    """(B, 3, 64, 64) to a map (B, 1 + objects + colours, 16, 16) and a summary (B, backgrounds + styles)."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(_block(3, 32, 2), nn.ReLU(), _block(32, 64, 2), nn.ReLU())
        self.body = nn.Sequential(*(Residual(64) for _ in range(2)))
        self.deep = nn.Sequential(_block(64, 128, 2), nn.ReLU(), Residual(128), Residual(128))
        self.join = nn.Sequential(_block(192, 96), nn.ReLU())
        self.map = nn.Conv2d(96, 1 + len(OBJECTS) + len(COLOURS), 1)
        self.summary = nn.Linear(256, len(BACKGROUNDS) + len(STYLES))

    def forward(self, x):
        near = self.body(self.stem(x))  # (B, 64, 16, 16)
        far = self.deep(near)  # (B, 128, 8, 8)
        grid = self.map(self.join(torch.cat([near, F.interpolate(far, scale_factor=2.0)], 1)))
        return grid, self.summary(torch.cat([far.mean((2, 3)), far.amax((2, 3))], 1))


@dataclass(frozen=True)
class Found:
    """An object the judge sees: its cell's centre as shares of the side, how sure it is that one is there
    (score), and of the names of object and colour (named)."""

    object: str
    colour: str
    x: float
    y: float
    score: float
    named: float


@dataclass(frozen=True)
class Verdict:
    found: tuple[Found, ...]  # surest first
    background: str
    style: str


class Judge:
    """Looks at pictures of any size: `judge(pictures)` gives one Verdict each."""

    def __init__(self):
        self.network = Network().to(device())
        weights = load_file(WEIGHTS)
        self.network.load_state_dict(
            {k: v.float() if v.is_floating_point() else v for k, v in weights.items()}
        )
        self.network.eval()

    @torch.no_grad()
    def __call__(self, pictures: list[Image.Image]) -> list[Verdict]:
        verdicts = []
        for start in range(0, len(pictures), 64):
            some = [
                np.asarray(p.convert("RGB").resize((SIZE, SIZE), Image.BOX))
                for p in pictures[start : start + 64]
            ]
            grids, summaries = self.network(pixels(some))
            verdicts += [
                _read(grid, summary) for grid, summary in zip(grids.cpu(), summaries.cpu(), strict=True)
            ]
        return verdicts


def _read(grid: torch.Tensor, summary: torch.Tensor) -> Verdict:
    heat = grid[0].sigmoid()
    peak = F.max_pool2d(heat[None], 3, 1, 1)[0] == heat
    objects, colours = grid[1:].split((len(OBJECTS), len(COLOURS)))
    cells = [(heat[y, x].item(), y, x) for y, x in (peak & (heat > CENTRE)).nonzero().tolist()]
    if not cells:
        best = int(heat.argmax())
        cells = [(heat.max().item(), best // GRID, best % GRID)]
    found = tuple(
        Found(
            OBJECTS[int(objects[:, y, x].argmax())],
            COLOURS[int(colours[:, y, x].argmax())],
            (x + 0.5) / GRID,
            (y + 0.5) / GRID,
            score,
            float(objects[:, y, x].softmax(0).max() * colours[:, y, x].softmax(0).max()),
        )
        for score, y, x in sorted(cells, reverse=True)
    )
    background, style = summary.split((len(BACKGROUNDS), len(STYLES)))
    return Verdict(found, BACKGROUNDS[int(background.argmax())], STYLES[int(style.argmax())])


def _sample(rng: random.Random):
    """A picture and its labels: heat (16, 16), centres [(y, x, object, colour)], background, style."""
    scene = training_scene(rng, MIX, held_pairs=True)
    placed = layout(scene, rng)
    image = draw(scene, rng, placed=placed).resize((SIZE, SIZE), Image.BOX)
    a = np.asarray(image).astype(np.float32)
    if rng.random() < 0.5:  # generated pictures are softer and noisier than drawn ones
        small = rng.choice((40, 48, 56))
        a = np.asarray(
            image.resize((small, small), Image.BILINEAR).resize((SIZE, SIZE), Image.BICUBIC)
        ).astype(np.float32)
        a = a + np.random.default_rng(rng.randrange(1 << 30)).normal(0, rng.uniform(0, 8), a.shape)
    heat = np.zeros((GRID, GRID), np.float32)
    ys, xs = np.mgrid[0:GRID, 0:GRID] + 0.5
    centres = []
    for thing in placed:
        spread = max(0.8, thing.half * GRID * 0.3)
        square = (xs - thing.x * GRID) ** 2 + (ys - thing.y * GRID) ** 2
        heat = np.maximum(heat, np.exp(-square / (2 * spread**2)))
    for thing in placed:
        y, x = min(int(thing.y * GRID), GRID - 1), min(int(thing.x * GRID), GRID - 1)
        heat[y, x] = 1
        reach = max(1, int(thing.half * GRID * 0.4))
        for _ in range(4):  # name the object in the cells around its centre too
            v, u = y + rng.randint(-reach, reach), x + rng.randint(-reach, reach)
            if 0 <= v < GRID and 0 <= u < GRID:
                centres.append((v, u, OBJECTS.index(thing.object), COLOURS.index(thing.colour)))
        centres.append((y, x, OBJECTS.index(thing.object), COLOURS.index(thing.colour)))
    return (
        a.clip(0, 255).astype(np.uint8),
        heat,
        centres,
        BACKGROUNDS.index(scene.background),
        STYLES.index(scene.style),
    )


def train(steps: int = 1500):
    torch.manual_seed(1)
    model = Network().to(device())
    run = Run("judge", model, Plan(steps, lr=2e-3, weight_decay=0.01, decay=0.6, ema=0.99))

    def loss(rng):
        pictures, heats, centres, backgrounds, styles = zip(
            *(_sample(rng) for _ in range(BATCH)), strict=True
        )
        with autocast():
            grid, summary = model(pixels(list(pictures)))
        grid, summary = grid.float(), summary.float()
        heat = torch.from_numpy(np.stack(heats)).to(device())
        p = grid[:, 0].sigmoid().clamp(1e-4, 1 - 1e-4)
        focal = torch.where(heat == 1, (1 - p) ** 2 * p.log(), (1 - heat) ** 4 * p**2 * (1 - p).log())
        value = -focal.sum() / (heat == 1).sum()
        at = torch.tensor([(i, *c) for i, some in enumerate(centres) for c in some], device=device())
        logits = grid[at[:, 0], 1:, at[:, 1], at[:, 2]]
        objects, colours = logits.split((len(OBJECTS), len(COLOURS)), 1)
        value = value + F.cross_entropy(objects, at[:, 3]) + F.cross_entropy(colours, at[:, 4])
        background, style = summary.split((len(BACKGROUNDS), len(STYLES)), 1)
        truth = torch.tensor(backgrounds, device=device())
        value = (
            value
            + F.cross_entropy(background, truth)
            + 0.5 * F.cross_entropy(style, torch.tensor(styles, device=device()))
        )
        return value, {
            "object": (objects.argmax(1) == at[:, 3]).float().mean().item(),
            "colour": (colours.argmax(1) == at[:, 4]).float().mean().item(),
            "background": (background.argmax(1) == truth).float().mean().item(),
        }

    run.train(loss)
    run.use_average()
    state = {k: v.half() if v.is_floating_point() else v for k, v in model.cpu().state_dict().items()}
    save_file(state, JUDGE)


SIDE = 256  # px, at which pictures are looked at
NEAR = 30.0  # distance in RGB within which a pixel shows a colour of the background
FORM_GRID = 96  # cells a side, on which outlines are laid over each other
ROOT_AREA = 40.0  # cells: an outline is brought to the area of a square of this side
SCALES, TURNS = (0.92, 0.96, 1.0, 1.04, 1.08), (-12, -6, 0, 6, 12)  # degrees
SHIFTS = (-4, -2, 0, 2, 4)  # cells
FIT = {"flat": 0.87, "outline": 0.87, "pixel": 0.82, "watercolor": 0.82}  # least overlap (IoU), by style
CLOSE = (
    0.02  # of overlap: an outline that fits the asked object this much worse than another is still its own
)
PART = 0.12  # a second piece of this share of the largest one is a part of its own
SPECK = 0.002  # of the picture: smaller pieces are nothing
HOLE = 0.15  # of the outline's area
POINTS = {"star": 5}


@dataclass(frozen=True)
class Form:
    """What is seen. object: whose outline fits best; overlap: with the asked object's outline; best: with
    `object`'s; points: corners that stick out; holes: share of the outline's area that shows what is behind
    the thing, beyond what the asked object's drawing has of it."""

    object: str | None
    overlap: float
    best: float
    parts: int
    points: int
    holes: float

    def fits(self, scene: Scene) -> bool:
        """Whether this is one well formed object of the kind that `scene` asks for."""
        return (
            self.overlap >= max(FIT[scene.style], self.best - CLOSE)
            and self.parts == 1
            and self.holes <= HOLE
            and self.points == POINTS.get(scene.groups[0].object, self.points)
        )


NOTHING = Form(None, 0.0, 0.0, 0, 0, 0.0)


# Cutting out
# ------------------------------------------------------------------------------------------------------------


def _between(one, other, count=9):
    return np.linspace(np.array(one, float), np.array(other, float), count)


def _tint(colour, other, share):
    return tuple(a + (b - a) * share for a, b in zip(colour, other, strict=True))


def _known_colours(scene: Scene) -> np.ndarray:
    """The colours that the drawing of the scene's background may hold, (N, 3)."""
    name = scene.background
    if name in PAINT:
        paint = PAINT[name]
        shadow = _tint(paint, (20, 20, 40), 0.26)
        bright = _tint(paint, (255, 255, 255), 0.14 if name == "black" else 0.1)
        colours = [*_between(bright, _tint(paint, (0, 0, 0), 0.08)), shadow]
    elif name in LANDS:
        sky, land = LANDS[name]
        colours = [*_between(*sky), *_between(*land)]
        colours += {"sea": [(120, 182, 230), (250, 252, 255)], "grass": [(250, 252, 255)]}.get(name, [])
    elif name == "night":
        colours = [*_between((12, 14, 48), (50, 48, 116)), (255, 248, 214)]
    else:
        colours = [*_between((86, 164, 242), (196, 228, 252)), (250, 252, 255)]
    known = np.array(colours, np.float32)
    return known * 0.84 + 255 * 0.16 if scene.style == "watercolor" else known


def _near(pixels: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """(H, W) bool: which pixels lie within NEAR of a colour, or of each row's (H, 1, 3)."""
    apart = pixels - colour
    return np.einsum("hwc,hwc->hw", apart, apart) < NEAR**2


def _like_row_ends(pixels: np.ndarray) -> np.ndarray:
    """(H, W) bool: which pixels show about the colour that their row has at its left or right end."""
    margin = max(2, round(0.02 * pixels.shape[1]))
    ends = (np.median(end, axis=1)[:, None] for end in (pixels[:, :margin], pixels[:, -margin:]))
    return np.logical_or.reduce([_near(pixels, end) for end in ends])


def _like_background(pixels: np.ndarray, scene: Scene) -> np.ndarray:
    """(H, W) bool: which pixels show a colour of the drawn background or of their row's ends."""
    near = _like_row_ends(pixels)
    for colour in _known_colours(scene):
        near |= _near(pixels, colour)
    return near


def pieces(mask: np.ndarray) -> np.ndarray:
    """(H, W) int: 0 outside of `mask`, else the number of the connected piece (four neighbours), from 1."""
    parents, labels = [0], np.zeros(mask.shape, int)

    def root(label):
        while parents[label] != label:
            parents[label] = parents[parents[label]]
            label = parents[label]
        return label

    above: list[tuple[int, int, int]] = []
    for y, row in enumerate(mask):
        edges = np.flatnonzero(np.diff(np.concatenate(([False], row, [False])).astype(np.int8)))
        runs = []
        for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            touched = [root(label) for a, b, label in above if a < end and b > start]
            label = min(touched, default=len(parents))
            if not touched:
                parents.append(label)
            for other in touched:
                parents[other] = label
            runs.append((start, end, label))
            labels[y, start:end] = label
        above = runs
    roots = np.array([root(label) for label in range(len(parents))])
    return np.unique(roots[labels], return_inverse=True)[1].reshape(mask.shape) if mask.any() else labels


def _outline(background: np.ndarray) -> np.ndarray:
    """The things with their insides filled: all that the background can't reach from the picture's border."""
    labels = pieces(background)
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    return ~(background & np.isin(labels, np.unique(border[border > 0])))


# Laying over
# ------------------------------------------------------------------------------------------------------------


def _standing(mask: np.ndarray, scale: float = 1.0, turn: float = 0.0) -> np.ndarray:
    """`mask` in the middle of a GRID x GRID field, brought to ROOT_AREA and turned: (GRID²,) float32."""
    ys, xs = np.nonzero(mask)
    size = np.sqrt(mask.sum()) / (ROOT_AREA * scale)  # px of the mask a cell
    c, s = np.cos(np.radians(turn)) * size, np.sin(np.radians(turn)) * size
    x0, y0 = xs.mean() + 0.5 - FORM_GRID / 2 * (c - s), ys.mean() + 0.5 - FORM_GRID / 2 * (s + c)
    picture = Image.fromarray((mask * 255).astype(np.uint8))
    moved = picture.transform(
        (FORM_GRID, FORM_GRID), Image.Transform.AFFINE, (c, -s, x0, s, c, y0), Image.Resampling.BILINEAR
    )
    return (np.asarray(moved) > 127).astype(np.float32).ravel()


@cache
def templates() -> tuple[tuple[str, ...], np.ndarray]:
    """The outlines of all objects at every scale and turn: their names, and (N, GRID²) float32."""
    names, fields = [], []
    for name in OBJECTS:
        scene = Scene((Group(1, "blue", name, "large"),), "center", "yellow", "flat")
        placed = [Placed(name, "blue", 0.5, 0.5, 0.4, 0)]
        picture = draw(scene, random.Random(0), (SIDE, SIDE), placed)
        mask = _outline(_like_background(np.asarray(picture, np.float32), scene))
        for scale in SCALES:
            for turn in TURNS:
                names.append(name)
                fields.append(_standing(mask, scale, turn))
    return tuple(names), np.stack(fields)


def overlaps(mask: np.ndarray) -> dict[str, float]:
    """For each object, the best intersection over union of its outline with `mask`."""
    names, fields = templates()
    field = _standing(mask).reshape(FORM_GRID, FORM_GRID)
    moved = np.stack([np.roll(field, (dy, dx), (0, 1)).ravel() for dy in SHIFTS for dx in SHIFTS])
    common = moved @ fields.T  # (shifts, N)
    union = moved.sum(1)[:, None] + fields.sum(1)[None] - common
    best: dict[str, float] = {}
    for name, value in zip(names, (common / union).max(0).tolist(), strict=True):
        best[name] = max(best.get(name, 0.0), value)
    return best


def count_points(mask: np.ndarray) -> int:
    """How many corners stick out: peaks of the outline's distance from its centre, over its mean by a
    tenth and over the valleys beside by a sixth."""
    ys, xs = np.nonzero(mask)
    y, x = ys - ys.mean(), xs - xs.mean()
    angle = ((np.arctan2(y, x) / (2 * np.pi) % 1) * 72).astype(int) % 72
    reach = np.zeros(72)
    np.maximum.at(reach, angle, np.hypot(x, y))
    reach = (np.roll(reach, 1) + 2 * reach + np.roll(reach, -1)) / 4
    mean, count, rising = reach.mean(), 0, False
    start = int(reach.argmin())
    low = high = reach[start]
    for value in np.roll(reach, -start):
        if rising:
            high = max(high, value)
            if value < high - mean / 6:
                count += high > 1.1 * mean
                rising, low = False, value
        else:
            low = min(low, value)
            if value > low + mean / 6:
                rising, high = True, value
    return count + (rising and high > 1.1 * mean)


def _holes(pixels: np.ndarray, mask: np.ndarray, scene: Scene) -> float:
    """The share of `mask` that looks like its row's ends, beyond that of the object drawn there."""
    ys, xs = np.nonzero(mask)
    reach = max(np.ptp(ys), np.ptp(xs)) / 2 / SIDE
    group = scene.groups[0]
    x, y = (v.min() + np.ptp(v) / 2 for v in (xs, ys))
    placed = [Placed(group.object, group.colour, x / SIDE, y / SIDE, reach, 0)]
    drawn = np.asarray(draw(scene, random.Random(0), (SIDE, SIDE), placed), np.float32)
    return float((_like_row_ends(pixels) & mask).sum() - (_like_row_ends(drawn) & mask).sum()) / mask.sum()


def _cut_out(picture: Image.Image, scene: Scene) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The picture's pixels at SIDE; the pieces that stand out of its background, numbered from 1; and the
    area of each, empty where none is more than a speck."""
    pixels = np.asarray(picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX), np.float32)
    labels = pieces(_outline(_like_background(pixels, scene)))
    areas = np.bincount(labels.ravel())[1:]
    return pixels, labels, areas if areas.size and areas.max() >= SPECK * SIDE * SIDE else areas[:0]


def place(picture: Image.Image, scene: Scene) -> tuple[float, float, float] | None:
    """Where the middle of the one thing is that `scene` asks for, and the root of its area, as shares of the
    side; None where nothing is found."""
    _, labels, areas = _cut_out(picture, scene)
    if not areas.size:
        return None
    ys, xs = np.nonzero(labels == 1 + areas.argmax())
    x, y = ((v.min() + v.max() + 1) / 2 / SIDE for v in (xs, ys))
    return float(x), float(y), float(areas.max()) ** 0.5 / SIDE


def look(picture: Image.Image, scene: Scene) -> Form:
    """The form of the one thing that `scene` asks for, in a picture of any size."""
    pixels, labels, areas = _cut_out(picture, scene)
    if not areas.size:
        return NOTHING
    largest = labels == 1 + areas.argmax()
    parts = int((areas >= max(PART * areas.max(), SPECK * SIDE * SIDE)).sum())
    found = overlaps(largest)
    name = max(found, key=found.get)
    holes = 0.0 if scene.style == "outline" else _holes(pixels, largest, scene)
    overlap = found[scene.groups[0].object]
    return Form(name, overlap, found[name], parts, count_points(largest), holes)


AROUND = 25  # px, the side of the square in which an edge's two colours are looked for


def steps_between(image: Image.Image) -> np.ndarray:
    """How much grey changes from a pixel to the next, down and to the right: (H - 1, W - 1), 0 to 255."""
    grey = np.asarray(image.convert("L"), float)
    return np.hypot(np.diff(grey, axis=1)[:-1], np.diff(grey, axis=0)[:, :-1])


def edge_width(image: Image.Image) -> float:
    """Local contrast over the steepest 2 % of steps, the median, in px; NaN without edges. Narrow = sharp."""
    steps, contrast = steps_between(image), _contrast(image)
    edges = (steps >= np.quantile(steps, 0.98)) & (contrast > 40) & (steps > 0)
    return float(np.median(contrast[edges] / steps[edges])) if edges.any() else float("nan")


def canny_edge_width(image: Image.Image) -> float:
    """Local contrast over the step, the median along all edges that Canny's method finds, in px; NaN without
    edges. The steepest 2 % are more than the edges of a small thing where these are narrow, and take in
    soft slopes beside them."""
    steps, contrast = _extreme(steps_between(image), 1, np.maximum), _contrast(image)
    edges = (np.asarray(canny(image).convert("L"))[:-1, :-1] > 0) & (contrast > 40) & (steps > 0)
    return float(np.median(contrast[edges] / steps[edges])) if edges.any() else float("nan")


def _contrast(image: Image.Image) -> np.ndarray:
    """The range of greys in the square around each pixel: (H - 1, W - 1)."""
    grey = np.asarray(image.convert("L"), np.int16)
    windows = (_extreme(grey, AROUND // 2, choose)[:-1, :-1] for choose in (np.maximum, np.minimum))
    return np.subtract(*windows)


def _extreme(grey: np.ndarray, radius: int, choose: np.ufunc) -> np.ndarray:
    """The greatest or least of (H, W) within `radius` px across and down, in windows that double."""
    values = np.pad(grey, radius, "edge")
    for _ in range(2):
        width, window = 1, 2 * radius + 1
        while width < window:
            step = min(width, window - width)
            values = choose(values[:-step], values[step:])
            width += step
        values = values.T
    return values
