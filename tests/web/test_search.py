"""The search box over HTTP: ranked pages, filters as tokens and as fields, and what is said of them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from storage.search import vectors as rows
from studio.search.search import WORDS_ONLY
from tests.jobs.conftest import eventually
from tests.studio.search.eyes import Seeing
from tests.web.conftest import OTHER, Browser, Site, open_site


@pytest.fixture
async def eyes() -> Seeing:
    return Seeing()


@pytest.fixture
async def site(tmp_path: Path, eyes: Seeing) -> AsyncIterator[Site]:
    async with open_site(tmp_path, executor=eyes) as found:
        yield found


async def drawn(site: Site, prompt: str, who: Browser | None = None) -> dict[str, Any]:
    """A finished job that was looked at."""
    job = await site.drawn(who or site.you, prompt)
    services = site.opened.services
    made = await services.database.read(lambda c: rows.of_job(c, job["id"]))

    async def seen() -> bool:
        model = services.indexing.model
        return not await services.database.read(lambda c: rows.unread(c, model, made))

    await eventually(seen)
    return job


async def found(site: Site, query: str, who: Browser | None = None) -> list[str]:
    """The seeds of what is found, in order."""
    page = await (who or site.you).get(f"/api/pictures?{query}")
    assert page.status == 200, page.body
    seeds = {}
    for tile in page.data["pictures"]:
        job = (await (who or site.you).get(f"/api/jobs/{tile['job']}")).data
        seeds[tile["job"], tile["n"]] = job["pictures"][tile["n"] - 1]["seed"]
    return [seeds[tile["job"], tile["n"]] for tile in page.data["pictures"]]


async def test_what_is_in_a_picture_is_found_page_by_page(site) -> None:
    for seed in (0, 90):
        await drawn(site, f"a house --seed {seed}")
    whole = await found(site, "q=92")
    assert whole[0] == 92 and len(whole) == 8
    first = (await site.you.get("/api/pictures?q=92&limit=5")).data
    assert first["older"] == "5" and first["note"] == ""
    assert await found(site, "q=92&limit=5&before=5") == whole[5:]
    assert await found(site, "q=92&limit=5&skip=5") == whole[5:]
    assert (await site.you.get("/api/pictures?q=92&before=x")).status == 400


async def test_filters_are_tokens_and_fields(site) -> None:
    job = await drawn(site, "a house --seed 90")
    await drawn(site, "a boat --seed 0")
    assert await found(site, "q=seed:91") == await found(site, "seed=91") == [91]
    assert await found(site, "q=house+kind:imagine+ar:1:1&seed=92&by=me") == [92]
    assert (await found(site, f"q=like:{job['id']}/2"))[0] in (90, 92)
    await site.you.ask("PUT", f"/api/favourites/{job['id']}/2")
    assert await found(site, "q=fav:yes") == [91]
    for query in ("q=size:big", "q=kind:house", "seed=x", "ar=wide", "from=soon", "by=bob"):
        answer = await site.you.get(f"/api/pictures?{query}")
        assert answer.status == 400 and ":`" in answer.data["detail"], query


async def test_a_picture_that_is_not_to_be_seen_is_as_good_as_none(site) -> None:
    """To be compared with one tells nothing of it either."""
    other = await site.person(OTHER)
    job = await drawn(site, "a house --seed 90", other)
    await drawn(site, "a boat --seed 0")
    assert await found(site, "q=90") == [3, 2, 1, 0]
    theirs = await site.you.get(f"/api/pictures?q=like:{job['id']}/1")
    nobodys = await site.you.get("/api/pictures?q=like:abcd2345efgh/1")
    assert theirs.status == nobodys.status == 422
    assert theirs.body.replace(job["id"].encode(), b"") == nobodys.body.replace(b"abcd2345efgh", b"")


async def test_pages_work_without_a_script(site, eyes) -> None:
    job = await drawn(site, "a house --seed 90")
    page = (await site.you.get("/pictures?q=91&seed=91")).body.decode()
    assert f'href="/pictures/{job["id"]}/2"' in page and 'name="seed"' in page and WORDS_ONLY not in page
    picture = (await site.you.get(f"/pictures/{job['id']}/2")).body.decode()
    assert f'href="/pictures?q=like:{job["id"]}/2"' in picture
    eyes.blind = True
    assert WORDS_ONLY in (await site.you.get("/pictures?q=house+more")).body.decode()
    wrong = await site.you.get("/pictures?q=size:big")
    assert wrong.status == 400 and "isn&#39;t a filter" in wrong.body.decode()
