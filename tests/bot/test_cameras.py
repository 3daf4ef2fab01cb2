"""Cameras in Discord: a defect in a watched folder is posted, its buttons act, also after a restart."""

from pathlib import Path

import pytest

from studio.media import picture_folder
from studio.projects import watches
from tests.bot.conftest import Studio, open_studio
from tests.bot.test_own_models import bad, card, good, press, said, told, trained
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
