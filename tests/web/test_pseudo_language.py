"""Every page in a language that translates everything: what stays English was never marked."""

import re
from itertools import chain
from pathlib import Path

import pytest

from core import language
from core.language import LANGUAGES
from core.styles import STYLES
from tests.pseudo import Pseudo, untranslated
from tests.web import expected
from tests.web.cells import filled, key_of
from tests.web.world import AUTHOR, CANARY, MINE, World, open_world
from web.call import Route

DESIGN = "GET /_components"  # a page for those who write pages
# What no language has: the world's names and prompts, what is typed, units, names of file formats, and the
# words of styles, which the model reads.
NAMES = re.compile(
    rf"a (?:house|child with a kite) (?:{CANARY}\w+x)?(?: --ar 3:2)?|{CANARY}\w+x|--ar 3:2|\bar 3:2"
    r"|\b(?:author|fake|a server|an? browser|another|expired|a boat|good|number 1|px|MB|COCO|CSV|YOLO)\b"
    r"|\b[a-z0-9]{12} 1\b|" + "|".join(map(re.escape, (*LANGUAGES.values(), *chain(*STYLES)))),
    re.IGNORECASE,
)


@pytest.fixture
def pseudo(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("core.language.catalogue", "web.app.catalogue"):
        monkeypatch.setattr(name, lambda code: Pseudo())


@pytest.mark.slow
async def test_no_page_says_anything_that_is_not_marked(tmp_path: Path, pseudo: None) -> None:
    language.kept_messages()
    async with open_world(tmp_path) as world:
        routes = [one for one in world.routes if one.method == "GET" and one.is_page]
        pages = {key_of(one): await _page(world, one) for one in routes if key_of(one) != DESIGN}
    assert len(pages) >= 31
    assert all("⟦" in page for page in pages.values())
    assert {name: left for name, page in pages.items() if (left := _left(page))} == {}


async def _page(world: World, route: Route) -> str:
    rule, job = expected.RULES[key_of(route)], world.id_of(MINE, AUTHOR)
    values = expected.named(job, world.upload, world.session)
    path = filled(route, {**values, "action": "subtle", **rule.given}) + rule.query.replace("{job}", job)
    answer = await world.browser(AUTHOR).get(path, headers={"Accept-Language": "de"})
    return answer.body.decode()


def _left(page: str) -> list[str]:
    """What a page says in English, in its texts and in attributes that are shown or read out."""
    page = re.sub(r"<(script|style|code|kbd|template)\b.*?</\1>", " ", page, flags=re.DOTALL)
    page = re.sub(r'<section lang="en".*?</section>', " ", page, flags=re.DOTALL)  # it says so of itself
    shown = re.findall(r"\s(?:title|placeholder|aria-label|alt|label)=\"([^\"]*)\"", page)
    texts = [*untranslated(re.sub(r"<[^>]*>", "\n", page)).split("\n"), *map(untranslated, shown)]
    return sorted({text.strip() for text in texts if re.search("[A-Za-z]{2}", NAMES.sub("", text))})
