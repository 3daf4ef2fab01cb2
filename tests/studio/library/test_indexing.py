"""What pictures show is written down after each job, made up for older ones, and deleted with them."""

import asyncio
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

from storage import embeddings as rows
from storage.schema import picture_vectors
from studio import embeddings
from studio.authority import Action
from studio.embeddings import Indexing
from tests.jobs.conftest import eventually, until
from tests.studio.conftest import ALICE, BOB, Opened, open_studio
from tests.studio.library.conftest import Searched
from tests.studio.library.eyes import Seeing, vector_of


async def written(opened: Opened) -> dict[int, bytes]:
    """The rows: place → vector."""
    model = opened.services.indexing.model
    return await opened.services.database.read(lambda c: rows.read_vectors(c, model, 0, 10**6))


def wide(number: float) -> bytes:
    """A vector as it lies in the file."""
    return struct.pack("<2f", *struct.unpack("<2e", vector_of(number)))


def copied(opened: Opened) -> bytes:
    path = opened.services.indexing.path(opened.services.indexing.model)
    return path.read_bytes() if path.exists() else b""


async def until_written(opened: Opened, holds: Callable[[int], bool]) -> None:
    async def enough() -> bool:
        return holds(len(await written(opened)))

    await eventually(enough)


async def test_each_picture_of_a_job_is_looked_at_and_the_file_says_what_the_rows_say(
    searched: Searched,
) -> None:
    await searched.drawn(ALICE, "a house --seed 3")
    assert await written(searched.opened) == {place: vector_of(3 + place) for place in range(4)}
    assert copied(searched.opened) == b"".join(wide(seed) for seed in (3, 4, 5, 6))


async def test_older_pictures_are_made_up_for_when_somebody_can_look(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(embeddings, "LATER", 0.02)
    eyes = Seeing()
    eyes.blind = True
    async with open_studio(tmp_path, executor=eyes) as opened:
        for seed in (0, 10):
            await opened.drawn(ALICE, f"a house --seed {seed}")
        assert await written(opened) == {}
        eyes.blind = False
        await until_written(opened, lambda count: count == 8)
    eyes = Seeing()
    async with open_studio(tmp_path, executor=eyes) as opened:
        await opened.drawn(ALICE, "a boat --seed 20")
        await until_written(opened, lambda count: count == 12)
    looked_at = [path for question in eyes.asked for path in question.paths]
    assert len(looked_at) == 4, "those that have a vector aren't looked at again"


async def test_a_job_that_ends_while_nobody_can_look_is_found_by_the_walk_that_goes_on(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(embeddings, "LATER", 0.02)
    monkeypatch.setattr(
        embeddings, "BUSY", 0.03
    )  # what tells a walk that waits for jobs from one that tries anew
    eyes, waits = Seeing(), asyncio.Event()
    look, look_at_next = Indexing._look_at_new, Indexing._look_at_next
    eyes.blind = True

    async def look_and_see_afterwards(self: Indexing, job_id: str) -> None:
        await look(self, job_id)
        eyes.blind = eyes.blind and not waits.is_set()

    async def wait_for_a_job(self: Indexing, patience: float) -> None:
        if patience == embeddings.BUSY and submitted:
            waits.set()
        await look_at_next(self, patience)

    monkeypatch.setattr(Indexing, "_look_at_new", look_and_see_afterwards)
    monkeypatch.setattr(Indexing, "_look_at_next", wait_for_a_job)
    submitted = False
    async with open_studio(tmp_path, executor=eyes) as opened:
        await opened.drawn(ALICE, "a house --seed 0")
        await opened.services.queue.pause(1)
        [new] = await (await opened.studio.requests.imagine(ALICE, "a house --seed 10", None)).jobs()
        await opened.studio.submit(ALICE, new)
        submitted = True
        await waits.wait()
        await opened.services.queue.resume(1)
        await until_written(opened, lambda count: count == 8)


async def test_a_job_at_which_the_looking_broke_is_looked_at_again(tmp_path: Path, monkeypatch) -> None:
    write, due = Indexing._write, list[str]()

    async def break_once(self: Indexing, sha256s: Sequence[str]) -> bool:
        if due:
            due.clear()
            raise KeyError("nobody has thought of it")
        return await write(self, sha256s)

    monkeypatch.setattr(Indexing, "_write", break_once)
    async with open_studio(tmp_path, executor=Seeing()) as opened:
        await opened.drawn(ALICE, "a house --seed 3")
        await until_written(opened, lambda count: count == 4)
        due.append("an error")
        await opened.drawn(ALICE, "a boat --seed 20")
        await until_written(opened, lambda count: count == 8)


async def test_older_pictures_wait_while_jobs_do(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(embeddings, "BUSY", 0.01)
    monkeypatch.setattr(embeddings, "LATER", 0.01)
    eyes = Seeing()
    eyes.blind = True
    async with open_studio(tmp_path, executor=eyes) as opened:
        await opened.drawn(ALICE, "a house --seed 0")
        await opened.services.queue.pause(1)
        [new] = await (await opened.studio.requests.imagine(ALICE, "a boat --seed 9", None)).jobs()
        waiting = await opened.studio.submit(ALICE, new)
        waits = asyncio.Event()
        look_at_next = Indexing._look_at_next

        async def seen(self: Indexing, patience: float) -> None:
            waits.set()
            await look_at_next(self, patience)

        monkeypatch.setattr(Indexing, "_look_at_next", seen)
        await waits.wait()
        eyes.blind = False
        eyes.asked.clear()
        await asyncio.sleep(0.1)
        assert eyes.asked == []
        await opened.studio.cancel(ALICE, waiting.job.id)
        await until_written(opened, lambda count: count == 4)


async def test_a_vector_goes_with_the_last_job_that_made_its_picture(searched: Searched) -> None:
    opened = searched.opened
    first = await searched.drawn(ALICE, "a house --seed 3")
    again = await searched.drawn(BOB, "a house --seed 3")
    await searched.drawn(BOB, "a boat --seed 30")
    assert len(await written(opened)) == 8, "the same file is looked at once"
    await opened.studio.delete(ALICE, first)
    assert len(await written(opened)) == 8
    await opened.studio.delete(BOB, again)
    assert len(await written(opened)) == 4 and all(wide(seed) not in copied(opened) for seed in (3, 6))
    assert wide(30) in copied(opened)
    await opened.studio.own.delete(BOB)
    assert await written(opened) == {} and not copied(opened).strip(b"\0")


async def test_a_vector_goes_though_somebody_elses_job_needs_the_file(searched: Searched) -> None:
    opened = searched.opened
    job = await searched.drawn(ALICE, "a house --seed 3")
    varied = await opened.studio.from_button(BOB, job, "subtle", 0)
    submitted = await opened.studio.submit(BOB, varied)
    async for _ in await opened.studio.watch(BOB, submitted.job.id):
        pass
    [needed] = (await opened.studio.rights.job(BOB, submitted.job.id, Action.SHOW)).request.pictures
    assert await searched.missing({needed}) == []
    await opened.studio.delete(ALICE, job)
    assert opened.services.files.exists(needed) and await searched.missing({needed}) == [needed]


async def test_retention_takes_vectors_along(tmp_path: Path) -> None:
    async with open_studio(tmp_path, executor=Seeing(), RETENTION_DAYS="1") as opened:
        await opened.drawn(ALICE, "a house --seed 3")
        await until_written(opened, lambda count: count == 4)
        await opened.services.database.write(
            lambda c: c.exec_driver_sql("UPDATE jobs SET status = 'delivered', delivered_at = 0") and None
        )
        await opened.services.janitor.sweep()
        assert await written(opened) == {} and not copied(opened).strip(b"\0")


async def test_a_picture_that_is_deleted_while_it_is_looked_at_leaves_nothing(searched: Searched) -> None:
    opened, looked, ask = searched.opened, asyncio.Event(), searched.eyes.ask
    deleted = asyncio.Event()

    async def slow(question):
        looked.set()
        answer = await ask(question)
        await deleted.wait()
        return answer

    searched.eyes.ask = slow  # type: ignore[method-assign]
    result = await opened.drawn(ALICE, "a house --seed 3")
    await looked.wait()
    await opened.studio.delete(ALICE, result.job.id)
    deleted.set()
    await searched.drawn(ALICE, "a house --seed 30")
    assert sorted((await written(opened)).values()) == sorted(vector_of(seed) for seed in range(30, 34))
    assert all(wide(seed) not in copied(opened) for seed in (3, 4, 5, 6))


async def test_a_lost_file_is_written_anew_and_what_no_row_names_is_erased(tmp_path: Path) -> None:
    async with open_studio(tmp_path, executor=Seeing()) as opened:
        await opened.drawn(ALICE, "a house --seed 3")
        await until_written(opened, lambda count: count == 4)
        path, whole = opened.services.indexing.path(opened.services.indexing.model), copied(opened)
        second = picture_vectors.c.place == 1
        await opened.services.database.write(
            lambda c: c.execute(picture_vectors.delete().where(second)) and None
        )
    async with open_studio(tmp_path, executor=Seeing()) as opened:
        await until_written(opened, lambda count: count == 4)  # one was made up for
        await until(lambda: wide(4) not in copied(opened)[8:16])
    path.unlink()
    async with open_studio(tmp_path, executor=Seeing()) as opened:
        await until(lambda: len(copied(opened)) >= len(whole))
        by_place = await written(opened)
        seeds = {vector_of(seed): wide(seed) for seed in (3, 4, 5, 6)}
        await until(lambda: all(copied(opened)[8 * p :][:8] == seeds[v] for p, v in by_place.items()))


async def test_a_new_model_answers_once_it_has_seen_everything(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(embeddings, "LATER", 0.01)
    old, new = "org/old@1", "org/new@1"
    async with open_studio(tmp_path, executor=Seeing(), CLIP_MODEL=old) as opened:
        await opened.drawn(ALICE, "a house --seed 3")
        await until_written(opened, lambda count: count == 4)
    eyes = Seeing()
    eyes.blind = True
    async with open_studio(tmp_path, executor=eyes, CLIP_MODEL=new) as opened:
        await until(lambda: bool(eyes.asked))
        assert opened.services.indexing.model == old and len(await written(opened)) == 4
        eyes.blind = False
        await until(lambda: opened.services.indexing.model == new)
        await until(lambda: not opened.services.indexing.path(old).exists())
        assert await opened.services.database.read(lambda c: rows.size_of(c, old)) is None
        assert len(await written(opened)) == 4


async def test_a_host_who_wants_no_vectors_gets_none(tmp_path: Path) -> None:
    eyes = Seeing()
    async with open_studio(tmp_path, executor=eyes, SEARCH_PICTURES="off") as opened:
        await opened.drawn(ALICE, "a house --seed 3")
        assert eyes.asked == [] and opened.services.indexing.model == ""
