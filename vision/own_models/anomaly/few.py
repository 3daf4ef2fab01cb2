"""What a training learns from, where there are fewer than four good parts: copies of their pictures, as the
same camera might have taken them a moment later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vision.own_models.anomaly.align import moved
from vision.own_models.snapshot import Item

ENOUGH = 4  # parts from which on no copies are made
EACH, ALONE = 4, 8  # pictures of each part with copies, of the only part
TURN, SHIFT = 0.03, 0.02  # deviations: radians, shares of half a side
GAIN, SLOPE, NOISE = 0.05, 0.05, 0.01  # deviations: of brightness, of it across the picture, of each pixel


@dataclass(frozen=True)
class Shot:
    """A picture, or the ``copy``-th copy of it (0 = itself). group: of shots that are left out together."""

    sha256: str
    group: int
    copy: int = 0

    @property
    def name(self) -> str:
        """What its features are kept by."""
        return f"{self.sha256} copy {self.copy}" if self.copy else self.sha256


def shots(good: Sequence[Item]) -> list[Shot]:
    """Return what is learned from, pictures first: groups by the items' groups, a picture without one is a
    group of its own. Of one part alone each shot is a group of its own: nothing else can be left out."""
    names = [item.group or item.sha256 for item in good]
    places = {name: at for at, name in enumerate(dict.fromkeys(names))}
    found = [Shot(item.sha256, places[name]) for item, name in zip(good, names, strict=True)]
    if len(places) >= ENOUGH:
        return found
    own = list(found)
    for group in places.values():
        some = [shot for shot in own if shot.group == group]
        wanted = ALONE if len(places) == 1 else EACH
        made = max(wanted - len(some), len(places) == 1)  # of the only part at least one, however many shots
        found += [Shot(some[at % len(some)].sha256, group, at // len(some) + 1) for at in range(made)]
    if len(places) > 1:
        return found
    return [Shot(shot.sha256, at, shot.copy) for at, shot in enumerate(found)]


def alone(found: Sequence[Shot]) -> bool:
    """Return whether ``shots`` are of one part, whose copies were made groups of their own."""
    return any(shot.copy for shot in found) and len({shot.group for shot in found}) == len(found)


def varied(pixels: Tensor, copy: int, seed: int) -> Tensor:
    """Return the ``copy``-th copy of a picture (3, S, S) in 0..1: a little turned and shifted, in other
    light, with other noise. Copy 0 is the picture."""
    if not copy:
        return pixels
    lots = torch.Generator().manual_seed(seed * 1000 + copy)
    turn, x, y, gain, across, down = torch.randn(6, generator=lots).tolist()
    motion = torch.tensor([[turn * TURN, x * SHIFT, y * SHIFT]])
    at = torch.linspace(-1, 1, pixels.shape[-1])
    light = 1 + GAIN * gain + SLOPE * (across * at[None, :] + down * at[:, None])
    noise = torch.randn(pixels.shape, generator=lots) * NOISE
    return (moved(pixels[None], motion)[0] * light + noise).clamp(0, 1)
