"""What a bot believes of the machines that it hears, with a bus that only notes what is said."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from core.errors import BusAway
from core.events import File, Output
from host.doctor_services import check_machines
from jobs.cluster import executor as module
from jobs.cluster.executor import BusExecutor, outcome_of
from jobs.cluster.file_transfer import FileReceiver
from jobs.cluster.nats import MESSAGE_MOST, Message
from jobs.cluster.protocol import Ask, Beat, Final, Holding, Order, Reply, StopRun, Taken, Timing
from jobs.cluster.registry import FORGOTTEN, MISSED, SAME_NAME, Hosts
from jobs.cluster.remote_worker import Identity, RemoteWorker
from jobs.executors.base import Device, Lost, Outcome
from tests.jobs.conftest import until
from tests.jobs.hand_executor import HandExecutor
from vision.protocol import Check, Done, Run, Stopped

SILENT = Timing().silent


class Line:
    """A bus without a server: notes who listens and what is said."""

    is_up, most = True, MESSAGE_MOST

    def __init__(self) -> None:
        self.takers: dict[str, Callable[..., Any]] = {}
        self.said: list[tuple[str, Message]] = []
        self.is_deaf = False  # nobody answers
        self.counts = type("Counts", (), {"refused": 0})

    def watch(self, changed: Callable[[], None]) -> None:
        pass

    async def listen(self, subject: str, kind: Any, hear: Any, **options: Any) -> Any:
        self.takers[subject] = hear
        return self.end

    serve = listen

    async def end(self) -> None:
        pass

    async def publish(self, subject: str, message: Message) -> bool:
        self.said.append((subject, message))
        return True

    async def request(self, subject: str, message: Message, kind: Any, *, patience: float) -> Any:
        self.said.append((subject, message))
        if self.is_deaf:
            raise BusAway("nobody answers")
        return Taken(True) if kind is Taken else Reply(declined="not here")

    async def answers(self, patience: float) -> bool:
        return True

    def told(self, kind: type[Message]) -> list[tuple[str, Any]]:
        return [(subject, message) for subject, message in self.said if isinstance(message, kind)]


class Bot:
    """An executor at the bus, a clock, and the machines' mouths."""

    def __init__(self, folder: Path) -> None:
        self.bus, self.now = Line(), 1000.0
        self.executor = BusExecutor(self.bus, folder)

    def beat(self, host: str, *runs: Holding, instance: str = "a", draining: bool = False) -> None:
        said = Beat(instance * 32, (Device("cpu", "ready", slots=4),), runs, "", "1", 0.0, draining)
        self.bus.takers["beat.*"](said, f"beat.{host}")

    def look(self) -> None:
        """Give up those that are silent now."""
        for host in self.executor.hosts.fallen_silent(self.now):
            self.executor.lose(host.name, "it doesn't respond any more")

    async def hand(self, job_id: str, host: str = "h1", request: str = "{}") -> asyncio.Task[Outcome]:
        run = Run(job_id, "imagine", request, token=(job_id.encode().hex() * 8)[:32])
        task = asyncio.create_task(self.executor.run(f"{host}/cpu", run, lambda message: None))
        await until(lambda: task.done() or (self.executor.has(job_id) and self.executor.outlives(job_id)))
        return task

    def held(self, number: int = -1) -> Holding:
        _, order = self.bus.told(Order)[number]
        return Holding(order.job_id, order.token, order.device, order.digest)


@pytest.fixture
async def bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bot]:
    made = Bot(tmp_path / "scratch")
    monkeypatch.setattr(module, "monotonic", lambda: made.now)
    await made.executor.start(lambda: None)
    yield made
    await made.executor.stop()


async def test_two_agents_of_one_name_lose_no_job_and_the_younger_gets_none(bot: Bot, caplog) -> None:
    bot.beat("box")
    run = await bot.hand("job1", "box")
    assert bot.bus.told(Order)[0][1].instance == "a" * 32
    for _ in range(8):
        bot.now += 1.0
        bot.beat("box", bot.held())
        bot.beat("box", instance="b")
        bot.beat("box", instance="b")
    bot.look()
    assert not run.done()
    [device] = bot.executor.devices
    assert (device.state, device.problem) == ("ready", SAME_NAME)
    assert caplog.text.count(SAME_NAME) == 1
    second = await bot.hand("job2", "box")
    assert bot.bus.told(Order)[1][1].instance == "a" * 32
    for _ in range(MISSED):
        bot.beat("box", instance="b")  # which knows nothing of it
    await asyncio.sleep(0)
    assert not second.done()
    bot.now += 3 * SILENT  # the younger has ended
    bot.beat("box", bot.held(0), bot.held(1))
    assert bot.executor.devices[0].problem is None


async def test_an_agent_that_starts_anew_has_its_jobs_again_once_the_old_process_is_silent(bot: Bot) -> None:
    bot.beat("h1")
    run = await bot.hand("job1")
    bot.now += 1.0
    bot.beat("h1", instance="b")
    bot.now += SILENT
    bot.look()
    assert isinstance((await run), Lost)
    bot.beat("h1", instance="b")
    await bot.hand("job2")
    assert bot.bus.told(Order)[1][1].instance == "b" * 32
    bot.beat("h1", instance="b", draining=True)  # which has said good-bye
    bot.beat("h1", instance="c")
    assert bot.executor.free() == {"h1/cpu": 4} and bot.executor.devices[0].problem is None


async def test_an_agent_leaves_orders_for_another_of_its_name_alone(tmp_path, caplog) -> None:
    agent = RemoteWorker(Line(), Identity("box"), HandExecutor(), object(), tmp_path)
    order = Order("f" * 32, "0" * 32, "job1", "cpu", "imagine", "{}", {}, "", instance="b" * 32)
    with caplog.at_level(logging.ERROR):
        assert await agent.take_order(order, "run.box") is None
        assert await agent.take_order(order, "run.box") is None
    assert not agent.runs and caplog.text.count("NODE_NAME") == 1


async def test_doctor_names_what_several_agents_are_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("host.doctor_services.LISTENED", 0.0)
    bus = Line()

    async def listen(subject: str, kind: Any, hear: Any, **options: Any) -> None:
        for instance in "ab":
            hear(Beat(instance * 32, (), (), "", "1", 0.0), "beat.box")

    monkeypatch.setattr(bus, "listen", listen)
    found = [check for check in await check_machines(bus) if check.ok is False]
    assert [check.found for check in found] == [
        "several `atelier worker` have the name box, and only one of each gets jobs"
    ]


async def test_no_machine_ends_the_run_of_another(bot: Bot) -> None:
    bot.beat("h1")
    bot.beat("h2")
    run = await bot.hand("job1")
    token = bot.held().token
    final = Final(token, "job1", stopped=Stopped("job1"))
    hear = bot.bus.takers["done.*"]
    assert (await hear(final, "done.h2")).what == "gone"
    assert (await hear(Final(token, "job2", stopped=Stopped("job2")), "done.h1")).what == "gone"
    await asyncio.sleep(0)
    assert not run.done()
    assert (await hear(final, "done.h1")).what == "kept"
    assert isinstance(await run, Stopped)


async def test_a_lost_machine_blames_none_of_its_jobs_but_one_that_it_had_alone(bot: Bot) -> None:
    for host in ("h1", "h2", "h3"):
        bot.beat(host)
    runs = [await bot.hand("job1"), await bot.hand("job2"), await bot.hand("job3", "h2")]
    bot.now += SILENT + 0.1
    bot.beat("h3")
    bot.look()
    lost = [await run for run in runs]
    assert [(one.untouched, one.shared) for one in lost if isinstance(one, Lost)] == [
        (False, True),
        (False, True),
        (False, False),
    ]


@pytest.mark.parametrize("final", [Final("a" * 32, "job1"), Final("a" * 32, "job1", stopped=Stopped("job2"))])
async def test_an_end_of_another_job_or_of_none_is_a_loss_that_says_so(tmp_path: Path, final: Final) -> None:
    outcome = await outcome_of(final, Run("job1", "imagine", "{}"), FileReceiver(tmp_path))
    assert outcome == Lost("job1", "its end can't be read")


async def test_a_machine_names_no_file_outside_of_its_jobs_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(
        FileReceiver, "take", lambda receiving, token, sha256, target: pytest.fail(str(target))
    )
    folder = tmp_path / "incoming" / "job1"
    folder.mkdir(parents=True)
    run = Run("job1", "bundle", "{}", folder=str(folder), token="a" * 32)
    for name in ("../x", "/etc/x", ".hidden", "more/x", ".."):
        receiving = FileReceiver(tmp_path / "scratch")
        final = Final(
            "a" * 32, "job1", done=Output(files=(File("x", name, "application/zip"),)), sent=("0" * 64,)
        )
        assert await outcome_of(final, run, receiving) == Lost("job1", "what it made can't be loaded"), name
        elsewhere = Run("job1", "bundle", "{}", token="a" * 32)
        assert isinstance(await outcome_of(final, elsewhere, receiving), Lost)
    assert (os.listdir(tmp_path), os.listdir(folder)) == (["incoming"], [])


async def test_what_a_machine_may_write_is_moved_into_its_jobs_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(
        FileReceiver, "take", lambda receiving, token, sha256, target: target.write_bytes(b"zip")
    )
    run = Run("job1", "bundle", "{}", folder=str(tmp_path), token="a" * 32)
    made = Output(files=(File("x", "x.zip", "application/zip"),))
    outcome = await outcome_of(
        Final("a" * 32, "job1", done=made, sent=("0" * 64,)), run, FileReceiver(tmp_path / "s")
    )
    assert isinstance(outcome, Done) and outcome.output.files[0].path == str(tmp_path / "x.zip")


async def test_a_run_that_began_with_other_words_is_stopped_and_not_taken_up(bot: Bot) -> None:
    bot.beat("h1")
    await bot.hand("job1", request='{"prompt": "a boat"}')
    same, other = bot.held(), Holding("job2", (b"job2".hex() * 8)[:32], "cpu", "another digest")
    bot.executor.runs.leave(bot.executor.runs.of_job("job1"))
    bot.beat("h1", same, other)
    taken_up = await bot.hand("job1", request='{"prompt": "a boat"}')
    changed = await bot.hand("job2", request='{"prompt": "a house"}')
    assert not taken_up.done() and len(bot.bus.told(Order)) == 1
    assert changed.done()
    lost = changed.result()
    assert isinstance(lost, Lost) and lost.untouched and "changed meanwhile" in lost.reason
    bot.beat("h1", same, other)
    await until(lambda: ("stop.h1", StopRun(other.token)) in bot.bus.said)
    assert not taken_up.done()


async def test_a_question_goes_to_the_machine_that_has_the_least_to_do(bot: Bot, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(b"pixels")
    bot.beat("h1", Holding("job1", "1" * 32, "cpu", ""), Holding("job2", "2" * 32, "cpu", ""))
    bot.beat("h2", Holding("job3", "3" * 32, "cpu", ""))
    bot.beat("h3", *[Holding(f"job{n}", f"{n}" * 32, "cpu", "") for n in range(4, 8)])
    await bot.executor.ask(Check("q", (str(path),)))
    assert [subject for subject, _ in bot.bus.told(Ask)] == ["ask.h2"]


async def test_a_host_that_has_been_down_for_an_hour_is_forgotten_though_no_other_falls_silent(
    bot: Bot,
) -> None:
    bot.beat("h1")
    bot.beat("h2")
    bot.now += SILENT + 0.1
    bot.beat("h2")
    bot.look()
    assert [device.state for device in bot.executor.devices] == ["down", "ready"]
    bot.now += FORGOTTEN
    bot.beat("h2")
    assert bot.executor.hosts.forget_old(bot.now)
    assert [device.name for device in bot.executor.devices] == ["h2/cpu"]
    assert not bot.executor.hosts.forget_old(bot.now)


def test_a_host_with_other_models_is_told_in_the_log_once(caplog: pytest.LogCaptureFixture) -> None:
    hosts, device = Hosts(Timing(), "mine"), Device("cpu", "ready")
    for now in range(3):
        hosts.hear("h1", Beat("a" * 32, (device,), (), "others", "1", 0.0), now)
    assert caplog.text.count("h1 gets no jobs: it uses other models than this bot's settings name") == 1


async def test_an_order_that_reached_nobody_goes_back_when_its_process_is_replaced(bot: Bot) -> None:
    bot.beat("h1")
    bot.bus.is_deaf = True
    run = Run("job1", "imagine", "{}", token="1" * 32)
    ordered = asyncio.create_task(bot.executor.run("h1/cpu", run, lambda message: None))
    await until(lambda: bot.bus.told(Order))
    bot.beat("h1", draining=True)
    bot.beat("h1", instance="b")
    lost = await ordered
    assert isinstance(lost, Lost) and lost.untouched


async def test_an_agent_that_drains_keeps_its_jobs_though_the_next_has_started(bot: Bot) -> None:
    bot.beat("h1")
    run = await bot.hand("job1")
    bot.beat("h1", bot.held(), draining=True)
    bot.beat("h1", instance="b")
    await asyncio.sleep(0)
    assert not run.done() and bot.executor.free() == {}
    bot.beat("h1", draining=True)
    bot.beat("h1", instance="b")
    assert bot.executor.free() == {"h1/cpu": 4}
