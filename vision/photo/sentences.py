"""Sentences about a photograph from what is known of it: the things in it, faces, colours and light. A
captioner would say more; these claim nothing that wasn't looked for."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

LEAST = 0.1  # probability from which a class is spoken of
ALIKE = 0.4  # of the best one's probability: others that are spoken of, too
UNKNOWN = "something"  # where no class is likely
SIDE = 64  # px, at which colours are counted
SHARE = 0.18  # of the pixels, that a colour takes to be named
HUES = (  # up to which hue, of 0..255
    (14, "red"),
    (32, "orange"),
    (46, "yellow"),
    (112, "green"),
    (136, "turquoise"),
    (178, "blue"),
    (204, "purple"),
    (240, "pink"),
    (256, "red"),
)
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def captions(
    image: Image.Image, likely: Sequence[tuple[str, float]], people: int, count: int, seed: int
) -> Iterator[str]:
    """Yield up to ``count`` sentences that differ. likely: (class, probability), best first. people: faces
    that were found. The same seed gives the same sentences."""
    rng = random.Random(seed)
    least = max([LEAST, *(ALIKE * chance for _, chance in likely[:1])])
    things = [] if people else [with_article(name) for name, chance in likely if chance >= least]
    things = [_people(people)] if people else things or [UNKNOWN]
    colours, light = " and ".join(colours_of(image)), light_of(image)
    close = "portrait" if people else rng.choice(("close view", "detailed view"))
    rest = [
        f"a {light} photograph of {{thing}}, {colours} tones",
        f"{{thing}}, {close}, {light}, photograph",
        f"photograph of {{thing}} in {colours}, {shape_of(image)}",
        f"{light} {shape_of(image)} photograph of {{thing}}",
        f"{{thing}} in {colours}, {close}, photograph",
        f"{{thing}}, natural colours, {light}, {shape_of(image)}",
        f"a candid photograph of {{thing}}, {colours}, {light}",
    ]
    rng.shuffle(rest)
    patterns, told = ["a photograph of {thing}", *rest], set[str]()
    for number in range(len(patterns) * len(things)):
        pattern = patterns[number % len(patterns)]
        sentence = pattern.format(thing=things[(number + number // len(patterns)) % len(things)])
        if sentence not in told:
            told.add(sentence)
            yield sentence
        if len(told) == count:
            return


def with_article(name: str) -> str:
    """Return "a tiger cat", "an Egyptian cat"."""
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def colours_of(image: Image.Image) -> list[str]:
    """Return the names of the one or two colours that cover most of a picture, the largest first."""
    small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX).convert("HSV")
    hue, saturation, value = np.asarray(small, np.int32).reshape(-1, 3).T
    names = np.select([hue < limit for limit, _ in HUES], [name for _, name in HUES], "red")
    names = np.where(np.isin(names, ("orange", "red", "yellow")) & (value < 160), "brown", names)
    names = np.where(saturation < 40, np.where(value > 215, "white", "grey"), names)
    names = np.where(value < 50, "black", names)
    found, counts = np.unique(names, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    most = [str(found[at]) for at in order if counts[at] >= SHARE * names.size]
    return most[:2] or [str(found[order[0]])]


def light_of(image: Image.Image) -> str:
    """Return a word for how light a picture is."""
    grey = np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX), np.float32)
    if grey.mean() < 70:
        return "dark"
    if grey.mean() > 180:
        return "bright"
    return "high contrast" if grey.std() > 65 else "softly lit"


def shape_of(image: Image.Image) -> str:
    """Return a word for the shape of a picture."""
    ratio = image.width / image.height
    return "wide format" if ratio > 1.15 else "upright format" if ratio < 0.87 else "square format"


def _people(count: int) -> str:
    if count == 1:
        return "a person"
    return f"{NUMBERS[count] if count < len(NUMBERS) else count} people"
