"""Above which score a part is called strange, or an object is told, and what another threshold would change.

The score of a new good part is one more of the same kind as n held-out scores of good parts, so that it is
the largest of all for at most 1 in n + 1 (split conformal prediction, Vovk et al., 2005). Held-out scores
need no second set: each good part is scored by all others. Of several pictures of one part the strangest
stands for it, so that the promise holds for each."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from core.errors import UserError

LOOSER = 1.1  # times the largest, where ranks end
FEW = 1 / 3  # up to here a share is told as 1 in so many
SURE = 0.95  # certainty of an interval
GUESS = 2.5  # times the largest score of copies of the only good part, which promises nothing


@dataclass(frozen=True)
class Limit:
    """value: the score from which on a part is strange. above: of the n held-out good parts, those that score
    more. promise: the share of new good parts that is stopped at most, on average over trainings and while
    the camera stays the same."""

    value: float
    good: int
    above: int = 0

    @property
    def promise(self) -> Fraction:
        """(above + 1) of (good + 1)."""
        return Fraction(self.above + 1, self.good + 1)

    def sentence(self) -> str:
        """Say the promise."""
        if self.promise == 1:
            return "With one good part, the limit is only a guess."
        return promise_sentence(float(self.promise))


def promise_sentence(promise: float) -> str:
    """Say how many good parts are stopped by mistake, so that nobody has to know what a promise is."""
    many = f"{round(10 * promise)} good parts in 10"
    parts = f"1 good part in {round(1 / promise)}" if promise <= FEW else many
    return f"It stops about {parts}; show it more good ones to lower that."


def exact_promise(promise: float, good: int) -> str:
    """Say the same with its interval. good: held-out parts that the limit is from. Which share of new good
    parts lies above the k-th largest of n held-out scores is spread as Beta(k, n - k + 1) over trainings."""
    above = min(max(1, round(promise * (good + 1))), good)
    low, high = (100 * _quantile(above, good, share) for share in ((1 - SURE) / 2, (1 + SURE) / 2))
    return (
        f"Exactly: on average over trainings at most {100 * promise:.1f} % of new good parts, while camera"
        f" and light stay the same. From {good} good parts, a single training may stop {low:.1f} to"
        f" {high:.1f} % with {SURE:.0%} certainty."
    )


def _quantile(above: int, good: int, share: float) -> float:
    """Return the quantile of Beta(above, good - above + 1): where so many of ``good`` draws lie below it with
    that chance, by halving."""
    parts = [math.lgamma(good + 1) - math.lgamma(k + 1) - math.lgamma(good - k + 1) for k in range(above)]
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        one, none = math.log(middle), math.log1p(-middle)
        fewer = math.fsum(math.exp(part + k * one + (good - k) * none) for k, part in enumerate(parts))
        low, high = (low, middle) if 1 - fewer > share else (middle, high)
    return (low + high) / 2


def from_good(scores: Sequence[float], above: int = 0) -> Limit:
    """Return the limit that ``above`` of the held-out good scores lie over: 0 is the usual one, more is
    stricter. Raises ValueError unless 0 ≤ above < n."""
    if not 0 <= above < len(scores):
        raise ValueError(f"above must be 0 to {len(scores) - 1}, not {above}")
    return Limit(sorted(scores, reverse=True)[above], len(scores), above)


def strongest(scores: Sequence[float], groups: Sequence[int]) -> list[float]:
    """Return the largest score of each group, in the order of their first pictures."""
    found: dict[int, float] = {}
    for score, group in zip(scores, groups, strict=True):
        found[group] = max(score, found.get(group, score))
    return list(found.values())


def looser(scores: Sequence[float]) -> Limit:
    """Return a limit over all held-out scores. What it promises is no more than that of the usual one: few
    alarms are likely, not known."""
    return Limit(max(scores) * LOOSER, len(scores))


def fewest_errors(good: Sequence[float], bad: Sequence[float]) -> Limit:
    """Return the limit between held-out good and labelled bad scores with the fewest errors in all, each kind
    weighing the same; of equal ones the highest. Offered beside the usual one from five bad on."""
    best, found = float("inf"), max(good)
    for value in sorted({*good, *bad}, reverse=True):
        wrong = sum(s > value for s in good) / len(good) + sum(s <= value for s in bad) / len(bad)
        if wrong < best:
            best, found = wrong, value
    return Limit(found, len(good), sum(score > found for score in good))


USUAL, STEP = 0.3, 0.1  # score from which on an object is told; from one move to the next
LOWEST, HIGHEST = 0.1, 0.9
Told = Mapping[str, Any]  # of a picture that was kept for testing: objects and false, each [label, score]


@dataclass(frozen=True)
class Counts:
    """found of ``there`` objects are told of from some score on, and so are ``wrong`` boxes that are none."""

    found: int
    there: int
    wrong: int


def counts(test: Sequence[Told], threshold: float) -> Counts:
    """Return what a threshold makes of the pictures that were kept for testing."""
    objects = [float(score) for one in test for _, score in one["objects"]]
    false = [float(score) for one in test for _, score in one["false"]]
    found = sum(score >= threshold for score in objects)
    return Counts(found, len(objects), sum(score >= threshold for score in false))


def moved(now: float, test: Sequence[Told], move: str) -> tuple[float, str]:
    """Return the threshold that a move leads to, and what it changes, in sentences. Raises UserError where it
    can't go any further, and for the fewest errors where nothing was tested."""
    if move == "usual":
        found = USUAL
    elif move == "fewest":
        found = best_threshold(test)
    else:
        found = round(now + (STEP if move == "stricter" else -STEP), 4)
    if not LOWEST <= found <= HIGHEST:
        raise UserError(
            f"Objects are shown from a score of {now:g} on; {LOWEST:g} to {HIGHEST:g} is possible."
        )
    return found, _sentence(counts(test, now), counts(test, found), found)


def threshold_effect(threshold: float, test: Sequence[Told]) -> str:
    """Say what a threshold that was chosen since means, "" of the usual one."""
    now = counts(test, threshold)
    if threshold == USUAL:
        return ""
    return (
        f"Objects are shown from a score of {threshold:g} on: {now.found} of {now.there} in test pictures"
        f" are found, {now.wrong} wrong boxes are drawn."
    )


def best_threshold(test: Sequence[Told]) -> float:
    """Return the threshold with the fewest objects missed and boxes that are none together, the middle of
    several. Raises UserError where nothing was tested."""
    if not any(one["objects"] for one in test):
        raise UserError("No picture with objects was kept for testing, so errors can't be counted.")
    steps = [round(LOWEST + 0.01 * at, 2) for at in range(round((HIGHEST - LOWEST) / 0.01) + 1)]
    came = [counts(test, step) for step in steps]
    errors = [one.there - one.found + one.wrong for one in came]
    best = [step for step, error in zip(steps, errors, strict=True) if error == min(errors)]
    return best[len(best) // 2]


def _sentence(now: Counts, then: Counts, threshold: float) -> str:
    said = [f"Objects are shown from a score of {threshold:g} on."]
    if then.there:
        said.append(f"{then.found} of {then.there} objects in test pictures are found ({now.found} now).")
        boxes = "box is" if then.wrong == 1 else "boxes are"
        said.append(f"{then.wrong} {boxes} drawn wrongly ({now.wrong} now).")
    else:
        said.append("No picture was kept for testing, so what it changes isn't known.")
    return " ".join(said)


def found_by(
    first: Mapping[str, Told], second: Mapping[str, Told], thresholds: tuple[float, float]
) -> tuple[tuple[list[bool], list[bool]], tuple[int, int]]:
    """Return whether each object in pictures that two versions were tested on is found by either, and how
    many boxes each draws there around nothing. What was marked anew in between is left out."""
    found: tuple[list[bool], list[bool]] = ([], [])
    wrong = [0, 0]
    for sha256 in sorted(first.keys() & second.keys()):
        told = first[sha256], second[sha256]
        if [label for label, _ in told[0]["objects"]] != [label for label, _ in told[1]["objects"]]:
            continue
        for at, (one, threshold) in enumerate(zip(told, thresholds, strict=True)):
            found[at].extend(float(score) >= threshold for _, score in one["objects"])
            wrong[at] += sum(float(score) >= threshold for _, score in one["false"])
    return found, (wrong[0], wrong[1])


def drawn_wrongly(wrong: tuple[int, int], first: int, second: int) -> str:
    """Say how many boxes around nothing two versions draw."""
    return f"Wrong boxes: {wrong[0]} of version {first}, {wrong[1]} of version {second}."
