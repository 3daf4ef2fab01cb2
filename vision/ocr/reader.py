"""What a reader of text does, whoever recognises the letters: find where lines are, read one after the other,
and leave out what it isn't sure of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from cachetools import LRUCache
from PIL import Image

from core.results.text_lines import TextLine
from vision.reporter import Reporter

SURE = 0.5  # score under which a line is left out: rapidocr's own limit
KEPT = 200  # pictures whose text is kept
MOST_LINES = 1_000  # of one picture; what is lower down is left out


class Reading(Protocol):
    """A picture that is being read: its lines one by one, None for one that says nothing sure. Its length is
    how many there are to come in all."""

    def __len__(self) -> int:
        """Return the number of places where there seems to be text."""

    def __iter__(self) -> Iterator[TextLine | None]:
        """Read one place after the other."""


class TextReader:
    """A reader of text. begin: finds where there is text in a picture (RGB). kept: what was read for
    questions, by job and picture."""

    def __init__(self, name: str, begin: Callable[[Image.Image], Reading]) -> None:
        self.name, self._begin = name, begin
        self.kept = LRUCache[tuple[str, str], str](KEPT)

    def forget(self, job_ids: Collection[str]) -> None:
        """Give up what is kept of these jobs."""
        for key in [key for key in self.kept if key[0] in job_ids]:
            del self.kept[key]

    def read(self, image: Image.Image, reporter: Reporter | None = None) -> list[TextLine]:
        """Return the lines of text in a picture, as they were found; core.results.text_lines orders them.

        reporter: hears of each line as a step, and may end the reading between two.
        """
        reporter = reporter or Reporter()
        reading = reporter.in_thread(lambda: self._begin(image))
        places, total, found = iter(reading), min(len(reading), MOST_LINES), list[TextLine]()
        for number in range(total):
            reporter.check()
            line = reporter.in_thread(lambda: next(places))
            if line is not None and line.score >= SURE and line.text.strip():
                found.append(line)
            reporter.step(number + 1, total)
        return found


def load(folder: Path, name: str, card: Mapping[str, Any], device: str, dtype: Any) -> TextReader:
    """Return the reader called ``name``: "rapidocr", whose networks lie in ``folder``, or "tesseract" with
    its languages after a colon. Raises ModelError where it isn't installed."""
    from vision.ocr import programs, rapid, tesseract

    program, _, languages = name.partition(":")
    if program == programs.TESSERACT:
        return TextReader(name, tesseract.Tesseract(languages).begin)
    return TextReader(name, rapid.Rapid(folder).begin)
