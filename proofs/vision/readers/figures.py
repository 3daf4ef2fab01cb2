"""How well text is read: ``python -m proofs.vision.readers.figures [--signs 500] [--bills 50]``.

Signs of 2 to 8 random capitals and digits in 256 to 1024 px and bills of 15 to 32 cells, turned by up to 10°,
as JPEG of quality 60, all drawn with fixed seeds. A sign or cell counts when its text is exact but for
spaces; a box when it covers the tight box around the ink with an IoU of .5. With ``--pictures FOLDER`` what
is read in each picture there is printed, to be judged by eye.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image
from shapely.geometry import Polygon

from core.results import TextLine, lines_in_rows, text_of_lines
from demo.evaluate import wilson
from proofs.vision.readers.drawn import EVERY_CASE, Drawn, Word, bill, sign
from vision.readers.ocr import TextReader, load_ocr
from vision.weights import packaged

FITS = 0.5  # IoU of a box
SEED = 16
ALIKE = str.maketrans("OoIl|", "00111")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--signs", type=int, default=500)
    parser.add_argument("--bills", type=int, default=50)
    parser.add_argument("--pictures", type=Path, help="a folder of real pictures, read one by one")
    arguments = parser.parse_args()
    reader = rapid()
    if arguments.pictures:
        for path in sorted(arguments.pictures.iterdir()):
            tell(reader, path)
        return
    print("| what | share | 95 % interval | n | CPU s each |\n|---|---|---|---|---|")
    for name, drawn, count in (
        ("signs of capitals and digits", sign, arguments.signs),
        ("bills", bill, arguments.bills),
        ("signs of capitals, small letters and digits", every_case, arguments.signs // 5),
    ):
        row(reader, name, drawn, count)


def row(reader: TextReader, name: str, draw: Callable[[random.Random], Drawn], count: int) -> None:
    """Print the lines of one kind of picture."""
    exact: list[bool] = []
    alike: list[bool] = []
    boxes: list[bool] = []
    whole: list[bool] = []
    began, wrong = time.process_time(), list[str]()
    for drawn in pictures(draw, count):
        found = reader.read(drawn.image)
        right = [judged(word, found) for word in drawn.words]
        exact += [text for text, _ in right]
        alike += [folded(said(word, found)) == folded(word.text) for word in drawn.words]
        boxes += [box for _, box in right]
        whole.append(rows_of(found) == [[word.replace(" ", "") for word in line] for line in drawn.rows])
        wrong += [
            f"{word.text} → {said(word, found)}"
            for word, (fine, _) in zip(drawn.words, right, strict=True)
            if not fine
        ]
    seconds = (time.process_time() - began) / count
    for what, hits in (
        ("texts exact", exact),
        ("… where O is 0, and I and l are 1", alike),
        ("boxes", boxes),
        ("whole pictures in order", whole),
    ):
        low, high = wilson(sum(hits), len(hits))
        print(
            f"| {name}: {what} | {sum(hits) / len(hits):.1%} | {low:.1%} to {high:.1%} | {len(hits)} |"
            f" {seconds:.2f} |",
            flush=True,
        )
    print(f"<!-- {len(wrong)} wrong: {', '.join(wrong[:12])} -->", flush=True)


def pictures(draw: Callable[[random.Random], Drawn], count: int) -> Iterator[Drawn]:
    """Yield pictures, the same ones each time."""
    for number in range(count):
        yield draw(random.Random(f"{SEED}:{draw.__name__}:{number}"))


def every_case(rng: random.Random) -> Drawn:
    """Draw a sign on which capitals and small letters of the same shape can't be told apart."""
    return sign(rng, EVERY_CASE)


def judged(word: Word, found: list[TextLine]) -> tuple[bool, bool]:
    """Return whether a text was read exactly, and whether a box lies on it."""
    covered = [(overlap(word, line), line) for line in found]
    best, line = max(covered, key=lambda pair: pair[0], default=(0.0, None))
    exact = line is not None and best > 0 and line.text.replace(" ", "") == word.text.replace(" ", "")
    return exact, best >= FITS


def folded(text: str) -> str:
    """Return a text with one sign for those that look the same where they stand alone."""
    return text.translate(ALIKE).replace(" ", "")


def said(word: Word, found: list[TextLine]) -> str:
    """Return what was read where a text stands."""
    best, text = max(((overlap(word, line), line.text) for line in found), default=(0.0, ""))
    return text if best > 0 else "nothing"


def overlap(word: Word, line: TextLine) -> float:
    """Return the IoU of the true box and the one that was found."""
    true, box = Polygon(word.box), Polygon(line.box)
    if not box.is_valid:
        return 0.0
    shared = true.intersection(box).area
    return shared / (true.area + box.area - shared)


def rows_of(found: list[TextLine]) -> list[list[str]]:
    """Return what was read, row by row."""
    return [[line.text.replace(" ", "") for line in line_row] for line_row in lines_in_rows(found)]


def tell(reader: TextReader, path: Path) -> None:
    """Print what is read in one picture."""
    with Image.open(path) as image:
        picture = image.convert("RGB")
    began = time.process_time()
    found = reader.read(picture)
    seconds = time.process_time() - began
    print(f"== {path.name}, {picture.width}×{picture.height}: {len(found)} lines in {seconds:.2f} CPU s")
    print(text_of_lines(found))


def rapid() -> TextReader:
    """Return rapidocr, loaded."""
    folder = packaged.find_program(packaged.RAPID)
    assert folder is not None, "make setup EXTRAS=ocr"
    return load_ocr(folder, packaged.RAPID, {}, "cpu", None)


if __name__ == "__main__":
    main()
