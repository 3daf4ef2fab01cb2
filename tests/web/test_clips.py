"""Films on the web: handed out whole and in parts to whoever may see them, sent, and gone on from."""

import io
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from studio.actor import Actor
from studio.organise import archive
from tests.films import film, moving, xmp_of
from tests.studio.filming import FilmsAtOnce
from tests.web.conftest import OTHER, YOU, Site, open_site
from vision.films.boxes import boxes
from vision.films.reader import FilmReader

BOAT = "a red boat --video --bs 1"


@pytest.fixture
async def films(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path, FilmsAtOnce()) as found:
        yield found


async def test_a_film_plays_whole_and_in_parts_before_all_of_it_is_there(films: Site) -> None:
    job = await films.drawn(films.you, BOAT)
    [picture] = job["pictures"]
    assert (picture["film"]["seconds"], picture["alt"]) == (1.0, "a red boat (film 1)")
    whole = await films.you.get(picture["film"]["src"])
    assert (whole.status, whole.headers["Content-Type"]) == (200, "video/mp4")
    assert [box.kind for box in boxes(io.BytesIO(whole.body))] == [b"ftyp", b"uuid", b"moov", b"mdat"]
    assert b"trainedAlgorithmicMedia" in (xmp_of(whole.body) or b"")
    part = await films.you.get(picture["film"]["src"], headers={"Range": "bytes=10-49"})
    assert (part.status, part.body) == (206, whole.body[10:50])
    assert part.headers["Content-Range"] == f"bytes 10-49/{len(whole.body)}"
    saved = await films.you.get(picture["film"]["src"] + "?download=1")
    assert f"{job['id']}-1.mp4" in saved.headers["Content-Disposition"]
    gif = await films.you.get(picture["film"]["gif"])
    assert gif.body.startswith(b"GIF8") and gif.headers["Content-Type"] == "image/gif"


async def test_a_strangers_film_is_as_one_that_never_was(films: Site) -> None:
    job = await films.drawn(films.you, BOAT)
    src = job["pictures"][0]["film"]["src"]
    other = await films.person(OTHER)
    for path in (src, src.replace(".mp4", ".gif"), src.replace(job["id"], "abcdefghjkmn")):
        assert (await other.get(path)).status == 404
        assert (await other.get(path, headers={"Range": "bytes=0-9"})).status == 404
    assert (await films.stranger().get(src)).status == 401
    assert (await films.you.get(src.replace("/1.mp4", "/2.mp4"))).status in (404, 422)


async def test_a_zip_file_holds_the_film_and_not_its_poster(films: Site) -> None:
    job = await films.drawn(films.you, "a red boat --video --bs 2")
    answer = await films.you.get(f"/api/zip?job={job['id']}")
    archive = zipfile.ZipFile(io.BytesIO(answer.body))
    assert archive.testzip() is None
    assert [name[-18:] for name in archive.namelist()] == [f"{job['id']}-{n}.mp4" for n in (1, 2)]
    for picture, entry in zip(job["pictures"], archive.infolist(), strict=True):
        whole = (await films.you.get(picture["film"]["src"])).body
        head = answer.body[entry.header_offset : entry.header_offset + 30]
        assert archive.read(entry) == whole
        assert int.from_bytes(head[18:22], "little") == len(whole) and not head[6] & 8


async def test_a_film_in_a_zip_file_goes_in_pieces(films: Site, monkeypatch) -> None:
    job = await films.drawn(films.you, BOAT)
    whole = (await films.you.get(job["pictures"][0]["film"]["src"])).body
    monkeypatch.setattr(archive, "PIECE", 1000)
    packed = films.opened.studio.organise.zips.pack(Actor(YOU, None), [(job["id"], 0)])
    parts = [part async for part in packed]
    assert max(map(len, parts)) < 2000 < len(whole)
    sent = zipfile.ZipFile(io.BytesIO(b"".join(parts)))
    assert sent.read(sent.namelist()[0]) == whole


async def test_a_picture_has_no_film(films: Site) -> None:
    job = await films.drawn(films.you, "a red house")
    assert job["pictures"][0]["film"] is None
    assert (await films.you.get(f"/files/{job['id']}/1.mp4")).status in (404, 422)
    assert {"anihigh", "anilow"} <= {action["action"] for action in job["picture_actions"]}


async def test_actions_under_a_film_make_others(films: Site) -> None:
    job = await films.drawn(films.you, BOAT)
    offered = [action["action"] for action in job["picture_actions"]]
    assert offered[:4] == ["exthigh", "extlow", "extback", "loop"] and "up2s" not in offered
    for action, body, words in (
        ("extlow", {}, "a red boat --motion low"),
        ("vremix", {"words": "at night --bs 1"}, "at night --strength 0.55"),
        ("vblend", {"source": f"{job['id']} 1"}, "a red boat"),
        ("cut", {"start": "0.25", "end": "0.75"}, "a red boat"),
        ("lastframe", {}, "a red boat"),
    ):
        asked = await films.you.post(f"/api/jobs/{job['id']}/1/{action}", body)
        assert asked.status == 202, (action, asked.body)
        [made] = asked.data["jobs"]
        await films.finished(made["id"])
        seen = (await films.you.get(f"/api/jobs/{made['id']}")).data
        assert seen["prompt"].startswith(words), (action, seen["prompt"])
        assert seen["parent"] == {"job": job["id"], "n": 1} and seen["status"] == "delivered"
    refused = await films.you.post(f"/api/jobs/{job['id']}/1/cut", {"start": "5"})
    assert refused.status == 400 and "The film has 1 s" in refused.data["detail"]
    refused = await films.you.post(f"/api/jobs/{job['id']}/1/vblend", {})
    assert "Name the film" in refused.data["detail"]


async def test_a_film_that_is_sent_is_gone_on_from(films: Site) -> None:
    data = film(moving(16, (96, 64)), fps=8)
    kept = await films.you.ask("POST", "/api/clips", data=data, headers={"X-Name": "mine.mp4"})
    assert kept.status == 201 and kept.data["seconds"] == 2.0
    assert (await films.you.get(kept.data["thumb"])).status == 200
    asked = await films.you.post("/api/jobs", {"prompt": "", "pictures": [kept.data["clip"]]})
    assert asked.status == 202, asked.body
    [job] = asked.data["jobs"]
    stored = await films.opened.services.queue.job(job["id"])
    assert stored is not None and stored.request.operation == "extend"
    with FilmReader(io.BytesIO(await films.opened.services.files.get(stored.request.clip))) as clean:
        assert clean.frames == 16
    both = {"prompt": "", "pictures": [kept.data["clip"], kept.data["clip"]], "do": "blend"}
    assert (await films.you.post("/api/jobs", both)).status == 202
    other = await films.person(OTHER)
    taken = await other.post("/api/jobs", {"prompt": "", "pictures": [kept.data["clip"]]})
    assert taken.status == 422 and "send it again" in taken.data["detail"]


async def test_the_gallery_marks_films_with_their_length(films: Site) -> None:
    await films.drawn(films.you, BOAT)
    await films.drawn(films.you, "a red house")
    found = (await films.you.get("/api/pictures")).data["pictures"]
    assert [one["seconds"] for one in found] == [None] * 4 + [1.0]
    page = (await films.you.get("/pictures")).body.decode()
    assert page.count('class="length"') == 1 and "0:01" in page
    one = (await films.you.get(found[-1]["href"])).body.decode()
    assert "<video" in one and "Film 1 of 1" in one and "8 frames at 8 a second" in one


async def test_a_link_shows_a_film_until_it_is_taken_back(films: Site) -> None:
    job = await films.drawn(films.you, BOAT)
    share = await films.you.post("/api/shares", {"job": job["id"]})
    assert share.status == 201, share.body
    token = share.data["link"].rpartition("/")[2]
    nobody = films.stranger()
    page = await nobody.get(f"/s/{token}")
    src = f"/files/s/{token}/{job['id']}/1.mp4"
    assert f'<video src="{src}"' in page.body.decode()
    seen = await nobody.get(src, headers={"Range": "bytes=0-9"})
    assert seen.status == 206 and seen.headers["Cache-Control"] == "private, no-store"
    assert (await nobody.get(src.replace(token, "A" * 43))).status == 404
    await films.you.ask("DELETE", f"/api/shares/{share.data['id']}")
    assert (await nobody.get(src)).status == 404
