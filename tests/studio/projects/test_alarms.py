"""What watched pictures become: a part is posted once, many are counted, and cameras tell of themselves."""

import asyncio
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa
from PIL import Image

from core.errors import NotAllowedError, UserError
from storage import watches as rows
from storage.schema import watch_pictures
from storage.watches import Day
from studio.media import picture_folder
from studio.projects import alarms, watches
from studio.projects.alarms import Alarms, QuietHours, Sight, report_text
from tests.jobs.conftest import eventually
from tests.studio.conftest import ALICE, BOB
from tests.studio.projects.conftest import noise
from tests.studio.projects.test_watches import Line, open_line


@pytest.fixture
async def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Line]:
    monkeypatch.setattr(watches, "EVERY", 0.02)
    monkeypatch.setattr(picture_folder, "SETTLED", 0.0)
    async with open_line(tmp_path) as found:
        made = await found.world.projects.new(ALICE, "boards")
        await found.world.put(made, ALICE, ["good"] * 5)
        await found.world.trained(ALICE, "boards")
        yield found


async def reasons(line: Line) -> dict[str, str]:
    """File → state of what was taken, or why it isn't posted."""
    found = sa.select(watch_pictures.c.file, watch_pictures.c.state, watch_pictures.c.why)
    database = line.world.services.database
    return {row.file: row.why or row.state for row in await database.read(lambda c: c.execute(found).all())}


async def put(line: Line, name: str, picture: Image.Image | bytes, becomes: str) -> None:
    """Let a picture come, and wait until it is what it should become."""
    data = io.BytesIO(picture if isinstance(picture, bytes) else b"")
    if isinstance(picture, Image.Image):
        picture.save(data, "PNG")
    (line.folder / name).write_bytes(data.getvalue())

    async def settled() -> bool:
        return (await reasons(line)).get(name, "waiting") != "waiting"

    await eventually(settled)
    assert (await reasons(line))[name] == becomes


def told(line: Line) -> list[str]:
    return [text for _, text in line.world.servers.told]


def looked_after(line: Line, at: timedelta = timedelta()):
    """Let the camera tell what it has to, some time from now."""

    async def run() -> list[str]:
        before = len(told(line))
        own = Alarms(line.world.services)
        await own.look_after(await line.watch(), datetime.now(UTC) + at)
        return told(line)[before:]

    return run()


async def test_a_part_is_posted_once_however_often_it_is_seen(line: Line) -> None:
    await line.watches.add(ALICE, "boards", "line", channel_id=100)
    part = Image.open(io.BytesIO(noise(1, 128))).convert("RGB")
    moved = part.transform(part.size, Image.Transform.AFFINE, (1, 0, 5, 0, 1, -3))
    darker = part.point(lambda value: value * 0.9 + 4)
    async with line.watches.running():
        await put(line, "a.png", part, "alarm")
        await put(line, "b.png", moved, "same")
        await put(line, "c.png", darker, "same")
        await put(line, "d.png", noise(2, 128), "alarm")
        await put(line, "e.png", part.rotate(90), "alarm")
    shown = (await line.watches.board(ALICE, "boards")).alarms
    assert [(one.file, one.why) for one in shown][-3:] == [
        ("c.png", "same"),
        ("b.png", "same"),
        ("a.png", ""),
    ]
    assert len(await line.told()) == 3


async def test_a_part_that_comes_back_later_is_posted_again(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alarms, "SAME_WITHIN", timedelta())
    await line.watches.add(ALICE, "boards", "line", channel_id=100)
    part = Image.open(io.BytesIO(noise(1, 128)))
    async with line.watches.running():
        await put(line, "a.png", part, "alarm")
        await put(line, "b.png", part.point(lambda value: value * 0.9), "alarm")


async def test_many_alarms_are_counted_in_one_message(line: Line) -> None:
    await line.watches.add(ALICE, "boards", "line", channel_id=100, camera="Left", rules={"most": 2})
    async with line.watches.running():
        for number, becomes in enumerate(["alarm", "alarm", "many", "many", "many"]):
            await put(line, f"{number}.png", noise(number), becomes)
    assert await looked_after(line) == []  # the minute isn't over
    assert await looked_after(line, timedelta(minutes=2)) == [
        "📷 Left: 3 defects more; *Cameras* lists them."
    ]
    assert await looked_after(line, timedelta(minutes=4)) == []
    assert "3 defects more" in (await line.watch()).notice


async def test_nothing_is_posted_in_quiet_hours(line: Line) -> None:
    made = await line.watches.add(ALICE, "boards", "line", channel_id=100)
    await line.watches.change(ALICE, "boards", made.camera, {"hours": "00:00-23:59", "silent_after": 1})
    async with line.watches.running():
        await put(line, "a.png", noise(1), "hours")
        assert await looked_after(line, timedelta(minutes=5)) == []  # nor that it is silent
        await line.watches.change(ALICE, "boards", made.id, {"hours": ""})
        await put(line, "b.png", noise(2), "alarm")
    for rules, why in (
        ({"hours": "late"}, "look like"),
        ({"hours": "25:00-26:00"}, "look like"),
        ({"hours": "22:00-06:00 Nowhere/Land"}, "look like"),
        ({"most": 0}, "1 to 60 alarms"),
        ({"silent_after": -1}, "after 0 to"),
    ):
        with pytest.raises(UserError, match=why):
            await line.watches.change(ALICE, "boards", made.id, rules)
    with pytest.raises(NotAllowedError):
        await line.watches.change(BOB, "boards", made.id, {"most": 3})
    with pytest.raises(UserError, match="no such camera"):
        await line.watches.change(ALICE, "boards", "other", {"most": 3})


def test_quiet_hours_are_by_the_clock_of_their_place() -> None:
    night = QuietHours.of("22:00-06:00 Europe/Berlin")
    assert night.include(datetime(2026, 7, 1, 20, 30, tzinfo=UTC))  # 22:30 there
    assert night.include(datetime(2026, 7, 1, 3, 59, tzinfo=UTC))
    assert not night.include(datetime(2026, 7, 1, 4, 0, tzinfo=UTC))
    assert not QuietHours.of("Europe/Berlin").include(datetime(2026, 7, 1, 20, 30, tzinfo=UTC))
    assert QuietHours.of("12:00-13:00").include(datetime(2026, 7, 1, 12, 30, tzinfo=UTC))


async def test_a_silent_camera_is_told_once_and_when_it_is_back(line: Line) -> None:
    rules = {"silent_after": 15}
    await line.watches.add(ALICE, "boards", "line", channel_id=100, camera="Left", rules=rules)
    assert await looked_after(line, timedelta(minutes=14)) == []
    silent = ["📷 Left is silent: no picture for 15 minutes."]
    assert await looked_after(line, timedelta(minutes=16)) == silent
    assert await looked_after(line, timedelta(minutes=17)) == []
    async with line.watches.running():
        await put(line, "a.png", noise(1), "alarm")
        await eventually(partial(line_says, line, "📷 Left sends pictures again."))


async def line_says(line: Line, text: str) -> bool:
    await looked_after(line)
    return text in told(line)


async def test_a_camera_that_sees_something_else_is_told_once(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alarms, "FIRST", 3)
    monkeypatch.setattr(alarms, "WEIGHT", 0.5)
    line.world.learner.score = 1.0  # all are good
    made = await line.watches.add(ALICE, "boards", "line", channel_id=100, camera="Left")
    async with line.watches.running():
        for number in range(5):
            await put(line, f"{number}.png", Image.new("RGB", (32, 32), (90 + number,) * 3), "good")
        assert await looked_after(line) == []
        for number in range(5, 8):
            await put(line, f"{number}.png", Image.new("RGB", (32, 32), (130 + number,) * 3), "good")
        [text] = await looked_after(line)
        assert text.startswith("📷 Left sees something else than before.")
        assert await looked_after(line) == []
        await line.watches.turn(ALICE, "boards", made.id, on=True)  # this is how it stays
        await asyncio.sleep(0.02)  # the clock of the files is that coarse
        await put(line, "8.png", Image.new("RGB", (32, 32), (139,) * 3), "good")
        assert await looked_after(line) == [] and not (await line.watch()).is_changed


def test_drift_is_counted_in_spreads_of_the_first_pictures() -> None:
    sight = Sight.of("")
    for number in range(alarms.FIRST):
        assert sight.add(bytes([100 + number % 11] * 192)) == 0.0
    sight = Sight.of(sight.text())
    usual = [sight.add(bytes([100 + number % 11] * 192)) for number in range(40)]
    assert max(usual) < alarms.AS_BEFORE
    assert max(sight.add(bytes([125] * 192)) for _ in range(20)) > alarms.CHANGED


async def test_the_day_before_is_reported(line: Line) -> None:
    made = await line.watches.add(ALICE, "boards", "line", channel_id=100, camera="Left")
    await looked_after(line)  # of the day before there is nothing
    async with line.watches.running():
        for number in range(3):
            await put(line, f"{number}.png", noise(number), "alarm")
        line.world.learner.score = 1.0
        await put(line, "good.png", noise(9), "good")
    first, second, *_more = await line.told()
    await line.world.inference.answer(ALICE, first.id, 0, right=True)
    await line.world.inference.answer(ALICE, second.id, 0, right=False)
    day = datetime.now(UTC).date().isoformat()
    [text] = await looked_after(line, timedelta(days=1))
    assert text == f"📷 Left, {day}: 4 parts, 3 stopped, 1 confirmed, 1 false alarms."
    assert await looked_after(line, timedelta(days=1)) == []
    await line.world.services.database.write(
        lambda c: rows.change_watch(c, made.id, {"reported_on": ""}) and None
    )
    line.world.servers.silent = True  # Discord is away: the notice stands in the list
    await looked_after(line, timedelta(days=1))
    assert "4 parts" in (await line.watch()).notice


def test_a_report_draws_the_drift_of_a_day() -> None:
    day = datetime(2026, 12, 2, tzinfo=UTC).date()
    text = report_text("Left", day, Day(10, 1, 1, 0, (0.0, 0.5, 1.0, 2.0)))
    assert text.endswith("Drift by the hour: ▁▃▅█, at most 2.0.")
