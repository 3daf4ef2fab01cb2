"""What a number after ``--sref`` stands for: a medium, a palette and a light, in words that any model reads.

The lists are frozen: a change of them changes what every number means. New words are new lists, under another
VERSION, beside these.
"""

import random
from collections.abc import Iterator
from functools import cache

VERSION = "styles/1"
STYLES = tuple(
    tuple(words.split(", "))
    for words in (
        "watercolor, oil painting, ink drawing, pixel art, line art, woodcut print, pastel drawing, "
        "flat illustration, risograph print, gouache painting, charcoal sketch, stained glass, "
        "paper collage, low poly 3d render, film photograph, comic book art",
        "muted colours, bright colours, earthy colours, black and white, pastel colours, neon colours, "
        "blue and orange colours, sepia colours, deep green and gold colours, red and cream colours",
        "soft light, hard shadows, golden light, moonlight, mist, high contrast, flat light, glowing edges",
    )
)
MEDIA, PALETTES, LIGHTS = STYLES
Triple = tuple[str, str, str]


def triple_of_code(code: int) -> Triple:
    """Return medium, palette and light of a number: the same for the same number, whatever the model."""
    chance = random.Random(code)
    medium, palette, light = (chance.choice(kinds) for kinds in STYLES)
    return medium, palette, light


def style_of_code(code: int) -> str:
    """Return the same as words."""
    return ", ".join(triple_of_code(code))


def in_order() -> Iterator[Triple]:
    """Yield every style once, in an order that has each medium with each palette among the first 160, each
    medium among the first 16, and each palette among the first 160 as often as any other."""
    pairs = len(MEDIA) * len(PALETTES)
    for place in range(pairs * len(LIGHTS)):
        turn, pair = divmod(place, pairs)
        column, row = divmod(pair, len(MEDIA))
        yield (
            MEDIA[row],
            PALETTES[(column + row) % len(PALETTES)],
            LIGHTS[(turn + column + row) % len(LIGHTS)],
        )


@cache
def codes() -> dict[Triple, int]:
    """Return the lowest number of each style, in the order of ``in_order``. Takes 0.1 s, once."""
    found: dict[Triple, int] = {}
    code, count = 0, len(MEDIA) * len(PALETTES) * len(LIGHTS)
    while len(found) < count:
        found.setdefault(triple_of_code(code), code)
        code += 1
    return {triple: found[triple] for triple in in_order()}
