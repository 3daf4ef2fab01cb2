"""Makes the frames of a film from pictures at its ends and a motion: finds what is to move, sketches, has the
sketch drawn over, and yields frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from PIL import Image

from vision.drawing.generation import Generation
from vision.families import Mode
from vision.model_store import Models
from vision.reporter import Reporter
from vision.sketch import cutting, finding, moving, pacing, redraw
from vision.sketch.cutting import Layers
from vision.sketch.motion import Motion
from vision.sketch.moving import Pose
from vision.sketch.shots import Between, Camera, Moved, Shot, ThereAndBack
from vision.sketch.whole import cut_off, outer, whole

STRENGTH = 0.3  # of the drawing over: motion stays as sketched, seams of the cut are healed
UPRIGHT = 20.0  # degrees: what turns farther would be drawn upright again, so it isn't drawn over
LEAST_WAY = 0.04  # of a side: a thing that has less room goes the other way
NOTHING = "No thing stands out that could be moved by itself, so the camera moves instead."
TURNED_BACK = "The thing had no room to go on, so it goes back."
T = TypeVar("T")
Path = Callable[[Motion], tuple[Pose, Pose]]


@dataclass(frozen=True)
class Sketcher:
    """One film that is being made. generation: words, size and steps; the first of its seeds is the film's.
    spec: of the image model, see ``Models.image``. words: about what is to be seen."""

    generation: Generation
    spec: str | None
    words: str
    strength: float
    models: Models
    reporter: Reporter
    notes: list[str] = field(default_factory=list)

    def layers(self, picture: Image.Image) -> Layers | None:
        """Return the picture with its thing cut out; None where nothing stands out."""
        mask = finding.find(picture, self.words, self.models, self.reporter)
        return None if mask is None else self.reporter.in_thread(lambda: cutting.cut(picture, mask))

    def shot(self, picture: Image.Image, motion: Motion, *, fixed: bool) -> Shot:
        """Return the film of ``motion`` in a picture. fixed: it begins as the picture is; else the thing may
        begin elsewhere, so that it has room."""
        layers = None if motion.is_still else self.layers(picture)
        if layers is None:
            return self._camera(picture, motion)
        path = partial(moving.path, layers, fixed=fixed)
        return Moved(layers, *(self._with_room(path, motion, picture.size) if fixed else path(motion)))

    def shot_on(self, picture: Image.Image, motion: Motion, other: Image.Image) -> Shot:
        """Return the film of ``motion`` beside a film that ends with ``picture``. other: its other end. What
        goes on doesn't leave the picture: of a thing that is cut off there, the next film would know no
        more."""
        layers = None if motion.is_still else self.layers(picture)
        if layers is None:
            return self._camera(picture, motion)
        pose = moving.own(layers)
        if any(cut_off(layers)) and not motion.turn and not motion.dusk:
            there = self.layers(other)
            layers, pose = (there and whole(layers, there)) or (layers, pose)
        box = outer(layers, pose)
        path = partial(moving.path, replace(layers, box=box), fixed=True, outside=0.0)
        ends = self._with_room(path, motion, picture.size)
        first, last = (replace(end, scale=end.scale * pose.scale) for end in ends)
        return Moved(layers, replace(first, x=pose.x, y=pose.y), last, pose)

    def _camera(self, picture: Image.Image, motion: Motion) -> Shot:
        if not motion.is_still:
            self._note(NOTHING)
        return Camera(picture, motion)

    def _with_room(self, path: Path, motion: Motion, size: tuple[int, int]) -> tuple[Pose, Pose]:
        """Return where a thing is first and last; it goes back where it has no room."""
        first, last = path(motion)
        way = abs(last.x - first.x) + abs(last.y - first.y)
        if not (motion.across or motion.down) or way >= LEAST_WAY * max(size):
            return first, last
        self._note(TURNED_BACK)
        return path(replace(motion, across=-motion.across, down=-motion.down))

    def between(self, before: Image.Image, after: Image.Image) -> Shot:
        """Return the way from one picture to another."""
        return Between(before, after, self.layers(before), self.layers(after))

    def pace(
        self, shot: Shot, count: int, beside: Callable[[], float], end: Callable[[], float] | None = None
    ) -> list[float]:
        """Return the shares of ``count`` frames that begin beside a film, and end beside one, see
        ``pacing.paced``. beside, end: measure by how much that changes from frame to frame."""
        return self.reporter.in_thread(
            lambda: pacing.paced(shot, count, beside(), None if end is None else end())
        )

    def frames(
        self, shot: Shot, shares: Sequence[float], *, first: bool, last: bool = False, loops: bool = False
    ) -> Iterator[Image.Image]:
        """Return the frames at ``shares`` of the way, drawn over. first, last: whether that end is known, and
        so stays exactly as it is. loops: the last frame leads to the first. What is drawn over is drawn at
        once, the frames when they are asked for."""
        numbers = redraw.places(len(shares))
        found = redraw.Changes((), ())
        model = self.models.image(self.spec, self.reporter)
        turns = isinstance(shot, Moved) and abs(shot.last.turn - shot.first.turn) > UPRIGHT
        if self.strength and not turns and model.has(Mode.IMAGE):
            some = [shares[number] for number in numbers]
            sketch = [*self.aside(shot.at(share) for share in some)]
            touched = [mask for (mask,) in self.aside((shot.touched(share),) for share in some)]
            every = redraw.shares_shown(len(shares), first=first, last=last, loops=loops)
            shown = [every[number] for number in numbers]
            found = redraw.changes(
                model, self.generation, sketch, numbers, shown, touched, self.strength, self.reporter
            )
        return self.aside(found.laid_over(shot.at(share), number) for number, share in enumerate(shares))

    def aside(self, frames: Iterator[T]) -> Iterator[T]:
        """Yield ``frames``, each made in a thread beside the steps of other jobs, or in turn with them."""
        self.reporter.give_way()
        while (frame := self.reporter.in_thread(lambda: next(frames, None))) is not None:
            yield frame
            self.reporter.give_way()

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


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
    """Return the motion of film ``number`` of a set: others go less far, farther, or a little less far. What
    was asked for is all that happens in any of them."""
    return motion.times((1.0, 0.6, 1.4, 0.8)[number % 4])
