"""The pages name files and pages that are there, and decisions are dated, short and in the index."""

import re
from pathlib import Path

from core.settings import ROOT

PAGES = [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")]
DECISIONS = ROOT / "docs" / "develop" / "decisions"
LONGEST = 120  # words of a decision, its heading and date too


def _found(pattern: str) -> list[tuple[Path, str]]:
    found = [(page, name) for page in PAGES for name in re.findall(pattern, page.read_text(encoding="utf-8"))]
    assert len(found) > 20
    return found


def test_every_source_file_named_in_the_pages_is_there() -> None:
    named = _found(r"`([a-z_]+/[a-z0-9_/]*\.py)`")
    assert {f"{page.name}: {name}" for page, name in named if not (ROOT / name).exists()} == set()


def test_every_link_between_the_pages_leads_somewhere() -> None:
    links = _found(r"\]\((?!http)([^)#\s]+)")
    assert {f"{page.name}: {link}" for page, link in links if not (page.parent / link).exists()} == set()


def test_the_index_of_pages_names_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert {page for page in pages if f"({page})" not in index} == set()


def test_every_decision_is_dated_short_and_of_a_subject_that_the_index_names() -> None:
    index = (DECISIONS / "index.md").read_text(encoding="utf-8")
    subjects = sorted({*DECISIONS.glob("*.md")} - {DECISIONS / "index.md"})
    assert [subject.name for subject in subjects if f"({subject.name})" not in index] == []
    for subject in subjects:
        entries = re.split(r"^## ", subject.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
        dates = [re.findall(r"\n\n(\d{4}-\d\d-\d\d)\. ", entry) for entry in entries]
        assert all(len(dated) == 1 for dated in dates), subject.name
        assert dates == sorted(dates, reverse=True), f"{subject.name}: newest first"
        assert [entry for entry in entries if len(entry.split()) > LONGEST] == []
    assert len(subjects) > 8
