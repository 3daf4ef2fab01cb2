"""Settles what a training learns from: which pictures show the same thing or overlap, and which are kept for
testing.

Perceptual hashes can't tell parts in a fixture apart; fine structure can: shots of one part that lies still
correlate by 0.98 and more, different parts hardly ever. A picture of which another has shown a part looks
more usual than a new place does, so that nothing can be told of new places by it
(docs/evidence/own-models.md). Turned or differently enlarged pictures of a place aren't recognised."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from vision.custom_models.features import blurred, gaussian, pixels
from vision.custom_models.snapshot import TEST, Snapshot, split
from vision.custom_models.steps import Step, exhausted

SIDE, REACH = 256, 2  # pixels: of a picture, of a shift either way; half of both for the first look
LOW_PASS, HIGH_PASS = 0.7, 2.0  # pixels: of the blur that noise is taken away by, of the blur taken away
PERHAPS, LINKED = 0.8, 0.97  # correlations from which a second look is worth it, and pictures show the same
AT_ONCE = 64  # pictures that one is compared with in a call


@dataclass(frozen=True)
class Structure:
    """The fine structure of a picture without a mean: coarse (SIDE / 2, SIDE / 2), fine (SIDE, SIDE)."""

    coarse: Tensor
    fine: Tensor


def structure(image: Image.Image) -> Structure:
    """Return what pictures are compared by."""
    whole = pixels(image, SIDE).mean(0, keepdim=True)[None]
    half = F.avg_pool2d(whole, 2)
    smooth = blurred(whole, gaussian(LOW_PASS, 3))
    return Structure(_without_blur(half, half), _without_blur(smooth, whole))


def _without_blur(grey: Tensor, blurry: Tensor) -> Tensor:
    fine = (grey - blurred(blurry, gaussian(HIGH_PASS, 6)))[0, 0]
    return fine - fine.mean()


def correlations(one: Tensor, others: Tensor, reach: int) -> Tensor:
    """Return how well one structure (S, S) correlates with others (N, S, S) at the best shift of at most
    ``reach`` pixels, (N,)."""
    inner = slice(reach, one.shape[-1] - reach)
    kernel = one[inner, inner]
    kernel = kernel - kernel.mean()
    kernel = kernel / kernel.norm().clamp(min=1e-6)
    fits = F.conv2d(others[:, None], kernel[None, None])  # (N, 1, 2 reach + 1, 2 reach + 1)
    window = kernel.shape[-1]
    squares = F.avg_pool2d(others[:, None].square(), window, 1) * window**2
    means = F.avg_pool2d(others[:, None], window, 1) * window
    lengths = (squares - means.square()).clamp(min=1e-6).sqrt()
    return (fits / lengths).flatten(1).amax(1)


@torch.no_grad()
def groups(structures: Sequence[Structure], known: Sequence[str] = ()) -> list[int]:
    """Return for each picture the place of the first that shows the same thing, its own where it is the
    first. known: names of groups that are known of each already ("" = none); equal ones belong together."""
    from scipy.cluster.hierarchy import DisjointSet

    together, first_of = DisjointSet(range(len(structures))), dict[str, int]()
    for at, name in enumerate(known):
        if name:
            together.merge(first_of.setdefault(name, at), at)
    for at, one in enumerate(structures):
        for start in range(at + 1, len(structures), AT_ONCE):
            some = structures[start : start + AT_ONCE]
            found = correlations(one.coarse, torch.stack([other.coarse for other in some]), REACH // 2)
            for place in np.flatnonzero(found.numpy() >= PERHAPS).tolist():
                other = start + place
                if not together.connected(at, other) and (
                    float(correlations(one.fine, structures[other].fine[None], REACH)[0]) >= LINKED
                ):
                    together.merge(at, other)
    return [min(together.subset(at)) for at in range(len(structures))]


LEAST = 1 / 8  # of a picture, that two must share; bricks correlate by chance where they share less
SAME = 0.8  # correlation of what shows the same: of places 0.84 and more, of other bricks 0.68 at most
NEAR, MOST_NEAR = 1 / 16, 0.5  # of a side; the share of pairs that correlate so near where parts lie alike
LAID_AT_ONCE = 16  # pictures that one is compared with in a call
LEFT = 1 / 4  # of all places, that a picture must be told by; of fewer it would look more unusual than it is


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
        for start in range(0, at, LAID_AT_ONCE):
            some = spectra[start : start + LAID_AT_ONCE]
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
    """Return for each picture the place of the first that overlaps link it to, in any number of steps."""
    from scipy.cluster.hierarchy import DisjointSet

    together = DisjointSet(range(len(overlaps)))
    for at, some in enumerate(overlaps):
        for other in some:
            together.merge(at, other)
    return [min(together.subset(at)) for at in range(len(overlaps))]


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


MOST_LAID = 200  # pictures, each of which is laid over all others in a millisecond each


def settle(
    snapshot: Snapshot, open_picture: Callable[[str], Image.Image], seed: int
) -> Generator[Step, None, Snapshot]:
    """Yield steps and return the snapshot with its groups and parts.

    Groups that it has are kept, and joined where pictures of theirs show the same. Pictures that are kept for
    testing already stay there, with their groups. A group is called by the first of its hashes, and a picture
    that is one alone has none. Pictures that overlap aren't tested on what was learned from the others, up to
    MOST_LAID of them.
    """
    count, seen = len(snapshot.items), list[Structure]()
    laid = count if count <= MOST_LAID else 0
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
    several = {first for at, first in enumerate(linked) if first != at}
    names = {
        item.sha256: f"chain {named[first].sha256}"
        for item, first in zip(named, linked, strict=False)
        if first in several
    }
    frozen = [item.sha256 for item in snapshot.items if item.part == TEST]
    return split(named, seed, frozen=frozen, chains=names)
