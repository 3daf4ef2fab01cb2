"""A worker that obeys ``vision.protocol`` and makes plain pictures, or misbehaves as the prompt says. Loads
no torch.

It takes as many jobs at once as its configuration says ("slots" among the models), a step of each in turn.

A prompt that is a JSON object takes: steps, delay (s per step), load (s), fault, at (step of the fault),
times (how often, counted in the file ``marker``; without one: always), count (a file that grows by a byte
with each step). Any other prompt is three quick steps.
A question about texts is answered by these, unless one says "die"; about pictures, by their bytes. Of answers
the last is chosen.
The picture's colour is its seed's, so a run again gives the same bytes.
"""

import json
import os
import signal
import struct
import time
import zlib
from collections.abc import Generator, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from core.events import Output, Picture
from core.requests import ClassifyRequest, DescribeRequest, ReadRequest, WhyRequest, from_json
from core.results import TextLine
from vision.protocol import (
    Answered,
    Broke,
    Choose,
    Chosen,
    Done,
    Embed,
    Fault,
    LoadingModel,
    Nearest,
    Quit,
    Ready,
    Run,
    Step,
    Stop,
    Stopped,
    WorkerConfig,
)

FAULTS = (
    "segfault",
    "kill",
    "exit",
    "exception",
    "hang",
    "memory",
    "error",
    "process",
    "user",
    "model",
    "garbage",
    "close",
)


def main(connection: Connection, config: WorkerConfig) -> None:
    if config.models.get("image") == "never starts":
        os._exit(3)
    slots = int(config.models.get("slots", 1))
    connection.send(Ready(config.device, os.getpid(), "a fake card", 2**30, slots))
    _Worker(connection).work()


class _Worker:
    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.runs: dict[str, Iterator[None]] = {}
        self.stopped: set[str] = set()

    def work(self) -> None:
        while self.listen(None if not self.runs else 0):
            for job_id, steps in list(self.runs.items()):
                try:
                    next(steps)
                except StopIteration as end:
                    del self.runs[job_id]
                    self.stopped.discard(job_id)
                    self.connection.send(end.value)

    def listen(self, seconds: float | None) -> bool:
        """Hear what was said, waiting for the first word. False: it is over."""
        try:
            while self.connection.poll(seconds):
                message, seconds = self.connection.recv(), 0
                if isinstance(message, Quit):
                    return False
                if isinstance(message, Run):
                    self.runs[message.job_id] = self.run(message)
                elif isinstance(message, Stop):
                    self.stopped.add(message.job_id)
                elif isinstance(message, Embed):
                    if "die" in message.texts:
                        os._exit(7)
                    seen = tuple(Path(path).read_bytes() for path in message.paths)
                    self.connection.send(Answered(message.question_id, seen or message.texts))
                elif isinstance(message, Choose):
                    chances = (*(0.0 for _ in message.answers[1:]), 1.0)
                    self.connection.send(Answered(message.question_id, Chosen(chances)))
                elif isinstance(message, Nearest):
                    self.connection.send(Answered(message.question_id, (len(message.places),)))
        except EOFError:
            return False
        return True

    def run(self, run: Run) -> Generator[None, None, Done | Stopped | Broke]:
        request = from_json(run.kind, run.request)
        for path in run.paths.values():
            assert os.path.exists(path), path
        wish = read_wish(getattr(request, "prompt", ""))
        if "load" in wish:
            self.connection.send(LoadingModel(run.job_id, "fake", 0.5))
            time.sleep(wish["load"])
        steps = wish.get("steps", 3)
        for step in range(1, steps + 1):
            if wish.get("fault") and step == wish.get("at", 1) and still_due(wish):
                broke = self.misbehave(run.job_id, wish["fault"])
                if broke is not None:
                    return broke
            time.sleep(wish.get("delay", 0.0))
            yield
            if run.job_id in self.stopped:
                return Stopped(run.job_id)
            self.connection.send(Step(run.job_id, step, steps, b"preview"))
            if "count" in wish:
                with open(wish["count"], "ab") as file:
                    file.write(b"x")
        return Done(run.job_id, output_of(request))

    def misbehave(self, job_id: str, fault: str) -> Broke | None:
        if fault == "segfault":
            signal.signal(signal.SIGSEGV, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGSEGV)
        elif fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif fault == "exit":
            os._exit(7)
        elif fault == "exception":
            raise RuntimeError("nobody catches this")
        elif fault == "hang":
            while True:
                time.sleep(3600)
        elif fault == "garbage":
            self.connection.send_bytes(b"\x80\x05this is no pickle")
            time.sleep(3600)
        elif fault == "close":
            self.connection.close()
            time.sleep(3600)
        else:
            return Broke(job_id, Fault(fault), f"It broke: {fault}.")
        return None


def read_wish(prompt: str) -> dict[str, Any]:
    return json.loads(prompt) if prompt.startswith("{") else {}


def still_due(wish: dict[str, Any]) -> bool:
    """Count this occurrence in the marker file, before the fault strikes."""
    if "marker" not in wish:
        return True
    with open(wish["marker"], "ab") as file:
        if file.tell() >= wish.get("times", 1):
            return False
        file.write(b"x")
    return True


def output_of(request: Any) -> Output:
    """What the request must give, wherever and however often it runs."""
    if isinstance(request, DescribeRequest):
        return Output(
            captions=tuple(f"caption {i}" for i in range(request.num_captions)), parameters={"model": "fake"}
        )
    if isinstance(request, ClassifyRequest):
        return Output(scores=(("cat", 0.75), ("dog", 0.25)), grid=picture_of(0), parameters={"model": "fake"})
    if isinstance(request, WhyRequest):
        return Output(scores=((request.label, 0.75),), grid=picture_of(1), parameters={"model": "fake"})
    if isinstance(request, ReadRequest):
        lines = (TextLine("OPEN 24 H", 0.9, ((0, 0), (2, 0), (2, 1), (0, 1))),)
        return Output(grid=picture_of(0), lines=lines, parameters={"model": "fake"})
    pictures = tuple(picture_of(request.seed + i) for i in range(request.num_images))
    return Output(
        pictures=pictures,
        grid=picture_of(request.seed, side=4),
        parameters={"model": "fake", "seed": request.seed, "notes": []},
    )


def picture_of(seed: int, side: int = 2) -> Picture:
    row = b"\0" + bytes((seed % 256, seed // 256 % 256, 200)) * side
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(row * side)),
        (b"IEND", b""),
    ]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    return Picture(b"\x89PNG\r\n\x1a\n" + body, "image/png", side, side, seed)
