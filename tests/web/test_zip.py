"""Pictures as one zip file."""

import io
import zipfile

import pytest

from studio.authority import Actor
from studio.library import downloads
from studio.library.rendition import Showing
from tests.web.conftest import OTHER, YOU
from tests.web.test_folders import form, make
from tests.web.test_trash import named, put


def opened(answer) -> zipfile.ZipFile:
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/zip"), answer.body[:200]
    found = zipfile.ZipFile(io.BytesIO(answer.body))
    assert found.testzip() is None
    return found


async def test_chosen_pictures_come_as_one_file_with_sizes_before_the_data(site) -> None:
    prompt = 'a "red" house: CON?/..\\ été ' + "x" * 90
    job = await site.drawn(site.you, prompt)
    answer = await form(site.you, "/api/zip", pictures=" ".join(named(job, 3, 1)))
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="atelier-20')
    archive = opened(answer)
    day = job["created"][:10]
    assert archive.namelist() == [f"{day} a red house CON été {job['id']}-{n}.png" for n in (3, 1)]
    for n, entry in zip((3, 1), archive.infolist(), strict=True):
        whole = (await site.you.get(f"/files/{job['id']}/{n}")).body
        assert archive.read(entry) == whole and entry.compress_type == zipfile.ZIP_STORED
        head = answer.body[entry.header_offset : entry.header_offset + 30]
        assert int.from_bytes(head[18:22], "little") == len(whole) and not head[6] & 8


async def test_a_job_and_a_folder_come_as_a_file_too(site) -> None:
    job, other = await site.drawn(site.you), await site.drawn(site.you)
    assert len(opened(await site.you.get(f"/api/zip?job={job['id']}")).namelist()) == 4
    folder = await make(site.you, "Some")
    await site.you.post(f"/api/folders/{folder}/items", {"pictures": [*named(job, 1), *named(other, 2)]})
    assert len(opened(await site.you.get(f"/api/zip?folder={folder}")).namelist()) == 2
    await put(site.you, *named(job, 1))
    assert len(opened(await site.you.get(f"/api/zip?folder={folder}")).namelist()) == 1


async def test_what_one_may_not_see_is_left_out_and_alone_it_is_nothing(site) -> None:
    mine, stranger = await site.drawn(site.you), await site.person(OTHER)
    own = await site.drawn(stranger)
    both = await form(stranger, "/api/zip", pictures=" ".join([*named(mine, 1), *named(own, 2)]))
    assert [name[-16:] for name in opened(both).namelist()] == [f"{own['id'][-10:]}-2.png"]
    alone = await form(stranger, "/api/zip", pictures=named(mine, 1)[0])
    never = await form(stranger, "/api/zip", pictures="abcdabcdabcd/1")
    assert (alone.status, alone.body) == (422, never.body)
    theirs = await stranger.get(f"/api/zip?job={mine['id']}")
    assert (theirs.status, theirs.body) == (404, (await stranger.get("/api/zip?job=abcdabcdabcd")).body)


async def test_too_many_too_large_and_two_at_once_are_refused_with_the_limit(site, monkeypatch) -> None:
    job = await site.drawn(site.you)
    pictures = " ".join(named(job, 1, 2))
    zips_of = site.opened.studio.zips
    zips_of._busy.add(1)
    assert (await form(site.you, "/api/zip", pictures=pictures)).status == 429
    zips_of._busy.clear()
    monkeypatch.setattr(downloads, "MOST_BYTES", 100)
    large = await form(site.you, "/api/zip", pictures=pictures)
    assert large.status == 400 and "these pictures have" in large.data["detail"]
    monkeypatch.setattr(downloads, "MOST_PICTURES", 1)
    many = await form(site.you, "/api/zip", pictures=pictures)
    assert many.status == 400 and "up to 1 pictures; these are 2" in many.data["detail"]
    assert zips_of._busy == set()


async def test_one_picture_is_in_memory_at_a_time_and_a_missing_one_is_named(site, monkeypatch) -> None:
    job = await site.drawn(site.you)
    studio, actor = site.opened.studio, Actor(YOU, None)
    asked: list[int] = []
    read = Showing.picture_in

    async def counted(self, place, stored, *more):
        asked.append(stored.index)
        if stored.index == 2:
            await site.opened.services.files.remove(stored.sha256)
        return await read(self, place, stored, *more)

    monkeypatch.setattr(Showing, "picture_in", counted)
    names = [(job["id"], n) for n in range(4)]
    parts = studio.zips.pack(actor, names)
    whole = await anext(parts)
    assert asked == [0], "the others are read when their turn comes"
    with pytest.raises(Exception, match="Only one ZIP file at a time"):
        await anext(studio.zips.pack(actor, names))
    async for part in parts:
        whole += part
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        assert archive.testzip() is None and len(archive.namelist()) == 4
        assert f"{job['id']}-3.png" in archive.read("left out.txt").decode()
    left = studio.zips.pack(actor, names)
    await anext(left)
    await left.aclose()
    assert studio.zips._busy == set()


async def test_a_tab_that_a_refused_download_leads_to_shows_a_page(site) -> None:
    tab = {"Sec-Fetch-Mode": "navigate"}
    gone, program = [await site.you.get("/api/zip?job=abcd2345efgh", headers=given) for given in (tab, {})]
    assert (gone.status, program.status) == (404, 404)
    assert b"<html" in gone.body and b"Back to the studio" in gone.body
    assert program.headers["Content-Type"].startswith("application/problem+json")
    none = await site.you.ask("POST", "/api/zip", data={"pictures": ""}, headers=tab)
    assert none.status == 400 and b"<html" in none.body
