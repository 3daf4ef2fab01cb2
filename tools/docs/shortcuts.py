"""The page of keys, from the studio's own page of shortcuts."""

from __future__ import annotations

import re

from core.settings import ROOT
from tools.docs.markdown import page, sentence, table

KEYS = ROOT / "web" / "templates" / "keys.html"
INTRO = """\
The web studio shows these on its page **Shortcuts**; press `?`. There you can switch single letters off \
for your browser."""
_GROUP = re.compile(r'_\("([\w ]+)"\), \[(.+)\]\),$', re.MULTILINE)
_KEY = re.compile(r'\(\[([^\]]+)\], _\("([^"]+)"\)\)')


def groups() -> dict[str, list[tuple[list[str], str]]]:
    """Return what the page of shortcuts shows: groups of keys and what they do."""
    return {
        name: [(re.findall(r'"([^"]+)"', pressed), what) for pressed, what in _KEY.findall(text)]
        for name, text in _GROUP.findall(KEYS.read_text(encoding="utf-8"))
    }


def shortcuts_page() -> str:
    """Return the page."""
    parts = []
    for name, keys in groups().items():
        rows = [(" ".join(f"`{key}`" for key in pressed), sentence(what, name)) for pressed, what in keys]
        parts.append(f"## {name}\n\n{table(('keys', 'what they do'), rows)}")
    return page("Keyboard shortcuts", INTRO, *parts)
