"""One's own data on the web: seen, taken away, and deleted, by those who never come to Discord too."""

import io
import json
import zipfile

from tests.web.conftest import OTHER, open_site


async def test_a_person_sees_what_is_kept_of_them(site) -> None:
    await site.drawn(site.you, "a red house")
    await site.you.post("/api/talk", {"said": "thank you"})
    told = (await site.you.get("/api/privacy")).data
    assert (told["held"]["jobs"], told["held"]["pictures"]) == (1, 5) and told["days"]["trash"] == 30
    assert told["held"]["turns"] == 1
    page = await site.you.page("/privacy")
    assert "5 pictures" in page and 'href="/api/privacy/export"' in page and "30 days" in page
    assert 'href="/privacy"' in await site.you.page("/settings")
    other = (await (await site.person(OTHER)).get("/api/privacy")).data
    assert other["held"]["jobs"] == other["held"]["turns"] == 0


async def test_a_copy_of_everything_comes_as_one_file(site) -> None:
    job, _ = await site.drawn(site.you, "a red house"), await site.drawn(await site.person(OTHER), "a boat")
    answer = await site.you.get("/api/privacy/export")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/zip")
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="atelier-data-20')
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        assert archive.testzip() is None and len(archive.namelist()) >= 5
        told = json.loads(archive.read("data.json"))
    assert [one["id"] for one in told["jobs"]] == [job["id"]]
    small = await site.you.get("/api/privacy/export?pictures=0")
    assert zipfile.ZipFile(io.BytesIO(small.body)).namelist() == ["data.json"]


async def test_deleting_everything_ends_all_sessions(site) -> None:
    phone, other = await site.person(1), await site.person(OTHER)
    mine, theirs = await site.drawn(site.you), await site.drawn(other)
    assert (await site.you.ask("DELETE", "/api/privacy")).status == 204
    for browser in (site.you, phone):
        assert (await browser.get("/api/jobs")).status == 401
    assert await site.opened.services.queue.job(mine["id"]) is None
    assert (await other.get(f"/api/jobs/{theirs['id']}")).status == 200
    assert (await other.ask("DELETE", "/api/privacy")).status == 204
    assert await site.opened.services.queue.job(theirs["id"]) is None


async def test_the_host_s_words_on_privacy_are_linked_where_people_look(tmp_path) -> None:
    address = "https://example.org/privacy"
    async with open_site(tmp_path, PRIVACY_URL=address) as site:
        for browser, page in ((site.you, "/privacy"), (site.stranger(), "/in")):
            assert f'href="{address}"' in await browser.page(page), page
