"""Forms of answer by a server: what it is asked for, the second try, what this machine tells without it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from core.results import Table, TextLine
from host.openai_client import HttpChatServer
from jobs.executors import chat_server
from jobs.executors.chat_server import ChatServerExecutor
from tests.host.test_chat_server import WAITS, run_of
from tests.support.chat_server import Exchange, well
from tests.support.chat_server import chat_server as chat_server_chat_server
from vision.chat.output_parser import BOXES, TABLE
from vision.chat.output_renderer import NO_FORM
from vision.protocol import Answered, Declined, Done, Measure, Measured, Run, Stopped, Turn
from vision.readers.ocr import BY_AXIS, BY_OCR, HEAD, UNREAD

ROWS = '{"title": "Rain", "x": "Month", "columns": ["mm"], "rows": [["Jan", 12], ["Feb", 3]]}'
READ = (("Jan", 12.0), ("Feb", 3.0))


async def asked(url: str, run: Run, **options):
    executor = ChatServerExecutor(HttpChatServer(url, waits=WAITS), 8, pauses=(0.01, 0.01), **options)
    await executor.start(lambda: None)
    try:
        outcome = await executor.run("server", run, lambda step: None)
        assert isinstance(outcome, Done), outcome
        return outcome.output
    finally:
        await executor.stop()


def saying(*texts: str):
    async def answer(exchange: Exchange) -> None:
        await well(exchange, texts[min(exchange.number, len(texts) - 1)])

    return answer


def said(body: dict, place: int = -1) -> str:
    content = body["messages"][place]["content"]
    return content if isinstance(content, str) else content[-1]["text"]


async def test_a_server_is_asked_for_a_table_and_its_numbers_are_drawn(tmp_path: Path) -> None:
    async with chat_server_chat_server(saying(f"```json\n{ROWS}\n```")) as server:
        output = await asked(server.url, run_of(tmp_path, "The rain?", form="table"))
    [body] = server.asked
    assert said(body) == f"The rain?\n{TABLE}"
    assert output.answer.table.rows == READ and output.answer.text.startswith("Rain\n\nMonth | mm")
    assert output.grid is not None and output.grid.width > 640


async def test_it_is_asked_once_more_with_the_reason_and_both_are_paid(tmp_path: Path) -> None:
    async with chat_server_chat_server(saying(ROWS.replace('["Feb", 3]', '["Feb"]'), ROWS)) as server:
        output = await asked(server.url, run_of(tmp_path, form="table"))
    first, second = server.asked
    assert "row 2 has 1 cells" in said(second) and TABLE in said(second)
    assert (
        second["messages"][-2]["role"] == "assistant"
        and len(second["messages"]) == len(first["messages"]) + 2
    )
    assert output.answer.table.rows == READ
    assert (output.answer.tokens_in, output.answer.tokens_out) == (642, 24)


async def test_what_is_no_table_twice_is_shown_as_words(tmp_path: Path) -> None:
    async with chat_server_chat_server(saying("A chart of rain.", "I can't do that.")) as server:
        output = await asked(server.url, run_of(tmp_path, form="table"))
    assert len(server.asked) == 2
    assert (output.answer.text, output.answer.table, output.grid) == ("I can't do that.", None, None)
    assert output.parameters["notes"] == [NO_FORM["table"]]


@pytest.mark.parametrize(
    ("model", "how", "box"),
    [
        ("Qwen/Qwen3-VL-4B-Instruct", "", "[250, 250, 750, 500]"),
        ("Qwen/Qwen2.5-VL-7B-Instruct", "", "[16, 12, 48, 24]"),
        ("alias", "pixels", "[16, 12, 48, 24]"),
    ],
)
async def test_boxes_are_read_as_the_servers_model_tells_them(
    tmp_path: Path, model: str, how: str, box: str
) -> None:
    text = f'[{{"bbox_2d": {box}, "label": "boat"}}]'
    async with chat_server_chat_server(saying(text), models=(model,)) as server:
        output = await asked(server.url, run_of(tmp_path, "Where is the boat?", form="boxes"), boxes=how)
    assert BOXES in said(server.asked[0])
    [found] = output.answer.boxes
    assert (found.label, found.left, found.top, found.right, found.bottom) == ("boat", 0.25, 0.25, 0.75, 0.5)
    assert (output.grid.width, output.grid.height) == (64, 48)


async def test_boxes_of_a_later_question_are_drawn_on_the_picture_before(tmp_path: Path) -> None:
    run = run_of(tmp_path, "What is it?", form="boxes")
    turns = (run.talk.turns[0], Turn("assistant", "A boat."), Turn("user", "Where?", (), "abcdefghjkmn"))
    run = replace(run, talk=replace(run.talk, turns=turns))
    async with chat_server_chat_server(saying('[{"bbox_2d": [0, 0, 500, 500], "label": "boat"}]')) as server:
        output = await asked(server.url, run)
    assert output.grid is not None
    gone = replace(run, paths={}, talk=replace(run.talk, turns=(replace(turns[0], pictures=()), *turns[1:])))
    async with chat_server_chat_server(saying('[{"bbox_2d": [0, 0, 500, 500], "label": "boat"}]')) as server:
        output = await asked(server.url, gone)
    assert output.grid is None and "picture is gone" in output.parameters["notes"][0]


class Eyes:
    """A device that measures. found: what it answers with, None = nothing."""

    def __init__(self, found: Measured | None) -> None:
        self.found, self.asked = found, list[Measure]()

    async def look(self, question: Measure) -> Answered | Declined:
        self.asked.append(question)
        return Answered(question.question_id, () if self.found is None else (self.found,))


async def test_what_is_measured_needs_no_server(tmp_path: Path) -> None:
    eyes = Eyes(Measured((64, 48), "rapidocr", Table(("", "mm"), READ)))
    async with chat_server_chat_server() as server:
        output = await asked(server.url, run_of(tmp_path, form="table"), look=eyes.look)
        assert server.asked == []
    assert output.answer.table.rows == READ and output.answer.tokens_out == 0
    assert output.parameters["notes"] == [BY_AXIS] and output.grid is not None
    line = TextLine("EXIT", 0.99, ((1, 1), (20, 1), (20, 9), (1, 9)))
    eyes = Eyes(Measured((64, 48), "rapidocr", lines=(line,)))
    async with chat_server_chat_server() as server:
        output = await asked(server.url, run_of(tmp_path, form="text"), look=eyes.look)
    assert output.answer.text == "EXIT" and output.lines == (line,) and output.parameters["notes"] == [BY_OCR]


async def test_what_cant_be_measured_is_asked_of_the_server(tmp_path: Path) -> None:
    eyes = Eyes(None)
    async with chat_server_chat_server(saying(ROWS)) as server:
        output = await asked(server.url, run_of(tmp_path, form="table"), look=eyes.look)
        assert len(server.asked) == len(eyes.asked) == 1
        again = run_of(tmp_path, form="table", temperature=0.8)
        await asked(server.url, again, look=eyes.look)
        await asked(server.url, run_of(tmp_path), look=eyes.look)
    assert output.answer.table is not None
    assert len(eyes.asked) == 1, "not for other words, nor in words"

    async def declines(question: Measure) -> Declined:
        return Declined(question.question_id, "no worker")

    async with chat_server_chat_server(saying("EXIT")) as server:
        output = await asked(server.url, run_of(tmp_path, form="text"), look=declines)
    assert output.answer.text == "EXIT"


BILL = tuple(
    TextLine(text, 0.99, ((1, y), (60, y), (60, y + 9), (1, y + 9)))
    for y, text in ((1, "Apples 4.50"), (20, "Bread 2.80"))
)


def reading(run: Run) -> Run:
    return replace(run, talk=replace(run.talk, read=True))


async def test_a_server_is_told_the_text_in_the_pictures_as_a_part_of_them(tmp_path: Path) -> None:
    eyes, seen = Eyes(Measured((64, 48), "rapidocr", lines=BILL)), list[str]()
    async with chat_server_chat_server(saying("7.30")) as server:
        executor = ChatServerExecutor(HttpChatServer(server.url, waits=WAITS), 8, look=eyes.look)
        await executor.start(lambda: None)
        run = reading(run_of(tmp_path, "The sum?"))
        for _ in range(2):
            outcome = await executor.run("server", run, lambda step: seen.append(step.seen))
            assert isinstance(outcome, Done)
        text = said(server.asked[0])
        assert text.startswith(HEAD.format(n=1)) and text.endswith(
            "\n> Apples 4.50\n> Bread 2.80\n\nThe sum?"
        )
        assert server.asked[0]["messages"] == server.asked[1]["messages"]
        assert [one for one in seen if one] == ["Apples 4.50\nBread 2.80"] * 2, "rules judge it each time"
        assert [one.form for one in eyes.asked] == ["text"], "it is read once"
        executor.forget([next(iter(run.paths))])
        await executor.run("server", run, lambda step: None)
        assert len(eyes.asked) == 2
        for left_out in (run_of(tmp_path, "The sum?"), reading(run_of(tmp_path, "The sum?", form="boxes"))):
            await executor.run("server", left_out, lambda step: None)
            assert "Apples" not in said(server.asked[-1])
        await executor.stop()


async def test_without_enough_text_or_a_reader_a_server_is_asked_without_it(tmp_path: Path) -> None:
    sign = TextLine("STOP", 0.99, ((1, 1), (20, 1), (20, 9), (1, 9)))

    async def declines(question: Measure) -> Declined:
        return Declined(question.question_id, "no worker")

    looks = [Eyes(Measured((64, 48), "rapidocr", lines=(sign,))).look, Eyes(None).look, declines]
    for look in looks:
        async with chat_server_chat_server(saying("A sign.")) as server:
            output = await asked(server.url, reading(run_of(tmp_path, "What is it?")), look=look)
            assert said(server.asked[0]) == "What is it?" and not output.parameters.get("notes")


async def test_reading_that_takes_too_long_is_told_and_one_that_is_stopped_asks_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(question: Measure) -> Answered:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(chat_server, "TEXTS_PATIENCE", 0.05)
    async with chat_server_chat_server(saying("A bill.")) as server:
        output = await asked(server.url, reading(run_of(tmp_path, "What is it?")), look=never)
        assert output.answer.text == "A bill." and output.parameters["notes"] == [UNREAD]
        executor = ChatServerExecutor(HttpChatServer(server.url, waits=WAITS), 8, look=Eyes(None).look)
        await executor.start(lambda: None)
        run = reading(run_of(tmp_path, "What is it?"))

        async def stops(question: Measure) -> Answered:
            executor.cancel(run.job_id)
            return Answered(question.question_id, (Measured((64, 48), "rapidocr", lines=BILL),))

        executor._hints = chat_server.Hints(stops)
        outcome = await executor.run("server", run, lambda step: None)
        assert isinstance(outcome, Stopped) and len(server.asked) == 1
        await executor.stop()
