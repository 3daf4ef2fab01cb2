"""Settles what a training learns from: which pictures show the same thing, and which are kept for testing."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace

from PIL import Image

from vision.own_models.duplicates import Structure, groups, structure
from vision.own_models.overlap import chains, overlapping
from vision.own_models.snapshot import TEST, Snapshot
from vision.own_models.split import split
from vision.own_models.steps import Step, exhausted

MOST_LAID = 200  # pictures, each of which is laid over all others in a millisecond each


def settle(
    snapshot: Snapshot, open_picture: Callable[[str], Image.Image], seed: int, *, tests: bool = True
) -> Generator[Step, None, Snapshot]:
    """Yield steps and return the snapshot with its groups and parts.

    Groups that it has are kept, and joined where pictures of theirs show the same. Pictures that are kept for
    testing already stay there, with their groups. A group is called by the first of its hashes, and a picture
    that is one alone has none. Pictures that overlap aren't tested on what was learned from the others, up to
    MOST_LAID of them. tests: False keeps nothing for testing.
    """
    count, seen = len(snapshot.items), list[Structure]()
    laid = count if tests and count <= MOST_LAID else 0
    total = count + laid + 1
    for number, item in enumerate(snapshot.items, 1):
        seen.append(structure(open_picture(item.sha256)))
        yield Step(number, total, f"compared {number} of {len(snapshot.items)}")
    firsts = groups(seen, [item.group for item in snapshot.items])
    several = {first for at, first in enumerate(firsts) if first != at}
    named = [
        replace(item, group=snapshot.items[first].sha256 if first in several else "")
        for item, first in zip(snapshot.items, firsts, strict=True)
    ]
    comparing = overlapping([one.coarse for one in seen[:laid]])
    for number in range(1, laid + 1):
        next(comparing)
        yield Step(count + number, total, f"laid {number} of {laid} over the others")
    linked = chains(exhausted(comparing))
    yield Step(total, total, "found what shows the same")
    if not tests:
        return Snapshot.of(named)
    several = {first for at, first in enumerate(linked) if first != at}
    names = {
        item.sha256: f"chain {named[first].sha256}"
        for item, first in zip(named, linked, strict=False)
        if first in several
    }
    frozen = [item.sha256 for item in snapshot.items if item.part == TEST]
    return split(named, seed, frozen=frozen, chains=names)
