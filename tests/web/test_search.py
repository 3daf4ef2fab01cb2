"""The search box over HTTP: ranked pages, filters as tokens and as fields, and what is said of them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from storage import embeddings as rows
from storage.schema import picture_places
from studio.authority import Actor
from studio.search import BY_LOOKS, WORDS_ONLY
from tests.jobs.conftest import eventually
from tests.studio.library.eyes import Seeing
from tests.web.conftest import OTHER, YOU, Browser, Site, open_site
from tests.web.test_explore import ABROAD, ADULT, AUTHOR, CLOSED, FAR, HALL, HERE, made, servers

assert servers  # a fixture


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
    await until_seen(site, [job["id"]])
    return job


async def found(site: Site, query: str, who: Browser | None = None) -> list[str]:
    """The seeds of what is found, in order."""
    page = await (who or site.you).get(f"/api/pictures?{query}")
    assert page.status == 200, page.body
    seeds = {}
    for tile in page.data["pictures"]:
        job = (await (who or site.you).get(f"/api/jobs/{tile['job']}")).data
        seeds |= {(tile["job"], one["n"]): one["seed"] for one in job["pictures"]}
    return [seeds[tile["job"], tile["n"]] for tile in page.data["pictures"]]


async def test_what_is_in_a_picture_is_found_page_by_page(site) -> None:
    for seed in (0, 90):
        await drawn(site, f"a house --seed {seed}")
    whole = await found(site, "q=92")
    assert whole[0] == 92 and len(whole) == 8
    first = (await site.you.get("/api/pictures?q=92&limit=5")).data
    assert first["older"] == "5" and first["note"] == BY_LOOKS
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
    page = await site.you.page("/pictures?q=91&seed=91")
    assert f'href="/pictures/{job["id"]}/2"' in page and 'name="seed"' in page and WORDS_ONLY not in page
    picture = await site.you.page(f"/pictures/{job['id']}/2")
    assert f'href="/pictures?q=like:{job["id"]}/2"' in picture
    eyes.blind = True
    assert WORDS_ONLY in await site.you.page("/pictures?q=house+more")
    wrong = await site.you.get("/pictures?q=size:big")
    assert wrong.status == 400 and "isn&#39;t a filter" in wrong.body.decode()


async def test_what_channels_show_that_one_reads_is_found_and_nothing_else(site, eyes, servers) -> None:
    mine = await drawn(site, "a boat --seed 0")
    shown = await made(site, words="a boat --seed 90")
    hidden = [
        await made(site, channel, guild=guild, words=f"a boat --seed 90 {more}")
        for channel, guild, more in (
            (HALL, HERE, "--stealth"),
            (CLOSED, HERE, "--raw"),
            (ADULT, HERE, "--stylize 7"),
            (FAR, ABROAD, "--stylize 8"),
            (77, None, "--stylize 9"),
        )
    ]
    unposted = await site.opened.drawn(Actor(AUTHOR, HERE, HALL), "a boat --seed 90 --stylize 10")
    await until_seen(site, [job.id for job in (shown, *hidden, unposted.job)])
    for query in ("q=92", "q=boat", f"q=like:{mine['id']}/1+boat"):
        assert await jobs(site, query) == {mine["id"], shown.id}, query
        assert await jobs(site, f"{query}+by:me") == {mine["id"]}
    assert (await jobs(site, f"q=like:{shown.id}/1")) == {mine["id"], shown.id}
    for job in hidden:
        assert (await site.you.get(f"/api/pictures?q=like:{job.id}/1")).status == 422
    eyes.blind = True
    assert await jobs(site, "q=boat") == {mine["id"], shown.id}
    servers.servers[HERE].channels[HALL].readers.discard(YOU)
    assert await jobs(site, "q=boat") == {mine["id"]}
    eyes.blind = False
    assert await jobs(site, "q=92") == {mine["id"]}


async def jobs(site: Site, query: str) -> set[str]:
    tiles = (await site.you.get(f"/api/pictures?{query}&limit=200")).data["pictures"]
    return {tile["job"] for tile in tiles}


async def until_seen(site: Site, wanted: list[str]) -> None:
    services = site.opened.services

    async def seen() -> bool:
        model, made = services.indexing.model, []
        for job_id in wanted:
            made += await services.database.read(lambda c, job_id=job_id: rows.list_pictures(c, job_id))
        return not await services.database.read(lambda c: rows.without_vector(c, model, made))

    await eventually(seen)


async def test_a_folder_is_named_among_the_words(site) -> None:
    job = await drawn(site, "a house --seed 90")
    await drawn(site, "a boat --seed 0")
    folders = site.opened.studio.folders
    you, other = Actor(YOU, None), Actor(OTHER, None)
    folder = await folders.create(you, "In snow")
    await folders.put(you, folder.id, [(job["id"], 0), (job["id"], 3)])
    await folders.create(other, "Secret")
    assert await found(site, 'q=folder:"in snow"') == [90, 93]
    assert await found(site, 'q=92+folder:"in snow"') in ([93, 90], [90, 93])
    for name in ("Secret", "nothing"):
        answer = await site.you.get(f"/api/pictures?q=folder:{name}")
        assert answer.status == 400 and 'your folders, "In snow".' in answer.data["detail"]


async def test_what_is_in_the_trash_is_not_found_and_its_vector_goes_with_it(site) -> None:
    job = await drawn(site, "a house --seed 90")
    you, services, trash = Actor(YOU, None), site.opened.services, site.opened.studio.trash
    made = await services.database.read(lambda c: rows.list_pictures(c, job["id"]))
    await trash.put(you, [(job["id"], 1)])
    assert sorted(await found(site, "q=91")) == [90, 92, 93]
    await services.privacy.delete_pictures(YOU, [(job["id"], 1)])
    model = services.indexing.model
    assert await services.database.read(lambda c: rows.without_vector(c, model, made)) == [made[1]]
    left = sa.select(picture_places.c.position)
    assert await services.database.read(lambda c: list(c.scalars(left))) == [0, 2, 3]
