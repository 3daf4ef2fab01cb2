"""Which examples are left out together: whole groups of shots, every label in each fold as far as it goes."""

from __future__ import annotations

from collections.abc import Sequence


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
