"""Compiled denoisers: the same pictures as plain ones, and plain ones wherever compiling can't go."""

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch._dynamo.utils import counters

from tests.support import tiny
from tests.vision.diffusion.test_loras import save_lora
from tests.vision.engine import test_engine
from tests.vision.engine.test_engine import CLOSE, MODES, Job, apart, generation, plain, together
from vision.diffusion import model as compiled
from vision.diffusion.model import ImageModel
from vision.diffusion.parameters import Generation
from vision.families import Mode
from vision.protocol import WorkerConfig
from vision.store import Models
from vision.worker import main

keep_latents = test_engine.keep_latents
QUICK = {
    "dynamic": True,
    "backend": "eager",
}  # torch's tracing and its guards without a compiler: seconds less
# Warmed up with SEVERAL rows, a model compiles half as much, and takes any number but 1. COLD, nothing is
# compiled before the first pass.
EVERY, SEVERAL, COLD = compiled.ROWS, (2,), ()
G = Generation(Mode.TEXT, "a red house", (1,), 64, 64, 3, 7.5)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    torch.compiler.reset()
    counters.clear()
    yield
    torch.compiler.reset()


@pytest.fixture
def load(folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Models]:
    def models(name: str, **more) -> Models:
        given = {"models": {"image": str(folders[name])}, "compile": "on", **more}
        return Models(WorkerConfig("cpu", cache_dir=str(tmp_path), cpu_threads=1, **given))

    monkeypatch.setattr(compiled, "OPTIONS", QUICK)
    monkeypatch.setattr(compiled, "ROWS", SEVERAL)
    return models


def graphs() -> int:
    """How many pieces torch has compiled since the test began."""
    return counters["stats"]["unique_graphs"]


@pytest.mark.slow
def test_one_picture_or_several_are_drawn_without_compiling_again(load, keep_latents, monkeypatch) -> None:
    monkeypatch.setattr(compiled, "ROWS", EVERY)
    model = load("stable-diffusion").get("image")
    made = graphs()
    assert 1 <= made <= len(compiled.ROWS)
    for count in (1, 2, 3):
        job = Job(replace(G, guidance_scale=1.0, seeds=tuple(range(count))))
        together(model, [job], [0])
        assert job.error is None and len(job.latents) == count
    assert graphs() == made, "three numbers of rows, and nothing was compiled for them"


@pytest.mark.inductor
def test_compiled_by_inductor_a_picture_is_the_plain_one_in_any_company_and_for_good(
    load, keep_latents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "OPTIONS", {"dynamic": True})
    monkeypatch.setattr("torch._inductor.config.compile_threads", 1)  # else each of several imports torch
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    model = load("stable-diffusion").get("image")
    assert model.compiled is not None and graphs() == 1
    for count in (2, 3):
        job = Job(replace(G, guidance_scale=1.0, seeds=tuple(range(count))))
        together(model, [job], [0])
        assert job.error is None and apart(job.latents, plain(model, job.generation)) < CLOSE
    assert graphs() == 1
    torch.compiler.reset()
    counters.clear()
    load("stable-diffusion").get("image")
    assert (
        counters["inductor"]["fxgraph_cache_hit"] >= 1 and not counters["inductor"]["fxgraph_cache_miss"]
    ), "another process finds it on disk"


@pytest.mark.parametrize(
    "name",
    [
        "stable-diffusion",
        *(
            pytest.param(name, marks=pytest.mark.long)
            for name in ("stable-diffusion-xl", "flux", "z-image", "flux2-klein")
        ),
    ],
)
def test_shared_steps_draw_what_the_plain_pipeline_draws(name: str, load, keep_latents) -> None:
    model, rng = load(name).get("image"), random.Random(name)
    made = graphs()
    jobs = [Job(replace(generation(rng, mode), seeds=(3, 4))) for mode in (*MODES, Mode.TEXT)]
    together(model, jobs, [0] * len(jobs))
    for job in jobs:
        assert job.error is None and apart(job.latents, plain(model, job.generation)) < CLOSE
    assert made and model.compiled is not None
    assert name == "z-image" or graphs() == made, (
        "all was compiled while it was loaded"
    )  # it pads texts of several lengths only when they meet


def drawn(model: ImageModel, *generations: Generation) -> list[list[torch.Tensor]]:
    jobs = [Job(g) for g in generations]
    together(model, jobs, [0] * len(jobs))
    assert all(job.error is None for job in jobs)
    return [job.latents for job in jobs]


def passes_of(module: torch.nn.Module) -> list[int]:
    """Grows by the rows of each pass of ``module``."""
    seen: list[int] = []
    forward = module.forward

    def counted(**kwargs):
        seen.append(len(kwargs["sample"]))
        return forward(**kwargs)

    module.forward = counted
    return seen


@pytest.mark.slow
def test_jobs_that_need_another_denoiser_have_the_plain_one_beside_compiled_ones(
    load, keep_latents, tmp_path: Path
) -> None:
    save_lora("stable-diffusion", tmp_path / "a.safetensors", 0, ("unet",))
    loras = {"a": str(tmp_path / "a.safetensors")}
    bare, model = (
        load("stable-diffusion", compile=setting, loras=loras).get("image") for setting in ("off", "on")
    )
    made, seen = graphs(), passes_of(model.compiled)
    for g in (replace(G, loras=(("a", 0.8),)), replace(G, seamless=True)):
        before = len(seen)
        alone, wanted = drawn(model, g)[0], drawn(bare, g)[0]
        assert torch.equal(alone[0], wanted[0]) and len(seen) == before, "to the bit: it was the plain one"
        beside = drawn(model, g, G)
        assert apart(beside[0], wanted) < CLOSE and len(seen) == before + G.num_inference_steps
        assert apart(beside[1], drawn(bare, G)[0]) < CLOSE
        assert apart(wanted, drawn(bare, G)[0]) > 10 * CLOSE, "there is something to see"
    assert graphs() == made


def test_first_block_cache_goes_without(folders: dict[str, Path], tmp_path: Path, load, caplog) -> None:
    shutil.copytree(folders["flux"], tmp_path / "flux")
    (tmp_path / "flux" / "atelier.json").write_text(json.dumps({**tiny.CARD, "cache_threshold": 0.2}))
    model = load("flux", models={"image": str(tmp_path / "flux")}).get("image")
    assert model.compiled is None and "isn't compiled" in caplog.text and not graphs()


def fails(*_: object) -> None:
    raise RuntimeError("no compiler here\nand more")


def test_where_compiling_fails_the_plain_denoiser_draws_and_one_line_says_so(
    load, keep_latents, caplog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "OPTIONS", {"dynamic": True, "backend": fails})
    model = load("stable-diffusion").get("image")
    assert model.compiled is None
    assert torch.equal(drawn(model, G)[0][0], plain(model, G)[0])
    assert len(lines := [r for r in caplog.records if "compiled" in r.getMessage()]) == 1
    assert "no compiler here" in lines[0].getMessage()


def test_where_it_fails_later_jobs_that_have_begun_go_on_too(load, keep_latents, caplog, monkeypatch) -> None:
    monkeypatch.setattr(compiled, "ROWS", COLD)
    model = load("stable-diffusion").get("image")
    copied, calls = model.compiled, []

    def late(graph: torch.fx.GraphModule, inputs: list) -> None:
        calls.append(1)
        fails()

    for block in copied.modules():
        if type(block).__name__ == "BasicTransformerBlock":
            block.compile(dynamic=True, backend=late)
    torch.compiler.reset()
    got = drawn(model, G, replace(G, seeds=(2,)))
    assert calls and model.compiled is None and caplog.text.count("continues uncompiled") == 1
    assert apart(got[0], plain(model, G)) < CLOSE
    assert apart(got[1], plain(model, replace(G, seeds=(2,)))) < CLOSE


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory."), ValueError("the request's own")]
)
def test_what_is_not_compilings_fault_is_raised_and_changes_nothing(
    error: Exception, load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "ROWS", COLD)
    model = load("stable-diffusion").get("image")

    def broken(*args: object, **kwargs: object) -> None:
        raise error

    if not isinstance(error, torch.OutOfMemoryError):  # which the plain one may not meet
        model.pipeline(Mode.TEXT).unet.conv_in.forward = broken
    model.compiled.conv_in.forward = broken
    with pytest.raises(type(error)):
        model.compiled(
            sample=torch.zeros(2, 4, 8, 8),
            timestep=torch.ones(2),
            encoder_hidden_states=torch.zeros(2, 77, 32),
        )
    assert model.compiled is not None


def test_auto_means_cuda_cards() -> None:
    asked = [
        (setting, device)
        for setting in ("off", "auto", "on")
        for device in ("cpu", "cuda:0", "mps")
        if compiled.wants_compiling(setting, device)
    ]
    assert asked == [("auto", "cuda:0"), ("on", "cpu"), ("on", "cuda:0"), ("on", "mps")]


def test_a_worker_keeps_what_it_compiles_with_the_other_caches(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(os, "environ", {})
    main.prepare_environment(WorkerConfig("cpu", {}, str(tmp_path)))
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "inductor")
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = "/the/hosts/own"
    main.prepare_environment(WorkerConfig("cpu", {}, str(tmp_path)))
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "/the/hosts/own"
