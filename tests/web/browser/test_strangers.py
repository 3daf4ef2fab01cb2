"""What strangers try through somebody's browser: another site's page, words that would be scripts."""

import pytest
from aiohttp import web

from proofs.web.scripts import AT_ONCE, batches, hits, pages, plant, taught
from tests.studio.conftest import png
from tests.web.browser.conftest import served, sign_in
from tests.web.conftest import Site
from tests.web.payloads import payloads

pytestmark = pytest.mark.asyncio(loop_scope="session")
EVERY = 20  # of the texts; `make web-proof` tries all
TRY = """async (url) => {
  const opens = (made, good) => new Promise((done) => {
    made['on' + good] = () => done(good);
    made.onerror = () => done('refused');
  });
  const asked = (method, path, more = {}) =>
    fetch(url + path, { method, credentials: 'include', ...more }).then((one) => one.text(), () => 'refused');
  const picture = new Image();
  const shown = opens(picture, 'load'); // before it can fail: an event that nobody hears never comes again
  picture.src = `${url}/files/${window.name}/1`;
  return [
    await opens(new WebSocket(url.replace('http', 'ws') + '/api/live'), 'open'),
    await asked('GET', '/api/jobs'),
    await asked('POST', '/api/jobs', { headers: { 'Content-Type': 'text/plain' } }),
    await asked('DELETE', '/api/session'),
    await shown,
  ];
}"""
MARKED = "() => [window.hit ?? 0, document.querySelectorAll('[onerror], [onload]').length]"


async def test_another_sites_page_gets_nothing_and_changes_nothing(opened: Site, you) -> None:
    job = await opened.drawn(opened.you)
    other = await you.context.new_page()  # the same browser, with the cookie; errors on its console are meant

    async def empty(request: web.Request) -> web.Response:
        return web.Response(text="<!doctype html>", content_type="text/html")

    async with served(web.get("/", empty)) as address:
        await other.goto(address)
        await other.evaluate("(id) => { window.name = id; }", job["id"])
        assert await other.evaluate(TRY, opened.web.url) == ["refused"] * 5
    assert len((await opened.you.get("/api/jobs")).data["jobs"]) == 1
    await you.goto(opened.web.url)
    await you.wait_for_selector(".job")


@pytest.mark.parametrize("bypass", [False, True], ids=["with the policy", "without it"])
async def test_words_of_strangers_run_nowhere(opened: Site, browser, bypass: bool) -> None:
    ids = [(await opened.drawn(opened.you))["id"] for _ in range(AT_ONCE)]
    project = await taught(opened)
    context = await browser.new_context(bypass_csp=bypass)
    page = await context.new_page()
    await sign_in(opened, page)
    for batch in batches(payloads()[::EVERY][:AT_ONCE]):
        await plant(opened, ids, batch)
        assert await hits(page, opened, pages(ids, project)[:13]) == []
    await context.close()


async def test_the_name_of_a_file_is_text(opened: Site, you) -> None:
    await you.goto(opened.web.url)
    for name in ("<img src=x onerror=window.hit=1>.png", '"><svg onload=window.hit=1>.png'):
        await you.set_input_files("#bar-file", [{"name": name, "mimeType": "image/png", "buffer": png()}])
    await you.wait_for_selector(".attached:nth-child(2):not(:has(progress))")
    assert await you.evaluate(MARKED) == [0, 0]
