"""ControlNet: a real folder is loaded, edges act as in diffusers' own pipelines, other jobs don't notice. The
ControlNet is tiny and random."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from core.errors import ModelError
from core.requests import VariationRequest
from tests.support import tiny
from tests.vision.conftest import Recorder
from tests.vision.diffusion.test_ip_adapter import adapters  # noqa: F401
from tests.vision.engine.test_engine import CLOSE, Crowd, Job, begin, keep_latents, together  # noqa: F401
from tests.vision.engine.test_engine import apart as distance
from tests.vision.families.test_families import SAME, apart
from vision.capabilities import capability
from vision.diffusion import adapters as controlnet
from vision.diffusion.adapters import SCALE, ControlledUNet
from vision.diffusion.generate import generate
from vision.diffusion.parameters import Generation
from vision.families import Mode
from vision.images.ops import edges
from vision.protocol import WorkerConfig
from vision.store import Models

ONE = "a" * 64
REQUEST = VariationRequest(
    prompt="in clay", seed=7, num_images=1, num_inference_steps=4, image=ONE, keep_structure=True
)
FAMILIES = ["stable-diffusion", "stable-diffusion-xl"]


def save_controlnet(model: Path, target: Path) -> Path:
    """For the UNet in ``model``, with random layers where a fresh one has zeros."""
    unet = diffusers.UNet2DConditionModel.from_pretrained(model / "unet")
    steps = 2 ** (len(diffusers.AutoencoderKL.load_config(model / "vae")["block_out_channels"]) - 1)
    channels = tuple(8 for _ in range(steps.bit_length()))  # halves the edges as often as the VAE a picture
    made = diffusers.ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=channels)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    made.save_pretrained(target)
    return target


@pytest.fixture(scope="module")
def controlnets(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("controlnets")
    return {name: save_controlnet(folders[name], root / name) for name in FAMILIES}


def with_controlnet(model: Path, folder: Path | str, cache: Path, **more: Any) -> Models:
    config = WorkerConfig("cpu", {"image": str(model)}, str(cache), cpu_threads=1, controlnet=str(folder))
    return Models(replace(config, **more))


@pytest.fixture
def models(folders: dict[str, Path], controlnets: dict[str, Path], tmp_path: Path) -> Models:
    return with_controlnet(folders["stable-diffusion"], controlnets["stable-diffusion"], tmp_path)


def run(models: Models, request: VariationRequest = REQUEST, image: Image.Image | None = None) -> Any:
    return capability("variation")(request, {ONE: image or tiny.picture(64, 64)}, models, Recorder())


@pytest.mark.parametrize("name", FAMILIES)
def test_edges_act_as_in_the_pipelines_of_diffusers(name: str, folders, controlnets, tmp_path) -> None:
    models = with_controlnet(folders[name], controlnets[name], tmp_path)
    model = models.get("image")
    models.attach_controlnet(model, Recorder())
    start, side = tiny.picture(64, 64), model.card.native_size
    start = start.resize((side, side))
    lines = edges(start)
    generation = Generation(
        Mode.IMAGE, "in clay", (7,), side, side, 4, 3.0, image=start, strength=0.9, edges=lines
    )
    ours = generate(model, generation, Recorder()).images[0]

    parts = model.pipeline(Mode.IMAGE).components
    kind = getattr(diffusers, f"StableDiffusion{'XL' if 'xl' in name else ''}ControlNetImg2ImgPipeline")
    known = kind.__init__.__annotations__
    net = diffusers.ControlNetModel.from_pretrained(controlnets[name])
    given = {key: value for key, value in parts.items() if key in known}
    given |= {} if "xl" in name else {"requires_safety_checker": False}
    pipe = kind(**given, controlnet=net)
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = model.scheduler(None)
    asked = {"prompt": "in clay", "image": start, "control_image": lines, "width": side, "height": side}
    theirs = pipe(
        **asked,
        strength=0.9,
        num_inference_steps=4,
        guidance_scale=3.0,
        controlnet_conditioning_scale=SCALE,
        generator=torch.Generator().manual_seed(7),
    ).images[0]
    gap = np.abs(np.asarray(ours, np.int16) - np.asarray(theirs, np.int16)).max()
    assert gap <= SAME, gap
    without = generate(model, replace(generation, edges=None), Recorder()).images[0]
    assert np.abs(np.asarray(ours, np.int16) - np.asarray(without, np.int16)).max() > SAME


def jobs_of(model: Any) -> list[Job]:
    """Two with edges of other pictures, words, steps and seeds, and one without."""
    side = model.card.native_size
    starts = [tiny.picture(side, side, seed=seed) for seed in (1, 2)]
    shown, others = ({"image": start, "edges": edges(start)} for start in starts)
    one = Generation(Mode.IMAGE, "in clay", (7, 8), side, side, 4, 3.0, strength=0.9, **shown)
    other = replace(one, prompt="b", seeds=(50,), num_inference_steps=6, sampler="heun", **others)
    return [Job(one), Job(other), Job(replace(one, edges=None))]


@pytest.mark.parametrize("name", FAMILIES)
def test_jobs_with_edges_share_passes_and_draw_what_they_draw_alone(
    name: str,
    folders: dict[str, Path],
    controlnets: dict[str, Path],
    tmp_path: Path,
    keep_latents: None,  # noqa: F811
) -> None:
    models = with_controlnet(folders[name], controlnets[name], tmp_path)
    model = models.get("image")
    models.attach_controlnet(model, Recorder())
    company, shared = jobs_of(model), []

    class Watched(Crowd):
        def _choose(self, waiting):
            chosen = super()._choose(waiting)
            shared.append({isinstance(fiber.waits_for.module, ControlledUNet) for fiber in chosen})
            sizes.append(len(chosen))
            return chosen

    sizes: list[int] = []
    engine = Watched()
    for job in company:
        begin(engine, model, job)
    while engine.fibers:
        engine.tick()
    assert max(sizes) == 2 and all(len(kinds) == 1 for kinds in shared), (
        "jobs without edges are by themselves"
    )
    for job, alone in zip(company, jobs_of(model), strict=True):
        together(model, [alone], [0])
        assert job.error is None and distance(job.latents, alone.latents) < CLOSE


def test_in_exact_mode_no_bit_depends_on_company(models: Models, keep_latents: None) -> None:  # noqa: F811
    model = models.get("image")
    models.attach_controlnet(model, Recorder())
    company = jobs_of(model)
    together(model, company, [0, 1, 2], exact=True)
    for job, alone in zip(company, jobs_of(model), strict=True):
        together(model, [alone], [0], exact=True)
        assert all(torch.equal(a, b) for a, b in zip(alone.latents, job.latents, strict=True))


def test_the_result_says_how_the_shapes_were_kept(models: Models) -> None:
    by_edges = run(models)
    assert "by their edges (ControlNet)" in by_edges.parameters["notes"][0]
    assert by_edges.parameters["keep_structure"] == "ControlNet" and by_edges.parameters["strength"] == 0.9
    plain = run(models, replace(REQUEST, keep_structure=False))
    assert "keep_structure" not in plain.parameters
    assert not [note for note in plain.parameters["notes"] if "ControlNet" in note]
    assert run(models, replace(REQUEST, strength=0.5)).parameters["strength"] == 0.5


def test_without_a_controlnet_it_is_image_to_image(models_of: Any) -> None:
    models = models_of(image="stable-diffusion")
    found = run(models)
    assert "by image-to-image" in found.parameters["notes"][0]
    assert (found.parameters["keep_structure"], found.parameters["strength"]) == ("image-to-image", 0.45)
    same = run(models, replace(REQUEST, keep_structure=False, strength=0.45))
    assert apart(found.pictures[0], same.pictures[0]) == 0


def test_other_jobs_do_not_notice(models: Models) -> None:
    plain = replace(REQUEST, keep_structure=False)
    before = run(models, plain).pictures[0].data
    first, tiled = run(models), run(models, replace(REQUEST, tile=True))
    assert run(models, plain).pictures[0].data == before
    assert run(models).pictures[0].data == first.pictures[0].data != tiled.pictures[0].data


def test_one_for_other_models_or_that_is_gone_leaves_image_to_image(folders, controlnets, tmp_path) -> None:
    other = with_controlnet(folders["stable-diffusion"], controlnets["stable-diffusion-xl"], tmp_path)
    assert run(other).parameters["keep_structure"] == "image-to-image"
    gone = with_controlnet(folders["stable-diffusion"], tmp_path / "gone", tmp_path)
    notes = run(gone).parameters["notes"]
    assert "can't be loaded" in notes[0] and "by image-to-image" in notes[1]


def test_anything_else_is_refused(folders, controlnets: dict[str, Path], models, tmp_path) -> None:
    pipe = models.get("image").pipeline(Mode.IMAGE)
    with pytest.raises(ModelError, match="isn't a ControlNet"):
        controlnet.ControlNet(pipe, folders["clip"])
    with pytest.raises(ModelError, match="for other models: .*cross_attention_dim"):
        controlnet.ControlNet(pipe, controlnets["stable-diffusion-xl"])
    poisoned = tmp_path / "poisoned"
    shutil.copytree(controlnets["stable-diffusion"], poisoned)
    (poisoned / "evil.py").write_text("raise SystemExit")
    with pytest.raises(ModelError, match="brings its own code"):
        controlnet.ControlNet(pipe, poisoned)
    (poisoned / "evil.py").unlink()
    [weights] = poisoned.glob("*.safetensors")
    tensors = load_file(weights)
    tensors.popitem()
    save_file(tensors, weights)
    with pytest.raises(ModelError, match="lacks weights|doesn't load"):
        controlnet.ControlNet(pipe, poisoned)


def test_a_style_and_the_shapes_are_kept_together(
    folders: dict[str, Path],
    controlnets: dict[str, Path],
    adapters: dict[str, Path],  # noqa: F811
    tmp_path: Path,
) -> None:
    name, dark = "stable-diffusion", "b" * 64
    models = with_controlnet(folders[name], controlnets[name], tmp_path, ip_adapter=str(adapters[name]))
    images = {ONE: tiny.picture(64, 64), dark: Image.new("RGB", (64, 64), (20, 20, 20))}
    seen = []
    for keep in (False, True):
        for style in ((), ((dark, 1.0),)):
            request = replace(REQUEST, keep_structure=keep, style_references=style, strength=0.9)
            output = capability("variation")(request, images, models, Recorder())
            notes = " ".join(output.parameters["notes"])
            assert ("ControlNet" in notes, "IP-Adapter" in notes) == (keep, bool(style))
            seen.append(output.pictures[0].data)
    assert len(set(seen)) == 4
