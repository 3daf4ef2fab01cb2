"""The small world the demo models know: its objects, colours, backgrounds and styles, and how a scene is
composed.

A `Scene` says what is in a picture, never where each pixel goes (`demo.drawing`) nor how it is put in words
(`demo.captions`).
"""

import random
import zlib
from dataclasses import dataclass

OBJECTS = (
    "ball",
    "star",
    "heart",
    "moon",
    "diamond",
    "house",
    "tree",
    "boat",
    "flower",
    "cat",
    "fish",
    "mushroom",
)
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white", "black", "brown")
PLACES = ("night", "sky", "sea", "grass", "desert", "snow", "sunset")
BACKGROUNDS = COLOURS + PLACES
STYLES = ("flat", "outline", "pixel", "watercolor")
SIZES = ("small", "medium", "large")
POSITIONS = ("any", "center", "left", "right", "top", "bottom")
RELATIONS = ("above", "below", "left", "right")
KINDS = ("large", "single", "several", "pair", "empty")

# Eight of the 120 pairs are never drawn for the image generator, nor named to its text encoder.
HELD_PAIRS = frozenset(
    {
        ("red", "fish"),
        ("blue", "mushroom"),
        ("green", "star"),
        ("yellow", "house"),
        ("purple", "cat"),
        ("pink", "tree"),
        ("orange", "moon"),
        ("white", "heart"),
    }
)
HELD_SHARE = 10  # one composition in ten is kept for evaluation

# A line drawing in these colours would vanish on these backgrounds.
FAINT = {
    "night": {"black", "blue", "purple", "brown"},
    "sky": {"white", "blue"},
    "sea": {"white", "blue", "green"},
    "grass": {"green", "white", "brown"},
    "desert": {"yellow", "orange", "white", "brown"},
    "snow": {"white"},
    "sunset": {"purple", "orange", "black", "brown", "red", "pink"},
    "red": {"brown", "orange", "pink"},
    "orange": {"red", "yellow", "brown"},
    "yellow": {"white", "orange"},
    "green": {"blue", "brown"},
    "blue": {"purple", "green"},
    "purple": {"blue", "brown", "black"},
    "pink": {"red", "white"},
    "white": {"yellow"},
    "black": {"brown", "blue"},
    "brown": {"red", "black", "green", "purple"},
}


@dataclass(frozen=True)
class Group:
    """Some equal objects."""

    count: int  # 1 to 4
    colour: str
    object: str
    size: str

    def __post_init__(self):
        if not 1 <= self.count <= 4:
            raise ValueError(f"count must be 1 to 4, not {self.count}")
        if self.colour not in COLOURS or self.object not in OBJECTS or self.size not in SIZES:
            raise ValueError(f"unknown colour, object or size: {self}")


@dataclass(frozen=True)
class Scene:
    """What a picture shows. `place` is where a single group stands; two groups stand in `place` to each
    other."""

    groups: tuple[Group, ...]  # none: the bare background
    place: str  # one of POSITIONS for one group, of RELATIONS (first to second) for two
    background: str  # a colour, or one of PLACES
    style: str

    def __post_init__(self):
        if len(self.groups) > 2:
            raise ValueError("a scene has at most two groups")
        if self.place not in (RELATIONS if len(self.groups) == 2 else POSITIONS):
            raise ValueError(f"{self.place!r} does not place {len(self.groups)} groups")
        if self.background not in BACKGROUNDS or self.style not in STYLES:
            raise ValueError(f"unknown background or style: {self}")

    @property
    def pairs(self):
        return [(group.colour, group.object) for group in self.groups]


def is_held_out(scene):
    """True for the tenth of all compositions that no training draws or names."""
    if not scene.groups:
        return False
    return zlib.crc32(repr(scene).encode()) % HELD_SHARE == 0


def has_held_pair(scene):
    return any(pair in HELD_PAIRS for pair in scene.pairs)


def _colour(rng, background, style):
    faint = FAINT[background] if style == "outline" else ()
    return rng.choice([c for c in COLOURS if c != background and c not in faint])


def _group(rng, background, style, counts, sizes):
    count = rng.choices((1, 2, 3, 4), counts)[0]
    return Group(count, _colour(rng, background, style), rng.choice(OBJECTS), rng.choices(SIZES, sizes)[0])


def compose(rng: random.Random, kind: str) -> Scene:
    """A random scene of a kind: one large centred object, one object anywhere, several, two groups, or
    none."""
    background = rng.choice(COLOURS) if rng.random() < 0.55 else rng.choice(PLACES)
    style = rng.choices(STYLES, (0.85, 0.03, 0.06, 0.06) if kind == "large" else (0.67, 0.09, 0.12, 0.12))[0]
    if style == "outline" and kind not in ("large", "single"):
        style = (
            "flat"  # lines thinner than half a latent cell (8 px) are lost, and small objects have such lines
        )
    if kind == "empty":
        return Scene((), "any", background, style)
    small = (
        0 if style in ("outline", "pixel") else 0.25
    )  # a thin line or a 4 px block is too coarse for a small object
    if kind == "large":
        group = _group(rng, background, style, (1, 0, 0, 0), (0, 0.35, 0.65))
        return Scene((group,), rng.choice(("center", "any")), background, style)
    if kind == "single":
        group = _group(rng, background, style, (1, 0, 0, 0), (small, 0.45, 0.3))
        return Scene((group,), rng.choices(POSITIONS, (4, 2, 1, 1, 1, 1))[0], background, style)
    if kind == "several":
        group = _group(rng, background, style, (0, 0.45, 0.3, 0.25), (0, 1, 0))
        return Scene((group,), "any", background, style)
    first = _group(rng, background, style, (0.8, 0.14, 0.06, 0), (0, 1, 0))
    second = _group(rng, background, style, (0.85, 0.15, 0, 0), (0, 1, 0))
    if (first.colour, first.object) == (second.colour, second.object):
        return compose(rng, kind)
    return Scene((first, second), rng.choice(RELATIONS), background, style)


def training_scene(rng: random.Random, mix: dict[str, float], held_pairs: bool = False) -> Scene:
    """A scene for training, its kind drawn by the weights of `mix`; never a held-out composition.

    `held_pairs=True` allows the eight pairs which only the generator must not see.
    """
    while True:
        scene = compose(rng, rng.choices(list(mix), list(mix.values()))[0])
        if not is_held_out(scene) and (held_pairs or not has_held_pair(scene)):
            return scene


def held_out_scene(rng: random.Random, kind: str, pairs: str = "seen") -> Scene:
    """A composition that no training has drawn: with `pairs="held"` also of a colour and object never seen
    together."""
    while True:
        scene = compose(rng, kind)
        held = has_held_pair(scene)
        if (is_held_out(scene) and not held) if pairs == "seen" else held:
            return scene
