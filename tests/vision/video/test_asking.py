"""/video by video models: what their own card leaves open is filled in, and videos come out whole."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import UserError
from core.events import Output, Video
from core.requests.video import VideoRequest
from tests.support import tiny
from tests.vision.conftest import Recorder, cpu_models
from tests.vision.video import tiny_videos
from vision.capabilities.video import run as run_video
from vision.store import Models
from vision.video.generate import load_ends
from vision.video.reader import VideoReader

SHA, SHA_2, CLIP, CLIP_ENDS = (letter * 64 for letter in "abcd")


@pytest.fixture(scope="module")
def models(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Models]:
    """Family → models of a worker with a video model of it."""
    root = tmp_path_factory.mktemp("asked")
    made = {}
    for name in ("ltx", "ltx2", "wan", "animatediff"):
        specs = {"image": str(folders["stable-diffusion"]), "video": str(tiny_videos.save(name, root / name))}
        made[name] = cpu_models(specs, root / "cache", cpu_threads=1)
    return made


@pytest.fixture
def ask(models: dict[str, Models], tmp_path: Path) -> Callable[..., Output]:
    """Make videos of a family's model from a request, with the files that it names."""
    made = iter(range(100))

    def run(family: str, paths: dict[str, str] | None = None, **more) -> Output:
        request = VideoRequest(**{"prompt": "a red ball", "seconds": 0.5, "seed": 7, **more})
        folder = tmp_path / f"job{next(made)}"
        folder.mkdir()
        return run_video(request, paths or {}, models[family], Recorder(), folder)

    return run


def length(video: Video) -> int:
    with Path(video.path).open("rb") as file, VideoReader(file) as reader:
        count = sum(len(chunk) for chunk in reader.chunks())
    assert count == video.frames
    return count


def picture(tmp_path: Path, size: tuple[int, int] = (96, 64)) -> str:
    path = tmp_path / "picture.png"
    tiny.picture(*size).save(path)
    return str(path)


@pytest.mark.slow
@pytest.mark.parametrize(("family", "step"), [("ltx", 8), ("wan", 4), ("animatediff", 1)])
def test_words_become_a_video_of_a_length_that_the_family_has(ask, family: str, step: int) -> None:
    output = ask(family)
    [video] = output.videos
    assert (length(video) - 1) % step == 0
    assert (video.seed, video.width % 2, video.height % 2) == (7, 0, 0)
    assert video.width > video.height
    assert output.parameters["model"]
    assert output.parameters["fps"] == video.fps


def test_a_schedule_that_ends_at_a_level_has_two_steps_at_least(ask, models) -> None:
    scheduler = models["ltx"].video(None, Recorder()).pipe.scheduler
    scheduler.register_to_config(shift_terminal=0.1)
    try:
        output = ask("ltx", num_inference_steps=1)
    finally:
        scheduler.register_to_config(shift_terminal=None)
    assert len(output.videos) == 1 and any(
        "takes 2 steps at least" in note for note in output.parameters["notes"]
    )


def test_a_set_has_seeds_that_count_up(ask) -> None:
    assert [video.seed for video in ask("animatediff", num_images=2).videos] == [7, 8]


def test_a_video_of_a_picture_has_its_shape(ask, tmp_path) -> None:
    video = ask("animatediff", {SHA: picture(tmp_path)}, image=SHA).videos[0]
    assert video.width / video.height == pytest.approx(1.5, rel=0.2)


def test_a_video_goes_on_from_the_latents_that_were_kept_of_it(ask) -> None:
    before = ask("ltx").videos[0]
    assert set(load_ends(Path(before.ends), "ltx")) == {"head", "tail"}
    after = ask(
        "ltx", {CLIP: before.path, CLIP_ENDS: before.ends}, operation="extend", clip=CLIP, clip_ends=CLIP_ENDS
    ).videos[0]
    assert length(after) > before.frames
    assert (after.width, after.height, after.fps) == (before.width, before.height, before.fps)


@pytest.mark.parametrize("operation", ["extend_back", "loop", "remix"])
def test_other_operations_keep_the_size_of_the_video(ask, operation: str) -> None:
    before = ask("ltx").videos[0]
    after = ask("ltx", {CLIP: before.path}, operation=operation, clip=CLIP).videos[0]
    assert (after.width, after.height) == (before.width, before.height)
    assert length(after) == before.frames if operation == "remix" else length(after) > before.frames


def test_a_clip_of_another_size_keeps_it(ask, tmp_path) -> None:
    before = ask("animatediff", {SHA: picture(tmp_path, (90, 70))}, image=SHA).videos[0]
    after = ask("ltx", {CLIP: before.path, CLIP_ENDS: before.ends}, operation="extend", clip=CLIP).videos[0]
    assert (after.width, after.height) == (before.width, before.height)


def test_what_a_family_can_not_do_is_refused_with_the_reason(ask, tmp_path) -> None:
    with pytest.raises(UserError, match="can't do"):
        ask("wan", {SHA: picture(tmp_path)}, image=SHA)


def test_what_has_no_effect_is_said(ask) -> None:
    notes = ask("animatediff", sound=True, fps=30, seconds=0.52).parameters["notes"]
    assert any("no sound" in note for note in notes)
    assert any("0.52 s became" in note for note in notes)


@pytest.mark.slow
@pytest.mark.parametrize("wanted", [None, False])
def test_a_model_that_draws_sound_gives_its_video_some_unless_it_is_to_be_silent(ask, wanted) -> None:
    video = ask("ltx2", sound=wanted).videos[0]
    with Path(video.path).open("rb") as file, VideoReader(file) as reader:
        assert reader.has_sound == video.sound == (wanted is None)


def test_frames_of_a_remix_are_all_drawn_anew(ask) -> None:
    before = ask("animatediff").videos[0]
    after = ask("animatediff", {CLIP: before.path}, operation="remix", clip=CLIP, strength=1.0).videos[0]
    old, new = (_first(video) for video in (before, after))
    assert np.abs(old - new).mean() > 5


def _first(video: Video) -> np.ndarray:
    with Path(video.path).open("rb") as file, VideoReader(file) as reader:
        return np.asarray(Image.fromarray(next(reader.chunks(1))[0]), float)
