"""Cameras in Discord: a defect in a watched folder is posted, its buttons act, also after a restart."""

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from storage import watches as rows
from studio.media import picture_folder
from studio.projects import watches
from tests.bot.conftest import Studio, open_studio
from tests.bot.test_own_models import bad, card, good, made, press, said, told, trained
from tests.jobs.conftest import eventually
from tests.support.messages import text_of


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watches, "EVERY", 0.2)
    monkeypatch.setattr(picture_folder, "SETTLED", 0.0)


async def alarm_of(studio: Studio, folder: Path, number: int):
    """The message that a bad part brings."""
    before = studio.last().id
    async with studio.bot.studio.watches.running():
        (folder / f"good{number}.png").write_bytes(good(number)[1])
        (folder / f"bad{number}.png").write_bytes(bad(number)[1])

        async def posted() -> bool:
            return studio.last().id != before and bool(studio.last().attachments)

        await eventually(posted)
    return studio.last()


async def test_a_defect_is_posted_answered_snoozed_and_the_camera_removed(tmp_path: Path) -> None:
    folder = tmp_path / "line"
    folder.mkdir()
    async with open_studio(tmp_path / "data", WATCH_SOURCES=f"line={folder}") as studio:
        await trained(studio)
        assert "with a source adds one" in await said(studio, "watch", name="boards")
        added = await said(studio, "watch", name="boards", source="line", camera="Left")
        assert f"**Left** · on · line · <#{studio.channel.id}> · pictures are kept for 30 days" in added
        assert "no folder 'shed'" in await said(studio, "watch", name="boards", source="shed")
        assert "Manage Server" in await said(studio, "watch", studio.bob, name="boards", source="line")
        first = await alarm_of(studio, folder, 1)
        text = text_of(first)
        assert text.startswith("**Not like the good ones") and "📷 Left · **boards** version 1 · <t:" in text
        assert "score 1.30" in text and "Here: 0 of 2 good parts" in text
        await studio.restart()
        assert "1 new since version 1" in told(await press(studio, first, "isright"))
        second = await alarm_of(studio, folder, 2)
        assert "Here: 0 of 3 good parts" in text_of(second)
        assert "2 new since version 1" in told(await press(studio, second, "falsealarm"))
        shown = text_of(await card(studio))
        assert "6 good" in shown and "1 defect" in shown
        assert "Manage Server" in told(await press(studio, second, "snooze", studio.bob))
        assert "No alarms of this camera until <t:" in told(await press(studio, second, "snooze"))
        cameras = await press(studio, await card(studio), "cameras")
        assert "Last alarm: Left" in told(cameras)
        off = await press(studio, cameras.response, "watchoff")
        assert "**Left** · off" in told(off)
        gone = await press(studio, off.response, "watchend")
        assert "with a source adds one" in told(gone)


async def test_what_a_camera_of_ones_own_tells_comes_by_direct_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watches, "NOTICES_EVERY", 0.2)
    folder = tmp_path / "line"
    folder.mkdir()
    async with open_studio(tmp_path / "data", WATCH_SOURCES=f"line={folder}") as studio:
        await made(studio, only_me=True)
        await studio.alice.slash(studio.channel, "inspect train", name="boards")
        inbox, channel = studio.alice.user.dm_channel, len(studio.channel.history())
        added = await said(studio, "watch", name="boards", source="line", camera="Left", silent_after=1)
        assert "**Left** · on · line · pictures" in added
        before = len(inbox.history())
        async with studio.bot.studio.watches.running():
            (folder / "bad.png").write_bytes(bad(1)[1])

            async def came() -> bool:
                return any(one.attachments for one in inbox.history()[before:])

            await eventually(came)
            [alarm] = inbox.history()[before:]
            assert "📷 Left · **boards** version 1" in text_of(alarm)
            earlier = datetime.now(UTC) - timedelta(minutes=2)
            [watch] = await studio.built.database.read(rows.list_running)
            values = {"seen_at": earlier, "on_at": earlier, "created_at": earlier}
            change = partial(rows.change_watch, watch_id=watch.id, values=values)
            await studio.built.database.write(change)

            async def silent() -> bool:
                return len(inbox.history()) > before + 1

            await eventually(silent)
        assert text_of(inbox.history()[-1]) == "📷 Left is silent: no picture for 1 minute."
        assert "Saved; 1 new since version 1" in told(
            await press(studio, alarm, "falsealarm", studio.alice.user)
        )
        assert "No alarms of this camera until <t:" in told(
            await press(studio, alarm, "snooze", studio.alice.user)
        )
        assert len(studio.channel.history()) == channel  # others see nothing of it
