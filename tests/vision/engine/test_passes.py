"""One pass a step for two members with different words, guidance and LoRAs, in every family; counted, because
the pictures are right with twice the passes, too."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model

from tests.support import tiny
from tests.vision import test_edit, tiny_editors
from tests.vision.conftest import cpu_models
from tests.vision.diffusion.test_loras import TARGETS
from tests.vision.engine import test_engine
from tests.vision.engine.test_engine import CLOSE, Job, apart, together
from vision.diffusion.parameters import Generation
from vision.engine.denoiser import denoiser_attribute, denoiser_of
from vision.families import EDITORS, FAMILIES, Mode
from vision.reporter import Reporter

keep_latents, small_looks = test_engine.keep_latents, test_edit.small_looks
STEPS = 4
DRAWING = {**tiny.IMAGE_MODELS, "flux2-klein, undistilled": partial(tiny.flux2_klein, is_distilled=False)}
EDITING = {**tiny_editors.MODELS, **tiny_editors.NEWER}
FAMILIES_WITH_PASSES = [(Mode.TEXT, name) for name in DRAWING] + [(Mode.EDIT, name) for name in EDITING]
# in their first step they show that they ask twice, once without the prompt
TWICE = {"flux", "flux-kontext", "flux2-klein, undistilled", "qwen-image", "qwen-image-edit"}
TWICE |= {*tiny_editors.NEWER, "krea-2", "longcat-image", "longcat-image-edit", "qwen-image-2.1"}
AS_LONG = {"qwen-image-2.1"}  # where its words end counts for what is drawn: only texts as long share
LAYERS = {"krea-2": ["transformer_blocks.0.attn.to_q"]}  # to_q of others has a row for each token
WITHOUT = {"other": "whole calls, as nobody knows what its pipelines do to their denoiser in one"}


def save_lora(make: Callable, path: Path, seed: int, layers: list[str] | None) -> None:
    """A random LoRA of a denoiser, written as diffusers writes them. layers: those that it changes, None =
    the usual ones."""
    pipe = make()
    torch.manual_seed(seed)
    part = denoiser_attribute(pipe)
    targets = layers or TARGETS[part]
    config = LoraConfig(r=4, lora_alpha=4, target_modules=targets, init_lora_weights=False)
    inject_adapter_in_model(config, getattr(pipe, part))
    given = {f"{part}_lora_layers": get_peft_model_state_dict(getattr(pipe, part))}
    type(pipe).save_lora_weights(path.parent, weight_name=path.name, **given)


def test_no_family_is_left_out() -> None:
    tried = {*tiny.IMAGE_MODELS, *tiny_editors.MODELS, *WITHOUT}
    assert tried == {family.name for family in (*FAMILIES, *EDITORS)}
    assert {family.name for family in (*FAMILIES, *EDITORS) if not family.shares_steps} == set(WITHOUT)


@pytest.mark.parametrize(("mode", "name"), FAMILIES_WITH_PASSES)
def test_two_members_with_everything_different_share_one_pass_a_step(
    mode: Mode, name: str, tmp_path: Path, keep_latents, small_looks
) -> None:
    make = (DRAWING if mode is Mode.TEXT else EDITING)[name]
    torch.manual_seed(0)
    make().save_pretrained(tmp_path / "model")
    takes_loras = hasattr(make(), "save_lora_weights")  # LongCat-Image doesn't
    for seed, lora in enumerate("ab" if takes_loras else ""):
        save_lora(make, tmp_path / f"{lora}.safetensors", seed, LAYERS.get(name))
    loras = {lora: str(tmp_path / f"{lora}.safetensors") for lora in "ab"}
    model = cpu_models({"image": tmp_path / "model"}, tmp_path, cpu_threads=1, loras=loras).get("image")
    shown = tiny.picture(64, 64) if mode is Mode.EDIT else None
    first = Generation(
        mode, "a house", (1, 2), 64, 64, STEPS, 2.5, "fog", image=shown, loras=(("a", 1.0), ("b", 0.5))
    )
    words = "three red houses on a hill, two dogs, and snow at night"
    second = replace(
        first,
        prompt=words,
        negative_prompt="blue, and much too dark",
        guidance_scale=6.0,
        loras=(("b", -0.7),),
    )
    if name in AS_LONG:
        first = replace(first, negative_prompt="all fog")
        second = replace(second, prompt="two cat", negative_prompt="is dark")
    if not takes_loras:
        first, second = (replace(one, loras=()) for one in (first, second))
    model.loras.ensure_loaded(first.loras, Reporter())  # else one of the two would wait for a file
    passes: list[int] = []
    hook = denoiser_of(model.pipeline(mode)).register_forward_pre_hook(lambda *given: passes.append(1))
    company = [Job(replace(first, seeds=(3,))), Job(second)]
    together(model, company, [0, 0])
    hook.remove()
    assert not any(job.error for job in company)
    assert len(passes) == company[0].steps + (name in TWICE)
    alone = Job(second)
    together(model, [alone], [0])
    assert apart(company[1].latents, alone.latents) < CLOSE
