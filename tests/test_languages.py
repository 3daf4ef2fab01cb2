"""The catalogues are those that the code makes, their translations keep what a text holds, and Discord takes
them."""

import re

import pytest
from jinja2 import nodes

from bot.cogs import EXTENSIONS
from bot.ui.buttons import BUTTONS
from core.language import LANGUAGES, SOURCE
from tools import languages
from tools.languages import Marked, read_catalogue
from web.app import page_templates

OTHERS = [code for code in LANGUAGES if code != SOURCE]
COMPLETE = ("de",)  # languages in which every text is there, but for errors and what workers note
CLASSES = ("editingstage", "bare", "folders")  # what blocks put into attributes
VALUES = re.compile(r"\{[^{}]*\}|%\(\w+\)s|%%|</?\w+[^>]*>")


@pytest.fixture(scope="module")
def marked() -> list[Marked]:
    return languages.marked_texts()


def test_the_files_are_those_that_the_texts_make(marked: list[Marked]) -> None:
    old = [
        str(path.relative_to(languages.ROOT))
        for path, data in languages.files_of(marked)
        if not path.exists() or path.read_bytes() != data
    ]
    assert old == [], "run `make languages`"


def test_everything_is_found(marked: list[Marked]) -> None:
    texts = {one.text: one for one in marked}
    assert texts["Enlarge a picture 2x or 4x"].where == ("bot/cogs/upscale.py",)  # of a command
    assert "bot/ui/buttons.py" in texts["Vary (Subtle)"].where
    assert texts["{n} job"].plural == "{n} jobs"
    assert "web/templates/queue.html" in texts["Nothing of yours is waiting"].where
    assert any(where.endswith(".js") for where in texts["Close"].where)
    assert "rows" in texts["The bot's owner can't be banned."].where
    assert len(texts) > 1500


@pytest.mark.parametrize("code", OTHERS)
def test_a_translation_keeps_values_and_tags(code: str) -> None:
    wrong = []
    for message in read_catalogue(code):
        source = message.id if isinstance(message.id, tuple) else (message.id,)
        strings = message.string if isinstance(message.string, tuple | list) else (message.string,)
        for string in filter(None, strings if message.id else ()):
            if sorted(set(VALUES.findall(source[-1]))) != sorted(set(VALUES.findall(string))):
                wrong.append((source[-1], string))
    assert wrong == []


@pytest.mark.parametrize("code", OTHERS)
def test_a_translation_fits_where_its_text_stands(code: str) -> None:
    catalogue = read_catalogue(code)
    most = {text: 100 for text, _plural, _where in languages.command_texts()}
    most |= {look.label: 80 for look in BUTTONS.values() if look.label}
    known = {text: catalogue.get(text) for text in most}
    assert [one.string for text, one in known.items() if one and len(str(one.string)) > most[text]] == []


@pytest.mark.parametrize("code", COMPLETE)
def test_a_complete_language_has_every_text(code: str, marked: list[Marked]) -> None:
    read = [one for one in marked if one.where != ("rows",)]
    assert [one.text for one in languages.missing(code, read)] == []


@pytest.mark.parametrize("code", OTHERS)
def test_every_command_is_described_in_every_language(code: str) -> None:
    files = {name.replace(".", "/") + ".py" for name in EXTENSIONS}
    texts = [Marked(text, plural, (where,)) for text, plural, where in languages.command_texts()]
    assert {one.where[0] for one in texts} <= files and len(texts) > 300
    assert [one.text for one in languages.missing(code, texts) if re.search("[A-Za-z]", one.text)] == []


@pytest.mark.parametrize(
    ("page", "texts"),
    [
        (["<p>Ask <b>", "</b></p>"], ["Ask"]),
        (['<p title="Show ', '">', " pictures of ", "</p>"], ["Show {0}", "{0} pictures of {1}"]),
        (["<a>", 'Sign out</a><i class="not shown">×</i>'], ["Sign out"]),
        (["<b>A text\n   of two lines</b>"], ["A text of two lines"]),
    ],
)
def test_texts_are_read_out_of_a_scripts_template(page: list[str], texts: list[str]) -> None:
    assert list(languages.template_texts(page)) == texts


def test_no_page_has_a_text_that_stays_english() -> None:
    """What is left of each template beside tags, values and what is typed has no words."""
    templates, found = page_templates(), {}
    assert templates.loader is not None
    for name in templates.list_templates():
        tree = templates.parse(templates.loader.get_source(templates, name)[0])
        page = "".join(node.data for node in tree.find_all(nodes.TemplateData))
        page = re.sub(r"<(script|style|code|kbd)\b.*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL)
        words = re.findall(r"[A-Za-z]{3,}", re.sub(r"[\w-]+=\"|\"", " ", page))
        if others := [word for word in words if word not in CLASSES]:
            found[name] = others
    assert found == {}


def test_every_button_is_in_the_catalogue(marked: list[Marked]) -> None:
    texts = {one.text for one in marked}
    labels = {look.label for look in BUTTONS.values() if re.search("[A-Za-z]{2}", look.label or "")}
    assert labels - texts == set() and len(labels) > 40
