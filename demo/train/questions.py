"""How people put the questions that the demo chat model was taught: a part of its card, by which a question
is understood, or said not to be."""

import json
from typing import Any

from demo.train.chat_data import NUMBERS, STYLES
from demo.train.talk import corpora
from demo.world import (
    BACKGROUNDS,
    COLOUR_WORDS,
    COLOURS,
    OBJECT_WORDS,
    OBJECTS,
    PLACE_WORDS,
    PLACES,
    RELATIONS,
    SIZES,
    plural,
)

A = "(?:(?:a|an|any|some|the|this|that) )?"
HERE = "(?: (?:there|in (?:the|this) picture))?"
SEE = (
    "(?:is there|are there|do you see|can you see|can i see|does it show|does the picture show|is this"
    "|is that|is it|are these)"
)
WHAT = "what (?:is|are|do you see|can you see|can be seen)"
BACKGROUND = "What is in the background?"
QUESTIONS = (  # a pattern, the question as it was taught, what its answer holds where "yes" is asked for
    (
        f"(?:{WHAT}|what is there|what is shown|what is visible|describe)"
        "(?: (?:this|that|it|all|(?:in|on|of)? ?(?:the|this) picture))?(?: of)?|what does (?:it|(?:the|this)"
        " picture) show",
        "What is in the picture?",
        "",
    ),
    (
        "(?:what|which) (?:object|thing)(?: (?:is|do you see|can you see))?(?: (?:this|that|it|there))?",
        "What object is this?",
        "",
    ),
    ("(?:what|which) colour (?:is|are|has|have) {a}{thing}{here}", "What colour is the {thing}?", ""),
    ("(?:what|which) colour (?:is|are) (?:it|this|that|they)", "What is in the picture?", ""),
    ("(?:what is )?(?:the )?colour of {a}{thing}{here}", "What colour is the {thing}?", ""),
    (
        "(?:how many|count|count the|number of) {things}(?: (?:are there|do you see|can you see|are shown))?"
        "{here}",
        "How many {things} are there?",
        "",
    ),
    ("{see} {a}{colour} {thing}{here}", "What colour is the {thing}?", "{colour}"),
    ("{see} {a}{thing}{here}", "Is there a {thing}?", ""),
    ("(?:is|are) {a}{thing} {colour}", "Is the {thing} {colour}?", ""),
    (
        "what is (?:in the background|the background|(?:behind|around) (?:it|{a}{thing}))",
        BACKGROUND,
        "",
    ),
    ("where (?:does (?:this|it) take place|is this)", BACKGROUND, ""),
    ("(?:{see}|are we)(?: (?:any|some|the|a|at|in|on|by|under))* {place}{here}", BACKGROUND, "{place}"),
    ("(?:is|are) {a}{thing} (?:at|in|on|by|under)(?: the)? {place}", BACKGROUND, "{place}"),
    (
        "(?:what|which)(?: is the)?(?: drawing)? style(?: (?:is|has))?(?: (?:it|this|(?:the|this) picture))?",
        "Which style is it?",
        "",
    ),
    ("(?:where|in which part of the picture) (?:is|are) {a}{thing}{here}", "Where is the {thing}?", ""),
    (f"{WHAT} (?:to the |on the )?left of {{a}}{{thing}}", "What is to the left of the {thing}?", ""),
    (f"{WHAT} (?:to the |on the )?right of {{a}}{{thing}}", "What is to the right of the {thing}?", ""),
    (f"{WHAT} (?:above|over) {{a}}{{thing}}", "What is above the {thing}?", ""),
    (f"{WHAT} (?:below|under|beneath) {{a}}{{thing}}", "What is below the {thing}?", ""),
)
LITTLE = "many much do does did doing be been who why when how i you we they it them and or not no".split()
EXAMPLES = ("“What is in the picture?”", "“What colour is the house?”", "“How many stars are there?”")


def asks() -> dict[str, Any]:
    """Return the card's entry "asks"; see ``vision.chat.prompt.Repertoire``."""
    things: dict[str, str] = {}
    for thing in OBJECTS:
        for word in OBJECT_WORDS[thing]:
            things |= {word: thing, plural(word): thing}
    colours = {word: colour for colour in COLOURS for word in COLOUR_WORDS[colour]}
    words = {
        "snowy" if "snowy" in phrase else phrase.split()[-1]: place  # a field alone is of grass
        for place in PLACES
        for phrase in PLACE_WORDS[place]
    }
    places = {word: place for word, place in words.items() if word not in things} | {p: p for p in PLACES}
    shapes = {"a": A, "here": HERE, "see": SEE}
    answers = {
        "a an there is no yes at the on in to of above below left right middle top bottom background",
        *NUMBERS,
        *SIZES,
        *STYLES.values(),
        *OBJECTS,
        *map(plural, OBJECTS),
        *COLOURS,
        *PLACES,
    }
    return {
        "groups": {
            "thing": things,
            "things": {word: plural(thing) for word, thing in things.items()},
            "colour": colours,
            "place": places,
        },
        "grounds": {
            name: PLACE_WORDS[name][0] if name in PLACES else f"on {_article(name)} {name} background"
            for name in BACKGROUNDS
        },
        "questions": [
            {"pattern": _filled(pattern, shapes), "taught": taught, "yes": yes}
            for pattern, taught, yes in QUESTIONS
        ],
        "whole": "What is in the picture?",
        "beside": list(RELATIONS),
        "little": LITTLE,
        "answers": sorted({word for phrase in answers for word in phrase.split()}),
        "examples": list(EXAMPLES),
        "others": " ".join(sorted(_others() - things.keys())),
    }


def _others() -> set[str]:
    """Names of things that people have asked the studio for, and of their parts."""
    listed = json.loads((corpora.HERE / "vocabulary.json").read_text("utf-8"))
    names = {*listed["thing"].split(), *listed["part"].split()}
    return {name for name in names if not {name.removesuffix("s"), name.removesuffix("es")} & names - {name}}


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _filled(pattern: str, shapes: dict[str, str]) -> str:
    for name, shape in shapes.items():
        pattern = pattern.replace("{" + name + "}", shape)
    return pattern
