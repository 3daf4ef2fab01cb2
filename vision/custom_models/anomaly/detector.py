"""An inspection as one network from a picture to a score, a heat map and a kind of defect, and as the file
that is kept; with heads that learn from defects that were missed and shown.

What such a head says is laid on the detector's scale and the larger of the two counts: a defect that nobody
showed is found as before, and held-out good parts give the limit of both together. The kind is told only from
what the detector points at: where the whole picture is looked at, ten examples a kind say little
(docs/evidence/own-models.md)."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from vision.custom_models.anomaly.features import (
    FIXTURE,
    TURNS,
    Aligner,
    Cells,
    backwards,
    bank_of,
    moved,
)
from vision.custom_models.features import CustomModel, Extractor, blurred, fit_logistic, gaussian, pixels
from vision.custom_models.snapshot import GOOD

SHARE = 400  # one cell in so many counts for the score: the strongest of them, 10 of 64 × 64
LEAST = 5  # cells that count at least: their mean is steadier than the strongest alone
SMOOTH = 1.0  # cells


class Detector(nn.Module):
    """(B, 3, side, side) in 0..1 to scores, heat maps and, with a ``naming``, logits of its labels.

    extractor: pixels to maps. judge: ``Cells``, ``Bank`` or ``Banks``. taught: ``Taught``, what was learned
    of defects that had been missed.
    """

    def __init__(
        self,
        aligner: Aligner | None,
        extractor: nn.Module,
        judge: nn.Module,
        naming: nn.Module | None = None,
        taught: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.aligner, self.extractor, self.judge = aligner, extractor, judge
        self.naming, self.taught = naming, taught
        self.kernel = nn.Buffer(gaussian(SMOOTH, 3))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return scores (B,), heat maps (B, 1, h, w) in the picture's own places, logits (B, L)."""
        seen = pixels
        if self.aligner is not None:
            seen, motion, _ = self.aligner(pixels)
        maps, _ = self.extractor(seen)
        strange, apart = self.judge(maps)
        told = None if self.taught is None else self.taught(apart)
        scores, heat = joint(smoothed(strange, self.kernel), told)
        logits = heat.new_zeros(heat.shape[0], 0) if self.naming is None else self.naming(heat, apart, maps)
        placed = heat if self.aligner is None else moved(heat, backwards(motion))
        return scores, placed, logits


def smoothed(strange: Tensor, kernel: Tensor) -> Tensor:
    """Return heat (B, C, h, w) of how strange cells are; what two ways of looking say is smooth already."""
    return blurred(strange, kernel) if strange.shape[1] == 1 else strange


def joint(heat: Tensor, told: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return scores (B,) and one heat map, (B, 1, h, w), of all ways of looking, (B, C, h, w), and of what
    was ``taught``, (B, 1, h, w), where it is more."""
    scores, whole = score(heat), heat.sum(1, keepdim=True)
    if told is None:
        return scores, whole
    whole = torch.maximum(whole, told)
    return torch.maximum(scores, score(whole)), whole


def score(heat: Tensor) -> Tensor:
    """Return the mean of the strongest cells, (B,), of several ways of looking their sum: a defect need not
    be in the same cell to all."""
    flat = heat.flatten(2)  # (B, C, h w)
    count = max(LEAST, heat.shape[-2] * heat.shape[-1] // SHARE)
    return torch.topk(flat, count, dim=2).values.mean(2).sum(1)


LEAST_TAUGHT = 3  # pictures with defects that are learned from
FOLDS = 10  # in which good parts and defects are left out: of ten defects a head has nine
STRENGTH = 0.1  # C of the logistic regression
SHOWN = 6  # cells of a picture that are learned as defects: the strangest, in its marks where it has any
ROUNDS = 5  # in which they are looked for by what was learned of them
SEEDS = 8  # strange cells of a picture without marks, that others are compared with
FAR = (-2.0, 4.0)  # deviations from good pictures that one picture may count for
LEAST_SCALE = 1e-3
USUAL, GROUND = 256, 8000  # cells of each good picture, of all of them together
STOPS = FOLDS + 1  # where the learning stands still
MOST = 6.0  # deviations that a difference counts for at most


class Taught(nn.Module):
    """weight: (2 K,), of differences and of their sizes. scale, offset: onto the detector's scale."""

    def __init__(self, weight: Tensor, bias: Tensor, scale: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = nn.Buffer(weight), nn.Buffer(bias)
        self.scale, self.offset = nn.Buffer(scale), nn.Buffer(offset)
        self.kernel = nn.Buffer(gaussian(SMOOTH, 3), persistent=False)

    def forward(self, apart: Tensor) -> Tensor:
        """Return heat (B, 1, h, w) of differences from the usual (B, K, h, w)."""
        rows = _rows(apart, self.kernel)
        found = torch.einsum("bdhw,d->bhw", rows, self.weight)[:, None] + self.bias
        return found * self.scale + self.offset


@dataclass(frozen=True)
class Pictured:
    """A picture as the head sees it. heat: (1, C, h, w), of each way of looking. apart: (1, K, h, w). marks:
    (h, w), where its defects were marked, None = nowhere in particular. group: that it is left out with."""

    heat: Tensor
    apart: Tensor
    group: int
    marks: Tensor | None = None


@dataclass(frozen=True)
class Lesson:
    """good, bad: scores of the pictures, each told by a head that never saw its group. before, after: how
    many of those with defects are found above the limit, without the head and with it."""

    module: Taught
    good: list[float]
    bad: list[float]
    before: int
    after: int

    @property
    def helps(self) -> bool:
        """Whether more is found than without it."""
        return self.after > self.before


def learn_defects(
    good: Sequence[Pictured], bad: Sequence[Pictured], limit: Callable[[list[float]], float]
) -> Generator[None, None, Lesson]:
    """Learn from defects that were shown, and stand still STOPS times. limit: of held-out scores of ``good``.

    What is kept is the mean of the heads that each left a part out: a head on all would see new good parts
    otherwise than those that the limit comes from were seen.
    """
    kernel = gaussian(SMOOTH, 3)
    usual, shown = ([_rows(one.apart, kernel)[0].flatten(1).T for one in some] for some in (good, bad))
    heads: list[tuple[Tensor, Tensor]] = []
    told_good, told_bad = [torch.empty(0)] * len(good), [torch.empty(0)] * len(bad)
    for fold in range(FOLDS):
        left = [one.group % FOLDS == fold for one in good]
        out = [one.group % FOLDS == fold for one in bad]
        weight, bias = _fit(
            [rows for rows, gone in zip(usual, left, strict=True) if not gone],
            [(rows, one) for rows, one, gone in zip(shown, bad, out, strict=True) if not gone],
        )
        if not all(out):
            heads.append((weight, bias))
        for told, rows, some, gone in ((told_good, usual, good, left), (told_bad, shown, bad, out)):
            for at in (at for at, is_out in enumerate(gone) if is_out):
                told[at] = (rows[at] @ weight + bias).reshape(1, 1, *some[at].heat.shape[2:])
        yield
    plain = torch.tensor([float(score(one.heat)) for one in good])
    alone = torch.tensor([float(score(heat)) for heat in told_good])
    scale = plain.std() / alone.std().clamp(min=1e-6)
    offset = plain.mean() - scale * alone.mean()

    def both(some: Sequence[Pictured], told: Sequence[Tensor]) -> list[float]:
        pairs = zip(some, told, strict=True)
        return [float(joint(one.heat, heat * scale + offset)[0]) for one, heat in pairs]

    scores = both(good, told_good), both(bad, told_bad)
    before, after = limit(plain.tolist()), limit(scores[0])
    weight, bias = (torch.stack(each).mean(0) for each in zip(*heads, strict=True))
    yield
    return Lesson(
        Taught(weight, bias, scale, offset),
        *scores,
        sum(float(score(one.heat)) > before for one in bad),
        sum(one > after for one in scores[1]),
    )


def _rows(apart: Tensor, kernel: Tensor) -> Tensor:
    """Return what the head looks at, (B, 2 K, h, w)."""
    near = blurred(apart, kernel).clamp(-MOST, MOST)
    return torch.cat([near, near.abs()], 1)


def _fit(usual: Sequence[Tensor], shown: Sequence[tuple[Tensor, Pictured]]) -> tuple[Tensor, Tensor]:
    """Return weight (2 K,) and bias of a head on cells of good pictures, (h w, 2 K) each, and of defects.

    Defects are looked for in their marks. Where nothing is marked, cells are begun with that are like a
    strange cell which the other pictures have, too, and good ones haven't; then those are taken that the head
    itself sees. From the second round on it also learns from the good cells that it took for defects.
    """
    if not shown:
        return torch.zeros(usual[0].shape[1]), torch.tensor(0.0)
    step = max(1, len(usual[0]) // min(USUAL, GROUND // len(usual)))
    ground = torch.cat([rows[at % step :: step] for at, rows in enumerate(usual)])
    mean, scale = ground.mean(0), ground.std(0) + LEAST_SCALE
    good = [(rows - mean) / scale for rows in usual]
    seen = [((rows - mean) / scale, one) for rows, one in shown]
    known = [pair for pair in seen if _inside(pair[1]) is not None]
    looks = [one.heat.sum(1).flatten() for _, one in known] if known else _alike(good, seen)
    some, taken = known or seen, (ground - mean) / scale
    weight, bias = torch.empty(0), torch.empty(0)
    for _ in range(ROUNDS):
        cells = torch.cat(
            [rows[_strongest(look, one)] for (rows, one), look in zip(some, looks, strict=True)]
        )
        strange = torch.tensor([0] * len(taken) + [1] * len(cells))
        found, offset = fit_logistic(torch.cat([taken, cells]), strange, STRENGTH)
        weight, bias = 2 * found[:, 1], 2 * offset[1]
        some, looks = seen, [rows @ weight + bias for rows, _ in seen]
        wrong = [rows[(rows @ weight).topk(SHOWN).indices] for rows in good]
        taken = torch.cat([(ground - mean) / scale, *wrong])
    told = (ground - mean) / scale @ weight
    # heads are averaged: each says how many deviations of good cells a cell is away from them
    weight = weight / told.std().clamp(min=1e-6) / scale
    return weight, -(ground @ weight).mean()


def _alike(good: Sequence[Tensor], seen: Sequence[tuple[Tensor, Pictured]]) -> list[Tensor]:
    """Return how alike each cell of pictures with defects is to the strange cell that stands out most in all
    others of them and not in good pictures, (h w,) each."""
    found, owners = [], []
    for number, (rows, one) in enumerate(seen):
        heat = one.heat.sum(1)
        peaks = (F.max_pool2d(heat, 5, 1, 2) == heat).flatten()
        places = heat.flatten().masked_fill(~peaks, float("-inf")).topk(SEEDS).indices
        found.append(rows[places])
        owners += [number] * SEEDS
    seeds = F.normalize(torch.cat(found), dim=1).T  # (2 K, pictures × SEEDS)

    def strongest(rows: Tensor) -> Tensor:
        return (rows @ seeds).topk(SHOWN, 0).values.mean(0)

    usual = torch.stack([strongest(rows) for rows in good])
    away = (torch.stack([strongest(rows) for rows, _ in seen]) - usual.mean(0)) / usual.std(0).clamp(min=1e-6)
    own = torch.arange(len(seen))[:, None] == torch.tensor(owners)
    best = int(away.clamp(*FAR).masked_fill(own, 0).sum(0).argmax())
    return [rows @ seeds[:, best] for rows, _ in seen]


def _inside(one: Pictured) -> Tensor | None:
    """Return which cells lie in a picture's marks, (h w,); None without any."""
    if one.marks is None or not bool((one.marks > 0.5).any()):
        return None
    return one.marks.flatten() > 0.5


def _strongest(look: Tensor, one: Pictured) -> Tensor:
    """Return the places of the SHOWN strongest cells, of a mark at most a third of its own."""
    inside = _inside(one)
    if inside is None:
        return look.topk(SHOWN).indices
    count = min(SHOWN, max(1, int(inside.sum()) // 3))
    return look.masked_fill(~inside, float("-inf")).topk(count).indices


STRONGEST, FORM = 5, 20  # cells that are looked at: for what they show, and for the form they lie in
RANKS = (0, 4, 19, 79, 319)  # of cells by how strange they are


class Naming(nn.Module):
    """A standardised linear layer on ``seen``. weight: (P, L)."""

    def __init__(self, mean: Tensor, scale: Tensor, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.mean, self.scale = nn.Buffer(mean), nn.Buffer(scale)
        self.weight, self.bias = nn.Buffer(weight), nn.Buffer(bias)

    def forward(self, heat: Tensor, apart: Tensor, maps: Tensor) -> Tensor:
        """Return logits (B, L)."""
        return (seen(heat, apart, maps) - self.mean) / self.scale @ self.weight + self.bias


def seen(heat: Tensor, apart: Tensor, maps: Tensor) -> Tensor:
    """Return what the strangest cells show, (B, P), of heat (B, 1, h, w), differences from the usual
    (B, K, h, w) and features (B, D, h, w)."""
    flat, width = heat.flatten(1), heat.shape[-1]
    values, places = torch.topk(flat, max(RANKS) + 1, dim=1)
    first = places[:, None, :STRONGEST]
    strange = apart.flatten(2)
    there = strange.gather(2, first.expand(-1, apart.shape[1], -1))
    form = strange.gather(2, places[:, None, :FORM].expand(-1, apart.shape[1], -1))
    shown = maps.flatten(2).gather(2, first.expand(-1, maps.shape[1], -1))
    y = torch.div(places[:, :FORM], width, rounding_mode="floor").float()
    x = places[:, :FORM].float() - y * width
    x, y = x - x.mean(1, keepdim=True), y - y.mean(1, keepdim=True)
    xx, yy, xy = x.square().mean(1), y.square().mean(1), (x * y).mean(1)
    wide, long = xx + yy, ((xx - yy).square() + 4 * xy.square() + 1e-6).sqrt()
    ranks = values[:, list(RANKS)].clamp(min=1e-3).log()
    shape = torch.stack([(wide + 1).log(), long / (wide + 1)], 1)
    return torch.cat([there.mean(2), form.abs().mean(2), shown.mean(2), ranks, shape], 1)


def fit_naming(rows: Tensor, labels: Sequence[str]) -> tuple[Naming, list[str]]:
    """Learn names from what is ``seen`` of labelled pictures, (n, P), and return them in the order of the
    logits. Each name counts the same, however many pictures it has."""
    mean = rows.mean(0)
    scale = rows.std(0, correction=0).clamp(min=1e-4)
    names = sorted(set(labels))
    places = torch.tensor([names.index(label) for label in labels])
    return Naming(mean, scale, *fit_logistic((rows - mean) / scale, places, STRENGTH)), names


FORMAT = 2
BEFORE, MARGIN_BEFORE = 1, 1 / 8  # a format that is still read, and how parts were laid then
CELLS, BANK = "cells", "bank"  # methods
FREE, FIXED, TURNING, AUTO = "free", "fixture", "turns", "auto"  # how alike parts lie
ALIGNED = {FIXED: FIXTURE, TURNING: TURNS}
# stored in float16, and rounded to it when trained
HALF = ("cells.mean", "cells.variance", "bank.patches", "bank.first.patches", "bank.second.patches")


@dataclass(frozen=True)
class Verdict:
    """score beside ``limit``: above 1 a part is strange. rank: how many of the ``good`` held-out parts were
    stranger. heat: (h, w) in limits of ``limit``. names: probabilities, best first, of labels that have been
    taught; none without."""

    score: float
    limit: float
    rank: int
    good: int
    heat: Tensor
    names: tuple[tuple[str, float], ...] = ()

    @property
    def ratio(self) -> float:
        """The score in limits."""
        return self.score / self.limit

    @property
    def strange(self) -> bool:
        """Whether it is unlike the good ones."""
        return self.score > self.limit

    @property
    def name(self) -> str:
        """The likeliest kind of a strange part, "" where none was taught or it isn't strange."""
        kinds = [name for name, _ in self.names if name != GOOD]
        return kinds[0] if self.strange and kinds else ""

    def sentence(self) -> str:
        """Say the verdict as a person would."""
        if not self.strange:
            return f"Like the good ones: {self.ratio:.2f} × the limit."
        if self.rank == 0:
            return f"Not like the good ones: {self.ratio:.1f} × the limit, more unusual than all {self.good}."
        return (
            f"Not like the good ones: {self.ratio:.1f} × the limit,"
            f" more unusual than {self.good - self.rank} of {self.good}."
        )


class Inspector(CustomModel):
    """A trained inspection."""

    noun, task, formats = "inspection", "anomaly", (BEFORE, FORMAT)

    def _is_half(self, name: str, value: Tensor) -> bool:
        return name in HALF

    @property
    def limit(self) -> float:
        """The score above which a part is strange."""
        return float(self.card["limit"])

    def detector(self, extractor: Extractor) -> Detector:
        """Return the network. Raises ModelError for another extractor than it was trained with."""
        self.check_extractor(extractor)
        parts = {
            kind: {
                name.removeprefix(f"{kind}."): value
                for name, value in self.tensors.items()
                if name.startswith(f"{kind}.")
            }
            for kind in ("aligner", CELLS, BANK, "naming", "taught")
        }
        aligner = None
        if parts["aligner"]:
            stages = ALIGNED[self.card["alike"]]
            if self.card["format"] == BEFORE:  # laid as they were when the limit was found
                stages = tuple(replace(stage, margin=MARGIN_BEFORE) for stage in stages)
            aligner = Aligner(parts["aligner"]["reference"], stages)
        judge = Cells(**parts[CELLS]) if parts[CELLS] else bank_of(parts[BANK])
        naming = Naming(**parts["naming"]) if parts["naming"] else None
        taught = Taught(**parts["taught"]) if parts["taught"] else None
        made = Detector(aligner, extractor.module, judge, naming, taught)
        return made.eval().requires_grad_(False)

    @torch.no_grad()
    def inspect(self, image: Image.Image, extractor: Extractor, detector: Detector | None = None) -> Verdict:
        """Return the verdict on a picture of any size. detector: what ``detector`` made, to make it once."""
        network = detector or self.detector(extractor)
        scores, heat, logits = network(pixels(image, extractor.side)[None])
        return self.verdict(float(scores[0]), heat[0, 0], logits[0])

    def verdict(self, score: float, heat: Tensor, logits: Tensor) -> Verdict:
        """Return what a score, a heat map (h, w) and logits (L,) mean."""
        good = self.card["good_scores"]
        names = zip(self.card["names"], logits.softmax(0).tolist(), strict=True) if len(logits) else ()
        return Verdict(
            score,
            self.limit,
            sum(one >= score for one in good),
            len(good),
            heat / self.limit,
            tuple(sorted(names, key=lambda pair: -pair[1])),
        )
