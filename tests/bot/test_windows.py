"""Windows: what discord.py keeps of those that nobody sends off."""

from bot.ui.modals import Window
from tests.bot.conftest import Studio


async def test_a_dismissed_window_is_not_kept_for_ever(studio: Studio) -> None:
    window = Window("Remix", "remix", "abcdefghjkmn", 0)
    store = studio.bot._connection._view_store
    store.add_view(window)
    window._dispatch_timeout()  # what discord.py does when its time is up
    assert window.timeout is not None and window.is_finished()
    assert "abcdefghjkmn" not in str(store._modals)
