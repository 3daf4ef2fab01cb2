"""Every page in a language that translates everything: what stays English was never marked."""

import re

import pytest

from core import language
from tests.pseudo import Pseudo, untranslated
from tests.web import expected
from tests.web.cells import filled, key_of
from tests.web.world import AUTHOR, MINE, World, open_world

# What is said in no language, or in its own: names of the world's people, models and things, what is typed,
# names of languages, and values that commands and files have.
NAMES = re.compile(r"")


@pytest.mark.slow
async def test_no_page_says_anything_that_is_not_marked(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(language, "catalogue", lambda code: Pseudo())
    monkeypatch.setattr("web.app.catalogue", lambda code: Pseudo())
    found: dict[str, list[str]] = {}
    pages = 0
    async with open_world(tmp_path) as world:
        for route in world.routes:
            if route.method != "GET" or not route.is_page:
                continue
            page = await _page(world, route)
            if page:
                pages += 1
                if left := _left(page):
                    found[key_of(route)] = left
    assert found == {}
    assert pages > 20


async def _page(world: World, route) -> str:
    rule, job = expected.RULES[key_of(route)], world.id_of(MINE, AUTHOR)
    values = expected.named(job, world.upload, world.session)
    path = filled(route, {**values, "action": "subtle", **rule.given}) + rule.query.replace("{job}", job)
    answer = await world.browser(AUTHOR).ask("GET", path, headers={"Accept-Language": "de"})
    return answer.body.decode() if answer.headers.get("Content-Type", "").startswith("text/html") else ""


def _left(page: str) -> list[str]:
    page = re.sub(r"<(script|style|code|kbd|template)\b.*?</\1>", " ", page, flags=re.DOTALL)
    shown = re.findall(r"\s(?:title|placeholder|aria-label|alt|label)=\"([^\"]*)\"", page)
    text = untranslated(re.sub(r"<[^>]*>", "\n", page))
    return [
        line.strip()
        for line in [*text.split("\n"), *map(untranslated, shown)]
        if re.search("[A-Za-z]{2}", line)
    ]
