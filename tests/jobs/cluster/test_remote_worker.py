"""Jobs on workers elsewhere, over a real server of the bus: the same results as here, whatever is lost."""

import asyncio
import json
import struct
from pathlib import Path
from time import monotonic
from unittest import mock

import pytest

from core.errors import BusAway
from core.events import Cancelled, Failed, Progress, Rendered
from core.job import Origin, Status
from core.requests import DescribeRequest
from core.requests.video import VideoRequest
from jobs.cluster.remote_worker import RemoteWorker
from jobs.executors.local import LocalExecutor
from jobs.queue import Queue, Result
from tests.jobs import video_worker
from tests.jobs.cluster.conftest import FAKE, VIDEOS, agents, bot
from tests.jobs.conftest import ask, eventually, is_at, open_queue, until
from tests.jobs.fake_worker import picture_of
from tests.jobs.video_worker import video_bytes
from tests.support import nats
from vision.protocol import Answered, Choose, Chosen, Declined, Embed, Nearest, Neighbours, WorkerConfig

pytestmark = pytest.mark.bus
video_worker.register()


async def end(queue: Queue, job_id: str) -> object:
    last = None
    async for event in queue.watch(job_id):
        last = event
    return last


async def drawn(queue: Queue, jobs: int, **wish: object) -> list[tuple[str, ...]]:
    """Ask for jobs of different members; the SHA-256 of what each got."""
    prompt = json.dumps(wish) if wish else "a red house"
    asked = [await ask(queue, prompt, seed=7 * n, user=n + 1) for n in range(jobs)]
    for one in asked:
        assert isinstance(await end(queue, one.job.id), Rendered)
    return [hashes(await queue.result(one.job.id)) for one in asked]


def hashes(result: Result | None) -> tuple[str, ...]:
    assert result is not None and result.grid is not None
    return (*(picture.sha256 for picture in result.pictures), result.grid.sha256)


def idle(found: dict[str, RemoteWorker]) -> bool:
    return not any(agent.runs for agent in found.values())


async def test_one_agent_or_two_give_what_a_worker_here_gives(server: nats.Server, tmp_path: Path) -> None:
    for name in ("here", "one", "two"):
        (tmp_path / name).mkdir()
    local = LocalExecutor([WorkerConfig("cpu", {"slots": 4}, "")], target=FAKE)  # type: ignore[dict-item]
    async with open_queue(tmp_path / "here", local) as queue:
        here = await drawn(queue, 6)
    async with agents(server, tmp_path / "one", "h1") as found, bot(server, tmp_path / "one") as queue:
        assert await drawn(queue, 6) == here
        await until(lambda: idle(found))
    async with agents(server, tmp_path / "two", "h1", "h2", slots=2), bot(server, tmp_path / "two") as queue:
        await until(lambda: sum(queue.executor.free().values()) == 4)
        assert await drawn(queue, 6, delay=0.02) == here


async def test_pictures_and_videos_go_by_their_hash_and_in_parts(server: nats.Server, tmp_path: Path) -> None:
    async with agents(server, tmp_path, "h1", target=VIDEOS) as found, bot(server, tmp_path) as queue:
        sha256 = await queue.files.put(picture_of(3, 300).data, "image/png")
        asked = await queue.submit(DescribeRequest(image=sha256), Origin(1, 2, request_key="a"))
        assert isinstance(await end(queue, asked.job.id), Rendered)
        assert list((tmp_path / "h1" / "files").rglob(f"{sha256}.png"))
        request = VideoRequest(prompt=json.dumps({"kilobytes": 3000}), seed=5, num_images=2)
        asked = await queue.submit(request, Origin(1, 2, request_key="b"))
        assert isinstance(await end(queue, asked.job.id), Rendered)
        result = await queue.result(asked.job.id)
        assert result is not None
        assert [await queue.files.get(f.sha256) for f in result.videos] == [
            video_bytes(s, 3000) for s in (5, 6)
        ]
        assert await queue.files.get(result.videos[0].ends or "") == b"ends of 5"
        await until(lambda: idle(found))
        await until(lambda: not list((tmp_path / "h1" / "jobs").glob("*")))
        await until(lambda: not list(queue.files.incoming.glob("*")))
        await until(lambda: not list((tmp_path / "scratch").rglob("*.*")))


async def test_questions_are_answered_elsewhere_and_vectors_compared_here(
    server: nats.Server, tmp_path: Path
) -> None:
    picture, vectors = tmp_path / "picture.png", tmp_path / "vectors"
    picture.write_bytes(b"pixels")
    vectors.write_bytes(struct.pack("<6f", 0, 0, 1, 1, 0, 0))
    async with agents(server, tmp_path, "h1", clip="their clip"), bot(server, tmp_path) as queue:
        executor = queue.executor
        question = Embed("a" * 16, "m", paths=(str(picture),))
        assert await executor.ask(question) == Declined("a" * 16, "no machine is ready")
        await until(executor.free)
        assert await executor.ask(question) == Answered("a" * 16, (b"pixels",))
        choice = Choose("d" * 16, "Which?", ("draw", "change"))
        assert await executor.ask(choice) == Answered("d" * 16, Chosen((0.0, 1.0)))
        nearest = Nearest("c" * 16, str(vectors), (struct.pack("<3e", 0, 0, 1),), b"\x03", b"", 2)
        assert await executor.ask(nearest) == Answered("c" * 16, Neighbours((), (0, 1)))


async def test_a_cancelled_job_stops_and_frees_its_slot(server: nats.Server, tmp_path: Path) -> None:
    async with agents(server, tmp_path, "h1", slots=1) as found, bot(server, tmp_path) as queue:
        slow = await ask(queue, json.dumps({"steps": 1000, "delay": 0.01}), user=1)
        async for event in queue.watch(slow.job.id):
            if isinstance(event, Progress):
                await queue.cancel(slow.job.id)
        assert isinstance(event, Cancelled)
        await drawn(queue, 1)
        await until(lambda: idle(found))


async def test_a_killed_worker_costs_an_attempt_as_it_does_here(server: nats.Server, tmp_path: Path) -> None:
    wish = {"fault": "kill", "at": 2, "marker": str(tmp_path / "marker")}
    async with agents(server, tmp_path, "h1"), bot(server, tmp_path) as queue:
        asked = await ask(queue, json.dumps(wish))
        assert isinstance(await end(queue, asked.job.id), Rendered)
        job = await queue.job(asked.job.id)
        assert job is not None and job.attempts == 2


async def test_a_job_that_can_not_be_done_is_told_so(server: nats.Server, tmp_path: Path) -> None:
    async with agents(server, tmp_path, "h1"), bot(server, tmp_path) as queue:
        asked = await ask(queue, json.dumps({"fault": "user"}))
        assert await end(queue, asked.job.id) == Failed("It broke: user.")


async def test_a_server_of_the_bus_that_is_killed_costs_no_step(server: nats.Server, tmp_path: Path) -> None:
    async with agents(server, tmp_path, "h1", "h2") as found, bot(server, tmp_path) as queue:
        await until(lambda: sum(queue.executor.free().values()) == 8)
        wish = json.dumps({"steps": 60, "delay": 0.03})
        asked = [await ask(queue, wish, seed=n, user=n) for n in range(6)]
        for _ in range(2):
            await until(
                lambda: sum(work.telling.step > 0 for agent in found.values() for work in agent.runs) == 6
            )
            server.kill()
            await asyncio.sleep(0.3)
            server.start()
            await until(lambda: queue.executor.bus.is_up)
        for one in asked:
            assert isinstance(await end(queue, one.job.id), Rendered)
            job = await queue.job(one.job.id)
            assert job is not None and job.attempts == 1
        await until(lambda: idle(found))


async def test_a_host_that_falls_silent_is_given_up_and_its_jobs_go_on_elsewhere(
    server: nats.Server, tmp_path: Path
) -> None:
    async with agents(server, tmp_path, "h1", "h2", slots=2) as found, bot(server, tmp_path) as queue:
        await until(lambda: sum(queue.executor.free().values()) == 4)
        asked = [await ask(queue, json.dumps({"steps": 40, "delay": 0.02}), seed=n, user=n) for n in range(4)]
        await until(lambda: all(len(agent.runs) == 2 for agent in found.values()))
        bus, silent = found["h1"].bus, monotonic()
        with mock.patch.object(bus, "publish", _nothing), mock.patch.object(bus, "request", _away):
            await until(lambda: {d.name: d.state for d in queue.executor.devices}["h1/cpu"] == "down")
            assert monotonic() - silent < 2.5
            for one in asked:
                assert isinstance(await end(queue, one.job.id), Rendered)
        await until(lambda: idle(found))  # h1 is heard again: nobody wants what it has
        ready = {"h1/cpu": "ready", "h2/cpu": "ready"}
        await until(lambda: {d.name: d.state for d in queue.executor.devices} == ready)
        for one in asked:
            result = await queue.result(one.job.id)
            assert result is not None and len(result.pictures) == 4


async def _nothing(*arguments: object, **options: object) -> bool:
    return True


async def _away(*arguments: object, **options: object) -> None:
    raise BusAway("pulled")


async def test_jobs_outlive_the_bot_and_are_taken_up_by_the_next(server: nats.Server, tmp_path: Path) -> None:
    async with agents(server, tmp_path, "h1", slots=2) as found:
        async with bot(server, tmp_path) as queue:
            wish = json.dumps({"steps": 100, "delay": 0.02})
            asked = [await ask(queue, wish, seed=n, user=n) for n in range(2)]
            await until(lambda: [work.telling.step > 0 for work in found["h1"].runs] == [True, True])
            tokens = {work.order.token for work in found["h1"].runs}
        assert {work.order.token for work in found["h1"].runs} == tokens
        async with bot(server, tmp_path) as queue:
            assert {job.status for job in [await queue.job(one.job.id) for one in asked] if job} == {
                Status.RUNNING
            }
            for one in asked:
                assert isinstance(await end(queue, one.job.id), Rendered)
                job = await queue.job(one.job.id)
                assert job is not None and job.attempts == 1 and job.device == "h1/cpu"
            await until(lambda: idle(found))


async def test_a_run_that_ended_while_no_bot_was_there_is_told_to_the_next(
    server: nats.Server, tmp_path: Path
) -> None:
    async with agents(server, tmp_path, "h1") as found:
        async with bot(server, tmp_path) as queue:
            asked = await ask(queue, json.dumps({"steps": 20, "delay": 0.02}))
            await until(lambda: any(work.telling.step for work in found["h1"].runs))
        await until(lambda: all(work.over for work in found["h1"].runs))
        assert len(found["h1"].runs) == 1
        async with bot(server, tmp_path) as queue:
            await eventually(lambda: is_at(queue, asked.job.id, Status.RENDERED))
            job = await queue.job(asked.job.id)
            assert job is not None and job.attempts == 1
            await until(lambda: idle(found))


async def test_without_a_bot_a_run_is_stopped_when_its_lease_is_out(server: nats.Server, tmp_path) -> None:
    async with agents(server, tmp_path, "h1") as found:
        async with bot(server, tmp_path) as queue:
            asked = await ask(queue, json.dumps({"steps": 100_000, "delay": 0.01}))
            await until(lambda: any(work.telling.step for work in found["h1"].runs))
        await until(lambda: all(work.over for work in found["h1"].runs))
        async with bot(server, tmp_path) as queue:  # which is told that it was given up, and begins anew
            await eventually(lambda: is_at(queue, asked.job.id, Status.RUNNING))
            job = await queue.job(asked.job.id)
            assert job is not None and job.attempts == 1
            await queue.cancel(asked.job.id)


async def test_an_agent_with_other_models_or_another_version_gets_no_jobs(
    server: nats.Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        agents(server, tmp_path, "h1", models="others") as found,
        bot(server, tmp_path, models="mine") as queue,
    ):
        await until(lambda: queue.executor.devices)
        [device] = queue.executor.devices
        assert device.state == "down" and "other models" in (device.problem or "")
        await found["h1"].bus._client.publish("at.beat.h2", b"\x07whatever")
        await until(lambda: len(queue.executor.devices) == 2)
        problems = {one.name: one.problem for one in queue.executor.devices}
        assert problems["h2"] == "speaks version 7 of messages, and this bot another"
        assert queue.executor.free() == {}
    assert caplog.text.count("h2 gets no jobs") == 1


async def test_an_agent_that_stops_lets_jobs_end_and_gives_the_rest_back(
    server: nats.Server, tmp_path: Path
) -> None:
    async with bot(server, tmp_path) as queue:
        async with agents(server, tmp_path, "h1") as found:
            long = await ask(queue, json.dumps({"steps": 5000, "delay": 0.01}), user=1)
            short = await ask(queue, json.dumps({"steps": 20, "delay": 0.01}), user=2)
            await until(lambda: [work.telling.step > 0 for work in found["h1"].runs] == [True, True])
            await found["h1"].stop(1.0)
            assert isinstance(await end(queue, short.job.id), Rendered)
            await eventually(lambda: is_at(queue, long.job.id, Status.QUEUED))
            job = await queue.job(long.job.id)
            assert job is not None and job.attempts == 0
            assert queue.executor.free() == {}
