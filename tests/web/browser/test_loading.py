"""What each page asks for: twelve scripts at most, named in its head so that none waits for another."""

import os

import pytest

from proofs.web.scripts import taught
from tests.web.browser.conftest import sign_in
from tests.web.browser.test_accessibility import filled
from tests.web.conftest import Site
from tests.web.test_examples import Trier
from tests.web.test_examples import filled as example_set
from tests.web.test_talks import MODEL

pytestmark = pytest.mark.asyncio(loop_scope="session")
MOST = 13 if os.environ.get("INSIDE") else 12  # scripts; in Discord's frame one leads what is outside there
LOADED = """() => performance.getEntriesByType('resource').map(({ name }) => name)
  .filter((name) => name.endsWith('.js'))"""
NAMED = """() => [...document.head.querySelectorAll('[rel=modulepreload], script')]
  .map(({ href, src }) => href ?? src)"""


EXECUTOR = Trier
SETTINGS = MODEL


async def every_page(site: Site) -> list[str]:
    """Fill the studio; an address of each page that it has."""
    paths = [*await filled(site), await example_set(site), f"/projects/{(project := await taught(site))}"]
    paths += [f"/projects/{project}/{page}" for page in ("label", "report", "try", "watch", "settings")]
    [document, *_] = (await site.you.get("/api/documents")).data["documents"]
    job = (await site.drawn(site.you))["id"]
    asked = await site.you.post("/api/talk", {"question": "What is it?", "pictures": [f"{job} 1"]})
    for number in range(5):
        liked = await site.drawn(site.you, f"a red house --seed {10 * number}")
        await site.you.ask("PUT", f"/api/favourites/{liked['id']}/2")
    await site.you.post("/api/taste/loras", {"name": "me"})
    lora = (await site.you.get("/api/taste")).data["tastes"][0]["lora"]["project"]
    paths += [f"/edit/{job}/1", f"/edit/d/{document['id']}", f"/talk/{asked.data['job']}"]
    return [*paths, f"/taste/blind/{lora}"]


async def test_a_page_asks_for_twelve_scripts_at_most_and_waits_for_none_behind_another(
    site: Site, page
) -> None:
    await sign_in(site, page)
    paths = await every_page(site)
    kinds = {route.path.split("{")[0] for route in site.web.routes if route.method == "GET" and route.is_page}
    left = {kind for kind in kinds if not any(path.startswith(kind) for path in paths)}
    assert left == {"/in/discord", "/in/discord/back"}  # which lead elsewhere
    for path in paths:
        await page.goto(site.web.url + path)
        await page.wait_for_function("() => 'started' in document.body.dataset")
        loaded = await page.evaluate(LOADED)
        assert 5 <= len(loaded) <= MOST, (path, loaded)
        assert {*loaded} <= {*await page.evaluate(NAMED)}, path
