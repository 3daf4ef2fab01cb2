"""What can be made of words, pictures and films: each operation as the frames of its film, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice

from PIL import Image

from vision.films import clips
from vision.films.clips import Clip
from vision.pictures import encode
from vision.sketch import redraw
from vision.sketch.film import Take, looped, shares
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
    clip: Clip | None = None
    clip_2: Clip | None = None
    loop: bool = False

    @property
    def film(self) -> Clip:
        """The film to go on from. Raises ValueError without one."""
        if self.clip is None:
            raise ValueError("there is no film to go on from")
        return self.clip


def new(asked: Asked, take: Take) -> Iterator[Image.Image]:
    """Return a film that begins with a picture, and ends with another one where that is given."""
    if asked.picture is None:
        raise ValueError("there is no picture to begin with")
    if asked.end is not None:
        way = take.between(asked.picture, asked.end)
        return take.frames(way, shares(asked.count), first=True, last=True)
    shot = take.shot(asked.picture, asked.motion, fixed=asked.known)
    if asked.loop:
        return take.frames(looped(shot), shares(asked.count, open_end=True), first=asked.known)
    return take.frames(shot, shares(asked.count), first=asked.known)


def extend(asked: Asked, take: Take) -> Iterator[Image.Image]:
    """Return the film and what comes after it."""
    shot = take.shot(asked.film.last, asked.motion, fixed=True)
    after = take.frames(shot, shares(asked.count + 1), first=True)
    return chain(take.aside(asked.film.frames()), islice(after, 1, None))


def extend_back(asked: Asked, take: Take) -> Iterator[Image.Image]:
    """Return what came before the film, and the film: the motion that leads to it, made backwards."""
    shot = take.shot(asked.film.first, asked.motion.backwards(), fixed=True)
    before = list(islice(take.frames(shot, shares(asked.count + 1), first=True), 1, None))
    return chain(reversed(before), take.aside(asked.film.frames()))


def blend(asked: Asked, take: Take) -> Iterator[Image.Image]:
    """Return both films with the way from the one to the other between them."""
    one, two = asked.film, asked.clip_2
    if two is None:
        raise ValueError("there is no second film")
    if one.size[0] * two.size[1] != one.size[1] * two.size[0]:
        take.notes.append(SIZE_NOTE)
    way = take.between(one.last, clips.placed(two.first, one.size))
    join = islice(take.frames(way, shares(asked.count + 2), first=True, last=True), 1, asked.count + 1)
    rest = clips.at_rate(clips.fitted(two.frames(), one.size), two.fps, one.fps)
    return chain(take.aside(one.frames()), join, take.aside(rest))


def loop(asked: Asked, take: Take) -> Iterator[Image.Image]:
    """Return the film and the way from its end back to its start."""
    film = asked.film
    way = take.between(film.last, film.first)
    back = take.frames(way, shares(asked.count + 2), first=True, last=True)
    return chain(take.aside(film.frames()), islice(back, 1, asked.count + 1))


def remix(asked: Asked, take: Take) -> Iterator[Image.Image]:
    """Return the film drawn anew: frame by frame from its own frames, all looking at the first."""
    film = asked.film
    model = take.models.image(take.spec, take.reporter)
    each, first = take.aside(film.frames()), film.first
    while chunk := list(islice(each, redraw.AT_ONCE - 1)):
        drawn = redraw.drawn_over(model, take.generation, [first, *chunk], take.strength, take.reporter)
        for image in drawn[1:]:
            yield encode.resize(model.enlarged(image), film.size)


OPERATIONS: dict[str, Callable[[Asked, Take], Iterator[Image.Image]]] = {
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


def without_references(take: Take) -> Take:
    """Return the take without pictures that were only for the first one."""
    if take.generation.reference_scale is not None:
        return take
    return replace(take, generation=replace(take.generation, references=()))
