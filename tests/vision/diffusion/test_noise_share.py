"""How far a strength goes from a picture: as far as with Stable Diffusion XL, in every family of flow
models."""

import json
from dataclasses import replace
from pathlib import Path

import diffusers
import pytest
import torch
from diffusers.pipelines.flux2.pipeline_flux2_klein import compute_empirical_mu
from diffusers.pipelines.qwenimage.pipeline_qwenimage import calculate_shift

from core.requests import ImagineRequest, VariationRequest
from core.settings import ROOT
from tests.support import tiny
from tests.vision.conftest import SHA, Recorder, ask, cpu_models
from tests.vision.engine import test_engine
from tests.vision.engine.test_engine import Job, together
from vision.diffusion.checkpoint import FlowMatchFromShare, noise_share
from vision.diffusion.parameters import Generation
from vision.engine.denoiser import denoiser_of
from vision.families import Mode

keep_latents = test_engine.keep_latents
NEAR = 0.05
# of upscale and variation, subtle and strong, of a picture to start from, of a blend
STRENGTHS = (0.25, 0.35, 0.4, 0.6, 0.75, 0.9)
ARCHITECTURES = json.loads((ROOT / "tools" / "architectures.json").read_text())
FLUX = {"shift": 3.0, "use_dynamic_shifting": True, "base_shift": 0.5, "max_shift": 1.15}
SIDES = {"qwen-image": 1328}
NAMED = {
    "z-image": "z-image-turbo",
    "flux2-klein": "flux2-klein-4b",
    "qwen-image": "qwen-image-2512",
    "qwen-image-2.1": "qwen-image-2.1",
    "ernie-image": "ernie-image-turbo",
    "krea-2": "krea-2-turbo",
}


def real_scheduler(family: str) -> dict:
    """The configuration that the family's weights come with."""
    if family in NAMED:
        return ARCHITECTURES[NAMED[family]]["parts"]["scheduler"]["config"]
    return {"flux": FLUX, "longcat-image": FLUX, "stable-diffusion-3": {"shift": 3.0}}[family]


def stable_diffusions_share(strength: float, steps: int = 30) -> float:
    """Where StableDiffusionXLImg2ImgPipeline begins with the real model's scheduler."""
    config = ARCHITECTURES["stable-diffusion-xl"]["parts"]["scheduler"]["config"]
    scheduler = diffusers.EulerDiscreteScheduler.from_config(config)
    scheduler.set_timesteps(steps)
    sigma = float(scheduler.sigmas[int(steps - steps * strength)])
    return sigma / (1 + sigma)


USUAL_STEPS = {
    "ernie-image": 8,
    "flux": 28,
    "flux2-klein": 4,
    "krea-2": 8,
    "longcat-image": 50,
    "qwen-image": 50,
    "qwen-image-2.1": 40,
    "stable-diffusion-3": 28,
    "z-image": 9,
}
FLOW = list(USUAL_STEPS)


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("family", FLOW)
def test_a_picture_gets_the_noise_that_stable_diffusion_xl_gives_it(family: str, strength: float) -> None:
    scheduler = FlowMatchFromShare.from_config(real_scheduler(family))
    tokens = (SIDES.get(family, 1024) // 16) ** 2
    config, mu = scheduler.config, None
    if family == "flux2-klein":
        mu = compute_empirical_mu(tokens, 4)
    elif family == "krea-2":
        mu = 1.15  # the pipeline's own for the distilled model
    elif config.use_dynamic_shifting:
        mu = calculate_shift(
            tokens, config.base_image_seq_len, config.max_image_seq_len, config.base_shift, config.max_shift
        )
    asked, scheduler.share = FlowMatchFromShare.shares(strength, USUAL_STEPS[family]), noise_share(strength)
    scheduler.set_timesteps(sigmas=asked, mu=mu)
    assert float(scheduler.sigmas[0]) == pytest.approx(noise_share(strength), abs=1e-4)
    assert float(scheduler.sigmas[0]) == pytest.approx(stable_diffusions_share(strength), abs=NEAR)
    assert len(scheduler.timesteps) == len(asked) >= 4
    assert (scheduler.sigmas.diff() < 0).all()


@pytest.mark.parametrize("mode", [Mode.IMAGE, Mode.INPAINT])
@pytest.mark.parametrize("family", FLOW)
def test_every_pipeline_begins_there(family: str, mode: Mode, tmp_path: Path, keep_latents) -> None:
    torch.manual_seed(0)
    pipe = tiny.IMAGE_MODELS[family]()
    pipe.scheduler = diffusers.FlowMatchEulerDiscreteScheduler.from_config(real_scheduler(family))
    pipe.save_pretrained(tmp_path / family)
    model = cpu_models({"image": tmp_path / family}, tmp_path, cpu_threads=1).get("image")
    seen: list[float] = []
    hook = denoiser_of(model.pipeline(mode)).register_forward_pre_hook(
        lambda _, args, given: seen.append(float(given.get("timestep", given.get("t", args[1:2]))[0])),
        with_kwargs=True,
    )
    plain = 0.0 if family == "krea-2" else 1.0  # guidance that does nothing
    start = Generation(mode, "a house", (1,), 64, 64, 6, plain, image=tiny.picture(64, 64), strength=0.4)
    mask = tiny.picture(64, 64, seed=9).convert("L").point(lambda v: 255 * (v > 120))
    job = Job(start if mode is Mode.IMAGE else replace(start, mask_image=mask))
    together(model, [job], [0])
    hook.remove()
    assert job.error is None and len(seen) == job.steps == 4
    whole = 1000 if family in ("stable-diffusion-3", "ernie-image") else 1
    share = 1 - seen[0] if family == "z-image" else seen[0] / whole
    assert share == pytest.approx(noise_share(0.4), abs=2e-3)


def test_few_steps_that_were_asked_for_are_all(models_of) -> None:
    request = VariationRequest(prompt="a", image=SHA, seed=7, num_images=1, variation="subtle")
    for steps, wanted in ((2, 2), (4, 4), (30, 12)):
        recorder = Recorder()
        ask(models_of(image="z-image"), replace(request, num_inference_steps=steps), tiny.picture(), recorder)
        assert recorder.steps[-1] == (wanted, wanted)


def test_a_schedule_stretched_to_its_last_level_has_two_steps_at_least(tmp_path: Path) -> None:
    """Qwen-Image's: by one step it is divided by nothing, and the picture is none."""
    torch.manual_seed(0)
    pipe = tiny.IMAGE_MODELS["qwen-image"]()
    pipe.scheduler = diffusers.FlowMatchEulerDiscreteScheduler.from_config(real_scheduler("qwen-image"))
    pipe.save_pretrained(tmp_path / "qwen")
    (tmp_path / "qwen" / "atelier.json").write_text(json.dumps(tiny.CARD))
    models = cpu_models({"image": tmp_path / "qwen"}, tmp_path, cpu_threads=1)
    for kind in (ImagineRequest, VariationRequest):
        image = {"image": SHA} if kind is VariationRequest else {}
        request = kind(prompt="a", seed=7, num_images=1, num_inference_steps=1, **image)
        made = ask(models, request, tiny.picture())
        assert made.parameters["num_inference_steps"] == 2
        assert "2 steps at least" in made.parameters["notes"][0]
