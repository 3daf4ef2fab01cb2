"""The catalogues of texts: ``python -m tools.languages`` finds every text that is marked, brings the
languages' ``.po`` files up to date, and writes what the program reads.

Texts come from calls of ``_``, ``n_``, ``N_`` and ``counted``, from what Discord shows of commands, from the
pages' templates and scripts, and, to be recognised when they are shown, from errors and workers' notes.
"""

import argparse
import ast
import calendar
import io
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from discord import app_commands
from jinja2.ext import extract_from_ast

from bot.cogs import EXTENSIONS
from bot.ui.help import COMMANDS, IN_THE_BROWSER
from core.language import DOMAIN, FOLDER, LANGUAGES, SOURCE
from core.prompt.parser import FLAGS
from core.requests import REQUESTS
from tools.texts import GAP, ROOT, python_texts, script_strings
from web.app import page_templates

SCRIPTS = ROOT / "web" / "static"
MARKED = ("core", "jobs", "storage", "studio", "bot", "web")  # packages whose texts are marked
RAISING = ("core", "storage", "vision", "jobs", "studio", "bot", "web")  # packages of errors and notes
WORKING = ("vision", "studio", "web")  # of these also what isn't raised
CALLS = ("_", "gettext", "ngettext", "counted")  # in templates
LEAST = 9  # letters of a sentence by which it is recognised
_ATTRIBUTE = re.compile(r"(?:^|[\s\"'])(?:title|placeholder|aria-label|alt|label)=\"([^\"]*)(?=\")")
_EDGES = re.compile(r"((?:\s|\ue000(?! ))*)(.*?)((?:\s|(?<! )\ue000)*)", re.DOTALL)
_CALL = re.compile(r"\b(tn?|countOf)\(")


@dataclass(frozen=True, order=True)
class Marked:
    """A text to translate. plural: of several, "" = it has none. where: the files that it is in."""

    text: str
    plural: str
    where: tuple[str, ...]


Found = Iterator[tuple[str, str, str]]  # text, plural, file


def marked_texts() -> list[Marked]:
    """Return every text that is marked."""
    found = {*command_texts(), *_pages(), *_requests()}
    for package in MARKED:
        for path in (ROOT / package).rglob("*.py"):
            found |= set(_calls(path))
    for path in SCRIPTS.rglob("*.js"):
        if "vendor" not in path.parts:
            found |= set(_scripts(path))
    found |= {(text, "", "rows") for text in kept_texts()}
    files: dict[tuple[str, str], list[str]] = {}
    for text, plural, where in sorted(found):
        if re.search("[A-Za-z]", text):
            files.setdefault((text, plural), []).append(where)
    return [Marked(text, plural, tuple(where)) for (text, plural), where in files.items()]


def _calls(path: Path) -> Found:
    where = str(path.relative_to(ROOT))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Name(id="_" | "N_"), args=[ast.Constant(value=str() as text), *_]):
                yield (text, "", where)
            case ast.Call(
                func=ast.Name(id="n_"),
                args=[ast.Constant(value=str() as text), ast.Constant(value=str() as plural), *_],
            ):
                yield (text, plural, where)
            case ast.Call(func=ast.Name(id="counted"), args=[_, ast.Constant(value=str() as noun)]):
                yield (f"{{n}} {noun}", f"{{n}} {noun}s", where)


def command_texts() -> Found:
    """Yield what Discord shows of every command, with the file that it is in."""
    for name in EXTENSIONS:
        where = name.replace(".", "/") + ".py"
        for cog in vars(import_module(name)).values():
            if isinstance(cog, type) and cog.__module__ == name and hasattr(cog, "__cog_app_commands__"):
                offered = [str(cog.__cog_group_description__)]  # type: ignore[attr-defined]
                for command in cog.__cog_app_commands__:
                    offered += _command(command)
                yield from ((text, "", where) for text in offered if text not in ("", "…"))


def _command(command: app_commands.Command | app_commands.Group) -> Iterator[str]:
    yield command.description
    if isinstance(command, app_commands.Group):
        for one in command.commands:
            yield from _command(one)
        return
    for parameter in command.parameters:
        yield str(parameter.description)
        yield from (choice.name for choice in parameter.choices if choice.name not in LANGUAGES.values())


def _requests() -> Found:
    """Yield what jobs are called, what is said of commands and flags, and the months."""
    yield from ((month, "", "web/handlers/pages.py") for month in calendar.month_name[1:])
    for kind in REQUESTS:
        yield kind.called, "", f"{kind.__module__.replace('.', '/')}.py"
    for flag in FLAGS:
        yield flag.help, "", "core/prompt/parser.py"
    for text in (COMMANDS | IN_THE_BROWSER).values():
        yield text, "", "bot/ui/help.py"


def _pages() -> Found:
    templates = page_templates()
    for name in templates.list_templates():
        assert templates.loader is not None
        source = templates.loader.get_source(templates, name)[0]
        for _line, function, text in extract_from_ast(templates.parse(source), CALLS):
            texts = [text] if isinstance(text, str) else [one for one in text or () if one]
            if function == "counted":
                yield (f"{{n}} {texts[0]}", f"{{n}} {texts[0]}s", f"web/templates/{name}")
            elif texts:
                yield (texts[0] or "", texts[1] or "" if len(texts) > 1 else "", f"web/templates/{name}")


def _scripts(path: Path) -> Found:
    where, source = str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
    for begin, words, is_page in script_strings(source):
        if is_page:
            yield from ((text, "", where) for text in template_texts(words.split(GAP)))
            continue
        before = source[:begin].rstrip()
        call = re.search(
            r"\b(tn?)\((?:\"[^\"]*\", )?$|\b(countOf)\((?:[^()\"]|\([^()]*\))*, $", source[:begin]
        )
        if call and call[2]:
            yield (f"{{0}} {words}", f"{{0}} {words}s", where)
        elif call and call[1] == "t" and before.endswith("("):
            yield (words, "", where)
        elif call and call[1] == "tn" and before.endswith("("):
            plural = re.match(r"\"[^\"]*\", \"([^\"]*)\"", source[begin:])
            yield (words, plural[1] if plural else "", where)


def template_texts(strings: list[str]) -> Iterator[str]:
    """Yield the texts of a template of ``html``, as ``core/text.js`` reads it."""
    for part in re.split(r"(<[^>]*>)", "\ue000".join(strings)):
        shown = _ATTRIBUTE.findall(part) if part.startswith("<") else [part]
        for text in shown:
            edges = _EDGES.fullmatch(text)
            if edges and re.search("[A-Za-z]{2}", edges[2]):
                pieces = " ".join(edges[2].split()).split("\ue000")
                yield "".join(f"{piece}{{{at}}}" for at, piece in enumerate(pieces[:-1])) + pieces[-1]


def kept_texts() -> list[str]:
    """Return the sentences that are made in English and recognised later: errors, and notes of workers. Each
    value has its name, in braces."""
    found = set()
    for package in RAISING:
        for path in (ROOT / package).rglob("*.py"):
            where = str(path.relative_to(ROOT))
            for _line, kind, words in python_texts(path.read_text(encoding="utf-8"), where):
                said = kind == "error" or (package in WORKING and kind == "text")
                letters = re.findall("[A-Za-z]", re.sub(r"\{[^}]*\}", "", words))
                if said and len(letters) >= LEAST and re.fullmatch(r"[A-Z`{“].*[.!?]", words, re.DOTALL):
                    found.add(_numbered(words))
    return sorted(found)


def _numbered(words: str) -> str:
    """Return a text whose values without a name have one, and each value another."""
    names = list[str]()
    for name in re.findall(r"\{(\w*)[^}]*\}", words):
        names.append(name if name and name not in names else f"value{len(names) + 1}")
    given = iter(names)
    return re.sub(r"\{\w*[^}]*\}", lambda _: f"{{{next(given)}}}", words)


# Catalogues


def po_file(language: str) -> Path:
    """Return where the translations into a language are written by people."""
    return FOLDER / language.replace("-", "_") / "LC_MESSAGES" / f"{DOMAIN}.po"


def read_catalogue(language: str) -> Catalog:
    """Return the translations into a language that there are."""
    path = po_file(language)
    if not path.exists():
        return Catalog(language.replace("-", "_"), domain=DOMAIN, fuzzy=False)
    with path.open("rb") as file:
        return read_po(file, language.replace("-", "_"), DOMAIN)


def updated(language: str, marked: Iterable[Marked]) -> Catalog:
    """Return a language's catalogue with exactly the texts that are marked, in their order."""
    old = read_catalogue(language)
    new = Catalog(language.replace("-", "_"), domain=DOMAIN, fuzzy=False, project="Atelier", version="1")
    new.header_comment = f"# Atelier in {LANGUAGES[language]}; see docs/develop/languages.md."
    new.creation_date = new.revision_date = datetime(2026, 12, 1, tzinfo=UTC)  # the same files each time
    for one in marked:
        key = (one.text, one.plural) if one.plural else one.text
        known = old.get(one.text)
        string = known.string if known and bool(known.pluralizable) == bool(one.plural) else None
        new.add(key, string, locations=[(where, 0) for where in one.where])
    return new


def as_po(catalogue: Catalog) -> bytes:
    """Return a catalogue as its ``.po`` file has it."""
    out = io.BytesIO()
    write_po(out, catalogue, width=0, omit_header=False, include_lineno=False)
    text = re.sub(
        rb'"(?:POT-Creation-Date|PO-Revision-Date|Generated-By|Last-Translator|Language-Team|Report-Msgid-Bugs-To|MIME-Version|Content-Transfer-Encoding)[^"]*"\n',
        b"",
        out.getvalue(),
    )
    return text


def as_mo(catalogue: Catalog) -> bytes:
    """Return a catalogue as ``gettext`` reads it."""
    out = io.BytesIO()
    write_mo(out, catalogue)
    return out.getvalue()


def as_json(catalogue: Catalog) -> str:
    """Return the part of a catalogue that scripts need."""
    texts = {
        (message.id if isinstance(message.id, str) else message.id[0]): message.string
        if isinstance(message.string, str)
        else list(message.string)
        for message in catalogue
        if message.id and message.string and any(where.endswith(".js") for where, _ in message.locations)
        if (message.string if isinstance(message.string, str) else all(message.string or [""]))
    }
    return json.dumps(texts, ensure_ascii=False, indent=0, sort_keys=True) + "\n"


def files_of(marked: list[Marked]) -> Iterator[tuple[Path, bytes]]:
    """Yield every file that is written, with what it holds."""
    yield FOLDER / "kept.json", (json.dumps(kept_texts(), ensure_ascii=False, indent=0) + "\n").encode()
    for language in LANGUAGES:
        if language != SOURCE:
            catalogue = updated(language, marked)
            yield po_file(language), as_po(catalogue)
            yield po_file(language).with_suffix(".mo"), as_mo(catalogue)
            yield SCRIPTS / "languages" / f"{language}.json", as_json(catalogue).encode()


def missing(language: str, marked: Iterable[Marked]) -> list[Marked]:
    """Return what has no translation into a language."""
    catalogue = read_catalogue(language)
    return [
        one
        for one in marked
        if (known := catalogue.get(one.text)) is None
        or not (known.string if isinstance(known.string, str) else all(known.string or [""]))
    ]


def main() -> int:
    """Write the catalogues, or with ``--missing`` print what has no translation into a language."""
    parser = argparse.ArgumentParser(description="Bring the catalogues of texts up to date.")
    parser.add_argument("--missing", metavar="LANGUAGE", help="print the texts without a translation")
    language, marked = parser.parse_args().missing, marked_texts()
    if language:
        for one in missing(language, marked):
            print(json.dumps([one.text, one.plural] if one.plural else one.text, ensure_ascii=False))
        return 0
    for path, data in files_of(marked):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for name in LANGUAGES:
        if name != SOURCE:
            print(f"{name}: {len(marked) - len(missing(name, marked))} of {len(marked)} texts")
    return 0


if __name__ == "__main__":
    sys.exit(main())
