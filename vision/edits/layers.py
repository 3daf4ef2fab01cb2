"""Lays over a picture what an instruction has changed in it, at the picture's own size; other pixels stay.

A large model leaves nearly everything where it was: what has changed is where its result truly differs. A
small one draws all of it again in its own way: of its result the objects that the words ask for are taken,
found by the segmenter, and laid over the picture, whose ground goes on where one has gone.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from vision.edits.instruction import Instruction
from vision.images import encode, ops
from vision.images.ops import Box, Flags, Real
from vision.readers.photo.describe import name_colours
from vision.readers.segmentation import Object, ObjectSegmenter, box_of, outlined, solid_of
from vision.video.cutout.compose import Layers, cut_layers, filled

LARGEST = 0.6  # of the picture: where more has changed, all of it was meant
LEAST = 8.0  # of 255: what differs by less is drift, however even the rest is
NOISE = 3.0  # times the usual difference: what differs by less is drift, too
CERTAIN = 2.0  # times that: from here on it is a change; what hangs together with it, belongs to it
VISIBLE = 16.0  # of 255: by so much an object looks different
SEEN, LEAK = 2, 0.03  # of 255; the share of what nobody has named that may differ by more
SPECK = 0.0004  # of the picture: smaller pieces are none
ALIKE = 0.02  # cosine: objects of one class that fit words within this are all meant
PART = 0.8  # of an object's longer side, that is drawn around it
LINES = 170  # of a picture's shorter side: what is thinner than two of them is a line
RIM = 0.03  # of an object's longer side: its outline is no sharper
NUMBERS = {"two": 2, "three": 3, "four": 4, "some": 4}
SAME = 0.4  # of a box, from where on an object is the one that was there
PAINTS = 6  # of an object, each of which becomes another
SAMPLES = 3000  # of an object's pixels, by which these are found
OTHER, ONE = 110.0, 48.0  # of 255: paints that differ by more are two, by less one
DARKER = 0.6  # times as light as most of an object: a line
BLENDED = 16.0  # of 255: colours so far from two paints become half of what each does
FAR = 6  # of a part's longer side: so near to an object that has gone the ground is led over
AROUND = 0.35  # of an object's longer side, that is looked at around it
CLEAR = 0.9  # what looks so much like its label is one object and nothing else
LARGE = 0.3  # of the picture: what takes more may have some of the ground in it
MOST = 0.6  # of an outline: where so much isn't the ground's, it is all the object's
SHADE = 8  # of 255: colours that differ by less are one
LEAST_SHADE = 0.001  # of a picture's border: what has less is none of the ground's
LEAST_OBJECT = 0.002  # of the picture
LEAST_NAMED = 0.25  # of an object that has a colour
SHARE = 0.15  # of an object's pixels, that have a colour which it may be called by
SURER = 0.75  # of the surest that looks like what words say, the others are no less sure
LIKELY = 0.5  # what looks less like its label may be no object
GAP, GAP_ADDED = 0.03, 0.045  # of a picture's longer side, between objects: what touches is seen as one
GROUNDS = (178, 214, 240), (96, 120, 170)  # what comes is drawn before: the next where nothing came
SMALLER = (1.0, 0.85, 0.7, 0.6, 0.5, 0.42, 0.32)  # by which an object is made smaller until it has room
LIGHT = np.array((0.299, 0.587, 0.114), np.float32)  # of red, green and blue
COLOURED = 36.0  # of 255, from grey: what has a colour
LEAST_PAINT = 0.08  # of an object: what has less of a colour has none
DEEP = 0.7  # of a colour's hue: photographs are paler
UNLIKE = 0.5  # cosine of two hues that have nothing to do with each other
CELLS = 128  # of a grid on which room is looked for
EDGE = 2  # of these: so near to the picture's edge nothing is laid
ALONE, LEAST_ADDED, MOST_ADDED = 0.4, 0.22, 0.42  # of the shorter side: how large something that comes is
LIKE_OTHERS = 1.1  # times the largest that is there
# Of the height: where what comes stands alone and may stand at most, and at least where others are; where
# it ends in the sky
GROUND_LINE, HIGHEST, SKY_LINE = 0.85, 0.62, 0.45
SHRUNK, LEAST_SHRUNK = 0.5, 0.4  # of the grid: so far away is as bad as made all small; for that, no smaller
SHRUNK_ADDED, LOWERED = 1.5, 0.25  # the same of what comes new; how bad a cell lower on its ground is
SIDE = re.compile(
    r"\b(?:(?:on|at|to|in) the )?(?:very |far )?(?P<side>left|right|top|bottom|upper|lower)(?:[- ]?most)?\b"
    r"(?: side| hand side)?(?! of\b)"
)
ANY = ("", "one", "object", "thing")  # what may be any object
MANY = ("s", "fish")  # how words end that may mean several
ALL = ("them", "all of them", "both", "both of them", "these", "those")
IN_THE_SKY = re.compile(r"\b(?:moon|crescent|sun|stars?|clouds?|birds?|rainbow|sky|balloon|at the top)\b")
SHADED = (0.25, 1.1)  # a shadow around an object: so much of the ground's light is left in it
# One at its foot, where there is more light; of its height; of 255, how far a ground is from grey
CAST, FOOT, DYED = 0.5, 0.3, 40
GLARE = 1.8  # times a dyed ground's light: around an object it is the ground's still
SHADE_APART, LIT = 16, 80  # of 255: by so much a colour is another; a ground with shadows is no darker


def by_difference(old: Image.Image, new: Image.Image) -> Image.Image:
    """Return ``old`` with what of ``new`` truly differs; ``new`` where that is most. Both have one shape."""
    edge = max(2, min(new.size) // 96)
    apart = np.asarray(new, np.float32) - np.asarray(encode.resize(old, new.size), np.float32)
    shift = np.median(apart, (0, 1)).clip(-ops.MAX_CORRECTION, ops.MAX_CORRECTION).astype(np.float32)
    small = Image.fromarray((apart - shift + 128).round().clip(0, 255).astype(np.uint8))
    soft = np.abs(np.asarray(small.filter(ImageFilter.GaussianBlur(1.5)), np.float32) - 128).max(-1)
    usual = float(np.median(soft))
    if usual > LEAST:  # most of it is another picture
        return new
    least = max(LEAST, NOISE * usual)
    changed = ops.connected(soft > CERTAIN * least, soft > least)
    kept = [piece for piece in ops.pieces(changed, changed) if piece.mean() >= SPECK]
    if not kept:
        return old.copy()
    changed = ops.dilated(np.logical_or.reduce(kept), 2 * edge)
    return new if changed.mean() > LARGEST else laid_where(old, new, changed, edge, 4 * edge)


def laid_where(
    old: Image.Image, new: Image.Image, changed: Flags, edge: int, blur: float | None = None
) -> Image.Image:
    """Return ``old`` with ``new`` where it has ``changed`` (h, w of ``new``), without the drift of its
    colours. edge: px over which one goes over into the other; blur: of the drift, None = the same."""
    before = encode.resize(old, new.size)
    drift = np.asarray(ops.drift(before, new, ~changed, blur or edge), np.float32) - 128
    moved = Image.fromarray((np.asarray(new, np.float32) + drift).round().clip(0, 255).astype(np.uint8))
    none = np.zeros_like(changed)
    share = ops.alpha(none, changed, edge, 0) if blur is None else ops.alpha(changed, none, 0, edge)
    mask = Image.fromarray((share * 255).round().astype(np.uint8))
    if old.size != new.size:
        mask, moved = mask.resize(old.size, Image.Resampling.BILINEAR), encode.resize(moved, old.size)
    return Image.composite(moved, old, mask)


@dataclass(frozen=True, eq=False)
class Found:
    """An object in a picture. mask: "L" at its size. box: px. label: the segmenter's; sure: 0..1, of that."""

    mask: Image.Image
    box: Box
    label: str
    sure: float = 1.0

    def overlap(self, box: Box) -> float:
        """Return how much of the smaller box both share, 0..1."""
        a, b = self.box, box
        wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        least = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
        return max(0, wide) * max(0, high) / max(1, least)


def find_objects(segmenter: ObjectSegmenter, image: Image.Image) -> list[Found]:
    """Return the objects of a picture, the largest first, each with its outline."""
    found, ground = list[Found](), _ground_shown(image)
    seen = [(obj, segmenter.outline(image, [obj]).mask) for obj in segmenter.see(image)]
    for obj, mask in seen:
        if mask.getbbox() is None:
            continue
        others = [other for _, other in seen if other is not mask]
        one = _looked_at(segmenter, image, obj, _outlined(image, mask, others, ground))
        inside, is_clear = np.asarray(one.mask) > 127, one.sure > CLEAR and obj.piece.mean() < LARGE
        parts = [inside] if is_clear else _without_ground(inside, ground)
        if is_clear or (len(parts) == 1 and parts[0].sum() > MOST * inside.sum()):
            found.append(one)
            continue
        for part in parts:
            large = Image.fromarray(part.astype(np.uint8) * 255)
            piece = np.asarray(large.resize(obj.piece.shape[::-1], Image.Resampling.BOX)) > 127
            if piece.any():
                alone = replace(obj, piece=piece, box=box_of(piece))
                found.append(_looked_at(segmenter, image, alone, large))
    return sorted(found, key=lambda one: -(one.box[2] - one.box[0]) * (one.box[3] - one.box[1]))


def _outlined(
    image: Image.Image, seen: Image.Image, others: Sequence[Image.Image], ground: Flags
) -> Image.Image:
    """Return the outline ("L") of what stands out at about ``seen``, without what stands out beside it and is
    a line, as a horizon is, or has colours of the ``ground``. others: where other objects are, about."""
    rim = max(2, round(RIM * _longer(seen.getbbox() or (0, 0, 0, 0))))
    near = ops.dilated(np.asarray(seen) > 127, rim)
    found, edge = np.asarray(outlined(image, seen, others)) > 127, max(1, min(image.size) // LINES)
    found &= near | ops.dilated(ops.eroded(found & ~ground, edge), edge)
    found = ops.connected(found & near, found)
    return Image.fromarray(found.astype(np.uint8) * 255) if found.any() else seen


def _looked_at(segmenter: ObjectSegmenter, image: Image.Image, obj: Object, mask: Image.Image) -> Found:
    chances, box = segmenter.chances(image, obj), mask.getbbox()
    assert box is not None
    best = int(chances.argmax())
    return Found(mask, box, segmenter.labels[best].lower(), float(chances[best]))


def _ground_shown(image: Image.Image) -> Flags:
    """Return where a picture has colours that it also has at its border, as stripes and other patterns do."""
    pixels, rim = np.asarray(image.convert("RGB")), max(2, min(image.size) // 50)
    border = np.concatenate(
        [part.reshape(-1, 3) for part in (pixels[:rim], pixels[-rim:], pixels[:, :rim], pixels[:, -rim:])]
    )
    known = np.zeros((256 // SHADE + 2,) * 3, bool)  # every shade, with a margin around
    shades, counts = np.unique(border.astype(int) // SHADE + 1, axis=0, return_counts=True)
    red, green, blue = shades[counts >= LEAST_SHADE * len(border)].T
    known[red, green, blue] = True
    for axis in range(3):
        known |= np.roll(known, 1, axis) | np.roll(known, -1, axis)
    red, green, blue = np.moveaxis(pixels.astype(int) // SHADE + 1, -1, 0)
    return known[red, green, blue]


def _without_ground(mask: Flags, ground: Flags) -> list[Flags]:
    """Return the parts of a mask that show none of the ground's colours, with their holes filled."""
    edge = max(1, min(mask.shape) // 200)
    solid = solid_of(ops.dilated(ops.eroded(mask & ~ground, edge), edge))
    return [piece for piece in ops.pieces(solid, solid) if piece.mean() >= LEAST_OBJECT]


@dataclass(frozen=True, eq=False)
class Reader:
    """What finds objects by words. matcher: a CLIP, None = by the segmenter's own words alone."""

    segmenter: ObjectSegmenter
    matcher: Any

    def named(self, image: Image.Image, found: Sequence[Found], words: str) -> list[Found]:
        """Return those of ``found`` in ``image`` that words mean; "" = the one that stands out. Of several
        alike, words may say the side; a plural means all that have the same colour."""
        if len(found) < 2 or not words:
            return list(found[:1])
        words, side = side_of(words)
        if words in ALL:
            return [one for one in found if one.label == found[0].label]
        spoken = [one for one in found if _says(words, one.label)]
        surest = max((one.sure for one in spoken), default=0.0)
        spoken = [one for one in spoken if one.sure > SURER * surest]
        if side is not None and (spoken or words in ANY):
            if any(words == one.label for one in spoken) or words in ANY or self.matcher is None:
                return [max(spoken or found, key=side)]
        if len(spoken) == 1 or self.matcher is None:
            return spoken
        some = spoken or list(found)
        parts = [image.crop(_around(one.box, image.size, AROUND)) for one in some]
        fits = (self.matcher.embed_images(parts) @ self.matcher.embed_texts([words])[0]).float().tolist()
        best = max(range(len(some)), key=fits.__getitem__)
        if not spoken and not words.endswith(MANY) and side is None:
            return [some[best]]
        label, least = some[best].label, fits[best] - ALIKE
        same = [one for one in some if one.label == label]
        alike = [one for one, fit in zip(some, fits, strict=True) if one.label == label and fit >= least]
        if side is not None:
            return [max(alike, key=side)]
        if words.endswith(MANY) and len(alike) < len(same):
            is_bare = any(f"{one.label}{end}" == words for one in same for end in ("s", "es"))
            if is_bare or len({self.colour(image, one) for one in same}) == 1:
                return same
        return alike

    def colour(self, image: Image.Image, one: Found) -> str:
        """Return the colour of an object of a drawing; of several that it shows, the one that it looks like
        most, or without a matcher the most frequent."""
        inside = np.asarray(image.convert("RGB"))[np.asarray(one.mask) > 127]
        names, counts = np.unique(name_colours(inside), return_counts=True)
        shown = [str(name) for name in names[counts > SHARE * counts.sum()]]
        if len(shown) < 2 or self.matcher is None:
            return str(names[counts.argmax()])
        texts = self.matcher.embed_texts([f"a {name} {one.label}" for name in shown])
        part = image.crop(_around(one.box, image.size, AROUND))
        return shown[int((texts @ self.matcher.embed_images([part])[0]).argmax())]


def side_of(words: str) -> tuple[str, Callable[[Found], float] | None]:
    """Return words without a side that they name, and how far to that side an object is."""
    found = SIDE.search(words)
    if found is None:
        return words, None
    name, rest = found["side"], " ".join(f"{words[: found.start()]} {words[found.end() :]}".split())

    def far(one: Found) -> float:
        x, y = one.box[0] + one.box[2], one.box[1] + one.box[3]
        return {"left": -x, "right": x, "top": -y, "upper": -y}.get(name, y)

    return rest, far


def _says(words: str, label: str) -> bool:
    """Return whether words have a label in them, also as "cats"."""
    return re.search(rf"\b{re.escape(label)}(?:s|es)?\b", words) is not None


@dataclass(frozen=True, eq=False)
class Objects:
    """What an instruction is about in a picture. there: its objects; meant: those that the words name. box:
    the part that is drawn, None = all of it. drawn: it is no photograph."""

    old: Image.Image
    asked: Instruction
    reader: Reader
    there: tuple[Found, ...]
    meant: tuple[Found, ...]
    box: Box | None
    drawn: bool = True

    @property
    def others(self) -> list[Found]:
        """What stays."""
        return [one for one in self.there if one not in self.meant]

    @property
    def start(self) -> Image.Image:
        """What the model is to change: the part around what is meant, with nothing else in it."""
        if self.box is None:
            return self.old
        others = [one for one in self.others if one.overlap(self.box)]
        return without(self.old, others, self.meant).crop(self.box)

    def around(self, new: Image.Image) -> Image.Image:
        """Return the picture with what the model has made of ``start``."""
        left, top, right, bottom = self.box or (0, 0, *self.old.size)
        whole = self.old.copy()
        whole.paste(encode.resize(new, (right - left, bottom - top)), (left, top))
        return whole

    def redraws(self, laid: Sequence[Image.Image], news: Sequence[Image.Image]) -> bool:
        """Return whether what nobody has named differs in any of the pictures that are ``laid`` of what the
        model has made, ``news``, or what was named is as it was."""
        if self.asked.kind == "ground":
            return True
        old = np.asarray(self.old, np.int16)
        for one, new in zip(laid, news, strict=True):
            if one.size != self.old.size or not all(_differs(self.old, one, each) for each in self.meant):
                return True
            boxes = [each.box for each in self.meant]
            if self.asked.kind == "replace":
                came = self._that_came(encode.resize(new, self.old.size))
                if not came or any(_room_for(each, self.others, self.old.size) for each in came):
                    return True
                boxes += [each.box for each in came]
            outside = np.ones(old.shape[:2], bool)
            for box in boxes:
                left, top, right, bottom = _around(box, self.old.size, AROUND)
                outside[top:bottom, left:right] = False
            apart = np.abs(np.asarray(one, np.int16) - old).max(-1) > SEEN
            if outside.mean() < 1 - LARGEST or apart[outside].mean() > LEAK:
                return True
        return False

    def lay(self, new: Image.Image, *, alone: bool = False) -> Image.Image | None:
        """Return the picture with the objects of ``new`` that are asked for; None where they aren't found, or
        have no room there. alone: ``new`` was made of ``start``; they are moved to where they have."""
        new, asked = encode.resize(new, self.old.size), self.asked
        if asked.kind == "ground":
            return _kept_on(self.old, new, self.there, find_objects(self.reader.segmenter, new))
        if asked.kind == "colour":
            paint = partial(_coloured, new=new) if self.drawn else tinted
            return _each(
                self.old, self.meant, lambda picture, one: paint(picture, one=one, colour=asked.colour)
            )
        base = without(self.old, self.meant, self.others)
        if asked.kind == "remove":
            return base
        came = self._that_came(new)
        if not came or (not alone and any(_room_for(one, self.others, base.size) for one in came)):
            return None
        if asked.kind == "add":
            sky, seen = bool(IN_THE_SKY.search(asked.new)), len(self.others) + len(came)
            made = with_added(base, new, came, self.others, sky=sky)
            if len(find_objects(self.reader.segmenter, made)) < seen:  # two look like one
                made = with_added(base, new, came, self.others, sky=sky, gap=2 * GAP_ADDED)
            return made
        return _each(base, came, lambda picture, one: pasted_apart(picture, new, one, self.others))

    def _that_came(self, new: Image.Image) -> list[Found]:
        """Return the objects of ``new`` that are asked for: all but those that look like nothing that is
        known; where one becomes another, what stands in its place."""
        asked, gone = self.asked, self.meant
        came = [
            one
            for one in find_objects(self.reader.segmenter, new)
            if (not gone or any(one.overlap(old.box) > SAME for old in gone))
            and (one.sure > LIKELY or _says(asked.new, one.label))
        ]
        spoken = [one for one in came if _says(asked.new, one.label)] or came
        if len(spoken) < 2:
            return spoken
        first = asked.new.split(" ")[0]
        count = len(gone) if gone else int(first) if first.isdigit() else NUMBERS.get(first, 1)
        return self.reader.named(new, spoken, asked.new)[:1] if count == 1 else spoken[:count]


def find_named(
    old: Image.Image, asked: Instruction, reader: Reader, objects: Sequence[Found], *, drawn: bool = True
) -> Objects | None:
    """Return what an instruction is about, of the ``objects`` of a picture; None where that isn't found, or
    all of the picture is meant. drawn: it is no photograph."""
    if asked.kind in ("whole", "alter"):
        return None
    there = tuple(objects)
    if asked.kind in ("add", "ground"):
        return Objects(old, asked, reader, there, (), None, drawn)
    meant = tuple(reader.named(old, there, asked.named))
    if not meant:
        return None
    boxes = np.array([one.box for one in meant])
    around = _around((*boxes[:, :2].min(0), *boxes[:, 2:].max(0)), old.size, PART)
    share = (around[2] - around[0]) * (around[3] - around[1]) / (old.width * old.height)
    return Objects(old, asked, reader, there, meant, around if share < LARGEST else None, drawn)


def _with_part(picture: Image.Image, made: np.ndarray, box: Box) -> Image.Image:
    """Return a picture with the colours ``made`` (h, w, 3) in a box."""
    picture = picture.copy()
    picture.paste(Image.fromarray(made.round().clip(0, 255).astype(np.uint8)), box[:2])
    return picture


def _longer(box: Box) -> int:
    return max(box[2] - box[0], box[3] - box[1])


def _each(picture: Image.Image, found: Sequence[Found], change: Callable[..., Image.Image]) -> Image.Image:
    for one in found:
        picture = change(picture, one)
    return picture


def _around(box: Box, size: tuple[int, int], share: float) -> Box:
    more = round(share * _longer(box)) + 4
    left, top, right, bottom = box
    return max(0, left - more), max(0, top - more), min(size[0], right + more), min(size[1], bottom + more)


def _cut(picture: Image.Image, one: Found) -> tuple[Box, Layers | None]:
    """Return the part of a picture around an object, and its layers: of the object no more than lies within
    its outline and a little around that."""
    box = _around(one.box, picture.size, AROUND)
    mask = one.mask.crop(box)
    layers = cut_layers(picture.crop(box), mask)
    if layers is None:
        return box, None
    inside = np.asarray(mask) > 127
    rim = max(2, round(RIM * _longer(one.box)))
    near, core = ops.dilated(inside, rim), ops.eroded(inside, rim)
    obj = _without_shades(layers, np.asarray(picture.crop(box), np.float32), core)
    return box, replace(layers, obj=obj * near[..., None])


def _without_shades(layers: Layers, colours: Real, core: Flags) -> Real:
    """Return the object of ``layers``, (h, w, 4), of which what is the ground in a shadow, or its light, is a
    black veil, or nothing. colours: (h, w, 3), of the picture. core: (h, w), all the object's."""
    ground = layers.ground
    lit = (colours * ground).sum(-1) / np.maximum(np.square(ground).sum(-1), 1)
    dyed = np.ptp(ground, -1) > DYED
    shade = (lit > SHADED[0]) & (lit < np.where(dyed, GLARE, SHADED[1])) & (ground.max(-1) > LIT)
    foot = layers.box[3] - FOOT * (layers.box[3] - layers.box[1])
    cast = (np.arange(len(core)) > foot)[:, None] & (lit > CAST) & dyed
    shade &= ~core | cast
    shade &= np.abs(colours - ground * lit[..., None]).max(-1) < SHADE_APART
    veil = np.zeros_like(layers.obj)
    veil[..., 3] = 255 * (1 - lit).clip(0, 1)
    return np.where(shade[..., None], np.minimum(veil, layers.obj[..., 3:]), layers.obj)


def without(picture: Image.Image, gone: Sequence[Found], others: Sequence[Found] = ()) -> Image.Image:
    """Return a picture whose ground goes on where objects were. others: what stays, no ground."""
    if not gone:
        return picture
    boxes = np.array([one.box for one in gone])
    box = _around((*boxes[:, :2].min(0).tolist(), *boxes[:, 2:].max(0).tolist()), picture.size, AROUND)
    part = np.asarray(picture.crop(box), np.float32)
    hole, stays = (_covered(some, box) for some in (gone, others))
    layers = cut_layers(picture.crop(box), Image.fromarray((hole | stays).astype(np.uint8) * 255))
    ground = layers.ground if layers else filled(part, ops.dilated(hole | stays, 4))
    if stays.any():
        reach = max(8, max(hole.shape) // FAR)
        near = ops.distance(hole, reach)
        changed = (near <= reach) & (near < ops.distance(stays, reach)) & ~stays
        ground = np.where(changed[..., None], ground, part)
    return _with_part(picture, ground, box)


def _covered(found: Sequence[Found], box: Box) -> Flags:
    """Return where in a part of a picture objects are."""
    covered = np.zeros((box[3] - box[1], box[2] - box[0]), bool)
    for one in found:
        covered |= np.asarray(one.mask.crop(box)) > 127
    return covered


def cut_object(picture: Image.Image, one: Found) -> Image.Image:
    """Return an object of a picture alone, "RGBa", without what lies around it."""
    box, layers = _cut(picture, one)
    if layers is None:
        soft = one.mask.crop(box).filter(ImageFilter.GaussianBlur(1))
        alone = picture.crop(box).convert("RGBA")
        alone.putalpha(soft)
        alone = alone.convert("RGBa")
    else:
        values = layers.obj.round().clip(0, 255).astype(np.uint8)
        alone = Image.frombytes("RGBa", layers.size, values.tobytes())
    left, top = box[:2]
    return alone.crop((one.box[0] - left, one.box[1] - top, one.box[2] - left, one.box[3] - top))


def pasted(picture: Image.Image, other: Image.Image, one: Found) -> Image.Image:
    """Return a picture with an object of ``other`` where that has it."""
    box, layers = _cut(other, one)
    part = np.asarray(picture.crop(box), np.float32)
    if layers is None:
        return Image.composite(other, picture, one.mask.filter(ImageFilter.GaussianBlur(1)))
    share = layers.obj[..., 3:] / 255
    made = layers.obj[..., :3] + part * (1 - share)
    return _with_part(picture, made, box)


def recoloured(picture: Image.Image, other: Image.Image, one: Found) -> Image.Image:
    """Return a picture with an object in the colours that ``other`` has there: its own lines and its grain
    stay, each of its paints becomes what that mostly became."""
    box, layers = _cut(picture, one)
    mask = np.asarray(one.mask.crop(box)) > 127
    part, goal = (np.asarray(some.crop(box), np.float32) for some in (picture, other))
    core = ops.eroded(mask, max(2, min(mask.shape) // 40))
    core = core if core.any() else mask
    if layers is None:
        soft = one.mask.crop(box).filter(ImageFilter.GaussianBlur(1))
        share, own = np.asarray(soft, np.float32)[..., None] / 255, part
    else:
        share = layers.obj[..., 3:] / 255 * ops.dilated(mask, 1)[..., None]
        own = (layers.obj[..., :3] / np.maximum(layers.obj[..., 3:] / 255, 1 / 255)).astype(np.float32)
    moved = _moved(own, part[core], goal[core]).clip(0, 255)
    made = part + share * (moved - own)
    return _with_part(picture, made, box)


def tinted(picture: Image.Image, one: Found, colour: Sequence[int]) -> Image.Image:
    """Return a photograph with an object in another colour: its paint, with its light and shadow, where most
    of what has a colour has the same; all of it where it is grey."""
    mask = np.asarray(one.mask.filter(ImageFilter.GaussianBlur(1)), np.float32)[..., None] / 255
    pixels, inside = np.asarray(picture, np.float32), np.asarray(one.mask) > 127
    light = pixels @ LIGHT
    hues = pixels - light[..., None]
    strong = np.linalg.norm(hues, axis=-1)
    wanted, share, depth = np.array(colour, np.float32), np.ones_like(light), np.ones_like(light)
    painted = inside & (strong > COLOURED)
    if painted.sum() > LEAST_PAINT * inside.sum():
        usual = hues[painted].sum(0)
        alike = (hues @ usual) / np.maximum(strong * np.linalg.norm(usual), 1e-6)  # cosine
        share = ((alike - UNLIKE) / (1 - UNLIKE) * 2).clip(0, 1) * (strong / COLOURED).clip(0, 1)
        depth = (strong / np.median(strong[painted])).clip(0, 1)
    main, lightest = inside & (share > 0.5), float(wanted @ LIGHT)
    dark = float(np.median(light[main])) if main.any() else lightest
    way = 0.8 if np.ptp(wanted) < COLOURED else 0.5 if lightest < dark else 0.7  # white and black go far
    goal = dark + way * (lightest - dark)
    darker, lighter = goal / max(dark, 1.0), (255 - goal) / max(255 - dark, 1.0)
    lit = light * darker if goal < dark else 255 - (255 - light) * lighter
    made = lit[..., None] + DEEP * depth[..., None] * (wanted - lightest)
    over = share[..., None] * mask
    return Image.fromarray((pixels + over * (made.clip(0, 255) - pixels)).round().astype(np.uint8))


def _moved(colours: Real, own: Real, wanted: Real) -> Real:
    """Return an object's colours (h, w, 3) as ``own`` (n, 3) became ``wanted``: each paint in its own way."""
    some = np.linspace(0, len(own) - 1, min(len(own), SAMPLES)).astype(int)
    own, wanted, paints = own[some], wanted[some], own.mean(0)[None]
    for _ in range(PAINTS):
        away = np.square(own[:, None] - paints).sum(-1).min(1)
        paints = np.vstack([paints, own[away.argmax()]])
    for _ in range(8):
        nearest = np.square(own[:, None] - paints).sum(-1).argmin(1)
        paints = np.stack([own[nearest == at].mean(0) for at in np.unique(nearest)])
    used, nearest = np.unique(np.square(own[:, None] - paints).sum(-1).argmin(1), return_inverse=True)
    paints = paints[used]
    became = np.stack([np.median(wanted[nearest == at], 0) for at in range(len(paints))])
    main = np.bincount(nearest).argmax()
    grey = paints.mean(1)
    hues = paints - grey[:, None]
    other = np.linalg.norm(hues - hues[main], axis=1) + np.abs(grey - grey[main]) / 2
    kin = other <= OTHER / 2  # light and shadow of one colour
    light = (grey[kin] / max(1, grey[main])).clip(0.7, 1.3)[:, None]
    became[kin] = np.median(wanted[kin[nearest]], 0) * light
    # what the model has painted over, as it drew it elsewhere: another colour stays, what is darker is a line
    over = np.linalg.norm(became - became[main], axis=1) < ONE
    became[over & (other > OTHER)] = paints[over & (other > OTHER)]
    lines = over & (other <= OTHER) & (grey < DARKER * grey[main])
    became[lines] = became[main] * (grey[lines] / max(1, grey[main]))[:, None]
    away = np.square(colours[..., None, :] - paints).sum(-1)
    shares = np.exp((away.min(-1, keepdims=True) - away) / (2 * BLENDED**2))
    shares /= shares.sum(-1, keepdims=True)
    return np.asarray(colours + shares @ (became - paints), np.float32)


def _coloured(picture: Image.Image, new: Image.Image, one: Found, colour: tuple[int, ...]) -> Image.Image:
    """Return a picture with an object in its colours in ``new``, or in the one asked if little has that."""
    made = recoloured(picture, new, one)
    [wanted] = name_colours(np.array([colour], np.uint8))
    named = name_colours(np.asarray(made)[np.asarray(one.mask) > 127]) == wanted
    if named.mean() > LEAST_NAMED:
        return made
    return recoloured(picture, Image.new("RGB", made.size, colour), one)


def _differs(old: Image.Image, new: Image.Image, one: Found) -> bool:
    """Return whether an object doesn't look in ``new`` as it did."""
    inside = np.asarray(one.mask) > 127
    apart = np.abs(np.asarray(old, np.int16)[inside] - np.asarray(new, np.int16)[inside])
    return bool(apart.mean() > VISIBLE)


def _kept_on(
    old: Image.Image, new: Image.Image, there: Sequence[Found], here: Sequence[Found]
) -> Image.Image:
    """Return a new ground with the old picture's objects; what may be none, only where it has them too."""

    def is_there(one: Found) -> bool:
        return any(other.label == one.label and other.overlap(one.box) > SAME for other in here)

    kept = [one for one in there if one.sure > LIKELY or is_there(one)]
    gone = [other for other in here if any(other.overlap(one.box) > SAME for one in kept)]
    return _each(without(new, gone), kept, lambda picture, one: pasted(picture, old, one))


def _taken(others: Sequence[Found], size: tuple[int, int], gap: float = GAP) -> Flags:
    """Return where others are and a gap around them, on a grid of CELLS for the longer side."""
    scale = CELLS / max(size)
    taken = np.zeros((max(1, round(size[1] * scale)), max(1, round(size[0] * scale))), bool)
    for other in others:
        taken |= np.asarray(other.mask.resize(taken.shape[::-1], Image.Resampling.BOX)) > 0
    return ops.dilated(taken, round(gap * CELLS))


def _nearest_room(
    taken: Flags, box: tuple[float, float, float, float], lowest: float = 0.0, shrunk: float = SHRUNK
) -> tuple[float, int, int]:
    """Return by how much what fills a box is made smaller, and its corner, so that it is apart from what is
    ``taken`` and its foot near to the box's, or down to ``lowest``; where there is no room, it covers as
    little as it can. All in cells."""
    sums = np.pad(taken, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    left, top, right, bottom = box
    best, found = math.inf, (SMALLER[-1], 0, 0)
    for smaller in SMALLER:
        wide, high = (max(1, math.ceil(smaller * side)) for side in (right - left, bottom - top))
        if wide >= taken.shape[1] or high >= taken.shape[0]:
            continue
        covered = sums[high:, wide:] - sums[:-high, wide:] - sums[high:, :-wide] + sums[:-high, :-wide]
        if best < math.inf and (covered.all() or smaller < LEAST_SHRUNK):
            continue
        if covered.all() and smaller != SMALLER[-1]:
            continue
        ys, xs = np.nonzero(covered == covered.min())
        down = ys + high - bottom
        off = np.maximum(np.maximum(down - max(0.0, lowest - bottom), -down), 0)
        away = np.abs(xs + wide / 2 - (left + right) / 2) + 2 * off + LOWERED * np.maximum(down, 0)
        at = int(away.argmin())
        if (cost := float(away[at]) + shrunk * CELLS * (1 - smaller)) < best:
            best, found = cost, (smaller, int(xs[at]), int(ys[at]))
    return found


def _room_for(
    one: Found, others: Sequence[Found], size: tuple[int, int]
) -> tuple[float, tuple[int, int]] | None:
    """Return by how much an object is made smaller, and its corner, px, so that it is apart from others and
    near to where it is; None where it is apart."""
    scale, taken = CELLS / max(size), _taken(others, size)
    mine = np.asarray(one.mask.resize(taken.shape[::-1], Image.Resampling.BOX)) > 64
    if not (mine & taken).any():
        return None
    left, top, right, bottom = (value * scale for value in one.box)
    smaller, x, y = _nearest_room(taken, (left, top, right, bottom))
    return smaller, (round(x / scale), round(y / scale))


def pasted_apart(
    picture: Image.Image, other: Image.Image, one: Found, others: Sequence[Found]
) -> Image.Image:
    """Return a picture with an object of ``other`` about where that has it, apart from the objects there."""
    place = _room_for(one, others, picture.size)
    if place is None:
        return pasted(picture, other, one)
    return _laid_smaller(picture, cut_object(other, one), *place)


def with_added(
    picture: Image.Image,
    new: Image.Image,
    came: Sequence[Found],
    others: Sequence[Found],
    *,
    sky: bool,
    gap: float = GAP_ADDED,
) -> Image.Image:
    """Return a picture with objects of ``new`` beside those there, no larger than these, each on their ground
    line, or in the sky; about where ``new`` has them. gap: of the longer side, between objects."""
    height = picture.height
    side, scale, cells = min(picture.size), CELLS / max(picture.size), round(gap * CELLS)
    taken = _taken(others, picture.size, gap)
    taken[:EDGE], taken[-EDGE:], taken[:, :EDGE], taken[:, -EDGE:] = True, True, True, True
    like = LIKE_OTHERS * max((_longer(one.box) for one in others), default=ALONE * side)
    wanted = min(max(like, LEAST_ADDED * side), MOST_ADDED * side)
    line = max([HIGHEST * height, *(one.box[3] for one in others)] if others else [GROUND_LINE * height])
    line = SKY_LINE * height if sky else line
    lowest = line if sky else max(line, GROUND_LINE * height)
    for one in came:
        cut = cut_object(new, one)
        share = wanted / max(cut.size)
        half, middle = share * cut.width / 2, (one.box[0] + one.box[2]) / 2
        left, top = (middle - half) * scale, (line - share * cut.height) * scale
        box = left, top, (middle + half) * scale, line * scale
        smaller, x, y = _nearest_room(taken, box, lowest * scale, SHRUNK_ADDED)
        place = round(x / scale), round(y / scale)
        picture = _laid_smaller(picture, cut, smaller * share, place)
        wide, high = (math.ceil(smaller * share * length * scale) for length in cut.size)
        taken[max(0, y - cells) : y + high + cells, max(0, x - cells) : x + wide + cells] = True
    return picture


def _laid_smaller(picture: Image.Image, cut: Image.Image, share: float, at: tuple[int, int]) -> Image.Image:
    size = max(1, round(cut.width * share)), max(1, round(cut.height * share))
    return laid_at(picture, cut.resize(size, Image.Resampling.LANCZOS), at)


def laid_at(picture: Image.Image, cut: Image.Image, at: tuple[int, int]) -> Image.Image:
    """Return a picture with an object ("RGBa") at a place, px of its corner."""
    x, y = at
    box = max(0, x), max(0, y), min(picture.width, x + cut.width), min(picture.height, y + cut.height)
    values = np.asarray(cut.crop((box[0] - x, box[1] - y, box[2] - x, box[3] - y)), np.float32)
    below = np.asarray(picture.crop(box), np.float32)
    made = values[..., :3] + below * (1 - values[..., 3:] / 255)
    return _with_part(picture, made, box)
