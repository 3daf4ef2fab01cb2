"""A video comes in windows and pieces; it can be stopped between any two, goes on after its worker's death to
the same bits, and stands beside pictures in the engine."""

import io
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.errors import JobCancelled, OutOfMemory
from proofs.vision.video.operations import clip, drawn, shots
from tests.vision.conftest import Recorder
from tests.vision.engine.test_engine import Crowd
from vision.diffusion import generate as drawing
from vision.diffusion.checkpoint import Checkpoint, Pace
from vision.diffusion.parameters import Generation
from vision.families import Mode
from vision.images import encode
from vision.reporter import Reporter
from vision.video import generate as windows
from vision.video import pipeline
from vision.video.families import Operation
from vision.video.generate import Colours, Shot, generate, load_ends, save_ends
from vision.video.model import VideoModel

Models = Callable[[str], VideoModel]


@pytest.fixture
def short(video_model: Models, monkeypatch: pytest.MonkeyPatch) -> Callable[..., VideoModel]:
    """Name, frames of one call → a model that draws no more at a time."""

    def get(name: str, longest: int) -> VideoModel:
        model = video_model(name)
        monkeypatch.setattr(model, "card", replace(model.card, longest=longest))
        return model

    return get


LONG = {"animatediff": (8, 20, 3), "ltx": (25, 49, 3), "ltx2": (25, 49, 3), "wan-vace": (13, 25, 3)}


@pytest.mark.slow
@pytest.mark.parametrize("name", LONG)
def test_a_long_video_is_drawn_in_windows_that_go_on_from_each_other(short, name: str) -> None:
    longest, frames, least = LONG[name]
    model, watcher = short(name, longest), Recorder()
    video = generate(model, replace(shots(model)[Operation.WORDS], frames=frames), watcher)
    assert video.count >= frames and len(drawn(video)) == video.count
    assert len([step for step, total in watcher.steps]) >= 2 * least
    done = [step / total for step, total in watcher.steps]
    assert done == sorted(done) and done[-1] == 0.95, "what is left is writing the file"


@pytest.mark.parametrize("name", ["animatediff", "ltx", "wan-vace"])
def test_extending_backwards_over_several_windows_ends_at_the_clip(short, name: str) -> None:
    longest, frames, _ = LONG[name]
    model = short(name, longest)
    video = generate(model, replace(shots(model)[Operation.EXTEND_BACK], frames=frames), Reporter())
    assert video.count >= frames and len(drawn(video)) == video.count


@pytest.mark.parametrize("name", ["animatediff", "ltx", "wan-vace"])
def test_a_loop_of_words_is_a_video_and_the_way_back_to_its_start(video_model: Models, name: str) -> None:
    model = video_model(name)
    video = generate(model, replace(shots(model)[Operation.WORDS], loop=True), Reporter())
    assert len(drawn(video)) == video.count > model.family.overlap


def test_the_end_frame_is_given_to_the_last_window_only(short) -> None:
    model = short("ltx", 25)
    shot = replace(shots(model)[Operation.FIRST_LAST], frames=57)
    plan = windows.plan_windows(model.family, model.card, shot, "ltx")
    assert [len(window.known) for window in plan.windows] == [1, 0, 1]
    assert plan.windows[-1].known[0].at == plan.windows[-1].frames - 1
    assert plan.count == 57


class Stopped(Recorder):
    """Stops after as many reports in all."""


@pytest.mark.parametrize(("name", "after"), [("wan", 1), ("wan", 3), ("hunyuan", 1)])
def test_a_video_is_stopped_between_steps_and_nothing_is_decoded(video_model, name: str, after: int) -> None:
    model, watcher = video_model(name), Stopped(stop_after=after)
    shot = replace(shots(model)[Operation.WORDS], num_inference_steps=4)
    with pytest.raises(JobCancelled):
        drawn(generate(model, shot, watcher))
    assert len(watcher.steps) == after


def test_a_video_is_stopped_between_two_pieces_of_its_decoding(video_model: Models) -> None:
    model, watcher = video_model("wan"), Stopped(stop_after=4)
    shot = replace(shots(model)[Operation.WORDS], frames=17, num_inference_steps=2)
    video, pieces = generate(model, shot, watcher), []
    with pytest.raises(JobCancelled):
        for piece in video.chunks:
            pieces.append(len(piece))
    assert pieces == [1, 4], "of five"


class Died(Exception):
    pass


class Kept(Recorder):
    """Keeps a copy of each checkpoint that is written, and dies after so many steps."""

    def __init__(self, folder: Path, die_after: int | None = None) -> None:
        super().__init__()
        self.checkpoint = Checkpoint(folder, "job", Pace(0, 0, 0, 0, 0))
        self.folder, self.die_after = folder, die_after

    def step(self, step: int, total: int, preview: Callable[[], bytes | None] | None = None) -> None:
        super().step(step, total, None)
        if self.die_after is not None and len(self.steps) >= self.die_after:
            raise Died


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "die_after"),
    [
        *(("animatediff", 5), ("ltx", 3), ("ltx", 4), ("wan-a14b", 2), ("wan-vace", 2), ("hunyuan", 2)),
        pytest.param("animatediff", 2, marks=pytest.mark.long),
    ],
)
def test_a_video_whose_worker_died_ends_in_the_same_bits(short, name: str, die_after: int, tmp_path) -> None:
    longest, frames, _ = LONG.get(name, (9, 9, 1))
    model = short(name, longest)
    operation = Operation.WORDS if name in ("wan-a14b", "hunyuan") else Operation.FIRST
    shot = replace(shots(model)[operation], frames=frames, num_inference_steps=3)
    wanted = drawn(generate(model, shot, Reporter()))
    dying = Kept(tmp_path, die_after)
    with pytest.raises(Died):
        drawn(generate(model, shot, dying))
    assert dying.checkpoint.path.exists()
    again = Kept(tmp_path)
    assert np.array_equal(drawn(generate(model, shot, again)), wanted)
    whole = Kept(tmp_path / "whole")
    drawn(generate(model, shot, whole))
    assert len(again.steps) < len(whole.steps), "what was done isn't done again"


def test_another_video_does_not_go_on_from_a_checkpoint(short, tmp_path: Path) -> None:
    model = short("ltx", 25)
    shot = replace(shots(model)[Operation.EXTEND], num_inference_steps=3)
    with pytest.raises(Died):
        drawn(generate(model, shot, Kept(tmp_path, 2)))
    other = replace(shot, clip=clip(30, seed=9))
    wanted = drawn(generate(model, other, Reporter()))
    assert np.array_equal(drawn(generate(model, other, Kept(tmp_path))), wanted)


def test_the_ends_of_a_video_are_kept_for_its_own_family_only(video_model: Models, tmp_path: Path) -> None:
    video = generate(video_model("ltx"), shots(video_model("ltx"))[Operation.WORDS], Reporter())
    drawn(video)
    save_ends(video.ends, tmp_path / "ends", "ltx")
    again = load_ends(tmp_path / "ends", "ltx")
    assert {name: tensor.shape for name, tensor in again.items()} == {
        "head": (1, 8, 2, 2, 2),
        "tail": (1, 8, 2, 2, 2),
    }
    assert all(torch.allclose(again[name], video.ends[name], atol=0.05) for name in again)
    assert load_ends(tmp_path / "ends", "ltx2") == {}
    shutil.copy(__file__, tmp_path / "other")
    assert load_ends(tmp_path / "other", "ltx") == {}


@pytest.mark.parametrize(
    "name",
    ["animatediff", "ltx", "wan", "wan-image", "hunyuan-image", pytest.param("ltx2", marks=pytest.mark.long)],
)
def test_previews_are_strips_of_the_video_so_far(video_model: Models, name: str) -> None:
    model, watcher = video_model(name), Recorder()
    operation = Operation.FIRST if name != "wan" else Operation.WORDS
    drawn(generate(model, shots(model)[operation], watcher))
    shown = [Image.open(io.BytesIO(data)) for data in watcher.previews if data]
    assert shown and all(strip.width % encode.STRIP_SIDE == 0 for strip in shown)
    assert all(2 <= strip.width // encode.STRIP_SIDE <= encode.STRIP_FRAMES for strip in shown)


def test_videos_and_pictures_go_on_beside_each_other(video_model: Models, models_of) -> None:
    picture_model = models_of(image="stable-diffusion").get("image")
    engine, log = Crowd(), []
    video_shot = shots(video_model("animatediff"))[Operation.FIRST]
    alone = drawn(generate(video_model("animatediff"), video_shot, Reporter()))
    got: dict[str, object] = {}

    def video(fiber) -> np.ndarray:
        watcher = Recorder()
        watcher.fiber = fiber
        watcher.step = lambda step, total, preview=None: log.append("video")
        return drawn(generate(video_model("animatediff"), video_shot, watcher))

    def picture(fiber) -> object:
        watcher = Recorder()
        watcher.fiber = fiber
        watcher.step = lambda step, total, preview=None: log.append("picture")
        return drawing.generate(
            picture_model, Generation(Mode.TEXT, "a red house", (1,), 64, 64, 4, 3.0), watcher
        )

    for name, work in (("video", video), ("video 2", video), ("picture", picture)):
        engine.begin(name, work, done=lambda result, error, name=name: got.update({name: error or result}))
    engine.run()
    assert not [error for error in got.values() if isinstance(error, BaseException)]
    assert np.abs(got["video"].astype(int) - alone).max() <= 1
    assert np.abs(got["video 2"].astype(int) - alone).max() <= 1
    assert "picture" in log[: len(log) - 1] and log.index("picture") < len(log) - log[::-1].index("video")


def test_videos_of_hunyuan_that_share_passes_come_out_as_alone(video_model: Models) -> None:
    model, engine, got = video_model("hunyuan"), Crowd(), dict[str, object]()
    plain = replace(shots(model)[Operation.WORDS], guidance_scale=20.0, frames=5)
    wanted = {words: replace(plain, prompt=words) for words in ("a cat", 'a sign that says "open"')}

    def video(fiber, shot: Shot) -> np.ndarray:
        watcher = Recorder()
        watcher.fiber = fiber
        return drawn(generate(model, shot, watcher))

    for words, shot in wanted.items():
        engine.begin(
            words,
            lambda fiber, shot=shot: video(fiber, shot),
            done=lambda result, error, words=words: got.update({words: error or result}),
        )
    engine.run()
    assert not [error for error in got.values() if isinstance(error, BaseException)]
    alone = {words: drawn(generate(model, shot, Reporter())).astype(int) for words, shot in wanted.items()}
    assert all(np.abs(got[words] - alone[words]).max() <= 1 for words in wanted)
    assert np.abs(alone["a cat"] - alone['a sign that says "open"']).max() > 1


def test_a_video_too_large_for_the_device_is_told_in_its_own_terms(video_model: Models, monkeypatch) -> None:
    model = video_model("wan")

    def full(*args: object, **kwargs: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(pipeline, "call", full)
    with pytest.raises(OutOfMemory, match="9 frames of 32x32 px are too much"):
        drawn(generate(model, shots(model)[Operation.WORDS], Reporter()))


def test_colours_that_shifted_are_brought_back_and_another_scene_is_left_alone() -> None:
    were = np.random.default_rng(0).integers(60, 190, (4, 8, 8, 3), dtype=np.uint8)
    are = np.clip(were * 0.95 + 8, 0, 255).round().astype(np.uint8)
    colours = Colours.between(were, are)
    assert colours is not None
    assert np.abs(colours.applied(are).astype(int) - were).max() <= 2
    assert Colours.between(were, (were // 3).astype(np.uint8)) is None


def test_a_window_that_goes_on_from_pixels_keeps_their_colours(short, monkeypatch) -> None:
    model, seen = short("wan-vace", 13), []
    between = Colours.between.__func__
    monkeypatch.setattr(
        Colours,
        "between",
        classmethod(lambda cls, were, are: seen.append((len(were), len(are))) or between(cls, were, are)),
    )
    shot: Shot = replace(shots(model)[Operation.EXTEND], frames=20)
    drawn(generate(model, shot, Reporter()))
    assert seen == [(5, 5)] * 3, "the clip's own frames, then those of the windows before"


@pytest.mark.parametrize("name", ["wan", "ltx"])
def test_frames_that_dont_fit_into_memory_are_decoded_in_tiles_from_where_they_stopped(
    video_model: Models, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    model = video_model(name)
    shot = replace(shots(model)[Operation.WORDS], frames=17)
    whole, calls = drawn(generate(model, shot, Reporter())), list[int]()
    conv = model.vae.decoder.conv_in
    plain = conv.forward

    def full(*given, **more):
        calls.append(1)
        if len(calls) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return plain(*given, **more)

    monkeypatch.setattr(conv, "forward", full)
    assert np.array_equal(drawn(generate(model, shot, Reporter())), whole), "frames smaller than a tile"

    def always_full(*given, **more):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(conv, "forward", always_full)
    with pytest.raises(OutOfMemory, match="17 frames of 32x32 px are too much"):
        drawn(generate(model, shot, Reporter()))
