"""Trains a detector from pictures in which things were marked, from nothing: small enough for a processor,
and with each picture turned, moved and lit anew in every step, so that few of them go far."""

from __future__ import annotations

import hashlib
import io
import math
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from core.errors import UserError
from vision.own_models.detect.detector import FORMAT, NAME, Detector
from vision.own_models.detect.lesson import Marked, loss, misnamed, nearby, varied, wanted
from vision.own_models.detect.limit import USUAL
from vision.own_models.detect.network import Network
from vision.own_models.features.extractor import pixels
from vision.own_models.snapshot import TRAIN, Item, Snapshot
from vision.own_models.steps import Step, Store

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


def train(
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
    course = _Course(lesson, len(labels), settings, store, _name(snapshot, settings))
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
            f"A detector needs at least {LEAST_PICTURES} pictures to learn from in which things are marked,"
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


def _name(snapshot: Snapshot, settings: Settings) -> str:
    return hashlib.sha256(f"detect {FORMAT} {METHOD} {snapshot.sha256} {settings}".encode()).hexdigest()


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
        right = [wanted(one, self._labels) for one in shown]
        for group in self._optimizer.param_groups:
            group["lr"] = _rate(self.done, settings.steps)
        self._network.train()
        seen = torch.stack([one.pixels for one in shown]).to(memory_format=torch.channels_last)
        with torch.enable_grad():
            self._optimizer.zero_grad()
            logits, sides = self._network(seen)
            loss(logits, sides, right).backward()
            torch.nn.utils.clip_grad_norm_(self._network.parameters(), MOST_SLOPE)
            if (namer := self._network.namer) is not None:
                things, names = nearby(
                    self._lesson, self._labels, self._lots(" things"), turned=settings.turned
                )
                things = things.contiguous(memory_format=torch.channels_last)
                misnamed(namer(things), names).backward()
            self._optimizer.step()
        self.done += 1
        self._average()
        if self.done % KEPT_EVERY == 0:
            self._keep()

    def _lots(self, of: str = "") -> torch.Generator:
        drawn = hashlib.sha256(f"{self._settings.seed} {self.done}{of}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(drawn[:7]))

    def _average(self) -> None:
        """Count the network as it is now, where it is one of the last."""
        number = self.done - math.floor((1 - AVERAGED) * self._settings.steps)
        if number == 1:
            self._mean = {name: value.clone() for name, value in self._network.state_dict().items()}
        elif number > 1:
            for name, value in self._network.state_dict().items():
                if value.is_floating_point():
                    self._mean[name] += (value - self._mean[name]) / number

    def _keep(self) -> None:
        held = io.BytesIO()
        state = {"network": self._network.state_dict(), "optimizer": self._optimizer.state_dict()}
        torch.save({**state, "mean": self._mean, "done": self.done}, held)
        self._store.put(self._name, held.getvalue())

    def tensors(self) -> dict[str, Tensor]:
        """Return what was learned, as exactly as it is kept."""
        return {
            name: value.half().float().contiguous() if value.is_floating_point() else value.clone()
            for name, value in self._mean.items()
        }


def _rate(done: int, steps: int) -> float:
    warm = min(1.0, (done + 1) / WARM)
    return RATE * warm * (LAST + (1 - LAST) * (1 + math.cos(math.pi * done / steps)) / 2)
