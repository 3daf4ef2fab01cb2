"""Steps of videos in the engine: their arguments are joined and cut like those of pictures, and every job
gets what its pipeline alone would have drawn."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from PIL import Image

from tests.vision.engine.test_engine import CLOSE, Crowd
from tests.vision.video import tiny_videos
from vision.diffusion import vae as frames
from vision.diffusion.checkpoint import Resume, State, scheduler_state
from vision.diffusion.vae import LatentMap
from vision.engine import collate, denoiser
from vision.engine.denoiser import ALONE, Call, Denoiser, denoiser_attributes, evaluate_now

SHAPE = {"height": 32, "width": 32, "num_frames": 9, "output_type": "latent"}
CALL = {"prompt": "a red ball", "num_inference_steps": 3, **SHAPE}
SHORT = {"max_sequence_length": 16}
SOUND = {  # LTX-2 with guidance in one call a step
    **dict.fromkeys(("guidance_scale", "audio_guidance_scale"), 3.0),
    **dict.fromkeys(("modality_scale", "audio_modality_scale"), 1.0),
    **dict.fromkeys(("stg_scale", "audio_stg_scale", "guidance_rescale", "audio_guidance_rescale"), 0.0),
    "spatio_temporal_guidance_blocks": None,
    "use_cross_timestep": False,
}


def conditioned(pipe: Any) -> dict[str, Any]:
    """Arguments of LTX with a known first picture: a time for each token."""
    from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition

    picture = Image.new("RGB", (32, 32), (200, 30, 30))
    return {"conditions": [LTXVideoCondition(image=picture, frame_index=0)], **SHORT}


CASES: dict[str, Callable[[Any], dict[str, Any]]] = {
    "animatediff": lambda pipe: {},
    "ltx": conditioned,
    "ltx2": lambda pipe: {**SHORT, **SOUND},
    "wan": lambda pipe: SHORT,
    "wan-a14b": lambda pipe: SHORT,
    "wan-5b": lambda pipe: SHORT,
    "wan-vace": lambda pipe: SHORT,
}


@pytest.fixture(scope="module")
def pipes() -> Callable[[str], Any]:
    """Name of a tiny video model → its pipeline."""
    import diffusers

    torch.set_num_threads(1)
    diffusers.utils.logging.disable_progress_bar()
    made: dict[str, Any] = {}

    def pipe(name: str) -> Any:
        if name not in made:
            torch.manual_seed(0)
            made[name] = tiny_videos.VIDEO_MODELS[name]()
            made[name].set_progress_bar_config(disable=True)
        return made[name]

    return pipe


def draw(pipe: Any, given: dict[str, Any], seed: int, evaluate: Callable[[Call], Any] | None = None) -> Any:
    """The latents of a video; with ``evaluate`` through the engine's stand-in."""
    own = copy.copy(pipe)
    vars(own)["scheduler"] = copy.deepcopy(pipe.scheduler)
    if evaluate is not None:
        for name in denoiser_attributes(pipe):
            vars(own)[name] = Denoiser(getattr(pipe, name), evaluate, name)
    with torch.no_grad():
        result = own(**CALL, **given, generator=torch.Generator().manual_seed(seed))
    return result.frames


@pytest.mark.parametrize("name", CASES)
def test_two_videos_share_their_passes_and_come_out_as_alone(pipes, name: str) -> None:
    pipe, engine, got, passes = pipes(name), Crowd(), {}, []
    given, run = CASES[name](pipe), engine.passes.run
    engine.passes.run = lambda calls: passes.append(len(calls)) or run(calls)
    for seed in (1, 2):
        engine.begin(
            f"video {seed}",
            lambda fiber, seed=seed: draw(pipe, given, seed, fiber.evaluate),
            done=lambda result, error, seed=seed: got.update({seed: (result, error)}),
        )
    engine.run()
    assert set(passes) == {2}, "both are in every pass"
    for seed, (frames_, error) in got.items():
        if error is not None:
            raise error
        alone = draw(pipe, given, seed)
        assert (frames_ - alone).abs().max() < CLOSE * alone.std()


@pytest.mark.parametrize("name", CASES)
def test_a_video_that_is_evaluated_in_pieces_comes_out_the_same(pipes, name: str) -> None:
    pipe, engine, got = pipes(name), Crowd(exact=True), []
    given = CASES[name](pipe)
    engine.begin(
        "video",
        lambda fiber: draw(pipe, given, 1, fiber.evaluate),
        done=lambda result, error: got.append((result, error)),
    )
    engine.run()
    if got[0][1] is not None:
        raise got[0][1]
    alone = draw(pipe, given, 1)
    assert (got[0][0] - alone).abs().max() < CLOSE * alone.std()


def test_both_transformers_of_a_video_model_wait_for_passes(pipes) -> None:
    pipe, seen = pipes("wan-a14b"), []
    draw(pipe, SHORT, 1, lambda call: seen.append(call.module) or evaluate_now(call))
    assert {id(module) for module in seen} == {id(pipe.transformer), id(pipe.transformer_2)}


def test_words_of_each_frame_go_with_their_row(pipes) -> None:
    pipe, seen = pipes("animatediff"), []
    draw(pipe, {}, 1, lambda call: seen.append(call) or evaluate_now(call))
    assert all(call.folded == ("encoder_hidden_states",) for call in seen)
    assert seen[0].arguments["encoder_hidden_states"].shape[:2] == (2, 9)
    second = collate.part(seen[0].arguments, 1, 2, 2)["encoder_hidden_states"]
    assert torch.equal(second[0], seen[0].arguments["encoder_hidden_states"][1])


def test_the_sound_of_a_pass_that_was_cut_is_kept(pipes) -> None:
    pipe, engine, got = pipes("ltx2"), Crowd(exact=True), {}
    given = CASES["ltx2"](pipe)
    sounds = []

    def work(fiber: Any) -> None:
        own = copy.copy(pipe)
        vars(own)["scheduler"] = copy.deepcopy(pipe.scheduler)
        vars(own)["transformer"] = Denoiser(pipe.transformer, fiber.evaluate)
        sounds.append(own(**CALL, **given, generator=torch.Generator().manual_seed(1)).audio)

    engine.begin("video", work, done=lambda result, error: got.update(error=error))
    engine.run()
    if got["error"] is not None:
        raise got["error"]
    with torch.no_grad():
        alone = pipe(**CALL, **given, generator=torch.Generator().manual_seed(1)).audio
    assert torch.as_tensor(sounds[0]).sub(torch.as_tensor(alone)).abs().max() < CLOSE


def test_rows_of_many_tokens_are_joined_with_nothing(pipes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(denoiser, "MOST_TOKENS", 11)  # of 3 latent frames of 2 × 2 patches
    pipe, seen, engine, passes = pipes("wan"), [], Crowd(), []
    draw(pipe, SHORT, 1, lambda call: seen.append(call) or evaluate_now(call))
    assert [call.count for call in seen] == [1] * 6, "guidance in two passes a step, too"
    assert all(call.kind.endswith(ALONE) for call in seen)
    run = engine.passes.run
    engine.passes.run = lambda calls: passes.append(len(calls)) or run(calls)
    for seed in (1, 2):
        engine.begin("video", lambda fiber, seed=seed: draw(pipe, SHORT, seed, fiber.evaluate))
    engine.run()
    assert passes == [1] * 12


def test_the_tokens_of_a_row_are_those_that_its_transformer_sees() -> None:
    wan = {"hidden_states": torch.zeros(1, 16, 21, 90, 160)}
    assert collate.tokens(wan, (1, 2, 2)) == 75_600  # Wan 2.2 A14B, 1280×720, 81 frames
    assert collate.tokens({"hidden_states": torch.zeros(1, 14_080, 128)}, 1) == 14_080  # packed: LTX-2
    assert collate.tokens({"sample": torch.zeros(2, 4, 16, 64, 64)}) == 0  # a UNet
    assert collate.tokens({"hidden_states": torch.zeros(1, 16, 128, 128)}, 2) == 4096  # a picture of SD3


def test_where_a_pipeline_is_in_its_loop_reaches_the_modules_own_cache(pipes) -> None:
    pipe, seen = pipes("wan"), []
    draw(pipe, SHORT, 1, lambda call: seen.append(call) or evaluate_now(call))
    assert [call.where["step_index"] for call in seen] == [0, 0, 1, 2], "from then on both in one"
    given: list[tuple[str, dict[str, Any]]] = []

    class Module(torch.nn.Module):
        def cache_context(self, name: str, **where: Any) -> Any:
            given.append((name, where))
            return torch.no_grad()

        def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
            return hidden_states

    sample = {"hidden_states": torch.zeros(1, 2, 2)}
    evaluate_now(Call(Module(), sample, 1, (), context="7:cond", where={"step_index": 3}))
    assert given == [("7:cond", {"step_index": 3})]


def test_a_video_goes_on_from_a_saved_step_of_either_transformer(pipes) -> None:
    pipe, states = pipes("wan-a14b"), {}

    def run(resume_at: int | None) -> torch.Tensor:
        own = copy.copy(pipe)
        vars(own)["scheduler"] = copy.deepcopy(pipe.scheduler)
        ran: list[int] = []
        for name in denoiser_attributes(pipe):
            stand_in = Denoiser(getattr(pipe, name), lambda call: ran.append(1) or evaluate_now(call))
            vars(own)[name] = stand_in
        generator = torch.Generator().manual_seed(3)
        resume = Resume(own, states[resume_at], [generator]) if resume_at else None

        def after(pipe: Any, i: int, t: Any, values: dict[str, Any]) -> dict[str, Any]:
            if resume is not None and not resume.over:
                latents = resume.after_step(i + 1)
                return values if latents is None else {"latents": latents}
            states[i + 1] = State(
                1, 0, i + 1, 3, values["latents"], copy.deepcopy(scheduler_state(own.scheduler)),
                [generator.get_state()], [], [],
            )  # fmt: skip
            return values

        given = {**CALL, **SHORT, "generator": generator, "callback_on_step_end": after}
        with torch.no_grad():
            if resume is None:
                return own(**given).frames
            with resume:
                drawn = own(**given).frames
        assert 0 < len(ran) <= 2 * (3 - resume_at), "no step that was done is evaluated again"
        return drawn

    whole = run(None)
    assert all(torch.equal(run(step), whole) for step in (1, 2))


@pytest.mark.parametrize(("make", "patch"), [(tiny_videos.wan_vae, 1), (tiny_videos.ltx_vae, 2)])
def test_previews_can_be_fitted_to_a_decoder_of_videos(make: Callable[[], Any], patch: int) -> None:
    vae = make()
    assert frames.is_video(vae)
    found = LatentMap.fit(vae, "cpu")
    assert found.patch == patch
    channels = frames.encode_pixels(vae, torch.zeros(1, 3, 64, 64)).shape[1]
    pictures = found.pictures(torch.randn(3, channels, 4, 6))
    assert [picture.size for picture in pictures] == [(6 * patch, 4 * patch)] * 3
