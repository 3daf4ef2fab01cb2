"""Videos that are written by chunks: what a player finds in them, and what comes back out."""

import io
import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from core.limits import VIDEO_ENCODERS
from tests.support.videos import xmp_of
from vision.video import codecs
from vision.video.codecs import ENCODERS, OPENH264, VP9, X264, encoder_of
from vision.video.reader import VideoReader
from vision.video.writer import Sound, VideoWriter, video_at


def clip(frames: int = 20, height: int = 96, width: int = 128) -> np.ndarray:
    """Soft colours that drift: uint8 (f, H, W, 3)."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    shown = [
        np.stack([np.sin(4 * x + i / 9), np.cos(3 * y - i / 7), np.sin(x + y)], -1) for i in range(frames)
    ]
    return (127 + 110 * np.stack(shown)).astype(np.uint8)


def tone(seconds: float, rate: int = 24_000, channels: int = 2) -> Sound:
    at = np.arange(round(seconds * rate)) / rate
    each = [np.sin(2 * np.pi * 440 * (1 + i) * at) / 2 for i in range(channels)]
    return Sound(np.stack(each).astype(np.float32), rate)


def written(frames: np.ndarray, encoder=X264, chunk: int = 8, fps: float = 24, **more) -> bytes:
    file = io.BytesIO()
    video = VideoWriter(file, (frames.shape[2], frames.shape[1]), fps, encoder, **more)
    for start in range(0, len(frames), chunk):
        video.write(frames[start : start + chunk])
    video.finish()
    return file.getvalue()


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((one.astype(float) - other) ** 2)))


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_gives_the_same_frames_back(name: str) -> None:
    frames, encoder = clip(), encoder_of(name)
    data = written(frames, encoder, sound=tone(2))
    with VideoReader(io.BytesIO(data)) as video:
        assert (video.width, video.height, video.frames, video.fps) == (128, 96, 20, 24)
        found = np.concatenate(list(video.chunks(7)))
    assert found.shape == frames.shape and psnr(found, frames) > 38
    assert abs((found.astype(float) - frames).mean((0, 1, 2))).max() < 0.7, "no channel drifts"
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.codec.canonical_name == encoder.codec
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert (stream.codec_context.colorspace, stream.codec_context.color_range) == (1, 1)
        assert container.metadata.get("encoder") is None


def test_every_name_of_the_setting_has_an_encoder() -> None:
    assert {"auto", *ENCODERS} == set(VIDEO_ENCODERS)
    assert encoder_of("auto") in (X264, OPENH264)
    with pytest.raises(ValueError, match="auto, x264, openh264, vp9, av1"):
        encoder_of("hevc")


def test_more_of_the_number_is_smaller() -> None:
    noisy = (clip() + np.random.default_rng(0).integers(0, 16, (20, 96, 128, 3))).clip(0, 255)
    for encoder in ENCODERS.values():
        sizes = [len(written(noisy.astype(np.uint8), encoder, number=n)) for n in (20, 30, 40)]
        assert sizes == sorted(sizes, reverse=True) and sizes[0] > 1.5 * sizes[2], encoder.name


def test_how_it_is_cut_into_chunks_changes_nothing() -> None:
    frames = clip()
    assert written(frames, chunk=1) == written(frames, chunk=20) == written(frames, chunk=7)


def test_it_begins_with_what_a_player_needs_and_carries_its_mark() -> None:
    data = written(clip(), xmp=b"<mark/>")
    assert [box.kind for box in codecs.boxes(io.BytesIO(data))] == [b"ftyp", b"uuid", b"moov", b"mdat"]
    assert xmp_of(data) == b"<mark/>"


def test_a_key_frame_comes_within_two_seconds() -> None:
    with av.open(io.BytesIO(written(clip(50, 32, 32), fps=8))) as container:
        keys = [packet.pts * packet.time_base for packet in container.demux(video=0) if packet.is_keyframe]
    assert keys[0] == 0 and len(keys) >= 4
    assert all(b - a <= 2 for a, b in itertools.pairwise(keys))


@pytest.mark.parametrize("channels", [1, 2])
def test_sound_is_as_long_as_the_video_and_lies_where_it_lay(channels: int) -> None:
    sound = tone(3, channels=channels)  # longer than the video, which ends it
    with VideoReader(io.BytesIO(written(clip(48), sound=sound))) as video:
        heard = video.sound()
    assert heard is not None and heard.rate == sound.rate
    assert heard.samples.shape[0] == channels and abs(heard.seconds - 2) <= 1 / 24
    length = heard.samples.shape[1] - 2048  # the last packet fades
    assert np.abs(heard.samples[:, :length] - sound.samples[:, :length]).mean() < 0.03
    with VideoReader(io.BytesIO(written(clip(48), sound=tone(0.5)))) as video:
        assert video.seconds == 2 and video.has_sound
    with VideoReader(io.BytesIO(written(clip(4)))) as video:
        assert video.sound() is None


def test_frames_are_found_by_their_number() -> None:
    with VideoReader(io.BytesIO(written(clip(60), fps=12))) as video:
        whole = np.concatenate(list(video.chunks()))
        for first, end in ((0, 1), (23, 24), (24, 31), (59, None), (10, 55)):
            assert np.array_equal(np.concatenate(list(video.chunks(5, first, end))), whole[first:end])
        assert list(video.chunks(5, 60)) == []


def test_it_shows_that_it_lives_after_every_chunk_and_at_the_end() -> None:
    told: list[int] = []
    written(clip(20), chunk=8, alive=told.append)
    assert told == [8, 16, 20, 20, 20]


def test_what_isnt_a_chunk_of_this_video_is_refused() -> None:
    video = VideoWriter(io.BytesIO(), (64, 48), 8, X264)
    for wrong in (
        np.zeros((2, 48, 64, 3), np.float32),
        np.zeros((48, 64, 3), np.uint8),
        np.zeros((2, 64, 48, 3), np.uint8),
    ):
        with pytest.raises(ValueError, match=r"uint8 \(f, 48, 64, 3\)"):
            video.write(wrong)
    with pytest.raises(ValueError, match="without a frame"):
        video.finish()
    video.abandon()
    with pytest.raises(ValueError, match="even"):
        VideoWriter(io.BytesIO(), (63, 48), 8, X264)
    with pytest.raises(ValueError, match="frames a second"):
        VideoWriter(io.BytesIO(), (64, 48), 0, X264)
    with pytest.raises(ValueError, match="11 Hz"):
        Sound(np.zeros((2, 5), np.float32), 11)
    with pytest.raises(ValueError, match="shape"):
        Sound(np.zeros((3, 5), np.float32), 24_000)


def test_a_video_appears_when_it_is_whole_and_leaves_nothing_when_it_fails(tmp_path: Path) -> None:
    path = tmp_path / "0.mp4"
    with video_at(path, (128, 96), 24, VP9) as video:
        video.write(clip(8))
        assert not path.exists()
    assert [one.name for one in tmp_path.iterdir()] == ["0.mp4"]
    with path.open("rb") as file, VideoReader(file) as found:
        assert found.frames == 8 and found.fps == Fraction(24)
    with pytest.raises(RuntimeError), video_at(tmp_path / "1.mp4", (128, 96), 24, X264) as video:
        video.write(clip(8))
        raise RuntimeError
    with pytest.raises(ValueError, match="even"), video_at(tmp_path / "2.mp4", (127, 96), 24, X264):
        pass
    assert [one.name for one in tmp_path.iterdir()] == ["0.mp4"]


@pytest.mark.parametrize("data", [b"", b"no video", b"\x1a\x45\xdf\xa3" * 20])
def test_what_is_no_video_of_ours_is_not_opened(data: bytes) -> None:
    with pytest.raises(ValueError, match="no video of ours"):
        VideoReader(io.BytesIO(data))


def test_a_video_that_is_cut_off_is_read_as_far_as_it_goes_or_said_to_be_damaged() -> None:
    data = written(clip(48))
    with VideoReader(io.BytesIO(data[: len(data) * 2 // 3])) as video:
        try:
            count = sum(1 for _ in video.decoded())
        except ValueError as error:
            assert "damaged" in str(error)
        else:
            assert 0 < count < 48
