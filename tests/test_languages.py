"""The catalogues are those that the code makes, their translations keep what a text holds, and Discord takes
them."""

import ast
import re
from collections.abc import Iterator

import pytest
from jinja2 import nodes

from bot.cogs import EXTENSIONS
from bot.cogs.welcome import TRIAL
from bot.ui.buttons import BUTTONS
from bot.ui.help import DRAWN, EXAMPLES
from bot.ui.translator import add_translations
from bot.ui.turns import SAYS
from core.language import LANGUAGES, SOURCE, _, n_, speaking
from tests.pseudo import Pseudo, untranslated
from tools import languages
from tools.languages import Marked, read_catalogue
from tools.texts import GAP, SELECTOR, WORDS, program_texts, script_strings
from web.app import page_templates

OTHERS = [code for code in LANGUAGES if code != SOURCE]
COMPLETE = ("de", "ja")  # languages in which every text is there
LEAST = 0.95  # share of texts that each of the others has; the rest stays English
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


def values_of(text: str) -> set[str]:
    """What a translation keeps; braces that are said are doubled."""
    return set(VALUES.findall(re.sub(r"\{\{|\}\}", "", text)))


@pytest.mark.parametrize("code", OTHERS)
def test_a_translation_keeps_values_and_tags(code: str) -> None:
    wrong = []
    for message in read_catalogue(code):
        source = message.id if isinstance(message.id, tuple) else (message.id,)
        strings = message.string if isinstance(message.string, tuple | list) else (message.string,)
        for string in filter(None, strings if message.id else ()):
            if values_of(source[-1]) != values_of(string):
                wrong.append((source[-1], string))
    assert wrong == []


@pytest.mark.parametrize("code", OTHERS)
def test_a_translation_fits_where_its_text_stands(code: str) -> None:
    catalogue = read_catalogue(code)
    most = {text: 100 for text, _plural, _where in languages.command_texts()}
    most |= {look.label: 80 for look in BUTTONS.values() if look.label}
    known = {text: catalogue.get(text) for text in most}
    assert [one.string for text, one in known.items() if one and len(str(one.string)) > most[text]] == []


@pytest.mark.parametrize("code", OTHERS)
def test_a_language_has_as_many_texts_as_it_claims(code: str, marked: list[Marked]) -> None:
    missing = [one.text for one in languages.missing(code, marked)]
    assert missing == [] or code not in COMPLETE
    assert len(missing) <= (1 - LEAST) * len(marked)


def test_a_text_without_a_translation_stays_english() -> None:
    with speaking("fr"):
        assert _("Nobody has translated {this}", this=1) == "Nobody has translated 1"
        assert n_("{n} untranslated thing", "{n} untranslated things", 2) == "2 untranslated things"


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


UNREAD = re.compile(  # strings of scripts that look like texts: keys, classes, selectors, styles, names
    r"(?:Escape|Tab|Home|Files|Refused)$|[a-z ,.:{}-]+$|g \{|600 \{\}px|right: |/imagine "
)


def test_no_script_has_a_text_that_stays_english(marked: list[Marked]) -> None:
    known = {_bare(text) for one in marked for text in (one.text, one.plural)}
    left = []
    for path in sorted(languages.SCRIPTS.rglob("*.js")):
        source = path.read_text(encoding="utf-8")
        if "vendor" in path.parts:
            continue
        for _begin, words, is_page in script_strings(source):
            parts = languages.template_texts(words.split(GAP)) if is_page else [words]
            texts = [part for part in parts if is_page or WORDS.search(part)]
            unknown = [one for one in texts if _bare(one) not in known and not SELECTOR.match(one)]
            left += [f"{path.name}: {one}" for one in unknown if not UNREAD.match(one)]
            assert not is_page or path.name == "text.js" or "text.js" in source, path
    assert left == []


def test_messages_are_marked(marked: list[Marked]) -> None:
    """Of what the bot and the pages' handlers say, without prompts to press, at most 2 in 100 stay
    English."""
    known = {_bare(text) for one in marked for text in (one.text, one.plural)}
    known |= {text.removeprefix("{} ") for text in known}  # what is counted
    texts = [
        one
        for one in program_texts()
        if one.file.startswith(SPOKEN) and one.kind not in ("error", "choice") and _words(one.words)
    ]
    left = [one for one in texts if _bare(one.words) not in known and one.words not in PRESSED]
    shown = [one for one in left if one.kind in ("label", "placeholder", "title")]
    assert len(texts) > 700
    assert [one for one in shown if re.search("[A-Za-z]{2}", re.sub(r"{\w*}", "", one.words))] == []
    assert len(left) <= 0.02 * len(texts), left


SPOKEN = ("bot/cogs/", "bot/ui/", "bot/projects/", "bot/delivery", "bot/posts", "bot/talk", "web/handlers/")
PRESSED = {  # prompts: a model reads them
    *(TRIAL, *SAYS.values()),
    *(text for one in (*DRAWN, *EXAMPLES.values()) for text in (one[0], one.text, *one.others.values())),
}


def _bare(text: str) -> str:
    """A text without the names of its values."""
    return " ".join(re.sub(r"\{[^{}]*\}", "{}", text.replace("{{", "{").replace("}}", "}")).split())


def _words(text: str) -> bool:
    """Whether there is anything in a text beside values, an id and what is typed."""
    return bool(re.search(r"[A-Za-z]{2}", re.sub(r"\{\w*\}|`[^`]*`|-# job |\bjob ", "", text)))


@pytest.mark.parametrize("locale", ["de", "ja"])
def test_discord_shows_no_command_with_a_text_that_is_not_marked(
    locale: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.language.catalogue", lambda code: Pseudo())
    said = list(languages.command_texts())
    for text, *_place in said:
        add_translations(told := {"description": text, "options": [{"name": text, "value": "x"}]})
        for shown in (told["description_localizations"], told["options"][0]["name_localizations"]):
            assert not re.search("[A-Za-z]", untranslated(shown[locale])), text
    assert len(said) > 300


def chosen_words(source: str) -> Iterator[ast.expr]:
    """Yield the values of texts that are words, or chosen among words: pieces of a sentence, whose order and
    endings are other ones in another language."""
    for call in ast.walk(ast.parse(source)):
        match call:
            case ast.Call(func=ast.Name(id="_" | "n_"), keywords=values):
                yield from (one.value for one in values if _said(one.value))


def _said(value: ast.expr) -> bool:
    match value:
        case ast.Constant(value=str() as text):
            return bool(re.search("[A-Za-z]", text))
        case ast.Call(func=ast.Name(id="_" | "N_"), args=[ast.Constant()]):
            return True
        case ast.IfExp(body=one, orelse=other):
            return _said(one) and (_said(other) or ast.unparse(other) == "''")
        case ast.BinOp(left=ast.Constant(value=str())):
            return True  # "s" * (count != 1)
    return False


def test_a_sentence_is_not_made_of_chosen_words() -> None:
    found = [ast.unparse(one) for one in chosen_words('_("{a} {b}", a=_("x") if y else _("z"), b="s" * n)')]
    assert len(found) == 2 and not list(chosen_words('_("{a}", a=x or counted(n, "day"))'))
    left = [
        f"{path.relative_to(languages.ROOT)}: {ast.unparse(one)}"
        for package in languages.MARKED
        for path in sorted((languages.ROOT / package).rglob("*.py"))
        for one in chosen_words(path.read_text(encoding="utf-8"))
    ]
    assert left == []


def test_every_button_is_in_the_catalogue(marked: list[Marked]) -> None:
    texts = {one.text for one in marked}
    labels = {look.label for look in BUTTONS.values() if re.search("[A-Za-z]{2}", look.label or "")}
    assert labels - texts == set() and len(labels) > 40
