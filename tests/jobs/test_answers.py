"""Questions in the queue: what is heard of an answer, how it is stopped or refused, who answers it."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.errors import LimitError, NotAllowedError
from core.events import Cancelled, ChatAnswer, Failed, Output, Progress, Rendered
from core.job import Job, Origin, Status
from core.requests import AskRequest
from jobs.executors.base import Lost
from jobs.feed import Conversation, question_alone
from jobs.queue import Queue
from storage import conversations
from tests.jobs.conftest import LIMITS, ask, open_queue, until
from tests.jobs.hand_executor import HandExecutor
from vision.protocol import Done, Step, Stopped

ORIGIN = Origin(user_id=1, channel_id=2, guild_id=3)


async def asked(
    queue: Queue, question: str = "What is this?", *, user: int = 1, parent=None, **fields
) -> Job:
    """A question of a running conversation, so that it needs no picture."""
    request = AskRequest(question=question, follows=True, **fields)
    return (await queue.submit(request, replace(ORIGIN, user_id=user), parent=parent)).job


async def end_of(queue: Queue, job_id: str):
    async for event in queue.watch(job_id):
        last = event
    return last


def answered(job_id: str, text: str, **values) -> Done:
    return Done(job_id, Output(answer=ChatAnswer(text, **values), parameters={"model": "by hand"}))


async def test_an_answer_is_stored_with_what_the_model_saw(queue: Queue, executor: HandExecutor) -> None:
    job = await asked(queue)
    await until(lambda: job.id in executor.held)
    [turn] = executor.held[job.id].run.talk.turns
    assert (turn.role, turn.text, turn.job_id) == ("user", "What is this?", job.id)
    answer = ChatAnswer("A red house.", "length", 30, 20, 5, ((64, 48),), 1)
    executor.end(Done(job.id, Output(answer=answer)))
    assert isinstance(await end_of(queue, job.id), Rendered)
    assert (await queue.result(job.id)).answer == answer


async def test_watchers_see_the_newest_text_also_beside_steps_without(
    queue: Queue, executor: HandExecutor
) -> None:
    job = await asked(queue)
    await until(lambda: job.id in executor.held)
    executor.report(Step(job.id, 1, 100, text="A red"))
    executor.report(Step(job.id, 2, 100))
    async for event in queue.watch(job.id):
        if isinstance(event, Progress):
            assert event.text == "A red"
            break


async def test_a_stop_keeps_what_there_is(queue: Queue, executor: HandExecutor) -> None:
    job = await asked(queue)
    await until(lambda: job.id in executor.held)
    executor.report(Step(job.id, 3, 100, text="A red"))
    assert await queue.cancel(job.id) and job.id in executor.asked_to_stop
    executor.end(answered(job.id, "A red hou", ended="stopped"))
    assert isinstance(await end_of(queue, job.id), Rendered)
    found = (await queue.result(job.id)).answer
    assert (found.text, found.ended) == ("A red hou", "stopped")


@pytest.mark.parametrize("outcome", [Stopped, lambda job_id: Lost(job_id, "killed")])
async def test_a_stop_keeps_what_was_heard_where_the_worker_has_nothing(
    queue: Queue, executor: HandExecutor, outcome
) -> None:
    job = await asked(queue)
    await until(lambda: job.id in executor.held)
    executor.report(Step(job.id, 3, 100, text="A red"))
    await queue.cancel(job.id)
    executor.end(outcome(job.id))
    assert isinstance(await end_of(queue, job.id), Rendered)
    found = (await queue.result(job.id)).answer
    assert (found.text, found.ended) == ("A red", "stopped") and found.tokens_out > 0


async def test_a_stop_before_the_first_word_cancels(queue: Queue, executor: HandExecutor) -> None:
    job = await asked(queue)
    await until(lambda: job.id in executor.held)
    executor.report(Step(job.id, 0, 100))
    assert await queue.cancel(job.id)
    assert isinstance(await end_of(queue, job.id), Cancelled)
    executor.end(Stopped(job.id))
    assert (await queue.job(job.id)).status is Status.CANCELLED and await queue.result(job.id) is None


async def _strict(job: Job) -> Conversation:
    def hear(text: str, whole: bool) -> str:
        if "secret" in text:
            raise NotAllowedError("A rule stopped this answer.")
        return text if whole else text[:-6]

    return replace(await question_alone(job), hear=hear, notes=("Earlier turns are gone.",))


async def test_what_is_held_back_is_not_told_and_a_note_comes_with_the_end(tmp_path) -> None:
    executor = HandExecutor()
    async with open_queue(tmp_path, executor, converse=_strict) as queue:
        job = await asked(queue)
        await until(lambda: job.id in executor.held)
        executor.report(Step(job.id, 3, 100, text="The word is sec"))
        async for event in queue.watch(job.id):
            if isinstance(event, Progress):
                assert event.text == "The word "
                break
        executor.end(answered(job.id, "The word is secure."))
        await end_of(queue, job.id)
        result = await queue.result(job.id)
        assert result.answer.text == "The word is secure."
        assert result.parameters["notes"] == ["Earlier turns are gone."]


@pytest.mark.parametrize("streamed", [True, False])
async def test_an_answer_that_breaks_a_rule_is_stopped_and_never_told(tmp_path, streamed: bool) -> None:
    executor = HandExecutor()
    async with open_queue(tmp_path, executor, converse=_strict) as queue:
        job = await asked(queue)
        await until(lambda: job.id in executor.held)
        if streamed:
            executor.report(Step(job.id, 3, 100, text="The word is secret"))
            assert job.id in executor.asked_to_stop
            assert not await queue.cancel(job.id) or (await queue.job(job.id)).status is Status.CANCELLED
            return
        executor.end(answered(job.id, "The word is secret."))
        assert await end_of(queue, job.id) == Failed("A rule stopped this answer.")
        assert await queue.result(job.id) is None


async def test_a_refused_answer_ends_with_its_reason_however_the_run_ends(tmp_path) -> None:
    executor = HandExecutor()
    async with open_queue(tmp_path, executor, converse=_strict) as queue:
        for end in (Stopped, lambda job_id: answered(job_id, "fine"), lambda job_id: Lost(job_id, "killed")):
            job = await asked(queue)
            await until(lambda job=job: job.id in executor.held)
            executor.report(Step(job.id, 3, 100, text="The word is secret"))
            executor.report(Step(job.id, 4, 100, text="The word"))
            executor.end(end(job.id))
            assert await end_of(queue, job.id) == Failed("A rule stopped this answer.")


async def _strict_about_pictures(job: Job) -> Conversation:
    def see(text: str) -> None:
        if "secret" in text:
            raise NotAllowedError("A rule stopped this question.")

    return replace(await question_alone(job), see=see)


async def test_text_in_a_picture_is_judged_before_the_answer_and_shown_to_nobody(tmp_path) -> None:
    executor = HandExecutor()
    async with open_queue(tmp_path, executor, converse=_strict_about_pictures) as queue:
        fine, bad = await asked(queue), await asked(queue)
        await until(lambda: fine.id in executor.held)
        executor.report(Step(fine.id, 0, 1, seen="a sign"))
        assert queue.news(1).live.get(fine.id) is None or not isinstance(
            queue.news(1).live.get(fine.id), Progress
        )
        executor.end(answered(fine.id, "A sign."))
        assert isinstance(await end_of(queue, fine.id), Rendered)
        await until(lambda: bad.id in executor.held)
        executor.report(Step(bad.id, 0, 1, seen="a secret sign"))
        assert bad.id in executor.asked_to_stop
        executor.end(answered(bad.id, "A sign."))
        assert await end_of(queue, bad.id) == Failed("A rule stopped this question.")


async def test_questions_go_to_the_device_that_is_theirs_alone(tmp_path) -> None:
    executor = HandExecutor({"cpu": 1, "server": 2}, only={"server": "ask"})
    async with open_queue(tmp_path, executor) as queue:
        first, second = await ask(queue), await ask(queue)
        questions = [await asked(queue, f"What is {n}?") for n in range(3)]
        await until(lambda: len(executor.held) == 3)
        await asyncio.sleep(0.05)
        held = {job_id: held.device for job_id, held in executor.held.items()}
        assert held == {first.job.id: "cpu", questions[0].id: "server", questions[1].id: "server"}
        [waiting] = [view for view in (await queue.snapshot()).waiting if view.job.id == second.job.id]
        assert waiting.position == 1
        async with asyncio.timeout(5):  # told again as those before it start
            async for event in queue.watch(questions[2].id):
                assert event.eta is None, "it waits for questions only"
                if event.position == 1:
                    break
        executor.end(answered(questions[0].id, "one"))
        await until(lambda: questions[2].id in executor.held)


async def test_somebody_who_draws_all_they_may_can_still_ask_elsewhere(tmp_path) -> None:
    executor = HandExecutor({"cpu": 4, "server": 2}, only={"server": "ask"})
    async with open_queue(tmp_path, executor, replace(LIMITS, user_running=1)) as queue:
        await ask(queue)
        await ask(queue)
        question = await asked(queue)
        await until(lambda: len(executor.held) == 2)
        assert executor.held[question.id].device == "server"


async def test_tokens_are_counted_by_person_and_day(queue: Queue, executor: HandExecutor) -> None:
    now = datetime.now(UTC)
    for tokens in (100, 50):
        job = await asked(queue)
        await until(lambda job=job: job.id in executor.held)
        executor.end(answered(job.id, "fine", tokens_in=tokens, tokens_out=5))
        await end_of(queue, job.id)
    used = await queue.database.read(lambda c: conversations.read_token_use(c, 1, now=now))
    assert used == (160, 0)
    assert (await queue.database.read(lambda c: conversations.read_token_use(c, 2, now=now))).tokens == 0
    await asked(queue)
    assert (await queue.database.read(lambda c: conversations.read_token_use(c, 1, now=now))).open == 1


async def test_a_question_counts_with_the_conversation_that_is_sent_again(tmp_path: Path) -> None:
    executor, words = HandExecutor({"cpu": 1}), "word " * 1000  # about 1300 tokens
    limits = replace(LIMITS, tokens_per_day=10_000, answer_tokens=500)
    async with open_queue(tmp_path, executor, limits) as queue:
        first = await asked(queue)
        await until(lambda: first.id in executor.held)
        executor.end(answered(first.id, words, tokens_in=500, tokens_out=1500))
        await end_of(queue, first.id)
        followed = []
        with pytest.raises(LimitError, match="4 questions not answered yet"):
            for _ in range(10):
                followed.append(await asked(queue, "And now?", parent=(first.id, 0)))
        assert len(followed) == 4  # each about 1,300 for what is sent again, and 500 for its answer
        await asked(queue, "And now?", user=2, parent=(first.id, 0))


async def test_of_a_long_conversation_no_more_counts_than_is_sent(tmp_path: Path) -> None:
    executor, words = HandExecutor({"cpu": 1}), "word " * 10_000
    limits = replace(LIMITS, tokens_per_day=10_000, answer_tokens=500, conversation_tokens=2000)
    async with open_queue(tmp_path, executor, limits) as queue:
        first = await asked(queue)
        await until(lambda: first.id in executor.held)
        executor.end(answered(first.id, words, tokens_in=10, tokens_out=10))
        await end_of(queue, first.id)
        last = first.id
        for _ in range(5):  # 2,000 each, the newest without its answer
            last = (await asked(queue, "And now?", parent=(last, 0))).id
        with pytest.raises(LimitError):
            await asked(queue, "And now?", parent=(last, 0))
