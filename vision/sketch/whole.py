"""Finds the whole of a thing that the edge of a film's end cuts off: where another frame of the film shows
all of it, it is moved from there, so that it can come back with the part that had left the picture."""

from __future__ import annotations

from dataclasses import replace

from vision.sketch.cutting import Layers
from vision.sketch.moving import Pose

ALIKE = 1.25  # times as large, at most: else the two frames don't show the same thing
EDGE = 2  # px from the picture's edge, at which a thing is cut off


def cut_off(layers: Layers) -> tuple[bool, bool, bool, bool]:
    """Return by which of its picture's edges the thing is cut off: left, top, right, bottom."""
    (width, height), (left, top, right, bottom) = layers.size, layers.box
    return left < EDGE, top < EDGE, right > width - EDGE, bottom > height - EDGE


def whole(end: Layers, other: Layers) -> tuple[Layers, Pose] | None:
    """Return the thing of ``other`` over the ground of ``end``, and where it is there; None where ``end``
    shows all of it, ``other`` doesn't either, or what both show isn't the same.

    Where it is follows from those of its sides that can be seen.
    """
    hidden = cut_off(end)
    if not any(hidden) or any(cut_off(other)) or end.size != other.size:
        return None
    seen = [_span(end.box, axis) for axis in (0, 1)]
    full = [_span(other.box, axis) for axis in (0, 1)]
    scales = [seen[i] / full[i] for i in (0, 1) if not (hidden[i] or hidden[i + 2])]
    scale = scales[0] if scales else 1.0
    if not 1 / ALIKE <= scale <= ALIKE or any(seen[i] > ALIKE * full[i] for i in (0, 1)):
        return None
    middles = [_middle(end.box, hidden, axis, scale * full[axis]) for axis in (0, 1)]
    if middles[0] is None or middles[1] is None:
        return None
    return replace(other, ground=end.ground, picture=end.picture), Pose(middles[0], middles[1], scale)


def outer(layers: Layers, pose: Pose) -> tuple[int, int, int, int]:
    """Return the box around the whole thing in ``pose``, which may reach out of the picture."""
    across, down = (_span(layers.box, axis) * pose.scale / 2 for axis in (0, 1))
    sides = pose.x - across, pose.y - down, pose.x + across, pose.y + down
    left, top, right, bottom = map(round, sides)
    return left, top, right, bottom


def _span(box: tuple[int, int, int, int], axis: int) -> int:
    return box[axis + 2] - box[axis]


def _middle(
    box: tuple[int, int, int, int], hidden: tuple[bool, bool, bool, bool], axis: int, span: float
) -> float | None:
    """Return the middle along an axis, from the sides that aren't hidden; None where both are."""
    if hidden[axis] and hidden[axis + 2]:
        return None
    if hidden[axis]:
        return box[axis + 2] - span / 2
    if hidden[axis + 2]:
        return box[axis] + span / 2
    return (box[axis] + box[axis + 2]) / 2
