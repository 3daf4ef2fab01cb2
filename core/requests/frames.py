"""Frames of a film: what each is called by its time, and which of them an answer names. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

MAX_DECIMALS = 3
_NUMBER = r"\d{1,4}(?:[.,]\d{1,3})?"
_BETWEEN = r"\s*(?:-|–|to|and|or|,|/|…)\s*"
_SECONDS = re.compile(
    rf"(?<![\w.:])({_NUMBER}(?:\s*s)?(?:{_BETWEEN}{_NUMBER}(?:\s*s)?){{0,15}})\s*(?:s|secs?|seconds?)\b",
    re.IGNORECASE,
)
_CLOCK = re.compile(r"(?<![\w.:])(?:(\d{1,2}):)?(\d{1,2}):([0-5]\d(?:\.\d{1,3})?)(?![\w:])")


class Cited(NamedTuple):
    """A time in a text: text[begin:end] names frame number ``frame``, from 0."""

    begin: int
    end: int
    frame: int


def frame_labels(times: Sequence[float]) -> list[str]:
    """Return what frames are called, such as "3.5 s"; with more decimals where two would be called the
    same."""
    for decimals in range(1, MAX_DECIMALS + 1):
        found = [f"{seconds:.{decimals}f} s" for seconds in times]
        if len(set(found)) == len(found):
            break
    return found if times else []


def clock(seconds: float) -> str:
    """Return a time as minutes and whole seconds, such as 00:03."""
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"


def cited_frames(text: str, times: Sequence[float]) -> list[Cited]:
    """Return the times in an answer that are those of frames, in order. "3.5 s" names the frame nearest to
    3.5 among those that are 3.5 when rounded; so do "between 1.5 and 3.5 s" and 00:03."""
    found = []
    for begin, end, seconds, slack in sorted(_times_in(text)):
        frame = min(range(len(times)), key=lambda i: abs(times[i] - seconds), default=None)
        if frame is not None and abs(times[frame] - seconds) <= slack + 1e-9:
            found.append(Cited(begin, end, frame))
    return found


def _times_in(text: str) -> Iterator[tuple[int, int, float, float]]:
    """Yield (begin, end, seconds, half of what its last digit stands for) of each time in a text."""
    for listed in _SECONDS.finditer(text):
        for number in re.finditer(_NUMBER, listed[1]):
            plain = number[0].replace(",", ".")
            begin, decimals = listed.start(1) + number.start(), len(plain.partition(".")[2])
            yield begin, listed.start(1) + number.end(), float(plain), 0.5 * 10**-decimals
    for time in _CLOCK.finditer(text):
        hours, minutes, seconds = time.groups()
        whole = 3600 * int(hours or 0) + 60 * int(minutes) + float(seconds)
        if "." in seconds:
            yield time.start(), time.end(), whole, 0.5 * 10 ** -len(seconds.partition(".")[2])
        else:  # a clock isn't rounded: 00:03 lasts until 00:04
            yield time.start(), time.end(), whole + 0.5, 0.5


def pieces_by_frame(text: str, times: Sequence[float]) -> list[tuple[str, int | None]]:
    """Return a text in pieces, each with the number of the frame that it names, None = none."""
    done, found = 0, list[tuple[str, int | None]]()
    for begin, end, frame in cited_frames(text, times):
        if begin > done:
            found.append((text[done:begin], None))
        found.append((text[begin:end], frame))
        done = end
    return [*found, (text[done:], None)] if done < len(text) or not found else found
