"""The tables of addresses and keys in docs/web.md: ``python -m proofs.web.addresses`` draws them."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from core.settings import ROOT
from tests.web.cells import key_of
from tests.web.conftest import open_site
from web.call import Route

PAGE = ROOT / "docs" / "web.md"
KEYS = ROOT / "web" / "templates" / "keys.html"
_GROUP = re.compile(r'\("([\w ]+)", \[(.+)\]\),$', re.MULTILINE)
_KEY = re.compile(r'\(\[([^\]]+)\], "([^"]+)"\)')


def addresses(routes: Iterable[Route]) -> str:
    """Return a line for each route: what is called, what it does, whether a stranger may."""
    lines = ["| address | what it does |", "|---|---|"]
    for route in routes:
        words = " ".join((route.handler.__doc__ or "").split("\n\n")[0].split()).rstrip(".")
        query = f"?{'&'.join(route.query)}" if route.query else ""
        lines.append(f"| `{key_of(route)}{query}` | {words}{' (everybody)' if route.everybody else ''} |")
    return "\n".join(lines)


def keys() -> dict[str, list[tuple[list[str], str]]]:
    """Return what the page of shortcuts shows: groups of keys and what they do."""
    groups = _GROUP.findall(KEYS.read_text(encoding="utf-8"))
    return {
        name: [(re.findall(r'"([^"]+)"', pressed), what) for pressed, what in _KEY.findall(text)]
        for name, text in groups
    }


def key_table() -> str:
    """Return a line for each of them."""
    lines = ["| where | keys | what they do |", "|---|---|---|"]
    for name, pressed in keys().items():
        lines += [
            f"| {name} | {' '.join(f'`{key}`' for key in all_of)} | {what} |" for all_of, what in pressed
        ]
    return "\n".join(lines)


def drawn(text: str, routes: Iterable[Route]) -> str:
    """Return the page with today's tables."""
    for name, table in (("addresses", addresses(routes)), ("keys", key_table())):
        begin, end = f"<!-- {name}: drawn by proofs/web/addresses.py -->", f"<!-- end of {name} -->"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n\n{table}\n\n{end}{rest.partition(end)[2]}"
    return text


async def main() -> None:
    """Draw them."""
    with tempfile.TemporaryDirectory() as folder:
        async with open_site(Path(folder)) as site:
            routes = site.web.routes
    text = await asyncio.to_thread(PAGE.read_text, encoding="utf-8")
    await asyncio.to_thread(PAGE.write_text, drawn(text, routes), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main())
