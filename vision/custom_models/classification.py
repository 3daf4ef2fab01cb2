"""A classifier and its training: linear heads on what towers see, calibrated on groups that were left out,
and LoRA (arXiv:2106.09685) in the attention of a tower. Of a probe on each tower the host has, the best two
together, and a tower that learns to see labels, left-out examples choose, with what words say blended in
while examples are few. One thing because what is kept of a head is what its training tested.

LoRA begins where the probe on the same tower stands (arXiv:2202.10054), so that the tower is not torn away
from what it knows. A label is doubted by confident learning (Northcutt et al., arXiv:1911.00068): when
another one is as likely as that one usually is for pictures that have it."""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional as F

from core.errors import ModelError, UserError
from vision.custom_models.features import (
    CustomModel,
    Extractor,
    TransformerFeatures,
    fit_logistic,
    pair,
    pixels,
    vectors,
)
from vision.custom_models.snapshot import TRAIN, Item, Snapshot
from vision.custom_models.steps import (
    Step,
    Store,
    Tensors,
    exhausted,
    kept,
    learned_tensors,
    put_back,
    step_numbers,
)
from vision.devices import shared_weights_copy
from vision.readers import few_shot


def folds(labels: Sequence[int], groups: Sequence[str], most: int) -> list[list[int]]:
    """Return the places of at most ``most`` folds, each example in one of them.

    groups: a name for each example; equal names are never told apart. Groups are dealt out in the order of
    their first examples, each to the fold that has the fewest of its label.
    """
    together: dict[str, list[int]] = {}
    for at, name in enumerate(groups):
        together.setdefault(name, []).append(at)
    found: list[list[int]] = [[] for _ in range(min(most, len(together)))]
    of_label: list[dict[int, int]] = [{} for _ in found]
    for places in sorted(together.values(), key=lambda some: (-len(some), some[0])):
        label = labels[places[0]]
        best = min(range(len(found)), key=lambda n: (of_label[n].get(label, 0), len(found[n]), n))
        found[best] += places
        of_label[best][label] = of_label[best].get(label, 0) + len(places)
    return [sorted(some) for some in found if some]


STRENGTHS = (0.001, 0.01, 0.1, 1.0)  # C of the logistic regression that are tried
FOLDS = 5
TEMPERATURES = tuple(2.0 ** (step / 8) for step in range(-32, 33))  # that are tried
SPREAD = 0.5  # of the logarithm of a temperature, before anything is known of it
FAMILIAR = 0.95  # share of left-out examples that are no farther than what is told as none of these


@dataclass(frozen=True)
class Probe:
    """What was learned on the features of one extractor. mean, scale: (P,). weight, bias: (P, L) and (L,),
    with the temperature in them. centres: (L, P), of standardised features. far: the distance to the nearest
    centre beyond which a picture is none of these."""

    mean: Tensor
    scale: Tensor
    weight: Tensor
    bias: Tensor
    centres: Tensor
    far: float


@dataclass(frozen=True)
class Tested:
    """How a probe does on examples left out. logits: (n, L), with the temperature in them. squares: (n, L),
    of the distances to the centres. strength: C. temperature: what logits are divided by. loss: mean of
    -log p of the right label, lower is better."""

    logits: Tensor
    squares: Tensor
    strength: float
    temperature: float
    loss: float

    @property
    def far(self) -> float:
        """The distance to the nearest centre beyond which a picture is none of these."""
        nearest = self.squares.amin(1).sqrt()
        return float(np.quantile(nearest.numpy(), FAMILIAR, method="higher"))

    def told_by(self, probe: Probe) -> Probe:
        """Return a head on all examples that is as sure as it may be, and knows how far is too far."""
        weight, bias = probe.weight / self.temperature, probe.bias / self.temperature
        return replace(probe, weight=weight, bias=bias, far=self.far)


def fitting(
    rows: Tensor, labels: Sequence[int], groups: Sequence[str], count: int
) -> Generator[None, None, tuple[Probe, Tested]]:
    """Learn ``count`` labels on features (n, P), each counting the same, test with groups left out, and stand
    still once for each of STRENGTHS and FOLDS."""
    right = torch.tensor(labels)
    parts = folds(labels, groups, FOLDS)
    tried = []
    for strength in STRENGTHS:
        logits, squares = torch.zeros(len(rows), count), torch.zeros(len(rows), count)
        for part in parts:
            kept = [at for at in range(len(rows)) if at not in set(part)]
            probe = plain(rows[kept], right[kept], count, strength)
            logits[part], squares[part] = compare(probe, rows[part])
            yield
        for _ in range(FOLDS - len(parts)):  # fewer groups than folds
            yield
        tried.append(tested(logits, squares, right, strength))
    best = min(tried, key=lambda one: one.loss)
    return best.told_by(plain(rows, right, count, best.strength)), best


def tested(logits: Tensor, squares: Tensor, right: Tensor, strength: float) -> Tested:
    """Return how a head does whose left-out logits (n, L) and squared distances (n, L) these are."""
    temperature = calibrate(logits, right)
    loss = float(F.cross_entropy(logits / temperature, right))
    return Tested(logits / temperature, squares, strength, temperature, loss)


def compare(probe: Probe, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits (n, L) and squared distances to the centres, (n, L), of features (n, P)."""
    seen = (rows - probe.mean) / probe.scale
    squares = (seen[:, None] - probe.centres).square().mean(-1)
    return seen @ probe.weight + probe.bias, squares


def calibrate(logits: Tensor, right: Tensor) -> float:
    """Return the likeliest temperature, told by the right labels (n,) of left-out logits (n, L): Guo et al.,
    2017 (arXiv:1706.04599), not far from 1 (SPREAD) where there are few to tell it by."""
    losses = [
        len(right) * float(F.cross_entropy(logits / one, right)) + 0.5 * (math.log(one) / SPREAD) ** 2
        for one in TEMPERATURES
    ]
    return TEMPERATURES[int(np.argmin(losses))]


def plain(rows: Tensor, right: Tensor, count: int, strength: float) -> Probe:
    """Return a head of ``count`` labels on features (n, P) with right labels (n,), neither calibrated nor
    with a distance. strength: C."""
    mean = rows.mean(0)
    scale = rows.std(0, correction=0) + 1e-3 * rows.std() + 1e-6
    seen = (rows - mean) / scale
    known = sorted(set(right.tolist()))
    weight, bias = torch.zeros(rows.shape[1], count), torch.full((count,), -20.0)  # e^-20: not taught here
    if len(known) == 1:
        bias[known[0]] = 0.0
    else:
        weight[:, known], bias[known] = fit_logistic(seen, right, strength)
    return Probe(mean, scale, weight, bias, _centres(seen, right, count), 0.0)


def _centres(seen: Tensor, right: Tensor, count: int) -> Tensor:
    """Return the mean of each label's standardised features, (L, P); of a label without any, far away."""
    found = torch.full((count, seen.shape[1]), 1e3)
    for label in set(right.tolist()):
        found[label] = seen[right == label].mean(0)
    return found


RANK = 8  # of the added matrices, which count as they are (alpha = rank)
TARGETS = ("q_proj", "v_proj")  # of each layer, as in the paper's section 4.2
EPOCHS, BATCH = 6, 16
RATE, DECAY = 3e-4, 1e-4  # of AdamW; the rate falls to 0 along a cosine
CLIP = 1.0  # norm of a gradient
CLOSE = 0.8  # least share of a side that a picture is cropped to while it is learned from
KEEP = 10  # steps between two writes of where it stands


@dataclass(frozen=True)
class Taught:
    """What is learned from. pictures: (n, 3, size, size), uint8, as the tower takes them. right: (n,)
    labels, of ``count``. strength: C of the probe that is begun with."""

    pictures: Tensor
    right: Tensor
    count: int
    strength: float

    def some(self, places: Sequence[int]) -> Taught:
        """Return the same of fewer pictures."""
        return replace(self, pictures=self.pictures[places], right=self.right[places])


def kept_small(module: TransformerFeatures, pixels: Tensor) -> Tensor:
    """Return a picture (3, side, side) in 0..1 as it is kept while it is learned from, uint8."""
    return (module.whole(pixels[None])[0] * 255).round().to(torch.uint8)


def steps(count: int) -> int:
    """Return how many steps are taken on so many pictures."""
    return EPOCHS * math.ceil(count / BATCH)


def learning(
    module: TransformerFeatures, taught: Taught, store: Store, key: str, seed: int, device: str = "cpu"
) -> Generator[None, None, tuple[Tensors, Probe]]:
    """Learn, stand still after each of ``steps``, and return the added matrices and the head. key: names what
    is learned from, so that one that was cut off goes on where it was. device: that steps are taken on."""
    tower, places = Adapted(module, seed, device), taught.right.to(device)
    probe = plain(pooled_rows(module, taught.pictures), taught.right, taught.count, taught.strength)
    weight, bias = nn.Parameter(probe.weight.to(device)), nn.Parameter(probe.bias.to(device))
    counts = torch.bincount(taught.right, minlength=taught.count)
    shares = (
        len(taught.right) / ((counts > 0).sum() * counts.clamp(min=1))[taught.right]
    )  # labels count alike
    mean, scale, shares = (each.to(device) for each in (probe.mean, probe.scale, shares))
    held = {**tower.added(), "weight": weight, "bias": bias}
    optimiser = torch.optim.AdamW(held.values(), lr=RATE, weight_decay=DECAY)
    name = hashlib.sha256(f"{key} 2 {RANK} {EPOCHS} {BATCH} {seed}".encode()).hexdigest()
    total, done = steps(len(taught.right)), 0
    with suppress(SafetensorError):  # of nothing that was kept, or nothing whole
        state = load(store.get(name) or b"")
        done = int(state["done"])
        put_back(state, held, optimiser, done)
    for _ in range(done):  # taken before
        yield
    for step in range(done, total):
        for group in optimiser.param_groups:
            group["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / total))
        # which pictures a step learns from, and its random numbers
        count = len(taught.right)
        each = math.ceil(count / BATCH)
        epoch, part = divmod(step, each)
        order = torch.randperm(count, generator=step_numbers(seed, -2 - epoch))
        some, numbers = order[part * BATCH : (part + 1) * BATCH], step_numbers(seed, step)
        seen, right = cropped(taught.pictures[some], numbers).to(device), places[some.to(device)]
        with torch.enable_grad():
            logits = (tower(seen) - mean) / scale @ weight + bias
            loss = (F.cross_entropy(logits, right, reduction="none") * shares[some.to(device)]).mean()
            loss.backward()
        torch.nn.utils.clip_grad_norm_(list(held.values()), CLIP)
        optimiser.step()
        optimiser.zero_grad()
        if (step + 1) % KEEP == 0 or step + 1 == total:
            state = {**learned_tensors(held, optimiser), "done": torch.tensor(step + 1)}
            store.put(name, save(state))
        yield
    added = {name: value.detach().cpu().clone() for name, value in tower.added().items()}
    found = replace(probe, weight=weight.detach().cpu().contiguous(), bias=bias.detach().cpu())
    seen = (pooled_rows(merged(module, added), taught.pictures) - probe.mean) / probe.scale
    return added, replace(found, centres=_centres(seen, taught.right, taught.count))


@torch.no_grad()
def pooled_rows(module: TransformerFeatures, pictures: Tensor) -> Tensor:
    """Return what is pooled, (n, P), of pictures (n, 3, size, size), uint8."""
    return torch.cat([module.pooled(some.float() / 255) for some in pictures.split(BATCH)])


class Adapted(nn.Module):
    """A tower with added matrices in it, which change nothing at first. All others are those of
    ``module``."""

    def __init__(self, module: TransformerFeatures, seed: int, device: str = "cpu") -> None:
        super().__init__()
        self.features = shared_weights_copy(module) if device == "cpu" else copy.deepcopy(module)
        config = LoraConfig(r=RANK, lora_alpha=RANK, target_modules=list(TARGETS))
        inject_adapter_in_model(config, self.features.tower)
        numbers = step_numbers(seed, -1)
        with torch.no_grad():
            for name, value in sorted(self.added().items()):
                if name.endswith(".b"):
                    value.zero_()
                else:  # as peft does, by our own numbers
                    bound = 1 / math.sqrt(value.shape[1])
                    value.copy_((torch.rand(value.shape, generator=numbers) * 2 - 1) * bound)
        if device != "cpu":
            self.to(device)

    def forward(self, small: Tensor) -> Tensor:
        """Return what is pooled, (B, P), of pictures as the tower takes them, (B, 3, size, size) in 0..1."""
        return self.features.pooled(small)

    def added(self) -> dict[str, nn.Parameter]:
        """Return the added matrices: by the layer's name, ``.a`` down and ``.b`` up."""
        found = {}
        for name, layer in self.features.tower.named_modules():
            if isinstance(layer, LoraLayer):
                (adapter,) = layer.lora_A
                found[f"{name}.a"] = layer.lora_A[adapter].weight
                found[f"{name}.b"] = layer.lora_B[adapter].weight
        return found


def merged(module: TransformerFeatures, added: Mapping[str, Tensor]) -> TransformerFeatures:
    """Return the tower with added matrices in its weights; all others are shared. Raises KeyError for
    matrices of layers that it hasn't."""
    found = shared_weights_copy(module)
    layers = dict(found.tower.named_modules())
    for name in sorted(name.removesuffix(".a") for name in added if name.endswith(".a")):
        layer = layers[name]
        more = added[f"{name}.b"] @ added[f"{name}.a"]
        layer.weight = nn.Parameter(layer.weight + more, requires_grad=False)
    return found.eval().requires_grad_(False)


def cropped(pictures: Tensor, numbers: torch.Generator) -> Tensor:
    """Return pictures (B, 3, size, size), uint8, each cropped somewhere and enlarged again, in 0..1."""
    count = len(pictures)
    size = CLOSE + (1 - CLOSE) * torch.rand(count, generator=numbers)
    away = (torch.rand(2, count, generator=numbers) * 2 - 1) * (1 - size)
    zero = torch.zeros(count)
    x, y = torch.stack([size, zero, away[0]], 1), torch.stack([zero, size, away[1]], 1)
    grid = F.affine_grid(torch.stack([x, y], 1), list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures.float() / 255, grid, padding_mode="border", align_corners=False)


FORMAT = 1
NONE = "none of these"
ADDED = "lora."  # before the names of a tower's added matrices
Words = Callable[[Sequence[Image.Image]], Tensor]  # pictures → log-probabilities of labels by words, (n, L)


@dataclass(frozen=True)
class Answer:
    """chances: of the labels, likeliest first. distance: from what was taught, 1 = as far as nearly all that
    is."""

    chances: tuple[tuple[str, float], ...]
    distance: float

    @property
    def label(self) -> str:
        """The likeliest label, NONE for a picture unlike all that was taught."""
        return NONE if self.unknown else self.chances[0][0]

    @property
    def unknown(self) -> bool:
        """Whether it is none of these."""
        return self.distance > 1


class Head(nn.Module):
    """The network from pixels (B, 3, side, side) in 0..1 to logits (B, L) and distances (B,)."""

    def __init__(self, extractor: nn.Module, probe: Probe) -> None:
        super().__init__()
        self.extractor, self.far = extractor, probe.far
        for name in ("mean", "scale", "weight", "bias", "centres"):
            self.register_buffer(name, getattr(probe, name))
        self._probe = probe

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits, and distances in those of what was taught."""
        logits, squares = compare(self._probe, vectors(self.extractor, pixels))
        return logits, squares.amin(1).sqrt() / self.far


class Classifier(CustomModel):
    """tensors: of the probe, and those that were added to a transformer which has learned to see the labels
    (ADDED before their names)."""

    noun, task, formats = "classifier", "classify", (FORMAT,)

    def __init__(self, card: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        super().__init__(card, tensors)
        self._tuned: tuple[nn.Module, nn.Module] | None = None

    @property
    def labels(self) -> list[str]:
        """Its labels, in the order of its logits."""
        return list(self.card["labels"])

    def probe(self) -> Probe:
        """Return the head."""
        held = {name: value for name, value in self.tensors.items() if not name.startswith(ADDED)}
        return Probe(**held, far=float(self.card["far"]))

    def network(self, extractor: Extractor) -> Head:
        """Return the network. Raises ModelError for another extractor than it was trained with."""
        self.check_extractor(extractor)
        module = extractor.module
        added = {
            name.removeprefix(ADDED): value for name, value in self.tensors.items() if name.startswith(ADDED)
        }
        if added and (self._tuned is None or self._tuned[0] is not module):
            if not isinstance(module, TransformerFeatures):
                raise ModelError(
                    "This classifier needs the transformer that it was trained with. Train it again."
                )
            self._tuned = module, merged(module, added)  # once for each tower
        seen_with = self._tuned[1] if added and self._tuned is not None else module
        return Head(seen_with, self.probe()).eval().requires_grad_(False)

    @torch.no_grad()
    def classify(self, image: Image.Image, extractor: Extractor, words: Words | None = None) -> Answer:
        """Return what a picture shows. words: what words alone say of pictures, needed where the card gives
        them weight; without them they say nothing."""
        logits, distance = self.network(extractor)(pixels(image, extractor.side)[None])
        mine, theirs = self.card["weights"]
        together = mine * logits.log_softmax(-1)
        if words is not None and theirs:
            together = together + theirs * words([image])
        chances = zip(self.labels, together[0].softmax(0).tolist(), strict=True)
        return Answer(tuple(sorted(chances, key=lambda pair: -pair[1])), float(distance[0]))


WORTH = 0.02  # by which the left-out loss has to be lower for a second tower to be worth its time


def together(
    first: tuple[Probe, Tested], second: tuple[Probe, Tested], right: Tensor
) -> tuple[Probe, Tested]:
    """Return the head of both, and how it does on left-out examples with right labels (n,). What ``Tested``
    tells of strength and temperature is the first one's."""
    probes, tests = (first[0], second[0]), (first[1], second[1])
    views = [one.logits.log_softmax(-1) for one in tests]
    weights = few_shot.blend(views, right, [True, True])
    logits = few_shot.mixed(torch.stack(views), weights)
    wide = [len(one.mean) for one in probes]
    squares = (wide[0] * tests[0].squares + wide[1] * tests[1].squares) / sum(wide)
    loss = float(F.cross_entropy(logits, right))
    tested = Tested(logits, squares, tests[0].strength, tests[0].temperature, loss)
    probe = Probe(
        torch.cat([one.mean for one in probes]),
        torch.cat([one.scale for one in probes]),
        torch.cat([weight * one.weight for weight, one in zip(weights, probes, strict=True)]),
        weights[0] * probes[0].bias + weights[1] * probes[1].bias,
        torch.cat([one.centres for one in probes], 1),
        tested.far,
    )
    return probe, tested


MOST = 50  # that are told


@dataclass(frozen=True)
class Doubt:
    """A picture by its place among those that were learned from. label: that it has. rather: what it is taken
    for. chance, other: how likely both are, told without it."""

    place: int
    label: int
    rather: int
    chance: float
    other: float


def doubts(chances: Tensor, labels: Sequence[int]) -> list[Doubt]:
    """Return what is doubted, the likeliest to be wrong first, at most MOST. chances: (n, L), each told by a
    head that never saw the picture. labels: that the pictures have."""
    # how likely each label is for pictures that have it, on average; 2 where none has
    own = torch.tensor(list(labels))
    usual = []
    for label in range(chances.shape[1]):
        mine = chances[own == label, label]
        usual.append(float(mine.mean()) if len(mine) else 2.0)
    found = [one for one in suspicion(chances, labels) if one.other >= max(usual[one.rather], one.chance)]
    return found[:MOST]


def suspicion(chances: Tensor, labels: Sequence[int]) -> list[Doubt]:
    """Return all pictures, those first whose label is the least likely beside another one."""
    own = torch.tensor(list(labels))
    given = chances.gather(1, own[:, None])[:, 0]
    others, rather = chances.scatter(1, own[:, None], -1.0).max(1)
    order = (given - others).argsort(stable=True).tolist()
    return [Doubt(at, labels[at], int(rather[at]), float(given[at]), float(others[at])) for at in order]


BINS = 10
DRAWS = 100  # of labels, as often as told, by which it is known what chance alone makes


def expected_error(chances: Tensor, right: Tensor) -> float:
    """Return the expected calibration error of chances (n, L) for right labels (n,), in BINS bins of the
    likeliest label's probability: arXiv:1706.04599, section 2."""
    sure, label = chances.max(1)
    hit = (label == right).float()
    bins = (sure * BINS).long().clamp(max=BINS - 1)
    return float(torch.zeros(BINS).index_add(0, bins, hit - sure).abs().sum() / len(right))


def by_chance(chances: Tensor) -> float:
    """Return the error that chances (n, L) would have on average if they were told rightly: of few pictures
    each bin has few, whose share of hits is off by chance."""
    lots = torch.Generator().manual_seed(0)
    drawn = torch.multinomial(chances, DRAWS, replacement=True, generator=lots)
    return sum(expected_error(chances, drawn[:, at]) for at in range(DRAWS)) / DRAWS


Learned = tuple[Probe, Tested, Tensors]  # with what was added to a tower
Learning = Generator[None, None, Learned | None]
HOPELESS = 1.25  # times the probe's loss on the first examples left out, from which no others are
SPEED = {"cpu": 30e9}  # operations a second that a device does of a training; a processor on one thread
CARD = 1e12  # that any card does


@dataclass(frozen=True)
class Tuning:
    """What trying a transformer may cost. seconds: of the device at most. device: that it is trained on; what
    is told of it is always computed on the processor."""

    seconds: float
    device: str = "cpu"

    def allows(self, module: TransformerFeatures, labels: Sequence[int], groups: Sequence[str]) -> bool:
        """Whether there are enough examples, and time: counted from the tower's size, so that the same
        examples are treated alike whatever else the machine does."""
        least = min(Counter(labels).values(), default=0)
        speed = SPEED.get(self.device, CARD)
        return least >= ENOUGH and operations(module, labels, groups) / speed <= self.seconds


def operations(module: TransformerFeatures, labels: Sequence[int], groups: Sequence[str]) -> float:
    """Return how many multiplications and additions all its trainings take: two for each weight and patch
    forwards, twice as many backwards."""
    weights = sum(value.numel() for value in module.tower.parameters())
    patches = (module.size // module.tower.config.patch_size) ** 2 + 1
    looks = EPOCHS * sum(len(labels) - len(part) for part in [*folds(labels, groups, FOLDS), []])
    return 6.0 * weights * patches * looks


def count_tuning_stops(labels: Sequence[int], groups: Sequence[str]) -> int:
    """Return how often ``tuning`` stands still at most."""
    return sum(steps(len(labels) - len(part)) for part in [*folds(labels, groups, FOLDS), []])


def tuning(
    module: TransformerFeatures,
    taught: Taught,
    groups: Sequence[str],
    begun: Tested,
    store: Store,
    key: str,
    seed: int,
    device: str = "cpu",
) -> Learning:
    """Learn without each part of the examples and with all of them; return the head, how it does on left-out
    examples and the added matrices, or None where the first part that is left out says that it comes to
    nothing. begun: of the probe on the same tower."""
    logits = torch.zeros(len(taught.right), taught.count)
    squares = torch.zeros(len(taught.right), taught.count)
    for number, part in enumerate(folds(taught.right.tolist(), groups, FOLDS)):
        kept = sorted(set(range(len(taught.right))) - set(part))
        name = f"{key} without {number}"
        added, probe = yield from learning(module, taught.some(kept), store, name, seed, device)
        rows = pooled_rows(merged(module, added), taught.pictures[part])
        logits[part], squares[part] = compare(probe, rows)
        if number == 0:
            mine = tested(logits[part], squares[part], taught.right[part], 0.0).loss
            theirs = F.cross_entropy(begun.logits[part], taught.right[part])
            if not math.isfinite(mine) or mine > HOPELESS * float(theirs):
                return None
    added, probe = yield from learning(module, taught, store, f"{key} with all", seed, device)
    found = tested(logits, squares, taught.right, taught.strength)
    return found.told_by(probe), found, added


LEAST = 3  # examples of a label that is taught
Open = Callable[[str], Image.Image]
ENOUGH = 50  # examples a label from which words are no longer asked


def train_classifier(
    snapshot: Snapshot,
    open_picture: Open,
    extractors: Sequence[Extractor],
    store: Store,
    words: Words | None = None,
    seed: int = 0,
    *,
    words_name: str = "",
    lora: Tuning | None = None,
) -> Generator[Step, None, Classifier]:
    """Yield steps and return a classifier of the labels in the snapshot's training part.

    words: what the host's CLIP, called ``words_name``, makes of the labels' words, in the labels' sorted
    order. lora: what it may cost to let a transformer learn to see the labels, None = none does. Raises
    UserError for fewer than two labels with three examples each; labels with fewer are left out and named in
    the card.
    """
    items, labels, too_few = _taught(snapshot)
    fits = len(STRENGTHS) * FOLDS
    places = [labels.index(item.label) for item in items]
    groups = [item.group or item.sha256 for item in items]
    able = [
        extractor
        for extractor in extractors
        if lora is not None
        and isinstance(extractor.module, TransformerFeatures)
        and lora.allows(extractor.module, places, groups)
    ]
    total = len(items) * (len(extractors) + bool(words)) + len(extractors) * fits + 1
    total += len(items) + count_tuning_stops(places, groups) if able else 0
    count = _Count(total)

    # 1. Try a probe on each tower.
    tried: list[_Way] = []
    for extractor in extractors:
        rows = []
        for number, item in enumerate(items, 1):
            rows.append(_row(extractor, item, open_picture, store))
            yield count.step(f"checked {number} of {len(items)}")
        fits_left = fitting(torch.stack(rows), places, groups, len(labels))
        for number in range(1, fits + 1):
            next(fits_left)
            yield count.step(f"left out {number} of {fits}")
        tried.append(_Way(extractor, *exhausted(fits_left)))
    # 2. Let the best two see together.
    right = torch.tensor(places)
    both = _both(tried, right)
    # 3. Let the transformer that does best learn to see the labels.
    if lora is not None and able:
        begun = min((one for one in tried if one.extractor in able), key=lambda one: one.tested.loss)
        module, side, seen = begun.extractor.module, begun.extractor.side, []
        assert isinstance(module, TransformerFeatures)
        for number, item in enumerate(items, 1):
            seen.append(kept_small(module, pixels(open_picture(item.sha256), side)))
            yield count.step(f"opened {number} of {len(items)}")
        taught = Taught(torch.stack(seen), right, len(labels), begun.tested.strength)
        examples = [[item.sha256, *rest] for item, *rest in zip(items, places, groups, strict=True)]
        key = f"{begun.extractor.name} {hashlib.sha256(json.dumps(examples).encode()).hexdigest()}"
        learning = tuning(module, taught, groups, begun.tested, store, key, seed, lora.device)
        learned = yield from _in_steps(learning, count, count_tuning_stops(places, groups))
        tried += [] if learned is None else [_Way(begun.extractor, *learned)]
    best = min(tried, key=lambda one: one.tested.loss)
    if both is not None:
        tried.append(both)
        best = both if both.tested.loss <= best.tested.loss - WORTH else best
    # 4. Ask words, while examples are few.
    said = None
    if words is not None:
        asked = len(items) < ENOUGH * len(labels)
        told = []
        for number, item in enumerate(items, 1):
            told.append(words([open_picture(item.sha256)]) if asked else torch.zeros(1, len(labels)))
            yield count.step(f"asked words of {number} of {len(items)}")
        said = torch.cat(told) if asked else None
    weights, chances = _blended(best.tested, said, places)
    yield count.step("done")
    card = {
        "format": FORMAT,
        "task": "classify",
        "snapshot": snapshot.sha256,
        "labels": labels,
        "too_few": too_few,
        "extractor": best.extractor.name,
        "licence": best.extractor.licence,
        "side": best.extractor.side,
        "strength": best.tested.strength,
        "temperature": round(best.tested.temperature, 4),
        "weights": weights,
        "words": words_name if weights[1] else "",
        "far": best.probe.far,
        "accuracy": round(float((chances.argmax(1) == right).float().mean()), 4),
        "calibration_error": round(expected_error(chances, right), 4),
        "examples": len(items),
        "seed": seed,
        "tried": {one.name: round(one.tested.loss, 4) for one in tried},
        "doubtful": [
            [items[one.place].sha256, labels[one.label], labels[one.rather]]
            + [round(one.chance, 4), round(one.other, 4)]
            for one in doubts(chances, places)
        ],
    }
    tensors = {name: getattr(best.probe, name) for name in ("mean", "scale", "weight", "bias", "centres")}
    return Classifier(card, tensors | {f"{ADDED}{name}": value for name, value in best.added.items()})


@dataclass(frozen=True)
class _Way:
    """One way to tell labels apart. added: what a transformer has learned to see them by."""

    extractor: Extractor
    probe: Probe
    tested: Tested
    added: Tensors = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.extractor.name} with LoRA" if self.added else self.extractor.name


def _both(tried: Sequence[_Way], right: Tensor) -> _Way | None:
    """Return the best two that take pictures of the same side, together; None where no two do."""
    ranked = sorted(tried, key=lambda one: one.tested.loss)
    for number, second in enumerate(ranked):
        for first in ranked[:number]:
            if first.extractor.side == second.extractor.side:
                ways = (first.probe, first.tested), (second.probe, second.tested)
                return _Way(pair(first.extractor, second.extractor), *together(*ways, right))
    return None


@dataclass
class _Count:
    total: int
    done: int = 0

    def step(self, said: str) -> Step:
        self.done += 1
        return Step(self.done, self.total, said)


def _in_steps(learning: Learning, count: _Count, stops: int) -> Generator[Step, None, Learned | None]:
    """Do all of a learning, a step each time it stands still, which it does at most ``stops`` times; return
    None where the device has no room for it now."""
    first = count.done
    while True:
        try:
            next(learning)
        except (StopIteration, torch.OutOfMemoryError) as end:
            count.done = first + stops
            return end.value if isinstance(end, StopIteration) else None
        yield count.step(f"tuned {count.done - first} of {stops}")


def taught_labels(snapshot: Snapshot) -> list[str]:
    """Return the labels that can be taught, sorted. Raises UserError for fewer than two."""
    return _taught(snapshot)[1]


def _taught(snapshot: Snapshot) -> tuple[list[Item], list[str], list[str]]:
    items = snapshot.part(TRAIN)
    counts = snapshot.counts()[TRAIN]
    labels = sorted(label for label, count in counts.items() if count >= LEAST)
    if len(labels) < 2:
        raise UserError(
            f"A classifier needs at least 2 labels with {LEAST} pictures each; there are"
            f" {', '.join(f'{count} of {label}' for label, count in counts.items()) or 'none'}."
        )
    return [item for item in items if item.label in labels], labels, sorted(set(counts) - set(labels))


def _row(extractor: Extractor, item: Item, open_picture: Open, store: Store) -> Tensor:
    @torch.no_grad()
    def make() -> dict[str, Tensor]:
        seen = pixels(open_picture(item.sha256), extractor.side)[None]
        return {"pooled": vectors(extractor.module, seen)[0]}

    return kept(store, (extractor.name, "pooled", item.sha256), make)["pooled"]


def _blended(tested: Tested, said: Tensor | None, places: Sequence[int]) -> tuple[list[float], Tensor]:
    """Return how much the probe and words count, and the chances (n, L) that left-out examples then have."""
    mine = tested.logits.log_softmax(-1)
    if said is None:
        return [1.0, 0.0], mine.softmax(-1)
    views = [mine, said]
    weights = few_shot.blend(views, torch.tensor(list(places)), [True, False])
    return [round(float(weight), 4) for weight in weights], few_shot.mixed(
        torch.stack(views), weights
    ).softmax(-1)
