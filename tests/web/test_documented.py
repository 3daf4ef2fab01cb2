"""docs/web.md names every address, setting and key that there is; the page of shortcuts names every key."""

import re

from core.settings import ROOT, sections
from proofs.web.addresses import PAGE, drawn, keys

JS = ROOT / "web" / "static" / "js"
NAMES = {"ArrowLeft": "←", "ArrowRight": "→", "ArrowUp": "↑", "ArrowDown": "↓", "Escape": "Esc", " ": "Space"}
_TAKEN = re.compile(r"\baddShortcuts\(\{(.*?)\n?\}\);", re.DOTALL)
_NAME = re.compile(r'(?:^|[,{\n])\s*(?:"([^"]+)"|(\w+)):')


async def test_the_page_of_shortcuts_tells_where_objects_are(site) -> None:
    page = await site.you.page("/keys")
    for place in ("/pictures", "/folders", "/documents", "/shares", "/trash"):
        assert f'<a href="{place}">' in page.partition("Where to find it")[2]


async def test_the_tables_of_addresses_and_keys_are_todays(site) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert drawn(text, site.web.routes) == text, "run `python -m proofs.web.addresses`"


def test_every_setting_of_the_web_is_explained() -> None:
    named = [name for name, section in sections().items() if section == "Web"]
    text = PAGE.read_text(encoding="utf-8")
    assert len(named) >= 5
    assert [name for name in named if f"`{name}`" not in text and f"{name}=" not in text] == []


def test_every_key_that_a_page_takes_is_on_the_page_of_shortcuts() -> None:
    shown = {key for group in keys().values() for pressed, _ in group for key in pressed}
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
