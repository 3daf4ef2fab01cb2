"""Jobs that ask, in an engine: words come as they are written, a stop ends them, drawings go on beside."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from PIL import Image

from core.errors import JobCancelled
from core.events import ChatAnswer
from tests.vision.chat import mixes, shapes
from tests.vision.chat.mixes import PICTURES, alone
from vision.chat import decoder as replies
from vision.chat.model import ChatModel
from vision.chat.prompt import Picture, fitted
from vision.chat.talker import Talker
from vision.engine.engine import Engine, Fiber
from vision.protocol import Talk, Turn
from vision.reporter import Leaving, Reporter

Talkers = Callable[[str], Talker]


class Asker(Reporter):
    """A job that asks. stop_at: tokens after which it is stopped; 0 = before the first."""

    def __init__(self, talk: Talk, stop_at: int | None = None, error: type[Exception] = JobCancelled) -> None:
        self.talk, self.stop_at, self.error = talk, stop_at, error
        self.steps: list[tuple[int, int, str]] = []
        self.answer: ChatAnswer | None = None
        self.raised: BaseException | None = None

    def write(self, step: int, total: int, text: str) -> None:
        self.steps.append((step, total, text))

    def check(self) -> None:
        if self.stop_at is not None and len(self.steps) >= self.stop_at:
            raise self.error

    def begin(self, engine: Engine, talker: Talker) -> Asker:
        def work(fiber: Fiber) -> ChatAnswer:
            self.fiber = fiber
            return talker.answer(self.talk, PICTURES, self)

        def done(answer: ChatAnswer | None, error: BaseException | None) -> None:
            self.answer, self.raised = answer, error

        engine.begin("ask", work, check=self.check, done=done)
        return self


def talk(words: str, *pictures: str, max_tokens: int = 12) -> Talk:
    return Talk((Turn("user", words, pictures, words),), max_tokens=max_tokens)


def run(talker: Talker, *askers: Asker) -> Engine:
    engine = Engine(wake=threading.Event())
    for asker in askers:
        asker.begin(engine, talker)
    engine.run()
    engine.stop()
    return engine


@pytest.fixture(autouse=True)
def every_token_is_told(monkeypatch) -> None:
    monkeypatch.setattr(replies, "TELL_EVERY", 0.0)


def test_words_come_as_they_are_written_and_the_answer_says_what_it_took(talker_of: Talkers) -> None:
    talker, asker = talker_of("qwen3-vl"), Asker(talk("what is on the table", "p0"))
    run(talker, asker)
    answer, tokens = asker.answer, alone(talker, asker.talk, 12)
    assert answer is not None
    assert answer.text == talker.model.text(tokens)
    prompt = mixes.prompt_of(talker, asker.talk)
    assert (answer.tokens_in, answer.tokens_cached, answer.tokens_out) == (len(prompt.ids), 0, len(tokens))
    assert (answer.ended, answer.pictures, answer.turns_dropped) == ("length", prompt.seen, 0)
    assert asker.steps == [(n, 12, talker.model.text(tokens[:n])) for n in range(1, 12)]
    turns = (*asker.talk.turns, Turn("assistant", answer.text, (), asker.talk.turns[-1].job_id))
    more = Asker(Talk((*turns, Turn("user", "and why", (), "x")), max_tokens=5))
    run(talker, more)
    assert more.answer is not None
    assert more.answer.tokens_cached >= answer.tokens_in


def test_a_long_prompt_gives_signs_of_life_while_it_is_read(talker_of: Talkers, monkeypatch) -> None:
    monkeypatch.setattr("vision.chat.decoder.PIECE", 20)
    talker, asker = talker_of("smolvlm"), Asker(talk("what " * 20, max_tokens=3))
    run(talker, asker)
    assert len([step for step in asker.steps if step == (0, 3, "")]) > 3
    monkeypatch.setattr(replies, "TELL_EVERY", 1000.0)
    quick = Asker(talk("why " * 20, max_tokens=5))
    run(talker, quick)
    assert [step for step, *_ in quick.steps] == [0, 1]  # the first words come at once


def test_a_models_own_way_of_sampling_is_kept_to(talker_of: Talkers) -> None:
    """Qwen3-VL's generation_config.json, say: top_k 20, top_p 0.8."""
    talker = talker_of("qwen3-vl")
    known = talker.model.model
    known.generation_config.top_k, known.generation_config.top_p = 1, 0.8
    model = ChatModel("asked", known, talker.model.processor, {})
    known.generation_config.top_k = known.generation_config.top_p = None
    assert (model.top_k, model.top_p) == (1, 0.8)
    answers = [
        Talker(model, 0).answer(talk("why", "p0"), PICTURES, Asker(talk("")), temperature=heat, seed=3).text
        for heat in (0.0, 5.0)
    ]
    assert answers[0] == answers[1]


def test_people_who_ask_at_once_are_answered_at_once(talker_of: Talkers) -> None:
    talker = talker_of("smolvlm")
    askers = [Asker(talk(words, "p1")) for words in ("what", "where is it", "why not")]
    sizes, plain = [], talker.model.write
    talker.model.write = lambda tokens, *rest: sizes.append(len(tokens)) or plain(tokens, *rest)
    try:
        run(talker, *askers)
    finally:
        del talker.model.write
    assert max(sizes) == 3
    assert len(sizes) < 12 + 6
    for asker in askers:
        assert asker.answer is not None
        assert asker.answer.text == talker.model.text(alone(talker, asker.talk, 12))
    assert not talker.decoder.has_writer


@pytest.mark.parametrize("name", ["smolvlm", "idefics"])
def test_a_stop_costs_one_more_token_at_most_and_keeps_the_words(loaded: Talkers, name: str) -> None:
    asker, other = Asker(talk("what", "p0", max_tokens=30), stop_at=4), Asker(talk("where", "p1"))
    run(loaded(name), asker, other)
    assert asker.answer is not None and other.answer is not None
    assert asker.answer.ended == "stopped"
    assert asker.answer.tokens_out in (4, 5)
    assert asker.answer.text.startswith(asker.steps[3][2])
    assert (other.answer.ended, other.answer.tokens_out) == ("length", 12)


@pytest.mark.parametrize("name", ["smolvlm", "idefics"])
def test_a_stop_before_the_first_token_is_a_job_that_was_stopped(loaded: Talkers, name: str) -> None:
    asker, other = Asker(talk("what"), stop_at=0), Asker(talk("where", "p1"))
    run(loaded(name), asker, other)
    assert isinstance(asker.raised, JobCancelled)
    assert other.answer is not None


@pytest.mark.parametrize("name", ["smolvlm", "idefics"])
def test_a_worker_that_leaves_keeps_no_half_answer(loaded: Talkers, name: str) -> None:
    asker = Asker(talk("what"), stop_at=3, error=Leaving)
    run(loaded(name), asker)
    assert isinstance(asker.raised, Leaving)


def test_a_broken_writer_breaks_the_answers_and_nothing_else(talker_of: Talkers, monkeypatch) -> None:
    talker = talker_of("smolvlm")
    askers = [Asker(talk("what", "p0")), Asker(talk("where"))]
    monkeypatch.setattr(talker.decoder, "write_on", lambda: 1 / 0)
    run(talker, *askers)
    assert [type(asker.raised) for asker in askers] == [ZeroDivisionError] * 2
    monkeypatch.undo()
    assert not talker.decoder.has_writer and not talker.decoder.is_busy
    again = Asker(talk("what", "p0"))
    run(talker, again)
    assert again.answer is not None


def test_models_that_cannot_be_joined_answer_one_after_the_other(loaded: Talkers) -> None:
    talker = loaded("idefics")
    assert not talker.model.joins
    askers = [Asker(talk(words, "p0", max_tokens=6)) for words in ("what", "where", "what")]
    run(talker, *askers)
    answers = [asker.answer for asker in askers]
    assert [answer.tokens_out for answer in answers if answer] == [6, 6, 6]
    assert answers[0] and answers[2] and answers[0].text == answers[2].text
    assert len([asker.steps[-1] for asker in askers]) == 3


@pytest.mark.parametrize("name", shapes.SHAPES)
def test_without_an_engine_a_question_is_answered_at_once(loaded: Talkers, name: str) -> None:
    asker = Asker(talk("what colour", "p2", max_tokens=4))
    answer = loaded(name).answer(asker.talk, PICTURES, asker)
    assert answer.tokens_out == 4
    assert len(answer.pictures) == 1


@pytest.mark.parametrize("name", shapes.SHAPES)
def test_pictures_of_any_size_and_texts_of_any_kind_are_answered(loaded: Talkers, name: str) -> None:
    talker = loaded(name)
    for size in ((1, 1), (1, 3000), (3000, 1), (7, 7)):
        image = Image.new("RGB", size, (127, 128, 127))
        picture = Picture("p", fitted(size, 100_000), lambda image=image: image)
        question = Talk((Turn("user", "what", ("p",)),), max_tokens=2)
        assert talker.answer(question, {"p": picture}, Reporter()).tokens_out == 2
    for text in ("", "   ", "\x00", "😀" * 50, "<" * 500, "\ud800"):
        assert talker.answer(talk(text, max_tokens=2), {}, Reporter()).tokens_out == 2


def test_prompts_are_made_in_threads_while_words_are_told(talker_of: Talkers) -> None:
    talker, broken = talker_of("smolvlm"), list[BaseException]()

    def make() -> None:
        try:
            for n in range(60):
                mixes.prompt_of(talker, talk(f"what {n} " * 20, "p0"))
        except BaseException as error:
            broken.append(error)

    threads = [threading.Thread(target=make) for _ in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        talker.model.text(list(range(60, 90)))
        talker.model.prompts.inputs_of(PICTURES["p1"])
    assert broken == []
