"""Projects that watch folders: what is taken from one, once; what is told of it; and what becomes of that."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.errors import ImageError, LimitError, NotAllowedError, UserError
from core.job import Job, Lane, Status, Surface
from core.language import speaking
from storage import watches as rows
from storage.schema import jobs, uploads, watch_pictures
from storage.schema import watches as table
from storage.watches import Seen, Watch
from studio.media import picture_folder
from studio.projects import watches
from studio.projects.watches import MOST_WATCHES, rate_text
from tests.jobs.conftest import eventually
from tests.studio.conftest import ALICE, BOB, MIRA
from tests.studio.projects.conftest import ALONE, World, noise, open_world
from tests.studio.servers import Channel
from tests.support.cameras import RtspCamera, http_camera, still


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watches, "EVERY", 0.02)
    monkeypatch.setattr(watches, "AFTER_TROUBLE", 0.05)
    monkeypatch.setattr(picture_folder, "SETTLED", 0.0)
    monkeypatch.setattr(picture_folder, "AGAIN", 0.1)


@dataclass
class Line:
    """A studio with a folder to watch, and Alice's project with a model."""

    world: World
    folder: Path

    async def told(self) -> list[Job]:
        """Return the jobs of alarms, of which nobody here takes the messages."""
        return await self.world.services.database.read(rows.list_untold)

    @property
    def watches(self) -> watches.Watches:
        return self.world.studio.watches

    def put(self, seed: int, name: str = "") -> Path:
        """Let a picture come."""
        path = self.folder / (name or f"{seed}.png")
        path.write_bytes(noise(seed))
        return path

    async def pictures(self) -> dict[str, str]:
        """Return file → state of what was taken."""
        found = sa.select(watch_pictures.c.file, watch_pictures.c.state)
        return {
            row.file: row.state
            for row in await self.world.services.database.read(lambda c: c.execute(found).all())
        }

    async def until(self, **states: str) -> None:
        async def there() -> bool:
            return await self.pictures() == {
                f"{name.removeprefix('p')}.png": state for name, state in states.items()
            }

        await eventually(there)

    async def watch(self) -> Watch:
        """Return the one watch as it is now."""
        board = await self.watches.board(ALICE, "boards")
        return board.watches[0]

    async def trouble(self, text: str) -> None:
        async def told() -> bool:
            trouble = (await self.watch()).trouble
            return text in trouble if text else not trouble

        await eventually(told)


@asynccontextmanager
async def open_line(tmp_path: Path) -> AsyncIterator[Line]:
    folder = tmp_path / "cameras" / "line"
    (folder / "left").mkdir(parents=True, exist_ok=True)
    async with open_world(tmp_path / "data", WATCH_SOURCES=f"line={folder}") as world:
        channel = Channel({1, 2, 3}, {1, 2, 3})
        world.servers.servers[10].channels[100] = channel
        yield Line(world, folder)


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    async with open_line(tmp_path) as found:
        world = found.world
        made = await world.projects.new(ALICE, "boards")
        await world.put(made, ALICE, ["good"] * 5)
        await world.trained(ALICE, "boards")
        yield found


async def test_a_defect_is_told_and_a_good_part_is_not(line: Line) -> None:
    line.put(900)  # which was there before
    made = await line.watches.add(ALICE, "boards", "line", camera="Left", channel_id=100)
    assert (made.camera, made.source, made.channel_id) == ("Left", "line", 100)
    line.world.learner.score = 1.0
    followed = dict[str, Job]()
    with line.watches.telling(lambda job: followed.update({job.id: job})):
        async with line.watches.running():
            line.put(901)
            await line.until(p901="good")
            line.world.learner.score = 2.0
            line.put(902)
            await line.until(p901="good", p902="alarm")
            await eventually(partial(asyncio.sleep, 0, followed))
    [job] = await line.told()
    assert (job.origin.user_id, job.origin.guild_id, job.origin.channel_id) == (ALICE.user_id, 10, 100)
    assert (job.status, job.origin.surface, job.lane) == (Status.RENDERED, Surface.DISCORD, Lane.RELAX)
    board = await line.watches.board(ALICE, "boards")
    assert [(one.camera, one.file, one.is_right) for one in board.alarms] == [("Left", "902.png", None)]
    assert followed.keys() == {job.id}


async def test_the_same_content_is_asked_about_once_and_half_a_file_not_at_all(line: Line) -> None:
    await line.watches.add(ALICE, "boards", "line/left", channel_id=100)
    left = line.folder / "left"
    async with line.watches.running():
        (left / "a.png").write_bytes(noise(910))
        (left / "part.png").write_bytes(noise(911)[:900])
        (left / "other.txt").write_bytes(noise(912))
        (left / ".hidden.png").write_bytes(noise(912))
        os.symlink(left / "a.png", left / "link.png")
        await line.until(pa="alarm")
        (left / "b.png").write_bytes(noise(910))
        await line.trouble("`part.png` is damaged or incomplete.")
        (left / "part.png").write_bytes(noise(911))
        await line.until(pa="alarm", ppart="alarm")
        await line.trouble("")
    assert len(await line.told()) == 2


async def test_a_kill_between_a_job_and_its_note_loses_and_doubles_nothing(
    tmp_path: Path, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    await line.watches.add(ALICE, "boards", "line", channel_id=100)
    noted = rows.note_picture

    def killed(*given: object, **more: object) -> None:
        raise RuntimeError  # as good as a kill: nothing after it is done

    database = line.world.services.database
    count = sa.select(sa.func.count()).select_from(jobs).where(jobs.c.kind == "inspect")

    async def asked() -> bool:
        return await database.read(lambda c: c.scalar(count)) == 1

    line.put(920)
    monkeypatch.setattr(rows, "note_picture", killed)
    async with line.watches.running():
        await eventually(asked)
    assert await asked() and await line.pictures() == {}
    monkeypatch.setattr(rows, "note_picture", noted)
    async with line.watches.running():
        await line.until(p920="alarm")
    assert await database.read(lambda c: c.scalar(count)) == 1 and len(await line.told()) == 1
    async with line.watches.running():  # once more, after another start
        line.put(921)
        await line.until(p920="alarm", p921="alarm")
    assert await database.read(lambda c: c.scalar(count)) == 2 and len(await line.told()) == 2


async def test_answers_become_labels_and_count(line: Line) -> None:
    await line.watches.add(ALICE, "boards", "line", channel_id=100)
    async with line.watches.running():
        line.put(930)
        line.put(931)
        await line.until(p930="alarm", p931="alarm")
    first, second = await line.told()
    assert "new since version 1" in await line.world.inference.answer(ALICE, first.id, 0, right=True)
    assert "new since version 1" in await line.world.inference.answer(ALICE, second.id, 0, right=False)
    assert (await line.world.projects.card(ALICE, "boards")).counts.labels == {"good": 6, "defect": 1}
    rate = (await line.watches.board(BOB, "boards")).rate
    assert rate == "False alarms promised: about 20.0% of good parts. Here: 1 of 1 good parts (100.0%)."
    assert rate_text(None, Seen(10, 3, 1, 1)).endswith("Alarms without an answer: 1.")


async def test_a_snoozed_camera_is_listed_but_told_to_nobody(line: Line) -> None:
    made = await line.watches.add(ALICE, "boards", "line", channel_id=100)
    async with line.watches.running():
        line.put(940)
        await line.until(p940="alarm")
        with pytest.raises(NotAllowedError, match="owner, or somebody with Manage Server"):
            await line.watches.snooze_by(BOB, (await line.told())[0].id)
        until = await line.watches.snooze_by(MIRA, (await line.told())[0].id)
        assert timedelta(minutes=59) < until - datetime.now(UTC) <= timedelta(hours=1)
        line.put(941)
        await line.until(p940="alarm", p941="quiet")
    assert len(await line.told()) == 1 and len((await line.watches.board(BOB, "boards")).alarms) == 2
    drawn = (await line.world.drawn(ALICE)).job.id
    with pytest.raises(ImageError, match="by no camera"):
        await line.watches.snooze_by(ALICE, drawn)
    assert (await line.watch()).id == made.id


async def test_only_managers_decide_and_only_about_folders_that_the_operator_names(line: Line) -> None:
    add = line.watches.add
    with pytest.raises(NotAllowedError, match="owner, or somebody with Manage Server"):
        await add(BOB, "boards", "line", channel_id=100)
    outside = line.folder.parent / "secret"
    outside.mkdir()
    os.symlink(outside, line.folder / "way-out")
    for source, why in {
        "": "operator allows: line",
        "/etc": "operator allows: line",
        "line/../secret": "may be watched",
        "line/way-out": "may be watched",
        "line/nothing": "isn't there",
    }.items():
        with pytest.raises(UserError, match=why):
            await add(ALICE, "boards", source, channel_id=100)
    with pytest.raises(NotAllowedError, match="where you and I may post"):
        await add(ALICE, "boards", "line", channel_id=999)
    with pytest.raises(UserError, match="1 to 365 days"):
        await add(ALICE, "boards", "line", channel_id=100, keep_days=0)
    made = await add(MIRA, "boards", "line", channel_id=100)
    with pytest.raises(UserError, match="has a camera 'line' already"):
        await add(ALICE, "boards", "line", channel_id=100)
    for n in range(MOST_WATCHES - 1):
        await add(ALICE, "boards", "line", camera=str(n), channel_id=100)
    with pytest.raises(LimitError, match="the limit"):
        await add(ALICE, "boards", "line", camera="one more", channel_id=100)
    for change in (
        lambda: line.watches.turn(BOB, "boards", made.id, on=False),
        lambda: line.watches.remove(BOB, "boards", made.id),
        lambda: line.watches.snooze(BOB, "boards", made.id),
    ):
        with pytest.raises(NotAllowedError):
            await change()
    board = await line.watches.board(BOB, "boards")
    assert (board.watches, board.manages) == ((), False)
    await line.world.projects.new(ALICE, "kinds", "classify")
    with pytest.raises(UserError, match="finds defects"):
        await add(ALICE, "kinds", "line", channel_id=100)
    with pytest.raises(UserError, match="no such camera"):
        await line.watches.turn(ALICE, "kinds", made.id, on=False)


async def test_what_comes_while_a_camera_is_off_is_not_looked_at(line: Line) -> None:
    made = await line.watches.add(ALICE, "boards", "line", channel_id=100)
    async with line.watches.running():
        await line.watches.turn(ALICE, "boards", made.id, on=False)
        line.put(950)
        await asyncio.sleep(0.02)  # the clock of the files is that coarse
        await line.watches.turn(ALICE, "boards", made.id, on=True)
        line.put(951)
        await line.until(p951="alarm")


async def test_somebody_who_manages_no_more_asks_nothing_more(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studio.rights.KEPT", 0.0)
    await line.watches.add(MIRA, "boards", "line", channel_id=100)
    line.world.servers.servers[10].members[MIRA.user_id] = False
    async with line.watches.running():
        line.put(960)
        await line.trouble("Manage Server")
        assert await line.pictures() == {}
        line.world.servers.servers[10].members[MIRA.user_id] = True
        await line.until(p960="alarm")
        await line.trouble("")


async def test_a_folder_that_goes_is_told_and_goes_on_when_it_is_back(line: Line) -> None:
    await line.watches.add(ALICE, "boards", "line", channel_id=100)
    away = line.folder.with_name("away")
    async with line.watches.running():
        line.folder.rename(away)
        await line.trouble("The folder 'line' isn't there.")
        away.rename(line.folder)
        line.put(970)
        await line.until(p970="alarm")
        await line.trouble("")


async def test_a_camera_is_looked_at_and_says_why_it_sees_nothing(tmp_path: Path) -> None:
    now = [noise(996)]
    async with http_camera(b"", now) as host, RtspCamera("h264", [still((200, 30, 30))] * 3).open() as url:
        places = f"gate=http://{host}/still,main={url},lost=http://{host}/gone"
        async with open_world(tmp_path, WATCH_SOURCES=places) as world:
            world.servers.servers[10].channels[100] = Channel({1, 2, 3}, {1, 2, 3})
            await world.put(await world.projects.new(ALICE, "boards"), ALICE, ["good"] * 5)
            await world.trained(ALICE, "boards")
            line = Line(world, tmp_path)
            for source, every, why in (
                ("lost", 5, "The camera answers 404."),
                ("gate/below", 5, "isn't there"),
                ("gate", 0, "every 1 to 3600 seconds"),
            ):
                with pytest.raises(UserError, match=why):
                    await line.watches.add(ALICE, "boards", source, channel_id=100, every=every)
            await line.watches.add(ALICE, "boards", "gate", channel_id=100, every=1)

            async def count(state: str, least: int) -> bool:
                return sum(one == state for one in (await line.pictures()).values()) >= least

            async with line.watches.running():
                await eventually(partial(count, "alarm", 1))
                now.append(noise(997))
                await eventually(partial(count, "alarm", 2))
                now.append(b"no picture")
                await line.trouble("can't be read as a picture")
            assert len(await line.told()) == 2  # the same picture isn't asked about again
            main = await line.watches.add(ALICE, "boards", "main", channel_id=100, every=1)
            await line.watches.turn(ALICE, "boards", (await line.watch()).id, on=False)
            async with line.watches.running():
                await eventually(partial(count, "alarm", 3))
            assert main.source == "main" and len(await line.told()) == 3


async def test_a_full_disk_is_told_and_what_came_meanwhile_is_judged_after(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    await line.watches.add(ALICE, "boards", "line", channel_id=100)
    queue = line.world.services.queue

    async def full() -> None:
        raise LimitError("The studio accepts no new jobs right now.")

    with monkeypatch.context() as patch:
        patch.setattr(queue, "check_room", full)
        async with line.watches.running():
            line.put(979)
            await line.trouble("accepts no new jobs")
            assert await line.pictures() == {}
    async with line.watches.running():
        await line.until(p979="alarm")
        await line.trouble("")


async def test_no_more_than_a_few_pictures_wait_at_a_time(line: Line) -> None:
    await line.watches.add(ALICE, "boards", "line", channel_id=100, rules={"most": 60})
    queue = line.world.services.queue
    await queue.pause(ALICE.user_id)
    async with line.watches.running():
        for seed in range(980, 990):
            line.put(seed)

        async def full() -> bool:
            return len(await line.pictures()) == watches.AHEAD

        await eventually(full)
        await asyncio.sleep(0.2)
        assert len(await line.pictures()) == watches.AHEAD
        await queue.resume(ALICE.user_id)
        await line.until(**{f"p{seed}": "alarm" for seed in range(980, 990)})
    assert len(await line.told()) == 10


async def test_somebodys_own_project_tells_them_alone(line: Line) -> None:
    world = line.world
    made = await world.projects.new(ALONE, "mine", shared=False)
    await world.put(made, ALONE, ["good"] * 5, first=50)
    await world.trained(ALONE, "mine")
    with speaking("de"):
        watch = await line.watches.add(ALONE, "mine", "line", channel_id=100)
    assert (watch.channel_id, watch.language) == (0, "de")
    async with line.watches.running():
        line.put(991)
        await line.until(p991="alarm")
    [job] = await line.told()
    assert job.origin.private and job.origin.guild_id is None and job.origin.language == "de"
    with pytest.raises(NotAllowedError):
        await world.inference.answer(replace(BOB, guild_id=None, channel_id=60), job.id, 0, right=True)


async def test_pictures_go_with_their_time_their_camera_and_their_project(line: Line) -> None:
    world, database = line.world, line.world.services.database
    made = await line.watches.add(ALICE, "boards", "line", channel_id=100, keep_days=2)
    async with line.watches.running():
        for seed in (992, 993, 994):
            line.put(seed)
        await line.until(p992="alarm", p993="alarm", p994="alarm")
    first, second, third = await line.told()
    kept = [job.request.pictures[0] for job in await line.told()]
    await world.inference.answer(ALICE, third.id, 0, right=True)
    old = sa.update(watch_pictures).values(at=datetime.now(UTC) - timedelta(days=3))
    await database.write(lambda c: c.execute(old.where(watch_pictures.c.job_id == first.id)))
    overdue = await database.read(lambda c: rows.list_overdue(c, datetime.now(UTC), 10))
    assert overdue == [first.id]
    removed = await database.write(
        lambda c: rows.drop_pictures(c, overdue, now=datetime.now(UTC), unpost=False)
    )
    assert removed.files == (kept[0],) and sorted(await line.pictures()) == ["993.png", "994.png"]
    await line.watches.remove(ALICE, "boards", made.id)
    left = sa.select(jobs.c.id).where(jobs.c.id.in_([second.id, third.id]))
    sent = sa.select(uploads.c.sha256).where(uploads.c.sha256.in_(kept))
    assert await database.read(lambda c: (c.scalars(left).all(), c.scalars(sent).all())) == ([], [])
    assert (await world.projects.card(ALICE, "boards")).counts.labels["defect"] == 1  # it has a label
    await line.watches.add(ALICE, "boards", "line", channel_id=100)
    async with line.watches.running():
        line.put(995)
        await line.until(p995="alarm")
    [last] = await line.told()
    await world.projects.forget(ALICE, "boards")
    left = sa.select(jobs.c.id).where(jobs.c.id == last.id)
    assert await database.read(lambda c: c.scalars(left).all()) == []
    assert await database.read(lambda c: c.scalars(sa.select(table.c.id)).all()) == []
