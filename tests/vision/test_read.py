"""/read in the worker: lines in the order of reading, the picture with boxes, and what is said without a
reader or text."""

import io

import pytest
from PIL import Image, ImageDraw, ImageFont

from core.errors import JobCancelled, ModelError, UserError
from core.requests import ReadRequest
from core.results import TextLine, line_from_stored, lines_as_json, lines_in_rows, text_of_lines
from tests.vision.conftest import SHA, Recorder, ask, cpu_models
from vision import describe_models
from vision.protocol import WorkerConfig
from vision.readers import ocr
from vision.readers.ocr import TextReader
from vision.store import Models
from vision.weights import files


class Pretended(Models):
    """Models whose reader of text says what a test wants."""

    def __init__(self, *lines: TextLine) -> None:
        super().__init__(WorkerConfig("cpu", {"ocr": "program:rapidocr"}, "none"))
        self._reader = TextReader("pretended", lambda image: list(lines))

    def get(self, role, reporter=None):
        assert role == "ocr"
        return self._reader


def at(x: float, y: float, text: str, score: float = 1.0) -> TextLine:
    wide = 8 * len(text)
    return TextLine(text, score, ((x, y), (x + wide, y), (x + wide, y + 10), (x, y + 10)))


def sign(text: str = "OPEN 24 H") -> Image.Image:
    image = Image.new("RGB", (300, 120), "white")
    ImageDraw.Draw(image).text((30, 40), text, fill="black", font=ImageFont.load_default(36))
    return image


def test_a_sign_is_read_for_real(tmp_path) -> None:
    pytest.importorskip("rapidocr")
    models = cpu_models({"ocr": "program:rapidocr"}, tmp_path)
    recorder = Recorder()
    output = ask(models, ReadRequest(image=SHA), sign(), recorder)
    assert text_of_lines(output.lines).replace(" ", "") == "OPEN24H"
    assert output.parameters["model"] == "rapidocr" and output.parameters["width"] == 300
    boxed = Image.open(io.BytesIO(output.grid.data)).convert("RGB")
    assert boxed.size == (300, 120) and boxed.tobytes() != sign().tobytes()
    assert recorder.steps[-1][0] == recorder.steps[-1][1]


def test_lines_come_in_rows_from_the_top_each_from_the_left() -> None:
    models = Pretended(at(200, 52, "3"), at(10, 50, "apples"), at(12, 10, "Bill"), at(150, 90, "end"))
    output = ask(models, ReadRequest(image=SHA), sign())
    assert text_of_lines(output.lines) == "Bill\napples  3\nend"
    assert (
        text_of_lines(map(line_from_stored, (line.stored() for line in output.lines)))
        == "Bill\napples  3\nend"
    )
    assert '"rows": [\n' in lines_as_json(output.lines, (300, 120), "pretended")


def test_without_text_or_a_reader_a_sentence_says_so() -> None:
    with pytest.raises(UserError, match="no text"):
        ask(Pretended(), ReadRequest(image=SHA), sign())
    bare = cpu_models({}, "none")
    with pytest.raises(UserError, match="EXTRAS=ocr"):
        ask(bare, ReadRequest(image=SHA), sign())


def test_a_program_that_is_not_installed_is_named_with_its_fix(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    models = cpu_models({"ocr": "program:tesseract:deu"}, tmp_path)
    with pytest.raises(ModelError, match="isn't installed on this machine.*OCR=rapid"):
        ask(models, ReadRequest(image=SHA), sign())
    [info] = describe_models.describe_models({"ocr": "program:tesseract:deu"}, tmp_path)
    assert info.kind == "program" and info.problem == "isn't installed"
    assert files.parse("program:tesseract:deu").name == "tesseract:deu"


def test_it_can_be_stopped_between_two_lines() -> None:
    recorder = Recorder(stop_after=2)
    with pytest.raises(JobCancelled):
        ask(Pretended(*(at(0, 20 * n, "line") for n in range(9))), ReadRequest(image=SHA), sign(), recorder)
    assert recorder.steps == [(1, 9), (2, 9)]


def test_a_large_picture_is_shown_smaller_with_its_boxes_in_place() -> None:
    drawn = ocr.draw_lines(Image.new("RGB", (4096, 1024), "white"), [at(2000, 500, "x" * 50)])
    assert drawn.size == (2048, 512)
    changed = Image.eval(drawn.convert("L"), lambda value: 255 * (value < 250)).getbbox()
    assert changed is not None and abs(changed[0] - 1000) < 20 and abs(changed[2] - 1200) < 20


def test_a_box_that_is_drawn_leaves_room_around_the_letters() -> None:
    assert ocr.wider(at(100, 50, "x" * 10), 5) == [(95, 45), (185, 45), (185, 65), (95, 65)]
    turned = TextLine("x", 1.0, ((10, 10), (10, 30), (0, 30), (0, 10)))  # from the top to the bottom
    assert ocr.wider(turned, 2) == [(12, 8), (12, 32), (-2, 32), (-2, 8)]


def test_what_nobody_is_sure_of_has_another_colour() -> None:
    image = Image.new("RGB", (100, 60), "white")
    sure, unsure = (ocr.draw_lines(image, [at(10, 10, "text", score)]).tobytes() for score in (0.9, 0.6))
    assert sure != unsure


@pytest.mark.parametrize("lines", [[], [at(0, 0, "one")], [at(0, 0, "b"), at(0, 3, "a")]])
def test_rows_hold_every_line_once(lines: list[TextLine]) -> None:
    assert sorted(line.text for row in lines_in_rows(lines) for line in row) == sorted(
        line.text for line in lines
    )
