"""Windows: what discord.py keeps of those that nobody sends off, and what is read of those that come."""

from types import SimpleNamespace

import discord
import pytest

from bot.ui.modals import Submission, Window
from tests.bot.conftest import Studio


async def test_a_dismissed_window_is_not_kept_for_ever(studio: Studio) -> None:
    window = Window("Remix", "remix", "abcdefghjkmn", 0)
    store = studio.bot._connection._view_store
    store.add_view(window)
    window._dispatch_timeout()  # what discord.py does when its time is up
    assert window.timeout is not None and window.is_finished()
    assert "abcdefghjkmn" not in str(store._modals)


def test_few_choices_are_all_in_sight_and_more_are_in_a_menu() -> None:
    window = Window("Add pictures", "edit", "abcdefghjkmn", 0)
    for count in (1, 2, 10, 11):
        window.add_choice("Which", f"of {count}", {str(number): "a" for number in range(count)}, chosen="0")
    fields = [one["component"] for one in window.to_dict()["components"]]
    menu, group = discord.ComponentType.select.value, discord.ComponentType.radio_group.value
    assert [one["type"] for one in fields] == [menu, group, group, menu]
    assert all([option["default"] for option in one["options"]].count(True) == 1 for one in fields)


@pytest.mark.parametrize(
    ("field", "chosen"),
    [({"type": 21, "value": "strong"}, "strong"), ({"type": 3, "values": ["strong"]}, "strong")]
    + [({"type": 21, "value": None}, ""), ({"type": 3, "values": []}, "")],
)
def test_a_choice_is_read_whatever_it_was_made_of(field: dict, chosen: str) -> None:
    """A window that an older version opened has a menu."""
    data = {"custom_id": "mo:vremix:abcdefghjkmn:0:", "components": [{"custom_id": "strength", **field}]}
    kind = discord.InteractionType.modal_submit
    sent = Submission.of(SimpleNamespace(type=kind, data=data))  # type: ignore[arg-type]
    assert sent is not None and sent.chosen("strength") == chosen
