"""The page of shortcuts names every key that a page takes, and tells where objects are."""

import re

from core.settings import ROOT
from tools.docs.shortcuts import groups

JS = ROOT / "web" / "static" / "js"
NAMES = {"ArrowLeft": "←", "ArrowRight": "→", "ArrowUp": "↑", "ArrowDown": "↓", "Escape": "Esc", " ": "Space"}
_TAKEN = re.compile(r"\baddShortcuts\(\{(.*?)\n?\}\);", re.DOTALL)
_NAME = re.compile(r'(?:^|[,{\n])\s*(?:"([^"]+)"|(\w+)):')


async def test_the_page_of_shortcuts_tells_where_objects_are(site) -> None:
    page = await site.you.page("/keys")
    for place in ("/pictures", "/folders", "/documents", "/shares", "/trash"):
        assert f'<a href="{place}">' in page.partition("Where to find it")[2]


def test_every_key_that_a_page_takes_is_on_the_page_of_shortcuts() -> None:
    shown = {key for group in groups().values() for pressed, _ in group for key in pressed}
    taken = {
        NAMES.get(quoted or name, quoted or name)
        for folder in (JS, JS.parent / "projects")
        for path in folder.rglob("*.js")
        for body in _TAKEN.findall(path.read_text(encoding="utf-8"))
        for quoted, name in _NAME.findall(body)
    }
    leads = re.search(r"const PAGES = \{(.*?)\};", (JS / "core" / "page.js").read_text(encoding="utf-8"))
    taken |= {name for _, name in _NAME.findall(leads[1] if leads else "")}
    assert len(taken) >= 10 and taken - shown == set()
