"""Settles what a training learns from: which pictures show the same thing, and which are kept for testing."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace

from PIL import Image

from vision.own_models.duplicates import Structure, groups, structure
from vision.own_models.snapshot import TEST, Snapshot
from vision.own_models.split import split
from vision.own_models.steps import Step


def settle(
    snapshot: Snapshot, open_picture: Callable[[str], Image.Image], seed: int, *, tests: bool = True
) -> Generator[Step, None, Snapshot]:
    """Yield steps and return the snapshot with its groups and parts.

    Groups that it has are kept, and joined where pictures of theirs show the same. Pictures that are kept for
    testing already stay there, with their groups. A group is called by the first of its hashes, and a picture
    that is one alone has none. tests: False keeps nothing for testing.
    """
    total, seen = len(snapshot.items) + 1, list[Structure]()
    for number, item in enumerate(snapshot.items, 1):
        seen.append(structure(open_picture(item.sha256)))
        yield Step(number, total, f"compared {number} of {len(snapshot.items)}")
    firsts = groups(seen, [item.group for item in snapshot.items])
    several = {first for at, first in enumerate(firsts) if first != at}
    named = [
        replace(item, group=snapshot.items[first].sha256 if first in several else "")
        for item, first in zip(snapshot.items, firsts, strict=True)
    ]
    yield Step(total, total, "found what shows the same")
    if not tests:
        return Snapshot.of(named)
    return split(named, seed, frozen=[item.sha256 for item in snapshot.items if item.part == TEST])
