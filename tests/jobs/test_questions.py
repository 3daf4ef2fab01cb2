"""Questions to workers, beside their jobs."""

import asyncio

from jobs.executors.local import LocalExecutor
from tests.jobs.conftest import until
from tests.jobs.test_local import config, run_of, working
from vision.protocol import Answered, Declined, Done, Embed, Nearest


async def test_a_question_is_answered_beside_a_job_and_takes_no_slot() -> None:
    async with working() as executor:
        started = asyncio.Event()
        job = asyncio.create_task(executor.run("cpu", run_of(steps=50, delay=0.02), lambda _: started.set()))
        await started.wait()
        assert not executor.free()
        answers = await asyncio.gather(
            *(executor.ask(Embed(str(n), "clip", (f"text {n}",))) for n in range(5))
        )
        assert answers == [Answered(str(n), (f"text {n}",)) for n in range(5)] and not job.done()
        assert isinstance(await job, Done)


async def test_a_question_larger_than_a_pipe_holds_the_event_loop_up_for_nothing() -> None:
    """The worker doesn't read while it is in a step."""
    async with working() as executor:
        started = asyncio.Event()
        job = asyncio.create_task(executor.run("cpu", run_of(steps=3, delay=0.3), lambda _: started.set()))
        await started.wait()
        question = asyncio.create_task(executor.ask(Nearest("q", "", (b"",), b"1," * 5_000_000, b"", 1)))
        turns = 0
        while not question.done():
            await asyncio.sleep(0.005)
            turns += 1
        assert await question == Answered("q", (10_000_000,)) and turns > 20
        assert isinstance(await job, Done)


async def test_a_question_to_a_worker_that_dies_is_declined() -> None:
    async with working() as executor:
        answer = await asyncio.wait_for(executor.ask(Embed("q", "clip", ("die",))), 20)
        assert isinstance(answer, Declined) and "exit code 7" in answer.reason
        await until(lambda: executor.devices[0].state == "ready")
        assert await executor.ask(Embed("r", "clip", ("again",))) == Answered("r", ("again",))


async def test_who_stops_waiting_leaves_nothing_behind() -> None:
    async with working() as executor:
        job = asyncio.create_task(executor.run("cpu", run_of(steps=2, delay=0.2), lambda _: None))
        asked = asyncio.create_task(executor.ask(Embed("q", "clip", ("text",))))
        await asyncio.sleep(0)
        asked.cancel()
        assert isinstance(await job, Done)
        assert await executor.ask(Embed("q", "clip", ("another",))) == Answered("q", ("another",))


async def test_without_a_worker_that_is_ready_a_question_is_declined() -> None:
    assert await LocalExecutor((config(),)).ask(Embed("q", "clip")) == Declined("q", "no worker is ready")
