"""Clips: what is taken from strangers, and what is made of videos of ours, by processes that are shut in."""

import asyncio
import io
import os
import shutil
import struct
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from core.errors import ImageError
from proofs.security import clips as hostile
from proofs.security.pictures import clean_png
from studio.library import clips as clips_module
from studio.library.clips import Clip, Clips
from studio.media import transcode
from studio.media.uploads import InMemory
from tests.support.videos import BLUE, ENCODED, RED, animation, moving, plain, video
from tests.vision.video.test_writer import clip, psnr, tone, written
from vision.video import codecs
from vision.video.codecs import OPENH264, X264
from vision.video.reader import VideoReader

LIMITS = {"encoder": "auto", "keep": 20.0, "seconds": 60.0, "pixels": 1920 * 1088}


def made(command: str, *sources: bytes, **given) -> tuple[dict, bytes, bytes]:
    """What the process answers, makes and draws, without being one."""
    target = io.BytesIO()
    header, picture = transcode.make_video(command, list(map(io.BytesIO, sources)), target, **given)
    return header, target.getvalue(), picture


def taken(data: bytes, **given) -> tuple[dict, np.ndarray, bytes]:
    """What is told of a stranger's video, its frames (f, H, W, 3), and its poster."""
    header, body, poster = made("take", data, **{**LIMITS, **given})
    assert "error" not in header, header
    assert [box.kind for box in codecs.boxes(io.BytesIO(body))] == [b"ftyp", b"moov", b"mdat"]
    with VideoReader(io.BytesIO(body)) as found:
        assert (found.width, found.height) == (header["width"], header["height"])
        assert found.frames == header["frames"]
        assert not found.has_sound and found.fps == Fraction(*header["fps"])
        return header, np.concatenate(list(found.chunks())), poster


def noisy(frames: int = 48, size: tuple[int, int] = (160, 96)) -> np.ndarray:
    grain = np.random.default_rng(5).integers(0, 24, (frames, size[1], size[0], 1))
    return (clip(frames, size[1], size[0]).astype(int) + grain).clip(0, 255).astype(np.uint8)


@pytest.fixture
def clips(tmp_path: Path) -> Clips:
    return Clips(tmp_path / "clips", "auto", max_bytes=2**20, max_seconds=10, max_pixels=1920 * 1088)


@pytest.mark.parametrize("kind", ENCODED)
def test_every_kind_of_video_becomes_a_clip_with_the_same_frames(kind: str) -> None:
    pictures = moving(16, cut_at=8)
    header, frames, poster = taken(video(pictures, kind))
    assert header["fps"] == [8, 1] and abs(header["frames"] - 16) <= 1
    assert header["whole"] == pytest.approx(2, abs=0.15)
    assert [bool(one[2, 2].sum() < 150) for one in frames] == [number >= 8 for number in range(len(frames))]
    assert clean_png(poster) and Image.open(io.BytesIO(poster)).size == (64, 48)
    if kind != "gif":
        assert psnr(frames[0], np.asarray(pictures[0])) > 22


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_each_frame_of_an_animation_is_seen_as_long_as_it_was(form: str) -> None:
    header, frames, _ = taken(animation([plain(RED), plain(BLUE)], form, (0.5, 1.5)))
    assert header["fps"] == [8, 1]
    reds = [one[5, 5, 0] > 150 for one in frames]
    assert 14 <= len(frames) <= 17 and reds.index(False) in (4, 5)


@pytest.mark.parametrize(
    ("times", "fps"),
    [
        ([i / 24 for i in range(48)], 24),
        ([round(i / 24, 3) for i in range(48)], 24),
        ([i * 1001 / 24000 for i in range(48)], 24),
        ([i / 60 for i in range(60)], 30),
        ([i / 50 for i in range(60)], 25),
        ([i / 10 for i in range(9)], 10),
        ([i * 0.08 for i in range(9)], 12.5),
        ([i * 2.0 for i in range(9)], 8),
        ([0.0], 8),
        ([0, 0.1, 0.2, 0.3, 2, 2.1], 10),
    ],
)
def test_the_rate_is_the_videos_own_or_an_even_part_of_it(times: list[float], fps: float) -> None:
    assert transcode.rate(times) == fps


def test_no_frame_is_dropped_or_doubled_where_times_are_in_milliseconds() -> None:
    _, frames, _ = taken(video([plain((8 * i, 255 - 8 * i, 90)) for i in range(24)], "vp9", fps=24))
    reds = [int(one[20, 20, 0]) for one in frames]
    assert len(reds) == 24 and all(abs(red - 8 * i) < 6 for i, red in enumerate(reds))


def test_a_video_that_lies_on_its_side_is_turned_and_its_pixels_are_square() -> None:
    data = video(moving(4, (80, 48)))
    place = data.index(b"tkhd") + 4 + 4 + 20 + 16  # to the matrix: ISO 14496-12, 8.3.2
    quarter = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, 48 << 16, 0, 0x40000000)
    header, _, poster = taken(data[:place] + quarter + data[place + 36 :])
    assert (header["width"], header["height"]) == (48, 80)
    assert Image.open(io.BytesIO(poster)).size == (48, 80)
    header, _, _ = taken(video(moving(4, (80, 48)), wider=2))
    assert (header["width"], header["height"]) == (160, 48)


def test_sides_become_even_and_what_is_see_through_lies_on_white() -> None:
    header, _, _ = taken(animation(moving(3, (65, 49))))
    assert (header["width"], header["height"]) == (64, 48)
    shapes = [Image.new("RGBA", (32, 32), (255, 0, 0, 0)) for _ in range(2)]
    for number, one in enumerate(shapes):
        one.paste((0, 0, 255, 255), (10 + 6 * number, 10, 16 + 6 * number, 20))
    for form in ("GIF", "WEBP", "PNG"):
        _, frames, _ = taken(animation(shapes, form))
        assert frames[0, 2, 2].min() > 250


def test_a_video_that_changes_its_size_on_the_way_is_not_taken() -> None:
    """Two videos in VP8, each with a size of its own, as one: each key frame says how large it is."""
    out, videos = io.BytesIO(), [video(moving(8, size), "vp8") for size in ((64, 48), (96, 64))]
    with av.open(out, "w", format="webm") as writer:
        stream = writer.add_stream("libvpx", rate=8)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for second, data in enumerate(videos):
            with av.open(io.BytesIO(data)) as reader:
                for found in reader.demux(video=0):
                    if found.size:
                        packet = av.Packet(bytes(found))
                        packet.pts = packet.dts = int(found.pts * found.time_base * 1000) + 1000 * second
                        packet.time_base, packet.stream = Fraction(1, 1000), stream
                        packet.is_keyframe = found.is_keyframe
                        writer.mux(packet)
    header, body, poster = made("take", out.getvalue(), **LIMITS)
    assert "changes its frame size" in header["error"] and poster == b""


def test_what_isnt_taken_is_told_with_what_is() -> None:
    def why(data: bytes, **given) -> str:
        header, body, picture = made("take", data, **{**LIMITS, **given})
        assert body == b"" or "error" in header
        assert picture == b""
        return header["error"]

    assert why(video(moving(40), fps=8), seconds=3.0) == "lasts 5 s; the limit for clips is 3 s."
    assert "MP4, WebM and GIF" in why(b"no video")
    assert "damaged" in why(video(moving(8))[:60])
    assert "mpeg4" in why(video(moving(3), "mpeg4"))
    assert "1920×1088" in why(video([plain(RED, (3840, 2160))]))
    small = taken(video(moving(4, (640, 360))), pixels=320 * 180)[0]
    assert (small["width"], small["height"]) == (320, 180), "what is larger is made smaller"


def test_only_the_first_seconds_are_used() -> None:
    header, frames, _ = taken(video(moving(40), fps=8), keep=2.0)
    assert len(frames) == 16 and header["whole"] == pytest.approx(5, abs=0.2)


def test_a_part_is_cut_to_the_frame_with_what_is_heard() -> None:
    frames, sound = clip(48), tone(2)
    data = written(frames, sound=sound)
    header, body, poster = made("cut", data, begin=0.5, end=1.25, encoder="auto")
    assert (header["frames"], header["sound"]) == (18, True)
    with VideoReader(io.BytesIO(body)) as found:
        assert psnr(np.concatenate(list(found.chunks())), frames[12:30]) > 38
        heard = found.sound()
    assert heard is not None and abs(heard.seconds - 0.75) < 1 / 24
    part = sound.part(0.5, 1.25).samples[:, 1024:8000]
    assert np.abs(heard.samples[:, 1024:8000] - part).mean() < 0.05
    assert psnr(np.asarray(Image.open(io.BytesIO(poster))), frames[12]) > 35
    assert made("cut", data, begin=1.5, end=9.0, encoder="auto")[0]["frames"] == 12, "it ends with the video"
    for begin, end in ((-1, 1), (1, 1), (1.5, 1), (2, 3), (0, 0.1)):
        assert "2 s" in made("cut", data, begin=begin, end=end, encoder="auto")[0]["error"]


def test_the_last_frame_is_the_last_frame() -> None:
    frames = clip(50)
    header, body, picture = made("last", written(frames))
    assert body == b"" and clean_png(picture) and header["width"] == 128
    assert psnr(np.asarray(Image.open(io.BytesIO(picture))), frames[-1]) > 36


@pytest.mark.slow
def test_a_gif_moves_as_the_video_does_and_keeps_to_its_limit() -> None:
    frames = noisy(16, (512, 288))
    data = written(frames)
    header, body, _ = made("gif", data, limit=8 * 2**20)
    shown = Image.open(io.BytesIO(body))
    assert (shown.size, shown.n_frames, shown.info["loop"]) == ((480, 270), 8, 0)
    assert (header["frames"], header["fps"]) == (8, [25, 2])
    small = np.asarray(Image.fromarray(frames[0]).resize((480, 270)))
    assert psnr(np.asarray(shown.convert("RGB")), small) > 22
    less = made("gif", data, limit=80_000)[1]
    assert 0 < len(less) <= 80_000 and Image.open(io.BytesIO(less)).size < (480, 270)
    assert "1,000 bytes as a GIF" in made("gif", data, limit=1000)[0]["error"]


@pytest.mark.parametrize(("count", "size"), [(2, (256, 96)), (3, (256, 192)), (4, (256, 192))])
def test_clips_stand_side_by_side(count: int, size: tuple[int, int]) -> None:
    each = [written(np.full((8 + 4 * i, 96, 128, 3), 40 + 50 * i, np.uint8)) for i in range(count)]
    header, body, _ = made("mosaic", *each, encoder="auto")
    assert (header["width"], header["height"]) == size and header["frames"] == 4 + 4 * count
    with VideoReader(io.BytesIO(body)) as found:
        last = np.concatenate(list(found.chunks()))[-1]
    for i in range(count):
        assert abs(int(last[48 + 96 * (i // 2), 64 + 128 * (i % 2), 0]) - (40 + 50 * i)) < 6


def test_a_mosaic_stays_within_its_size_and_takes_clips_of_one_shape() -> None:
    large, tall = written(clip(2, 720, 1280)), written(clip(2, 1280, 720))
    assert made("mosaic", *[large] * 4, encoder="auto")[0]["width"] == 1280
    header = made("mosaic", *[tall] * 3, encoder="auto")[0]
    assert header["width"] <= 1280 and header["height"] <= 720 and header["height"] > 700
    assert "differ in size" in made("mosaic", large, tall, encoder="auto")[0]["error"]
    assert "two to four" in made("mosaic", *[large] * 5, encoder="auto")[0]["error"]


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["auto", "openh264", "vp9"])
def test_a_video_is_fitted_and_fills_its_limit(encoder: str) -> None:
    data = written(noisy(), X264, sound=tone(2))
    for share in (0.7, 0.3):
        limit = int(len(data) * share)
        header, body, _ = made("fit", data, limit=limit, encoder=encoder)
        assert "error" not in header
        assert limit * (0.85 if encoder == "auto" else 0.7) <= len(body) <= limit, header
        with VideoReader(io.BytesIO(body)) as found:
            assert found.frames == header["frames"] and found.has_sound == header["sound"]
            assert found.seconds == pytest.approx(2, abs=0.1)


def test_a_video_of_one_byte_too_many_does_not_fit() -> None:
    with VideoReader(io.BytesIO(written(noisy(12, (64, 48))))) as video:
        shape, number = transcode.Shape(64, 48), X264.master
        tried = transcode.Fitting(video, io.BytesIO(), 2**20, X264).tried(shape, number)
        assert tried.fits is not None
        for less, fits in ((0, True), (1, False)):
            limited = transcode.Fitting(video, io.BytesIO(), int(tried.size) - less, X264)
            assert (limited.tried(shape, number).fits is not None) is fits


def test_what_is_far_too_large_gets_smaller_slower_and_silent_before_it_is_given_up() -> None:
    data = written(noisy(48, (320, 192)), sound=tone(2))
    header, body, _ = made("fit", data, limit=5500, encoder="auto")
    assert len(body) <= 5500 and header["width"] < 320 and header["fps"] == [12, 1]
    assert header["lost"] and not header["sound"]
    assert "500 bytes" in made("fit", data, limit=500, encoder="auto")[0]["error"]


def test_the_next_number_is_aimed_by_those_before() -> None:
    def number(*tries: tuple[float, float, bool], encoder=X264) -> float | None:
        given = [transcode.Try(n, size, {} if fits else None) for n, size, fits in tries]
        return transcode.aimed(given, 1000, encoder, 3, 35)

    assert number((20, 4000, False)) == pytest.approx(32)
    assert number((20, 500, True)) == pytest.approx(14)
    assert number((34, 9000, False)) == 35
    assert number((35, 9000, False)) is None, "there is nothing beyond"
    assert number((20, 2000, False), (30, 500, True)) == pytest.approx(25)
    assert number((20, 2000, False), (22, 1500, False), (30, 250, True)) == pytest.approx(
        22 + 8 * np.log2(1.5) / np.log2(6)
    )
    assert number((30, 500, True), (20, 4000, False), (22, 3000, False)) == 26, "the middle"
    assert number((20, 1100, False), (20.1, 400, True)) is None
    assert number((20, 1100, False), (21, 400, True), encoder=OPENH264) is None


async def test_a_stranger_s_clip_goes_through_the_real_process(clips: Clips, tmp_path: Path) -> None:
    found = await clips.take(InMemory("a ball.mp4", video(moving(24), fps=8)), keep=1.0)
    assert isinstance(found, Clip) and (found.width, found.height, found.frames) == (64, 48, 8)
    assert found.notes == ("`a ball.mp4` lasts 3 s; its first 1 s are used.",)
    with found.path.open("rb") as file, VideoReader(file) as video_found:
        assert video_found.frames == 8
    assert clean_png(found.poster)
    assert list((tmp_path / "clips").iterdir()) == [found.path], "nothing else is left"
    found.path.unlink()
    for name, data, why in (
        ("x.mp4", b"no video", "MP4, WebM and GIF"),
        ("x.mp4", video(moving(8))[:300], "damaged"),
        ("x.webm", bytes(2**20 + 1), "the limit for clips is 1 MB"),
        ("x.mp4", video(moving(24), fps=2), "lasts 12 s; the limit for clips is 10 s"),
    ):
        with pytest.raises(ImageError, match=why):
            await clips.take(InMemory(name, data))
    assert list((tmp_path / "clips").iterdir()) == []


async def test_videos_of_ours_are_worked_on_by_the_real_process(clips: Clips, tmp_path: Path) -> None:
    path = tmp_path / "ours.mp4"
    path.write_bytes(written(noisy(24)))
    before = path.read_bytes()
    fitted = await clips.fit(path, len(before) // 2)
    assert fitted.path.stat().st_size <= len(before) // 2 and "larger than" in fitted.notes[0]
    assert (await clips.cut(path, 0.25, 0.75)).frames == 12
    assert clean_png(await clips.last_frame(path))
    gif = await clips.gif(path, 10**6)
    with Image.open(gif.path) as shown:
        assert gif.media_type == "image/gif" and shown.n_frames == gif.frames
    side = await clips.mosaic([path, path])
    assert (side.width, side.height) == (320, 96)
    with pytest.raises(ImageError, match="The video lasts 1 s"):
        await clips.cut(path, 3, 4)
    assert path.read_bytes() == before


async def test_a_process_that_ends_or_takes_too_long_is_told_and_nothing_is_left(
    clips: Clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ours.mp4"
    path.write_bytes(written(noisy(24)))
    monkeypatch.setitem(clips_module.PATIENCE, "cut", 0.01)
    with pytest.raises(ImageError, match="too much time or memory"):
        await clips.cut(path, 0, 1)
    monkeypatch.setitem(clips_module.PATIENCE, "cut", 60.0)
    task = asyncio.create_task(clips.cut(path, 0, 1))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    path.write_bytes(b"no video")
    with pytest.raises(ImageError, match="no video of ours"):
        await clips.gif(path, 1000)
    assert list((tmp_path / "clips").iterdir()) == []


@pytest.mark.parametrize(
    ("owner", "slow"), [(Path, "mkdir"), (os, "replace"), (shutil, "rmtree"), (clips_module, "append_block")]
)
async def test_what_a_thread_still_makes_for_a_cancelled_clip_is_cleared_away(
    clips: Clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, slow: str
) -> None:
    path = tmp_path / "ours.mp4"
    path.write_bytes(written(noisy(24)))
    began, go_on, real = threading.Event(), threading.Event(), getattr(owner, slow)

    def late(*given: Any, **options: Any) -> Any:
        if slow != "mkdir":  # done, and nobody knows yet
            real(*given, **options)
        began.set()
        go_on.wait(10)
        if slow == "mkdir":
            real(*given, **options)

    sent = InMemory("ours.mp4", path.read_bytes())
    monkeypatch.setattr(owner, slow, late)
    task = asyncio.create_task(clips.take(sent) if slow == "append_block" else clips.cut(path, 0, 1))
    await asyncio.to_thread(began.wait, 60)
    task.cancel()
    await asyncio.sleep(0.05)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.05)
    assert list((tmp_path / "clips").iterdir()) == []


def test_mutated_videos_end_no_process_and_give_nothing_but_clips() -> None:
    """The long form is ``python -m proofs.security.clips``."""
    found = hostile.fuzz(60, seed=3)
    assert found.taken and found.refused and found.count == 60
    assert (found.ended, found.wrong) == (0, [])


def test_no_word_of_a_video_gets_into_a_clip_or_what_is_made_of_it() -> None:
    left, unmarked, had = hostile.canaries(14)
    assert (left, unmarked) == (0, 0) and had == 7, "a canary in every kind, or this shows nothing"
