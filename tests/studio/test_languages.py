"""Whose language holds, and what it costs to know it."""

from core.convert import Preferences
from core.errors import StorageError
from core.language import own_language, shared_language
from studio.languages import Languages


class Rows:
    """Choices of one person in one server, and how often they were read."""

    def __init__(self) -> None:
        self.chosen, self.there, self.reads = Preferences(), "", 0
        self.broken = False

    async def choices(self, user_id: int, guild_id: int) -> tuple[Preferences, str]:
        self.reads += 1
        if self.broken:
            raise StorageError("gone")
        return (self.chosen if user_id else Preferences()), (self.there if guild_id else "")

    async def preferences(self, user_id: int) -> Preferences:
        self.reads += 1
        return self.chosen


def spoken() -> tuple[str, str]:
    return own_language(), shared_language()


async def test_a_choice_counts_before_the_app_and_the_app_before_english() -> None:
    rows = Rows()
    languages = Languages(rows)  # type: ignore[arg-type]
    await languages.speak(1, 2, "fr", "ja")
    assert spoken() == ("fr", "ja")
    rows.chosen, rows.there = Preferences(language="de"), "es"
    languages.forget(1)
    languages.forget(2)
    await languages.speak(1, 2, "fr", "ja")
    assert spoken() == ("de", "es")
    await languages.speak(1, None, "fr", "ja")
    assert spoken() == ("de", "de")
    await languages.speak(None, None, "pt-BR")
    assert spoken() == ("pt-BR", "pt-BR")
    await languages.speak(3, None, "sv-SE")
    assert own_language() == "de", "another person, of whom the same rows are read"


async def test_both_are_read_at_once_and_the_settings_with_them_are_handed_over_once() -> None:
    rows = Rows()
    languages = Languages(rows)  # type: ignore[arg-type]
    rows.chosen = Preferences(private=True)
    await languages.speak(1, 2, "de")
    assert (await languages.preferences(1)).private and rows.reads == 1
    rows.chosen = Preferences()
    assert not (await languages.preferences(1)).private and rows.reads == 2
    await languages.speak(1, 2, "de")
    assert rows.reads == 2, "remembered"
    languages.forget(1)
    await languages.speak(1, 2, "de")
    rows.chosen = Preferences(private=True)
    languages.forget(1)
    assert (await languages.preferences(1)).private, "what has changed isn't handed over"


async def test_what_cannot_be_read_stops_nobody() -> None:
    rows = Rows()
    languages = Languages(rows)  # type: ignore[arg-type]
    rows.broken = True
    await languages.speak(1, 2, "de", "ja")
    assert spoken() == ("de", "ja")
    rows.broken, rows.chosen = False, Preferences(language="fr")
    await languages.speak(1, 2, "de", "ja")
    assert spoken() == ("fr", "ja")
