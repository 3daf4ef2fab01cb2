"""The worker's end of the pipe when what comes can't be read, and the environment that it sets."""

import multiprocessing
import threading

import pytest

from tests.jobs.conftest import until
from vision.protocol import Stop, WorkerConfig
from vision.worker import main, pipe
from vision.worker.pipe import Inbox


async def test_a_message_that_cannot_be_read_ends_the_worker(monkeypatch, caplog) -> None:
    """Without a reader no job could be stopped any more, and nobody would know."""
    ended = threading.Event()
    monkeypatch.setattr(pipe, "LAST_STEP", 0.0)
    monkeypatch.setattr(pipe.os, "_exit", lambda code: ended.set())
    ours, theirs = multiprocessing.Pipe()
    wake = threading.Event()
    inbox = Inbox(theirs, wake)
    ours.send(Stop("one"))
    await until(lambda: "one" in inbox.stopped)
    wake.clear()
    ours.send_bytes(b"\x80\x04\x8c\x07nothing\x8c\x04here\x93.")  # a class of a module that isn't there
    await until(ended.is_set)
    assert inbox.closing and wake.is_set()
    assert "a message can't be read" in caplog.text and "No module named 'nothing'" in caplog.text
    ours.close()


@pytest.mark.parametrize(
    "given, wanted",
    [
        ({}, {"PYTORCH_ALLOC_CONF": "expandable_segments:True"}),
        ({"PYTORCH_ALLOC_CONF": "backend:native"}, {"PYTORCH_ALLOC_CONF": "backend:native"}),
        ({"PYTORCH_CUDA_ALLOC_CONF": "backend:native"}, {"PYTORCH_CUDA_ALLOC_CONF": "backend:native"}),
    ],
)
def test_the_allocator_is_set_by_its_present_name_and_the_hosts_own_choice_stays(
    given: dict[str, str], wanted: dict[str, str], tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {"PATH": "/bin", **given}
    monkeypatch.setattr(main.os, "environ", environment)
    main.prepare_environment(WorkerConfig("cuda:0", {}, str(tmp_path)))
    assert {name: value for name, value in environment.items() if "ALLOC_CONF" in name} == wanted
