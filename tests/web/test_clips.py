"""Videos on the web: handed out whole and in parts to whoever may see them, sent, and gone on from."""

import io
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from studio.authority import Actor
from studio.media import zip_stream
from tests.studio.video_requests import VideosAtOnce
from tests.support.videos import moving, video, xmp_of
from tests.web.conftest import OTHER, YOU, Site, open_site
from vision.video.codecs import boxes
from vision.video.reader import VideoReader

BOAT = "a red boat --video --bs 1"


@pytest.fixture
async def videos(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path, VideosAtOnce()) as found:
        yield found


async def test_a_video_plays_whole_and_in_parts_before_all_of_it_is_there(videos: Site) -> None:
    job = await videos.drawn(videos.you, BOAT)
    [picture] = job["pictures"]
    assert (picture["video"]["seconds"], picture["alt"]) == (1.0, "a red boat (video 1)")
    whole = await videos.you.get(picture["video"]["src"])
    assert (whole.status, whole.headers["Content-Type"]) == (200, "video/mp4")
    assert [box.kind for box in boxes(io.BytesIO(whole.body))] == [b"ftyp", b"uuid", b"moov", b"mdat"]
    assert b"trainedAlgorithmicMedia" in (xmp_of(whole.body) or b"")
    part = await videos.you.get(picture["video"]["src"], headers={"Range": "bytes=10-49"})
    assert (part.status, part.body) == (206, whole.body[10:50])
    assert part.headers["Content-Range"] == f"bytes 10-49/{len(whole.body)}"
    saved = await videos.you.get(picture["video"]["src"] + "?download=1")
    assert f"{job['id']}-1.mp4" in saved.headers["Content-Disposition"]
    gif = await videos.you.get(picture["video"]["gif"])
    assert gif.body.startswith(b"GIF8") and gif.headers["Content-Type"] == "image/gif"


async def test_a_processor_makes_one_video_and_three_more_when_asked(videos: Site) -> None:
    job = await videos.drawn(videos.you, "a red boat --video --seed 7")
    assert len(job["pictures"]) == 1
    assert "three" in [action["action"] for action in job["actions"]]
    assert "three" in [action["action"] for action in job["picture_actions"]]
    asked = await videos.you.post(f"/api/jobs/{job['id']}/1/three", {})
    assert asked.status == 202, asked.body
    [more] = asked.data["jobs"]
    await videos.finished(more["id"])
    seen = (await videos.you.get(f"/api/jobs/{more['id']}")).data
    assert len(seen["pictures"]) == 3 and "three" not in [action["action"] for action in seen["actions"]]
    refused = await videos.you.post(f"/api/jobs/{more['id']}/1/three", {})
    assert refused.status in (400, 422) and "works only for a single video" in refused.data["detail"]


async def test_a_card_makes_four_videos(tmp_path: Path) -> None:
    async with open_site(tmp_path, VideosAtOnce({"cuda:0": 1})) as site:
        assert len((await site.drawn(site.you, "a red boat --video"))["pictures"]) == 4


async def test_a_strangers_video_is_as_one_that_never_was(videos: Site) -> None:
    job = await videos.drawn(videos.you, BOAT)
    src = job["pictures"][0]["video"]["src"]
    other = await videos.person(OTHER)
    for path in (src, src.replace(".mp4", ".gif"), src.replace(job["id"], "abcdefghjkmn")):
        assert (await other.get(path)).status == 404
        assert (await other.get(path, headers={"Range": "bytes=0-9"})).status == 404
    assert (await videos.stranger().get(src)).status == 401
    assert (await videos.you.get(src.replace("/1.mp4", "/2.mp4"))).status in (404, 422)


async def test_a_zip_file_holds_the_video_and_not_its_poster(videos: Site) -> None:
    job = await videos.drawn(videos.you, "a red boat --video --bs 2")
    answer = await videos.you.get(f"/api/zip?job={job['id']}")
    archive = zipfile.ZipFile(io.BytesIO(answer.body))
    assert archive.testzip() is None
    assert [name[-18:] for name in archive.namelist()] == [f"{job['id']}-{n}.mp4" for n in (1, 2)]
    for picture, entry in zip(job["pictures"], archive.infolist(), strict=True):
        whole = (await videos.you.get(picture["video"]["src"])).body
        head = answer.body[entry.header_offset : entry.header_offset + 30]
        assert archive.read(entry) == whole
        assert int.from_bytes(head[18:22], "little") == len(whole) and not head[6] & 8


async def test_a_video_in_a_zip_file_goes_in_pieces(videos: Site, monkeypatch) -> None:
    job = await videos.drawn(videos.you, BOAT)
    whole = (await videos.you.get(job["pictures"][0]["video"]["src"])).body
    monkeypatch.setattr(zip_stream, "PIECE", 1000)
    packed = videos.opened.studio.zips.pack(Actor(YOU, None), [(job["id"], 0)])
    parts = [part async for part in packed]
    assert max(map(len, parts)) < 2000 < len(whole)
    sent = zipfile.ZipFile(io.BytesIO(b"".join(parts)))
    assert sent.read(sent.namelist()[0]) == whole


async def test_a_picture_has_no_video(videos: Site) -> None:
    job = await videos.drawn(videos.you, "a red house")
    assert job["pictures"][0]["video"] is None
    assert (await videos.you.get(f"/files/{job['id']}/1.mp4")).status in (404, 422)
    assert {"anihigh", "anilow"} <= {action["action"] for action in job["picture_actions"]}


async def test_actions_under_a_video_make_others(videos: Site) -> None:
    job = await videos.drawn(videos.you, BOAT)
    offered = [action["action"] for action in job["picture_actions"]]
    assert offered[:4] == ["exthigh", "extlow", "extback", "loop"] and "up2s" not in offered
    for action, body, words in (
        ("extlow", {}, "a red boat --motion low"),
        ("vremix", {"words": "at night --bs 1"}, "at night --strength 0.55"),
        ("vblend", {"source": f"{job['id']} 1"}, "a red boat"),
        ("cut", {"start": "0.25", "end": "0.75"}, "a red boat"),
        ("lastframe", {}, "a red boat"),
    ):
        asked = await videos.you.post(f"/api/jobs/{job['id']}/1/{action}", body)
        assert asked.status == 202, (action, asked.body)
        [made] = asked.data["jobs"]
        await videos.finished(made["id"])
        seen = (await videos.you.get(f"/api/jobs/{made['id']}")).data
        assert seen["prompt"].startswith(words), (action, seen["prompt"])
        assert seen["parent"] == {"job": job["id"], "n": 1} and seen["status"] == "delivered"
    refused = await videos.you.post(f"/api/jobs/{job['id']}/1/cut", {"start": "5"})
    assert refused.status == 400 and "The video has 1 s" in refused.data["detail"]
    refused = await videos.you.post(f"/api/jobs/{job['id']}/1/vblend", {})
    assert "Name the video" in refused.data["detail"]


async def test_a_video_that_is_sent_is_gone_on_from(videos: Site) -> None:
    data = video(moving(16, (96, 64)), fps=8)
    kept = await videos.you.ask("POST", "/api/clips", data=data, headers={"X-Name": "mine.mp4"})
    assert kept.status == 201 and kept.data["seconds"] == 2.0
    assert (await videos.you.get(kept.data["thumb"])).status == 200
    asked = await videos.you.post("/api/jobs", {"prompt": "", "pictures": [kept.data["clip"]]})
    assert asked.status == 202, asked.body
    [job] = asked.data["jobs"]
    stored = await videos.opened.services.queue.job(job["id"])
    assert stored is not None and stored.request.operation == "extend"
    with VideoReader(io.BytesIO(await videos.opened.services.files.get(stored.request.clip))) as clean:
        assert clean.frames == 16
    both = {"prompt": "", "pictures": [kept.data["clip"], kept.data["clip"]], "do": "blend"}
    assert (await videos.you.post("/api/jobs", both)).status == 202
    other = await videos.person(OTHER)
    taken = await other.post("/api/jobs", {"prompt": "", "pictures": [kept.data["clip"]]})
    assert taken.status == 422 and "send it again" in taken.data["detail"]


async def test_the_gallery_marks_videos_with_their_length(videos: Site) -> None:
    await videos.drawn(videos.you, BOAT)
    await videos.drawn(videos.you, "a red house")
    found = (await videos.you.get("/api/pictures")).data["pictures"]
    assert [one["seconds"] for one in found] == [None] * 4 + [1.0]
    page = await videos.you.page("/pictures")
    assert page.count('class="length"') == 1 and "0:01" in page
    one = await videos.you.page(found[-1]["href"])
    assert "<video" in one and "Video 1 of 1" in one and "8 frames at 8 a second" in one


async def test_a_link_shows_a_video_until_it_is_taken_back(videos: Site) -> None:
    job = await videos.drawn(videos.you, BOAT)
    share = await videos.you.post("/api/shares", {"job": job["id"]})
    assert share.status == 201, share.body
    token = share.data["link"].rpartition("/")[2]
    nobody = videos.stranger()
    page = await nobody.get(f"/s/{token}")
    src = f"/files/s/{token}/{job['id']}/1.mp4"
    assert f'<video src="{src}"' in page.body.decode()
    seen = await nobody.get(src, headers={"Range": "bytes=0-9"})
    assert seen.status == 206 and seen.headers["Cache-Control"] == "private, no-store"
    assert (await nobody.get(src.replace(token, "A" * 43))).status == 404
    await videos.you.ask("DELETE", f"/api/shares/{share.data['id']}")
    assert (await nobody.get(src)).status == 404
