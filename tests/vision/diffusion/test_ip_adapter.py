"""IP-Adapter: a real folder is loaded, pictures act by their scale, other jobs don't notice. The adapter is
tiny and random."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from core.errors import ModelError
from core.requests import ComposeRequest, ImagineRequest, OutpaintRequest, RegionRequest, VariationRequest
from tests.support import tiny
from tests.vision.conftest import Recorder, cpu_models
from tests.vision.engine import test_engine
from tests.vision.engine.test_engine import CLOSE, Job, together
from tests.vision.engine.test_engine import apart as latents_apart
from tests.vision.families.test_families import SAME, apart, pixels
from vision.capabilities import capability
from vision.diffusion import adapters as ip_adapter
from vision.diffusion.parameters import Generation
from vision.families import Mode
from vision.store import Models
from vision.weights import files

keep_latents = test_engine.keep_latents
ONE, TWO, THREE = "a" * 64, "b" * 64, "c" * 64
REQUEST = ImagineRequest(
    prompt="a red house", seed=7, num_images=1, num_inference_steps=4, image_prompts=((ONE, 1.0),)
)
DARK, BRIGHT = Image.new("RGB", (64, 64), (8, 8, 8)), tiny.picture(64, 64)


def save_adapter(model: Path, target: Path) -> Path:
    """With the names and shapes that the UNet in ``model`` wants, as h94/IP-Adapter has them."""
    from diffusers import UNet2DConditionModel
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    unet, generator = UNet2DConditionModel.from_pretrained(model / "unet"), torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    cross = unet.config.cross_attention_dim
    tensors = {
        "image_proj.proj.weight": draw(4 * cross, 16),
        "image_proj.proj.bias": draw(4 * cross),
        "image_proj.norm.weight": torch.ones(cross),
        "image_proj.norm.bias": torch.zeros(cross),
    }
    layers = [name for name in unet.attn_processors if name.endswith("attn2.processor")]
    for number, name in enumerate(layers):
        hidden = unet.get_submodule(name.removesuffix(".processor")).to_k.out_features
        tensors |= {f"ip_adapter.{2 * number + 1}.to_{part}_ip.weight": draw(hidden, cross) for part in "kv"}
    target.mkdir()
    save_file(tensors, target / "ip-adapter.safetensors")
    torch.manual_seed(0)
    CLIPVisionModelWithProjection(CLIPVisionConfig(**tiny.VISION, projection_dim=16)).save_pretrained(
        target / "image_encoder"
    )
    return target


@pytest.fixture(scope="module")
def adapters(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("adapters")
    return {
        name: save_adapter(folders[name], root / name) for name in ("stable-diffusion", "stable-diffusion-xl")
    }


@pytest.fixture
def models(folders: dict[str, Path], adapters: dict[str, Path], tmp_path: Path) -> Models:
    return with_adapter(folders["stable-diffusion"], adapters["stable-diffusion"], tmp_path)


def with_adapter(model: Path, adapter: Path, tmp_path: Path) -> Models:
    return cpu_models({"image": model}, tmp_path, cpu_threads=1, ip_adapter=str(adapter))


def run(models: Models, request: ImagineRequest, one: Image.Image = DARK, two: Image.Image = BRIGHT):
    return capability("imagine")(request, {ONE: one, TWO: two}, models, Recorder())


@pytest.mark.parametrize("name", ["stable-diffusion", "stable-diffusion-xl"])
def test_the_picture_is_seen_and_said(name: str, folders, adapters: dict[str, Path], tmp_path) -> None:
    models = with_adapter(folders[name], adapters[name], tmp_path)
    dark, bright, plain = (
        run(models, REQUEST),
        run(models, REQUEST, BRIGHT),
        run(models, replace(REQUEST, image_prompts=())),
    )
    assert apart(dark.pictures[0], bright.pictures[0]) > 0 and apart(dark.pictures[0], plain.pictures[0]) > 0
    assert "by IP-Adapter, at scale 0.5" in dark.parameters["notes"][0] and "strength" not in dark.parameters


def test_more_image_weight_is_further_from_the_words_alone(models: Models) -> None:
    plain = pixels(run(models, replace(REQUEST, image_prompts=())).pictures[0])
    away = []
    for weight in (0.2, 1.0, 3.0):
        picture = run(models, replace(REQUEST, image_weight=weight), BRIGHT).pictures[0]
        away.append(np.abs(pixels(picture) - plain).mean())
    assert away == sorted(away) and away[0] < away[2]


def test_other_jobs_do_not_notice(models: Models) -> None:
    words = replace(REQUEST, image_prompts=())
    before = run(models, words).pictures[0].data
    first, other = run(models, REQUEST), run(models, replace(REQUEST, image_weight=3.0))
    assert run(models, words).pictures[0].data == before
    assert run(models, REQUEST).pictures[0].data == first.pictures[0].data != other.pictures[0].data, (
        "each job has its own scale"
    )
    assert models.get("image").pipeline("text-to-image").unet.encoder_hid_proj is None


def test_jobs_that_are_shown_pictures_at_one_scale_share_passes(models: Models, keep_latents) -> None:
    model, passes = models.get("image"), []
    models.attach_adapter(model, Recorder())
    first = Generation(Mode.TEXT, "a house", (1,), 64, 64, 4, 5.0, references=(DARK,), reference_scale=0.5)
    second = replace(first, prompt="two dogs", seeds=(2, 3), references=(BRIGHT,), guidance_scale=3.0)
    company, alone = [Job(first), Job(second)], [Job(first), Job(second)]
    unet = model.adapter.parts(0.5, circular=False)["unet"]
    hook = unet.register_forward_pre_hook(
        lambda _, args, given: passes.append(len(given["sample"])), with_kwargs=True
    )
    together(model, [*company, Job(replace(first, reference_scale=1.0))], [0, 0, 0])
    hook.remove()
    assert [job.error for job in company] == [None, None] and passes == [6] * company[0].steps
    for job, by_itself in zip(company, alone, strict=True):
        together(model, [by_itself], [0])
        assert latents_apart(job.latents, by_itself.latents) < CLOSE


def test_a_picture_of_a_grid_is_its_seeds_own_with_everything_on(models: Models) -> None:
    request = replace(
        REQUEST,
        image_prompts=((ONE, 1.0), (TWO, 2.0)),
        chaos=50,
        tile=True,
        negative_prompt="blue",
        num_images=3,
    )
    three, alone = run(models, request), run(models, replace(request, seed=9, num_images=1))
    assert apart(three.pictures[2], alone.pictures[0]) <= SAME
    assert (
        run(models, replace(request, hd=True, num_images=1)).pictures[0].width == 2 * alone.pictures[0].width
    )


def test_one_for_another_model_is_left_out_and_drawing_begins_at_the_picture(
    folders: dict[str, Path], adapters: dict[str, Path], tmp_path: Path
) -> None:
    models = with_adapter(folders["stable-diffusion"], adapters["stable-diffusion-xl"], tmp_path)
    assert "began at the picture" in run(models, REQUEST).parameters["notes"][0]
    models = with_adapter(folders["flux"], adapters["stable-diffusion"], tmp_path)
    assert "began at the picture" in run(models, REQUEST).parameters["notes"][0]


def test_a_folder_that_is_none_is_refused(adapters: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "image_encoder").mkdir()
    with pytest.raises(ModelError, match="0 .safetensors files"):
        ip_adapter.check_ip_adapter(tmp_path)
    save_file({"a": torch.ones(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelError):
        ip_adapter.check_ip_adapter(tmp_path)
    code = adapters["stable-diffusion"] / "image_encoder" / "modeling.py"
    code.write_text("print('ran')")
    with pytest.raises(ModelError, match="its own code"):
        ip_adapter.check_ip_adapter(adapters["stable-diffusion"])
    code.unlink()


def test_an_adapter_that_is_not_what_was_pinned_is_not_laid(folders, adapters, tmp_path) -> None:
    folder = tmp_path / "adapter"
    shutil.copytree(adapters["stable-diffusion"], folder)
    spec = f"{folder}@sha256:{files.digest(folder)}"
    (folder / "image_encoder" / "config.json").write_text(
        (folder / "image_encoder" / "config.json").read_text() + " "
    )
    models = cpu_models({"image": folders["stable-diffusion"]}, tmp_path, cpu_threads=1, ip_adapter=spec)
    with pytest.raises(ModelError, match="isn't what was pinned"):
        run(models, REQUEST)


BESIDE: dict[str, Any] = {"prompt": "a red house", "seed": 7, "num_images": 1, "num_inference_steps": 4}
FROM_A_PICTURE = (
    VariationRequest(**BESIDE, image=THREE),
    RegionRequest(**BESIDE, image=THREE, boxes=((8, 8, 40, 40),)),
    OutpaintRequest(**BESIDE, image=THREE, right=32),
    ComposeRequest(**BESIDE, canvas=(96, 64), layers=((THREE, 0.0, 0.0, 1.0, 1.0, None),)),
)


@pytest.mark.parametrize("request_", FROM_A_PICTURE, ids=lambda one: one.kind)
def test_references_act_where_drawing_begins_at_another_picture(models: Models, request_) -> None:
    images = {ONE: DARK, TWO: BRIGHT, THREE: tiny.picture(64, 64)}
    seen = []
    for given in ({}, {"style_references": ((ONE, 1.0),)}, {"character_references": ((TWO, 1.0),)}):
        output = capability(request_.kind)(replace(request_, **given), images, models, Recorder())
        seen.append((output.pictures[0].data, " ".join(output.parameters["notes"])))
    assert len({data for data, _ in seen}) == 3
    assert "IP-Adapter" not in seen[0][1]
    assert "(`--sref`) by IP-Adapter" in seen[1][1] and "(`--cref`) by IP-Adapter" in seen[2][1]


@pytest.mark.parametrize("request_", FROM_A_PICTURE, ids=lambda one: one.kind)
def test_a_model_that_cannot_be_shown_references_says_so(folders, tmp_path: Path, request_) -> None:
    models = cpu_models({"image": folders["stable-diffusion"]}, tmp_path, cpu_threads=1)
    images = {ONE: DARK, THREE: tiny.picture(64, 64)}
    with_style = replace(request_, style_references=((ONE, 1.0),))
    found = [capability(one.kind)(one, images, models, Recorder()) for one in (request_, with_style)]
    assert found[0].pictures[0].data == found[1].pictures[0].data
    notes = [" ".join(output.parameters["notes"]) for output in found]
    assert "they had no effect" in notes[1] and "they had no effect" not in notes[0]
