"""Which pictures are kept for testing: groups of shots together, every label in its share, and once kept for
testing always kept."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from vision.own_models.snapshot import TEST, TRAIN, Item, Snapshot

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
    for name in sorted(together.keys() - tested, key=lambda name: _lot(seed, name)):
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


def _lot(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed} {name}".encode()).hexdigest()
