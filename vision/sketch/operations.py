"""What can be made of words, pictures and films: each operation as the frames of its film, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice

from PIL import Image

from vision.films import clips
from vision.films.clips import OpenClip
from vision.pictures import encode
from vision.sketch import pacing, redraw
from vision.sketch.film import Sketcher, looped, shares
from vision.sketch.motion import Motion

SIZE_NOTE = "The second film was cut to the first one's shape."


@dataclass(frozen=True)
class Asked:
    """One film that is asked for. picture: its first, at its size. known: that picture was given, so it stays
    as it is. end: its last picture, at its size. clip, clip_2: to go on from. motion: what happens. count: of
    the frames that are drawn. loop: its end is to lead to its start."""

    motion: Motion
    count: int
    picture: Image.Image | None = None
    known: bool = False
    end: Image.Image | None = None
    clip: OpenClip | None = None
    clip_2: OpenClip | None = None
    loop: bool = False

    @property
    def film(self) -> OpenClip:
        """The film to go on from. Raises ValueError without one."""
        if self.clip is None:
            raise ValueError("there is no film to go on from")
        return self.clip


def new(asked: Asked, sketcher: Sketcher) -> Iterator[Image.Image]:
    """Return a film that begins with a picture, and ends with another one where that is given."""
    if asked.picture is None:
        raise ValueError("there is no picture to begin with")
    if asked.end is not None:
        way = sketcher.between(asked.picture, asked.end)
        return sketcher.frames(way, shares(asked.count), first=True, last=True)
    shot = sketcher.shot(asked.picture, asked.motion, fixed=asked.known)
    if asked.loop:
        around = shares(asked.count, open_end=True)
        return sketcher.frames(looped(shot), around, first=asked.known, loops=True)
    return sketcher.frames(shot, shares(asked.count), first=asked.known)


def extend(asked: Asked, sketcher: Sketcher) -> Iterator[Image.Image]:
    """Return the film and what comes after it."""
    shot = sketcher.shot_on(asked.film.last, asked.motion, asked.film.first)
    pace = sketcher.pace(shot, asked.count + 1, partial(pacing.before_end, asked.film))
    after = sketcher.frames(shot, pace, first=True)
    return chain(sketcher.aside(asked.film.frames()), islice(after, 1, None))


def extend_back(asked: Asked, sketcher: Sketcher) -> Iterator[Image.Image]:
    """Return what came before the film, and the film: the motion that leads to it, made backwards."""
    shot = sketcher.shot_on(asked.film.first, asked.motion.backwards(), asked.film.last)
    back = sketcher.pace(shot, asked.count + 1, partial(pacing.after_start, asked.film))[::-1]
    before = islice(sketcher.frames(shot, back, first=False, last=True), asked.count)
    return chain(before, sketcher.aside(asked.film.frames()))


def blend(asked: Asked, sketcher: Sketcher) -> Iterator[Image.Image]:
    """Return both films with the way from the one to the other between them."""
    one, two = asked.film, asked.clip_2
    if two is None:
        raise ValueError("there is no second film")
    if one.size[0] * two.size[1] != one.size[1] * two.size[0]:
        sketcher.notes.append(SIZE_NOTE)
    way = sketcher.between(one.last, clips.placed(two.first, one.size))
    end = partial(pacing.after_start, two, one.fps)
    pace = sketcher.pace(way, asked.count + 2, partial(pacing.before_end, one), end)
    join = islice(sketcher.frames(way, pace, first=True, last=True), 1, asked.count + 1)
    rest = clips.at_rate(clips.fitted(two.frames(), one.size), two.fps, one.fps)
    return chain(sketcher.aside(one.frames()), join, sketcher.aside(rest))


def loop(asked: Asked, sketcher: Sketcher) -> Iterator[Image.Image]:
    """Return the film and the way from its end back to its start."""
    film = asked.film
    way = sketcher.between(film.last, film.first)
    begin, end = partial(pacing.before_end, film), partial(pacing.after_start, film)
    pace = sketcher.pace(way, asked.count + 2, begin, end)
    back = sketcher.frames(way, pace, first=True, last=True)
    return chain(sketcher.aside(film.frames()), islice(back, 1, asked.count + 1))


def remix(asked: Asked, sketcher: Sketcher) -> Iterator[Image.Image]:
    """Return the film drawn anew: frame by frame from its own frames, all looking at the first."""
    film = asked.film
    model = sketcher.models.image(sketcher.spec, sketcher.reporter)
    each, first = sketcher.aside(film.frames()), film.first
    while chunk := list(islice(each, redraw.AT_ONCE - 1)):
        drawn = redraw.drawn_over(
            model, sketcher.generation, [first, *chunk], sketcher.strength, sketcher.reporter
        )
        for image in drawn[1:]:
            yield encode.resize(model.enlarged(image), film.size)


OPERATIONS: dict[str, Callable[[Asked, Sketcher], Iterator[Image.Image]]] = {
    "new": new,
    "extend": extend,
    "extend_back": extend_back,
    "blend": blend,
    "loop": loop,
    "remix": remix,
}


def expected(asked: Asked) -> int:
    """Return how many frames the film will have, about."""
    if asked.clip is None:
        return asked.count
    return asked.clip.count + asked.count + (asked.clip_2.count if asked.clip_2 is not None else 0)


def without_references(sketcher: Sketcher) -> Sketcher:
    """Return the sketcher without pictures that were only for the first one."""
    if sketcher.generation.reference_scale is not None:
        return sketcher
    return replace(sketcher, generation=replace(sketcher.generation, references=()))
