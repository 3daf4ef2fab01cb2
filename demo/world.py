"""The small world the demo models know: its objects, colours, backgrounds and styles, their names and
synonyms, and how a scene is composed.

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


OBJECT_WORDS = {
    "ball": ("ball", "ball", "ball", "sphere", "circle", "orb", "balloon"),
    "star": ("star", "star", "star", "starlet"),
    "heart": ("heart", "heart", "heart", "love heart"),
    "moon": ("moon", "moon", "moon", "crescent", "crescent moon", "half moon"),
    "diamond": ("diamond", "diamond", "gem", "jewel", "crystal", "gemstone"),
    "house": ("house", "house", "house", "home", "cottage", "cabin", "hut", "building"),
    "tree": ("tree", "tree", "tree", "pine", "fir", "pine tree", "fir tree", "christmas tree"),
    "boat": ("boat", "boat", "boat", "ship", "sailboat", "yacht", "sailing boat", "sailing ship"),
    "flower": ("flower", "flower", "flower", "blossom", "bloom", "daisy", "rose"),
    "cat": ("cat", "cat", "cat", "kitten", "kitty", "cat face"),
    "fish": ("fish", "fish", "fish", "goldfish"),
    "mushroom": ("mushroom", "mushroom", "mushroom", "toadstool", "fungus"),
}
COLOUR_WORDS = {
    "red": ("red", "red", "red", "crimson", "scarlet", "bright red", "dark red", "ruby"),
    "orange": ("orange", "orange", "orange", "bright orange", "amber"),
    "yellow": ("yellow", "yellow", "yellow", "golden", "gold", "bright yellow"),
    "green": ("green", "green", "green", "emerald", "dark green", "bright green", "light green"),
    "blue": ("blue", "blue", "blue", "navy", "azure", "light blue", "dark blue", "bright blue"),
    "purple": ("purple", "purple", "purple", "violet", "lilac"),
    "pink": ("pink", "pink", "pink", "rosy", "magenta", "light pink", "hot pink"),
    "white": ("white", "white", "white", "ivory", "snow white", "pure white"),
    "black": ("black", "black", "black", "jet black", "ebony"),
    "brown": ("brown", "brown", "brown", "chestnut", "chocolate", "dark brown"),
}
COUNT_WORDS = {
    1: ("a", "a", "a", "a", "one", "the", ""),
    2: ("two", "two", "2", "a pair of"),
    3: ("three", "3"),
    4: ("four", "4"),
}
SIZE_WORDS = {
    "small": ("small", "small", "tiny", "little"),
    "medium": ("",),
    "large": ("large", "big", "huge", "giant"),
}
PLACE_WORDS = {  # the first is canonical
    "night": (
        "at night",
        "at night",
        "under the stars",
        "in the night sky",
        "in a starry night",
        "in the dark night",
        "night",
        "starry sky",
        "in space",
    ),
    "sky": (
        "in the sky",
        "in the sky",
        "in a cloudy sky",
        "among the clouds",
        "in the clouds",
        "in the air",
        "sky",
        "blue sky",
        "clouds",
    ),
    "sea": (
        "at sea",
        "at sea",
        "on the ocean",
        "on the water",
        "by the sea",
        "in the sea",
        "on the sea",
        "in the ocean",
        "sea",
        "ocean",
        "by the lake",
    ),
    "grass": (
        "on the grass",
        "on the grass",
        "in a meadow",
        "in a field",
        "on a green hill",
        "in the garden",
        "in the park",
        "grass",
        "meadow",
        "in the forest",
    ),
    "desert": (
        "in the desert",
        "in the desert",
        "on the sand",
        "on a beach",
        "on the beach",
        "in the dunes",
        "desert",
        "beach",
        "sand",
    ),
    "snow": (
        "in the snow",
        "in the snow",
        "in winter",
        "on a snowy field",
        "in snow",
        "snow",
        "winter",
        "snowy landscape",
        "on the ice",
    ),
    "sunset": (
        "at sunset",
        "at sunset",
        "at dawn",
        "in the evening",
        "at dusk",
        "sunset",
        "sunrise",
        "evening sky",
    ),
}
STYLE_WORDS = {
    "flat": ("", "", "", "", "cartoon", "flat illustration", "clip art", "sticker", "flat design"),
    "outline": ("line art", "outline drawing", "ink outline", "line drawing", "coloring book page", "sketch"),
    "pixel": ("pixel art", "pixelated", "8 bit pixel art", "8 bit", "retro game sprite"),
    "watercolor": ("watercolor", "watercolor painting", "painted in watercolor", "watercolour", "aquarelle"),
}
CANONICAL_STYLE = {"flat": "", "outline": ", line art", "pixel": ", pixel art", "watercolor": ", watercolor"}
CANONICAL_COUNT = {1: "a", 2: "two", 3: "three", 4: "four"}
RELATION_WORDS = {
    "above": ("above", "above", "over", "on top of"),
    "below": ("below", "under", "under", "beneath", "underneath"),
    "left": ("to the left of", "left of", "on the left of", "next to", "beside"),
    "right": ("to the right of", "right of", "on the right of", "next to", "beside"),
}
CANONICAL_RELATION = {
    "above": "above",
    "below": "below",
    "left": "to the left of",
    "right": "to the right of",
}
REVERSE = {"above": "below", "below": "above", "left": "right", "right": "left"}
POSITION_WORDS = {
    "any": ("",),
    "center": ("", "in the center", "in the middle", "centered"),
    "left": ("on the left", "on the left side", "at the left"),
    "right": ("on the right", "on the right side", "at the right"),
    "top": ("at the top", "in the upper part", "near the top"),
    "bottom": ("at the bottom", "in the lower part", "near the bottom"),
}
PREFIXES = (
    "a picture of",
    "an image of",
    "a drawing of",
    "an illustration of",
    "a photo of",
    "a painting of",
    "photo of",
    "picture of",
    "draw",
    "i want",
)
# Words that real prompts hold and the world does not know.
FILLER = (
    "beautiful detailed masterpiece 4k 8k hd uhd high quality best cinematic lighting majestic epic fantasy"
    " portrait with and sharp focus trending artstation realistic cute happy sad old new bright colorful"
    " magic light lovely nice style render 3d digital art ultra wide angle lens photo studio by artist rain"
    " storm minimalist modern vintage retro abstract surreal simple icon logo poster octane unreal engine hdr"
    " bokeh 35mm 50mm f1.8 dslr photograph photorealistic hyperrealistic dramatic soft shadows volumetric fog"
    " mist glowing neon award winning professional background centered composition intricate elegant smooth"
    " stunning gorgeous amazing shiny fluffy friendly smiling sleeping flying dancing funny wonderful"
    " mysterious dreamy very really please of the in style anime comic concept close up macro full body low"
    " poly isometric texture pattern depth field grain film kodak golden hour moody atmosphere vivid warm"
    " cold pastel"
).split()
PLURALS = {"fish": "fish", "goldfish": "goldfish", "daisy": "daisies", "kitty": "kitties", "fungus": "fungi"}
