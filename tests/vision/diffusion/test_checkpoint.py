"""A job that lost its worker goes on from its checkpoint: the same bytes, no step twice, nothing foreign
trusted."""

import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.prompt.parameters import SAMPLERS
from core.requests import ImagineRequest, OutpaintRequest, Request, VariationRequest
from tests.support import tiny
from tests.vision.conftest import SHA, Recorder, ask, cpu_models
from tests.vision.diffusion.test_generate import full_above, tamper
from tests.vision.families.test_families import FAMILY_NAMES
from tests.vision.families.test_families import MODES as FAMILY_MODES
from tests.vision.test_worker import PATIENCE, Running
from tests.vision.test_worker import start as start_worker
from vision.diffusion import checkpoint
from vision.diffusion.checkpoint import Checkpoint, Pace
from vision.families import Mode
from vision.protocol import Broke, Done, Quit, Ready, Step, Stop, WorkerConfig
from vision.store import Models

EAGER = Pace(shortest_job=0, share=0, min_pause=0, max_pause=0, max_cost=0)  # after every step
ASKED = {"prompt": "a red house", "seed": 7, "num_images": 2, "num_inference_steps": 6}
MODES = {
    "words": ImagineRequest(**ASKED, negative_prompt="blue"),
    "a picture": VariationRequest(**ASKED, image=SHA, strength=0.9),
    "a mask": OutpaintRequest(**ASKED, image=SHA, left=32),
}


class Died(Exception):
    """Stands for the end of the process."""


class Kept(Recorder):
    """Writes a checkpoint after every step and copies it to ``copies``; dies after ``die_after`` steps."""

    def __init__(self, folder: Path, die_after: int | None = None, pace: Pace = EAGER) -> None:
        super().__init__()
        self.checkpoint, self.copies, self.die_after = (
            Checkpoint(folder, "job", pace),
            folder / "copies",
            die_after,
        )
        self.copies.mkdir(parents=True, exist_ok=True)

    def step(self, step: int, total: int, preview: Callable | None = None) -> None:
        super().step(step, total)
        if self.checkpoint.path.exists():
            shutil.copy(self.checkpoint.path, self.copies / str(step))
        if step == self.die_after:
            raise Died


@contextmanager
def forwards(models: Models) -> Iterator[list]:
    """One entry for each time the denoiser really works."""
    pipe, seen = models.get("image").pipeline("text-to-image"), []
    denoiser = getattr(pipe, "transformer", None) or pipe.unet
    first = next(module for module in denoiser.modules() if isinstance(module, torch.nn.Linear))
    hook = first.register_forward_hook(lambda *_: seen.append(1))
    yield seen
    hook.remove()


def pictures(output) -> list[bytes]:
    return [picture.data for picture in output.pictures]


def resumes_everywhere(models: Models, request: Request, tmp_path: Path, at: tuple[float, ...]) -> None:
    """A run is copied after each step; from copies at the given shares of it, another run must end in the
    same bytes with the rest of the work."""
    source, first = tiny.picture(96, 64), Kept(tmp_path)
    with forwards(models) as all_work:
        wanted = pictures(ask(models, request, source, first))
    total = first.steps[-1][1]
    assert len(first.steps) == total
    for step in sorted({max(1, round(total * share)) for share in at}):
        again = Kept(tmp_path)
        shutil.copy(again.copies / str(step), again.checkpoint.path)
        with forwards(models) as work:
            assert pictures(ask(models, request, source, again)) == wanted, f"from step {step}"
        assert again.steps == [(i, total) for i in range(step + 1, total + 1)]
        assert len(work) * total == len(all_work) * (total - step)


EVERY_SAMPLER = [
    sampler if sampler in ("ddim", "euler_a") else pytest.param(sampler, marks=pytest.mark.long)
    for sampler in sorted(SAMPLERS)
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("sampler", EVERY_SAMPLER)
def test_with_every_sampler_a_resumed_run_ends_in_the_same_bytes(
    sampler: str, mode: str, models_of, tmp_path: Path
) -> None:
    request, shares = replace(MODES[mode], sampler=sampler), (0, 0.35, 0.5, 1) if mode == "words" else (0.5,)
    resumes_everywhere(models_of(image="stable-diffusion"), request, tmp_path, shares)


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        (name, mode)
        for name in FAMILY_NAMES
        for mode, has in zip(MODES, Mode, strict=False)
        if has in FAMILY_MODES[name] and name != "stable-diffusion"
    ],
)
def test_in_every_family_a_resumed_run_ends_in_the_same_bytes(
    name: str, mode: str, models_of, tmp_path: Path
) -> None:
    resumes_everywhere(models_of(image=name), MODES[mode], tmp_path, (0, 0.5))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["stable-diffusion", "flux"])
def test_a_run_with_chaos_that_stops_early_resumes_too(name: str, mode: str, models_of, tmp_path) -> None:
    request = replace(MODES[mode], chaos=100, stop=80, prompt_parts=(("a red house", 2.0), ("a cat", 1.0)))
    resumes_everywhere(models_of(image=name), request, tmp_path, (0.3, 0.5))


def test_a_resumed_run_in_half_precision_ends_in_the_same_bytes(folders, tmp_path) -> None:
    models = cpu_models({"image": folders["stable-diffusion"]}, tmp_path, dtype="bfloat16")
    resumes_everywhere(models, replace(MODES["words"], sampler="unipc"), tmp_path, (0.5,))


def test_a_job_that_draws_one_by_one_keeps_its_finished_pictures(folders, tmp_path) -> None:
    models = cpu_models({"image": folders["stable-diffusion"]}, tmp_path, cpu_threads=1)
    request = replace(MODES["words"], num_images=4, num_inference_steps=3)
    tamper(models.get("image").pipeline("text-to-image").unet, "forward", full_above(2))
    wanted = pictures(ask(models, request))
    with pytest.raises(Died):
        ask(models, request, reporter=Kept(tmp_path, die_after=8))
    again = Kept(tmp_path)
    assert pictures(ask(models, request, reporter=again)) == wanted
    assert again.steps == [(i, 12) for i in range(9, 13)]


PARTS = {  # a sampler that needs it → the state without it
    "euler": lambda state: replace(state, latents=torch.zeros_like(state.latents)),
    "unipc": lambda state: replace(state, scheduler={}),
    "euler_a": lambda state: replace(state, generators=[torch.Generator().get_state()] * 2),
}


@pytest.mark.parametrize("sampler", PARTS)
def test_without_any_part_of_its_state_the_picture_would_be_another(
    sampler: str, models_of, tmp_path: Path
) -> None:
    models, request = models_of(image="stable-diffusion"), replace(MODES["words"], sampler=sampler)
    wanted = pictures(ask(models, request))
    with pytest.raises(Died):
        ask(models, request, reporter=(run := Kept(tmp_path, die_after=3)))
    state = run.checkpoint.open(run.checkpoint.fingerprint)
    run.checkpoint.write(lambda: PARTS[sampler](state))
    assert pictures(ask(models, request, reporter=(again := Kept(tmp_path)))) != wanted
    assert again.steps[0] == (4, 6)


def test_a_job_can_die_and_go_on_more_than_once(models_of, tmp_path: Path) -> None:
    models, request = models_of(image="flux"), MODES["words"]
    wanted, seen = pictures(ask(models, request)), []
    for die_after in (2, 3, 5):
        with pytest.raises(Died):
            ask(models, request, reporter=(run := Kept(tmp_path, die_after)))
        seen += run.steps
    assert pictures(ask(models, request, reporter=(run := Kept(tmp_path)))) == wanted
    assert [step for step, _ in seen + run.steps] == [1, 2, 3, 4, 5, 6]


# What is not trusted


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def noise(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 40)


def edited(change: Callable[[dict], None]) -> Callable[[Path], None]:
    """The same tensors with other metadata."""

    def edit(path: Path) -> None:
        from safetensors import safe_open
        from safetensors.torch import load_file, save_file

        with safe_open(path, framework="pt") as file:
            entry = json.loads(file.metadata()[checkpoint.ENTRY])
        change(entry["state"])
        save_file(load_file(path), path, {checkpoint.ENTRY: json.dumps(entry)})

    return edit


DAMAGES = {
    "cut off": cut,
    "empty": empty,
    "noise": noise,
    "a missing field": edited(lambda state: state.pop("generators")),
    "a field too many": edited(lambda state: state.update(future=1)),
    "a missing tensor": edited(lambda state: state["latents"].update(tensor="99")),
    "an impossible step": edited(lambda state: state.update(step=99)),
    "a text for a number": edited(lambda state: state.update(step="many")),
}


def drawn_anew(models_of, folder: Path, caplog, *, damage=lambda path: None, other=lambda request: request):
    """The reporter of a drawing beside a checkpoint of no use, once it has come out as without one."""
    models, request = models_of(image="stable-diffusion"), MODES["words"]
    wanted = pictures(ask(models, other(request)))
    with pytest.raises(Died):
        ask(models, request, reporter=Kept(folder, die_after=3))
    damage(Checkpoint(folder, "job").path)
    with caplog.at_level(logging.WARNING):
        assert pictures(ask(models, other(request), reporter=(again := Kept(folder)))) == wanted
    return again


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_checkpoint_is_not_used_and_the_log_says_so(
    damage: Callable, models_of, tmp_path: Path, caplog
) -> None:
    again = drawn_anew(models_of, tmp_path, caplog, damage=damage)
    assert again.steps[0] == (1, 6)
    assert "damaged and not used" in caplog.text


OTHERS = {
    "another prompt": lambda request: replace(request, prompt="a blue house"),
    "another seed": lambda request: replace(request, seed=8),
    "more steps": lambda request: replace(request, num_inference_steps=7),
    "another sampler": lambda request: replace(request, sampler="ddim"),
    "another guidance": lambda request: replace(request, guidance_scale=3.0),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_a_checkpoint_of_another_drawing_is_not_used_and_the_log_says_so(
    other: Callable, models_of, tmp_path: Path, caplog
) -> None:
    again = drawn_anew(models_of, tmp_path, caplog, other=other)
    assert again.steps[0][0] == 1
    assert "another drawing" in caplog.text


def test_a_checkpoint_from_another_start_picture_is_not_used(models_of, tmp_path: Path) -> None:
    models, request = models_of(image="stable-diffusion"), MODES["a picture"]
    with pytest.raises(Died):
        ask(models, request, tiny.picture(96, 64, seed=1), Kept(tmp_path, die_after=3))
    ask(models, request, tiny.picture(96, 64, seed=2), again := Kept(tmp_path))
    assert again.steps[0][0] == 1


def test_a_checkpoint_of_weights_that_were_replaced_is_not_used(folders, tmp_path) -> None:
    folder, request = tmp_path / "model", MODES["words"]
    shutil.copytree(folders["stable-diffusion"], folder)
    config = WorkerConfig("cpu", {"image": str(folder)}, str(tmp_path), cpu_threads=1)
    with pytest.raises(Died):
        ask(Models(config), request, reporter=Kept(tmp_path, die_after=3))
    os.utime(folder / "unet" / "diffusion_pytorch_model.safetensors", (1, 1))
    ask(Models(config), request, reporter=(again := Kept(tmp_path)))
    assert again.steps[0][0] == 1


def test_no_checkpoint_holds_the_prompt(models_of, tmp_path: Path) -> None:
    with pytest.raises(Died):
        ask(
            models_of(image="stable-diffusion"), MODES["words"], reporter=(run := Kept(tmp_path, die_after=3))
        )
    assert b"house" not in run.checkpoint.path.read_bytes()


# When it is written, and what that may cost


def test_a_short_job_writes_no_checkpoint(models_of, tmp_path: Path) -> None:
    ask(
        models_of(image="stable-diffusion"),
        MODES["words"],
        reporter=(run := Kept(tmp_path, pace=Pace(shortest_job=1000))),
    )
    assert len(run.steps) == 6 and not run.checkpoint.path.exists()


@pytest.mark.parametrize(
    ("job", "cost", "pause"), [(5, 0.001, 0.25), (20, 0.001, 1.0), (600, 0.001, 2.0), (600, 0.2, 10.0)]
)
def test_the_pause_is_a_share_of_the_job_and_gives_way_to_the_cost(
    job: float, cost: float, pause: float
) -> None:
    assert Pace().pause(job, cost) == pytest.approx(pause)


def test_a_full_disk_costs_the_checkpoint_and_not_the_job(models_of, tmp_path: Path, caplog) -> None:
    (tmp_path / "occupied").write_text("a file where the folder should be")
    run = Recorder()
    run.checkpoint = Checkpoint(tmp_path / "occupied", "job", EAGER)
    with caplog.at_level(logging.WARNING):
        assert len(ask(models_of(image="stable-diffusion"), MODES["words"], reporter=run).pictures) == 2
    assert caplog.text.count("no checkpoints") == 1, "said once, tried once"


def test_a_scheduler_that_cannot_be_kept_has_no_checkpoints(tmp_path: Path, caplog) -> None:
    kept = Checkpoint(tmp_path, "job", EAGER)
    kept.open("digest")

    def make() -> checkpoint.State:
        return checkpoint.State(1, 0, 1, 2, torch.zeros(1), {"noise_sampler": object()}, [], [], [])

    with caplog.at_level(logging.WARNING):
        kept.write(make)
    assert not kept.path.exists() and "object can't be kept" in caplog.text
    assert not kept.due(2, 2)


def test_strides_arrays_and_constants_come_back_as_they_were(tmp_path: Path) -> None:
    kept, turned = Checkpoint(tmp_path, "a/b", EAGER), torch.arange(24.0).view(2, 3, 4).permute(0, 2, 1)
    scheduler = {
        "outputs": [None, turned],
        "pair": (1, 2.5),
        "flag": True,
        "far": float("inf"),
        "steps": np.arange(5)[::-1],
        "count": np.int64(3),
        "t": torch.tensor(981),
        "half": torch.ones(2, dtype=torch.bfloat16),
    }
    kept.open("digest")
    kept.write(lambda: checkpoint.State(1, 0, 1, 2, turned, scheduler, [], [], [3]))
    assert kept.path.parent == tmp_path
    state = Checkpoint(tmp_path, "a/b").open("digest")
    assert state.latents.stride() == turned.stride() and torch.equal(state.latents, turned)
    back = state.scheduler
    assert back["outputs"][0] is None and torch.equal(back["outputs"][1], turned)
    assert (back["pair"], back["flag"], back["far"], back["count"]) == ((1, 2.5), True, float("inf"), 3)
    assert np.array_equal(back["steps"], scheduler["steps"]) and back["t"] == 981
    assert back["half"].dtype == torch.bfloat16
    assert state.veiled == [3]


def test_what_is_left_over_is_swept_after_a_day(tmp_path: Path) -> None:
    for name, age in {
        "new.safetensors": 60,
        "old.safetensors": 90_000,
        "old.tmp": 90_000,
        "old.txt": 90_000,
    }.items():
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    checkpoint.sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"new.safetensors", "old.txt"}
    checkpoint.sweep(tmp_path / "nowhere")


# A real worker


def start(folder: Path, tmp_path: Path) -> Running:
    others = {"lost": "/nowhere/at-all"}
    made = start_worker({"image": str(folder)}, tmp_path, pace=EAGER, image_models=others)
    assert isinstance(made.receive(), Ready)
    return made


def files(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache" / "checkpoints").glob("*"))


def kill(running: Running) -> list[Step]:
    """SIGKILL; what it had still said."""
    running.process.kill()
    running.process.join(PATIENCE)
    heard = []
    try:
        while running.conn.poll(1):
            heard.append(running.conn.recv())
    except (EOFError, OSError):
        pass
    return [message for message in heard if isinstance(message, Step)]


@pytest.mark.slow
def test_a_fresh_worker_goes_on_where_a_killed_one_stopped(folders: dict[str, Path], tmp_path: Path) -> None:
    request = OutpaintRequest(
        prompt="a red house", image=SHA, left=32, seed=7, num_inference_steps=60, sampler="dpm++sde"
    )
    first = start(folders["stable-diffusion"], tmp_path)
    first.ask("whole", request)
    wanted = first.answer()[1]
    assert isinstance(wanted, Done)
    first.ask("7f3a", request)
    while not (isinstance(message := first.receive(), Step) and message.step == 20):
        pass
    reached = ([message, *kill(first)])[-1].step
    assert reached < 50, "it was killed in the middle"
    assert set(files(tmp_path)) - {"7f3a.tmp"} == {"7f3a.safetensors"}, "the job that was done has none"

    second = start(folders["stable-diffusion"], tmp_path)
    second.ask("7f3a", request)
    heard, answer = second.answer()
    steps = [(message.step, message.total) for message in heard if isinstance(message, Step)]
    begin, total = steps[0]
    assert reached < begin <= reached + 2, "no reported step is done again"
    assert steps == [(i, total) for i in range(begin, total + 1)]
    assert [picture.data for picture in answer.output.pictures] == [
        picture.data for picture in wanted.output.pictures
    ]
    assert answer.output.grid == wanted.output.grid

    # the other ends of a job
    second.ask("stopped", request)
    second.answer(
        lambda message: (
            second.conn.send(Stop("stopped")) if isinstance(message, Step) and message.step == 2 else None
        )
    )
    second.ask("broken", replace(request, model="lost"))
    assert isinstance(second.answer()[1], Broke)
    second.ask("left", request)
    while not (isinstance(message := second.receive(), Step) and message.step == 3):
        pass
    second.conn.send(Quit())
    second.process.join(PATIENCE)
    assert second.process.exitcode == 0
    assert files(tmp_path) == ["left.safetensors"], (
        "only a worker that is told to leave keeps a job, for the next one"
    )
