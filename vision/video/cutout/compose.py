"""Makes the frames of a video from pictures at its ends and a motion, one by one, when they are asked for. It
is one thing because each of its steps is laid on what the step before cut:

1. Finds the object that is to move: by the host's segmenter, by what cuts photographs out, or by CLIP; and
takes the picture apart into it and what lies behind it. Where the edge of a video's end cuts the object off
and another frame shows all of it, it is moved from there, so that it can come back with the part that had
left the picture.

2. Lays the object over its ground in each frame: moved, grown, turned, and in the light of the hour; or moves
a camera, or goes from one picture to another. What is drawn beside a video takes a first step, and a last
one, as large as the video's own, so that nobody sees the seam.

3. Lets the image model draw over some of the sketched frames a little, all at once: they begin with the same
noise and look at the first one. What it changes is laid over the sketch, in between by shares: where it
changes nothing a frame stays as sharp as it was, however small the model draws, and a video of any length
costs the same."""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import pairwise
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter

from core.errors import ModelError, UserError
from vision.diffusion import inpaint
from vision.diffusion import vae as vae_frames
from vision.diffusion.generate import generate
from vision.diffusion.model import ImageModel, decode
from vision.diffusion.parameters import Generation
from vision.families import Mode
from vision.images import encode
from vision.images.ops import connected, dilated, eroded
from vision.readers.photo import describe
from vision.readers.segmentation import Object, ObjectSegmenter, meant, outlined
from vision.reporter import Reporter
from vision.store import Models
from vision.video.cutout.motion import Motion
from vision.video.reader import OpenClip

SHADOW = 0.09  # of a side: an object's shadow and the blur of its edge lie within
AWAY = 0.05  # of a side: beyond lies mostly the ground
ROUGH = 1.5  # times the ground's mean difference: what differs by so much is still the ground
MIXED = 0.012  # of a side: in the edge of an object, its own colours mix with the ground's
NEAR, FAR = 10.0, 34.0  # distance in RGB at which a pixel still shows the ground, and at which none of it
SEE_THROUGH = 0.15  # of a pixel: where less is the object's, it is the ground
BLEND = 2  # px: between an object and its ground, so far from the ground, pixels are a mixture of both
BORDER = 4  # px whose mean a row goes on with
LEAST_THING = 0.002  # of the picture: a smaller object is none
Real = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Layers:
    """A picture in two layers. object: (h, w, 4), its colours times its alpha, and its alpha, 0..255. ground:
    (h, w, 3). box: around the object (left, top, right, bottom), px. picture: both together."""

    obj: Real
    ground: Real
    box: tuple[int, int, int, int]
    picture: Image.Image

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, px."""
        return self.picture.size

    @property
    def side(self) -> float:
        """Of a square as large as the box, px."""
        left, top, right, bottom = self.box
        return math.sqrt((right - left) * (bottom - top))


def cut_layers(image: Image.Image, mask: Image.Image) -> Layers | None:
    """Return the layers of an RGB picture; None where the mask is nearly empty, or what it covers is no other
    than what lies around it. mask: "L" at its size, 255 = the object."""
    inside = np.asarray(mask) > 127
    if inside.mean() < LEAST_THING:
        return None
    colours, side = np.asarray(image, np.float32), max(image.size)
    near = dilated(inside, round(SHADOW * side))
    ground = filled(colours, near)
    apart = np.minimum(np.linalg.norm(colours - ground, axis=-1), _off_the_row(colours, near))
    # 1. Tell how much of each pixel is the object's, 0..1 (alpha). Its shadow is the object's, too.
    edge = max(1, round(MIXED * side))
    core = eroded(inside, edge)
    # by how much the ground differs from what it is led over to be, as where it has a grain or clouds: the
    # mean of that a little away from the object, around each pixel
    away = near & ~dilated(inside, round(AWAY * side))
    blur = ImageFilter.BoxBlur(SHADOW * side)
    finite = np.where(away, apart, 0).clip(0, 255)
    sums, shares = (np.asarray(_image(values).filter(blur), np.float32) for values in (finite, away * 255.0))
    rough = np.asarray(ROUGH * 255 * sums / np.maximum(shares, 1), np.float32)
    shows = np.clip((apart - rough - NEAR) / (FAR - NEAR), 0, 1)
    shows = shows.astype(np.float32)
    joined = connected(inside, near & ((shows > SEE_THROUGH) | inside))
    reach = dilated(joined, edge) & near
    alpha = np.where(core, 1, np.where(reach, shows, 0)).astype(np.float32)
    # 2. Give the ground its own pixels back where nothing of the object is, and find the object's box.
    own_ground = near & ~dilated(alpha > 0.02, edge + edge // 2)
    ground = np.where(own_ground[..., None], colours, ground).astype(np.float32)
    thick = dilated(eroded(alpha > 0.5, 1), 1)  # without lines of the ground that it covers the middle of
    ys, xs = np.nonzero(thick & dilated(inside, round(2 * MIXED * side)))  # without its shadow
    if not len(xs):
        return None
    box = (int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1)
    # 3. Beside the ground pixels are mixtures of both: the object's as far as they are from the ground,
    # against the farthest around them. What the ground adds to them stays behind.
    far = np.asarray(apart, np.float32).clip(0, 255)
    peak = np.asarray(_image(far).filter(ImageFilter.MaxFilter(2 * BLEND + 1)), np.float32)
    rim = dilated(alpha < SEE_THROUGH, BLEND)
    share = np.where(rim, np.minimum(alpha, far / np.maximum(peak, 1)), alpha)[..., None]
    own = (colours - ground * (1 - share)).clip(0, 255 * share)
    soft = (alpha < 1)[..., None]  # as shadows and glows: they go over into the ground
    obj = np.dstack([np.where(soft, colours * share, own), share * 255]).astype(np.float32)
    return Layers(obj, ground, box, image)


def filled(colours: Real, hole: NDArray[np.bool_]) -> Real:
    """Return (h, w, 3) with each row of a hole led over from what lies left and right of it: horizons and
    skies go on. Rows without anything beside the hole are led over from above and below."""
    known, result = ~hole, colours.copy()
    whole = ~known.any(1)
    for y in np.flatnonzero(hole.any(1) & ~whole):
        result[y] = _led_over(colours[y], known[y])
    if whole.any() and not whole.all():
        places, have = np.arange(len(result)), np.flatnonzero(~whole)
        for channel in range(3):
            for x in range(result.shape[1]):
                result[whole, x, channel] = np.interp(places[whole], have, result[have, x, channel])
    reach = max(1, len(result) // 128)  # the mean of the rows around each
    padded = np.pad(result, ((reach, reach), (0, 0), (0, 0)), mode="edge")
    near = sum(padded[i : i + len(result)] for i in range(2 * reach + 1))
    soft = near / np.float32(2 * reach + 1)
    return np.where(hole[..., None], soft, colours).astype(np.float32)


def _off_the_row(colours: Real, hole: NDArray[np.bool_]) -> Real:
    """(h, w): how far each colour is from all mixtures of those that its row has left and right of the hole:
    what the ground has there, too, as where a horizon slopes, is none of the object."""
    known = ~hole
    places = np.arange(hole.shape[1])
    before = np.maximum.accumulate(np.where(known, places, -1), 1)
    after = np.minimum.accumulate(np.where(known, places, hole.shape[1])[:, ::-1], 1)[:, ::-1]
    one_sided = np.where(before < 0, after, before), np.where(after >= hole.shape[1], before, after)
    left, right = (
        np.take_along_axis(colours, at.clip(0, hole.shape[1] - 1)[..., None], 1) for at in one_sided
    )
    way = right - left
    share = ((colours - left) * way).sum(-1) / np.maximum((way**2).sum(-1), 1e-6)
    apart = np.linalg.norm(colours - left - share.clip(0, 1)[..., None] * way, axis=-1)
    apart[~known.any(1)] = np.inf
    return np.asarray(apart, np.float32)


def _led_over(row: Real, known: NDArray[np.bool_]) -> Real:
    """(w, 3): a line of colours whose unknown runs go from the colour before to the one after."""
    line, ends = row.copy(), np.diff(known.astype(np.int8), prepend=1, append=1)
    for begin, end in zip(np.flatnonzero(ends == -1), np.flatnonzero(ends == 1), strict=True):
        left = row[max(0, begin - BORDER) : begin][known[max(0, begin - BORDER) : begin]]
        right = row[end : end + BORDER][known[end : end + BORDER]]
        first = left.mean(0) if len(left) else right.mean(0)
        last = right.mean(0) if len(right) else first
        share = np.linspace(0, 1, end - begin, dtype=np.float32)[:, None]
        line[begin:end] = first * (1 - share) + last * share
    return line


def _image(values: NDArray[np.floating]) -> Image.Image:
    return Image.fromarray(values.round().clip(0, 255).astype(np.uint8))


RIM = 0.01  # of a side: outlines are no sharper
_ELSEWHERE = re.compile(
    r"\s*(?:[,;:]|\b(?:on|in|at|above|over|below|under|beneath|before|behind|against|beside|near|next|with|and"
    r"|of a|left of|right of)\b).*",
    re.IGNORECASE | re.DOTALL,
)


def find_object_mask(
    image: Image.Image, words: str, models: Models, reporter: Reporter
) -> Image.Image | None:
    """Return the mask of the object that ``words`` speak of, or of the one that stands out ("L" at the
    picture's size, 255 = the object); None where nothing does, or no model can tell."""
    mask = _find(image, head(words), models, reporter)
    covered = 0.0 if mask is None else float((np.asarray(mask) > 127).mean())
    return mask if LEAST_THING < covered < LARGEST else None


def uncut_pictures(
    pictures: Sequence[Image.Image], words: str, models: Models, reporter: Reporter
) -> tuple[Image.Image, ...]:
    """Return those pictures whose edges don't cut off the object that ``words`` speak of; all where they cut
    it off in each, or none has one."""
    masks = [find_object_mask(picture, words, models, reporter) for picture in pictures]
    found = zip(pictures, masks, strict=True)
    return tuple(one for one, mask in found if mask is not None and not is_cut_off(mask)) or tuple(pictures)


def is_cut_off(mask: Image.Image) -> bool:
    """Return whether what a mask shows reaches the edge of its picture."""
    inside = np.asarray(mask) > 127
    rim = max(1, round(RIM * max(inside.shape)))
    return bool(inside[:rim].any() or inside[-rim:].any() or inside[:, :rim].any() or inside[:, -rim:].any())


def head(words: str) -> str:
    """Return the words about the object itself: "a red boat" of "a red boat on the sea, watercolor"."""
    return _ELSEWHERE.sub("", words, count=1).strip() or words


def _find(image: Image.Image, words: str, models: Models, reporter: Reporter) -> Image.Image | None:
    roles = models.config.models
    drawn = describe.look_at(image, models, reporter, "segment").chances is None
    if roles.get("segment") and drawn:
        segmenter = models.get("segment", reporter)
        if isinstance(segmenter, ObjectSegmenter):
            return _among_objects(segmenter, image, words, models, reporter)
    elif "cutout" in roles:
        try:
            cutter = models.get("cutout", reporter)
        except ModelError:
            return None
        return reporter.in_thread(lambda: cutter.alpha(image))
    if not words:
        return None
    try:
        named = inpaint.find_mask_by_words(image, words, models, reporter, rim=False)
    except UserError:
        return None
    return outlined(image, named.mask) if named.by == "clip" else named.mask


def _among_objects(
    segmenter: ObjectSegmenter, image: Image.Image, words: str, models: Models, reporter: Reporter
) -> Image.Image | None:
    objects = reporter.in_thread(lambda: segmenter.see(image))
    if len(objects) > 1 and words and models.config.models.get("clip"):
        matcher, every = models.get("clip", reporter), objects

        def choose() -> list[Object]:  # those that the words fit best
            [text], parts = matcher.embed_texts([words]), matcher.embed_images(segmenter.shown(image, every))
            *fits, _ = (parts @ text).float().tolist()
            return meant(every, fits, -1.0)

        objects = reporter.in_thread(choose)
    return reporter.in_thread(lambda: segmenter.outline(image, objects).mask) if objects else None


LEAST = 0.35  # of the way that was asked for: so far an object goes also where it then leaves the picture
OUTSIDE = 0.25  # of an object, that may have left a picture that was given by then
MARGIN = 0.02  # of a side, that is kept free at the picture's edges
WHOLE = 180.0  # degrees: what turns less begins as far before upright as it ends behind it
LARGEST = 0.85  # of a side, to which an object may grow: what fills its picture is hard to know
SMALLEST = 0.24  # of the shorter side, to which an object may shrink: image models lose what is smaller
SEEN = 0.28  # log2 of its size, by which an object grows or shrinks all the same, if so much is asked
NIGHT = np.array([0.34, 0.38, 0.62], np.float32)  # what the light of day is multiplied with


@dataclass(frozen=True)
class Pose:
    """Where an object is: its middle, px, its scale, its turn in degrees clockwise, and how
    far the light has gone, see ``lit``."""

    x: float
    y: float
    scale: float = 1.0
    turn: float = 0.0
    dusk: float = 0.0


def find_path(layers: Layers, motion: Motion, *, fixed: bool, outside: float = OUTSIDE) -> tuple[Pose, Pose]:
    """Return where the object is first and last. fixed: the first frame is the picture itself; else the
    object may begin elsewhere, so that it has room, and leaning, so that it is never far from upright, as
    image models know it. outside: share of it that may have left the picture then."""
    (width, height), (left, top, right, bottom) = layers.size, layers.box
    x, y = (left + right) / 2, (top + bottom) / 2
    low, high = _scales(layers, motion.growth, fixed=fixed)
    begin = 0.0 if fixed or abs(motion.turn) >= WHOLE else -motion.turn / 2
    reach = max(low, high)  # its largest size must fit
    wide, tall = reach * (right - left), reach * (bottom - top)
    cos, sin = math.cos(math.radians(abs(begin))), math.sin(math.radians(abs(begin)))
    wide, tall = wide * cos + tall * sin, tall * cos + wide * sin  # of the upright box around it, turned
    if not fixed:
        x, y = _inside(x, left, right, wide, width), _inside(y, top, bottom, tall, height)
    out = outside if fixed else None
    x0, x1 = _ends(x, motion.across * width, wide / 2 + MARGIN * width, width, out)
    y0, y1 = _ends(y, motion.down * height, tall / 2 + MARGIN * height, height, out)
    return Pose(x0, y0, low, begin), Pose(x1, y1, high, begin + motion.turn, motion.dusk)


def _inside(place: float, begin: float, end: float, extent: float, length: int) -> float:
    """Return the place along a side at which an object of ``extent`` is wholly in the picture; its own for
    one that the picture cuts off, for it would show where."""
    if begin <= 1 or end >= length - 1:
        return place
    low = min(extent / 2, length / 2)
    return min(max(place, low), length - low)


def _ends(place: float, way: float, half: float, length: int, outside: float | None) -> tuple[float, float]:
    """Return where along a side the object begins and ends. outside: it begins at ``place``, and so much of
    it may leave the picture; None = it may begin elsewhere."""
    if not way:
        return place, place
    low, high = min(half, length / 2), max(length - half, length / 2)
    if outside is not None:
        room = high - place if way > 0 else place - low
        beyond = room + outside * 2 * half  # a little of it may leave the picture
        return place, place + math.copysign(min(abs(way), max(0.0, room, min(LEAST * abs(way), beyond))), way)
    way = math.copysign(min(abs(way), max(high - low, LEAST * abs(way))), way)
    first = min(max(place, low), high)
    last = min(max(first + way, low), high)
    if high - low < abs(way):  # it is too large for its way: the middle of that is the picture's
        return length / 2 - way / 2, length / 2 + way / 2
    return last - way, last


def _scales(layers: Layers, growth: float, *, fixed: bool) -> tuple[float, float]:
    """Return how large the object is first and last, against the picture: between SMALLEST and LARGEST, as
    far as that leaves enough to be seen."""
    left, top, right, bottom = layers.box
    width, height = layers.size
    most = max(1.0, LARGEST / max((right - left) / width, (bottom - top) / height))
    least = min(1.0, SMALLEST * min(width, height) / max(right - left, bottom - top))
    seen = 2 ** min(SEEN, abs(growth))
    if fixed or not growth:
        return 1.0, min(2**growth, max(most, seen)) if growth > 0 else max(2**growth, min(least, 1 / seen))
    large = min(most, max(2 ** (abs(growth) / 2), least * 2 ** abs(growth)))
    small = max(large / 2 ** abs(growth), min(least, large / seen))
    return (small, large) if growth > 0 else (large, small)


def between(first: Pose, last: Pose, share: float) -> Pose:
    """Return the pose at ``share`` of the way, 0..1; sizes grow by equal factors."""
    return Pose(
        first.x + (last.x - first.x) * share,
        first.y + (last.y - first.y) * share,
        first.scale * (last.scale / first.scale) ** share,
        first.turn + (last.turn - first.turn) * share,
        first.dusk + (last.dusk - first.dusk) * share,
    )


def draw_pose(layers: Layers, pose: Pose) -> Image.Image:
    """Return the picture with its object in ``pose``."""
    laid = _transformed(layers, pose)
    return lit_picture(_image(laid[..., :3] + layers.ground * (1 - laid[..., 3:] / 255)), pose.dusk)


def shadow(layers: Layers, pose: Pose) -> Image.Image:
    """Return how much of each pixel is the object's in ``pose`` ("L")."""
    return Image.fromarray(_transformed(layers, pose)[..., 3].round().astype(np.uint8))


def own_pose(layers: Layers) -> Pose:
    """Return where the object is in its picture."""
    left, top, right, bottom = layers.box
    return Pose((left + right) / 2, (top + bottom) / 2)


def lit_picture(picture: Image.Image, dusk: float) -> Image.Image:
    """Return the picture as it is when the light has gone by ``dusk``, 0..1; below 0, as much brighter."""
    if not dusk:
        return picture
    light = 1 + (NIGHT - 1) * abs(dusk)
    colours = np.asarray(picture, np.float32)
    return _image(colours * light if dusk > 0 else 255 - (255 - colours) * light)


def _transformed(layers: Layers, pose: Pose) -> Real:
    """(h, w, 4): the object, its colours times its alpha, where ``pose`` has it."""
    left, top, right, bottom = layers.box
    x, y = (left + right) / 2, (top + bottom) / 2
    angle = math.radians(pose.turn)
    cos, sin = math.cos(angle) / pose.scale, math.sin(angle) / pose.scale
    # output px → input px
    matrix = (cos, sin, x - cos * pose.x - sin * pose.y, -sin, cos, y + sin * pose.x - cos * pose.y)
    if matrix == (1.0, 0.0, 0.0, 0.0, 1.0, 0.0):
        return layers.obj
    # "RGBa": its colours are times its alpha already; those of "RGBA" would be multiplied once more
    values = layers.obj.round().clip(0, 255).astype(np.uint8)
    image = Image.frombytes("RGBa", layers.size, values.tobytes())
    # an object that shrinks below a half would skip px; BICUBIC would overshoot beside each edge
    moved = image.transform(layers.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    return np.asarray(moved, np.float32)


FADING = 0.3  # of the way: until then a frame shows some of what its picture has and its layers haven't
CAMERA = 0.3  # of an object's motion: how far the camera goes where nothing can be moved


class Shot:
    """Frames by how much of the way is done, 0..1."""

    def at(self, share: float) -> Image.Image:
        """Return the frame at ``share``."""
        raise NotImplementedError

    def touched(self, share: float) -> Image.Image | None:
        """Return what of that frame isn't as the pictures have it ("L", 255 = not at all); None = any."""
        return None


@dataclass(frozen=True, eq=False)
class Moved(Shot):
    """An object on its way over its ground. Where it is as in the picture, the frame is the picture. shown:
    how the picture shows it, as the end of a video does; None = as it was cut out."""

    layers: Layers
    first: Pose
    last: Pose
    shown: Pose | None = None

    def at(self, share: float) -> Image.Image:
        pose = between(self.first, self.last, share)
        if pose == self._own:
            return self.layers.picture
        frame = draw_pose(self.layers, pose)
        if self.shown is None or share >= FADING:
            return frame
        right, down = round(pose.x - self.shown.x), round(pose.y - self.shown.y)
        (height, width, _), reach = self._otherwise.shape, max(abs(right), abs(down))
        padded = np.pad(self._otherwise, ((reach, reach), (reach, reach), (0, 0)))
        along = padded[reach - down :, reach - right :][:height, :width]
        return _image(np.asarray(frame, np.float32) + along * np.float32(1 - share / FADING))

    def touched(self, share: float) -> Image.Image | None:
        """Return where the object is, and where it was."""
        pose = between(self.first, self.last, share)
        if pose.dusk:
            return None
        return ImageChops.lighter(shadow(self.layers, pose), shadow(self.layers, self._own))

    @property
    def _own(self) -> Pose:
        return self.shown or own_pose(self.layers)

    @cached_property
    def _otherwise(self) -> NDArray[np.float32]:
        """(h, w, 3), 255 = from black to white: what the picture has more than its layers as it shows them.
        Without it the video would jump where the object comes from another frame, whole."""
        laid = np.asarray(draw_pose(self.layers, self._own), np.float32)
        apart: NDArray[np.float32] = np.asarray(self.layers.picture, np.float32) - laid
        return apart


@dataclass(frozen=True, eq=False)
class Camera(Shot):
    """A picture before a camera that goes nearer, aside or away: nothing in it can be moved by itself."""

    picture: Image.Image
    motion: Motion

    def at(self, share: float) -> Image.Image:
        motion = self.motion.times(CAMERA)
        reach = abs(motion.growth) + 2 * max(abs(motion.across), abs(motion.down))  # log2 of the closest look
        begin, end = (0.0, reach) if motion.growth >= 0 else (reach, 0.0)
        scale = 2 ** (begin + (end - begin) * share)
        width, height = self.picture.size
        x = width * (0.5 - motion.across * share)
        y = height * (0.5 - motion.down * share)
        wide, high = width / scale, height / scale
        left, top = min(max(0.0, x - wide / 2), width - wide), min(max(0.0, y - high / 2), height - high)
        box = (left, top, left + wide, top + high)
        shown = self.picture
        if scale != 1:
            shown = shown.resize(shown.size, Image.Resampling.BICUBIC, box)
        return lit_picture(shown, self.motion.dusk * share)


@dataclass(frozen=True, eq=False)
class Between(Shot):
    """The way from one picture to another: the object of the first goes to the place of the second's and
    becomes it. Without an object on either side the one picture fades into the other."""

    before: Image.Image
    after: Image.Image
    first: Layers | None = None
    last: Layers | None = None

    def at(self, share: float) -> Image.Image:
        if share in (0.0, 1.0):
            return self.after if share else self.before
        weight = (1 - math.cos(math.pi * share)) / 2
        if self.first is None or self.last is None:
            return Image.blend(self.before, self.after, weight)
        here, there = self.first.side, self.last.side
        start, end = own_pose(self.first), own_pose(self.last)
        going = between(start, Pose(end.x, end.y, there / here), share)
        coming = between(Pose(start.x, start.y, here / there), end, share)
        return Image.blend(draw_pose(self.first, going), draw_pose(self.last, coming), weight)


@dataclass(frozen=True, eq=False)
class ThereAndBack(Shot):
    """Another shot forwards and, just so, backwards, without a stop: its end leads to its start."""

    shot: Shot

    def at(self, share: float) -> Image.Image:
        return self.shot.at(self._there(share))

    def touched(self, share: float) -> Image.Image | None:
        return self.shot.touched(self._there(share))

    def _there(self, share: float) -> float:
        return (1 - math.cos(2 * math.pi * share)) / 2


STEPS = 8  # of a video, beside its end, of which the middle one counts
TAKEN = 0.85  # of that: what is drawn over the sketch changes frames a little, too
SIDE = 128  # px at which frames are compared
HALVINGS = 7  # until the share of a step is known
LEAST_STEP, MOST_STEP = 0.2, 2.0  # of an even step: a seam's step is no smaller and no larger


def before_end(clip: OpenClip) -> float:
    """Return by how much a step from the end of a video is to change the picture, 0..255."""
    return _usual_step(clip.part(max(0, clip.count - STEPS - 1), clip.count))


def after_start(clip: OpenClip, fps: float | None = None) -> float:
    """Return by how much a step to the start of a video is to change the picture, 0..255; shown at ``fps``,
    if that is another rate."""
    return _usual_step(clip.part(0, min(clip.count, STEPS + 1))) * clip.fps / (fps or clip.fps)


def paced(shot: Shot, count: int, begin: float, end: float | None = None) -> list[float]:
    """Return how much of the way is done in each of ``count`` frames, from 0 to 1: the first step changes the
    picture by about ``begin``, the last one by ``end`` (None = as is needed), and those between lead over."""
    steps = count - 1
    if steps < 2:
        return [number / max(1, steps) for number in range(count)]
    even = 1 / steps
    first = _step(shot, 0.0, MOST_STEP * even, begin)
    last = None if end is None else _step(shot, 1.0, -MOST_STEP * even, end)
    sizes = [max(LEAST_STEP * even, size) for size in _sizes(steps, first, last)]
    done = np.cumsum([0.0, *sizes]) / sum(sizes)
    return [*done[:-1].tolist(), 1.0]


def _sizes(steps: int, first: float, last: float | None) -> list[float]:
    """Return steps that sum up to 1 where both ends leave room for it: from the first one to the last one,
    larger or smaller in between as is needed."""
    along = [number / (steps - 1) for number in range(steps)]
    if last is None:  # it ends at the speed that it then needs
        bent = [1 - (1 - at) ** 2 for at in along]
        more = (1 - first * steps) / sum(bent)
        return [first + more * at for at in bent]
    line = [first + (last - first) * at for at in along]
    bump = [math.sin(math.pi * at) for at in along]
    more = (1 - sum(line)) / sum(bump)
    return [one + more * at for one, at in zip(line, bump, strict=True)]


def _step(shot: Shot, here: float, most: float, wanted: float) -> float:
    """Return how much of the way from ``here``, at most ``most`` (below 0: backwards), changes the picture by
    ``wanted``."""
    start = _compared(shot.at(here))
    low, high = 0.0, abs(most)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        change = _change(start, _compared(shot.at(here + math.copysign(middle, most))))
        low, high = (middle, high) if change < wanted else (low, middle)
    return low


def _compared(frame: Image.Image) -> Real:
    return np.asarray(frame.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX), np.float32)


def _usual_step(frames: Iterator[Image.Image]) -> float:
    small = map(_compared, frames)
    return float(np.median([_change(a, b) for a, b in pairwise(small)] or [0.0])) * TAKEN


def _change(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).mean())


AT_ONCE = 16  # frames that are drawn over, all in one batch
RAMP = 4  # frames from one that stays as it is to one that shows all of its change
AROUND = 0.06  # of a side, around what the sketch has touched: the tone of the ground is read there


@dataclass(frozen=True, eq=False)
class Changes:
    """What the model changes in a video. places: numbers of the frames that it has drawn over, rising.
    values: (h, w, 3) for each, at the model's scale, new less old, 255 = from black to white."""

    places: Sequence[int]
    values: Sequence[NDArray[np.int16]]

    def laid_over(self, frame: Image.Image, number: int) -> Image.Image:
        """Return frame ``number`` with its changes; itself where there are none."""
        if not self.places:
            return frame
        place = float(np.interp(number, self.places, range(len(self.places))))
        before, behind = self.values[math.floor(place)], self.values[math.ceil(place)]
        share = np.float32(place - math.floor(place))
        change = (before * (1 - share) + behind * share).astype(np.float32)
        if not change.any():
            return frame
        channels = [Image.fromarray(change[..., i]) for i in range(3)]
        planes = [np.asarray(one.resize(frame.size, Image.Resampling.BICUBIC)) for one in channels]
        return _image(np.asarray(frame, np.float32) + np.stack(planes, -1))


def places(count: int) -> list[int]:
    """Return which of ``count`` frames are drawn over: at most AT_ONCE, evenly spread, with both ends."""
    keys = min(count, AT_ONCE)
    return sorted({round(i * (count - 1) / max(1, keys - 1)) for i in range(keys)})


def changes(
    model: ImageModel,
    generation: Generation,
    sketch: Sequence[Image.Image],
    numbers: Sequence[int],
    shown: Sequence[float],
    touched: Sequence[Image.Image | None],
    strength: float,
    reporter: Reporter,
) -> Changes:
    """Return what drawing over ``sketch`` changes: frames ``numbers`` of a video, at most AT_ONCE.
    generation: its words, size, steps and guidance are used, and the first of its seeds. shown: how much of
    its change each frame shows, 0 = none. touched: what of each may change ("L"); None = all of it."""
    new = drawn_over(model, generation, sketch, strength, reporter)
    values = []
    for number, frame in enumerate(sketch):
        size = new[number].size
        if not shown[number]:
            values.append(np.zeros((*size[::-1], 3), np.int16))
            continue
        reporter.give_way()
        old = reporter.in_thread(partial(_through, model, frame, generation), lock=model.decoder_lock)
        change = np.asarray(new[number], np.float32) - np.asarray(old, np.float32)
        mask = touched[number]
        if mask is not None:
            change = reporter.in_thread(partial(kept_around, change, mask))
        values.append((change * shown[number]).round().astype(np.int16))
    return Changes(tuple(numbers), tuple(values))


def shares_shown(count: int, *, first: bool, last: bool, loops: bool) -> list[float]:
    """Return how much of its change each of ``count`` frames shows: none at an end that is known, and all of
    it RAMP frames on. loops: the last frame leads to the first."""
    away = [count * RAMP] * count
    for number in range(count):
        if first:
            away[number] = min(number, count - number if loops else number)
        if last:
            away[number] = min(away[number], count - 1 - number)
    return [min(1.0, frames / RAMP) ** 2 for frames in away]  # the first step is the smallest


def kept_around(change: NDArray[np.float32], mask: Image.Image) -> NDArray[np.float32]:
    """Return what is kept of a change (h, w, 3), 255 = from black to white: that in the mask ("L", of any
    size), less the tone that the model gives to the ground around it, which nobody has touched. Videos that
    go on from videos would take it up each time. Nothing at the edge: one pixel of the model is several of a
    frame, and would be seen as a halo."""
    height, width, _ = change.shape
    share = np.asarray(mask.resize((width, height), Image.Resampling.BOX))
    small = share > 25
    ground = dilated(small, max(1, round(AROUND * max(width, height)))) & ~small
    if ground.any():
        change = change - np.median(change[ground], axis=0).astype(np.float32)
    inner = Image.fromarray(eroded(share > 127, 2).astype(np.uint8) * 255).filter(ImageFilter.BoxBlur(1))
    kept: NDArray[np.float32] = change * (np.asarray(inner, np.float32) / np.float32(255))[..., None]
    return kept


def drawn_over(
    model: ImageModel,
    generation: Generation,
    frames: Sequence[Image.Image],
    strength: float,
    reporter: Reporter,
) -> tuple[Image.Image, ...]:
    """Return at most AT_ONCE frames as the model draws them from these, at its own scale."""
    small = tuple(_small(frame, generation) for frame in frames)
    alone = model.family.whole_mask  # it takes one picture a call
    given = replace(
        generation,
        mode=Mode.IMAGE,
        image=None,
        images=small,
        seeds=(generation.seeds[0],) * len(small),
        strength=min(1.0, max(strength, 1.0001 / generation.num_inference_steps)),
        sampler=generation.sampler or model.calm_sampler(),
        at_once=1 if alone else len(small),
        frames=not alone,
        mask_image=None,
        seamless=False,
    )
    drawn = generate(model, given, reporter).images
    return tuple(encode.cut_to_shape(image, generation.shape) for image in drawn)


def _small(frame: Image.Image, generation: Generation) -> Image.Image:
    """Return a frame as the model gets it: at its size, with its mirror image where the shapes differ."""
    return encode.placed(frame, (generation.width, generation.height), generation.shape)


@torch.no_grad()
def _through(model: ImageModel, frame: Image.Image, generation: Generation) -> Image.Image:
    """Return the frame as the model's autoencoder alone gives it back."""
    small = _small(frame, generation)
    if model.family.unpack is not None:
        pipe = model.pipeline(Mode.IMAGE)
        values = vae_frames.tensor_of(np.asarray(small)).to(model.device, pipe.vae.dtype)
        small = decode(model, pipe, vae_frames.encode_pixels(pipe.vae, values))[0]
    return encode.cut_to_shape(small, generation.shape)


ALIKE = 1.25  # times as large, at most: else the two frames don't show the same thing
EDGE = 2  # px from the picture's edge, at which an object is cut off


def cut_off(layers: Layers) -> tuple[bool, bool, bool, bool]:
    """Return by which of its picture's edges the object is cut off: left, top, right, bottom."""
    (width, height), (left, top, right, bottom) = layers.size, layers.box
    return left < EDGE, top < EDGE, right > width - EDGE, bottom > height - EDGE


def whole(end: Layers, other: Layers) -> tuple[Layers, Pose] | None:
    """Return the object of ``other`` over the ground of ``end``, and where it is there; None where ``end``
    shows all of it, ``other`` doesn't either, or what both show isn't the same. Where it is follows from
    those of its sides that can be seen."""
    hidden = cut_off(end)
    if not any(hidden) or any(cut_off(other)) or end.size != other.size:
        return None
    seen = [_span(end.box, axis) for axis in (0, 1)]
    full = [_span(other.box, axis) for axis in (0, 1)]
    scales = [seen[i] / full[i] for i in (0, 1) if not (hidden[i] or hidden[i + 2])]
    scale = scales[0] if scales else 1.0
    if not 1 / ALIKE <= scale <= ALIKE or any(seen[i] > ALIKE * full[i] for i in (0, 1)):
        return None
    middles = []
    for axis in (0, 1):  # from the sides that can be seen
        first, last = end.box[axis], end.box[axis + 2]
        if hidden[axis] and hidden[axis + 2]:
            return None
        span = scale * full[axis] if hidden[axis] or hidden[axis + 2] else last - first
        middles.append(last - span / 2 if hidden[axis] else first + span / 2)
    return replace(other, ground=end.ground, picture=end.picture), Pose(middles[0], middles[1], scale)


def outer(layers: Layers, pose: Pose) -> tuple[int, int, int, int]:
    """Return the box around the whole thing in ``pose``, which may reach out of the picture."""
    across, down = (_span(layers.box, axis) * pose.scale / 2 for axis in (0, 1))
    sides = pose.x - across, pose.y - down, pose.x + across, pose.y + down
    left, top, right, bottom = map(round, sides)
    return left, top, right, bottom


def _span(box: tuple[int, int, int, int], axis: int) -> int:
    return box[axis + 2] - box[axis]


STRENGTH = 0.3  # of the drawing over: motion stays as sketched, seams of the cut are healed
UPRIGHT = 20.0  # degrees: what turns farther would be drawn upright again, so it isn't drawn over
LEAST_WAY = 0.04  # of a side: an object that has less room goes the other way
NOTHING = "No object stands out that could be moved by itself, so the camera moves instead."
TURNED_BACK = "The object had no room to continue, so it moves back."
T = TypeVar("T")
Path = Callable[[Motion], tuple[Pose, Pose]]


@dataclass(frozen=True)
class Sketcher:
    """One video that is being made. generation: words, size and steps; the first of its seeds is the video's.
    spec: of the image model, see ``Models.image``. words: about what is to be seen."""

    generation: Generation
    spec: str | None
    words: str
    strength: float
    models: Models
    reporter: Reporter
    notes: list[str] = field(default_factory=list)

    def layers(self, picture: Image.Image) -> Layers | None:
        """Return the picture with its object cut out; None where nothing stands out."""
        mask = find_object_mask(picture, self.words, self.models, self.reporter)
        return None if mask is None else self.reporter.in_thread(lambda: cut_layers(picture, mask))

    def shot(self, picture: Image.Image, motion: Motion, *, fixed: bool) -> Shot:
        """Return the video of ``motion`` in a picture. fixed: it begins as the picture is; else the object
        may begin elsewhere, so that it has room."""
        layers = None if motion.is_still else self.layers(picture)
        if layers is None:
            return self._camera(picture, motion)
        path = partial(find_path, layers, fixed=fixed)
        return Moved(layers, *(self._with_room(path, motion, picture.size) if fixed else path(motion)))

    def shot_on(self, picture: Image.Image, motion: Motion, other: Image.Image) -> Shot:
        """Return the video of ``motion`` beside a video that ends with ``picture``. other: its other end.
        What goes on doesn't leave the picture: of an object that is cut off there, the next video would know
        no more."""
        layers = None if motion.is_still else self.layers(picture)
        if layers is None:
            return self._camera(picture, motion)
        pose = own_pose(layers)
        if any(cut_off(layers)) and not motion.turn and not motion.dusk:
            there = self.layers(other)
            layers, pose = (there and whole(layers, there)) or (layers, pose)
        box = outer(layers, pose)
        path = partial(find_path, replace(layers, box=box), fixed=True, outside=0.0)
        ends = self._with_room(path, motion, picture.size)
        first, last = (replace(end, scale=end.scale * pose.scale) for end in ends)
        return Moved(layers, replace(first, x=pose.x, y=pose.y), last, pose)

    def _camera(self, picture: Image.Image, motion: Motion) -> Shot:
        if not motion.is_still:
            self.notes.append(NOTHING)
        return Camera(picture, motion)

    def _with_room(self, path: Path, motion: Motion, size: tuple[int, int]) -> tuple[Pose, Pose]:
        """Return where an object is first and last; it goes back where it has no room."""
        first, last = path(motion)
        way = abs(last.x - first.x) + abs(last.y - first.y)
        if not (motion.across or motion.down) or way >= LEAST_WAY * max(size):
            return first, last
        self.notes.append(TURNED_BACK)
        return path(replace(motion, across=-motion.across, down=-motion.down))

    def between(self, before: Image.Image, after: Image.Image) -> Shot:
        """Return the way from one picture to another."""
        return Between(before, after, self.layers(before), self.layers(after))

    def pace(
        self, shot: Shot, count: int, beside: Callable[[], float], end: Callable[[], float] | None = None
    ) -> list[float]:
        """Return the shares of ``count`` frames that begin beside a video, and end beside one, see
        ``paced``. beside, end: measure by how much that changes from frame to frame."""
        return self.reporter.in_thread(lambda: paced(shot, count, beside(), None if end is None else end()))

    def frames(
        self, shot: Shot, shares: Sequence[float], *, first: bool, last: bool = False, loops: bool = False
    ) -> Iterator[Image.Image]:
        """Return the frames at ``shares`` of the way, drawn over. first, last: whether that end is known, and
        so stays exactly as it is. loops: the last frame leads to the first. What is drawn over is drawn at
        once, the frames when they are asked for."""
        numbers = places(len(shares))
        found = Changes((), ())
        model = self.models.image(self.spec, self.reporter)
        turns = isinstance(shot, Moved) and abs(shot.last.turn - shot.first.turn) > UPRIGHT
        if self.strength and not turns and model.has(Mode.IMAGE):
            some = [shares[number] for number in numbers]
            sketch = [*self.aside(shot.at(share) for share in some)]
            touched = [mask for (mask,) in self.aside((shot.touched(share),) for share in some)]
            every = shares_shown(len(shares), first=first, last=last, loops=loops)
            shown = [every[number] for number in numbers]
            found = changes(
                model, self.generation, sketch, numbers, shown, touched, self.strength, self.reporter
            )
        return self.aside(found.laid_over(shot.at(share), number) for number, share in enumerate(shares))

    def aside(self, frames: Iterator[T]) -> Iterator[T]:
        """Yield ``frames``, each made in a thread beside the steps of other jobs, or in turn with them."""
        self.reporter.give_way()
        while (frame := self.reporter.in_thread(lambda: next(frames, None))) is not None:
            yield frame
            self.reporter.give_way()


def looped(shot: Shot) -> Shot:
    """Return a shot whose end leads to its start: a turn goes all the way round, anything else comes back."""
    if isinstance(shot, Moved) and shot.last == replace(shot.first, turn=shot.last.turn) and shot.last.turn:
        turn = 360.0 if shot.last.turn > 0 else -360.0
        return Moved(shot.layers, replace(shot.first, turn=0.0), replace(shot.last, turn=turn))
    return ThereAndBack(shot)


def shares(count: int, *, open_end: bool = False) -> list[float]:
    """Return how much of the way is done in each of ``count`` frames: all of it in the last one, unless the
    end is open, as in a loop, whose next frame is the first."""
    return [number / max(1, count if open_end else count - 1) for number in range(count)]


def amounts(motion: Motion, number: int) -> Motion:
    """Return the motion of video ``number`` of a set: others go less far, farther, or a little less far. What
    was asked for is all that happens in any of them."""
    return motion.times((1.0, 0.6, 1.4, 0.8)[number % 4])
