"""LoRAs whose files say that they count for the prompt alone: drawn as by hand, in any company."""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.errors import ModelError
from core.requests import ImagineRequest
from tests.vision.conftest import ask, cpu_models
from tests.vision.diffusion.test_loras import save_lora
from tests.vision.engine import test_engine
from tests.vision.engine.test_engine import CLOSE, Job, apart, generation, plain, together
from tests.vision.families.test_families import apart as pictures_apart
from tests.vision.lora_training.test_training import in_engine
from vision.diffusion import loras
from vision.diffusion.loras import ABOUT, GuidedUse
from vision.diffusion.model import ImageModel
from vision.diffusion.parameters import Generation
from vision.families import Mode
from vision.store import Models

keep_latents = test_engine.keep_latents
USE = GuidedUse(1.8, 0.4)


@pytest.fixture(scope="module")
def own(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Models:
    """A tiny Stable Diffusion with the same LoRA twice: one whose file says how it counts, one as any is."""
    folder = tmp_path_factory.mktemp("guided")
    told, any_other = folder / "told.safetensors", folder / "any.safetensors"
    save_lora("stable-diffusion", any_other, 3, ("unet",))
    save_file(load_file(any_other), told, {ABOUT: json.dumps({"guided": USE.told()})})
    named = {"told": str(told), "any": str(any_other)}
    return cpu_models({"image": str(folders["stable-diffusion"])}, folder, cpu_threads=1, loras=named)


def by_hand(own: Models, g: Generation) -> list[torch.Tensor]:
    """What diffusers draws with the LoRA in the second half of each call alone, as strong as it counts."""
    model = Models(replace(own.config, loras={})).get("image")
    pipe = model.pipeline(Mode.TEXT)
    pipe.load_lora_weights(load_file(own.config.loras["told"]), adapter_name="told")
    unet, count, given = pipe.unet, len(g.seeds), dict(g.loras)["told"]
    forward = unet.forward

    def halves(sample, timestep, encoder_hidden_states, **others):
        assert len(sample) == 2 * count, "it is guided"
        noise = float(timestep) / 1000
        share = given * 1.8 / g.guidance_scale * min(1.0, (1 - noise) / 0.6)
        made = []
        for rows, weight in ((slice(0, count), 0.0), (slice(count, None), share)):
            pipe.set_adapters(["told"], [weight])
            made.append(forward(sample[rows], timestep, encoder_hidden_states[rows], **others)[0])
        return (torch.cat(made),)

    unet.forward = halves
    return plain(model, g)


@pytest.mark.slow
def test_it_counts_for_the_prompt_alone_and_the_less_the_more_noise_there_is(own, keep_latents) -> None:
    model: ImageModel = own.get("image")
    first = replace(generation(random.Random(2), Mode.TEXT), num_inference_steps=5, guidance_scale=4.0)
    choices = [(("told", 1.0),), (("any", 1.0),), (), (("told", 0.5), ("any", -0.4))]
    asked = [replace(first, loras=choice, seeds=(at, at + 9)) for at, choice in enumerate(choices)]
    company = [Job(one) for one in asked]
    together(model, company, [0, 0, 1, 1])
    assert apart(company[0].latents, by_hand(own, asked[0])) < CLOSE
    for job in company:
        alone = Job(job.generation)
        together(model, [alone], [0])
        assert job.error is None and alone.error is None
        assert apart(job.latents, alone.latents) < CLOSE, job.generation.loras
    as_any = Job(replace(asked[0], loras=(("any", 1.0),)))
    together(model, [as_any], [0])
    assert apart(company[0].latents, as_any.latents) > 10 * CLOSE, "how it counts can be seen"


def test_without_guidance_it_counts_as_any_other(own, keep_latents) -> None:
    model: ImageModel = own.get("image")
    first = replace(generation(random.Random(2), Mode.TEXT), guidance_scale=1.0, negative_prompt="")
    told, any_other = (Job(replace(first, loras=((name, 0.8),))) for name in ("told", "any"))
    together(model, [told], [0])
    together(model, [any_other], [0])
    assert all(torch.equal(a, b) for a, b in zip(told.latents, any_other.latents, strict=True))


def test_outside_an_engine_it_counts_the_same(own) -> None:
    request = ImagineRequest(prompt="a castle", seed=3, num_images=1, num_inference_steps=3)
    styled = replace(request, loras=(("told", 1.0),))
    alone = ask(own, styled).pictures[0]
    shared = in_engine({"one": lambda reporter: ask(own, styled, reporter=reporter)})["one"]
    assert pictures_apart(alone, shared.pictures[0]) < 0.5
    assert pictures_apart(alone, ask(own, replace(request, loras=(("any", 1.0),))).pictures[0]) > 0.5


def test_it_falls_to_nothing_in_pure_noise() -> None:
    assert [USE.weight(noise, 3.0) for noise in (0.0, 0.4, 0.7, 1.0)] == pytest.approx([0.6, 0.6, 0.3, 0.0])


@pytest.mark.parametrize(
    "told",
    ['{"guided": {"strength": 0, "whole": 0.4}}', '{"guided": {"strength": 1}}', '{"guided": 3}', "[", "[]"],
)
def test_a_file_that_says_what_cant_be_is_refused(told: str) -> None:
    with pytest.raises(ModelError, match="The LoRA's strength is 0|`ink` has no valid strength"):
        loras.read_loras({ABOUT: told}, "`ink`")


def test_a_file_that_says_nothing_counts_as_any() -> None:
    assert loras.read_loras({}, "ink") is None
    assert loras.read_loras({ABOUT: '{"strength": 1.15}'}, "ink") is None, "styles of before"
