"""Questions and true answers about one picture."""

import random
from typing import NamedTuple

from demo.captions import background_phrase, canonical, plural
from demo.training.ask.pictures import AREAS, Chart, Drawn, area, box
from demo.words import CANONICAL_RELATION, OBJECT_WORDS, REVERSE
from demo.world import COLOURS, OBJECTS, Group

NUMBERS = ("none", "one", "two", "three", "four", "five")
STYLES = {"flat": "flat", "outline": "line art", "pixel": "pixel art", "watercolor": "watercolor"}
# How much likelier than others a kind of question is to be asked. What isn't there is asked for rarely: a
# model that hears of it too often answers everything with "there is no …".
LIKELY = {
    "absent": 0.2,
    "background": 3.0,
    "box": 0.5,
    "describe": 2.0,
    "object": 2.5,
    "relation": 3.0,
    "style": 0.3,
    "where": 4.0,
    "yes_no": 0.5,
}
SIGN_QUESTIONS = (
    "what does the sign say?",
    "what does the sign say?",
    "read the text.",
    "what is written there?",
    "which word is on the sign?",
)


class Asked(NamedTuple):
    """A question with the answer that is true, and what kind of question it is."""

    kind: str
    question: str
    answer: str


def article(words: str) -> str:
    """`words` with a or an before them."""
    return ("an " if words[:1] in "aeiou" else "a ") + words


def capital(question: str, rng: random.Random) -> str:
    """The question as people type it: most begin with a capital."""
    return question[0].upper() + question[1:] if rng.random() < 0.7 else question


def noun(thing: str, rng: random.Random) -> str:
    """The thing's name or, now and then, one of its synonyms."""
    return rng.choice(OBJECT_WORDS[thing]) if rng.random() < 0.2 else thing


def area_phrase(field: int) -> str:
    """One of the nine fields in words, such as `at the top left`."""
    across, down = AREAS[field]
    if not across and not down:
        return "in the middle"
    return ("at the " if down else "on the ") + " ".join(filter(None, (down, across)))


def box_text(sides) -> str:
    """`[left, top, right, bottom]` in thousandths."""
    return "[" + ", ".join(map(str, sides)) + "]"


def group_phrase(group: Group) -> str:
    """`a red cat`, `two blue stars`."""
    if group.count == 1:
        return article(f"{group.colour} {group.object}")
    return f"{NUMBERS[group.count]} {group.colour} {plural(group.object)}"


def about_scene(drawn: Drawn, rng: random.Random) -> list[Asked]:
    """Every kind of question that has one true answer for this scene."""
    scene = drawn.scene
    asked = [
        Asked(
            "describe",
            rng.choice(("what is in the picture?", "describe the picture.", "what do you see?")),
            canonical(scene),
        ),
        Asked(
            "background",
            rng.choice(
                ("what is in the background?", "what is the background?", "where does this take place?")
            ),
            background_phrase(scene.background),
        ),
        Asked("style", rng.choice(("which style is it?", "what style is this?")), STYLES[scene.style]),
    ]
    there = [group.object for group in scene.groups]
    gone = rng.choice([o for o in OBJECTS if o not in there])
    absent = noun(gone, rng)
    question = rng.choice((f"what colour is the {absent}?", f"where is the {absent}?"))
    asked.append(Asked("absent", question, f"there is no {gone}"))
    if rng.random() < 0.15:
        asked.append(Asked("count", f"how many {plural(absent)} are there?", "none"))
    named = rng.choice(there) if there and rng.random() < 0.5 else gone
    word = noun(named, rng)
    question = rng.choice((f"is there {article(word)}?", f"do you see {article(word)}?"))
    asked.append(Asked("yes_no", question, "yes" if named in there else "no"))
    if there:
        asked += _about_group(drawn, rng.randrange(len(there)), rng)
    return asked


def _about_group(drawn: Drawn, index: int, rng: random.Random) -> list[Asked]:
    groups = drawn.scene.groups
    me = groups[index]
    one = me.count == 1
    name = noun(me.object, rng)
    the, be = (name, "is") if one else (plural(name), "are")
    asked = []
    if len(groups) == 1:
        question = rng.choice(("what object is this?", "what thing is this?", "which object do you see?"))
        asked.append(Asked("object", question, article(me.object) if one else plural(me.object)))
    if len(groups) == 2 and groups[0].object == groups[1].object:
        return asked
    question = rng.choice(
        (f"what colour {be} the {the}?", f"which colour {be} the {the}?", f"colour of the {the}?")
    )
    asked.append(Asked("colour", question, me.colour))
    question = rng.choice((f"how many {plural(name)} are there?", f"count the {plural(name)}."))
    asked.append(Asked("count", question, NUMBERS[me.count]))
    colour = me.colour if rng.random() < 0.5 else rng.choice([c for c in COLOURS if c != me.colour])
    asked.append(Asked("yes_no", f"{be} the {the} {colour}?", "yes" if colour == me.colour else "no"))
    if one:
        thing = next(p for p in drawn.placed if p.group == index)
        question = rng.choice((f"give the box of the {the}.", f"locate the {the}."))
        asked.append(Asked("box", question, box_text(box(thing))))
        field = area(thing)
        if len(groups) == 1 and field is not None:
            question = rng.choice((f"where is the {the}?", f"in which part of the picture is the {the}?"))
            asked.append(Asked("where", question, area_phrase(field)))
    if len(groups) == 2:
        other = groups[1 - index]
        way = drawn.scene.place if index == 0 else REVERSE[drawn.scene.place]
        named = other.object if other.count == 1 else plural(other.object)
        answer = f"{CANONICAL_RELATION[way]} the {named}"
        asked.append(Asked("relation", f"where {be} the {the}?", answer))
        question = f"what is {CANONICAL_RELATION[REVERSE[way]]} the {the}?"
        asked.append(Asked("relation", question, group_phrase(other)))
    return asked


def about_sign(word: str, rng: random.Random) -> list[Asked]:
    """What a sign says."""
    return [Asked("sign", rng.choice(SIGN_QUESTIONS), word)]


def table(chart: Chart) -> str:
    """The chart's bars as lines of `red, 7`."""
    return "\n".join(f"{c}, {v}" for c, v in zip(chart.colours, chart.values, strict=True))


def about_chart(chart: Chart, rng: random.Random) -> list[Asked]:
    """Values, extremes, the number of bars, the whole table."""
    k = rng.randrange(len(chart.values))
    colour, value = chart.colours[k], chart.values[k]
    question = rng.choice(
        (f"what is the value of the {colour} bar?", f"how high is {colour}?", f"value of {colour}?")
    )
    asked = [Asked("value", question, str(value))]
    for choose, words in ((max, ("highest", "largest")), (min, ("lowest", "smallest"))):
        end = choose(chart.values)
        if chart.values.count(end) == 1:
            question = rng.choice(
                (f"which bar is the {words[0]}?", f"which colour has the {words[1]} value?")
            )
            asked.append(Asked("extreme", question, chart.colours[chart.values.index(end)]))
    question = rng.choice(("how many bars are there?", "how many bars does the chart have?"))
    asked.append(Asked("bars", question, NUMBERS[len(chart.values)]))
    question = rng.choice(
        ("give the values as a table.", "read the chart as csv.", "turn the chart into a table.")
    )
    asked.append(Asked("table", question, table(chart)))
    return asked


def some(asked: list[Asked], count: int, rng: random.Random) -> list[Asked]:
    """`count` of the questions in random order, by how likely their kinds are."""
    keyed = sorted(asked, key=lambda one: rng.random() ** (1 / LIKELY.get(one.kind, 1.0)), reverse=True)
    return keyed[:count]
