"""Defects that were missed and shown: a linear head on how each cell differs from the usual, beside the
detector.

What it says is laid on the detector's scale and the larger of the two counts. So a defect that nobody
showed is found as before, and held-out good parts give the limit of both together.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vision.own_models.anomaly.detector import joint, score
from vision.own_models.features.filters import blurred, gaussian

LEAST = 3  # pictures with defects that are learned from
FOLDS = 10  # in which good parts and defects are left out: of ten defects a head has nine
STRENGTH = 0.1  # C of the logistic regression
SHOWN = 6  # cells of a picture that are learned as defects: the strangest, in its marks where it has any
ROUNDS = 5  # in which they are looked for by what was learned of them
SEEDS = 8  # strange cells of a picture without marks, that others are compared with
FAR = (-2.0, 4.0)  # deviations from good pictures that one picture may count for
LEAST_SCALE = 1e-3
USUAL, GROUND = 256, 8000  # cells of each good picture, of all of them together
STOPS = FOLDS + 1  # where the learning stands still
SMOOTH = 1.0  # cells
MOST = 6.0  # deviations that a difference counts for at most


class Taught(nn.Module):
    """weight: (2 K,), of differences and of their sizes. scale, offset: onto the detector's scale."""

    weight: Tensor
    bias: Tensor
    scale: Tensor
    offset: Tensor
    kernel: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, scale: Tensor, offset: Tensor) -> None:
        super().__init__()
        for name, value in (("weight", weight), ("bias", bias), ("scale", scale), ("offset", offset)):
            self.register_buffer(name, value)
        self.register_buffer("kernel", gaussian(SMOOTH, 3), persistent=False)

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


def learn(
    good: Sequence[Pictured], bad: Sequence[Pictured], region: Tensor, limit: Callable[[list[float]], float]
) -> Generator[None, None, Lesson]:
    """Learn from defects that were shown, and stand still STOPS times. region: (h, w), how much each cell
    counts. limit: of held-out scores of ``good``.

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
        return [
            float(joint(one.heat, (heat * scale + offset) * region)[0])
            for one, heat in zip(some, told, strict=True)
        ]

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
    """Return weight (2 K,) and bias of a head on cells of good pictures, (h w, 2 K) each, and on those of
    defects.

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
        weight, bias = _logistic(taken, cells)
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


def _logistic(ground: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
    from sklearn.linear_model import LogisticRegression

    rows = torch.cat([ground, cells]).double().numpy()
    head = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=1000)
    head.fit(rows, [0] * len(ground) + [1] * len(cells))
    return torch.from_numpy(head.coef_[0]).float(), torch.tensor(float(head.intercept_[0]))
