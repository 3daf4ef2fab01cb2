"""The pages are short, plain and true to the tree: words and sentences have limits, and every link, picture,
file, command and setting that a page names is there."""

import argparse
import re
import shlex
import statistics
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.rows import ROWS
from core.settings import KNOWN, ROOT
from host.cli import parser
from tools.docs.__main__ import PAGES, page_file
from tools.plain_words import banned_words

DOCS = ROOT / "docs"
DECISIONS = DOCS / "develop" / "decisions"
GENERATED = {*map(page_file, PAGES), DOCS / "evidence" / "benchmarks.md"}  # the last by `make bench`
BY_HAND = sorted({*DOCS.rglob("*.md"), ROOT / "README.md"} - GENERATED)
MOST = {  # words of a page, by where it is; the first that fits counts
    "README.md": 500,
    "docs/index.md": 300,
    "docs/host/troubleshooting.md": 2500,
    "docs/host/faq.md": 2500,
    "docs/tutorials/*": 700,
    "docs/use/*": 700,
    "docs/host/*": 700,
    "docs/reference/*": 500,
    "docs/explanation/*": 1500,
    "docs/evidence/*": 2500,
    "docs/develop/decisions/*": 12_000,
    "docs/develop/*": 1000,
}
MOST_BY_HAND, MOST_MEDIAN = (
    45_000,
    600,
)  # words of all pages without evidence and decisions; of the median page
MOST_DECISION = 120  # words of a decision, its heading and date too
GUIDES = ("README.md", "docs/index.md", "docs/tutorials/*", "docs/use/*", "docs/host/*")
LONGEST = 30  # words of a sentence in a guide
HISTORY = ("docs/evidence/*", "docs/develop/decisions/*")
DATED = (*HISTORY, "docs/host/upgrade-notes.md", "docs/explanation/compared-with-others.md")
DIARY = re.compile(
    r"\b(?:was the aim|was asked|were asked|\d+ asked|load \d+|so far|by now|no longer|until now)\b",
    re.IGNORECASE,
)
DATE = re.compile(
    r"\b\d{1,2} (?:January|February|March|April|May|June|July|August|September|October|November|December)\b"
    r"|\b20\d\d-\d\d-\d\d\b"
)
FENCE = re.compile(r"^( *)(`{3,})([^\n]*)\n(.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)[^)]*\)|<(?:img|source|video)\b[^>]*\bsrc=\"([^\"]+)\"")
PICTURES = {".png", ".webp", ".svg", ".gif", ".jpg", ".mp4"}
NAME = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")  # of a setting
SHELLS = ("", "sh", "bash", "console")  # of a fence
CLAIMING = (*GUIDES, "docs/explanation/*")  # where a figure of speed or memory says where it is from
_NUMBER = r"(?:\d[\d.,]*|two|three|four|five)"
FIGURE = re.compile(  # limits and pauses are none: "after 20 s", "within 30 s"
    rf"\b(?:takes?|took|opens?|costs?|draws?)\b[^.;|]{{0,30}}?{_NUMBER} (?:core )?(?:ms|s|seconds|minutes)\b"
    rf"|{_NUMBER} core (?:ms|s)\b|\bp\d\d\b|\bseconds a picture\b"
    rf"|{_NUMBER} (?:×|times) (?:faster|sooner|quicker|slower|lower|less|cheaper|longer)\b"
    rf"|{_NUMBER} [kMG]i?B (?:of memory|used)|\([\d.]+ used\)"
)
SAYS = {  # what stands in the section of such a figure
    "device": re.compile(r"\b(?:processor|cores?|EPYC|H100|H200)\b"),
    "load": re.compile(r"\b(?:quiet|busy|load|beside)\b"),
    "row": re.compile(
        rf"`(?:{'|'.join(ROWS)})`|`(?:python -m (?:benchmarks|proofs)|make [a-z]+-proof)[^`]*`"
    ),
}


def name_of(page: Path) -> str:
    """The page as people name it."""
    return page.relative_to(ROOT).as_posix()


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def belongs(page: Path, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(name_of(page), pattern) for pattern in patterns)


def most_words(page: Path) -> int:
    """How many words a page may have. Raises StopIteration for a page in no folder of the tree."""
    return next(most for pattern, most in MOST.items() if fnmatch(name_of(page), pattern))


def prose(text: str) -> str:
    """A page without its code, HTML and addresses; code within a sentence is a word."""
    text = FENCE.sub("\n\n", text)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)(?:\{[^}]*\})?", "", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"<[^>\n]+>", " ", re.sub(r"`[^`\n]*`", "code", text))


def sentences(text: str) -> Iterator[str]:
    """Each sentence of a page: of a paragraph, an item of a list, a heading, a cell of a table."""
    lines = []
    for line in prose(text).splitlines():
        if line.lstrip().startswith("|"):
            lines += ["", *(f"{cell}\n" for cell in line.split("|") if re.search(r"\w", cell))]
        else:
            marked = re.match(r"\s*(?:[-*+] |\d+\. |#+ |>|!!! \w+)", line)
            lines += ["", line[marked.end() :]] if marked else [line]
    for block in re.split(r"\n\s*\n", "\n".join(lines)):
        yield from (part for part in re.split(r"(?<=[.!?])[)\"”*_]*\s+(?=\S)", block) if part.strip())


def commands(text: str) -> Iterator[str]:
    """Each command of a page's fences for a shell, as it is typed."""
    for _, _, info, body in FENCE.findall(text):
        if (info.split() or [""])[0] in SHELLS:
            for line in body.replace("\\\n", " ").splitlines():
                yield from re.split(r"&&|;|\|\|?", line.strip().removeprefix("$ "))


def _problem(typed: str, page: str = "") -> str:
    """What is wrong with a command of ours; "" for what is right, and for other programs. page: its text, by
    which the reader may have made a file."""
    try:
        words = shlex.split(typed, comments=True)
    except ValueError:
        return ""  # a here-document or a quote over several lines
    while words and re.fullmatch(r"[A-Z][A-Z0-9_]*=.*|sudo|time|exec", words[0]):
        words = words[1:]
    if words[:2] == ["docker", "compose"] and "atelier" in words[3:]:
        words = words[words.index("atelier", 3) :]
        words = words[1:] if words[1:2] == ["atelier"] else words
    if not words or any(mark in word for word in words for mark in ("…", "<")):
        return ""
    program = Path(words[0]).name
    if words[0] == "make":
        return _make(words[1:])
    if program == "atelier":
        return _atelier(words[1:])
    if program.startswith("python") and words[1:2] == ["-m"]:
        return _module(words[2:], page)
    own = words[0].startswith((".venv/", "./", "tools/", "proofs/", "deploy/"))
    return (
        "no such file" if own and not words[0].startswith(".venv/") and not (ROOT / words[0]).exists() else ""
    )


def _make(words: list[str]) -> str:
    makefile = read(ROOT / "Makefile")
    for word in words:
        variable, assigned, _ = word.partition("=")
        if assigned and not re.search(rf"\$\([^)]*\b{variable}\b|^{variable} \?=", makefile, re.MULTILINE):
            return f"make knows no variable {variable}"
        if not assigned and not word.startswith("-") and not re.search(rf"^{word}:", makefile, re.MULTILINE):
            return f"make has no target {word}"
    return ""


def _atelier(words: list[str]) -> str:
    at: argparse.ArgumentParser = parser()
    for word in words:
        inner: Any = next((one for one in at._actions if isinstance(one, argparse._SubParsersAction)), None)
        known = {option for one in at._actions for option in one.option_strings}
        if word.startswith("-"):
            if word.partition("=")[0] not in known:
                return f"atelier has no {word} there"
        elif inner is not None:
            if word not in inner.choices:
                return f"atelier has no command {word}"
            at = inner.choices[word]
    return ""


def _module(words: list[str], page: str) -> str:
    name, *rest = words or [""]
    if name == "pytest":
        paths = [word.partition("::")[0] for word in rest if word.startswith(("tests", "proofs"))]
        made = re.findall(r"[Mm]ake a file `([^`]+)`", page)
        lost = (path for path in paths if not (ROOT / path).exists() and Path(path).name not in made)
        return next((f"no {path}" for path in lost), "")
    if name.partition(".")[0] not in {path.parent.name for path in ROOT.glob("*/__init__.py")} | {"examples"}:
        return ""
    file = ROOT / name.replace(".", "/")
    return "" if file.with_suffix(".py").exists() or (file / "__main__.py").exists() else f"no module {name}"


def menu() -> set[str]:
    """Every page that the site's menu leads to."""

    def pages(entry: Any) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        for one in entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else ():
            yield from pages(one)

    return set(pages(yaml.safe_load(read(ROOT / "mkdocs.yml"))["nav"]))


def test_every_page_is_in_the_menu_and_the_menu_leads_to_pages_alone() -> None:
    decisions = set(DECISIONS.glob("*.md")) - {DECISIONS / "index.md"}  # their index leads to them
    assert {page.relative_to(DOCS).as_posix() for page in {*DOCS.rglob("*.md")} - decisions} == menu()


def test_no_page_is_too_long() -> None:
    words = {name_of(page): len(read(page).split()) - most_words(page) for page in BY_HAND}
    assert {name: f"{over} words too many" for name, over in words.items() if over > 0} == {}


def test_all_pages_together_are_short_and_so_is_the_median_page() -> None:
    words = [len(read(page).split()) for page in BY_HAND if not belongs(page, HISTORY)]
    assert sum(words) <= MOST_BY_HAND
    assert statistics.median(words) <= MOST_MEDIAN


def test_no_sentence_of_a_guide_is_too_long() -> None:
    found = [
        (name_of(page), part) for page in BY_HAND if belongs(page, GUIDES) for part in sentences(read(page))
    ]
    assert len(found) > 20
    assert [(name, " ".join(part.split())) for name, part in found if len(part.split()) > LONGEST] == []


def test_pages_say_what_is_and_not_what_was() -> None:
    found = [
        f"{name_of(page)}: {said}"
        for page in BY_HAND
        for pattern, where in ((DIARY, HISTORY), (DATE, DATED))
        if not belongs(page, where)
        for said in pattern.findall(prose(read(page)))
    ]
    assert found == []


def test_pages_use_the_fields_words() -> None:
    found = [
        f"{name_of(page)}: {said}, in: {' '.join(part.split())}"
        for page in {*BY_HAND, *GENERATED}
        if not belongs(page, (*HISTORY, "docs/host/troubleshooting.md"))  # which quotes messages
        for part in sentences(read(page))
        for said in banned_words(part)
    ]
    assert found == []


def test_every_link_and_picture_is_there_and_every_picture_is_shown() -> None:
    shown, lost = set[Path](), []
    for page in {*BY_HAND, *GENERATED}:
        for found in LINK.finditer(FENCE.sub("", read(page))):
            target = (found[1] or found[2]).partition("#")[0]
            if not target or re.match(r"[a-z]+:", target):
                continue
            path = (page.parent / target).resolve()
            shown.add(path)
            outside = page.is_relative_to(DOCS) and not path.is_relative_to(DOCS)  # where the site can't lead
            if outside or not path.exists():
                lost.append(f"{name_of(page)}: {target}")
    assert lost == []
    pictures = {path for path in DOCS.rglob("*") if path.suffix in PICTURES and path.parent.name != "assets"}
    texts = "".join(map(read, BY_HAND))
    unseen = {path for path in pictures - shown if f"{path.parent.name}/" not in texts}
    assert {name_of(path) for path in unseen} == set(), "shown on no page, and of no folder that one names"


def test_every_source_file_named_in_the_pages_is_there() -> None:
    named = [
        (page, name)
        for page in {*BY_HAND, *ROOT.glob("*.md")} - {ROOT / "CHANGELOG.md"}
        for name in re.findall(r"`([a-z_]+/[a-z0-9_/]*\.(?:py|js|toml|yaml|yml|json))`", read(page))
    ]
    assert {f"{name_of(page)}: {name}" for page, name in named if not (ROOT / name).exists()} == set()


def test_every_command_of_the_pages_can_be_typed() -> None:
    typed = [(page, one) for page in {*BY_HAND, *GENERATED} for one in commands(read(page))]
    assert len(typed) > 20
    wrong = [f"{name_of(page)}: {one}: {said}" for page, one in typed if (said := _problem(one, read(page)))]
    assert wrong == []


def test_every_setting_of_the_pages_exists() -> None:
    """A setting of ours, or a name that the program, its Makefile or its deployment uses."""
    known = set(KNOWN)
    for pattern in ("Makefile", "Dockerfile", "compose*.yaml", "deploy/**/*.*", "*/*.py", "*/*/*.py"):
        for path in ROOT.glob(pattern):
            if path.suffix in ("", ".py", ".yaml", ".service", ".yml"):
                known.update(NAME.findall(read(path)))
    named = [
        (page, name)
        for page in {*BY_HAND, ROOT / "CONTRIBUTING.md"}
        for name in re.findall(rf"`({NAME.pattern})(?:=[^`]*)?`", read(page))
    ]
    assert [f"{name_of(page)}: {name}" for page, name in named if name not in known] == []


def unfounded(text: str) -> list[str]:
    """Each figure of speed or memory in a page whose section lacks its device, its load, or the row of the
    benchmark or the proof that prints it."""
    found = []
    for section in re.split(r"^#+ ", FENCE.sub("\n", text), flags=re.MULTILINE):
        lacks = [name for name, pattern in SAYS.items() if not pattern.search(section)]
        found += [f"{one}: no {', '.join(lacks)}" for one in FIGURE.findall(section) if lacks]
    return found


def test_every_figure_of_speed_says_where_it_is_from() -> None:
    pages = [page for page in BY_HAND if belongs(page, CLAIMING)]
    assert {name_of(page): found for page in pages if (found := unfounded(read(page)))} == {}
    assert any(FIGURE.search(read(page)) for page in pages)


@pytest.mark.parametrize(
    ("said", "lacks"),
    [
        ("A picture takes 2 seconds.", "device, load, row"),
        ("A page costs 40 core ms on two cores.", "load, row"),
        ("3 times sooner on a quiet processor.", "row"),
        ("p95 of a busy H100.\n\n# Next\n\n`make scale-proof`", "row"),
    ],
)
def test_a_figure_without_its_place_is_found(said: str, lacks: str) -> None:
    assert [one.partition(": no ")[2] for one in unfounded(said)] == [lacks]
    assert unfounded(f"{said.partition('#')[0]} A processor with two quiet cores, `start`.") == []


@pytest.mark.parametrize(
    "said", ["It gives up after 20 s.", "A video lasts 3 seconds.", "`IDLE` is 5 minutes."]
)
def test_a_limit_is_no_figure_of_speed(said: str) -> None:
    assert unfounded(said) == []


def test_nothing_is_drawn_by_scripts_from_elsewhere() -> None:
    texts = [read(page) for page in {*BY_HAND, *GENERATED}]
    assert [text[:40] for text in texts if "```mermaid" in text or "<script" in FENCE.sub("", text)] == []


def test_every_decision_is_dated_short_and_of_a_subject_that_the_index_names() -> None:
    subjects = sorted({*DECISIONS.glob("*.md")} - {DECISIONS / "index.md"})
    index = read(DECISIONS / "index.md")
    assert [subject.name for subject in subjects if f"({subject.name})" not in index] == []
    for subject in subjects:
        entries = re.split(r"^## ", read(subject), flags=re.MULTILINE)[1:]
        dates = [re.findall(r"\n\n(\d{4}-\d\d-\d\d)\. ", entry) for entry in entries]
        assert all(len(dated) == 1 for dated in dates), subject.name
        assert dates == sorted(dates, reverse=True), f"{subject.name}: newest first"
        assert [entry for entry in entries if len(entry.split()) > MOST_DECISION] == []
    assert len(subjects) > 8


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("make nonsense", "make has no target nonsense"),
        ("make setup EXTRA=postgres", "make knows no variable EXTRA"),
        ("make setup EXTRAS=postgres", ""),
        (".venv/bin/atelier move-file --to x", "atelier has no command move-file"),
        ("MODEL_PROFILE=small atelier doctor --fix", "atelier has no --fix there"),
        ("docker compose exec atelier atelier restart", "atelier has no command restart"),
        ("docker compose up -d", ""),
        (".venv/bin/python -m tools.nothing", "no module tools.nothing"),
        (".venv/bin/python -m pytest tests/test_nothing.py -k x", "no tests/test_nothing.py"),
        ("python -m tools.docs", ""),
        ("git clone --depth 1 URL", ""),
    ],
)
def test_a_command_that_does_not_exist_is_found(typed: str, said: str) -> None:
    assert _problem(typed) == said


def test_sentences_are_counted_as_people_read_them() -> None:
    page = "# One two\n\nA `b c` d. E [f g](h.md)\ni!\n\n- j k\n- l\n\n| m | n o |\n|---|---|\n| p. q | r |\n"
    found = [" ".join(part.split()) for part in sentences(f"{page}\n```sh\ns t\n```\n")]
    assert found == ["One two", "A code d.", "E f g i!", "j k", "l", "m", "n o", "p.", "q", "r"]
