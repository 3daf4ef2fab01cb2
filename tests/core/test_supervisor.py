"""What runs for ever begins again after a failure, later each time, and is told meanwhile."""

import asyncio
import logging

import pytest

from core import process as module
from core.process import PAUSES, Supervisor


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made; time passes by them alone."""
    made: list[float] = []

    async def sleep(seconds: float) -> None:
        made.append(seconds)

    monkeypatch.setattr(module, "sleep", sleep)
    monkeypatch.setattr(module, "monotonic", lambda: sum(made))
    return made


async def test_work_that_fails_is_logged_and_begins_again_later_each_time(passed, caplog) -> None:
    tries = 0

    async def work() -> None:
        nonlocal tries
        tries += 1
        if tries < 8:
            raise KeyError("trouble")

    await Supervisor().forever("baking", work)
    assert passed == [*PAUSES, PAUSES[-1], PAUSES[-1]]
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 7 and all("baking failed" in record.message for record in errors)


async def test_a_failure_after_long_work_is_the_first_of_its_row(passed: list[float]) -> None:
    tries = 0

    async def work() -> None:
        nonlocal tries
        tries += 1
        if tries == 3:
            passed.append(module.SETTLED + 1)
        if tries < 4:
            raise KeyError("trouble")

    await Supervisor().forever("baking", work)
    assert passed == [PAUSES[0], PAUSES[1], module.SETTLED + 1, PAUSES[0]]


async def test_what_fails_is_a_problem_until_it_has_run_for_as_long_as_it_paused(passed: list[float]) -> None:
    supervisor, begun, end = Supervisor(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        if not passed:
            raise KeyError("trouble")
        begun.set()
        await end.wait()

    running = asyncio.create_task(supervisor.forever("baking", work))
    await begun.wait()
    assert supervisor.problem == "what failed is tried again: baking"
    passed.append(PAUSES[0])
    assert supervisor.problem is None
    end.set()
    await running


async def test_work_within_which_something_was_cancelled_begins_again(passed: list[float]) -> None:
    async def work() -> None:
        if not passed:
            lost = asyncio.get_running_loop().create_future()
            lost.cancel()
            await lost

    await Supervisor().forever("baking", work)
    assert passed == [PAUSES[0]]


async def test_cancelled_work_ends() -> None:
    running = asyncio.create_task(Supervisor().forever("baking", asyncio.Event().wait))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
