"""Puts a `Scene` into words: a rich grammar (synonyms, free order, dropped parts, words from outside) whose
every word knows what it speaks of, and one canonical sentence that can be read back.
"""

import random
import re
from dataclasses import dataclass

from demo.words import (
    CANONICAL_COUNT,
    CANONICAL_RELATION,
    CANONICAL_STYLE,
    COLOUR_WORDS,
    COUNT_WORDS,
    FILLER,
    OBJECT_WORDS,
    PLACE_WORDS,
    PLURALS,
    POSITION_WORDS,
    PREFIXES,
    RELATION_WORDS,
    REVERSE,
    SIZE_WORDS,
    STYLE_WORDS,
)
from demo.world import COLOURS, OBJECTS, PLACES, Group, Scene


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
