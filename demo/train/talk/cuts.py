"""Where the writers' sentences are cut into changes, to learn it: each gap of a sentence, and whether it is a
cut. Few sentences have two changes, so pairs of short ones are joined as people join them."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from itertools import combinations

from core.talk import Decision
from demo.train.talk import corpora
from studio.talk import rules
from studio.talk.cuts import Gap, gaps
from studio.talk.words import plain, read_words

LITTLE = frozenset("the a it and on of in to also then please now with".split())
MARKS = (
    *(", ", ", ", ", ", " and ", " and ", ", and ", ". ", "; ", " + ", " n ", " & ", ", also ", " but "),
    *(" then ", " plus ", " ", " uh ", " - ", ", then ", ". And ", ". Also "),
)
JOINED_WEIGHT = 0.15  # of a gap of a joined pair
SHORT = 7  # words of a sentence that is joined
Cut = tuple[frozenset[str], bool, float]  # the features of a gap, whether it is a cut, and its weight


def stems(text: str) -> set[str]:
    """Return the beginnings of the words of a text that say something."""
    found = {word.text for word in read_words(plain(text)) if word.text[0].isalnum()}
    return {word[:5] for word in found - LITTLE}


def is_cut_right(turn: corpora.Turn, found: Decision) -> bool:
    """Whether a change is cut into as many parts as it has, each with all words that are its own: what a
    part begins and ends with beside them says nothing to an editor."""
    parts = [stems(part) for part in turn["parts"]]
    if len(found.changes) != len(parts):
        return False
    said = stems(turn["say"])
    own = [(part & said).difference(*(other for other in parts if other is not part)) for part in parts]
    return len(parts) == 1 or all(
        words <= stems(change) for words, change in zip(own, found.changes, strict=True)
    )


def true_cuts(said: str, parts: list[str], found: list[Gap]) -> set[Gap] | None:
    """Return the gaps where a sentence is cut into its true parts, None where that can't be told."""
    if len(parts) == 1:
        return set()
    if not len(parts) - 1 <= len(found) <= 40:
        return None
    words = [stems(part) for part in parts]

    def agreement(cuts: tuple[Gap, ...]) -> float:
        ends, begins = [*(cut.end for cut in cuts), len(said)], [0, *(cut.begin for cut in cuts)]
        total = 0.6 * sum(re.search(r"\w|[^\w\s]", said[cut.end : cut.begin]) is not None for cut in cuts)
        for begin, end, own in zip(begins, ends, words, strict=True):
            here = stems(said[begin:end])
            others = set[str]().union(*(other for other in words if other is not own))
            total += len(here & own) - 0.5 * len((here & others) - own)
        return total

    return set(max(combinations(found, len(parts) - 1), key=agreement))


def cuts_of(dialogues: list[dict[str, list[corpora.Turn]]], weight: float) -> Iterator[Cut]:
    """Give the gaps of a writer's changes, and those of pairs that are joined."""
    short: list[str] = []
    for dialogue in dialogues:
        for turn, _ in corpora.with_states(dialogue):
            if turn["kind"] != "change" or not turn.get("parts"):
                continue
            said = rules.without_closely(" ".join(turn["say"].split()))[0]
            found = gaps(said)
            if (cuts := true_cuts(said, turn["parts"], found)) is None:
                continue
            yield from ((gap.features, gap in cuts, weight) for gap in found)
            if len(turn["parts"]) == 1 and len(said.split()) <= SHORT and not re.search(r"[.;:!?]\s", said):
                short.append(said.strip(" ,.;:!?"))
    chance = random.Random(1)
    for _ in range(min(500, 2 * len(short)) if len(short) > 1 else 0):
        one, two = chance.sample(short, 2)
        if chance.random() < 0.7 and two[:2] != "I ":
            two = two[:1].lower() + two[1:]
        mark = chance.choice(MARKS)
        if re.match(r"(?:and|but|then|also|plus|no|now|so)\b", two, re.I):
            mark = ", "
        for gap in gaps(one + mark + two):
            yield gap.features, gap.end <= len(one) and gap.begin >= len(one), JOINED_WEIGHT
