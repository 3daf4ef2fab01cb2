"""Forms of answer in a worker: asked once more, drawn, and measured without a chat model."""

import importlib.util
import random
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

from core.errors import UserError
from core.events import ChatAnswer
from core.requests import AskRequest
from proofs.vision.readers.chart_rows import compared
from tests.support import tiny
from tests.vision.chat import shapes
from tests.vision.conftest import SHA, cpu_models
from tests.vision.readers.drawn_charts import draw, some_chart
from vision.capabilities.ask import run
from vision.chat.output_parser import TABLE
from vision.protocol import Measure, Talk, Turn
from vision.readers.charts import NO_BARS, measure
from vision.readers.ocr import BY_AXIS, BY_OCR
from vision.reporter import Reporter
from vision.store import Models

OCR = {"ocr": "program:rapidocr"}
has_ocr = pytest.mark.skipif(
    importlib.util.find_spec("rapidocr") is None, reason="the extra ocr isn't installed"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("qwen3-vl")
    shapes.save("qwen3-vl", folder)
    return folder


@pytest.fixture
def picture(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "picture.png"
    tiny.picture(96, 64).save(path)
    return {SHA: str(path)}


def models_of(tmp_path: Path, **roles: str) -> Models:
    torch.set_num_threads(1)
    return cpu_models(roles, tmp_path, cpu_threads=1)


def saying(models: Models, monkeypatch, *texts: str) -> list[Talk]:
    """Let the model say these texts, one after the other; return what it is asked."""
    asked: list[Talk] = []
    talker = models.get("ask")

    def answer(talk, pictures, reporter, **how) -> ChatAnswer:
        asked.append(talk)
        return ChatAnswer(texts[min(len(asked), len(texts)) - 1], "end", 10, 0, 5, ((96, 64),))

    monkeypatch.setattr(talker, "answer", answer)
    return asked


def test_the_worker_asks_once_more_and_draws_the_table(folder, picture, tmp_path, monkeypatch) -> None:
    models = models_of(tmp_path, ask=str(folder))
    asked = saying(models, monkeypatch, "none", '{"columns": ["", "mm"], "rows": [["Jan", 3], ["Feb", 4]]}')
    output = run(AskRequest(question="Rain?", images=(SHA,), form="table"), picture, models, Reporter())
    assert [talk.turns[-1].text.endswith(TABLE) for talk in asked] == [True, True]
    assert [turn.role for turn in asked[1].turns] == ["user", "assistant", "user"]
    assert output.answer.table.rows == (("Jan", 3.0), ("Feb", 4.0)) and output.answer.tokens_out == 10
    assert output.grid is not None and output.grid.width > 640


def test_boxes_are_in_thousandths_of_a_qwen3(folder, picture, tmp_path, monkeypatch) -> None:
    models = models_of(tmp_path, ask=str(folder))
    assert models.get("ask").model.wanted.boxes == "qwen3"
    saying(models, monkeypatch, '[{"bbox_2d": [500, 0, 1000, 500], "label": "house"}]')
    output = run(AskRequest(question="Where?", images=(SHA,), form="boxes"), picture, models, Reporter())
    [box] = output.answer.boxes
    assert (box.left, box.top, box.right, box.bottom) == (0.5, 0.0, 1.0, 0.5)
    assert (output.grid.width, output.grid.height) == (96, 64)


def test_a_tiny_model_that_babbles_is_asked_twice_and_shown_as_words(folder, picture, tmp_path) -> None:
    models = models_of(tmp_path, ask=str(folder))
    models.get("ask").model.max_tokens = 6
    talk = Talk((Turn("user", "Rain?", (SHA,), "abcdefghjkmn"),), "table", max_tokens=6)
    output = run(AskRequest(question="Rain?", images=(SHA,), form="table"), picture, models, Reporter(), talk)
    assert output.answer.table is None and output.answer.tokens_out == 12
    assert len(output.parameters["notes"]) == 1 and output.answer.tokens_cached > 0


@pytest.mark.slow
@has_ocr
def test_a_bar_chart_is_measured_and_no_chat_model_is_loaded(tmp_path: Path) -> None:
    chart = some_chart(random.Random(0))
    path = tmp_path / "chart.png"
    draw(chart).save(path)
    models = models_of(tmp_path, ask=str(tmp_path / "none"), **OCR)
    request = AskRequest(question="The numbers?", images=(SHA,), form="table")
    output = run(request, {SHA: str(path)}, models, Reporter())
    assert compared(chart, output.answer.table)[0] == len(chart.names) * len(chart.series)
    assert output.parameters["notes"] == [BY_AXIS] and output.grid is not None
    assert (output.answer.tokens_in, output.answer.tokens_out) == (0, 0)


@has_ocr
def test_text_is_read_by_ocr_with_its_boxes_and_without_any_model(tmp_path: Path) -> None:
    path = tmp_path / "sign.png"
    sign(path)
    models = models_of(tmp_path, **OCR)
    request = AskRequest(question="What does it say?", images=(SHA,), form="text")
    output = run(request, {SHA: str(path)}, models, Reporter())
    assert output.answer.text == "EXIT NORTH" and output.lines[0].text == "EXIT NORTH"
    assert output.grid is not None and output.parameters["notes"] == [BY_OCR]
    with pytest.raises(UserError, match="isn't a bar chart") as raised:
        run(AskRequest(question="?", images=(SHA,), form="table"), {SHA: str(path)}, models, Reporter())
    assert str(raised.value) == NO_BARS


def sign(path: Path) -> None:
    image = Image.new("RGB", (320, 120), "white")
    ImageDraw.Draw(image).text((30, 40), "EXIT NORTH", "black", ImageFont.load_default(36))
    image.save(path)


def test_without_a_reader_of_text_nothing_is_measured(picture, tmp_path: Path) -> None:
    assert measure(Measure("q", picture[SHA], "text"), models_of(tmp_path), Reporter()) is None
