"""A film in at most so many bytes: encoded anew with more thrown away, and where that would look bad, smaller
or with fewer frames. Runs in the clip process.

What one number gives is not known before it was tried: each try is aimed by those before, and one that gets
too large is given up at once. x264's own way, two passes, keeps its notes in a file, and this process can
open none; aiming fills as much of the limit (docs/video.md has figures).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, BinaryIO

from studio.films.clips.taking import told
from vision.films.encoders import Encoder, encoder_of
from vision.films.reader import FilmReader
from vision.films.writer import FilmWriter, Sound

SIDES = (1080, 720, 480, 360, 240, 144)  # px of the shorter side
SLOW = 15.0  # frames a second, above which every other one can be left out
AIM, FILLED = 0.95, 0.87  # share of the limit that is aimed at, and from which on a try is good enough
ROUGH = 0.68  # share of an encoder's worst number, beyond which a smaller picture looks better
BETTER = 2.0  # halvings that a film may be better than its original, whose encoder was in a hurry
HOPELESS = 2.0  # halvings that a film would be too large by, so that a size isn't tried
TRIES = 9
CAREFUL = 150e6  # px of all frames, up to which there is time for a careful encoder
SMALLER = 0.8  # bytes go with the number of pixels to this power
SOUNDS = ((128_000, 0.15), (64_000, 0.25), (32_000, 0.4))  # bits a second, and the share of the limit


@dataclass(frozen=True)
class Shape:
    """A size in px, and of how many frames one is kept."""

    width: int
    height: int
    every: int = 1

    @property
    def weight(self) -> float:
        """How many pixels there are, with frames that are alike counting less than those that differ."""
        return self.width * self.height / self.every**0.5


@dataclass(frozen=True)
class Try:
    """What came of a number: bytes, as far as that is known of one that was given up; fits: told of it."""

    number: float
    size: float
    fits: dict[str, Any] | None


def fit(source: BinaryIO, target: BinaryIO, *, limit: int, encoder: str) -> tuple[dict[str, Any], bytes]:
    """Write a film in at most ``limit`` bytes into ``target``, and return what is told of it.

    Raises ValueError when it doesn't fit, however it is made.
    """
    original = source.seek(0, 2)
    with FilmReader(source) as film:
        return Fitting(film, target, limit, encoder_of(encoder)).made(original), b""


class Fitting:
    """One film that is to fit into ``limit`` bytes of ``target``."""

    def __init__(self, film: FilmReader, target: BinaryIO, limit: int, encoder: Encoder) -> None:
        self._film, self._target, self._limit, self._encoder = film, target, limit, encoder
        self._sound, self._sound_bits = self._heard()
        self._aim = AIM * limit - film.seconds * self._sound_bits / 8
        self._tries = 0

    def made(self, original: int) -> dict[str, Any]:
        """Write the film, whose original has ``original`` bytes, and return what is told of it. Raises
        ValueError when it doesn't fit, however it is made."""
        shapes = self._shapes()
        halvings, last = math.log2(max(original / self._aim, 0.1)), shapes[0].weight
        for shape in shapes:
            halvings += SMALLER * math.log2(shape.weight / last)
            last = shape.weight
            is_last = shape is shapes[-1]
            rough = self._encoder.worst * (1.0 if is_last else ROUGH)
            number = self._encoder.master + self._encoder.halving * halvings
            if number > rough + HOPELESS * self._encoder.halving and not is_last:
                continue
            known = [Try(self._encoder.master, float(original), None)] if shape is shapes[0] else []
            best, nearest = self._best(shape, number, rough, known)
            if best is not None and best.fits is not None:
                lost = self._film.has_sound and self._sound is None
                return best.fits | {"tries": self._tries, "sound": self._sound is not None, "lost": lost}
            halvings = (nearest.number - self._encoder.master) / self._encoder.halving
            halvings += math.log2(nearest.size / self._aim)
        raise ValueError(f"doesn't fit into {self._limit:,} bytes, however it is made.")

    def _heard(self) -> tuple[Sound | None, int]:
        """Return the sound and the bits a second that there is room for."""
        for bits, share in SOUNDS:
            if self._film.seconds * bits / 8 <= share * self._limit:
                sound = self._film.sound()
                return sound, bits if sound is not None else 0
        return None, 0

    def _shapes(self) -> list[Shape]:
        """Return the forms that a film can get, the best first."""
        film = self._film
        shorter = min(film.width, film.height)
        sides = [(film.width, film.height)]
        for side in SIDES:
            if side < shorter:
                width, height = (round(one * side / shorter / 2) * 2 for one in (film.width, film.height))
                sides.append((width, height))
        shapes = [Shape(*size) for size in sides]
        if film.fps > SLOW and film.frames > 1:
            slow = [Shape(*size, every=2) for size in sides if min(size) <= SIDES[2]]
            large = [one for one in shapes[1:] if min(one.width, one.height) >= SIDES[3]]
            shapes = [shapes[0], *large, *slow]
        return shapes

    def _best(self, shape: Shape, number: float, rough: float, known: list[Try]) -> tuple[Try | None, Try]:
        """Return the fullest of some tries that fits, which is what is written, and the last one. known: what
        is as good as tried."""
        tries = list(known)
        least = self._encoder.master - BETTER * self._encoder.halving
        following: float | None = min(max(number, least), rough)
        while following is not None and len(tries) < TRIES:
            tries.append(self._tried(shape, following))
            if tries[-1].fits is not None and tries[-1].size >= FILLED * self._limit:
                return tries[-1], tries[-1]
            following = aimed(tries, self._aim, self._encoder, least, rough)
        fitting = [one for one in tries if one.fits is not None]
        if not fitting:
            return None, tries[-1]
        best = max(fitting, key=lambda one: one.size)
        return (best if best is tries[-1] else self._tried(shape, best.number)), tries[-1]

    def _tried(self, shape: Shape, number: float) -> Try:
        """Write the film with a number."""
        self._tries += 1
        self._target.truncate(0)
        self._target.seek(0)
        film, count = self._film, -(-self._film.frames // shape.every)
        careful = shape.width * shape.height * count <= CAREFUL
        writer = FilmWriter(
            self._target,
            (shape.width, shape.height),
            film.fps / shape.every,
            self._encoder,
            number=number,
            careful=careful,
            sound=self._sound,
            sound_bits=self._sound_bits,
        )
        for place, frame in enumerate(film.decoded()):
            if place % shape.every == 0:
                writer.add(frame)
                if self._target.tell() > self._limit:
                    size = self._target.tell() * max(1.0, count / max(1, writer.written))
                    writer.abandon()
                    return Try(number, size, None)
        writer.finish()
        size = self._target.seek(0, 2)
        return Try(number, size, told(writer) if size <= self._limit else None)


def aimed(tries: list[Try], aim: float, encoder: Encoder, least: float, most: float) -> float | None:
    """Return the number to try next, so that there are ``aim`` bytes; None when there is no better one.

    Between one that is too large and one that fits, sizes are taken to lie on a straight line, by halvings;
    when two tries come out on the same side, the middle is tried (noise vanishes all at once).
    """
    low = max((one for one in tries if one.fits is None), key=lambda one: one.number, default=None)
    high = min((one for one in tries if one.fits is not None), key=lambda one: one.number, default=None)
    step = 1.0 if encoder.is_whole else 0.1
    if low is not None and high is not None:
        width = high.number - low.number
        if width < 2 * step:
            return None
        is_same_side = len(tries) > 2 and (tries[-1].fits is None) == (tries[-2].fits is None)
        share = 0.5
        if not is_same_side and low.size > aim > high.size:
            share = math.log2(low.size / aim) / math.log2(low.size / high.size)
        number = low.number + width * min(max(share, 0.1), 0.9)
    else:
        last = tries[-1]
        away = math.log2(last.size / aim) * encoder.halving
        number = last.number + (max(away, step) if last.fits is None else min(away, -step))
    number = min(max(number, least), most)
    number = float(round(number)) if encoder.is_whole else number
    return None if any(abs(number - one.number) < step / 2 for one in tries) else number
