"""Answers of chat servers whose models think first, in the shapes in which they come over the line: thoughts
in fields of their own, between marks, or hidden; fields that a server refuses; answers without room.

Shapes as documentation and issues have them, November 2026: vLLM (reasoning_outputs, issues 17609 and 19222),
SGLang (separate_reasoning), llama.cpp (tools/server, issue 13867), Ollama (openai compatibility), LM Studio
(bug tracker 1559, 1990, 2057), OpenAI (chat completions), Mistral (capabilities/reasoning)."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from jobs.executors.chat_server import STARVED, THINKING
from jobs.executors.openai_api import Stream
from tests.host.test_chat_server import answered, executor_of, run_of
from tests.support.chat_server import Exchange, chat_server
from vision.chat.output_parser import ANSWER_MARKS, THOUGHT_MARKS, answer_in
from vision.protocol import Broke, Done

ANSWER = "A red cat [on a mat], 1 < 2."
PIECES = ("A red cat ", "[", "on a mat], 1 <", " 2.")
THOUGHTS = ("Okay, the user ", "wants a name.\n", "It is a cat, ", "I think.")
MARKS = [mark for pair in THOUGHT_MARKS for mark in pair] + list(ANSWER_MARKS)


@dataclass
class Shape:
    """events: of a stream, or one object that isn't streamed. refuses: takes a body and returns a status
    and an error, or None. without_room: the events of a question that leaves no room for thoughts. asked:
    questions until there is an answer. thinks: thoughts come before it."""

    events: Sequence[dict[str, Any]] | dict[str, Any]
    refuses: Callable[[dict[str, Any]], tuple[int, Any] | None] = lambda body: None
    without_room: Sequence[dict[str, Any]] | dict[str, Any] | None = None
    asked: int = 1
    thinks: bool = False

    async def __call__(self, exchange: Exchange) -> None:
        if (refusal := self.refuses(exchange.body)) is not None:
            await exchange.whole(*refusal)
            return
        tokens = exchange.body.get("max_tokens") or exchange.body["max_completion_tokens"]
        events = self.without_room if self.without_room is not None and tokens <= 64 else self.events
        if isinstance(events, dict):
            await exchange.whole(200, events)
            return
        await exchange.head()
        for event in events:
            await exchange.event(event)
        await exchange.event("[DONE]")
        await exchange.end()


def stream(*deltas: dict[str, Any], reason: str = "stop", **more: Any) -> list[dict[str, Any]]:
    """Events of a stream. more: fields of each."""
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "tiny", **more}
    found = [{**head, "choices": [{"index": 0, "delta": one, "finish_reason": None}]} for one in deltas]
    return [*found, {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}]


def whole(reason: str = "stop", usage: dict[str, Any] | None = None, **message: Any) -> dict[str, Any]:
    """An answer in one piece."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}
    used = usage or {"prompt_tokens": 30, "completion_tokens": 20, "total_tokens": 50}
    return {"id": "chatcmpl-1", "object": "chat.completion", "choices": [choice], "usage": used}


def said(name: str = "content", pieces: Sequence[str] = PIECES, **more: Any) -> list[dict[str, Any]]:
    """A delta for each piece."""
    return [{name: piece, **more} for piece in pieces]


def between(begin: str, end: str, before: str = "") -> str:
    """Thoughts between marks, and the answer."""
    return f"{before}{begin}{''.join(THOUGHTS)}{end}{ANSWER}"


def cut(text: str, size: int = 3) -> list[dict[str, Any]]:
    """A text in deltas of ``size`` characters, so that marks are cut anywhere."""
    return said(pieces=[text[i : i + size] for i in range(0, len(text), size)])


def strict(*names: str, status: int = 400, say: Callable[[str], Any]) -> Callable[[dict[str, Any]], Any]:
    """Refuse the first of these fields that a body has."""

    def refuses(body: dict[str, Any]) -> tuple[int, Any] | None:
        return next(((status, say(name)) for name in names if name in body), None)

    return refuses


def openai(body: dict[str, Any]) -> tuple[int, Any] | None:
    """As OpenAI refuses what its reasoning models don't take: one field an answer."""

    def error(param: str, message: str) -> tuple[int, Any]:
        return 400, {"error": {"message": message, "type": "invalid_request_error", "param": param}}

    if "chat_template_kwargs" in body:
        return error("", "Unrecognized request argument supplied: chat_template_kwargs")
    if "max_tokens" in body:
        advice = "Use 'max_completion_tokens' instead."
        return error("max_tokens", f"Unsupported parameter: 'max_tokens' is not supported. {advice}")
    if body.get("reasoning_effort") == "none":
        values = "Supported values are: 'minimal', 'low', 'medium', and 'high'."
        return error("reasoning_effort", f"Unsupported value: 'reasoning_effort' isn't 'none'. {values}")
    if body.get("temperature") == 0:
        return error("temperature", "Unsupported value: 'temperature' does not support 0 with this model.")
    return None


def forbids(body: dict[str, Any]) -> tuple[int, Any] | None:
    """As Mistral's interface, which lists all that it doesn't know."""
    unknown = [
        name for name in ("chat_template_kwargs", "reasoning_effort", "stream_options") if name in body
    ]
    found = [{"type": "extra_forbidden", "loc": ["body", name], "msg": "no"} for name in unknown]
    return (422, {"object": "error", "detail": found}) if found else None


def unasked(body: dict[str, Any]) -> tuple[int, Any] | None:
    """As a proxy that says nothing but no."""
    return (400, "") if {"chat_template_kwargs", "reasoning_effort"} & set(body) else None


NO_THINKING = {"error": {"message": '"tiny" does not support thinking', "type": "invalid_request_error"}}
OLLAMA = {"system_fingerprint": "fp_ollama"}
TIMINGS = {"timings": {"prompt_n": 7, "predicted_n": 88, "predicted_per_second": 69.3}}
LONG = {"without_room": stream(*said("reasoning", THOUGHTS), reason="length"), "asked": 2, "thinks": True}
THINKS = {"thinks": True}
HARMONY = "<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"
PARTS = [{"type": "thinking", "thinking": [{"type": "text", "text": "".join(THOUGHTS)}]}]

SHAPES = {
    "ollama, thinks": Shape(stream(*said("reasoning", THOUGHTS, content=""), *said(), **OLLAMA), **THINKS),
    "ollama, whole": Shape(whole(content=ANSWER, reasoning="".join(THOUGHTS)), **THINKS),
    "ollama, doesn't think": Shape(stream(*said(role="assistant"), **OLLAMA)),
    "ollama, older": Shape(stream(*cut(between("<think>\n", "\n</think>\n\n")), **OLLAMA), **THINKS),
    "ollama, older, whole": Shape(whole(content=between("<think>\n", "\n</think>\n\n"))),
    "ollama, a model that can't think": Shape(
        stream(*said()), strict("reasoning_effort", status=400, say=lambda name: NO_THINKING), asked=2
    ),
    "ollama, no room": Shape(stream(*said("reasoning", THOUGHTS), *said()), **LONG),
    "ollama, native names": Shape(stream(*said("thinking", THOUGHTS), *said()), **THINKS),
    "lm studio, thinks": Shape(stream(*said("reasoning_content", THOUGHTS), *said()), **THINKS),
    "lm studio, whole": Shape(whole(content=ANSWER, reasoning_content="".join(THOUGHTS)), **THINKS),
    "lm studio, gpt-oss": Shape(stream(*said("reasoning", THOUGHTS), *said()), **THINKS),
    "lm studio, unparsed": Shape(whole(content=between("<think>\n", "\n</think>\n\n"), tool_calls=[])),
    "lm studio, no room": Shape(
        whole(content=ANSWER, reasoning_content="Hm."),
        without_room=whole("length", content="", reasoning_content="Thinking Process:\n1."),
        asked=2,
        thinks=True,
    ),
    "vllm, thinks": Shape(stream({"role": "assistant"}, *said("reasoning", THOUGHTS), *said()), **THINKS),
    "vllm, older": Shape(stream(*said("reasoning_content", THOUGHTS), *said()), **THINKS),
    "vllm, whole": Shape(
        whole(content=f"\n\n{ANSWER}", reasoning="".join(THOUGHTS), reasoning_content=None), **THINKS
    ),
    "vllm, unparsed": Shape(whole(content=between("<think>\n", "\n</think>\n\n"))),
    "vllm, begun in the prompt": Shape(whole(content=between("", "\n</think>\n\n"))),
    "vllm, an answer as thoughts": Shape(whole(content=None, reasoning_content=ANSWER), **THINKS),
    "vllm, an answer as thoughts, streamed": Shape(stream(*said("reasoning")), **THINKS),
    "vllm, knows no effort of none": Shape(
        stream(*said()),
        strict("reasoning_effort", say=lambda name: {"message": f"'loc': ('body', '{name}'), 'msg': 'no'"}),
        asked=2,
    ),
    "vllm, gpt-oss unparsed": Shape(stream(*cut(between(*HARMONY) + "<|return|>")), **THINKS),
    "vllm, gemma 4": Shape(stream(*cut(between("<|channel>thought\n", "<channel|>"), 5)), **THINKS),
    "vllm, gemma 4 thinks of nothing": Shape(whole(content=f"<|channel>thought\n<channel|>{ANSWER}")),
    "vllm, cohere": Shape(
        stream(
            *cut(between("<|START_THINKING|>", "<|END_THINKING|><|START_RESPONSE|>") + "<|END_RESPONSE|>")
        ),
        **THINKS,
    ),
    "llama.cpp, thinks": Shape(
        stream(
            {"role": "assistant", "content": None}, *said("reasoning_content", THOUGHTS), *said(), **TIMINGS
        ),
        **THINKS,
    ),
    "llama.cpp, whole": Shape(
        {**whole(reasoning_content="".join(THOUGHTS), content=ANSWER), **TIMINGS}, **THINKS
    ),
    "llama.cpp, format none": Shape(stream(*cut(between("<think>", "</think>"), 1)), **THINKS),
    "llama.cpp, format legacy": Shape(
        whole(content=between("<think>", "</think>"), reasoning_content="".join(THOUGHTS)), **THINKS
    ),
    "llama.cpp, magistral": Shape(stream(*cut(between("[THINK]", "[/THINK]"))), **THINKS),
    "llama.cpp, gpt-oss without its marks": Shape(
        whole(content=f"analysisWe need a name.assistantfinal{ANSWER}")
    ),
    "llama.cpp, thinks of nothing": Shape(
        stream(*cut(f"<think>\n\n</think>\n\n{ANSWER}"), **TIMINGS), **THINKS
    ),
    "llama.cpp, no room between marks": Shape(
        whole(content=between("<think>", "</think>")),
        without_room=whole("length", content="<think>Okay, the user"),
        asked=2,
        thinks=True,
    ),
    "sglang, thinks": Shape(
        stream(*said("reasoning_content", THOUGHTS, content=None), *said(reasoning_content=None)), **THINKS
    ),
    "sglang, whole": Shape(whole(content=ANSWER, reasoning_content="".join(THOUGHTS)), **THINKS),
    "sglang, kimi": Shape(stream(*cut(between("◁think▷", "◁/think▷"))), **THINKS),
    "sglang, glm": Shape(
        whole(
            content=f"{between('<think>', '</think><answer>').removesuffix(ANSWER)}"
            f"<|begin_of_box|>{ANSWER}<|end_of_box|></answer>"
        )
    ),
    "sglang, seed, twice": Shape(
        whole(content=f"<seed:think>Hm.</seed:think>\n<seed:think>So.</seed:think>{ANSWER}")
    ),
    "openai, a reasoning model": Shape(stream(*said(refusal=None)), openai, asked=5),
    "openai, no room": Shape(
        whole(content=ANSWER),
        openai,
        without_room=whole(
            "length",
            {"completion_tokens": 64, "completion_tokens_details": {"reasoning_tokens": 64}},
            content="",
        ),
        asked=6,
        thinks=True,
    ),
    "openai, doesn't think": Shape(whole(content=ANSWER, refusal=None, annotations=[])),
    "mistral, whole": Shape(
        whole(content=[*PARTS, {"type": "text", "text": ANSWER}]), forbids, asked=3, **THINKS
    ),
    "mistral, streamed": Shape(stream({"content": PARTS}, *said()), forbids, asked=3, **THINKS),
    "openrouter": Shape(
        stream(
            *said("reasoning", THOUGHTS, reasoning_details=[{"type": "reasoning.text", "text": "Hm."}]),
            *said(),
        ),
        **THINKS,
    ),
    "openrouter, details alone": Shape(
        whole(content=ANSWER, reasoning_details=[{"type": "reasoning.summary", "summary": "A cat."}]),
        **THINKS,
    ),
    "groq": Shape(
        stream(*said()),
        strict(
            "chat_template_kwargs",
            say=lambda name: {"error": {"message": f"property '{name}' is unsupported, did you mean ..."}},
        ),
        asked=2,
    ),
    "gemini": Shape(
        stream(*said()),
        strict(
            "chat_template_kwargs",
            say=lambda name: [{"error": {"code": 400, "message": f'Unknown name "{name}": no such field.'}}],
        ),
        asked=2,
    ),
    "a proxy that says nothing but no": Shape(stream(*said()), unasked, asked=2),
}


@pytest.mark.parametrize("name", SHAPES)
async def test_each_shape_comes_to_the_answer_and_nothing_raw_is_shown(tmp_path: Path, name: str) -> None:
    shape = SHAPES[name]
    async with chat_server(shape) as server:
        outcome, steps = await answered(server.url, run_of(tmp_path))
    assert isinstance(outcome, Done), outcome
    assert outcome.output.answer is not None
    assert (outcome.output.answer.text, outcome.output.answer.ended) == (ANSWER, "end")
    assert len(server.asked) == shape.asked
    shown = [step.text for step in steps]
    assert not [text for text in shown if any(mark in text for mark in MARKS)]
    assert not [text for text in shown if any(piece.strip() in text for piece in THOUGHTS)]
    assert all(ANSWER.startswith(text.strip()) for text in shown)
    assert {step.doing for step in steps if not step.text} <= {THINKING}


@pytest.mark.parametrize("name", [name for name, shape in SHAPES.items() if isinstance(shape.events, list)])
def test_an_answer_grows_word_by_word_behind_its_thoughts(name: str) -> None:
    shape, found, states = SHAPES[name], Stream(no_thinking=True), []
    for event in shape.events:
        found.feed(f"data: {json.dumps(event)}\n\n".encode())
        states.append((found.text, found.thoughts))
    found.finish()
    assert found.text == ANSWER
    assert all(ANSWER.startswith(text) for text, _ in states)
    assert shape.thinks == any(thoughts and not text for text, thoughts in states)


async def test_every_server_is_told_not_to_think(tmp_path: Path) -> None:
    async with chat_server(SHAPES["ollama, doesn't think"]) as server:
        await answered(server.url, run_of(tmp_path))
    [body] = server.asked
    assert body["chat_template_kwargs"] == {"enable_thinking": False, "thinking": False}
    assert body["reasoning_effort"] == "none"


@pytest.mark.parametrize("name", [name for name, shape in SHAPES.items() if shape.asked > 1])
async def test_what_a_server_refused_or_needs_is_remembered(tmp_path: Path, name: str) -> None:
    async with chat_server(SHAPES[name]) as server:
        executor = await executor_of(server.url)
        for asked in (SHAPES[name].asked, SHAPES[name].asked + 1):
            outcome = await executor.run("server", run_of(tmp_path), lambda step: None)
            assert isinstance(outcome, Done) and len(server.asked) == asked
        await executor.stop()


async def test_fields_that_were_not_the_reason_are_sent_again(tmp_path: Path) -> None:
    """A picture that is refused is no reason to let the next question's model think."""

    def blind(body: dict[str, Any]) -> tuple[int, Any] | None:
        return (400, {"error": {"message": "no image input"}}) if "image_url" in json.dumps(body) else None

    async with chat_server(Shape(stream(*said()), blind)) as server:
        executor = await executor_of(server.url)
        assert isinstance(await executor.run("server", run_of(tmp_path), lambda step: None), Broke)
        run = run_of(tmp_path)
        assert run.talk is not None
        words = replace(run, talk=replace(run.talk, turns=(replace(run.talk.turns[0], pictures=()),)))
        assert isinstance(await executor.run("server", words, lambda step: None), Done)
        await executor.stop()
    assert [("chat_template_kwargs" in body) for body in server.asked] == [True, False, True]


@pytest.mark.parametrize("name", ["ollama, no room", "openai, no room", "llama.cpp, no room between marks"])
async def test_a_model_that_never_stops_thinking_is_asked_twice_and_told(tmp_path: Path, name: str) -> None:
    shape = SHAPES[name]
    assert shape.without_room is not None
    async with chat_server(replace(shape, events=shape.without_room)) as server:
        outcome, _ = await answered(server.url, run_of(tmp_path))
    assert isinstance(outcome, Broke) and outcome.message == STARVED
    assert len(server.asked) == shape.asked


@pytest.mark.parametrize(
    "text",
    [
        "Write <think> and </b> in <b>bold</b>.",
        "<b>A cat.</b>",
        "[1] A cat. [2] A mat.",
        '{"rows": [["<a>", 1]]}',
        "analysis of the picture: a cat",
        "1 < 2",
        "The [THINK] tag begins thoughts.",
        "",
        " A cat. ",
    ],
)
def test_words_that_only_look_like_marks_stay(text: str) -> None:
    assert answer_in(text) == text
    grown = [answer_in(text[:end], growing=True) for end in range(len(text) + 1)]
    assert all(text.startswith(one) for one in grown)
