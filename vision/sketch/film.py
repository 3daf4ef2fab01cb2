"""Makes the frames of a film from pictures at its ends and a motion: finds what is to move, sketches, has the
sketch drawn over, and yields frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from PIL import Image

from vision.drawing.generation import Generation
from vision.families import Mode
from vision.model_store import Models
from vision.reporter import Reporter
from vision.sketch import cutting, finding, moving, pacing, redraw
from vision.sketch.cutting import Layers
from vision.sketch.motion import Motion
from vision.sketch.shots import Between, Camera, Moved, Shot, ThereAndBack

STRENGTH = 0.3  # of the drawing over: motion stays as sketched, seams of the cut are healed
UPRIGHT = 20.0  # degrees: what turns farther would be drawn upright again, so it isn't drawn over
LEAST_WAY = 0.04  # of a side: a thing that has less room goes the other way
NOTHING = "No thing stands out that could be moved by itself, so the camera moves instead."
TURNED_BACK = "The thing had no room to go on, so it goes back."


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
            if not motion.is_still:
                self._note(NOTHING)
            return Camera(picture, motion)
        first, last = moving.path(layers, motion, fixed=fixed)
        side = LEAST_WAY * max(picture.size)
        if fixed and (motion.across or motion.down) and abs(last.x - first.x) + abs(last.y - first.y) < side:
            self._note(TURNED_BACK)
            back = replace(motion, across=-motion.across, down=-motion.down)
            first, last = moving.path(layers, back, fixed=fixed)
        return Moved(layers, first, last)

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
            sketch = self.reporter.in_thread(lambda: [shot.at(shares[number]) for number in numbers])
            touched = self.reporter.in_thread(lambda: [shot.touched(shares[number]) for number in numbers])
            every = redraw.shares_shown(len(shares), first=first, last=last, loops=loops)
            shown = [every[number] for number in numbers]
            found = redraw.changes(
                model, self.generation, sketch, numbers, shown, touched, self.strength, self.reporter
            )
        return self.aside(found.laid_over(shot.at(share), number) for number, share in enumerate(shares))

    def aside(self, frames: Iterator[Image.Image]) -> Iterator[Image.Image]:
        """Yield ``frames``, each made in a thread beside the steps of other jobs."""
        while (frame := self.reporter.in_thread(lambda: next(frames, None))) is not None:
            yield frame

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
