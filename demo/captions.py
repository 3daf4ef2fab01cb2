"""Puts a `Scene` into words: a rich grammar (synonyms, free order, dropped parts, words from outside) whose
every word knows what it speaks of, and one canonical sentence that can be read back.
"""

import random
import re
from dataclasses import dataclass

from demo.world import COLOURS, OBJECTS, PLACES, Group, Scene

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
