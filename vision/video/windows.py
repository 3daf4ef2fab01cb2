"""Plans a shot as windows: calls of a pipeline, each of which may go on from the one before. Numbers and
pictures only; loads no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from core.errors import UserError
from vision.video.families.card import FilmCard
from vision.video.families.family import Known, Operation, VideoFamily
from vision.video.shot import Clip, Shot

OPERATIONS = {
    "extend": Operation.EXTEND,
    "extend_back": Operation.EXTEND_BACK,
    "remix": Operation.REMIX,
    "blend": Operation.BLEND,
    "loop": Operation.LOOP,
}


@dataclass(frozen=True)
class Window:
    """One call. frames: of it. begin, end: of those, the ones that are the film's; the others are there
    already, or only lead on. known: given from outside. follows: it is shown the end of the window before, in
    front. precedes: it is shown the start of the window before, behind, at ``end``. closes: it is shown the
    film's own start, behind. source: of the film that is remixed, the first and the last frame but one of
    this window."""

    frames: int
    begin: int
    end: int
    known: tuple[Known, ...] = ()
    follows: bool = False
    precedes: bool = False
    closes: bool = False
    source: tuple[int, int] | None = None

    @property
    def count(self) -> int:
        """Frames of the film."""
        return self.end - self.begin


@dataclass(frozen=True)
class Plan:
    """Windows in the order of drawing. backwards: the last one drawn is the first of the film. notes:
    sentences about what didn't fit."""

    windows: tuple[Window, ...]
    backwards: bool = False
    notes: tuple[str, ...] = field(default=())

    @property
    def count(self) -> int:
        """Frames of the film."""
        return sum(window.count for window in self.windows)


def operation_of(shot: Shot) -> Operation:
    """Return what a shot asks of the family."""
    if shot.operation != "new":
        return OPERATIONS[shot.operation]
    if shot.loop:
        return Operation.LOOP
    if shot.last is not None:
        return Operation.FIRST_LAST
    return Operation.WORDS if shot.first is None else Operation.FIRST


def plan(family: VideoFamily, card: FilmCard, shot: Shot, model: str) -> Plan:
    """Return how ``shot`` is drawn. Raises UserError for what the family can't do, or when there is too
    little of a film. model: its name, for that."""
    operation = operation_of(shot)
    family.require(operation, model)
    planner = _Planner(family, card, model, shot)
    if shot.operation == "new":
        return planner.new()
    return {
        "extend": planner.extend,
        "extend_back": planner.extend_back,
        "remix": planner.remix,
        "blend": planner.join,
        "loop": planner.join,
    }[shot.operation]()


@dataclass(frozen=True)
class _Planner:
    family: VideoFamily
    card: FilmCard
    model: str
    shot: Shot

    @property
    def longest(self) -> int:
        """Frames of one call."""
        return self.floor(self.card.longest)

    def floor(self, frames: int) -> int:
        """The largest allowed number of frames up to ``frames``; 1 at least."""
        return self.family.step * ((max(1, frames) - 1) // self.family.step) + 1

    def new(self) -> Plan:
        shot, total = self.shot, self.family.at_least(self.shot.frames)
        known = () if shot.first is None else (Known((shot.first,), 0),)
        if shot.loop and shot.first is None:
            return self.loop_of_words(total)
        # the last frame of a loop is the first one again
        last = shot.first if shot.loop else shot.last
        windows = list(self.forward(Window(0, 0, 0, known), total, last))
        if shot.loop:
            windows[-1] = replace(windows[-1], end=windows[-1].end - 1)
        return self.limited(windows, total - shot.loop)

    def loop_of_words(self, total: int) -> Plan:
        """A film, and a window that leads from its end to its start."""
        overlap = self.family.overlap
        between = max(1, min(total // 3, round(self.shot.fps)))
        film = self.family.at_least(max(total - between, 2 * overlap))
        windows = list(self.forward(Window(0, 0, 0), film, None))
        frames, at = self.family.around(overlap, between, overlap)
        return Plan((*windows, Window(frames, overlap, at, follows=True, closes=True)))

    def forward(self, first: Window, total: int, last: Any) -> Iterator[Window]:
        """Windows of ``total`` frames in all, from ``first`` on, of which ``begin`` are there already. last:
        a picture that the last one ends on."""
        window, left = first, total
        while left > 0:
            frames = min(self.longest, self.family.at_least(window.begin + left))
            left -= frames - window.begin
            known = window.known
            if left <= 0 and last is not None:
                known = (*known, Known((last,), self.family.last_at(frames)))
            yield replace(window, frames=frames, end=frames, known=known)
            if not self.family.goes_on:
                return
            window = Window(0, self.family.overlap, 0, follows=True)

    def limited(self, windows: list[Window], total: int) -> Plan:
        """The plan, with a note if it is shorter than ``total`` because the family can't go on."""
        made = Plan(tuple(windows))
        if made.count >= total:
            return made
        seconds = made.count / self.shot.fps
        return replace(
            made, notes=(f"{self.model} draws {seconds:.1f} s at a time, so the film is shorter.",)
        )

    def extend(self) -> Plan:
        count, known = self.tail(self.clip, 0)
        windows = self.forward(Window(0, count, 0, (known,)), self.shot.frames, None)
        return Plan(tuple(windows))

    def extend_back(self) -> Plan:
        windows = list[Window]()
        left, after = self.shot.frames, self.shown(self.clip)
        known: Known | None = None
        while left > 0:
            frames, at = self.family.around(0, left, after)
            while frames > self.longest:
                frames, at = self.family.around(0, at - self.family.step, after)
            if not windows:
                known = self.head(self.clip, at)[1]
            windows.append(Window(frames, 0, at, (known,) if known else (), precedes=known is None))
            left, after, known = left - at, self.family.overlap, None
        return Plan(tuple(windows), backwards=True)

    def join(self) -> Plan:
        """The way from the end of the clip to the start of the other, or to its own."""
        second = self.clip if self.shot.clip_2 is None else self.shot.clip_2
        before, behind, wanted = self.shown(self.clip), self.shown(second), self.shot.frames
        frames, at = self.family.around(before, wanted, behind)
        while frames > self.longest and wanted > 1:
            wanted -= min(self.family.step, wanted - 1)
            frames, at = self.family.around(before, wanted, behind)
        known = (self.tail(self.clip, 0)[1], self.head(second, at)[1])
        return self.limited([Window(frames, before, at, known)], self.shot.frames)

    def remix(self) -> Plan:
        total = self.floor(len(self.clip.frames))
        if total < self.family.at_least(2):
            raise UserError(
                f"The film is too short: {self.model} takes {self.family.at_least(2)} frames or more."
            )
        frames = min(total, self.longest)
        windows, done = [Window(frames, 0, frames, source=(0, frames))], frames
        while done < total and self.family.remixes_in_windows:
            frames = min(self.longest, self.family.overlap + total - done)
            begin = done - self.family.overlap
            windows.append(
                Window(frames, self.family.overlap, frames, follows=True, source=(begin, begin + frames))
            )
            done = begin + frames
        made = Plan(tuple(windows))
        left = len(self.clip.frames) - made.count
        if left == 0:
            return made
        note = f"The last {left / self.shot.fps:.1f} s were left out: {self.model} takes whole steps"
        return replace(made, notes=(f"{note} of {self.family.step} frames, up to {self.longest} at a time.",))

    @property
    def clip(self) -> Clip:
        if self.shot.clip is None:
            raise UserError("There is no film to start from.")
        return self.shot.clip

    def shown(self, clip: Clip) -> int:
        """How many frames of an end of ``clip`` a call is shown."""
        return self.family.overlap if clip.ends else min(self.family.overlap, self.floor(len(clip.frames)))

    def tail(self, clip: Clip, at: int) -> tuple[int, Known]:
        """Of its end: how many frames, and what is known."""
        count = self.shown(clip)
        return count, Known(self.padded(clip.frames[-count:], count), at, clip.ends.get("tail"))

    def head(self, clip: Clip, at: int) -> tuple[int, Known]:
        """Of its start: how many frames, and what is known."""
        count = self.shown(clip)
        return count, Known(self.padded(clip.frames[:count], count), at, clip.ends.get("head"))

    @staticmethod
    def padded(frames: tuple[Any, ...], count: int) -> tuple[Any, ...]:
        """``count`` frames: where latents are kept, the frames themselves only count."""
        return frames + frames[-1:] * (count - len(frames))
