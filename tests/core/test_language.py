"""Which language holds, and texts in it."""

import asyncio
import gettext
import threading

import pytest

from core import language
from core.language import (
    _,
    accepted_language,
    known_language,
    n_,
    own_language,
    retold,
    shared_language,
    speak,
    speaking,
)
from tools.languages import read_catalogue


class German(gettext.NullTranslations):
    """A catalogue of a few texts."""

    TEXTS = {"Hello {name}": "Hallo {name}", "Job {id} was stopped by {who}.": "{who} hat Job {id} gestoppt."}

    def gettext(self, message: str) -> str:
        return self.TEXTS.get(message, message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return "{n} Bild" if n == 1 else "{n} Bilder"


@pytest.fixture(autouse=True)
def german(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        language, "catalogue", lambda code: German() if code == "de" else gettext.NullTranslations()
    )


def test_a_text_is_in_the_language_that_holds_or_in_english() -> None:
    assert _("Hello {name}", name="{Ada}") == "Hello {Ada}"
    with speaking("de"):
        assert _("Hello {name}", name="{Ada}") == "Hallo {Ada}"
        assert _("No translation of {this}") == "No translation of {this}"
        assert _("") == ""
        assert [n_("{n} picture", "{n} pictures", n) for n in (1, 2)] == ["1 Bild", "2 Bilder"]
    assert [n_("{n} picture", "{n} pictures", n) for n in (0, 1)] == ["0 pictures", "1 picture"]


def test_a_language_holds_in_its_own_task_only() -> None:
    async def ask(code: str) -> str:
        speak(code, "en")
        await asyncio.sleep(0)
        return own_language()

    async def both() -> list[str]:
        return await asyncio.gather(ask("de"), ask("fr"))

    assert asyncio.run(both()) == ["de", "fr"]
    assert own_language() == shared_language() == "en"
    found: list[str] = []
    with speaking("de"):
        thread = threading.Thread(target=lambda: found.append(own_language()))
        thread.start()
        thread.join()
    assert found == ["en"]


@pytest.mark.parametrize("code", [code for code in language.LANGUAGES if code != language.SOURCE])
def test_a_catalogue_answers_as_gettext_does(code: str) -> None:
    path = language.FOLDER / code.replace("-", "_") / "LC_MESSAGES" / "atelier.mo"
    ours = language.Catalogue(path)
    with path.open("rb") as file:
        theirs = gettext.GNUTranslations(file)
    texts = [message.id for message in read_catalogue(code)]
    for text in (one for one in texts if isinstance(one, str) and one):
        assert ours.gettext(text) == theirs.gettext(text)
    plurals = {one[0] for one in texts if isinstance(one, tuple)}
    assert len(plurals) > 20
    for text in plurals:
        for n in (0, 1, 2, 5, 1_000_000):
            assert ours.ngettext(text, "", n) == theirs.ngettext(text, "", n)
    for text in ("", "\uffff", "Pictur", "{n}", "{n} picture\0", "{n} pictures"):
        assert ours.gettext(text or "?") == theirs.gettext(text or "?")
        assert ours.ngettext(text or "?", "{n} of them", 2) == theirs.ngettext(text or "?", "{n} of them", 2)


@pytest.mark.parametrize(
    ("wanted", "code"),
    [("de", "de"), ("de-AT", "de"), ("es-419", "es"), ("es-ES", "es"), ("pt-BR", "pt-BR"), ("pt", "pt-BR")]
    + [("en-GB", "en"), ("ja", "ja"), ("sv-SE", ""), ("", ""), ("../de", "")],
)
def test_a_language_of_ours_serves_its_regions(wanted: str, code: str) -> None:
    assert known_language(wanted) == code


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("de-DE,de;q=0.9,en;q=0.8", "de"),
        ("sv, fr;q=0.2, ja;q=0.7", "ja"),
        ("fr;q=0, en", "en"),
        ("fr;q=much, es", "es"),
        ("*", ""),
        ("", ""),
        ("x" * 5000, ""),
    ],
)
def test_a_browser_gets_the_language_that_it_likes_best(header: str, code: str) -> None:
    assert accepted_language(header) == code


def test_a_kept_sentence_is_told_again_with_its_values(monkeypatch: pytest.MonkeyPatch) -> None:
    job = next(text for text in German.TEXTS if "Job" in text)
    kept = [("{whole} is {kept}.", ["", " is ", "."]), (job, ["Job ", " was stopped by ", "."])]
    monkeypatch.setattr(language, "kept_messages", lambda: kept)
    said = "Job k7 was stopped by Ada (twice)."
    assert retold(said) == said
    with speaking("de"):
        assert retold(said) == "Ada (twice) hat Job k7 gestoppt."
        assert retold("Job k7 went on.") == "Job k7 went on."
        assert retold("") == ""


@pytest.mark.parametrize(
    ("code", "number"), (("en", "12,345"), ("de", "12.345"), ("fr", "12\u202f345"), ("ja", "12,345"))
)
def test_a_number_of_things_is_written_as_its_language_does(code: str, number: str) -> None:
    with speaking(code):
        assert number in n_("{n} picture", "{n} pictures", 12345)
        assert number in n_("**Your {n:,} job is safe.**", "**Your {n:,} jobs are safe.**", 12345)
        assert n_("{n} picture", "{n} pictures", 12).startswith("12 ")
