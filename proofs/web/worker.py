"""A worker that takes many jobs at once and takes a step of each twelve times a second; loads no torch.

A prompt with "40 steps" in it takes so many, any other four. Environment: PROOF_SLOTS, how many jobs at once;
PROOF_STEPS, a file that gets a line for each step, "job step monotonic-seconds", before it is told.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection

from core.requests import from_json
from tests.jobs.fake_worker import output_of
from vision.protocol import Done, Quit, Ready, Run, Step, Stop, Stopped, WorkerConfig

TICK = 1 / 12  # seconds
PREVIEW = b"\xff\xd8" + bytes(4000) + b"\xff\xd9"  # as large as a preview is
_STEPS = re.compile(r"(\d+) steps")


@dataclass
class _Drawn:
    run: Run
    total: int
    step: int = 0
    stopped: bool = False


def main(connection: Connection, config: WorkerConfig) -> None:
    slots = int(os.environ.get("PROOF_SLOTS", "8"))
    connection.send(Ready(config.device, os.getpid(), "pretend", 2**30, slots))
    drawn: dict[str, _Drawn] = {}
    with open(os.environ.get("PROOF_STEPS", os.devnull), "a", buffering=1) as steps:
        next_tick = time.monotonic() + TICK
        while _listen(connection, drawn, next_tick):
            next_tick = max(next_tick + TICK, time.monotonic())
            for job in list(drawn.values()):
                _advance(connection, drawn, job, steps)


def _listen(connection: Connection, drawn: dict[str, _Drawn], until: float) -> bool:
    """Take what comes until the next tick. False: it is over."""
    try:
        while connection.poll(max(0.0, until - time.monotonic())):
            message = connection.recv()
            if isinstance(message, Quit):
                return False
            if isinstance(message, Run):
                prompt = getattr(from_json(message.kind, message.request), "prompt", "")
                found = _STEPS.search(prompt)
                drawn[message.job_id] = _Drawn(message, int(found[1]) if found else 4)
            elif isinstance(message, Stop) and message.job_id in drawn:
                drawn[message.job_id].stopped = True
    except EOFError:
        return False
    return True


def _advance(connection: Connection, drawn: dict[str, _Drawn], job: _Drawn, steps) -> None:
    name = job.run.job_id
    if job.stopped:
        del drawn[name]
        connection.send(Stopped(name))
    elif job.step == job.total:
        del drawn[name]
        connection.send(Done(name, output_of(from_json(job.run.kind, job.run.request))))
    else:
        job.step += 1
        steps.write(f"{name} {job.step} {time.monotonic():.6f}\n")
        connection.send(Step(name, job.step, job.total, PREVIEW))
