"""A store of files that doesn't answer for a while: jobs wait, and nothing is lost."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core.errors import FilesAway, LimitError
from core.job import Origin, Reply, Status
from core.requests import VariationRequest
from jobs import runs
from jobs.queue import Queue
from storage.blobs.local import Folder
from tests.jobs.conftest import ask, ask_held, done, eventually, is_at, open_queue, until
from tests.jobs.fake_worker import picture_of
from tests.jobs.hand_executor import HandExecutor


class Flaky(Folder):
    """A folder that can be away, as a bucket is."""

    away = False
    refused = 0

    def _check(self) -> None:
        if self.away:
            self.refused += 1
            raise FilesAway("the bucket doesn't answer")

    async def put(self, data: bytes, media_type: str) -> str:
        self._check()
        return await super().put(data, media_type)

    async def has(self, sha256: str) -> bool:
        self._check()
        return await super().has(sha256)

    @asynccontextmanager
    async def lent(self, sha256s: Collection[str], *, some: bool = False) -> AsyncIterator[dict[str, Path]]:
        if sha256s:
            self._check()
        async with super().lent(sha256s, some=some) as found:
            yield found


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Flaky:
    monkeypatch.setattr(runs, "AWAY_PAUSES", (0.01,))
    return Flaky(tmp_path / "pictures", ballast_bytes=4096)


@pytest.fixture
async def queue(tmp_path: Path, executor: HandExecutor, files: Flaky) -> AsyncIterator[Queue]:
    async with open_queue(tmp_path, executor, files=files) as opened:
        yield opened


async def status_of(queue: Queue, job_id: str) -> Status:
    job = await queue.job(job_id)
    assert job is not None
    return job.status


async def test_what_was_made_is_stored_when_the_store_is_back_and_nothing_is_started_meanwhile(
    queue: Queue, executor: HandExecutor, files: Flaky
) -> None:
    job_id = await ask_held(executor, queue, seed=7)
    files.away = True
    executor.end(done(executor, job_id))
    await until(lambda: files.refused > 2)
    another = (await ask(queue)).job.id
    refused = files.refused
    await until(lambda: files.refused > refused + 2)
    assert await status_of(queue, job_id) is Status.RUNNING and another not in executor.held
    files.away = False
    await eventually(lambda: is_at(queue, job_id, Status.RENDERED))
    result = await queue.result(job_id)
    assert await files.get(result.pictures[0].sha256) == picture_of(7).data


async def test_a_studio_that_stops_meanwhile_draws_the_job_again(
    tmp_path: Path, executor: HandExecutor, files: Flaky
) -> None:
    async with open_queue(tmp_path, executor, files=files) as first:
        job_id = (await ask(first)).job.id
        await until(lambda: job_id in executor.held)
        files.away = True
        executor.end(done(executor, job_id))
        await until(lambda: files.refused > 1)
    files.away = False
    again = HandExecutor()
    async with open_queue(tmp_path, again, files=files) as second:
        await until(lambda: job_id in again.held)
        again.end(done(again, job_id))
        await eventually(lambda: is_at(second, job_id, Status.RENDERED))


async def test_a_job_whose_picture_can_t_be_fetched_waits_and_one_that_is_asked_for_is_told(
    queue: Queue, executor: HandExecutor, files: Flaky
) -> None:
    request = VariationRequest(image=await files.put(picture_of(1).data, "image/png"), prompt="a red house")
    await queue.pause(9)
    job_id = (await queue.submit(request, Origin(1, 2, 3), Reply(77))).job.id
    files.away = True
    with pytest.raises(LimitError, match="can't reach its pictures"):
        await queue.submit(request, Origin(1, 2, 3), Reply(78))
    await queue.resume(9)
    refused = files.refused
    await until(lambda: files.refused > refused + 2)
    assert await status_of(queue, job_id) is Status.RUNNING and job_id not in executor.held
    files.away = False
    await until(lambda: job_id in executor.held)
