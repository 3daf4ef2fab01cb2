"""Guidance by two calls a step: one pass for both, the same pictures, and nothing is handed out that was made
for something else."""

import shutil
from dataclasses import replace

import pytest
import torch

from tests.vision.diffusion.test_checkpoint import Died, Kept
from tests.vision.engine import test_engine
from tests.vision.engine.test_engine import CLOSE, Crowd, Job, Watcher, apart, plain, together
from vision.diffusion import generate
from vision.diffusion.model import ImageModel
from vision.diffusion.parameters import Generation, TextSpec
from vision.engine.denoiser import Denoiser
from vision.families import Mode

keep_latents = test_engine.keep_latents
G = Generation(Mode.TEXT, "a red house", (1, 2), 64, 64, 5, 3.5, "fog")


@pytest.fixture
def model(models_of) -> ImageModel:
    return models_of(image="flux").get("image")


@pytest.fixture
def passes(model: ImageModel):
    """The rows of each pass."""
    seen: list[int] = []
    hook = model.pipeline(Mode.TEXT).transformer.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(len(kwargs["hidden_states"])), with_kwargs=True
    )
    yield seen
    hook.remove()


def drawn(model: ImageModel, generation: Generation) -> list[torch.Tensor]:
    job = Job(generation)
    together(model, [job], [0])
    if job.error is not None:
        raise job.error
    return job.latents


def test_a_step_is_one_pass_once_the_first_has_told_what_follows(model, keep_latents, passes) -> None:
    got = drawn(model, G)
    assert passes == [2, 2, 4, 4, 4, 4]
    passes.clear()
    assert apart(got, plain(model, G)) < CLOSE
    assert passes == [2, 2] * 5


def test_without_a_negative_prompt_and_in_other_families_nothing_changes(
    model: ImageModel, models_of, keep_latents, passes: list[int]
) -> None:
    assert (
        apart(drawn(model, replace(G, negative_prompt="")), plain(model, replace(G, negative_prompt="")))
        < CLOSE
    )
    assert passes == [2] * 10
    for name in ("stable-diffusion", "z-image"):
        other = models_of(image=name).get("image")
        assert torch.equal(drawn(other, replace(G, seeds=(1,)))[0], plain(other, replace(G, seeds=(1,)))[0])


def test_words_that_change_at_every_step_share_a_pass_with_those_that_do_not(
    model, keep_latents, passes
) -> None:
    chaos = replace(G, text_spec=TextSpec(chaos=1.0))
    got = drawn(model, chaos)
    assert passes == [2, 2, 4, 4, 4, 4]
    plainly = Job(chaos)
    generate.generate(model, chaos, Watcher(plainly))
    assert apart(got, plainly.latents) < CLOSE


def test_an_answer_for_other_tensors_is_not_handed_out() -> None:
    module, asked = torch.nn.Identity(), []
    standing = Denoiser(
        Sums(module), lambda call: asked.append(call.count) or (call.module(**call.arguments),)
    )
    words, times = (torch.ones(1, 3, 4), torch.zeros(1, 3, 4)), torch.tensor([0.5])

    def call(x: torch.Tensor, w: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return standing(hidden_states=x, encoder_hidden_states=w, timestep=t)[0]

    def step(
        other: torch.Tensor | None = None, t: torch.Tensor = times, w: torch.Tensor = words[1]
    ) -> list[float]:
        x = torch.rand(1, 2, 4)
        y = x if other is None else other
        got = call(x, words[0], times.clone()), call(y, w, t.clone())
        assert torch.equal(got[0], x + 1 + 0.5) and torch.equal(got[1], y + w.mean() + t)
        return asked

    assert step() == [1, 1] and step() == [1, 1, 2]
    asked.clear()
    assert step(torch.rand(1, 2, 4)) == [2, 1], "another picture"
    assert step() == [2, 1, 1, 1] and step() == [2, 1, 1, 1, 2]
    asked.clear()
    assert step(t=torch.tensor([0.25])) == [2, 1], "another time"
    step(), step()
    asked.clear()
    assert step(w=torch.full((1, 3, 4), 2.0)) == [2, 1], "other words"


class Sums(torch.nn.Module):
    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(
        self, hidden_states: torch.Tensor, encoder_hidden_states: torch.Tensor, timestep: torch.Tensor
    ) -> torch.Tensor:
        return hidden_states + encoder_hidden_states.mean((1, 2))[:, None, None] + timestep[:, None, None]


def test_a_job_that_lost_its_worker_ends_in_the_same_bits(model, keep_latents, tmp_path, passes) -> None:
    def run(reporter: Kept) -> Job:
        engine, job = Crowd(), Job(G)
        reporter.job = job

        def work(fiber) -> None:
            reporter.fiber = fiber
            generate.generate(model, G, reporter)

        def done(_: object, error: BaseException | None) -> None:
            job.error = error

        engine.begin("job", work, done=done)
        engine.run()
        return job

    wanted = run(Kept(tmp_path))
    for step in (1, 3):
        again = Kept(tmp_path)
        shutil.copy(again.copies / str(step), again.checkpoint.path)
        passes.clear()
        got = run(again)
        assert got.error is None and passes == [4] * (5 - step)
        assert all(torch.equal(a, b) for a, b in zip(got.latents, wanted.latents, strict=True))
    assert isinstance(run(Kept(tmp_path / "dies", die_after=2)).error, Died)
