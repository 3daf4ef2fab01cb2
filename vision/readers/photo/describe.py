"""What a photograph shows in everyday words: ImageNet's classes and their groups, faces, colours and light,
and sentences about them that claim nothing that wasn't looked for. Where the host has left the demo models in
a role, which know drawings only, these read photographs instead."""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from core.errors import ModelError
from core.profiles import PROFILES
from vision.readers.photo import models as kind
from vision.readers.photo.models import Face
from vision.reporter import Reporter
from vision.store import Models
from vision.weights import files, hub

# words with their classes, each from first to last: ILSVRC 2012 sorts by kind
_GROUPS = """
    animal 0-397; pet 151-268 281-285; fish 0-6 389-397; bird 7-24 80-100 127-146; snake 52-68;
    lizard 38-48; turtle 33-37; frog 30-32; spider 72-77; dog 151-268; wolf 269-272; fox 277-280;
    cat 281-285; bear 294-297; insect 300-326; butterfly 321-326; rabbit 330-332; horse 339; monkey 365-384;
    elephant 385-386; whale 147-148; crab 118-121;
    boat 403 472 484 510 554 576 625 628 724 780 814 833 871 914;
    car 407 436 468 479 511 609 627 656 661 717 751 817; truck 555 569 675 717 864 867; bus 654 779 874;
    train 466 547 705 820 829; bicycle 444 671; motorcycle 665 670;
    vehicle 407 436 444 466-468 511 555 569 609 627 654-656 661 665 670-671 675 705 717 751 779 817 829 864
    867 874; aeroplane 404 895; plane 404 895; rocket 657 744 812; house 425 449 580 624 663 698 762 853;
    building 410 425 437 442 449 483 497-498 624 663 668 698 727 762 832; church 442 497 663;
    mountain 970 972 979-980; beach 977-978; sea 973 976-978; lake 975; flower 985-986 723 738;
    fruit 948-957; vegetable 936-947; mushroom 947 991-997; food 924-969; drink 967-969 504 441 966;
    coffee 967 504-505; cup 504 968 967; bottle 440 720 737 898 907;
    ball 429-430 522 574 722 768 805 852 890; chair 423 559 765; clock 409 530 892; phone 487 528 707;
    computer 508 527 590 620 681; guitar 402 546
"""
GROUPS = {
    word: tuple(n for each in classes for n in range(int(each.split("-")[0]), int(each.split("-")[-1]) + 1))
    for word, *classes in map(str.split, _GROUPS.split(";"))
}
PEOPLE = frozenset("person people human man woman boy girl child face portrait crowd somebody".split())


@cache
def names() -> tuple[str, ...]:
    """Return the name of each of the thousand classes, in the order of the probabilities."""
    from torchvision.models import MobileNet_V3_Small_Weights

    return tuple(MobileNet_V3_Small_Weights.IMAGENET1K_V1.meta["categories"])


@cache
def classes_of(label: str) -> tuple[int, ...]:
    """Return the classes that a label means: those of its group, or those with its last word in their name;
    none where ImageNet has none. "a red cat" is looked for as "cat"."""
    words = _words(label)
    whole = [number for number, name in enumerate(names()) if _words(name) == words]
    if whole:
        return tuple(whole)
    if words[-1] in GROUPS:
        return tuple(sorted(set(GROUPS[words[-1]])))
    return tuple(number for number, name in enumerate(names()) if _words(name)[-1] == words[-1])


def means_people(label: str) -> bool:
    """Return whether a label asks for people, whom ImageNet has no class for."""
    return not PEOPLE.isdisjoint(_words(label))


def best(chances: np.ndarray, count: int) -> list[tuple[str, float]]:
    """Return the ``count`` likeliest classes with their probabilities, best first."""
    return [(names()[at], float(chances[at])) for at in np.argsort(-chances)[:count]]


def _words(text: str) -> list[str]:
    return [_singular(word) for word in re.findall(r"[^\W\d_]+", text.lower())] or [""]


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us")) and len(word) > 3 else word


PHOTOGRAPH, DRAWING = "photographs", "drawings"  # what a reader knows, as a message says it


@dataclass(frozen=True)
class Look:
    """What the readers of photographs make of a picture.

    chances: of ImageNet's classes (1000,), None unless it is photographed. knows: what the right reader
    knows, "" where there is no choice. note: why they couldn't be asked.
    """

    chances: np.ndarray | None = None
    knows: str = ""
    note: str = ""


def look_at(image: Image.Image, models: Models, reporter: Reporter, role: str) -> Look:
    """Return what is seen in a picture that the model of ``role`` is to read."""
    if not helps(models, role) or (reporter.is_guest and not is_here(models, "photograph")):
        return Look()
    try:
        reader = models.get("photograph", reporter)
    except ModelError as error:
        return Look(note=f"{error} Until then a demo model, which knows drawings, reads photographs, too.")
    chances, features = reporter.batched("photograph", reader.read_each, image)
    if kind.photographed(features):
        return Look(chances, PHOTOGRAPH)
    return Look(knows=DRAWING)


def helps(models: Models, role: str) -> bool:
    """Return whether the model of ``role`` is the demo's, and there are readers of photographs."""
    return is_demo(models, role) and "photograph" in models.config.models


def is_demo(models: Models, role: str) -> bool:
    """Return whether the model of ``role`` is the demo's."""
    return models.config.models.get(role) == PROFILES["demo"][f"{role.upper()}_MODEL"]


def is_here(models: Models, role: str) -> bool:
    """Return whether a reader of photographs is on this machine; guests don't have it fetched."""
    source = files.parse(models.config.models[role])
    return hub.find_downloaded(source, Path(models.config.cache_dir)) is not None


def faces(image: Image.Image, models: Models, reporter: Reporter) -> list[Face]:
    """Return the faces in a photograph; none where their finder can't be had."""
    try:
        finder = models.get("faces", reporter)
    except ModelError:
        return []
    return reporter.in_thread(lambda: finder.find(image))


def best_with_faces(chances: np.ndarray, found: Sequence[Face], count: int) -> list[tuple[str, float]]:
    """Return the ``count`` likeliest objects in a photograph, best first: ImageNet's, and people by faces."""
    scores = best(chances, count)
    if found:
        scores.append(("person" if len(found) == 1 else f"{len(found)} people", found[0].score))
    return sorted(scores, key=lambda pair: -pair[1])[:count]


def compare_labels(
    chances: np.ndarray, found: Sequence[Face], asked: Sequence[str]
) -> tuple[list[tuple[str, float]], list[str]]:
    """Return how well each of some labels fits a photograph, as shares that sum to 1 and best first, and the
    labels that mean nothing to these readers."""
    unknown = [label for label in asked if not means_people(label) and not classes_of(label)]
    fits = [_fit(chances, found, label) for label in asked]
    total = sum(fits)
    shares = ((label, fit / total) for label, fit in zip(asked, fits, strict=True))
    return sorted(shares, key=lambda pair: -pair[1]), unknown


def knows(asked: Sequence[str]) -> bool:
    """Return whether all of some labels mean something to these readers."""
    return all(means_people(label) or classes_of(label) for label in asked)


def _fit(chances: np.ndarray, found: Sequence[Face], label: str) -> float:
    if means_people(label):
        return max(found[0].score if found else 0.0, 1e-6)
    return max(float(chances[list(classes_of(label))].sum()), 1e-6)


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
    objects = [with_article(name) for name, chance in likely if chance >= least] or [UNKNOWN]
    if people:
        number_ = NUMBERS[people] if people < len(NUMBERS) else people
        objects = ["a person" if people == 1 else f"{number_} people"]
    colours, light = " and ".join(colours_of(image)), light_of(image)
    close = "portrait" if people else rng.choice(("close view", "detailed view"))
    rest = [
        f"a {light} photograph of {{obj}}, {colours} tones",
        f"{{obj}}, {close}, {light}, photograph",
        f"photograph of {{obj}} in {colours}, {shape_of(image)}",
        f"{light} {shape_of(image)} photograph of {{obj}}",
        f"{{obj}} in {colours}, {close}, photograph",
        f"{{obj}}, natural colours, {light}, {shape_of(image)}",
        f"a candid photograph of {{obj}}, {colours}, {light}",
    ]
    rng.shuffle(rest)
    patterns, told = ["a photograph of {obj}", *rest], set[str]()
    for number in range(len(patterns) * len(objects)):
        pattern = patterns[number % len(patterns)]
        sentence = pattern.format(obj=objects[(number + number // len(patterns)) % len(objects)])
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
    small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    names = name_colours(np.asarray(small).reshape(-1, 3))
    found, counts = np.unique(names, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    most = [str(found[at]) for at in order if counts[at] >= SHARE * names.size]
    return most[:2] or [str(found[order[0]])]


def name_colours(pixels: np.ndarray) -> np.ndarray:
    """Return the name of the colour of each of some pixels (N, 3) in RGB, 0..255."""
    row = Image.fromarray(np.asarray(pixels, np.uint8)[None]).convert("HSV")
    hue, saturation, value = np.asarray(row, np.int32)[0].T
    names = np.select([hue < limit for limit, _ in HUES], [name for _, name in HUES], "red")
    names = np.where(np.isin(names, ("orange", "red", "yellow")) & (value < 160), "brown", names)
    names = np.where((names == "pink") & (value < 160), "purple", names)
    names = np.where(saturation < 40, np.where(value > 215, "white", "grey"), names)
    return np.where(value < 50, "black", names)


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


THERE = 0.15  # probability of a thing from which it is said to be there
CANT = (
    "Models for photographs read this one: what it shows, whether an object is there, how many faces, its"
    " colours and its text. They can't answer that."
)
_WHAT = re.compile(
    r"(what|which).*\b(is|are|see|shown?s?|seen)\b.*\b(this|that|it|here|there|picture|photo\w*|image|see|table)\b"
    r"|what.?s (this|that|in|on)\b.*|describe\b.*|what do you see.*"
)
_THERE = re.compile(
    r"(?:is there|are there|do you see|can you see|is this|is that|is it|does it show)\s+"
    r"(?:(?:a|an|any|some|the)\s+)?(.+?)"
    r"(?: (?:in|on) (?:this|the) (?:picture|photo|photograph|image)| here| there)?"
)


def answer(image: Image.Image, chances: np.ndarray, faces: Sequence[object], question: str) -> str:
    """Return the answer to a question about a photograph. chances: of ImageNet (1000,)."""
    asked = re.sub(r"[?!.,]", "", question.lower()).strip()
    if re.search(r"\bhow many (people|persons|faces|men|women|humans)\b", asked):
        return str(len(faces)) if faces else "I find no face."
    if re.search(r"\b(colour|color)s?\b", asked):
        return f"Mostly {' and '.join(colours_of(image))}."
    if re.search(r"\b(dark|bright|light|night|day)\b", asked):
        return f"It is {light_of(image)}."
    if found := _THERE.fullmatch(asked):
        thing = found[1]
        if means_people(thing):
            return "Yes, I find a face." if faces else "I find no face, so I can't be sure."
        if not (classes := classes_of(thing)):
            return f"I don't know what “{thing}” is. {CANT}"
        chance = float(chances[list(classes)].sum())
        return f"{'Yes' if chance >= THERE else 'I see none'} ({chance:.0%} sure that it is there)."
    if _WHAT.fullmatch(asked):
        likely = [with_article(name) for name, chance in best(chances, 3) if chance >= THERE]
        people = "a person" if len(faces) == 1 else f"{len(faces)} people"
        seen = [*([people] if faces else []), *likely]
        return f"A photograph of {' or '.join(seen)}." if seen else "A photograph of something I don't know."
    return CANT
