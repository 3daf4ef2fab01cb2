"""Which pictures show some of the same places: those that correlate well where one is laid over the other, by
whatever shift. Turned or differently enlarged pictures of a place aren't recognised.

A picture of which another has shown a part looks more usual than a new place does, so that nothing can be
told of new places by it (docs/inspect.md).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

LEAST = 1 / 8  # of a picture, that two must share; bricks correlate by chance where they share less
SAME = 0.8  # correlation of what shows the same: of places 0.84 and more, of other bricks 0.68 at most
NEAR, MOST_NEAR = 1 / 16, 0.5  # of a side; the share of pairs that correlate so near where parts lie alike
AT_ONCE = 16  # pictures that one is compared with in a call
LEFT = 1 / 4  # of all places, that a picture must be told by; of fewer it would look stranger than it is


@dataclass(frozen=True)
class _Spectrum:
    """whole: (2 S, S + 1), of a picture with as much nothing beside it. lengths: (2 S, 2 S), of the part
    of it that another picture shares at each shift."""

    whole: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, structure: Tensor) -> _Spectrum:
        side = structure.shape[-1]
        size = (2 * side, 2 * side)
        ones = torch.fft.rfft2(torch.ones_like(structure), s=size)
        squares = torch.fft.irfft2(ones.conj() * torch.fft.rfft2(structure.square(), s=size), s=size)
        return cls(torch.fft.rfft2(structure, s=size), squares.clamp(min=1e-4).sqrt())


@torch.no_grad()
def overlapping(structures: Sequence[Tensor]) -> Generator[None, None, list[set[int]]]:
    """Return for each picture the places of those that it overlaps, and stand still once for each.

    structures: ``duplicates.Structure.coarse`` (S, S). Where most lie alike, as parts in a fixture do, what
    correlates without a shift says nothing.
    """
    spectra: list[_Spectrum] = []
    near, far = set[tuple[int, int]](), set[tuple[int, int]]()
    for at, structure in enumerate(structures):
        side = structure.shape[-1]
        one = _Spectrum.of(structure)
        backwards = one.lengths.flip((0, 1)).roll((1, 1), (0, 1))
        shift = torch.fft.fftfreq(2 * side, 1 / (2 * side)).abs()
        shares = (1 - shift / side)[:, None] * (1 - shift / side)
        close = (shift <= NEAR * side)[:, None] & (shift <= NEAR * side)
        for start in range(0, at, AT_ONCE):
            some = spectra[start : start + AT_ONCE]
            products = one.whole.conj() * torch.stack([other.whole for other in some])
            lengths = backwards * torch.stack([other.lengths for other in some])
            fits = torch.fft.irfft2(products, s=(2 * side, 2 * side)) / lengths
            fits = fits.masked_fill(shares < LEAST, -1)
            for kind, where in ((near, close), (far, ~close)):
                found = fits.masked_fill(~where, -1).flatten(1).amax(1) >= SAME
                kind.update((at, start + number) for number in found.nonzero()[:, 0].tolist())
        spectra.append(one)
        yield
    count = len(structures)
    pairs = far if len(near) > MOST_NEAR * count * (count - 1) / 2 else far | near
    told = [set[int]() for _ in structures]
    for one_place, other in pairs:
        told[one_place].add(other)
        told[other].add(one_place)
    return told


def chains(overlaps: Sequence[set[int]]) -> list[int]:
    """Return for each picture the place of the first that it is linked to by overlaps, of however many
    steps."""
    first = list(range(len(overlaps)))
    for at in range(len(overlaps)):
        waiting = [at] if first[at] == at else []
        while waiting:
            one = waiting.pop()
            linked = [other for other in overlaps[one] if first[other] > at]
            for other in linked:
                first[other] = at
            waiting += linked
    return first


@dataclass(frozen=True)
class Apart:
    """groups: of pictures of one part. without: of each picture, those that it can't be told by: of its
    group, and those that overlap it. places: of each picture, the group that stands for where it was taken:
    as many as don't overlap each other. shared: how many pictures overlap others."""

    groups: tuple[int, ...]
    without: tuple[frozenset[int], ...]
    places: tuple[int, ...]
    shared: int = 0

    @classmethod
    def of(cls, groups: Sequence[int], overlaps: Sequence[set[int]] = ()) -> Apart:
        """Return it of pictures with groups, and those that each overlaps; () = none does.

        A picture that overlaps nearly all others (LEFT) is told by those of other groups, as if it overlapped
        none: that score is too low to be the limit's, and the picture stands for no place.
        """
        names = list(dict.fromkeys(groups))
        beside = {name: {name} for name in names}
        for at, some in enumerate(overlaps):
            beside[groups[at]] |= {groups[other] for other in some}
        least = max(1.0, LEFT * len(names))
        apart = [name for name in names if len(names) - len(beside[name]) >= least]
        told_by = {name: beside[name] if name in apart else {name} for name in names}
        without = tuple(
            frozenset(other for other, name in enumerate(groups) if name in told_by[own]) for own in groups
        )
        chosen: list[int] = []
        for name in sorted(apart, key=lambda one: len(beside[one])):
            if not beside[name] & set(chosen):
                chosen.append(name)
        chosen = chosen or names[:1]
        stands = {name: next((one for one in chosen if one in beside[name]), chosen[0]) for name in names}
        shared = sum(len(beside[name]) > 1 for name in groups)
        return cls(tuple(groups), without, tuple(stands[name] for name in groups), shared)
