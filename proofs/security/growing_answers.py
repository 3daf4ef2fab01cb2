"""A forbidden term in an answer that grows: ``python -m proofs.security.growing_answers``.

Whatever two edits of a message come in between, nothing of a term may have been on screen when the rule stops
the answer: every pair of lengths at which the answer may be shown is tried, for terms of the rules and of a
server, at several places, plainly and in disguise; both edits judged, or the second shown before its time.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from unittest import mock

from studio.moderation import rules
from studio.moderation.moderator import AnswerBlocked, Listener

OWN = ("purple elephant", "zorblax*", "dolmikug" * 7)
TERMS = ("naked", "blowjob", "erect penis", "masturbating", "purple elephant", "zorblaxing", OWN[2])
FILLER = "A red house stands by the sea, and behind it there is a hill with an old stone tower on its top. "
BEFORE = (0, 1, 37, 97)  # characters of an answer before the term
AFTER = 70  # characters behind it


@dataclass
class Report:
    """pairs: of edits that were tried. shown: those at which a part of the term was on screen. missed: those
    whose answer ended with the term in it. most: characters of a term that were on screen."""

    pairs: int = 0
    shown: int = 0
    missed: int = 0
    most: int = 0


def plain(term: str) -> str:
    return term


def spaced(term: str) -> str:
    return " ".join(term.replace(" ", ""))


def look_alike(term: str) -> str:
    return term.translate(str.maketrans("aeiop", "аеіор"))  # Cyrillic


def hidden(term: str) -> str:
    return "\u200b".join(term)


def wide(term: str) -> str:
    return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in term)


WAYS: tuple[Callable[[str], str], ...] = (plain, look_alike, hidden, wide, spaced)


def tried(term: str, before: int, after: int = AFTER) -> Report:
    """Try every pair of lengths of one answer. before, after: characters around ``term``."""
    start = (FILLER * 2)[:before].rstrip() + " " * bool(before)
    text, report = f"{start}{term} {FILLER[:after]}", Report()
    for first, second in _pairs(len(text)):
        for pause in (1.0, 0.0):  # seconds between the two edits
            report.pairs += 1
            on_screen, ended = _shown(text, (first, second), pause)
            part = max(0, on_screen - len(start))
            report.shown += part > 0
            report.missed += ended
            report.most = max(report.most, part)
    return report


def _pairs(length: int) -> Iterator[tuple[int, int]]:
    return ((a, b) for a in range(1, length) for b in range(a + 1, length + 1))


def _shown(text: str, lengths: tuple[int, int], pause: float) -> tuple[int, bool]:
    """How many characters were on screen at most, and whether the answer ended without a rule."""
    now, most = 0.0, 0
    listener = Listener("What is it?", "standard", OWN, adult=False, clock=lambda: now)
    try:
        for length in lengths:
            most = max(most, len(listener(text[:length], False)))
            now += pause
        listener(text, True)
    except AnswerBlocked:
        return most, False
    return most, True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--terms", type=int, default=len(TERMS))
    options, bad, pairs, began = parser.parse_args(), 0, 0, time.monotonic()
    with mock.patch.object(rules, "judge", lru_cache(maxsize=4096)(rules.judge)):
        for term in TERMS[: options.terms]:
            for way in WAYS:
                reports = [tried(way(term), before) for before in BEFORE]
                shown, missed = sum(r.shown for r in reports), sum(r.missed for r in reports)
                pairs += sum(r.pairs for r in reports)
                bad += shown + missed
                if shown or missed:
                    most = max(r.most for r in reports)
                    told = f"{shown} times on screen, at most {most} characters; {missed} times to the end"
                    print(f"{way.__name__} {term!r}: {told}", flush=True)
    print(
        f"{pairs:,} pairs of edits in {time.monotonic() - began:.0f} s: {bad} with a part of a term on screen"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
