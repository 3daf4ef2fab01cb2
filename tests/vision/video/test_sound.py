"""Sound that comes when the pictures are written already."""

from pathlib import Path

import numpy as np
import pytest

from vision.video import writer
from vision.video.codecs import encoder_of
from vision.video.reader import VideoReader
from vision.video.writer import Sound, video_at

RATE, FPS, FRAMES = 24000, 12, 30


def video(path: Path) -> list[np.ndarray]:
    frames = np.random.default_rng(0).integers(0, 255, (FRAMES, 32, 48, 3), np.uint8)
    with video_at(path, (48, 32), FPS, encoder_of("auto")) as writer:
        writer.write(frames)
    return read(path)


def read(path: Path) -> list[np.ndarray]:
    with path.open("rb") as file, VideoReader(file) as reader:
        return [frame for chunk in reader.chunks() for frame in chunk]


def tone(seconds: float, channels: int = 2) -> Sound:
    times = np.arange(round(seconds * RATE)) / RATE
    return Sound(np.stack([np.sin(times * 440 * 2 * np.pi)] * channels).astype(np.float32) * 0.5, RATE)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("seconds", [1.0, 2.5, 9.0])
def test_pictures_stay_to_the_bit_and_sound_ends_with_them(tmp_path, seconds: float, channels: int) -> None:
    path = tmp_path / "video.mp4"
    before = video(path)
    writer.add_sound(path, tone(seconds, channels))
    after = read(path)
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    with path.open("rb") as file, VideoReader(file) as reader:
        heard = reader.sound()
        assert reader.frames == FRAMES
        assert float(reader.fps) == FPS
    assert heard is not None
    assert heard.seconds == pytest.approx(min(seconds, FRAMES / FPS), abs=0.06)
    assert 0.2 < np.abs(heard.samples).max() < 1.0
    assert [item.name for item in tmp_path.iterdir()] == ["video.mp4"]


def test_a_video_that_is_none_stays_and_nothing_is_left(tmp_path) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(b"no video")
    with pytest.raises(Exception, match=r"."):
        writer.add_sound(path, tone(1))
    assert path.read_bytes() == b"no video"
    assert [item.name for item in tmp_path.iterdir()] == ["video.mp4"]
