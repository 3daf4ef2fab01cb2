"""The pages name files that are there, link to pages that are there, and list every decision."""

import re
from pathlib import Path

from core.settings import ROOT

PAGES = [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")]
DECISIONS = ROOT / "docs" / "decisions"


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


def test_the_index_of_decisions_names_every_decision() -> None:
    index = " ".join((DECISIONS / "README.md").read_text(encoding="utf-8").split())
    missing, subjects = [], sorted(DECISIONS.glob("[a-z]*.md"))
    for subject in subjects:
        text = " ".join(subject.read_text(encoding="utf-8").split())
        titles = re.findall(r" - \*\*(.+?)\*\*", text)
        missing += [title for title in titles if title.rstrip(".") not in index]
        assert titles
    assert len(subjects) > 8
    assert missing == []
