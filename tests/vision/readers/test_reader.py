"""Readers of text: rapidocr on drawn signs and a bill, tesseract's table, and what is left out."""

import sys
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from core.errors import JobCancelled, ModelError
from core.results import TextLine, count_words, text_of_lines
from vision.readers import ocr
from vision.readers.ocr import MOST_LINES, TextReader
from vision.readers.rapid_ocr import RATIO, padded, straight, tight
from vision.reporter import Reporter

BILL = [("Item", "Qty", "Price"), ("Apples", "3", "4.50"), ("Bread", "1", "2.80"), ("Total", "", "13.50")]


@pytest.fixture(scope="module")
def rapid() -> TextReader:
    rapidocr = pytest.importorskip("rapidocr")
    return ocr.load_ocr(Path(rapidocr.__file__).parent / "models", "rapidocr", {}, "cpu", None)


def bill(angle: float = 0) -> Image.Image:
    image = Image.new("RGB", (720, 320), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(28)
    for number, row in enumerate(BILL):
        for x, cell in zip((40, 320, 520), row, strict=True):
            draw.text((x, 30 + 70 * number), cell, fill="black", font=font)
    return image.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor="white")


def line(text: str, score: float = 1.0) -> TextLine:
    return TextLine(text, score, ((0, 0), (10, 0), (10, 10), (0, 10)))


class Steps(Reporter):
    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []
        self.stop_at = 0

    def step(self, step, total, preview=None) -> None:
        self.seen.append((step, total))

    def check(self) -> None:
        if self.stop_at and len(self.seen) >= self.stop_at:
            raise JobCancelled


@pytest.mark.slow
@pytest.mark.parametrize(
    "angle", [0, -10, *(pytest.param(angle, marks=pytest.mark.long) for angle in (5, 7))]
)
def test_a_bill_is_read_cell_by_cell_in_the_order_of_its_rows(rapid, angle: float) -> None:
    found = rapid.read(bill(angle))
    assert text_of_lines(found).split("\n") == ["  ".join(filter(None, row)) for row in BILL]
    assert count_words(found) == 14  # 4.50 has two
    assert min(each.score for each in found) > 0.8


def test_boxes_lie_where_the_text_is(rapid) -> None:
    by_text = {each.text: each.bounds for each in rapid.read(bill())}
    font = ImageFont.load_default(28)
    for x, y, cell in ((40, 30, "Item"), (520, 240, "13.50")):
        left, top, right, bottom = by_text[cell]
        across, down, to, end = font.getbbox(cell)
        assert abs(left - x - across) < 8 and abs(right - x - to) < 8
        assert abs(top - y - down) < 10 and abs(bottom - y - end) < 10


def test_nothing_is_read_in_an_empty_picture(rapid) -> None:
    assert rapid.read(Image.new("RGB", (300, 200), "white")) == []
    assert rapid.read(Image.new("RGB", (3, 3))) == []


@pytest.mark.parametrize("size", [(3000, 9), (9, 3000), (1, 1), (5000, 700)])
def test_a_picture_that_is_next_to_a_line_is_padded_before_it_is_enlarged(rapid, size) -> None:
    sheet = padded(Image.new("RGB", size, "red"))
    assert max(sheet.size) <= RATIO * min(sheet.size) + RATIO and sheet.getpixel((0, 0)) == (255, 0, 0)
    assert sheet.width >= size[0] and sheet.height >= size[1]
    assert max(sheet.size) == max(size)


@pytest.mark.slow
def test_a_line_that_fills_its_picture_is_read_and_letters_as_large_as_a_picture_are_too(rapid) -> None:
    font = ImageFont.load_default(40)
    left, top, right, bottom = font.getbbox("WELCOME")
    image = Image.new("RGB", (round(right - left) + 16, round(bottom - top) + 16), "white")
    ImageDraw.Draw(image).text((8 - left, 8 - top), "WELCOME", "black", font)
    assert text_of_lines(rapid.read(image)) == "WELCOME"
    large = Image.new("RGB", (1100, 700), "white")
    ImageDraw.Draw(large).text((90, 80), "H8F", "black", ImageFont.load_default(480))
    assert "H8F" in text_of_lines(rapid.read(large))


def test_boxes_are_close_around_the_letters_on_a_board_too() -> None:
    cut = Image.new("RGB", (200, 80), "grey")
    draw = ImageDraw.Draw(cut)
    draw.rectangle((10, 5, 190, 75), "white")
    draw.rectangle((60, 25, 139, 54), "black")
    box = ((100, 100), (300, 100), (300, 180), (100, 180))
    assert [tuple(map(round, point)) for point in tight(cut, box)] == [
        (160, 125),
        (240, 125),
        (240, 155),
        (160, 155),
    ]
    assert tight(Image.new("RGB", (200, 80), "white"), box) == box


def test_a_line_of_a_table_is_no_letter() -> None:
    cut = Image.new("RGB", (200, 80), "white")
    draw = ImageDraw.Draw(cut)
    draw.rectangle((60, 25, 139, 54), "black")
    draw.line((0, 72, 199, 74), "black", 2)
    draw.line((190, 0, 190, 79), "black", 2)
    box = ((100, 100), (300, 100), (300, 180), (100, 180))
    corners = [tuple(map(round, point)) for point in tight(cut, box)]
    assert corners == [(160, 125), (240, 125), (240, 155), (160, 155)]


def test_upright_text_is_turned_before_it_is_read() -> None:
    image = Image.new("RGB", (100, 100))
    assert straight(image, ((10, 10), (20, 10), (20, 90), (10, 90))).size == (80, 10)
    assert straight(image, ((10, 10), (90, 10), (90, 30), (10, 30))).size == (80, 20)


def test_lines_that_nobody_is_sure_of_are_left_out_and_each_place_is_a_step() -> None:
    steps = Steps()
    text = TextReader("it", lambda image: [line("yes"), line("no", 0.4), None, line("  ")])
    assert [each.text for each in text.read(Image.new("RGB", (9, 9)), steps)] == ["yes"]
    assert steps.seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_reading_ends_between_two_lines_when_it_is_stopped() -> None:
    steps = Steps()
    steps.stop_at = 2
    with pytest.raises(JobCancelled):
        TextReader("it", lambda image: [line("a")] * 9).read(Image.new("RGB", (9, 9)), steps)
    assert len(steps.seen) == 2


def test_so_many_lines_are_read_and_no_more() -> None:
    text = TextReader("it", lambda image: [line("a")] * (MOST_LINES + 5))
    assert len(text.read(Image.new("RGB", (9, 9)))) == MOST_LINES


def test_weights_that_are_missing_are_not_fetched(tmp_path) -> None:
    with pytest.raises(ModelError, match="weights"):
        ocr.load_ocr(tmp_path, "rapidocr", {}, "cpu", None)


def test_the_words_of_tesseracts_table_become_lines() -> None:
    header = "level page_num block_num par_num line_num word_num left top width height conf text".split()
    rows = [
        header,
        ["4", "1", "1", "1", "1", "0", "10", "5", "90", "20", "-1", ""],
        ["5", "1", "1", "1", "1", "1", "10", "6", "40", "18", "96.5", "Größe"],
        ["5", "1", "1", "1", "1", "2", "60", "5", "40", "20", "93.5", '"XL"'],
        ["5", "1", "2", "1", "1", "1", "10", "60", "40", "20", "50", "Ende"],
    ]
    found = list(ocr.lines_of("\n".join("\t".join(row) for row in rows)))
    assert [(each.text, each.score, each.bounds) for each in found] == [
        ('Größe "XL"', 0.95, (10, 5, 100, 25)),
        ("Ende", 0.5, (10, 60, 50, 80)),
    ]


def test_tesseract_says_what_is_missing(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ModelError, match="OCR=rapid"):
        ocr.load_ocr(tmp_path, "tesseract:deu", {}, "cpu", None)


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for the program")
def test_tesseract_is_run_with_its_languages(tmp_path, monkeypatch) -> None:
    program = tmp_path / "tesseract"
    program.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = --list-langs ]; then printf "List of languages (2):\\ndeu\\neng\\n"; exit; fi\n'
        'printf "page_num\\tblock_num\\tpar_num\\tline_num\\tleft\\ttop\\twidth\\theight\\tconf\\ttext\\n"\n'
        'printf "1\\t1\\t1\\t1\\t1\\t2\\t3\\t4\\t90\\t$4\\n"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    text = ocr.load_ocr(tmp_path, "tesseract:deu+eng", {}, "cpu", None)
    assert text_of_lines(text.read(bill())) == "deu+eng"
    with pytest.raises(ModelError, match="no files for fra"):
        ocr.load_ocr(tmp_path, "tesseract:fra", {}, "cpu", None)
