"""tesseract, a program of its own for more than a hundred languages and scripts. It has to be installed on
the machine, with a file for each language."""

from __future__ import annotations

import csv
import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from core.errors import ModelError
from core.results import TextLine
from vision.ocr.programs import TESSERACT, fix

PAGE = "11"  # of its modes: text anywhere, in no order; pictures are seldom pages
SECONDS = 120.0  # for one picture
PLACE = ("page_num", "block_num", "par_num", "line_num")  # what words of one line have in common


@dataclass(frozen=True)
class _Lines:
    """Lines that are read already: the program reads a picture in one go."""

    lines: tuple[TextLine, ...]

    def __len__(self) -> int:
        return len(self.lines)

    def __iter__(self) -> Iterator[TextLine | None]:
        return iter(self.lines)


class Tesseract:
    """The program with some languages, such as "deu+eng". Raises ModelError where it or a language isn't
    installed."""

    def __init__(self, languages: str) -> None:
        program = shutil.which(TESSERACT)
        if program is None:
            raise ModelError(f"tesseract isn't installed on this machine: {fix(TESSERACT)}.")
        self._program, self._languages = program, languages or "eng"
        known = self._run(["--list-langs"]).splitlines()[1:]
        if missing := [one for one in self._languages.split("+") if one not in known]:
            raise ModelError(
                f"tesseract has no files for {', '.join(missing)} on this machine; it has"
                f" {', '.join(known) or 'none'}."
            )

    def begin(self, image: Image.Image) -> _Lines:
        """Read a picture."""
        png = io.BytesIO()
        image.convert("RGB").save(png, "PNG", compress_level=1)
        table = self._run(["-", "-", "-l", self._languages, "--psm", PAGE, "tsv"], png.getvalue())
        return _Lines(tuple(lines_of(table)))

    def _run(self, arguments: list[str], given: bytes = b"") -> str:
        try:
            done = subprocess.run(
                [self._program, *arguments],
                input=given,
                capture_output=True,
                timeout=SECONDS,
                env={**os.environ, "OMP_THREAD_LIMIT": "1"},
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ModelError(f"tesseract gave no answer: {type(error).__name__}.") from error
        if done.returncode:
            raise ModelError(f"tesseract ended with status {done.returncode}.")
        return done.stdout.decode("utf-8", "replace")


def lines_of(table: str) -> Iterator[TextLine]:
    """Yield the lines in tesseract's table of words (tab-separated, a header first)."""
    found: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in csv.DictReader(io.StringIO(table), delimiter="\t", quoting=csv.QUOTE_NONE):
        if (row.get("text") or "").strip() and float(row["conf"]) >= 0:
            found.setdefault(tuple(row[name] for name in PLACE), []).append(row)
    for words in found.values():
        left, top = (min(int(word[side]) for word in words) for side in ("left", "top"))
        right = max(int(word["left"]) + int(word["width"]) for word in words)
        bottom = max(int(word["top"]) + int(word["height"]) for word in words)
        score = sum(float(word["conf"]) for word in words) / len(words) / 100
        box = (left, top), (right, top), (right, bottom), (left, bottom)
        yield TextLine(" ".join(word["text"] for word in words), score, box)
