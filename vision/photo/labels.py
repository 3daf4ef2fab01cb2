"""ImageNet's classes by name, and everyday words for groups of them."""

from __future__ import annotations

import re
from functools import cache

import numpy as np

GROUPS: dict[str, tuple[tuple[int, int], ...]] = {  # word → first and last class: ILSVRC 2012 sorts by kind
    "animal": ((0, 397),),
    "pet": ((151, 268), (281, 285)),
    "fish": ((0, 6), (389, 397)),
    "bird": ((7, 24), (80, 100), (127, 146)),
    "snake": ((52, 68),),
    "lizard": ((38, 48),),
    "turtle": ((33, 37),),
    "frog": ((30, 32),),
    "spider": ((72, 77),),
    "dog": ((151, 268),),
    "wolf": ((269, 272),),
    "fox": ((277, 280),),
    "cat": ((281, 285),),
    "bear": ((294, 297),),
    "insect": ((300, 326),),
    "butterfly": ((321, 326),),
    "rabbit": ((330, 332),),
    "horse": ((339, 339),),
    "monkey": ((365, 384),),
    "elephant": ((385, 386),),
    "whale": ((147, 148),),
    "crab": ((118, 121),),
    "boat": ((403, 403), (472, 472), (484, 484), (510, 510), (554, 554), (576, 576), (625, 625), (628, 628))
    + ((724, 724), (780, 780), (814, 814), (833, 833), (871, 871), (914, 914)),
    "car": ((407, 407), (436, 436), (468, 468), (479, 479), (511, 511), (609, 609), (627, 627), (656, 656))
    + ((661, 661), (717, 717), (751, 751), (817, 817)),
    "truck": ((555, 555), (569, 569), (675, 675), (717, 717), (864, 864), (867, 867)),
    "bus": ((654, 654), (779, 779), (874, 874)),
    "train": ((466, 466), (547, 547), (705, 705), (820, 820), (829, 829)),
    "bicycle": ((444, 444), (671, 671)),
    "motorcycle": ((665, 665), (670, 670)),
    "vehicle": ((407, 407), (436, 436), (444, 444), (466, 468), (511, 511), (555, 555), (569, 569))
    + ((609, 609), (627, 627), (654, 656), (661, 661), (665, 665), (670, 671), (675, 675), (705, 705))
    + ((717, 717), (751, 751), (779, 779), (817, 817), (829, 829), (864, 864), (867, 867), (874, 874)),
    "aeroplane": ((404, 404), (895, 895)),
    "plane": ((404, 404), (895, 895)),
    "rocket": ((657, 657), (744, 744), (812, 812)),
    "house": ((425, 425), (449, 449), (580, 580), (624, 624), (663, 663), (698, 698), (762, 762), (853, 853)),
    "building": ((410, 410), (425, 425), (437, 437), (442, 442), (449, 449), (483, 483), (497, 498))
    + ((624, 624), (663, 663), (668, 668), (698, 698), (727, 727), (762, 762), (832, 832)),
    "church": ((442, 442), (497, 497), (663, 663)),
    "mountain": ((970, 970), (972, 972), (979, 980)),
    "beach": ((977, 978),),
    "sea": ((973, 973), (976, 978)),
    "lake": ((975, 975),),
    "flower": ((985, 986), (723, 723), (738, 738)),
    "fruit": ((948, 957),),
    "vegetable": ((936, 947),),
    "mushroom": ((947, 947), (991, 997)),
    "food": ((924, 969),),
    "drink": ((967, 969), (504, 504), (441, 441), (966, 966)),
    "coffee": ((967, 967), (504, 505)),
    "cup": ((504, 504), (968, 968), (967, 967)),
    "bottle": ((440, 440), (720, 720), (737, 737), (898, 898), (907, 907)),
    "ball": ((429, 430), (522, 522), (574, 574), (722, 722), (768, 768), (805, 805), (852, 852), (890, 890)),
    "chair": ((423, 423), (559, 559), (765, 765)),
    "clock": ((409, 409), (530, 530), (892, 892)),
    "phone": ((487, 487), (528, 528), (707, 707)),
    "computer": ((508, 508), (527, 527), (590, 590), (620, 620), (681, 681)),
    "guitar": ((402, 402), (546, 546)),
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
    words = [_singular(word) for word in re.findall(r"[^\W\d_]+", label.lower())]
    if not words:
        return ()
    whole = [number for number, name in enumerate(names()) if _words(name) == words]
    if whole:
        return tuple(whole)
    if words[-1] in GROUPS:
        return tuple(sorted({n for first, last in GROUPS[words[-1]] for n in range(first, last + 1)}))
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
