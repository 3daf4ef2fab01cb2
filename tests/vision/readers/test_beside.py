"""Text read by a real worker: a job of its own, a question that is told it, and a check, one beside the
other."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.requests import AskRequest, ReadRequest, to_json
from core.results import text_of_lines
from tests.vision.chat import shapes
from tests.vision.conftest import SHA
from tests.vision.readers.test_reader import BILL, bill
from tests.vision.test_worker import PATIENCE, Running, start
from vision.protocol import (
    Answered,
    Check,
    Checked,
    Choose,
    Chosen,
    Done,
    Quit,
    Run,
    Step,
    Stop,
    Stopped,
    Talk,
    Turn,
)

pytest.importorskip("rapidocr")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    os.environ["HF_HUB_OFFLINE"] = "1"
    folder: Path = tmp_path_factory.mktemp("worker")
    shapes.save("qwen3-vl", folder / "model")
    roles = {"ask": str(folder / "model"), "image": "", "ocr": "program:rapidocr"}
    made = start(
        roles, folder, method="spawn", allow_download=False
    )  # a fork after onnxruntime's threads hangs
    bill().save(folder / "bill.png")
    made.paths = {SHA: str(folder / "bill.png")}
    made.receive()
    yield made
    made.conn.send(Quit())
    made.process.join(PATIENCE)
    assert made.process.exitcode == 0


def read(job_id: str, running: Running) -> Run:
    return Run(job_id, "read", to_json(ReadRequest(image=SHA)), running.paths)


def test_a_worker_reads_a_bill_and_tells_each_line_as_a_step(running: Running) -> None:
    running.conn.send(read("one", running))
    heard, end = running.answer()
    assert isinstance(end, Done), end
    assert text_of_lines(end.output.lines).split("\n") == ["  ".join(filter(None, row)) for row in BILL]
    assert [message.step for message in heard if isinstance(message, Step)] == list(range(1, 12))


def test_reading_is_stopped(running: Running) -> None:
    running.conn.send(Stop("early"))
    running.conn.send(read("early", running))
    assert running.answer()[1] == Stopped("early")


def test_a_question_is_told_the_text_which_is_reported_before_its_first_word(running: Running) -> None:
    request = AskRequest(question="What is the total?", images=(SHA,))
    turn = Turn("user", request.question, request.images, "ask")
    talks = [Talk((turn,), max_tokens=4, read=read) for read in (False, True)]
    ends = []
    for talk in talks:
        running.conn.send(Run("ask", "ask", to_json(request), running.paths, talk))
        heard, end = running.answer()
        seen = [message.seen for message in heard if isinstance(message, Step) and message.seen]
        assert bool(seen) == talk.read and isinstance(end, Done), end
        ends.append(end.output.answer.tokens_in)
        if seen:
            assert "Total  13.50" in seen[0]
            texts = [i for i, message in enumerate(heard) if isinstance(message, Step) and message.text]
            assert not texts or texts[0] > next(i for i, m in enumerate(heard) if getattr(m, "seen", ""))
    assert ends[1] > ends[0] + 40


def test_a_choice_is_weighed_beside_the_jobs(running: Running) -> None:
    running.conn.send(Choose("q", "What is meant?", ("draw", "change", "back")))
    message = running.receive()
    while not isinstance(message, Answered):
        message = running.receive()
    found = Chosen(*message.answer)
    assert len(found.chances) == 3 and abs(sum(found.chances) - 1) < 1e-6


def test_a_check_reads_and_asks_beside_the_jobs(running: Running) -> None:
    running.conn.send(Check("q", tuple(running.paths.values()), "hello", ("No bills",)))
    message = running.receive()
    while not isinstance(message, Answered):
        message = running.receive()
    found = Checked(*message.answer)
    assert "Total  13.50" in found.texts[0] and found.reader == "rapidocr"
    assert len(found.chances) == 1 and 0 < found.chances[0] < 1, found.unjudged
