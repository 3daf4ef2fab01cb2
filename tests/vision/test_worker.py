"""A real worker process on tiny models: runs, progress, cancel, broken models, a parent that dies."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch

from core.errors import SettingsError
from core.requests import (
    ClassifyRequest,
    DescribeRequest,
    ImagineRequest,
    OutpaintRequest,
    RegionRequest,
    Request,
    VariationRequest,
    to_json,
)
from core.traces import release
from tests.support import tiny
from tests.vision.conftest import SHA
from tests.vision.families.test_families import SAME, apart
from vision.diffusion.checkpoint import Pace
from vision.protocol import (
    Broke,
    Done,
    Fault,
    LoadingModel,
    Quit,
    Ready,
    Run,
    Step,
    Stop,
    Stopped,
    WorkerConfig,
)
from vision.reporter import Reporter
from vision.store import Models
from vision.worker import main as worker

PATIENCE = 60  # seconds until a silent worker fails the test


@dataclass
class Running:
    """A worker process and the parent's end of its pipe."""

    process: BaseProcess
    conn: Connection
    paths: dict[str, str]

    def receive(self) -> object:
        assert self.conn.poll(PATIENCE), "the worker says nothing"
        return self.conn.recv()

    def ask(self, job_id: str, request: Request) -> None:
        self.conn.send(Run(job_id, request.kind, to_json(request), self.paths))

    def answer(self, on: Callable[[object], None] = lambda message: None) -> tuple[list, object]:
        """(messages before it, the answer)"""
        heard = []
        while not isinstance(message := self.receive(), (Done, Stopped, Broke)):
            heard.append(message)
            on(message)
        return heard, message


FORK = "fork" if sys.platform == "linux" else "spawn"  # elsewhere system libraries don't outlive a fork


def start(
    specs: dict[str, str], tmp_path: Path, *, method: str = FORK, pace: Pace | None = None, **config: Any
) -> Running:
    """A worker on ``specs``. One that is forked has its modules from here: importing them takes ten times as
    long as what most tests ask of it."""
    picture = tmp_path / "picture.png"
    tiny.picture(96, 64).save(picture)
    context = multiprocessing.get_context(method)
    ours, theirs = context.Pipe()
    given = WorkerConfig("cpu", specs, str(tmp_path / "cache"), cpu_threads=1, **config)
    main = partial(_forked, ours) if method == "fork" else worker.main
    process = context.Process(target=main, args=(theirs, given, pace))
    process.start()
    theirs.close()
    return Running(process, ours, {SHA: str(picture)})


def _forked(parents: Connection, *arguments: Any) -> None:
    """Let go of the parent's end, so that its loss is noticed, and be a worker."""
    parents.close()
    worker.main(*arguments)


@pytest.fixture(scope="module")
def running(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    roles = {"image": "stable-diffusion", "clip": "clip", "caption": "blip", "vit": "vit"}
    specs = {role: str(folders[name]) for role, name in roles.items()}
    others = {"other": "/nowhere/at-all"}
    folder = tmp_path_factory.mktemp("worker")
    made = start(specs, folder, method="spawn", allow_download=False, image_models=others)
    ready = made.receive()
    assert isinstance(ready, Ready) and ready.pid == made.process.pid and ready.memory > 2**28
    assert ready.slots > 1
    yield made
    made.conn.send(Quit())
    made.process.join(PATIENCE)
    assert made.process.exitcode == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "request_",
    [
        ImagineRequest(prompt="a cat", seed=5),
        VariationRequest(prompt="a cat", image=SHA, seed=5),
        OutpaintRequest(prompt="a cat", image=SHA, left=32),
        DescribeRequest(image=SHA),
        ClassifyRequest(image=SHA, labels=("cat", "dog")),
    ],
    ids=lambda request: request.kind,
)
def test_a_worker_does_every_kind_of_job_and_reports_each_step(running: Running, request_: Request) -> None:
    running.ask("job", request_)
    heard, answer = running.answer()
    assert isinstance(answer, Done), answer
    steps = [message for message in heard if isinstance(message, Step)]
    assert [step.step for step in steps] == list(range(1, steps[-1].total + 1))
    assert {message.job_id for message in heard} | {answer.job_id} == {"job"}
    assert f"Atelier {release()}, torch {torch.__version__}" in answer.output.parameters["versions"]


def test_the_first_job_says_which_model_is_loaded(folders, running: Running, tmp_path) -> None:
    made = start({"image": str(folders["flux"])}, tmp_path)
    made.receive()
    made.ask("first", ImagineRequest(prompt="a"))
    heard, answer = made.answer()
    assert isinstance(heard[0], LoadingModel) and heard[0].model == "flux"
    assert isinstance(answer, Done)
    made.ask("second", ImagineRequest(prompt="a"))
    assert not any(isinstance(message, LoadingModel) for message in made.answer()[0])
    made.conn.close()
    made.process.join(PATIENCE)


def test_previews_are_small_pictures(running: Running) -> None:
    running.ask("slow", ImagineRequest(prompt="a", num_inference_steps=60))
    heard, _ = running.answer()
    previews = [message.preview for message in heard if isinstance(message, Step) and message.preview]
    assert previews and all(len(preview) < 40_000 and preview[:2] == b"\xff\xd8" for preview in previews)
    assert len(previews) < 60


def test_a_stopped_job_ends_between_two_steps_and_frees_its_worker(running: Running) -> None:
    running.ask("long", ImagineRequest(prompt="a", num_inference_steps=100))

    def stop(message: object) -> None:
        if isinstance(message, Step) and message.step == 2:
            running.conn.send(Stop("long"))

    heard, answer = running.answer(stop)
    assert answer == Stopped("long")
    assert sum(isinstance(message, Step) for message in heard) < 50
    running.ask("next", ImagineRequest(prompt="a", num_images=1))
    assert isinstance(running.answer()[1], Done)


def answers(running: Running, count: int) -> dict[str, object]:
    """Job → its answer, of ``count`` jobs in whatever order they end."""
    return {answer.job_id: answer for answer in (running.answer()[1] for _ in range(count))}


def test_a_stopped_job_does_not_stop_the_one_it_shares_its_steps_with(running: Running) -> None:
    running.ask("first", ImagineRequest(prompt="a"))
    running.ask("second", ImagineRequest(prompt="a"))
    running.conn.send(Stop("second"))
    got = answers(running, 2)
    assert got["second"] == Stopped("second")
    assert isinstance(got["first"], Done)


def test_jobs_that_come_together_share_their_steps_and_each_gets_its_own_pictures(running: Running) -> None:
    requests = {
        "words": ImagineRequest(prompt="a cat", seed=5, num_images=2, num_inference_steps=12, sampler="heun"),
        "a picture": VariationRequest(
            prompt="a cat", image=SHA, seed=5, num_images=1, num_inference_steps=20, width=64, height=64
        ),
        "a mask": OutpaintRequest(
            prompt="a cat", image=SHA, left=32, num_inference_steps=10, sampler="dpm++sde"
        ),
    }
    alone = {}
    for name, request in requests.items():
        running.ask(name, request)
        alone[name] = running.answer()[1].output
    for name, request in requests.items():
        running.ask(name, request)
    order, together = [], {}
    while len(together) < 3:
        message = running.receive()
        if isinstance(message, Step):
            order.append(message.job_id)
        if isinstance(message, Done):
            together[message.job_id] = message.output
    assert sum(a != b for a, b in zip(order, order[1:], strict=False)) > 2, "they went on beside each other"
    for name, output in together.items():
        assert max(apart(a, b) for a, b in zip(output.pictures, alone[name].pictures, strict=True)) <= SAME


def test_a_missing_model_breaks_its_own_job_only(running: Running) -> None:
    running.ask("lost", ImagineRequest(prompt="a", model="other"))
    _, answer = running.answer()
    assert isinstance(answer, Broke) and answer.fault is Fault.MODEL
    assert "at-all" in answer.message and "/nowhere" not in answer.message
    running.ask("fine", ImagineRequest(prompt="a", num_images=1))
    assert isinstance(running.answer()[1], Done)


def test_what_the_host_has_to_mend_is_one_line_of_the_log(tmp_path: Path, caplog) -> None:
    (tmp_path / "empty").mkdir()
    models = Models(WorkerConfig("cpu", {"image": str(tmp_path / "empty")}, str(tmp_path)))
    for request in (ImagineRequest(prompt="a"), VariationRequest(prompt="a", image=SHA)):  # which isn't here
        run = Run("job", request.kind, to_json(request), {})
        answer = worker.answer_run(run, models, Reporter())
        record = caplog.records[-1]
        assert isinstance(answer, Broke) and record.levelname == "ERROR"
        assert (not record.exc_info) is (answer.fault is Fault.MODEL) is (request.kind == "imagine")
        assert record.exc_info or record.getMessage() == f"job job: {answer.fault}: {answer.message}"


def test_a_request_that_cannot_be_honoured_is_the_users_to_mend(running: Running) -> None:
    running.ask("huge", ImagineRequest(prompt="a", width=2048, height=2048))
    _, answer = running.answer()
    assert isinstance(answer, Broke) and answer.fault is Fault.USER
    assert "2048x2048" in answer.message and "128x128" in answer.message


def test_an_unreadable_picture_is_the_users_to_mend(running: Running, tmp_path: Path) -> None:
    text = tmp_path / "text.png"
    text.write_text("not a picture")
    request = VariationRequest(prompt="a", image=SHA)
    running.conn.send(Run("text", request.kind, to_json(request), {SHA: str(text)}))
    _, answer = running.answer()
    assert isinstance(answer, Broke) and answer.fault is Fault.USER and "can't be read" in answer.message


def test_an_unknown_field_is_an_error_not_a_crash(running: Running) -> None:
    running.conn.send(Run("odd", "imagine", '{"prompt": "a", "from_the_future": 1}'))
    _, answer = running.answer()
    assert isinstance(answer, Broke) and answer.fault is Fault.ERROR


def test_a_device_that_is_not_here_is_named_before_anything_loads(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="DEVICES names cuda:63, which isn't here"):
        worker.start(WorkerConfig("cuda:63", {"image": "none"}, str(tmp_path)), 1)


def test_ctrl_c_does_not_reach_the_worker(running: Running) -> None:
    os.kill(running.process.pid, signal.SIGINT)
    running.ask("after", ImagineRequest(prompt="a", num_images=1))
    assert isinstance(running.answer()[1], Done)


def test_a_worker_whose_parent_is_gone_ends_in_mid_job(folders: dict[str, Path], tmp_path: Path) -> None:
    made = start({"image": str(folders["stable-diffusion"])}, tmp_path)
    made.receive()
    made.ask("endless", ImagineRequest(prompt="a", num_inference_steps=100))
    while not isinstance(made.receive(), Step):
        pass
    made.conn.close()
    made.process.join(10)
    assert made.process.exitcode == 0


def test_only_what_a_member_wrote_is_kept_out_of_the_log() -> None:
    request = ImagineRequest(
        prompt="a secret boat",
        prompt_parts=(("a secret boat", 1.0), ("deep sea", 2.0)),
        negative_prompt="grey ships",
        model="stable-diffusion",
        sampler="dpm++sde",
        loras=(("inkwash", 1.0),),
        unsupported=("--video of a secret",),
    )
    assert worker.words_of_run(Run("a", "imagine", to_json(request), {})) == {
        "a secret boat",
        "deep sea",
        "grey ships",
        "--video of a secret",
    }
    assert "a red boat" in worker.words_of_run(
        Run("b", "region", to_json(RegionRequest(prompt="", image=SHA, region="a red boat")), {})
    )
