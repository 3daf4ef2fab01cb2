"""The small world the demo models know: its objects, colours, backgrounds and styles, their names and
synonyms, how a scene is composed, and how it is put in words and read from them.

A `Scene` says what is in a picture, never where each pixel goes (`demo.drawing`).
"""

import json
import random
import re
import string
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from pydoc_data.topics import topics

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import BertTokenizer, CLIPTokenizer

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


@dataclass(frozen=True)
class Word:
    """A word of a caption and what it speaks of: `object`, `colour` (of a group, by index) or nothing."""

    text: str
    role: str = ""
    group: int = -1


@dataclass(frozen=True)
class Caption:
    """`words` in order, and what of the scene they tell: a colour dropped from the words is not told."""

    words: tuple[Word, ...]
    colour_told: tuple[bool, ...]  # by group
    order: tuple[int, ...]  # groups as they are named
    background_told: bool
    style_told: bool
    place_told: bool

    @property
    def text(self) -> str:
        return join(word.text for word in self.words)


def join(words) -> str:
    """Words to a sentence: commas and full stops lean on the word before them."""
    return re.sub(r" ([,.])", r"\1", " ".join(w for w in words if w))


def plural(word: str) -> str:
    head, _, last = word.rpartition(" ")
    last = PLURALS.get(last) or (last + "es" if last.endswith(("s", "x", "sh", "ch")) else last + "s")
    return f"{head} {last}".strip()


def _article(text: str) -> str:
    return "an" if text[:1] in "aeiou" else "a"


def _plain(text: str) -> list[Word]:
    return [Word(w) for w in re.findall(r"[^\s,]+|,", text)]


def _group_words(group: Group, index: int, rng, colour_told: bool) -> list[Word]:
    noun = rng.choice(OBJECT_WORDS[group.object])
    if group.count > 1:
        noun = plural(noun)
    colour = rng.choice(COLOUR_WORDS[group.colour]) if colour_told else ""
    size = rng.choice(SIZE_WORDS[group.size]) if rng.random() < 0.75 else ""
    count = rng.choice(COUNT_WORDS[group.count])
    behind = bool(colour) and rng.random() < 0.07  # "a house that is red", "a house in red"
    front = " ".join(x for x in (size, "" if behind else colour, noun) if x)
    if count == "a":
        count = _article(front)
    *before, last = noun.split()
    colour_words = [Word(w) for w in colour.split()[:-1]] + [
        Word(w, "colour", index) for w in colour.split()[-1:]
    ]
    words = _plain(f"{count} {size}")
    if not behind:
        words += colour_words
    words += [Word(w) for w in before] + [Word(last, "object", index)]
    if behind:
        words += (
            _plain(rng.choice(("in", "colored", "painted", "that is" if group.count == 1 else "that are")))
            + colour_words
        )
    return words


def _background_words(background: str, rng) -> list[Word]:
    if background in PLACES:
        return _plain(rng.choice(PLACE_WORDS[background]))
    colour = rng.choice(COLOUR_WORDS[background]) if rng.random() < 0.3 else background
    form = rng.choice(
        (
            "on {a} {c} background",
            "on {a} {c} background",
            "on {c}",
            "against {a} {c} background",
            "{c} background",
        )
        + ("with {a} {c} background", "on {a} {c} backdrop", "{c} backdrop", "in front of {a} {c} wall")
    )
    return _plain(form.format(a=_article(colour), c=colour))


def _subject(scene: Scene, rng, told) -> tuple[list[Word], tuple[int, ...], bool]:
    """The words about the objects, the order in which they are named, and whether their place is told."""
    if not scene.groups:
        return [], (), False
    phrases = [_group_words(group, i, rng, told[i]) for i, group in enumerate(scene.groups)]
    if len(phrases) == 1:
        place = rng.choice(POSITION_WORDS[scene.place]) if rng.random() < 0.7 else ""
        words = phrases[0] + _plain(place)
        if place and rng.random() < 0.1:
            words = _plain(place) + [Word(",")] + phrases[0]
        return words, (0,), bool(place) and scene.place != "any"
    first, second = phrases
    chance = rng.random()
    if chance < 0.75:
        swap = chance > 0.55
        relation = rng.choice(RELATION_WORDS[REVERSE[scene.place] if swap else scene.place])
        middle = _plain(relation)
        order = (1, 0) if swap else (0, 1)
        return (
            (second + middle + first if swap else first + middle + second),
            order,
            relation not in ("next to", "beside"),
        )
    swap = rng.random() < 0.5
    middle = _plain(rng.choice(("and", "and", "and", ",", "with", "together with")))
    return (second + middle + first if swap else first + middle + second), ((1, 0) if swap else (0, 1)), False


def _typo(word: str, rng) -> str:
    i = rng.randrange(len(word) - 1)
    return rng.choice(
        (
            word[:i] + word[i + 1 :],
            word[:i] + word[i + 1] + word[i] + word[i + 2 :],
            word[:i] + word[i] + word[i:],
        )
    )


def _with_noise(words: list[Word], rng) -> list[Word]:
    """Filler words before, after or between, as in real prompts; now and then a nonsense word or a slip of
    the key."""
    words = list(words)
    if rng.random() < 0.04:
        i = rng.randrange(len(words))
        if len(words[i].text) > 4 and not words[i].role:
            words[i] = Word(_typo(words[i].text, rng))
    filler = [Word(rng.choice(FILLER)) for _ in range(rng.choice((1, 2, 2, 3, 4, 6, 9)))]
    if rng.random() < 0.15:
        filler.append(
            Word("".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(2, 8))))
        )
    if rng.random() < 0.5:
        filler = [part for word in filler for part in (word, Word(","))][:-1]
    chance = rng.random()
    if chance < 0.35:
        return words + [Word(",")] + filler
    if chance < 0.55:
        return filler + words
    if chance < 0.7:
        return words + filler
    if chance < 0.85:
        return filler[: len(filler) // 2] + words + [Word(",")] + filler[len(filler) // 2 :]
    nouns = [i for i, word in enumerate(words) if word.role]  # an adjective in front of a noun or its colour
    i = rng.choice(nouns) if nouns else 0
    return words[:i] + filler[:1] + words[i:]


def describe(scene: Scene, rng: random.Random, noise: float = 0.2, drop: float = 0.08) -> Caption:
    """A random caption. `noise`: share of captions with foreign words. `drop`: share of groups whose colour
    is untold."""
    told = tuple(rng.random() >= drop for _ in scene.groups)
    subject, order, place_told = _subject(scene, rng, told)
    background = _background_words(scene.background, rng) if not subject or rng.random() < 0.92 else []
    style = rng.choice(STYLE_WORDS[scene.style])
    if scene.style != "flat" and rng.random() < 0.05:
        style = ""
    if not subject:
        words = background
    elif background and rng.random() < 0.14:
        words = background + ([Word(",")] if rng.random() < 0.7 else []) + subject
    else:
        words = subject + ([Word(",")] if background and rng.random() < 0.2 else []) + background
    if style:
        form = rng.random()
        if form < 0.55:
            words = words + [Word(",")] + _plain(style)
        elif form < 0.7:
            words = words + _plain(f"in {style} style")
        elif form < 0.9:
            words = _plain(f"{_article(style) + ' ' if rng.random() < 0.5 else ''}{style} of") + words
        else:
            words = _plain(style) + [Word(",")] + words
    elif rng.random() < 0.3:
        words = _plain(rng.choice(PREFIXES)) + words
    if rng.random() < noise:
        words = _with_noise(words, rng)
    words = [word for i, word in enumerate(words) if word.text != "," or i and words[i - 1].text != ","]
    return Caption(tuple(words), told, order, bool(background), bool(style), place_told)


# The canonical sentence
# --------------------------------------------------------------------------------------------


def _canonical_group(group: Group) -> str:
    size = "" if group.size == "medium" else group.size + " "
    noun = plural(group.object) if group.count > 1 else group.object
    count = CANONICAL_COUNT[group.count] if group.count > 1 else _article(size + group.colour)
    return f"{count} {size}{group.colour} {noun}"


def background_phrase(background: str) -> str:
    if background in PLACES:
        return PLACE_WORDS[background][0]
    return f"on {_article(background)} {background} background"


def canonical(scene: Scene) -> str:
    """One fixed sentence for a scene, such as `two red cats above a blue star at night, pixel art`."""
    text = background_phrase(scene.background)
    groups = [_canonical_group(group) for group in scene.groups]
    if len(groups) == 2:
        text = f"{groups[0]} {CANONICAL_RELATION[scene.place]} {groups[1]} {text}"
    elif groups:
        text = f"{groups[0]} {text}"
    return text + CANONICAL_STYLE[scene.style]


@dataclass(frozen=True)
class Reading:
    """What a canonical sentence says; None where it says nothing readable."""

    groups: tuple[tuple[int, str | None, str | None], ...]  # count, colour, object
    relation: str | None
    background: str | None
    style: str


def parse(text: str) -> Reading:
    """Reads a canonical sentence back; reads what it can of any other text and never fails."""
    text = re.sub(r"\s*,\s*", ", ", text.strip().lower())
    style = next((s for s, ending in CANONICAL_STYLE.items() if ending and ending[2:] in text), "flat")
    text = text.split(",")[0].strip()
    background = None
    if match := re.search(r"on an? (\w+) background$", text):
        background, text = match[1], text[: match.start()]
    else:
        for place in PLACES:
            if text.endswith(PLACE_WORDS[place][0]):
                background, text = place, text.removesuffix(PLACE_WORDS[place][0])
    parts, relation = [text], None
    for name, phrase in CANONICAL_RELATION.items():
        if f" {phrase} " in text:
            parts, relation = text.split(f" {phrase} ", 1), name
            break
    counts = {word: count for count, word in CANONICAL_COUNT.items()}
    nouns = {form: thing for thing in OBJECTS for form in (thing, plural(thing))}
    groups = []
    for words in filter(None, (part.split() for part in parts)):
        colour = next((w for w in words if w in COLOURS), None)
        thing = next((nouns[w] for w in words if w in nouns), None)
        groups.append((counts.get(words[0], 1), colour, thing))
    return Reading(tuple(groups), relation, background if background in COLOURS + PLACES else None, style)


LENGTH = 77  # tokens, as in Stable Diffusion
SIZE = 3000  # tokens at most
PATTERN = r"""'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""  # of CLIP
START, END = "<|startoftext|>", "<|endoftext|>"
DECODE = "[DEC]"  # begins a caption of BLIP's decoder


# little words of English that mean nothing to the drawn world and are no news to a reader
LITTLE = (
    "also am as be been but can colour coloured color create could do does for from generate got had has have"
    " having he her here him his if into it its just make me my no not off onto or our out paint render shall"
    " she should show so some than their them then there these they this those too us was we were what when"
    " where which while who will within without would you your"
).split()


def known_words() -> list[str]:
    """Return every word that the model knows or that needs no remark; the pack's settings name them."""
    return sorted({*grammar_words(), *LITTLE})


def grammar_words() -> list[str]:
    """Every word that a caption can hold, sorted, filler included."""
    rng = random.Random("vocabulary")
    found = set(FILLER)
    for table in (OBJECT_WORDS, COLOUR_WORDS, PLACE_WORDS, STYLE_WORDS):
        for phrase in (phrase for phrases in table.values() for phrase in phrases):
            found.update(phrase.split())
    for phrases in OBJECT_WORDS.values():
        found.update(word for phrase in phrases for word in plural(phrase).split())
    for _ in range(20_000):
        scene = compose(rng, rng.choice(KINDS))
        found.update(canonical(scene).replace(",", " ").split())
        found.update(word.text for word in describe(scene, rng, noise=0).words)
    return sorted(found - {","})


def build_clip(folder: Path) -> CLIPTokenizer:
    """Trains the BPE on the grammar's words and on some plain English, and writes it in CLIP's two-file
    form."""
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>", continuing_subword_prefix="", fuse_unk=False))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    english = [topics[key] for key in sorted(topics)]
    corpus = english + [" ".join(grammar_words())] * 3000
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE - len(alphabet) - 2,
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    merges = [
        pair if isinstance(pair, list) else pair.split(" ")
        for pair in json.loads(tokenizer.to_str())["model"]["merges"]
    ]
    tokens = dict.fromkeys(
        alphabet + [letter + "</w>" for letter in alphabet] + [a + b for a, b in merges] + [START, END]
    )
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {token: index for index, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text(
        "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges), encoding="utf-8"
    )
    special = {"bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END}
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": LENGTH, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=2) + "\n")
    return CLIPTokenizer.from_pretrained(folder)


def compact(folder: Path):
    """Writes every tokenizer under `folder` without blanks, and leaves out what its tokenizer.json says,
    too."""
    for path in folder.rglob("tokenizer.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(
            json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8"
        )
        for name in ("vocab.json", "merges.txt", "special_tokens_map.json"):
            (path.parent / name).unlink(missing_ok=True)


def build_bert(folder: Path) -> BertTokenizer:
    """Whole words of the grammar without its filler; single characters for anything else."""
    characters = string.ascii_lowercase + string.digits
    pieces = (
        set(grammar_words()) - set(FILLER) | set(characters) | {"##" + c for c in characters} | set(".,!?-':")
    )
    pieces |= {"is", "this", "it", "there", "are", *OBJECTS, *COLOURS, *PLACES, *STYLES}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "vocab.txt"
    path.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", DECODE, *sorted(pieces)]) + "\n")
    return BertTokenizer(str(path), bos_token=DECODE)


class Encoder:
    """Fast token ids for captions: every word is tokenized once. `tokenizer` is the CLIP one."""

    def __init__(self, tokenizer: CLIPTokenizer):
        self.tokenizer = tokenizer
        self.start, self.end = tokenizer.bos_token_id, tokenizer.eos_token_id
        self.word = cache(self._word)

    def _word(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=False).input_ids)

    def words(self, texts: list[str], length: int) -> tuple[list[int], list[int]]:
        """`length` ids, padded as the pipeline pads them, and the position of each word's last token (-1: cut
        off)."""
        ids, ends = [self.start], []
        for text in texts:
            ids.extend(self.word(text))
            ends.append(len(ids) - 1 if len(ids) < length else -1)
        ids = ids[: length - 1]
        return ids + [self.end] * (length - len(ids)), ends

    def text(self, text: str, length: int = LENGTH) -> list[int]:
        return self.words(re.findall(r"[^\s,]+|,", text), length)[0]
