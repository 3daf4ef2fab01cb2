"""First-Block-Cache beside other requests: the same steps are skipped as alone, to the same bits, and nothing
is left behind."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import FluxTransformer2DModel

from tests.support import tiny
from tests.vision.conftest import cpu_models
from tests.vision.diffusion.test_checkpoint import Kept
from tests.vision.engine import test_engine
from tests.vision.engine.test_engine import Job, together
from vision.diffusion.generate import generate
from vision.diffusion.model import ImageModel
from vision.diffusion.parameters import Generation
from vision.engine import denoiser
from vision.families import Mode

keep_latents = test_engine.keep_latents
G = Generation(Mode.TEXT, "a red house", (1,), 64, 64, 12, 3.5)
JOBS = [
    G,
    replace(G, prompt="b", seeds=(5, 6), num_inference_steps=18, guidance_scale=2.0),
    replace(G, seeds=(9,), num_inference_steps=8),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny FLUX.1 with blocks to skip."""
    folder = tmp_path_factory.mktemp("flux")
    torch.manual_seed(4)  # what is skipped depends on the words' encoder, too
    pipe = tiny.flux()
    torch.manual_seed(1)
    pipe.transformer = FluxTransformer2DModel.from_config(
        pipe.transformer.config, num_layers=3, num_single_layers=3
    )
    pipe.save_pretrained(folder)
    return folder


def load(folder: Path, threshold: float) -> ImageModel:
    (folder / "atelier.json").write_text(json.dumps({**tiny.CARD, "cache_threshold": threshold}))
    return cpu_models({"image": folder}, folder / "cache", cpu_threads=1).get("image")


@contextmanager
def deep_blocks(model: ImageModel) -> Iterator[list]:
    """An entry for each time the last block really runs."""
    seen: list = []
    last = model.pipeline(Mode.TEXT).transformer.single_transformer_blocks[-1]
    hook = last.attn.register_forward_hook(lambda *_: seen.append(1))
    yield seen
    hook.remove()


def drawn(model: ImageModel, jobs: list[Job], arrivals: list[int]) -> int:
    """How often the last block ran."""
    with deep_blocks(model) as seen:
        together(model, jobs, arrivals)
    assert all(job.error is None for job in jobs)
    return len(seen)


def states(model: ImageModel) -> int:
    return denoiser.forget_shared(model.pipeline(Mode.TEXT).transformer, "")


@pytest.mark.slow
def test_beside_others_the_same_steps_are_skipped_to_the_same_bits(folder: Path, keep_latents) -> None:
    bare = load(folder, 0.0)
    full = sum(drawn(bare, [Job(g)], [0]) for g in JOBS)
    model = load(folder, 0.3)
    alone = [Job(g) for g in JOBS]
    one_by_one = sum(drawn(model, [job], [0]) for job in alone)
    beside = [Job(g) for g in JOBS]
    assert drawn(model, beside, [0, 1, 2]) == one_by_one <= full / 2
    for a, b in zip(alone, beside, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a.latents, b.latents, strict=True))
    assert states(model) == 0, "what was remembered of a request goes with it"


def test_it_is_what_diffusers_own_pipeline_skips(folder: Path, keep_latents) -> None:
    model, job = load(folder, 0.3), Job(G)
    drawn(model, [job], [0])
    assert torch.equal(job.latents[0], test_engine.plain(model, G)[0])


def test_with_one_context_for_all_more_would_be_computed_and_pictures_change(
    folder: Path, keep_latents, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: without a context of its own, a request compares itself with others."""
    model = load(folder, 0.3)
    alone = [Job(g) for g in JOBS]
    one_by_one = sum(drawn(model, [job], [0]) for job in alone)
    forward = denoiser.Denoiser.forward

    def shared(self, *args, **kwargs):
        self._serial = 0
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(denoiser.Denoiser, "forward", shared)
    monkeypatch.setattr(denoiser.Denoiser, "forget", lambda self: None)
    beside = [Job(replace(g, seeds=g.seeds[:1])) for g in JOBS]
    monkeypatch.setattr(
        test_engine.Crowd,
        "_choose",
        lambda self, waiting: [waiting[self.clock_ticks() % len(waiting)]],
        raising=True,
    )
    ticks = iter(range(10**6))
    monkeypatch.setattr(test_engine.Crowd, "clock_ticks", lambda self: next(ticks), raising=False)
    assert drawn(model, beside, [0, 0, 0]) > 1.5 * one_by_one
    assert not torch.equal(beside[0].latents[0], alone[0].latents[0])


def test_a_stopped_request_leaves_nothing_behind(folder: Path, keep_latents) -> None:
    model, job = load(folder, 0.3), Job(G, stop_after=3)
    together(model, [job], [0])
    assert job.error is not None and states(model) == 0


def test_a_job_with_a_cache_has_no_checkpoint(folder: Path, tmp_path: Path) -> None:
    run = Kept(tmp_path)
    generate(load(folder, 0.3), G, run)
    assert not list(run.copies.iterdir())


def test_a_model_whose_denoiser_takes_no_cache_draws_without(folders, tmp_path, caplog) -> None:
    shutil.copytree(folders["stable-diffusion"], tmp_path / "sd")
    (tmp_path / "sd" / "atelier.json").write_text(json.dumps({**tiny.CARD, "cache_threshold": 0.2}))
    cpu_models({"image": tmp_path / "sd"}, tmp_path, cpu_threads=1).get("image")
    assert "takes no cache" in caplog.text
