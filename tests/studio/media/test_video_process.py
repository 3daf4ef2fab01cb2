"""The video process: what it gives up, what it takes, which frames come out of a video and when they are
seen."""

import io
import json
import signal
import struct
import sys

import pytest
from PIL import Image

from proofs.security import videos
from proofs.security.pictures import clean_png
from studio.media import media_process, video_decode
from studio.media.confinement import LENGTHS
from studio.media.video_decode import kind_of, may_be_video, webp_durations
from tests.security import hostile_videos
from tests.studio.media.test_image_process import DEEDS, python, tried
from tests.support.videos import BLUE, ENCODED, GREEN, RED, WHITE, animation, moving, plain, video

SHUT = (
    "from studio.media import confinement as confine, media_process as g; g.prepare('frames');"
    " confine.limit(g.VIDEO_MEMORY, 5); confine.shut_in();"
)
MORE_DEEDS = {
    "opens an address": "import av; av.open('http://127.0.0.1:9/')",
    "opens a file as a video": "import av; av.open('/proc/self/exe')",
    "starts a thread": "import threading; t = threading.Thread(target=print); t.start(); t.join()",
    "takes memory": "bytearray(900 * 2**20)",
}


def read(data: bytes, most: int = 16, pixels: int = 10**6) -> tuple[dict, list[tuple[float, Image.Image]]]:
    """What the process answers, as it runs for a stranger's video."""
    asked = json.dumps({"most": most, "max_pixels": pixels}).encode()
    sent = LENGTHS.pack(len(asked), len(data)) + asked + data
    run = python("-m", "studio.media.media_process", "frames", data=sent)
    assert run.returncode == 0, run.stderr.decode()[-500:]
    told, size = LENGTHS.unpack_from(run.stdout)
    body = run.stdout[LENGTHS.size + told :]
    assert len(body) == size
    header, found, start = json.loads(run.stdout[LENGTHS.size : LENGTHS.size + told]), [], 0
    for seconds, length in header.get("frames", ()):
        png = body[start : start + length]
        assert clean_png(png)
        found.append((seconds, Image.open(io.BytesIO(png))))
        start += length
    assert start == len(body)
    return header, found


def colour(picture: Image.Image) -> tuple[int, ...]:
    return picture.getpixel((3, 3))


def is_near(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return all(abs(a - b) < 30 for a, b in zip(one, other, strict=True))


@pytest.mark.skipif(sys.platform != "linux", reason="the filter is Linux's")
@pytest.mark.parametrize("deed", {**DEEDS, **MORE_DEEDS})
def test_a_video_process_can_only_compute(deed: str) -> None:
    assert tried({**DEEDS, **MORE_DEEDS}[deed], SHUT).startswith(b"stopped")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
def test_its_time_is_up_after_five_seconds() -> None:
    short = SHUT.replace("5)", "1)")
    assert python("-c", f"{short}\nwhile True: pass").returncode == -signal.SIGPROF
    assert media_process.COMMANDS["frames"][1] == 5


@pytest.mark.parametrize("kind", ENCODED)
def test_every_kind_of_video_is_read_in_the_closed_process(kind: str) -> None:
    header, found = read(video(moving(16, cut_at=8), kind))
    times = [seconds for seconds, _ in found]
    assert header["seconds"] == pytest.approx(2, abs=0.15)
    assert times == sorted(times) and 4 <= len(times) <= 6
    assert any(seconds == pytest.approx(1.0, abs=0.01) for seconds in times), "the first frame after the cut"
    for seconds, picture in found:
        assert picture.size == (64, 48)
        assert (sum(colour(picture)) < 150) == (seconds > 0.99), "it is the frame of its time"


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_every_frame_of_a_few_is_read_with_its_time(form: str) -> None:
    colours = (RED, BLUE, GREEN, WHITE)
    header, found = read(animation([plain(c) for c in colours], form, (0.1, 0.4, 2, 1)))
    assert [seconds for seconds, _ in found] == [0, 0.1, 0.5, 2.5]
    assert header["seconds"] == header["whole"] == 3.5
    assert all(is_near(colour(one), c) for (_, one), c in zip(found, colours, strict=True))


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_what_is_transparent_lies_on_white(form: str) -> None:
    shapes = [Image.new("RGBA", (32, 32), (255, 0, 0, 0)) for _ in range(2)]
    for number, one in enumerate(shapes):
        one.paste((0, 0, 255, 255), (10 + 6 * number, 10, 16 + 6 * number, 20))
    _, found = read(animation(shapes, form))
    assert [colour(one) for _, one in found] == [(255, 255, 255)] * 2


def test_of_a_long_video_the_first_minute_is_used() -> None:
    header, found = read(video(moving(90), fps=1))
    assert header["seconds"] == 60 and header["whole"] == pytest.approx(90, abs=1.5)
    assert len(found) == 16 and 55 < found[-1][0] < 60
    header, found = read(video(moving(2), fps=1, times=(0, 3600)))
    assert [seconds for seconds, _ in found] == [0]


def test_frames_are_no_larger_than_wanted_and_have_square_pixels() -> None:
    _, found = read(video(moving(4, (640, 360))), pixels=100_000)
    assert found[0][1].size == (422, 237)
    _, found = read(video(moving(4, (80, 48)), wider=2))
    assert found[0][1].size == (160, 48)


def test_a_video_that_lies_on_its_side_is_turned() -> None:
    data = video(moving(4, (80, 48)))
    place = data.index(b"tkhd") + 4 + 4 + 20 + 16  # to the matrix: ISO 14496-12, 8.3.2
    assert struct.unpack(">i", data[place : place + 4]) == (0x10000,)
    quarter = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, 48 << 16, 0, 0x40000000)
    _, found = read(data[:place] + quarter + data[place + 36 :])
    assert found[0][1].size == (48, 80)


@pytest.mark.slow
def test_known_attacks_are_refused_with_a_sentence_that_says_what_is_read() -> None:
    said = {}
    for name, data in hostile_videos.known():
        header, found = read(data)
        said[name] = header["error"]
        assert not found and said[name].endswith(".") and len(said[name]) > 15, name
    assert len(said) > 12
    assert "3840×2160 px; the limit is 2.1 megapixels" in said["4K"]
    assert "is encoded as mpeg4. Supported: H.264, HEVC, VP8, VP9 and AV1" in said["other codec"]
    assert said["sound only"] == "has no moving picture in it."


def test_a_video_cut_off_in_the_middle_gives_what_there_is() -> None:
    whole = video(moving(40), "vp8", key_every=5)
    header, found = read(whole[: len(whole) // 2])
    assert found and found[-1][0] < 4


def test_a_video_of_very_many_frames_is_read_in_time() -> None:
    one = plain((20, 20, 20), (16, 16))
    header, found = read(video([one] * 4000, fps=100, more={"preset": "ultrafast"}))
    assert header["seconds"] == pytest.approx(40, abs=1) and len(found) == 16


def test_where_there_is_no_time_for_all_frames_they_are_looked_for_from_key_frames(monkeypatch) -> None:
    monkeypatch.setattr(video_decode, "END", 1e9)
    data = video(moving(120, cut_at=60), key_every=10, fps=10)
    every = video_decode.looked_at(data, "mp4", 16, 10**6)
    monkeypatch.setattr(video_decode, "ALL", 0.0)
    some = video_decode.looked_at(data, "mp4", 16, 10**6)
    times = {round(seconds, 3) for seconds, _ in every.pictures}
    assert {round(seconds, 3) for seconds, _ in some.pictures} == times and 6.0 in times
    assert [png for _, png in some.pictures] == [png for _, png in every.pictures]


def test_a_video_that_takes_too_long_gives_those_that_were_reached(monkeypatch) -> None:
    data = video(moving(120), key_every=200, fps=10)
    now = iter(i * 0.05 for i in range(100_000))
    monkeypatch.setattr(video_decode.time, "process_time", lambda: next(now))
    found = video_decode.looked_at(data, "mp4", 16, 10**6)
    real = {round(seconds, 6) for seconds in video_decode.opened(data, "mp4").times}
    assert 0 < len(found.pictures) < 16 and {round(seconds, 6) for seconds, _ in found.pictures} <= real


async def test_hostile_videos_end_in_frames_or_a_sentence() -> None:
    """The long form is ``python -m proofs.security.videos``."""
    tally = videos.fuzz(400)
    assert tally.count == 400 and tally.wrong == [] and tally.ended == 0
    assert tally.taken > 100 and tally.refused > 100
    assert tally.slowest < videos.SECONDS and tally.peak < videos.LIMIT


async def test_the_products_own_path_survives_hostile_videos() -> None:
    some = [(name, data) for name, data in hostile_videos.known() if name in ("half", "playlist", "4K")]
    tally = await videos.through_the_product(some)
    assert tally.wrong == [] and tally.refused == len(some)


def test_kinds_are_told_by_content() -> None:
    kinds = {name: kind_of(video(moving(2), name)) for name in ("h264", "vp9", "gif", "h264 in mkv")}
    assert kinds == {"h264": "mp4", "vp9": "webm", "gif": "gif", "h264 in mkv": "webm"}
    for form, moves, still in (("WEBP", "webp", None), ("PNG", "apng", None)):
        out = io.BytesIO()
        plain(RED).save(out, form)
        assert kind_of(animation(moving(3), form)) == moves and kind_of(out.getvalue()) == still
    assert kind_of(b"") is None and kind_of(b"\xff\xd8\xff") is None
    assert list(webp_durations(animation(moving(3), "WEBP", (1, 2, 0.5)))) == [1, 2, 0.5]


def test_names_tell_what_may_be_a_video() -> None:
    assert all(map(may_be_video, ("a.MP4", "b.webm", "c.gif", "d.avi", "e.mov")))
    assert not any(map(may_be_video, ("a.png", "b.jpg", "c.webp", "d", "mp4")))
    assert may_be_video("x", "video/mp4") and may_be_video("x", "image/gif")
    assert not may_be_video("x", "image/png")
