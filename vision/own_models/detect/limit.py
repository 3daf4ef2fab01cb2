"""From which score on a thing is told: what another one would change, and which of two detectors finds more.
Pure functions on what a report tells of pictures that were kept for testing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import UserError

USUAL, STEP = 0.3, 0.1  # score from which on a thing is told; from one move to the next
LOWEST, HIGHEST = 0.1, 0.9
Told = Mapping[str, Any]  # of a picture that was kept for testing: objects and false, each [label, score]


@dataclass(frozen=True)
class Counts:
    """found of ``there`` things are told of from some score on, and so are ``wrong`` boxes that are none."""

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
        found = fewest_errors(test)
    else:
        found = round(now + (STEP if move == "stricter" else -STEP), 4)
    if not LOWEST <= found <= HIGHEST:
        raise UserError(f"Things are told from a score of {now:g} on; {LOWEST:g} to {HIGHEST:g} is possible.")
    return found, _sentence(counts(test, now), counts(test, found), found)


def told(threshold: float, test: Sequence[Told]) -> str:
    """Say what a threshold that was chosen since means, "" of the usual one."""
    now = counts(test, threshold)
    if threshold == USUAL:
        return ""
    return (
        f"Things are told from a score of {threshold:g} on: {now.found} of {now.there} in test pictures are"
        f" found, {now.wrong} boxes are drawn around what is none."
    )


def fewest_errors(test: Sequence[Told]) -> float:
    """Return the threshold with the fewest things missed and boxes that are none together, the middle of
    several. Raises UserError where nothing was tested."""
    if not any(one["objects"] for one in test):
        raise UserError("No picture with things in it was kept for testing: nothing is known of errors.")
    steps = [round(LOWEST + 0.01 * at, 2) for at in range(round((HIGHEST - LOWEST) / 0.01) + 1)]
    came = [counts(test, step) for step in steps]
    errors = [one.there - one.found + one.wrong for one in came]
    best = [step for step, error in zip(steps, errors, strict=True) if error == min(errors)]
    return best[len(best) // 2]


def _sentence(now: Counts, then: Counts, threshold: float) -> str:
    said = [f"Things are told from a score of {threshold:g} on."]
    if then.there:
        said.append(f"{then.found} of {then.there} things in test pictures are found ({now.found} now).")
        boxes = "box is" if then.wrong == 1 else "boxes are"
        said.append(f"{then.wrong} {boxes} drawn around what is none ({now.wrong} now).")
    else:
        said.append("No picture was kept for testing, so what it changes isn't known.")
    return " ".join(said)


def found_by(
    first: Mapping[str, Told], second: Mapping[str, Told], thresholds: tuple[float, float]
) -> tuple[tuple[list[bool], list[bool]], tuple[int, int]]:
    """Return whether each thing in pictures that two versions were tested on is found by the one and by the
    other, and how many boxes each draws there around what is none. What was marked anew in between is left
    out."""
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
    return f"Boxes around what is none: {wrong[0]} of version {first}, {wrong[1]} of version {second}."
