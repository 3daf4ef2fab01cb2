"""The frames of a film that moderation looks at."""

from __future__ import annotations

from studio.films.intake import pictures_of

MOST, PIXELS = 8, 512 * 512  # frames of a film, and pixels of each: the classifier takes 224×224


async def looked_at(film: bytes) -> list[bytes]:
    """Return frames of a film as PNGs: some evenly, and the first after each cut. Raises ImageError for what
    can't be read as a film."""
    return [png for _, png in await pictures_of(film, MOST, PIXELS)]
