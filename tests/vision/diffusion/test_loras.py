"""LoRAs: each job's own, several in one pass, and none where none was asked for."""

import random
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers.utils import convert_state_dict_to_diffusers
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model
from safetensors.torch import load_file

from core.errors import ModelError, UserError
from core.requests import ImagineRequest
from tests.support import tiny
from tests.vision.conftest import ask, cpu_models
from tests.vision.engine import test_engine
from tests.vision.engine.test_engine import CLOSE, Job, apart, generation, plain, together
from tests.vision.families.test_families import apart as pictures_apart
from vision.diffusion import generate, loras, task
from vision.diffusion.model import ImageModel
from vision.diffusion.parameters import Generation
from vision.families import Mode
from vision.reporter import Reporter
from vision.store import Models
from vision.weights import files
from vision.weights.card import Draft, StyleCard

keep_latents = test_engine.keep_latents
TARGETS = {
    "unet": ["to_q", "to_k", "to_v", "to_out.0", "conv1"],
    "transformer": ["to_q", "to_v"],
    "text_encoder": ["q_proj", "v_proj"],
}


def save_lora(
    family: str,
    path: Path,
    seed: int,
    parts: tuple[str, ...],
    scale: float = 0.5,
    targets: Sequence[str] = (),
) -> None:
    """A random LoRA that can be seen, written as diffusers writes them. targets: the layers that it
    changes, if not the part's usual ones."""
    pipe = tiny.IMAGE_MODELS[family]()
    torch.manual_seed(seed)
    given = {}
    for part in parts:
        module = getattr(pipe, part)
        inject_adapter_in_model(
            LoraConfig(
                r=4, lora_alpha=4, target_modules=list(targets or TARGETS[part]), init_lora_weights=False
            ),
            module,
        )
        state = {name: value * scale for name, value in get_peft_model_state_dict(module).items()}
        given[f"{part}_lora_layers"] = (
            convert_state_dict_to_diffusers(state) if part == "text_encoder" else state
        )
    type(pipe).save_lora_weights(path.parent, weight_name=path.name, **given)


@pytest.fixture(scope="module")
def models(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Models]:
    """Family → Models of this file's own, with LoRAs a, b and words."""
    made = {}
    for family, part in {
        "stable-diffusion": "unet",
        "stable-diffusion-xl": "unet",
        "flux": "transformer",
    }.items():
        folder = tmp_path_factory.mktemp(family)
        for i, (name, parts) in enumerate(
            {"a": (part,), "b": (part,), "words": (part, "text_encoder")}.items()
        ):
            save_lora(family, folder / f"{name}.safetensors", i, parts)
        named = {name: str(folder / f"{name}.safetensors") for name in ("a", "b", "words")}
        made[family] = cpu_models({"image": folders[family]}, folder, cpu_threads=1, loras=named)
    return made


def fold_in(encoder: torch.nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    """Add up · down to the weights: what a LoRA of an encoder means, by hand."""
    for name, module in encoder.named_modules():
        for key in (
            f"text_encoder.{name}.lora_linear_layer",
            f"text_encoder.text_model.{name}.lora_linear_layer",
        ):
            if f"{key}.up.weight" in tensors:
                module.weight.data += tensors[f"{key}.up.weight"] @ tensors[f"{key}.down.weight"]


def diffusers_own(models: Models, folders: dict[str, Path], family: str, g) -> list[torch.Tensor]:
    """By a pipeline that nobody else touches, with diffusers' own way to load and weigh LoRAs."""
    model = Models(replace(models.config, loras={})).get("image")
    pipe = model.pipeline(Mode.TEXT)
    for name, weight in g.loras:
        tensors = load_file(models.config.loras[name])
        fold_in(
            pipe.text_encoder,
            tensors | {key: value * weight for key, value in tensors.items() if "down" in key},
        )
        warnings.filterwarnings("ignore", "Already found a `peft_config`")
        pipe.load_lora_weights(
            {key: value for key, value in tensors.items() if "text_encoder" not in key}, adapter_name=name
        )
    if g.loras:
        pipe.set_adapters([name for name, _ in g.loras], [weight for _, weight in g.loras])
    return plain(model, g)


CHOICES = [(), (("a", 1.0),), (("b", 0.7),), (("a", 0.5), ("b", -0.4)), (("words", 1.0),)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "family", ["stable-diffusion", "flux", pytest.param("stable-diffusion-xl", marks=pytest.mark.long)]
)
def test_jobs_with_different_loras_share_passes_and_draw_what_diffusers_draws(
    family: str, models, folders, keep_latents
) -> None:
    rng, own = random.Random(2), models[family]
    model: ImageModel = own.get("image")
    first = generation(rng, Mode.TEXT)
    jobs = [
        Job(replace(first, loras=choice, seeds=(i, i + 1), num_inference_steps=4 + i % 2))
        for i, choice in enumerate(CHOICES)
    ]
    together(model, jobs, [0, 1, 1, 1, 2])
    wanted = [diffusers_own(own, folders, family, job.generation) for job in jobs]
    for job, drawn in zip(jobs, wanted, strict=True):
        assert job.error is None
        assert apart(job.latents, drawn) < CLOSE, job.generation.loras
    bare = diffusers_own(own, folders, family, replace(jobs[1].generation, loras=()))
    assert apart(jobs[1].latents, bare) > 10 * CLOSE, "the LoRA can be seen"


@pytest.mark.parametrize(
    ("family", "own", "other"),
    [
        ("ernie-image", "self_attention.to_v", "up_proj"),
        ("krea-2", "transformer_blocks.0.ff.up", "text_fusion.layerwise_blocks.0.ff.up"),
        ("qwen-image-2.1", "to_v", "modulation.1"),
    ],
)
def test_what_changes_layers_with_other_rows_shares_passes_with_its_like_alone(
    family: str, own: str, other: str, folders, tmp_path, keep_latents
) -> None:
    save_lora(family, tmp_path / "a.safetensors", 0, ("transformer",), 4.0, (own,))
    save_lora(family, tmp_path / "all.safetensors", 1, ("transformer",), 4.0, (own, other))
    named = {name: str(tmp_path / f"{name}.safetensors") for name in ("a", "all")}
    models = cpu_models({"image": folders[family]}, tmp_path / "cache", cpu_threads=1, loras=named)
    model, passes = models.get("image"), []
    transformer = model.pipeline(Mode.TEXT).transformer
    transformer.register_forward_hook(lambda module, given, output: passes.append(len(output[0])))
    choices = [(), (("a", 1.0),), (("all", 1.0),), (("all", 1.0),)]
    model.loras.ensure_loaded((("a", 1.0), ("all", 1.0)), Reporter())
    jobs = [Job(Generation(Mode.TEXT, "b", (i,), 64, 64, 3, 0.0, loras=one)) for i, one in enumerate(choices)]
    together(model, jobs, [0] * 4)
    assert passes == [2] * 6, "those two, and the others"
    for job in jobs:
        alone = Job(job.generation)
        together(model, [alone], [0])
        assert job.error is None and apart(job.latents, alone.latents) < CLOSE
        bare = Job(replace(job.generation, loras=()))
        together(model, [bare], [0])
        assert (apart(job.latents, bare.latents) > 5 * CLOSE) is bool(job.generation.loras)


def test_after_loras_a_job_without_draws_the_same_bits_as_before(models, keep_latents) -> None:
    model = Models(models["stable-diffusion"].config).get("image")
    g = generation(random.Random(2), Mode.TEXT)
    before, after = Job(g), Job(g)
    together(model, [before], [0])
    together(model, [Job(replace(g, loras=(("words", 1.0), ("b", 1.0))))], [0])
    together(model, [after], [0])
    assert all(torch.equal(a, b) for a, b in zip(before.latents, after.latents, strict=True))


def test_a_lora_of_words_only_changes_what_its_job_reads(models) -> None:
    """Embeddings are remembered: those with a LoRA in the text encoder must not be taken for those
    without."""
    request = ImagineRequest(prompt="a castle", seed=3, num_images=1, num_inference_steps=2)
    own = models["stable-diffusion"]
    first, with_lora, again = (
        ask(own, request),
        ask(own, replace(request, loras=(("words", 1.0),))),
        ask(own, request),
    )
    assert pictures_apart(first.pictures[0], again.pictures[0]) == 0
    assert pictures_apart(first.pictures[0], with_lora.pictures[0]) > 2


def test_a_lora_acts_on_seamless_patterns_too(models) -> None:
    request = ImagineRequest(prompt="a castle", seed=3, num_images=1, num_inference_steps=2, tile=True)
    own = Models(models["stable-diffusion"].config)
    plain_, with_lora, again = (
        ask(own, request),
        ask(own, replace(request, loras=(("a", 1.0),))),
        ask(own, request),
    )
    assert pictures_apart(plain_.pictures[0], again.pictures[0]) == 0
    assert pictures_apart(plain_.pictures[0], with_lora.pictures[0]) > 2


def test_an_unknown_lora_is_the_users_to_mend_and_the_known_ones_are_told(models) -> None:
    with pytest.raises(UserError, match="`lora` is `ink`; it takes one of: a, b, words"):
        ask(models["stable-diffusion"], ImagineRequest(prompt="a", loras=(("ink", 1.0),)))


def test_a_lora_of_another_family_is_told_and_leaves_nothing_behind(models, folders, tmp_path) -> None:
    config = replace(models["stable-diffusion"].config, loras={"xl": models["flux"].config.loras["a"]})
    own, request = Models(config), ImagineRequest(prompt="a", seed=1, num_images=1)
    before = ask(own, request)
    with pytest.raises(UserError, match="doesn't fit"):
        ask(own, replace(request, loras=(("xl", 1.0),)))
    assert pictures_apart(before.pictures[0], ask(own, request).pictures[0]) == 0


def test_only_so_many_are_kept_and_none_in_use_is_given_up(models, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loras, "MAX_LOADED", 2)
    model = Models(models["stable-diffusion"].config).get("image")
    reporter = Reporter()
    model.loras.ensure_loaded((("a", 1.0), ("b", 1.0)), reporter)
    with model.loras.in_use((("a", 1.0),)):
        model.loras.ensure_loaded((("words", 1.0),), reporter)
        assert set(model.loras.adapters) == {"a", "words"}


def test_a_lora_is_not_given_up_while_the_jobs_second_one_is_read(models, monkeypatch) -> None:
    monkeypatch.setattr(loras, "MAX_LOADED", 1)
    model, g = Models(models["stable-diffusion"].config).get("image"), generation(random.Random(2), Mode.TEXT)
    read = model.loras.read_file

    def beside_another_job(name: str, reporter: Reporter) -> tuple:
        if name == "b":
            model.loras.ensure_loaded((("words", 1.0),), Reporter())
        return read(name, reporter)

    monkeypatch.setattr(model.loras, "read_file", beside_another_job)
    assert generate.generate(model, replace(g, loras=(("a", 1.0), ("b", 1.0))), Reporter()).images


def test_a_file_that_is_no_lora_is_told(folders: dict[str, Path], tmp_path: Path) -> None:
    file = folders["stable-diffusion"] / "unet" / "diffusion_pytorch_model.safetensors"
    own = cpu_models({"image": folders["stable-diffusion"]}, tmp_path, loras={"x": str(file)})
    with pytest.raises(ModelError, match="isn't a LoRA"):
        ask(own, ImagineRequest(prompt="a", loras=(("x", 1.0),)))


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({}, (("ink", 0.8),)),
        ({"stylize": 50}, (("ink", 0.4),)),
        ({"stylize": 0}, ()),
        ({"raw": True}, ()),
        ({"stylize": 1000}, (("ink", 2.0),)),
        ({"loras": (("ink", 0.1), ("a", 0.5), ("a", 0.25))}, (("a", 0.75), ("ink", 0.1))),
    ],
)
def test_the_house_style_may_be_a_lora(asked: dict, wanted: tuple, models) -> None:
    card = replace(models["stable-diffusion"].get("image").card, style=StyleCard(lora="ink"))
    assert dict(task.loras(ImagineRequest(prompt="a", **asked), card)) == pytest.approx(dict(wanted))


def test_a_draft_may_have_a_lora_for_few_steps_and_its_sampler(models) -> None:
    model = Models(models["stable-diffusion"].config).get("image")
    model.card = replace(model.card, draft=Draft(2, 1.0, lora="a", weight=0.9, sampler="lcm"))
    plain_ = task.prepare(ImagineRequest(prompt="a"), model, Mode.TEXT, (64, 64)).generation
    draft = task.prepare(ImagineRequest(prompt="a", draft=True), model, Mode.TEXT, (64, 64)).generation
    own = task.prepare(
        ImagineRequest(prompt="a", draft=True, sampler="euler", loras=(("a", 0.2),)),
        model,
        Mode.TEXT,
        (64, 64),
    ).generation
    assert (plain_.loras, plain_.sampler) == ((), None)
    assert (draft.loras, draft.sampler, draft.num_inference_steps) == ((("a", 0.9),), "lcm", 2)
    assert (own.loras, own.sampler) == ((("a", 0.2),), "euler")


def test_a_lora_that_is_not_what_was_pinned_is_not_read(models: dict[str, Models], tmp_path: Path) -> None:
    own = models["stable-diffusion"]
    file = tmp_path / "ink.safetensors"
    file.write_bytes(Path(own.config.loras["a"]).read_bytes())
    own = Models(replace(own.config, loras={"ink": f"{file}@sha256:{files.digest(file)}"}))
    assert own.loader.lora("ink", Reporter()) == file
    file.write_bytes(
        Path(own.config.models["image"]).joinpath("unet/diffusion_pytorch_model.safetensors").read_bytes()
    )
    with pytest.raises(ModelError, match="isn't what was pinned"):
        own.loader.lora("ink", Reporter())


def test_a_lora_folder_that_brings_code_is_not_read(models: dict[str, Models], tmp_path: Path) -> None:
    own = models["stable-diffusion"]
    (tmp_path / "pytorch_lora_weights.safetensors").write_bytes(Path(own.config.loras["a"]).read_bytes())
    (tmp_path / "setup.py").write_text("")
    with pytest.raises(ModelError, match="its own code"):
        Models(replace(own.config, loras={"ink": str(tmp_path)})).loader.lora("ink", Reporter())
