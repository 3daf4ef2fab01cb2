import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import psutil
import pytest

from core.requests import ImagineRequest, to_json
from jobs.executors import local
from jobs.executors.base import Lost
from jobs.executors.local import LocalExecutor, Timeouts
from tests.jobs.conftest import until
from tests.support.forks import forks
from vision.protocol import LAST_STEP, Broke, Done, Fault, LoadingModel, Run, Step, Stopped, WorkerConfig

TARGET = "tests.jobs.fake_worker:main"
QUICK = Timeouts(step=1.0, factor=10, loading=2.0, ready=30, quit=1.0, check=0.05)


def config(device: str = "cpu", **models: str) -> WorkerConfig:
    return WorkerConfig(device, models, cache_dir="/nonexistent")


def run_of(job_id: str = "j", **wish: Any) -> Run:
    return Run(job_id, "imagine", to_json(ImagineRequest(prompt=json.dumps(wish), num_images=1)))


@asynccontextmanager
async def working(
    *configs: WorkerConfig, timeouts: Timeouts = QUICK, processes: Any = None
) -> AsyncIterator[LocalExecutor]:
    """``processes``: the context that starts them; None: they are forked, which takes less."""
    with mock.patch.object(local, "PROCESSES", processes or forks()):
        executor = LocalExecutor(configs or (config(),), target=TARGET, timeouts=timeouts)
        await executor.start(lambda: None)
        try:
            await until(lambda: all(device.state != "starting" for device in executor.devices))
            yield executor
        finally:
            await executor.stop()


@pytest.fixture
async def executor(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LocalExecutor]:
    monkeypatch.setattr(local, "RESTART_PAUSES", (0.0, 0.05))
    async with working() as opened:
        yield opened


async def go(executor: LocalExecutor, run: Run, report: Callable[[Any], None] = lambda message: None) -> Any:
    await until(executor.free)
    return await asyncio.wait_for(executor.run(next(iter(executor.free())), run, report), 30)


async def test_a_run_reports_every_step_and_ends_once() -> None:
    heard: list[Any] = []
    async with working(processes=local.PROCESSES) as executor:
        outcome = await go(executor, run_of(steps=4, load=0.01), heard.append)
        assert isinstance(outcome, Done) and outcome.output.pictures[0].data.startswith(b"\x89PNG")
        assert heard == [LoadingModel("j", "fake", 0.5), *(Step("j", i, 4, b"preview") for i in range(1, 5))]
        (device,) = executor.devices
        assert (device.state, device.card, device.running, device.restarts) == ("ready", "a fake card", 0, 0)


@pytest.mark.parametrize("fault", ["segfault", "kill", "exit", "exception", "garbage", "close"])
async def test_a_dead_worker_costs_one_run_and_is_replaced(executor: LocalExecutor, fault: str) -> None:
    (before,) = executor.pids().values()
    assert isinstance(await go(executor, run_of(fault=fault, at=2)), Lost)
    assert isinstance(await go(executor, run_of("next")), Done)
    (after,) = executor.pids().values()
    assert after != before and not psutil.pid_exists(before)


async def test_the_reason_names_the_signal(executor: LocalExecutor) -> None:
    assert "SIGSEGV" in (await go(executor, run_of(fault="segfault"))).reason


async def test_a_worker_that_hangs_in_a_step_is_killed(executor: LocalExecutor) -> None:
    began = time.monotonic()
    outcome = await go(executor, run_of(fault="hang", at=3))
    assert isinstance(outcome, Lost) and "no step for" in outcome.reason
    assert 0.9 < time.monotonic() - began < 10
    assert isinstance(await go(executor, run_of("next")), Done)


async def test_a_worker_that_hangs_while_loading_is_killed_later(executor: LocalExecutor) -> None:
    began = time.monotonic()
    outcome = await go(executor, run_of(fault="hang", at=1))
    assert isinstance(outcome, Lost) and time.monotonic() - began > QUICK.loading * 0.9


async def test_slow_steps_and_a_slow_load_are_no_hang(executor: LocalExecutor) -> None:
    assert isinstance(await go(executor, run_of(load=1.0, steps=4, delay=0.3)), Done)


async def test_a_stopped_worker_is_killed_as_a_hang(executor: LocalExecutor) -> None:
    (pid,) = executor.pids().values()
    run = asyncio.create_task(go(executor, run_of(steps=1000, delay=0.02)))
    await until(lambda: executor.has("j"))
    await asyncio.sleep(0.2)
    os.kill(pid, signal.SIGSTOP)
    assert isinstance(await run, Lost)
    assert isinstance(await go(executor, run_of("next")), Done)


async def test_a_process_that_stood_still_itself_kills_nobody(executor: LocalExecutor) -> None:
    run = asyncio.create_task(go(executor, run_of(steps=60, delay=0.05)))
    await until(lambda: executor.has("j"))
    time.sleep(2.5)  # noqa: ASYNC251
    assert isinstance(await run, Done)


async def test_cancel_stops_between_two_steps_and_frees_the_slot(executor: LocalExecutor) -> None:
    heard: list[Any] = []
    run = asyncio.create_task(go(executor, run_of(steps=1000, delay=0.02), heard.append))
    await until(lambda: len(heard) > 2)
    assert not executor.free()
    executor.cancel("j")
    executor.cancel("unknown")
    assert await run == Stopped("j")
    assert executor.free() == {"cpu": 1} and not executor.has("j")
    (device,) = executor.devices
    assert device.restarts == 0


async def test_a_run_nobody_waits_for_keeps_its_slot_until_the_worker_answers(
    executor: LocalExecutor,
) -> None:
    run = asyncio.create_task(go(executor, run_of(steps=5, delay=0.05)))
    await until(lambda: executor.has("j"))
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    assert not executor.free()
    await until(executor.free)


@pytest.mark.parametrize("fault", ["user", "model", "error"])
async def test_a_broken_run_leaves_the_worker_alive(executor: LocalExecutor, fault: str) -> None:
    pids = executor.pids()
    assert await go(executor, run_of(fault=fault)) == Broke("j", Fault(fault), f"It broke: {fault}.")
    assert isinstance(await go(executor, run_of("next")), Done)
    assert executor.pids() == pids


async def test_a_poisoned_process_is_replaced(executor: LocalExecutor) -> None:
    pids = executor.pids()
    assert (await go(executor, run_of(fault="process"))).fault is Fault.PROCESS
    assert not executor.free(), "it takes no more jobs"
    assert isinstance(await go(executor, run_of("next")), Done)
    assert executor.pids() != pids


async def test_two_jobs_in_a_row_out_of_memory_get_a_fresh_process(executor: LocalExecutor) -> None:
    pids = executor.pids()
    await go(executor, run_of("1", fault="memory"))
    await go(executor, run_of("2"))
    await go(executor, run_of("3", fault="memory"))
    assert executor.pids() == pids
    await go(executor, run_of("4", fault="memory"))
    assert isinstance(await go(executor, run_of("5")), Done)
    assert executor.pids() != pids


async def test_devices_work_side_by_side_and_one_fault_touches_one() -> None:
    async with working(config("cpu"), config("cpu"), config("cuda:0")) as executor:
        assert sorted(executor.free()) == ["cpu", "cpu#2", "cuda:0"]
        runs = [
            executor.run(
                name,
                run_of(name, steps=10, delay=0.03, **({"fault": "kill"} if name == "cpu" else {})),
                lambda m: None,
            )
            for name in ("cpu", "cpu#2", "cuda:0")
        ]
        assert [type(o) for o in await asyncio.gather(*runs)] == [Lost, Done, Done]


# Several jobs in one worker

SLOTS = {"slots": "4"}


@asynccontextmanager
async def sharing(*wishes: dict[str, Any]) -> AsyncIterator[tuple[LocalExecutor, list[asyncio.Task[Any]]]]:
    """A worker with four slots, and a run for each of ``wishes`` in its hands, called 0, 1, …"""
    async with working(config(**SLOTS)) as executor:
        heard: list[Any] = []
        tasks = [
            asyncio.create_task(executor.run("cpu", run_of(str(i), **wish), heard.append))
            for i, wish in enumerate(wishes)
        ]
        await until(
            lambda: (
                {m.job_id for m in heard} == {str(i) for i, wish in enumerate(wishes) if wish.get("at") != 1}
            )
        )
        yield executor, tasks


async def test_a_worker_with_slots_runs_jobs_side_by_side() -> None:
    async with sharing(*[{"steps": 20, "delay": 0.02}] * 3) as (executor, tasks):
        assert executor.free() == {"cpu": 1} and executor.devices[0].running == 3
        assert [type(outcome) for outcome in await asyncio.gather(*tasks)] == [Done] * 3
        assert executor.free() == {"cpu": 4}


async def test_one_of_several_is_cancelled_and_the_others_go_on() -> None:
    async with sharing({"steps": 10**6, "delay": 0.01}, {"steps": 30, "delay": 0.01}) as (executor, tasks):
        executor.cancel("0")
        assert await tasks[0] == Stopped("0")
        assert executor.free() == {"cpu": 3} and not tasks[1].done()
        assert isinstance(await tasks[1], Done)


@pytest.mark.parametrize("fault", ["kill", "hang", "garbage"])
async def test_when_a_worker_dies_with_several_jobs_nobody_is_blamed(fault: str) -> None:
    async with sharing(
        {"steps": 10**6, "delay": 0.01}, {"fault": fault, "at": 4, "steps": 5, "delay": 0.01}
    ) as (_, tasks):
        outcomes = await asyncio.gather(*tasks)
    assert [(o.shared, o.untouched) for o in outcomes] == [(True, False)] * 2


async def test_when_a_job_poisons_the_process_the_others_are_lost_without_blame() -> None:
    async with sharing(
        {"steps": 10**6, "delay": 0.01}, {"fault": "process", "at": 4, "steps": 5, "delay": 0.01}
    ) as (executor, tasks):
        lost, broke = await asyncio.gather(*tasks)
        assert broke.fault is Fault.PROCESS and (lost.untouched, lost.shared) == (True, False)
        assert isinstance(await go(executor, run_of("next")), Done)


async def test_a_process_that_ran_out_of_memory_twice_ends_when_its_other_jobs_have() -> None:
    long, short = {"steps": 60, "delay": 0.01}, {"fault": "memory", "at": 2}
    async with sharing(long, short, short) as (executor, tasks):
        pids = executor.pids()
        await asyncio.gather(*tasks[1:])
        assert not executor.free() and not tasks[0].done()
        assert isinstance(await tasks[0], Done)
        assert isinstance(await go(executor, run_of("next")), Done)
        assert executor.pids() != pids


async def test_a_job_that_loads_beside_one_that_steps_is_no_hang() -> None:
    async with sharing({"steps": 120, "delay": 0.02}) as (executor, tasks):
        late = await executor.run("cpu", run_of("late", load=1.5), lambda m: None)
        assert isinstance(late, Done) and isinstance(await tasks[0], Done)


async def test_a_job_that_its_worker_has_forgotten_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async with working(config(**SLOTS), timeouts=replace(QUICK, forgotten=1.0)) as executor:
        heard: list[Any] = []
        stepping = asyncio.create_task(
            executor.run("cpu", run_of("0", steps=10**6, delay=0.01), heard.append)
        )
        await until(lambda: heard)
        (worker,) = executor.workers.values()
        monkeypatch.setattr(worker, "_send", lambda message: None)  # the worker never hears of it
        forgotten = asyncio.create_task(executor.run("cpu", run_of("1"), heard.append))
        assert [(o.untouched, o.shared) for o in await asyncio.gather(stepping, forgotten)] == [
            (True, False),
            (False, False),
        ]


async def test_a_worker_that_never_starts_is_down_and_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "START_PAUSES", (0.01,))
    async with working(config(image="never starts")) as executor:
        (device,) = executor.devices
        assert device.state == "down" and "exit code 3" in device.problem
        assert not executor.free()
        assert isinstance(await executor.run("cpu", run_of(), lambda m: None), Lost)


async def test_stop_ends_every_process_and_run(monkeypatch: pytest.MonkeyPatch) -> None:
    async with working() as executor:
        (pid,) = executor.pids().values()
        run = asyncio.create_task(go(executor, run_of(fault="hang")))
        await until(lambda: executor.has("j"))
        await executor.stop()
        assert isinstance(await run, Lost)
        assert not psutil.pid_exists(pid)


async def test_a_worker_that_ends_on_demand_is_not_said_to_have_died(caplog) -> None:
    caplog.set_level("INFO", logger="jobs.executors.local")
    async with working(timeouts=replace(QUICK, quit=20)):
        caplog.clear()
    assert [record.getMessage() for record in caplog.records] == ["worker cpu has ended, as it was asked to"]


async def test_stop_while_starting_leaves_no_process() -> None:
    executor = LocalExecutor([config()], target=TARGET, timeouts=QUICK)
    await executor.start(lambda: None)
    await asyncio.sleep(0)
    await executor.stop()
    await until(lambda: not [c for c in psutil.Process().children() if "spawn_main" in " ".join(c.cmdline())])


async def test_a_worker_dies_with_its_parent_even_in_the_middle_of_a_step(tmp_path: Path) -> None:
    code = f"""
import asyncio, json
from jobs.executors.local import LocalExecutor
from tests.jobs.test_local import config, run_of, TARGET
async def main():
    executor = LocalExecutor([config()], target=TARGET)
    await executor.start(lambda: None)
    while not executor.free(): await asyncio.sleep(0.01)
    run = asyncio.create_task(executor.run("cpu", run_of(fault="hang"), lambda m: None))
    await asyncio.sleep(0.1)
    open({str(tmp_path / "pid")!r}, "w").write(str(executor.pids()["cpu"]))
    await run
if __name__ == "__main__":
    asyncio.run(main())
"""
    parent = subprocess.Popen([sys.executable, "-c", code])  # noqa: ASYNC220
    await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    worker = int((tmp_path / "pid").read_text())
    parent.kill()
    parent.wait()
    await until(
        lambda: not psutil.pid_exists(worker) or psutil.Process(worker).status() == psutil.STATUS_ZOMBIE, 5
    )


async def test_a_worker_for_which_no_thread_could_be_started_is_tried_again(monkeypatch) -> None:
    class NoThread:
        def __init__(self, **options: Any) -> None:
            monkeypatch.setattr(local, "threading", threading)  # the next one works

        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(local, "threading", SimpleNamespace(Thread=NoThread))
    monkeypatch.setattr(local, "START_PAUSES", (0.05,))
    async with working() as executor:
        assert isinstance(await go(executor, run_of(steps=1)), Done)
        assert executor.devices[0].restarts == 1


def test_a_worker_that_is_to_end_has_the_time_for_its_last_step() -> None:
    assert Timeouts().quit > LAST_STEP


def test_what_a_worker_process_imports_first_holds_no_torch() -> None:
    loaded = "print(sorted({'torch', 'discord', 'numpy'} & set(sys.modules)))"
    code = f"import sys, jobs.executors.local, jobs.queue; {loaded}"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )
