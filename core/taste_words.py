"""Words that a taste may add to a prompt, by kind, and which kinds a prompt leaves open. A prompt that can't
be read leaves none open: nothing may be added against what it says."""

import re
from collections.abc import Iterable, Mapping, Sequence

from core.styles import LIGHTS, MEDIA, PALETTES

PLACES = tuple(
    "in a forest, by the sea, in the mountains, in a city street, in the desert, in the snow, indoors, in the"
    " sky".split(", ")
)
KINDS: Mapping[str, Sequence[str]] = {
    "colour": PALETTES,
    "place": PLACES,
    "medium": MEDIA,
    "light": LIGHTS,
}
MOST = 3  # words that are added to one prompt
SURE = 3.0  # deviations from which on a word is told, and added
USUAL, FULL = 100, 750  # --stylize at which words count as AMOUNT, and as much as the prompt's own
AMOUNT = 0.7
GAP = "{}"  # where the prompt stands in a word that doesn't just follow it

# What closes a kind. Those of four letters and more close it by their beginning, too.
_COLOUR = """
    red orange yellow green blue purple pink white black brown grey gray golden silver beige violet turquoise
    teal crimson scarlet ruby rosy amber navy azure emerald magenta lilac ivory ebony colour color monochrom
    sepia neon pastel palette muted vivid rainbow tint hue rot rote blau blaue gelb grün schwarz weiß weiss
    rosa lila braun farb rouge bleu jaune vert verte noir blanc couleur rojo roja azul amarill verde negro
    negra blanco blanca vermelh amarel preto preta branco branca cor cores
""".split()
_MEDIUM = """
    watercolo aquarel painting paint drawing drawn sketch ink oil pixel line art artwork woodcut linocut
    engraving etching pastel illustration print gouache charcoal pencil crayon stained collage poly 3d render
    photo photograph film polaroid comic cartoon anime manga vector logo icon sticker poster cinematic lego
    clay origami embroider mosaic sculpture statue fresco style styled graffiti tattoo blueprint dslr bokeh
    isometric pixelated sprite retro vintage realistic minimalist surreal by
    gemälde zeichnung foto bild peinture dessin pintura dibujo desenho
""".split()
_LIGHT = """
    light lit lighting lamp candle sun sunny sunset sunrise sunlit dawn dusk night evening morning noon
    midday moonli moonlight starry mist misty fog foggy haze hazy shadow contrast glow backlit dark bright dim
    gloom storm stormy rain cloudy overcast moody hour nacht abend licht nuit noche noite
""".split()
_PLACE = """
    in on at under beneath below above over by near beside behind inside outside against between among through
    across along around amid underwater indoor outdoor upon within background backdrop scene scenery landscape
    seascape cityscape skyline forest wood beach sea ocean sky mountain city street town village field meadow
    garden park desert dune snow island river lake room kitchen bedroom hall church castle space cosmos planet
    jungle cave interior exterior studio winter summer autumn spring
""".split()
_CLOSING: Mapping[str, frozenset[str]] = {
    "colour": frozenset(_COLOUR),
    "medium": frozenset(_MEDIUM),
    "light": frozenset(_LIGHT),
    "place": frozenset((*_PLACE, *_LIGHT)),  # places may be times of day
}
_BY_BEGINNING = 4  # letters
_FOREIGN = frozenset(  # articles and the like of languages whose words aren't among the above
    """ein eine einen einem einer eines das dem den und mit im auf über unter bei ohne un une des du dans sur
    avec les et el los las una unos con del bajo y e um uma uns umas os na nas nos com sob""".split()
)
_NOT_LATIN = "\u0250"  # the first letter of other scripts
_WORD = re.compile(r"[\w']+")


def open_kinds(texts: Iterable[str]) -> list[str]:
    """Return of which kinds the texts of a prompt say nothing."""
    words = {word for text in texts for word in _WORD.findall(text.lower())}
    if words & _FOREIGN or any(letter >= _NOT_LATIN for word in words for letter in word):
        return []
    said = {word[:length] for word in words for length in range(_BY_BEGINNING, len(word))}
    said |= words | {word.removesuffix("s") for word in words}
    return [kind for kind, closing in _CLOSING.items() if said.isdisjoint(closing)]


def amount_of(stylize: int | None) -> float:
    """Return how much the words count at some ``--stylize``: 0..1, 1 = as if they stood in the prompt."""
    value = USUAL if stylize is None else stylize
    if value <= USUAL:
        return AMOUNT * value / USUAL
    return AMOUNT + (1 - AMOUNT) * min(1.0, (value - USUAL) / (FULL - USUAL))


def told_as(word: str) -> str:
    """Return a word as people are told it."""
    return " ".join(word.replace(GAP, "").split())


def joined(text: str, words: str) -> str:
    """Return a text with words behind it, or around it where they have a gap for it."""
    if GAP in words:
        return words.replace(GAP, text).strip()
    return f"{text}, {words}" if text else words


def in_one(words: Iterable[str]) -> str:
    """Return words as one that is added to a prompt at once."""
    whole = GAP
    for word in words:
        whole = joined(whole, word)
    return whole
