"""What a training learned from: pictures by their hash, with labels and parts, in one canonical text whose
hash names it; and which of them, in groups of shots, are kept for testing, once and for always."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.requests.custom_models import MARKED

GOOD = "good"  # the label of a part without a defect
TRAIN, TEST = "train", "test"
Box = tuple[float, ...]
MOST_LABELS, MOST_PICTURES, LONGEST_LABEL = 40, 2000, 80  # a style has a caption for each of up to 40


@dataclass(frozen=True, order=True)
class Item:
    """A picture. label: "" = none yet. group: of shots of the same thing. part: TRAIN or TEST. boxes: where
    its defects were marked: left, top, right, bottom in shares of the upright picture. names: what each box
    is called, in a picture whose objects have names of their own. mask: SHA-256 of a picture that is white
    where its defects are, "" = none; it counts in place of boxes. Raises ValueError for a hash, label, part,
    box or name that can't be."""

    sha256: str
    label: str = ""
    group: str = ""
    part: str = TRAIN
    boxes: tuple[Box, ...] = ()
    names: tuple[str, ...] = ()
    mask: str = ""

    def __post_init__(self) -> None:
        for name, value in (("sha256", self.sha256), ("mask", self.mask)):
            if not re.fullmatch(r"[0-9a-f]{64}", value) and (name == "sha256" or value):
                raise ValueError(f"{name} must be 64 hexadecimal digits, not {value!r}")
        if len(self.label) > LONGEST_LABEL:
            raise ValueError(f"label must have at most {LONGEST_LABEL} characters, not {len(self.label)}")
        if self.part not in (TRAIN, TEST):
            raise ValueError(f"part must be {TRAIN!r} or {TEST!r}, not {self.part!r}")
        for box in self.boxes:
            left, top, right, bottom = box
            if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
                raise ValueError(f"a box goes from left to right and top to bottom in 0..1, not {box!r}")
        if self.names and len(self.names) != len(self.boxes):
            raise ValueError(f"{len(self.boxes)} boxes have as many names, not {len(self.names)}")
        if any(not 0 < len(name) <= LONGEST_LABEL for name in self.names):
            raise ValueError(f"a box's name must have 1 to {LONGEST_LABEL} characters")


@dataclass(frozen=True)
class Snapshot:
    """items: in the order of their hashes, each picture once. Other items are another snapshot."""

    items: tuple[Item, ...]

    @classmethod
    def of(cls, items: Iterable[Item]) -> Snapshot:
        """Return a snapshot of items in any order. Raises ValueError for a picture that is there twice, and
        for more pictures or labels than there may be."""
        found = tuple(sorted(items))
        if twice := [sha for sha, count in Counter(item.sha256 for item in found).items() if count > 1]:
            raise ValueError(f"the picture {twice[0][:12]}… is there twice")
        if len(found) > MOST_PICTURES:
            raise ValueError(f"a snapshot has at most {MOST_PICTURES} pictures, not {len(found)}")
        called = {name for item in found for name in (item.label, *item.names)}
        if (labels := len(called - {"", MARKED})) > MOST_LABELS:
            raise ValueError(f"a snapshot has at most {MOST_LABELS} labels, not {labels}")
        return cls(found)

    def text(self) -> str:
        """Return the snapshot as JSON, the same for the same items; empty last entries are left out."""
        rows = [[*vars(item).values()] for item in self.items]
        for row in rows:
            while not row[-1] and len(row) > 4:
                row.pop()
        return json.dumps({"format": 1, "items": rows}, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def read(cls, text: str) -> Snapshot:
        """Return what ``text`` wrote. Raises ValueError for anything else."""
        try:
            found = json.loads(text)
            if found["format"] != 1:
                raise ValueError(f"a snapshot of format 1 is read, not {found['format']!r}")
            items, nothing = [], list[Any]([(), (), ""])
            for row in found["items"]:
                sha256, label, group, part, boxes, names, mask = row + nothing[len(row) - 4 :]
                sides = tuple(tuple(map(float, box)) for box in boxes)
                told = str(sha256), str(label), str(group), str(part)
                items.append(Item(*told, sides, tuple(map(str, names)), str(mask)))
            return cls.of(items)
        except (KeyError, TypeError) as error:
            raise ValueError("this is no snapshot") from error

    @property
    def sha256(self) -> str:
        """The hash of ``text``, by which it is kept."""
        return hashlib.sha256(self.text().encode()).hexdigest()

    def part(self, name: str) -> tuple[Item, ...]:
        """Return the labelled items of TRAIN or TEST."""
        return tuple(item for item in self.items if item.part == name and item.label)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return how many pictures each label has in each part."""
        return {
            part: dict(sorted(Counter(item.label for item in self.part(part)).items()))
            for part in (TRAIN, TEST)
        }

    def without(self, removed: Iterable[str]) -> Snapshot:
        """Return the snapshot as if these pictures (SHA-256) had never been there."""
        gone = set(removed)
        return Snapshot(tuple(item for item in self.items if item.sha256 not in gone))


SHARE = 0.25  # of each label's pictures
LEAST = 2  # groups of a label that stay for training


def split(
    items: Iterable[Item],
    seed: int,
    frozen: Iterable[str] = (),
    share: float = SHARE,
    chains: Mapping[str, str] | None = None,
) -> Snapshot:
    """Return a snapshot whose items have their parts.

    A group is never in both parts. Groups come in an order that only the seed and their pictures decide, so
    that a picture more moves no other. frozen: pictures (SHA-256) that earlier snapshots tested on: their
    groups stay there. An item without a group is one of its own. chains: names by pictures, the same for
    those of groups that overlap: they go into a part together, but for ``frozen`` ones.
    """
    kept, chained = set(frozen), chains or {}
    groups: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        groups[item.group or item.sha256].append(item)
    together: dict[str, list[Item]] = defaultdict(list)
    tested = set[str]()
    for name, some in groups.items():
        if any(item.sha256 in kept for item in some):
            tested.add(name)
            together[name] += some
        else:
            together[min(chained.get(item.sha256, name) for item in some)] += some
    count = Counter(item.label for some in together.values() for item in some if item.label)
    has = Counter(item.label for name in tested for item in together[name])
    groups_left = Counter(
        label for name, some in together.items() if name not in tested for label in _labels(some)
    )
    for name in sorted(
        together.keys() - tested, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).hexdigest()
    ):
        some = together[name]
        labels = _labels(some)
        wanted = [label for label in labels if has[label] + 0.5 < share * count[label]]
        if labels and len(wanted) == len(labels) and all(groups_left[label] > LEAST for label in labels):
            tested.add(name)
            has.update(item.label for item in some)
            groups_left.subtract(labels)
    return Snapshot.of(
        replace(item, part=TEST if name in tested else TRAIN)
        for name, some in together.items()
        for item in some
    )


def _labels(some: Iterable[Item]) -> set[str]:
    return {item.label for item in some if item.label}
