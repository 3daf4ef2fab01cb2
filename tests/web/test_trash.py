"""The trash on the web: gone at once, back again, and for good in the end."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from storage.schema import trash
from tests.web.conftest import OTHER


def named(job, *numbers: int) -> list[str]:
    return [f"{job['id']}/{n}" for n in numbers]


async def shown(browser, query: str = "") -> list[str]:
    tiles = (await browser.get(f"/api/pictures?{query}")).data["pictures"]
    return [f"{tile['job']}/{tile['n']}" for tile in tiles]


async def put(browser, *names: str) -> None:
    answer = await browser.post("/api/trash", {"pictures": list(names)})
    assert (answer.status, answer.data) == (200, {"pictures": list(names)})


async def test_a_picture_in_the_trash_is_hidden_at_once_and_comes_back(site) -> None:
    job = await site.drawn(site.you)
    await put(site.you, *named(job, 2))
    left = named(job, 1, 3, 4)
    assert await shown(site.you) == left
    assert (await site.you.get("/api/months")).data["months"][0]["pictures"] == 3
    for path in ("/", "/pictures", f"/pictures/{job['id']}/1"):
        assert f"/pictures/{job['id']}/2" not in await site.you.page(path), path
    one = (await site.you.get(f"/api/jobs/{job['id']}")).data
    assert [picture["n"] for picture in one["pictures"]] == [1, 3, 4]
    gone = await site.you.get(f"/pictures/{job['id']}/2")
    assert (gone.status, gone.headers["Location"]) == (303, "/trash")
    [tile] = (await site.you.get("/api/pictures?trash=1")).data["pictures"]
    days = (datetime.fromisoformat(tile["ends"]) - datetime.now(UTC)) / timedelta(days=1)
    assert tile["n"] == 2 and 29.9 < days <= 30
    page = await site.you.page("/trash")
    assert tile["ends"][:10] in page and "30 days" in page
    assert (await site.you.get(tile["small"])).status == 200, "its author sees what is there"
    back = await site.you.post("/api/trash/restore", {"pictures": named(job, 2)})
    assert back.status == 200 and await shown(site.you) == named(job, 1, 2, 3, 4)


async def test_a_job_that_is_all_in_the_trash_is_not_there(site) -> None:
    job = await site.drawn(site.you)
    child = (await site.you.post(f"/api/jobs/{job['id']}/1/up2s")).data["jobs"][0]
    await site.finished(child["id"])
    await put(site.you, *named(job, 1, 2, 3, 4))
    assert [one["id"] for one in (await site.you.get("/api/jobs")).data["jobs"]] == [child["id"]]
    assert (await site.you.get(f"/api/jobs/{job['id']}")).status == 404
    page = await site.you.page(f"/pictures/{child['id']}/1")
    assert f"/pictures/{job['id']}" not in page.replace(f"/pictures/{child['id']}", "")
    await put(site.you, *named(child, 1))
    await site.you.post("/api/trash/restore", {"pictures": named(job, 1)})
    page = await site.you.page(f"/pictures/{job['id']}/1")
    assert f"/pictures/{child['id']}" not in page


async def test_deleting_for_good_takes_rows_files_and_small_copies(site) -> None:
    job = await site.drawn(site.you)
    files = site.opened.services.files
    await site.you.get(f"/files/{job['id']}/1/256.webp")
    answer = await site.you.post("/api/trash/delete", {"pictures": named(job, 1)})
    assert answer.status == 422, "only what is in the trash"
    await put(site.you, *named(job, 1, 2))
    before = len(list(files.all()))
    answer = await site.you.post("/api/trash/delete", {"pictures": named(job, 1, 3)})
    assert answer.data == {"count": 1} and await shown(site.you, "trash=1") == named(job, 2)
    assert len(list(files.all())) < before
    assert not list(files.root.parent.glob("cache/derived/**/*.webp"))
    for path in ("/1", "/1/256.webp"):
        assert (await site.you.get(f"/files/{job['id']}{path}")).status == 404, path
    assert (await site.you.get(f"/pictures/{job['id']}/3")).status == 200
    made = await site.you.post(f"/api/jobs/{job['id']}/4/subtle")
    assert made.status == 202 and made.data["jobs"][0]["parent"]["n"] == 4
    await put(site.you, *named(job, 3, 4))
    assert (await site.you.ask("DELETE", "/api/trash")).data == {"count": 3}
    assert await site.opened.services.queue.job(job["id"]) is None


async def test_what_has_been_there_long_enough_goes_by_itself(site) -> None:
    job = await site.drawn(site.you)
    await put(site.you, *named(job, 1, 2))
    services = site.opened.services

    async def put_at(position: int, days: float) -> None:
        at = datetime.now(UTC) - timedelta(days=days)
        row = sa.update(trash).where(trash.c.position == position).values(at=at)
        await services.database.write(lambda c: c.execute(row) and None)

    await put_at(0, 29.9)
    await put_at(1, 30.1)
    await services.janitor.sweep()
    assert await shown(site.you, "trash=1") == named(job, 1) and await shown(site.you) == named(job, 3, 4)


async def test_somebody_elses_pictures_look_like_none(site) -> None:
    job = await site.drawn(site.you)
    stranger = await site.person(OTHER)
    for path in ("/api/trash", "/api/trash/restore", "/api/trash/delete"):
        theirs = await stranger.post(path, {"pictures": named(job, 1)})
        never = await stranger.post(path, {"pictures": ["abcdabcdabcd/1"]})
        assert (theirs.status, theirs.body) == (422, never.body), path
    assert await shown(site.you) == named(job, 1, 2, 3, 4)


@pytest.mark.parametrize(
    "body", [{}, {"pictures": []}, {"pictures": ["x"]}, {"pictures": ["abcdabcdabcd/0"]}]
)
async def test_names_that_mean_nothing_are_refused(site, body) -> None:
    answer = await site.you.post("/api/trash", body)
    assert answer.status == 400 and "abcd2345efgh/2" in answer.data["detail"]


async def test_however_many_pictures_are_deleted_each_of_them_is(site, monkeypatch) -> None:
    monkeypatch.setattr("studio.library.collections.AT_ONCE", 2)  # of 200
    jobs = [await site.drawn(site.you) for _ in range(2)]
    names = [name for job in jobs for name in named(job, 1, 2, 3, 4)]
    await put(site.you, *names)
    answer = await site.you.post("/api/trash/delete", {"pictures": names[:7]})
    assert answer.data == {"count": 7} and await shown(site.you, "trash=1") == names[7:]
