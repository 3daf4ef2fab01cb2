"""Pairs of scenes that differ in one thing, and the pictures of both: what an edit changes, and that
everything else stands still."""

import random
from dataclasses import dataclass, replace

import numpy as np

from demo.drawing import HALF, SIZE, Placed, draw_steady, layout
from demo.world import (
    BACKGROUNDS,
    COLOURS,
    FAINT,
    OBJECTS,
    STYLES,
    Group,
    Scene,
    compose,
    has_held_pair,
    is_held_out,
)

KINDS = ("colour", "thing", "background", "style", "add", "remove")
MIX = {"colour": 0.21, "thing": 0.22, "background": 0.18, "style": 0.18, "add": 0.12, "remove": 0.09}
BASE = {"large": 0.3, "single": 0.3, "several": 0.1, "pair": 0.3}
RECOLOURED = 0.15  # share of replaced things that get a new colour, too: "replace the cat with a blue boat"
SMALL = (0.11, 0.24)  # half size of what is added beside something
APART = 0.85  # things may touch a little: how much of both their half sizes lies between their centres


@dataclass(frozen=True)
class Edit:
    """`before` becomes `after`; `group` is the changed one, of `after` where something is added, else of
    `before` (-1: background or style)."""

    kind: str  # one of KINDS
    before: Scene
    after: Scene
    placed: tuple[tuple[Placed, ...], tuple[Placed, ...]]  # before, after
    group: int
    seed: str  # of both drawings

    @property
    def changed(self) -> list[Placed]:
        """The things that the edit changes, as they stand before or after it; none for the whole picture."""
        there = self.placed[1 if self.kind == "add" else 0]
        return [thing for thing in there if thing.group == self.group]

    def pictures(self, size: tuple[int, int] = (SIZE, SIZE)):
        """Both pictures: RGB, `size` (width, height) px."""
        scenes = (self.before, self.after)
        return tuple(
            draw_steady(scene, self.seed, size, list(placed))
            for scene, placed in zip(scenes, self.placed, strict=True)
        )


def training_edit(rng: random.Random, size: tuple[int, int] = (SIZE, SIZE)) -> Edit:
    """An edit between compositions that are not held out, for a picture of a size (width, height)."""
    while True:
        edit = any_edit(rng, rng.choices(list(MIX), list(MIX.values()))[0], size)
        if not any(is_held_out(scene) or has_held_pair(scene) for scene in (edit.before, edit.after)):
            return edit


def held_out_edit(rng: random.Random, kind: str) -> Edit:
    """An edit of one thing whose two compositions no training has drawn."""
    while True:
        edit = any_edit(rng, kind, recoloured=0.0)
        scenes = [scene for scene in (edit.before, edit.after) if scene.groups]
        if all(is_held_out(scene) and not has_held_pair(scene) for scene in scenes):
            return edit


def any_edit(
    rng: random.Random, kind: str, size: tuple[int, int] = (SIZE, SIZE), recoloured: float = RECOLOURED
) -> Edit:
    """A random edit of a kind, for pictures of a size (width, height)."""
    if kind in ("add", "remove"):
        return _with_or_without(rng, kind, size)
    while True:
        scene = compose(rng, rng.choices(list(BASE), list(BASE.values()))[0])
        group = rng.randrange(len(scene.groups)) if kind in ("colour", "thing") else -1
        after = _changed(rng, scene, kind, group, recoloured)
        if after is None:
            continue
        placed = tuple(layout(scene, rng, size))
        moved = tuple(
            replace(thing, object=after.groups[thing.group].object, colour=after.groups[thing.group].colour)
            for thing in placed
        )
        return Edit(kind, scene, after, (placed, moved), group, f"edit {rng.random()}")


def _changed(rng, scene: Scene, kind: str, group: int, recoloured: float) -> Scene | None:
    """The scene after a change of a kind; None where this one can't be changed so."""
    if kind == "style":
        styles = [style for style in STYLES if style != scene.style and _can_be(scene, style)]
        return replace(scene, style=rng.choice(styles)) if styles else None
    if kind == "background":
        grounds = [
            ground
            for ground in BACKGROUNDS
            if ground != scene.background
            and not any(_lost(g.colour, ground, scene.style) for g in scene.groups)
        ]
        return replace(scene, background=rng.choice(grounds))
    old = scene.groups[group]
    thing, colour = old.object, old.colour
    if kind == "thing":
        thing = rng.choice([name for name in OBJECTS if name != old.object])
    if kind == "colour" or rng.random() < recoloured:
        colours = [c for c in COLOURS if c != old.colour and not _lost(c, scene.background, scene.style)]
        colour = rng.choice(colours)
    groups = list(scene.groups)
    groups[group] = Group(old.count, colour, thing, old.size)
    after = replace(scene, groups=tuple(groups))
    return after if len(set(after.pairs)) == len(after.pairs) else None


def _lost(colour: str, background: str, style: str) -> bool:
    """Whether a thing of a colour would vanish on a background."""
    return colour == background or style == "outline" and colour in FAINT[background]


def _can_be(scene: Scene, style: str) -> bool:
    """Whether the world draws this scene in a style (`demo.world.compose`)."""
    small = any(group.size == "small" for group in scene.groups)
    if style == "outline":
        alone = len(scene.groups) == 1 and scene.groups[0].count == 1
        return alone and not small and not _lost(scene.groups[0].colour, scene.background, style)
    return not (small and style == "pixel")


# Adding and removing
# ------------------------------------------------------------------------------------------------------------


def _with_or_without(rng, kind: str, size) -> Edit:
    """An edit that adds a group to what is there or takes one away."""
    full, placed, group = _fuller(rng, size)
    kept = tuple(g for index, g in enumerate(full.groups) if index != group)
    rest = tuple(replace(thing, group=0) for thing in placed if thing.group != group)
    less = Scene(kept, "any", full.background, full.style)
    if kind == "add":
        return Edit(kind, less, full, (rest, placed), group, f"edit {rng.random()}")
    return Edit(kind, full, less, (placed, rest), group, f"edit {rng.random()}")


def _fuller(rng, size) -> tuple[Scene, tuple[Placed, ...], int]:
    """A scene, its layout, and which of its groups comes or goes."""
    chance = rng.random()
    if chance < 0.15:  # the only one
        scene = compose(rng, rng.choice(("large", "single")))
        return scene, tuple(layout(scene, rng, size)), 0
    if chance < 0.6:
        scene = compose(rng, "pair")
        return scene, tuple(layout(scene, rng, size)), rng.randrange(2)
    while True:  # a small one beside one of any size
        scene = compose(rng, rng.choice(("large", "single", "single", "several")))
        there = layout(scene, rng, size)
        spot = _spot(rng, there, size)
        if scene.style in ("outline", "pixel") or spot is None:
            continue
        x, y, half = spot
        colour = rng.choice([c for c in COLOURS if c != scene.background])
        name = "small" if half < (HALF["small"][1] + HALF["medium"][0]) / 2 else "medium"
        new = Group(1, colour, rng.choice(OBJECTS), name)
        if (new.colour, new.object) in scene.pairs:
            continue
        place = _relation(there, x, y)
        both = Scene((scene.groups[0], new), place, scene.background, scene.style)
        return both, (*there, Placed(new.object, colour, x, y, half, 1)), 1


def _spot(rng, there: list[Placed], size) -> tuple[float, float, float] | None:
    """A free place for one more thing: x and y as shares of the picture, half as one of its shorter side."""
    width, height = (side / min(size) for side in size)
    for _ in range(40):
        half = rng.uniform(*SMALL)
        x = rng.uniform(half + 0.02, width - half - 0.02)
        y = rng.uniform(half + 0.02, height - half - 0.02)
        reach = [
            max(abs(thing.x * width - x), abs(thing.y * height - y)) / (thing.half + half) for thing in there
        ]
        if min(reach) > APART:
            return x / width, y / height, half
    return None


def _relation(there: list[Placed], x: float, y: float) -> str:
    """How those that are there stand to a thing at x, y (`Scene.place`)."""
    dx = x - float(np.mean([thing.x for thing in there]))
    dy = y - float(np.mean([thing.y for thing in there]))
    if abs(dx) > abs(dy):
        return "left" if dx > 0 else "right"
    return "above" if dy > 0 else "below"
