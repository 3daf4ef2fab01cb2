"""What people read in the program: the field's words, short sentences, errors that are sentences; and that
the table of texts has all of them."""

import argparse
import dataclasses
import functools
import importlib
import re
from collections.abc import Iterator

import pytest
from discord import app_commands

from bot.cogs import EXTENSIONS
from core.settings import ROOT, Settings
from host.cli import parser
from tools import texts
from tools.plain_words import BANNED, banned_words
from tools.texts import BANNED_IN_TEXTS, Text

LONGEST = 30  # words of a sentence
MOST = {"description": 100, "choice": 100, "placeholder": 100, "label": 100}  # characters that Discord takes
# What breaks a rule and may.
EXCUSED = {
    "atelier fetch --models": "a command's name",
    "fetching": "a state's name",
    "being told": "a value of a metric's label",
    "going on": "a value of a metric's label",
    "taught {first}": "a set's name in the database",
    "is beyond the {} megapixels allowed at once.": "a file's name comes before it",
}
SENTENCE = re.compile(r"[A-Z0-9`/“{#@*\[].*[.?!:}…”)]", re.DOTALL)  # of an error


@functools.cache
def table() -> list[Text]:
    """Every text of the program, read once a process."""
    return texts.program_texts()


def faults(text: Text) -> Iterator[str]:
    """Yield what is wrong with a text."""
    yield from banned_words(text.words, BANNED_IN_TEXTS)
    if (longest := max(texts.sentence_lengths(text.words))) > LONGEST:
        yield f"a sentence of {longest} words; {LONGEST} are allowed"
    if text.file.startswith("bot/") and len(text.words) > (most := MOST.get(text.kind, 4000)):
        yield f"{len(text.words)} characters; {most} are allowed"
    if text.kind == "error" and not SENTENCE.fullmatch(text.words):
        yield "no sentence: an error says what is wrong, then what is allowed"
    if text.kind == "error" and re.match(r"(?:To|Not|No longer) [a-z]", text.words):
        yield "a fragment: an error begins with what is wrong"


def test_every_text_has_the_field_s_words_and_short_sentences() -> None:
    wrong = [f"{text.file}:{text.line} {text.words!r}: {fault}" for text in table() for fault in faults(text)]
    found = [line for line in wrong if not any(f" {words!r}: " in line for words in EXCUSED)]
    assert found == []
    assert {words for words in EXCUSED if not any(f" {words!r}: " in line for line in wrong)} == set()


@pytest.mark.parametrize(
    ("kind", "words", "fault"),
    [
        ("text", "The film is ready.", "'film': say video"),
        ("text", "Ask the host.", "'the host': say the operator"),
        ("page", "word " * 31, "a sentence of 31 words; 30 are allowed"),
        ("page", "Short. " + "word " * 30, None),
        ("description", "a" * 101, "101 characters; 100 are allowed"),
        ("error", "to use this, sign in", "no sentence: an error says what is wrong, then what is allowed"),
        ("error", "To use this, sign in.", "a fragment: an error begins with what is wrong"),
        ("error", "`--ar` is `x`; it takes 1:4 to 4:1.", None),
        ("text", "`film` and “things” and {told} and --film are values.", None),
    ],
)
def test_a_fault_is_found(kind: str, words: str, fault: str | None) -> None:
    assert list(faults(Text("bot/x.py", 1, kind, words))) == ([fault] if fault else [])


def test_no_banned_word_is_what_another_says_instead() -> None:
    for instead in BANNED.values():
        assert banned_words(instead, BANNED_IN_TEXTS) == []


def _commands() -> Iterator[str]:
    """Yield what Discord shows of every command, as discord.py has it."""
    for name in EXTENSIONS:
        for cog in vars(importlib.import_module(name)).values():
            if isinstance(cog, type) and cog.__module__ == name and hasattr(cog, "__cog_app_commands__"):
                yield str(cog.__cog_group_description__)
                for command in cog.__cog_app_commands__:
                    yield from _command(command)


def _command(command: app_commands.Command | app_commands.Group) -> Iterator[str]:
    yield command.description
    if isinstance(command, app_commands.Group):
        for one in command.commands:
            yield from _command(one)
        return
    for parameter in command.parameters:
        yield str(parameter.description)
        yield from (choice.name for choice in parameter.choices)


def _helps(of: argparse.ArgumentParser) -> Iterator[str]:
    """Yield what ``--help`` shows."""
    for action in of._actions:
        yield action.help or ""
        if isinstance(action, argparse._SubParsersAction):
            yield from (choice.help or "" for choice in action._choices_actions)
            for one in action.choices.values():
                yield from _helps(one)


def _in_source() -> Iterator[str]:
    """Yield the beginnings of errors, words between the marks of pages, and toasts, by patterns alone."""
    for folder, ending, pattern in (
        ("", "py", r'(?:User|Prompt|Image|Limit|NotAllowed|Model)Error\(\s*f?"([A-Z][^"{\\]{9,})'),
        ("", "py", r'(?:whisper\(interaction, |\.add_text\(|ButtonStyle\()f?"([A-Z][^"{\\]{4,})'),
        ("web/templates", "html", r">([A-Z][^<>{}&]{4,}[a-z.])<"),
        ("web/static", "js", r'(?:showToast|askBefore|announce)\("([^"\\]{4,})"'),
        ("web/static", "js", r'aria-label="([^"$]{4,})"'),
    ):
        for package in texts.PACKAGES:
            for path in (ROOT / package).rglob(f"*.{ending}"):
                if str(path.relative_to(ROOT)).startswith(folder) and "vendor" not in path.parts:
                    yield from re.findall(pattern, path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("source", "least"),
    [
        (_commands, 150),
        (lambda: _helps(parser()), 30),
        (lambda: (one.metadata["help"] for one in dataclasses.fields(Settings)), 90),
        (_in_source, 400),
    ],
    ids=["commands", "command line", "settings", "source"],
)
def test_the_table_has_what_is_shown(source, least: int) -> None:
    shown = {" ".join(words.split()) for words in source() if " " in words}
    shown -= {"show this help message and exit", "show program's version number and exit"}  # argparse's own
    held = [" ".join(text.words.split()) for text in table()]
    plain = "\n".join(held)
    filled = [re.sub(r"\\{\w*\\}", ".+", re.escape(words)) for words in held if "{" in words]
    missing = {words for words in shown if words not in plain}
    assert {words for words in missing if not any(re.fullmatch(one, words) for one in filled)} == set()
    assert len(shown) > least


def test_texts_are_read_out_of_python() -> None:
    source = '''"""Of a module."""
GONE = "That picture is gone."
def ask(count: int) -> str:
    """Of a function."""
    log.info("nobody reads %s", count)
    if count == "two words":
        raise ValueError("of a programmer")
    if count:
        raise UserError(GONE)
    return f"There {'are many' if count else 'is one'} {count} pictures" + " here."
'''
    found = [(line, kind, words) for line, kind, words in texts.python_texts(source, "studio/x.py")]
    assert found == [
        (2, "error", "That picture is gone."),
        (10, "text", "There {} {count} pictures here."),
        (10, "text", "are many"),
        (10, "text", "is one"),
    ]


def test_texts_are_read_out_of_pages_and_scripts() -> None:
    page = '<p title="A title">\n{% if a %}One {{ n }}{% else %}Two <b>words</b>{% endif %}</p>{# note #}'
    assert list(texts.template_texts(page, "web/templates/x.html")) == [
        (1, "title", "A title"),
        (2, "page", "One {} ¦ Two words"),
    ]
    script = """// a comment's words
const a = /it's "no" text/, b = "A toast's text";
const c = html`<p>Some ${on ? "more words" : `And ${b}`} here</p>`;
"""
    assert sorted(texts.script_texts(script, "web/static/x.js")) == [
        (2, "script", "A toast's text"),
        (3, "page", "Some {} here"),
        (3, "script", "And {}"),
        (3, "script", "more words"),
    ]
