"""Every family of video models does what it says of itself, and none of the traps of its pipelines."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import ModelError, UserError
from proofs.vision.video import operations
from proofs.vision.video.operations import SIZE, clip, drawn, shots
from tests.support import tiny
from tests.vision.video import tiny_videos
from vision.reporter import Reporter
from vision.video import decode, pipeline
from vision.video import model as models
from vision.video.families import FAMILIES, Operation, Take
from vision.video.generate import Clip, generate
from vision.video.model import VideoModel, family_and_card
from vision.video.pipeline import Place
from vision.weights.memory import Plan

Models = Callable[[str], VideoModel]


@pytest.mark.slow
@pytest.mark.parametrize("name", tiny_videos.VIDEO_MODELS)
def test_every_operation_is_drawn_or_refused_as_the_family_says(video_model: Models, name: str) -> None:
    model = video_model(name)
    came = {operation: operations.outcome(model, operation, shot) for operation, shot in shots(model).items()}
    assert {operation.value: one.problem for operation, one in came.items() if one.problem} == {}


def test_every_tiny_model_is_of_a_family_of_its_own_kind(video_model: Models) -> None:
    found = {name: video_model(name).family.name for name in tiny_videos.VIDEO_MODELS}
    assert found == {
        "animatediff": "animatediff",
        "ltx": "ltx",
        "ltx2": "ltx2",
        "wan": "wan",
        "wan-a14b": "wan",
        "wan-image": "wan-first",
        "wan-first-last": "wan-first-last",
        "wan-image-a14b": "wan-pictures",
        "wan-5b": "wan-5b",
        "wan-vace": "wan-vace",
        "cogvideox": "cogvideox",
        "cogvideox-second": "cogvideox",
        "cogvideox-image": "cogvideox-pictures",
        "hunyuan": "hunyuan",
        "hunyuan-image": "hunyuan-pictures",
    }
    assert set(found.values()) == {family.name for family in FAMILIES}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_lengths_are_those_that_the_pipelines_keep(family) -> None:
    for seconds in (0.5, 1, 3.3, 5, 20):
        frames = family.frames(seconds, family.fps)
        assert (frames - 1) % family.step == 0 and frames > 1
        assert abs(frames - seconds * family.fps) <= max(1, family.step)
    assert family.frames(family.usual / family.fps, family.fps) == family.usual
    assert family.at_least(family.usual) == family.usual


def test_five_seconds_are_what_each_family_was_trained_on() -> None:
    by_name = {family.name: family for family in FAMILIES}
    found = {name: by_name[name].frames(5, by_name[name].fps) for name in ("ltx2", "wan", "wan-5b")}
    assert found == {"ltx2": 121, "wan": 81, "wan-5b": 121}


def test_a_folder_of_another_kind_is_refused_with_what_is_known(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "MochiPipeline"}))
    with pytest.raises(
        ModelError, match="is a MochiPipeline; videos are drawn with one of: AnimateDiff, LTX"
    ):
        family_and_card(tmp_path)
    (tmp_path / "model_index.json").unlink()
    with pytest.raises(ModelError, match=r"has no model_index\.json"):
        family_and_card(tmp_path)


@pytest.mark.parametrize("own", [{"longest": 0}, {"known": "half"}, {"fps": "many"}])
def test_a_card_that_makes_no_sense_is_refused(video_model: Models, tmp_path: Path, own: dict) -> None:
    folder = tiny_videos.save("animatediff", tmp_path / "model")
    (folder / "atelier.json").write_text(json.dumps(own))
    with pytest.raises(ModelError, match=r"atelier\.json"):
        family_and_card(folder)


def test_hunyuan_is_guided_as_asked_and_keeps_the_size_of_the_video(video_model: Models) -> None:
    model = video_model("hunyuan-image")
    shot = replace(shots(model)[Operation.FIRST], first=tiny.picture(48, 32, 1), width=48, frames=5)
    videos = [drawn(generate(model, replace(shot, guidance_scale=scale), Reporter())) for scale in (1, 6)]
    assert videos[0].shape == (5, SIZE[1], 48, 3) and not np.array_equal(*videos)
    assert model.pipe.guider.config.guidance_scale == 6.0, "the model's own is as it was"


@pytest.mark.parametrize("known", ["noised", "clean"])
def test_known_frames_of_animatediff_come_out_as_the_decoder_makes_them(video_model, known: str) -> None:
    model = video_model("animatediff")
    kept = model.card
    model.card = replace(kept, known=known)
    try:
        shot = shots(model)[Operation.FIRST_LAST]
        frames = drawn(generate(model, shot, Reporter()))
    finally:
        model.card = kept
    latents = decode.encode_video(model.vae, [shot.first, shot.last])
    ends = np.concatenate(list(decode.one_by_one(model.vae, latents)))
    assert np.abs(frames[[0, -1]].astype(int) - ends).max() <= 1


@pytest.mark.parametrize("name", ["animatediff", "ltx", "ltx2"])
def test_kept_latents_are_gone_on_from_without_being_encoded_again(video_model: Models, name: str) -> None:
    model = video_model(name)
    plain = shots(model)
    first = generate(model, plain[Operation.WORDS], Reporter())
    frames = drawn(first)
    kept = Clip(tuple(), "0" * 64, first.ends)
    assert set(first.ends) == {"head", "tail"} and len(frames) == first.count
    encodings = 0
    encode = model.vae.encode

    def counted(*args, **kwargs):
        nonlocal encodings
        encodings += 1
        return encode(*args, **kwargs)

    model.vae.encode = counted
    try:
        picture = (tiny.picture(*SIZE),)
        for operation in (Operation.EXTEND, Operation.EXTEND_BACK, Operation.BLEND):
            shot = replace(plain[operation], clip=replace(kept, frames=picture))
            shot = replace(shot, clip_2=shot.clip if operation is Operation.BLEND else None)
            video = generate(model, shot, Reporter())
            assert len(drawn(video)) == video.count > 0
            assert set(video.ends) == {"head", "tail"}
    finally:
        del model.vae.encode
    assert encodings == 0


@pytest.mark.parametrize("name", ["animatediff", "ltx", "ltx2", "wan", "cogvideox"])
def test_a_remix_differs_from_its_video_and_the_more_the_stronger(video_model: Models, name: str) -> None:
    model = video_model(name)
    shot = replace(shots(model)[Operation.REMIX], num_inference_steps=4)
    assert shot.clip is not None
    own = decode.encode_video(model.vae, shot.clip.frames)

    def distance(strength: float) -> float:
        take = Take(shot.prompt, "", 7, *SIZE, shot.frames, shot.fps, 4, 3.0, (), shot.clip.frames, strength)
        latents, _ = pipeline.call(model, take, Reporter(), Place(0, 1, ()), None, sound=False)
        return float((latents - own).abs().mean())

    weak, strong = distance(0.25), distance(1.0)
    assert 0 < weak < strong


def test_a_remix_by_two_transformers_is_drawn_by_that_for_the_low_noise(video_model: Models) -> None:
    model = video_model("wan-a14b")
    assert model.pipeline("WanVideoToVideoPipeline").transformer is model.pipe.transformer_2


def test_a_video_longer_than_its_family_draws_is_shorter_and_says_so(video_model: Models) -> None:
    model = video_model("wan")
    kept, model.card = model.card, replace(model.card, longest=9)
    try:
        video = generate(model, replace(shots(model)[Operation.WORDS], frames=17), Reporter())
        assert video.count == 9
        assert video.notes == ("wan draws 0.6 s at a time, so the video is shorter.",)
    finally:
        model.card = kept


def test_too_short_a_video_to_remix_is_refused(video_model: Models) -> None:
    model = video_model("ltx")
    with pytest.raises(UserError, match="The video is too short: ltx takes 9 frames or more"):
        generate(model, replace(shots(model)[Operation.REMIX], clip=clip(3)), Reporter())


def test_a_video_with_sound_has_as_much_of_it_as_of_frames(video_model: Models) -> None:
    model = video_model("ltx2")
    video = generate(model, shots(model)[Operation.WORDS], Reporter())
    drawn(video)
    assert video.sound is not None
    samples, rate = video.sound
    assert samples.dtype == np.float32 and np.abs(samples).max() <= 1
    # of a tiny vocoder, whose factor isn't that of its mel frames
    assert samples.shape[0] == 2 and samples.shape[1] > 0 and rate == 16000
    silent = generate(model, shots(model)[Operation.WORDS], Reporter(), sound=False)
    drawn(silent)
    assert silent.sound is None


def test_half_precision_is_kept_out_of_wans_decoder(tmp_path: Path) -> None:
    folder = tiny_videos.save("wan", tmp_path / "wan")
    loaded = models.load_video_model(
        folder, "wan", device="cpu", dtype=torch.bfloat16, plan=Plan(), report=lambda share: None
    )
    assert loaded.vae.dtype == torch.float32
    assert loaded.pipe.transformer.dtype == torch.bfloat16
