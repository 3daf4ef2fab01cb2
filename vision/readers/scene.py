"""What is in a drawing, measured: the segmenter finds and names its objects, colours are counted in their
pixels and compared by CLIP, and over a video's frames they are followed. In words it is told elsewhere."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import ModelError
from vision.images.ops import dilated, pieces
from vision.readers.photo.describe import name_colours
from vision.readers.segmentation import Edges, Object, ObjectSegmenter, box_of
from vision.reporter import Reporter
from vision.store import Models

SEEN = 0.15  # of an object's pixels, that have a colour at least which is told of it
PLAIN = 0.85  # of the pixels of a ground, that have the colour of one without a place
# a night's stars: how many at least, most of its pixels, how much brighter; the most that is dark, of 255
STARS, SPECKS, BRIGHTER, DARK = 5, 0.02, 90, 100
STILL = 0.06  # of the sides: what moves less over a video stands still
SIDE = 512  # px of the longer side, at which colours are counted
GLANCE = 256  # the same at a glance
SURE, PERHAPS = 0.85, 0.6  # chances of a name from which on it is told, and told as what may be
WORSE, REST, NEXT = 0.1, 0.25, 0.02  # see _Finder._joined: of a chance, of the largest object, of the sides
# see _Finder._parts: of 255, of the picture, of the largest part
APART, LEAST, TWIN, MOST = 28, 0.002, 0.4, 9
Flags = NDArray[np.bool_]
Named = tuple[Object, str, float]


@dataclass(frozen=True)
class Vocabulary:
    """What a pack's readers know. names, colours: of objects. grounds: colours and places, with words."""

    names: tuple[str, ...]
    colours: tuple[str, ...]
    grounds: Mapping[str, str]


@dataclass(frozen=True)
class Thing:
    """An object. sure: 0..1, that it is what it is called. box: left, top, right, bottom, shares of the
    sides. share: of the picture's pixels."""

    name: str
    sure: float
    colour: str
    box: Edges
    share: float

    @property
    def middle(self) -> tuple[float, float]:
        """Where the middle of its box is, from the left and from the top, shares of the sides."""
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2


@dataclass(frozen=True)
class Scene:
    """A picture. things: from the left to the right. moves: how far each has moved to the right and down over
    a video, shares of the sides; () for a picture. text: that is written in it, where somebody read it."""

    things: tuple[Thing, ...]
    ground: str
    moves: tuple[tuple[float, float], ...] = ()
    text: str = ""


def can_read(models: Models, words: Vocabulary, reporter: Reporter) -> bool:
    """Return whether the segmenter that is configured knows the objects of ``words``, and there is a CLIP."""
    if not all(models.config.models.get(role) for role in ("segment", "clip")):
        return False
    try:
        segmenter = models.get("segment", reporter)
    except ModelError:
        return False
    return isinstance(segmenter, ObjectSegmenter) and set(words.names) <= set(segmenter.labels)


def read_scene(
    image: Image.Image, words: Vocabulary, models: Models, reporter: Reporter, *, closely: bool = True
) -> Scene:
    """Return what is in a picture (RGB). The models must be those of ``can_read``. closely: look again at
    each object, and for several in what looks like one: three times the work."""
    side = 2 * SIDE if closely else GLANCE
    if max(image.size) > side:
        image = image.copy()
        image.thumbnail((side, side), reducing_gap=2)
    finder = _Finder(models.get("segment", reporter), image, reporter)
    found = finder.found() if closely else finder.glanced()
    shown = finder.segmenter.shown(image, [obj for obj, *_ in found]) if found else [image]
    matcher = models.get("clip", reporter)

    def best(picture: Image.Image, texts: Mapping[str, str]) -> str:
        likely = matcher.probabilities(picture, list(texts.values()), reporter.batched_as("clip"))
        return max(zip(texts, likely, strict=True), key=lambda pair: pair[1])[0]

    ground = finder.ground(best(shown[-1], words.grounds), words, [obj.piece for obj, *_ in found])
    things = list[Thing]()
    for (obj, name, sure), picture in zip(found, shown, strict=False):
        counted = finder.colours(obj.piece)
        if counted[ground] < 1 - SEEN:  # what is seen between its parts
            del counted[ground]
        colour = best(picture, {one: f"a {one} {name}" for one in words.colours})
        most = counted.most_common(1)[0][0]
        if counted[colour] < SEEN * counted.total() and most in words.colours:
            colour = most
        things.append(Thing(name, sure, colour, obj.box, float(obj.piece.mean())))
    return Scene(tuple(sorted(things, key=lambda thing: thing.middle)), ground)


class _Finder:
    """Finds the objects of a picture. small: it, at a size at which its pixels are looked at."""

    def __init__(self, segmenter: ObjectSegmenter, image: Image.Image, reporter: Reporter) -> None:
        self.segmenter, self.image, self.reporter = segmenter, image, reporter
        small = image.convert("RGB")
        small.thumbnail((SIDE, SIDE), reducing_gap=2)
        self.pixels: NDArray[np.uint8] = np.asarray(small)

    def found(self) -> list[Named]:
        """Return the objects, each with its name and how sure that is. What is more like several things than
        one is several; what is a part of one is told with it; a rest that is like nothing is left out."""
        see = partial(self.segmenter.see, self.image)
        found = list[Named]()
        for obj in self.reporter.in_thread(see):
            one = self._named(obj)
            parts = self._parts(obj) if one[2] < SURE else []
            several = [self._named(part) for part in parts]
            found += several if several and min(sure for *_, sure in several) > one[2] else [one]
        return self._joined(found)

    def glanced(self) -> list[Named]:
        """Return the objects as the first look names them."""
        names = self.segmenter.model.config.id2label
        seen = self.reporter.in_thread(partial(self.segmenter.see, self.image))
        return [(obj, str(names[obj.label]), 1.0) for obj in seen]

    def _named(self, obj: Object) -> Named:
        self.reporter.check()
        chances = self.reporter.in_thread(partial(self.segmenter.chances, self.image, obj))
        at = int(chances.argmax())
        return obj, self.segmenter.labels[at], float(chances[at])

    def _joined(self, found: Sequence[Named]) -> list[Named]:
        kept = sorted(found, key=lambda one: -one[2])
        for one in [one for one in kept if one[2] < PERHAPS]:
            for other in kept:
                a, b = one[0].box, other[0].box
                touch = all(a[at] < b[at + 2] + NEXT and b[at] < a[at + 2] + NEXT for at in (0, 1))
                if other is not one and one in kept and touch:
                    box = (min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3]))
                    both = self._named(Object(one[0].piece | other[0].piece, box, other[0].label))
                    if both[2] > other[2] - WORSE:
                        kept[kept.index(other)] = both
                        kept.remove(one)
            largest = max(float(other[0].piece.sum()) for other in kept)
            if one in kept and kept[0][2] > SURE and one[0].piece.sum() < REST * largest:
                kept.remove(one)
        return kept

    def _parts(self, obj: Object) -> list[Object]:
        """Return the parts of an object that the colour of what is around it keeps apart, if they are about
        of one size; none for a whole."""
        inside = self._large(dilated(obj.piece, 1))
        rim = self.pixels[self._large(dilated(obj.piece, 2)) & ~inside]
        if not len(rim):
            return []
        differ = np.abs(self.pixels.astype(np.int16) - np.median(rim, 0)).max(-1) > APART
        flags = inside & differ
        some = [piece for piece in pieces(flags, flags) if piece.sum() > LEAST * piece.size]
        some = [piece for piece in some if piece.sum() > TWIN * max(one.sum() for one in some)]
        if not 2 <= len(some) <= MOST:
            return []
        rows, columns = obj.piece.shape
        size, found = (columns, rows), list[Object]()
        for piece in some:
            cells = np.asarray(Image.fromarray(piece).resize(size, Image.Resampling.NEAREST))
            found += [Object(cells, box_of(piece), obj.label)] if cells.any() else []
        return found

    def _large(self, cells: Flags) -> Flags:
        size = self.pixels.shape[1], self.pixels.shape[0]
        return np.asarray(Image.fromarray(cells).resize(size, Image.Resampling.NEAREST))

    def colours(self, piece: Flags) -> Counter[str]:
        """Return which colours an object's pixels have, as shares."""
        return _counted(self.pixels[self._large(piece)])

    def ground(self, likely: str, words: Vocabulary, covered: Sequence[Flags]) -> str:
        """Return the ground. likely: by CLIP, which knows places better than shades. covered: by objects."""
        outside = np.ones(self.pixels.shape[:2], bool)
        for piece in covered:
            outside &= ~self._large(dilated(piece, 2))
        pixels = self.pixels[outside]
        if not len(pixels):
            return likely
        light = pixels.max(-1).astype(int)
        usual = float(np.median(light))
        if usual < DARK and "night" in words.grounds:
            stars = outside & (self.pixels.max(-1) > usual + BRIGHTER)
            if stars.sum() < SPECKS * stars.size and len(list(islice(pieces(stars, stars), STARS))) == STARS:
                return "night"
        counted = _counted(pixels)
        most, share = counted.most_common(1)[0]
        if likely in words.colours and most in words.colours and share > PLAIN and counted[likely] < SEEN:
            return most
        return likely


def _counted(pixels: NDArray[np.uint8]) -> Counter[str]:
    names, counts = np.unique(name_colours(pixels), return_counts=True)
    return Counter(dict(zip(names.tolist(), (counts / max(1, counts.sum())).tolist(), strict=True)))


def follow(scenes: Sequence[Scene]) -> Scene:
    """Return the middle one of a video's scenes, with how far each of its things moves from the first to the
    last: the nearest of its name, or else the nearest, is the same thing in the next frame."""
    at = len(scenes) // 2
    seen = [scene for scene in scenes if scene.things]
    if len(seen) < 2:
        return scenes[at]
    middle = scenes[at] if scenes[at].things else seen[len(seen) // 2]
    number = seen.index(middle)

    def traced(thing: Thing, frames: Sequence[Scene]) -> Thing:
        for frame in frames[1:]:
            last = thing
            near = [(one.name != last.name, math.dist(one.middle, last.middle)) for one in frame.things]
            thing = frame.things[near.index(min(near))]
        return thing

    moves = list[tuple[float, float]]()
    for thing in middle.things:
        first, last = traced(thing, seen[number::-1]), traced(thing, seen[number:])
        (x0, y0), (x1, y1) = first.middle, last.middle
        moves.append((x1 - x0, y1 - y0))
    return Scene(middle.things, middle.ground, tuple(moves))
