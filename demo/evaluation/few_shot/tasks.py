"""Five things to learn from examples: what a thing is, the place, the style, how many, and where."""

import random
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from demo.drawing import draw
from demo.world import FAINT, OBJECTS, PLACES, STYLES, Group, Scene, compose, is_held_out

NUMBERS = ("one", "two", "three", "four")


@dataclass(frozen=True)
class Task:
    """labels: the words that people would use. told: what each label means for a scene."""

    name: str
    labels: tuple[str, ...]
    told: tuple[dict[str, Any], ...] = field(repr=False)

    def draw(self, label: int, rng: random.Random) -> Image.Image:
        """A picture of a label, of a composition that no training has seen."""
        while True:
            scene = _scene(rng, **self.told[label])
            if scene is not None and is_held_out(scene):
                return draw(scene, rng)


TASKS = (
    Task("objects", OBJECTS, tuple({"object": name} for name in OBJECTS)),
    Task("places", PLACES, tuple({"background": name} for name in PLACES)),
    Task("styles", STYLES, tuple({"style": name} for name in STYLES)),
    Task("counts", NUMBERS, tuple({"count": n, "place": "any", "style": "flat"} for n in (1, 2, 3, 4))),
    Task(
        "positions",
        ("left", "right", "top", "bottom"),
        tuple({"place": name} for name in ("left", "right", "top", "bottom")),
    ),
)


def _scene(rng: random.Random, **wanted: Any) -> Scene | None:
    """A scene of one kind of thing as it is wanted; None when the dice made one that nobody draws."""
    scene = compose(rng, "single")
    group = scene.groups[0]
    if "count" in wanted:
        group = Group(wanted["count"], group.colour, group.object, "medium")
    group = Group(group.count, group.colour, wanted.get("object", group.object), group.size)
    place, style = wanted.get("place", scene.place), wanted.get("style", scene.style)
    background = wanted.get("background", scene.background)
    faint = style == "outline" and (group.size == "small" or group.colour in FAINT[background])
    coarse = style in ("outline", "pixel") and (group.count > 1 or group.size == "small")
    if group.colour == background or faint or coarse:
        return None
    return Scene((group,), place, background, style)
