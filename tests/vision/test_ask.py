"""/ask in a worker: a conversation in, words while they are written, an answer with what it took."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from core.events import ChatAnswer
from core.requests import AskRequest, to_json
from tests.support import tiny
from tests.vision.chat import shapes
from tests.vision.conftest import SHA, cpu_models
from tests.vision.test_worker import PATIENCE, Running, start
from vision.capabilities.ask import SMALLER, run
from vision.chat.decoder import Decoder
from vision.loader import FoundModel
from vision.protocol import Broke, Done, Fault, Forget, Quit, Run, Step, Stop, Stopped, Talk, Turn
from vision.reporter import Reporter
from vision.store import Models


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    os.environ["HF_HUB_OFFLINE"] = "1"
    folder = tmp_path_factory.mktemp("qwen3-vl")
    shapes.save("qwen3-vl", folder)
    return folder


@pytest.fixture
def picture(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "picture.png"
    tiny.picture(96, 64).save(path)
    return {SHA: str(path)}


@pytest.fixture
def models(folder: Path, tmp_path: Path) -> Models:
    torch.set_num_threads(1)
    return cpu_models({"ask": folder}, tmp_path, cpu_threads=1)


@pytest.fixture(scope="module")
def running(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    made = start({"ask": str(folder), "image": ""}, tmp_path_factory.mktemp("worker"), allow_download=False)
    made.receive()
    yield made
    made.conn.send(Quit())
    made.process.join(PATIENCE)
    assert made.process.exitcode == 0


def question(job_id: str, *before: Turn, max_tokens: int = 24) -> Run:
    request = AskRequest(question="What is this?", images=() if before else (SHA,), follows=bool(before))
    turn = Turn("user", request.question, request.images, job_id)
    return Run(job_id, "ask", to_json(request), {}, Talk((*before, turn), max_tokens=max_tokens))


def ask(running: Running, run: Run, on: Callable[[object], None] = lambda message: None):
    running.conn.send(Run(run.job_id, run.kind, run.request, running.paths, run.talk))
    return running.answer(on)


def answer_of(message: object) -> ChatAnswer:
    assert isinstance(message, Done), message
    assert message.output.answer is not None
    return message.output.answer


def test_a_question_is_answered_in_words_that_come_while_they_are_written(running: Running) -> None:
    heard, end = ask(running, question("one", max_tokens=200))
    answer = answer_of(end)
    texts = [message.text for message in heard if isinstance(message, Step)]
    assert texts and answer.text
    assert all(later.startswith(text) for text, later in zip(texts, [*texts[1:], answer.text], strict=True))
    assert len(texts) < 200  # not one for each token
    assert (answer.ended, answer.tokens_out, answer.pictures) == ("length", 200, ((64, 48),))
    assert end.output.parameters["kind"] == "ask"


def test_the_next_turn_knows_the_one_before_until_it_is_forgotten(running: Running) -> None:
    first = answer_of(ask(running, question("first"))[1])
    before = (Turn("user", "What is this?", (SHA,), "first"), Turn("assistant", first.text, (), "first"))
    second = answer_of(ask(running, question("second", *before))[1])
    assert second.tokens_cached >= first.tokens_in
    assert second.tokens_in > second.tokens_cached
    running.conn.send(Forget(("first", "second")))
    third = answer_of(ask(running, question("third", *before))[1])
    assert third.tokens_cached == 0
    assert third.text == second.text


def test_a_stopped_answer_is_what_there_is_of_it(running: Running) -> None:
    def stop(message: object) -> None:
        if isinstance(message, Step):
            running.conn.send(Stop("long"))

    heard, end = ask(running, question("long", max_tokens=4000), stop)
    answer = answer_of(end)
    assert answer.ended == "stopped"
    assert 0 < answer.tokens_out < 4000
    assert answer.text.startswith(next(message.text for message in heard if isinstance(message, Step)))


def test_a_question_that_is_stopped_at_once_has_no_answer(running: Running) -> None:
    running.conn.send(Stop("early"))
    assert ask(running, question("early"))[1] == Stopped("early")


def test_a_question_that_is_too_long_says_so(running: Running) -> None:
    run = question("much")
    talk = Talk(run.talk.turns, max_tokens=8, context=60)
    _, end = ask(running, Run("much", "ask", run.request, {}, talk))
    assert isinstance(end, Broke) and end.fault is Fault.USER
    assert "room for 52" in end.message


def test_a_question_alone_is_a_conversation_of_one_turn(models: Models, picture: dict[str, str]) -> None:
    models.get("ask").model.max_tokens = 4
    request = AskRequest(question="What is this?", images=(SHA,), form="short")
    output = run(request, picture, models, Reporter())
    assert output.answer is not None and output.answer.pictures == ((64, 48),)
    assert output.parameters == {
        "kind": "ask", "model": models.get("ask").name, "temperature": 0.0, "seed": 0, "notes": []
    }  # fmt: skip


def test_pictures_too_large_for_the_memory_are_seen_smaller(models, picture, monkeypatch) -> None:
    talker = models.get("ask")
    talker.model.max_tokens = 4
    plain, sizes = talker.model.read, []

    def read(prompt, *rest):
        sizes.append(prompt.places[0].picture.size)
        if sizes[-1] == (96, 64):
            raise torch.OutOfMemoryError("out of memory")
        return plain(prompt, *rest)

    monkeypatch.setattr(talker.model, "read", read)
    output = run(AskRequest(question="What?", images=(SHA,)), picture, models, Reporter())
    assert output.parameters["notes"] == [SMALLER]
    assert sizes[-1] == (67, 45)
    with pytest.raises(torch.OutOfMemoryError):
        monkeypatch.setattr(Decoder, "_read_piece", lambda *_: _full())
        run(AskRequest(question="What?", images=(SHA,)), picture, models, Reporter())


def _full() -> None:
    raise torch.OutOfMemoryError("out of memory")


def test_what_is_kept_for_later_goes_first_when_another_model_needs_room(
    models: Models, picture: dict[str, str], monkeypatch
) -> None:
    talk = Talk((Turn("user", "What?", (SHA,), "a"),), max_tokens=4)
    run(AskRequest(question="What?", images=(SHA,)), picture, models, Reporter(), talk)
    kept = models.get("ask").decoder.kept
    assert "a" in kept
    models.forget(["a"])
    assert "a" not in kept
    run(AskRequest(question="What?", images=(SHA,)), picture, models, Reporter(), talk)
    monkeypatch.setattr(models, "_fits", lambda wanted: len(kept) == 0)
    assert models.make_room(FoundModel("another", Path(), 1))
    assert len(models.held) == 1
