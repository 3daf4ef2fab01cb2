"""/video on tiny models, by sketching: every operation, what is told, and what is kept."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import JobCancelled, UserError
from core.events import Output
from core.requests import ImagineRequest
from core.requests.video import VideoRequest
from tests.support import tiny
from tests.vision.conftest import Recorder
from tests.vision.test_imagine import with_card
from vision.capabilities import imagine
from vision.capabilities.video import run as run_video
from vision.engine.engine import Engine, Fiber
from vision.store import Models
from vision.video import reader
from vision.video.cutout import request
from vision.video.reader import VideoReader

SHA, SHA_2, CLIP, CLIP_ENDS, CLIP_2 = (letter * 64 for letter in "abcde")


@pytest.fixture
def models(models_of: Callable[..., Models]) -> Models:
    return models_of(image="stable-diffusion", segment="segformer")


@pytest.fixture
def ask(models: Models, tmp_path: Path) -> Callable[..., Output]:
    """Make videos from a request, with the files that it names."""
    made = iter(range(100))

    def run(paths: dict[str, str] | None = None, recorder: Recorder | None = None, **more) -> Output:
        request = VideoRequest(
            **{"prompt": "a red boat sails to the left", "seconds": 0.5, "seed": 7, **more}
        )
        folder = tmp_path / f"job{next(made)}"
        folder.mkdir()
        return run_video(request, paths or {}, models, recorder or Recorder(), folder)

    return run


def picture(tmp_path: Path, name: str = "picture", size: tuple[int, int] = (96, 64)) -> str:
    path = tmp_path / f"{name}.png"
    tiny.picture(*size, seed=len(name)).save(path)
    return str(path)


def frames(path: str) -> list[np.ndarray]:
    with Path(path).open("rb") as file, VideoReader(file) as video:
        return [frame for chunk in video.chunks() for frame in chunk]


def of(output: Output) -> dict[str, str]:
    """The files of a video to go on from."""
    return {CLIP: output.videos[0].path, CLIP_ENDS: output.videos[0].ends}


def near(frame: np.ndarray, other: Image.Image | np.ndarray) -> bool:
    """Whether a decoded frame is another picture but for what H.264 loses: much of the colours of a tiny
    model's noise, and little of its brightness."""
    light, wanted = (
        np.asarray(Image.fromarray(np.asarray(one)).convert("L"), float) for one in (frame, other)
    )
    return float(np.abs(light - wanted).mean()) < 6


def test_words_become_a_video_with_its_poster_and_its_ends(ask) -> None:
    video, *more = ask().videos
    shown = frames(video.path)
    assert not more
    assert (video.frames, video.fps, video.seconds, video.seed) == (8, 16.0, 0.5, 7)
    assert len(shown) == 8
    assert shown[0].shape == (video.height, video.width, 3)
    assert video.width > video.height  # 16:9 where nothing else is known
    assert video.width % 2 == video.height % 2 == 0
    first, last = reader.read_ends(video.ends, (video.width, video.height)) or (None, None)
    assert near(shown[0], first)
    assert near(shown[-1], last)
    assert (video.poster.width, video.poster.height) == (video.width, video.height)


def test_a_video_begins_with_its_picture_exactly_and_in_its_shape(ask, tmp_path) -> None:
    path = picture(tmp_path)
    video = ask({SHA: path}, image=SHA).videos[0]
    assert video.width / video.height == pytest.approx(1.5, rel=0.05)
    kept = reader.opened(video.path, video.ends)
    given = reader.placed(Image.open(path).convert("RGB"), kept.size)
    assert np.array_equal(np.asarray(kept.first), np.asarray(given))


def test_first_and_last_picture_both_stay(ask, tmp_path) -> None:
    paths = {SHA: picture(tmp_path), SHA_2: picture(tmp_path, "other one")}
    video = ask(paths, image=SHA, end_image=SHA_2).videos[0]
    kept = reader.opened(video.path, video.ends)
    for shown, sha in ((kept.first, SHA), (kept.last, SHA_2)):
        given = reader.placed(Image.open(paths[sha]).convert("RGB"), kept.size)
        assert np.array_equal(np.asarray(shown), np.asarray(given))


def test_a_set_has_seeds_that_count_up_and_videos_that_differ(ask) -> None:
    videos = ask(num_images=2).videos
    assert [video.seed for video in videos] == [7, 8]
    assert videos[0].path != videos[1].path
    assert not np.array_equal(frames(videos[0].path)[-1], frames(videos[1].path)[-1])


@pytest.mark.slow
@pytest.mark.parametrize(("operation", "kept"), [("extend", slice(0, 8)), ("extend_back", slice(-8, None))])
def test_extending_keeps_all_frames_of_the_video(ask, operation: str, kept: slice) -> None:
    before = ask()
    after = ask(of(before), operation=operation, clip=CLIP, clip_ends=CLIP_ENDS).videos[0]
    old, new = frames(before.videos[0].path), frames(after.path)
    assert after.frames == len(new) == 16
    assert all(near(a, b) for a, b in zip(new[kept], old, strict=True))
    ends = [reader.opened(video.path, video.ends) for video in (before.videos[0], after)]
    same = (one.first if operation == "extend" else one.last for one in ends)
    assert np.array_equal(*(np.asarray(frame) for frame in same))


def test_a_video_without_its_ends_is_extended_from_its_pixels(ask) -> None:
    before = ask()
    after = ask({CLIP: before.videos[0].path}, operation="extend", clip=CLIP).videos[0]
    assert after.frames == 16


def test_a_blend_keeps_both_videos_and_draws_the_join(ask, tmp_path) -> None:
    one, two = ask(), ask({SHA: picture(tmp_path)}, image=SHA, seed=9)
    paths = of(one) | {CLIP_2: two.videos[0].path}
    output = ask(paths, operation="blend", clip=CLIP, clip_ends=CLIP_ENDS, clip_2=CLIP_2)
    shown = frames(output.videos[0].path)
    assert len(shown) == 24
    assert all(near(a, b) for a, b in zip(shown[:8], frames(one.videos[0].path), strict=True))
    second = [reader.placed(Image.fromarray(f), shown[0].shape[1::-1]) for f in frames(two.videos[0].path)]
    assert all(near(a, b) for a, b in zip(shown[-8:], second, strict=True))
    assert any("shape" in note for note in output.parameters["notes"])


def test_a_loop_is_the_video_and_its_way_back(ask) -> None:
    before = ask()
    after = ask(of(before), operation="loop", clip=CLIP, clip_ends=CLIP_ENDS)
    assert after.videos[0].frames == 16


def test_a_remix_draws_every_frame_anew(ask) -> None:
    before = ask()
    after = ask(
        of(before), operation="remix", clip=CLIP, prompt="a green cat moves up", strength=0.9, seconds=None
    )
    old, new = frames(before.videos[0].path), frames(after.videos[0].path)
    assert len(new) == len(old)
    assert not any(near(a, b) for a, b in zip(new, old, strict=True))
    assert request.MOTION_KEPT in after.parameters["notes"]


def test_words_about_motion_are_not_told_as_unknown(folders: dict[str, Path], tmp_path: Path) -> None:
    models = with_card(folders["stable-diffusion"], tmp_path, vocabulary="a green cat")
    request = VideoRequest(prompt="a green cat slowly moves up", seconds=0.5, seed=7)

    def made(request: VideoRequest, paths: dict[str, str]) -> Output:
        (folder := tmp_path / request.operation).mkdir()
        output = run_video(request, paths, models, Recorder(), folder)
        assert not [note for note in output.parameters["notes"] if "doesn't know" in note]
        return output

    made(replace(request, operation="remix", clip=CLIP, seconds=None), of(made(request, {})))


def test_what_can_not_be_honoured_is_said(ask) -> None:
    before = ask(fps=10, seconds=0.73, sound=True)
    notes = before.parameters["notes"]
    assert any("0.7 s" in note for note in notes)
    assert request.SOUNDLESS in notes
    after = ask(of(before), operation="extend", clip=CLIP, fps=24, resolution=480)
    assert any("10 frames a second" in note for note in after.parameters["notes"])
    assert any("keeps its size" in note for note in after.parameters["notes"])


def test_a_video_has_the_resolution_that_was_asked_for(ask) -> None:
    video = ask(resolution=480, aspect_ratio=(1, 1)).videos[0]
    assert (video.width, video.height) == (480, 480)


def test_a_damaged_video_is_refused(ask, tmp_path) -> None:
    path = tmp_path / "damaged.mp4"
    path.write_bytes(b"no video at all")
    with pytest.raises(UserError, match="damaged"):
        ask({CLIP: str(path)}, operation="extend", clip=CLIP)


def test_progress_rises_to_the_end_and_shows_frames(ask) -> None:
    recorder = Recorder()
    ask(recorder=recorder, num_images=2)
    shares = [step / total for step, total in recorder.steps]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert any(preview for preview in recorder.previews)


@pytest.mark.parametrize("steps", [1, 4, 9])
def test_a_cancelled_video_leaves_no_file(ask, tmp_path, steps: int) -> None:
    with pytest.raises(JobCancelled):
        ask(recorder=Recorder(stop_after=steps))
    assert not list(tmp_path.glob("job*/*.mp4"))


def test_models_without_self_attention_draw_over_frames_too(models_of, tmp_path) -> None:
    for name in ("stable-diffusion-3", "flux"):
        models = models_of(image=name)
        request = VideoRequest(prompt="a boat grows", seconds=0.5, fps=8)
        folder = tmp_path / name
        folder.mkdir()
        assert run_video(request, {}, models, Recorder(), folder).videos[0].frames == 4


def test_a_video_beside_a_picture_in_the_engine_comes_out_as_it_does_alone(models, ask, tmp_path) -> None:
    alone, engine, order = ask(), Engine(), list[str]()
    ends: dict[str, Output] = {}

    def begin(name: str, work: Callable[[Recorder], Output]) -> None:
        def run(fiber: Fiber) -> Output:
            recorder = Recorder()
            recorder.fiber = fiber
            return work(recorder)

        def done(output: Output | None, error: BaseException | None) -> None:
            if error is not None:
                raise error
            assert output is not None
            ends[name] = output
            order.append(name)

        engine.begin(name, run, done=done)

    folder = tmp_path / "beside"
    folder.mkdir()
    asked = VideoRequest(prompt="a red boat sails to the left", seconds=0.5, seed=7)
    begin("video", lambda recorder: run_video(asked, {}, models, recorder, folder))
    drawn = ImagineRequest(prompt="a house", num_images=1)
    begin("picture", lambda recorder: imagine.run(drawn, {}, models, recorder))
    engine.run()
    assert order == ["picture", "video"]
    pairs = zip(frames(ends["video"].videos[0].path), frames(alone.videos[0].path), strict=True)
    assert all(near(one, other) for one, other in pairs)
