"""Every family through text-to-image, image-to-image and inpainting, loaded from a saved folder by the real
code."""

import importlib
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.errors import JobCancelled, ModelError
from core.events import Picture
from core.prompt.parameters import SAMPLERS
from core.requests import ImagineRequest, OutpaintRequest, VariationRequest
from core.settings import ROOT
from tests.support import tiny
from tests.vision.conftest import SHA, Recorder, ask, cpu_models
from vision import describe_models
from vision.diffusion import generate, vae
from vision.diffusion.model import SCHEDULERS, decode
from vision.diffusion.parameters import Generation
from vision.families import EDITORS, FAMILIES, Family, Mode
from vision.store import Models
from vision.weights import card as identify
from vision.weights import hub, memory

FAMILY_NAMES = sorted(tiny.IMAGE_MODELS)
MODES = {  # of each family
    family.name: [mode for mode in (Mode.TEXT, Mode.IMAGE, Mode.INPAINT) if family.pipeline(mode)]
    for family in FAMILIES
}
FROM_PICTURES = [name for name in FAMILY_NAMES if Mode.IMAGE in MODES[name]]
FROM_LATENTS = [family.name for family in FAMILIES if family.pack]
SAME = 2  # of 255: what the order of float32 sums may change between batch sizes


def pixels(picture: Picture) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture.data)).convert("RGB"), np.int16)


def on_white(image: Image.Image) -> Image.Image:
    whole = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return whole.convert("RGB")


def apart(a: Picture, b: Picture) -> int:
    return int(np.abs(pixels(a) - pixels(b)).max())


def test_every_family_but_the_fallback_has_a_tiny_model() -> None:
    assert {family.name for family in FAMILIES} == set(FAMILY_NAMES) | {"other"}


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_a_saved_folder_is_recognised(name: str, folders: dict[str, Path]) -> None:
    family, card = identify.family_and_card(folders[name])
    assert family.name == name
    assert (card.native_size, card.num_inference_steps) == (64, 4)


def test_a_models_noise_schedule_tells_it_from_its_distilled_kin(folders: dict[str, Path], tmp_path) -> None:
    folder = shutil.copytree(folders["z-image"], tmp_path / "base")
    assert identify.family_and_card(folder)[1].guidance_scale == 0
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "shift": 6.0}))
    assert identify.family_and_card(folder)[1].guidance_scale == 4


REQUESTS = {
    "words": (Mode.TEXT, ImagineRequest(prompt="a red house", negative_prompt="blue", seed=7)),
    "words and a picture": (Mode.IMAGE, ImagineRequest(prompt="a red house", seed=7, image=SHA)),
    "a variation": (
        Mode.IMAGE,
        VariationRequest(prompt="a red house", seed=7, image=SHA, variation="strong"),
    ),
    "a larger canvas": (
        Mode.INPAINT,
        OutpaintRequest(prompt="a red house", seed=7, image=SHA, left=32, right=16, num_images=4),
    ),
}


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        pytest.param(name, request, id=f"{name}-{what}")
        for name in FAMILY_NAMES
        for what, (mode, request) in REQUESTS.items()
        if mode in MODES[name]
    ],
)
def test_a_picture_of_a_grid_is_the_one_its_seed_makes_alone(name: str, request_, models_of) -> None:
    models, source = models_of(image=name), tiny.picture(96, 64)
    recorder = Recorder()
    four = ask(models, request_, source, recorder)
    assert [picture.seed for picture in four.pictures] == [7, 8, 9, 10]
    assert [step for step, _ in recorder.steps] == list(range(1, recorder.steps[-1][1] + 1))
    assert len(recorder.previews) == len(recorder.steps) and all(recorder.previews)
    alone = ask(models, replace(request_, seed=9, num_images=1), source).pictures[0]
    assert apart(four.pictures[2], alone) <= SAME
    assert apart(four.pictures[2], four.pictures[1]) > 20, "another seed must be another picture"


CALLS = {  # what their model cards pass besides words, size, steps and seed
    "qwen-image": {"negative_prompt": " ", "true_cfg_scale": 4.0},
    "qwen-image-2.1": {},
    "ernie-image": {"guidance_scale": 1.0, "use_pe": False},
    "krea-2": {"guidance_scale": 4.5},
    "longcat-image": {"guidance_scale": 4.5, "enable_prompt_rewrite": False},
}


@pytest.mark.parametrize("name", CALLS)
def test_a_picture_is_guided_and_decoded_as_by_diffusers_own_pipeline(name: str, models_of, folders) -> None:
    from diffusers import DiffusionPipeline

    drawn = ask(models_of(image=name), ImagineRequest(prompt="a red house", seed=7, num_images=1))
    pipe = DiffusionPipeline.from_pretrained(folders[name])
    pipe.set_progress_bar_config(disable=True)
    call = {"num_inference_steps": 4, "generator": torch.Generator().manual_seed(7), **CALLS[name]}
    picture = pipe("a red house", width=64, height=64, **call).images[0]
    assert np.abs(np.asarray(on_white(picture), np.int16) - pixels(drawn.pictures[0])).max() <= SAME


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_weights_are_shared_between_the_pipelines_of_a_model(name: str, models_of) -> None:
    model = models_of(image=name).get("image")
    pipes = [model.pipeline(mode) for mode in Mode if model.family.pipeline(mode)]
    for component in ("vae", "text_encoder", "transformer" if hasattr(pipes[0], "transformer") else "unet"):
        assert len({id(getattr(pipe, component)) for pipe in pipes}) == 1


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_a_stopped_job_leaves_the_pipeline_as_it_was(name: str, models_of: Callable[..., Models]) -> None:
    models, request = models_of(image=name), ImagineRequest(prompt="a", seed=3, num_images=1)
    before, recorder = ask(models, request), Recorder(stop_after=2)
    with pytest.raises(JobCancelled):
        ask(models, request, reporter=recorder)
    assert len(recorder.steps) == 2
    assert apart(before.pictures[0], ask(models, request).pictures[0]) == 0


def test_low_strength_stays_nearer_to_the_picture(models_of: Callable[..., Models]) -> None:
    models, source = models_of(image="stable-diffusion"), tiny.picture(64, 64)
    request = VariationRequest(prompt="a", image=SHA, num_images=1, num_inference_steps=20)
    far = [
        np.abs(pixels(ask(models, request_, source).pictures[0]) - np.asarray(source, np.int16)).mean()
        for request_ in (_with(request, variation="subtle"), _with(request, variation="strong"))
    ]
    assert far[0] < far[1]


def _with(request, **changes):
    return replace(request, **changes)


def test_a_single_safetensors_file_draws_what_its_folder_draws(folders, tmp_path) -> None:
    from diffusers import StableDiffusionPipeline

    folder, request = folders["stable-diffusion"], ImagineRequest(prompt="a cat", seed=5, num_images=1)
    tiny.save_single_file(StableDiffusionPipeline.from_pretrained(folder), tmp_path / "one.safetensors")
    (tmp_path / "one").symlink_to(folder)  # configuration and tokenizer beside it, of the same name
    models = cpu_models({"image": tmp_path / "one.safetensors"}, tmp_path / "cache", allow_download=False)
    from_folder = cpu_models({"image": folder}, tmp_path / "cache")
    assert ask(models, request).parameters["model"] == "one"
    assert apart(ask(models, request).pictures[0], ask(from_folder, request).pictures[0]) == 0


def test_a_single_file_without_configuration_says_what_is_missing(folders, tmp_path) -> None:
    from diffusers import StableDiffusionPipeline

    tiny.save_single_file(
        StableDiffusionPipeline.from_pretrained(folders["stable-diffusion"]), tmp_path / "bare.safetensors"
    )
    models = cpu_models({"image": tmp_path / "bare.safetensors"}, tmp_path / "cache", allow_download=False)
    with pytest.raises(ModelError, match="bare"):
        models.get("image")


def test_an_unknown_pipeline_is_tried_through_autopipeline(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "guided"
    shutil.copytree(folders["stable-diffusion"], folder)
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(
        json.dumps({**index, "_class_name": "StableDiffusionPAGPipeline"})
    )
    models = cpu_models({"image": folder}, tmp_path / "cache")
    output = ask(models, ImagineRequest(prompt="a", num_images=2, num_inference_steps=2))
    assert models.get("image").family.name == "other"
    assert len(output.pictures) == 2 and output.pictures[0].width == 64
    assert "none of the families" in " ".join(
        describe_models.describe_models({"image": str(folder)}, tmp_path)[0].notes
    )


def test_a_part_that_a_family_leaves_out_is_neither_needed_nor_loaded_nor_counted(folders, tmp_path) -> None:
    whole = folders["ernie-image"]
    assert (whole / "pe" / "model.safetensors").is_file(), "or nothing is tried here"
    model = cpu_models({"image": whole}, tmp_path / "cache").get("image")
    assert model.pipeline(Mode.TEXT).pe is None
    without = shutil.copytree(
        whole, tmp_path / "without", ignore=shutil.ignore_patterns("pe", "pe_tokenizer")
    )
    request = ImagineRequest(prompt="a", seed=1, num_images=1, num_inference_steps=2)
    one, other = (
        ask(cpu_models({"image": path}, tmp_path / "cache"), request).pictures[0] for path in (whole, without)
    )
    assert apart(one, other) == 0
    assert memory.bytes_in_memory(whole, 2) == memory.bytes_in_memory(without, 2)
    names = [str(path.relative_to(whole)) for path in whole.rglob("*") if path.is_file()]
    chosen = hub.choose_files(tuple(names), half=True)
    assert any(name.startswith("text_encoder/") for name in chosen)
    assert not any(name.startswith("pe") for name in chosen)


def test_a_model_with_noise_levels_of_its_own_draws_in_its_makers_steps(folders, tmp_path) -> None:
    folder = shutil.copytree(folders["qwen-image-2.1"], tmp_path / "turbo")
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, "sample_sigmas": [1.0, 0.9, 0.5]}))
    (folder / "atelier.json").write_text('{"native_size": 64}')
    recorder, models = Recorder(), cpu_models({"image": folder}, tmp_path / "cache")
    request = ImagineRequest(prompt="a", seed=1, num_images=1, num_inference_steps=9, draft=True)
    output = ask(models, request, reporter=recorder)
    assert recorder.steps == [(1, 3), (2, 3), (3, 3)] and output.parameters["num_inference_steps"] == 3
    notes = [note for note in output.parameters["notes"] if "makers' 3 steps" in note]
    assert [("--steps" in note, "--draft" in note) for note in notes] == [(True, False), (False, True)]


def test_what_a_decoder_leaves_transparent_lies_on_white(models_of) -> None:
    decoder = models_of(image="qwen-image-2.1").get("image").pipeline(Mode.TEXT).vae
    latents = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = decoder.decode(latents[:, :, None]).sample[0, :, 0]
        flat = vae.decode(decoder, latents)[0]
    share = (whole[3] + 1) / 2
    assert 0 < share.min() < share.max() <= 1, "or nothing is tried here"
    assert torch.allclose(flat, whole[:3] * share + (1 - share), atol=1e-5)


@pytest.mark.parametrize(
    "sampler",
    ["ddim", "ddpm", "deis", "dpm++", "dpm++sde", "euler", "euler_a", "heun", "lcm", "pndm", "unipc"],
)
def test_every_sampler_of_the_prompt_grammar_draws_and_repeats(sampler: str, models_of) -> None:
    request = ImagineRequest(prompt="a", seed=1, num_images=2, sampler=sampler, num_inference_steps=3)
    recorder = Recorder()
    first = ask(models_of(image="stable-diffusion"), request, reporter=recorder)
    assert first.parameters["sampler"] == sampler and not first.parameters["notes"]
    assert all(recorder.previews)
    alone = ask(models_of(image="stable-diffusion"), _with(request, seed=2, num_images=1))
    assert apart(first.pictures[1], alone.pictures[0]) <= SAME


def test_a_flow_model_says_that_it_keeps_its_own_sampler(models_of: Callable[..., Models]) -> None:
    output = ask(models_of(image="flux"), ImagineRequest(prompt="a", num_images=1, sampler="dpm++"))
    assert "sampler" not in output.parameters
    assert "`dpm++` wasn't used" in output.parameters["notes"][0]


def test_the_samplers_are_the_grammars() -> None:
    assert set(SAMPLERS) == set(SCHEDULERS)


def test_every_family_of_the_folder_is_one_that_models_are_looked_for_in() -> None:
    stems = {p.stem for p in (ROOT / "vision" / "families").glob("*.py")} - {"__init__"}
    modules = [vars(importlib.import_module(f"vision.families.{stem}")) for stem in stems]
    found = {one.name for module in modules for one in module.values() if isinstance(one, Family)}
    assert found == {family.name for family in (*FAMILIES, *EDITORS)}


@pytest.mark.parametrize("name", FROM_LATENTS)
def test_latents_of_a_picture_come_back_as_they_were(name: str, models_of: Callable[..., Models]) -> None:
    model = models_of(image=name).get("image")
    pipe = model.pipeline(Mode.IMAGE)
    with torch.no_grad():
        encoded = vae.encode_pixels(pipe.vae, vae.tensor_of(np.asarray(tiny.picture(96, 64))))
        back = model.family.unpack(pipe, model.family.pack(pipe, encoded), 64, 96)
    assert back.shape == encoded.shape
    assert torch.allclose(back, encoded, atol=1e-4 * float(encoded.abs().max()))


@pytest.mark.parametrize("name", FROM_LATENTS)
def test_where_the_mask_is_black_latents_end_as_the_pictures_are(name: str, models_of, monkeypatch) -> None:
    model, source = models_of(image=name).get("image"), tiny.picture(64, 64)
    mask = Image.new("L", (64, 64))
    mask.paste(255, (33, 0, 64, 64))  # one column of the last place on the left
    start = Generation(Mode.INPAINT, "a house", (7, 8), 64, 64, 4, 1.0, image=source, mask_image=mask)
    drawn = []
    monkeypatch.setattr(generate, "decode", lambda *args: drawn.append(args[2]) or decode(*args))
    for strength in (0.6, 1.0):
        generate.generate(model, replace(start, strength=strength), Recorder())
    pipe = model.pipeline(Mode.IMAGE)
    with torch.no_grad():
        encoded = vae.encode_pixels(pipe.vae, vae.tensor_of(np.asarray(source)))
    half = encoded.shape[-1] // 2
    assert len(drawn) == 4
    for latents in drawn:
        assert torch.allclose(latents[..., :half], encoded[..., :half], atol=1e-3)
        assert (latents[..., half:] - encoded[..., half:]).abs().mean() > 0.01


def test_a_noise_schedule_that_tells_no_share_begins_at_no_picture(folders, tmp_path) -> None:
    folder = shutil.copytree(folders["krea-2"], tmp_path / "other")
    index = json.loads((folder / "model_index.json").read_text())
    index["scheduler"] = ["diffusers", "FlowMatchHeunDiscreteScheduler"]
    (folder / "model_index.json").write_text(json.dumps(index))
    model = cpu_models({"image": folder}, tmp_path / "cache").get("image")
    assert model.has(Mode.TEXT) and not model.has(Mode.IMAGE) and not model.has(Mode.INPAINT)
