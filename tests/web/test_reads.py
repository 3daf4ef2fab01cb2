"""How often a request asks the database, and that what is known from before ends with what it hangs on."""

from pathlib import Path
from typing import Any

import pytest

from storage import database
from storage.database import Database
from tests.support import postgres
from tests.web.conftest import OTHER, YOU, Browser, Site, open_site

HOST = 9
KEEPS = pytest.mark.skipif(postgres.folder() is not None, reason="others write to a server as well")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was read since the list was emptied."""
    found: list[Any] = []
    read = Database.read

    async def counted(asked: Database, work: Any, **options: Any) -> Any:
        found.append(work)
        return await read(asked, work, **options)

    monkeypatch.setattr(Database, "read", counted)
    return found


async def _commit(site: Site) -> None:
    """Let something be written that has nothing to do with anybody."""
    await site.opened.services.queue.people.set_user_flag(OTHER, "met", True)


@KEEPS
async def test_a_page_costs_few_reads_and_its_small_copies_none(tmp_path: Path, reads, monkeypatch) -> None:
    monkeypatch.setattr(database, "KNOWN_FOR", 600.0)  # seconds: as on a quiet machine
    async with open_site(tmp_path, SEARCH_PICTURES="off") as site:  # nothing is written beside it
        await _page_and_copies(site, reads)


async def _page_and_copies(site: Site, reads: list[Any]) -> None:
    job = await site.drawn(site.you)
    pages = {"/": 3, "/pictures": 2, f"/pictures/{job['id']}/1": 2}  # the first shows prompts for one's model
    for path, most in pages.items():
        await site.you.page(path)  # the language of a person is known for a minute
        await _commit(site)
        reads.clear()
        await site.you.page(path)
        assert 0 < len(reads) <= most, (path, reads)
    reads.clear()
    for number in range(1, 5):
        assert (await site.you.get(f"/files/{job['id']}/{number}/256.webp")).status == 200
    assert reads == []


async def _looks(browser: Browser, job: str) -> tuple[int, ...]:
    """The answers to each way to a picture, asked twice: what isn't known at first is then."""
    paths = (f"/files/{job}/1/256.webp", f"/files/{job}/1", f"/pictures/{job}/1")
    first, second = [[(await browser.get(path)).status for path in paths] for _ in range(2)]
    assert first == second
    return tuple(first)


async def test_a_deleted_picture_is_gone_at_once(site) -> None:
    job = (await site.drawn(site.you))["id"]
    assert await _looks(site.you, job) == (200, 200, 200)
    assert (await site.you.ask("DELETE", f"/api/jobs/{job}")).status == 204
    assert await _looks(site.you, job) == (404, 404, 404)


async def test_who_signs_out_sees_nothing_more_with_the_same_cookie(site) -> None:
    job = (await site.drawn(site.you))["id"]
    phone = await site.person(YOU)
    assert await _looks(site.you, job) == await _looks(phone, job) == (200, 200, 200)
    assert (await site.you.ask("DELETE", "/api/session")).status == 204
    assert await _looks(site.you, job) == (401, 401, 303)
    assert await _looks(phone, job) == (200, 200, 200)


async def test_a_stranger_sees_nothing_of_what_its_author_has_just_looked_at(site) -> None:
    job, other = (await site.drawn(site.you))["id"], await site.person(OTHER)
    for _ in range(2):
        assert await _looks(site.you, job) == (200, 200, 200)
        assert await _looks(other, job) == (404, 404, 404)
        assert await _looks(site.stranger(), job) == (401, 401, 303)


async def test_a_ban_and_a_time_out_hold_from_the_next_request_on(site) -> None:
    job, queue = (await site.drawn(site.you))["id"], site.opened.services.queue
    assert await _looks(site.you, job) == (200, 200, 200)
    await queue.admin.ban(HOST, YOU)
    banned = await _looks(site.you, job)
    assert 200 not in banned
    await queue.admin.unban(HOST, YOU)
    assert await _looks(site.you, job) == (200, 200, 200)


async def test_the_trash_hides_a_picture_from_its_page_at_once(site) -> None:
    job = (await site.drawn(site.you))["id"]
    assert await _looks(site.you, job) == (200, 200, 200)
    assert (await site.you.post("/api/trash", {"pictures": [f"{job}/1"]})).status == 200
    assert (await site.you.get(f"/pictures/{job}/1")).headers["Location"].endswith("/trash")


@pytest.mark.parametrize("aside", [0, 2**20])
async def test_a_picture_that_the_browser_has_is_not_sent_again(site, monkeypatch, aside) -> None:
    monkeypatch.setattr("web.dispatch.HASHED_ASIDE", aside)
    job = (await site.drawn(site.you))["id"]
    for path in (f"/files/{job}/1/256.webp", f"/files/{job}/1"):
        whole = await site.you.get(path)
        has = {"If-None-Match": whole.headers["ETag"]}
        again = await site.you.get(path, headers=has)
        assert (again.status, again.body) == (304, b"") and again.headers["ETag"] == whole.headers["ETag"]
        assert again.headers["Cache-Control"] == whole.headers["Cache-Control"]
        assert (await site.you.get(path, headers={"If-None-Match": '"another"'})).body == whole.body
        stranger = await site.person(OTHER)
        assert (await stranger.get(path, headers=has)).status == 404  # it isn't told that it is there
    assert (await site.you.ask("DELETE", f"/api/jobs/{job}")).status == 204
    assert (await site.you.get(path, headers=has)).status == 404
    assert (await site.stranger().get(path, headers=has)).status == 401


async def test_a_part_of_a_picture_is_sent_alone(site) -> None:
    path = f"/files/{(await site.drawn(site.you))['id']}/1"
    whole = await site.you.get(path)
    size, etag = len(whole.body), whole.headers["ETag"]
    for asked, part in (
        ("bytes=0-9", slice(0, 10)),
        ("bytes=5-", slice(5, size)),
        ("bytes=-7", slice(size - 7, size)),
        (f"bytes=1-{9 * size}", slice(1, size)),
    ):
        answer = await site.you.get(path, headers={"Range": asked, "If-Range": etag})
        assert (answer.status, answer.body) == (206, whole.body[part]), asked
        assert answer.headers["Content-Range"] == f"bytes {part.start}-{part.stop - 1}/{size}"
    none = await site.you.get(path, headers={"Range": f"bytes={size}-"})
    assert (none.status, none.headers["Content-Range"], none.body) == (416, f"bytes */{size}", b"")
    for headers in ({"Range": "bytes=0-9", "If-Range": '"an older one"'}, {"Range": "pictures=1"}):
        assert (await site.you.get(path, headers=headers)).body == whole.body
    saved = await site.you.get(f"{path}?download=1", headers={"Range": "bytes=0-9"})
    assert saved.status == 200 and "ETag" not in saved.headers
