"""A training as a generator of steps that keeps what was expensive in a store, so that one that was killed
goes on with the same bytes in the end; run in slices between other jobs, each on one thread."""

import hashlib
import importlib
import os
import re
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load as steps_load
from safetensors.torch import save
from torch import Tensor

from core.errors import UserError
from core.profiles import NO_TRAINING, can_train
from vision.reporter import Reporter

Result = TypeVar("Result")
Tensors = dict[str, Tensor]
MOMENTS = ("exp_avg", "exp_avg_sq")  # of AdamW, by which one that was killed goes on
STRIDE = 1_000_003  # between the seeds of two trainings


@dataclass(frozen=True)
class Step:
    """done of total, and in words what was done."""

    done: int
    total: int
    words: str


class Store:
    """Keeps bytes by name, for as long as a training is not over or longer: a file each in ``folder``, the
    latest ``most`` bytes of them."""

    def __init__(self, folder: Path, most: int = 2 * 2**30) -> None:
        self.folder, self.most = folder, most
        folder.mkdir(parents=True, exist_ok=True)
        self._bytes = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())

    def get(self, name: str) -> bytes | None:
        """Return what was kept, None when nothing was."""
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def put(self, name: str, data: bytes) -> None:
        """Keep ``data``: all of it or, when the process dies, nothing."""
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".part-", delete=False) as file:
            file.write(data)
        os.replace(file.name, self.folder / name)
        self._bytes += len(data)
        if self._bytes > self.most:
            self._make_room()

    def _make_room(self) -> None:
        files = sorted((f for f in self.folder.iterdir() if f.is_file()), key=lambda f: f.stat().st_mtime_ns)
        self._bytes = sum(file.stat().st_size for file in files)
        for file in files[:-1]:
            if self._bytes <= self.most:
                break
            self._bytes -= file.stat().st_size
            file.unlink(missing_ok=True)


def kept(store: Store, parts: tuple[str, ...], make: Callable[[], Tensors]) -> Tensors:
    """Return the tensors that ``make`` makes, or has made: ``parts`` say all that they depend on."""
    name = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    if (data := store.get(name)) is not None:
        return steps_load(data)
    made = {key: value.contiguous() for key, value in make().items()}
    store.put(name, save(made))
    return made


def step_numbers(seed: int, number: int) -> torch.Generator:
    """Return the random numbers of step ``number`` of a training; negative ones are of other lots."""
    return torch.Generator().manual_seed((seed * STRIDE + number) % 2**63)


def learned_tensors(weights: Mapping[str, Tensor], optimizer: torch.optim.Optimizer) -> Tensors:
    """Return weights by their names and each one's MOMENTS, as copies on the processor."""
    tensors = {name: value.detach().cpu().clone() for name, value in weights.items()}
    for name, value in weights.items():
        for moment in MOMENTS if value in optimizer.state else ():
            tensors[f"{moment} {name}"] = optimizer.state[value][moment].detach().cpu().clone()
    return tensors


@torch.no_grad()
def put_back(
    tensors: Mapping[str, Tensor], weights: Mapping[str, Tensor], optimizer: torch.optim.Optimizer, done: int
) -> None:
    """Put ``learned_tensors`` back, as they were after ``done`` steps. Raises KeyError or RuntimeError for
    those of other weights."""
    for name, value in weights.items():
        value.copy_(tensors[name])
        if done:
            held = {moment: tensors[f"{moment} {name}"].to(value.device, copy=True) for moment in MOMENTS}
            optimizer.state[value] = {"step": torch.tensor(float(done)), **held}


def exhausted(work: Generator[Any, None, Result]) -> Result:
    """Do all parts of a work, or all steps of a training, and return what comes of it."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


T = TypeVar("T")
COUNTED = re.compile(r"\d+ of \d+")


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread: sums are then the same bit for bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def in_slice(reporter: Reporter, kind: str, work: Callable[[], T]) -> T:
    """Return what ``work`` returns, done once others have gone first. kind: of slices that take about as
    long. Raises JobCancelled when the job was stopped."""
    reporter.check()
    if reporter.fiber is not None:
        reporter.fiber.pause(f"custom models: {kind}")
    with one_thread():
        return work()


class Budget:
    """The seconds of the device that a training may take."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.spent = seconds, 0.0

    def run(self, training: Generator[Step, None, T], reporter: Reporter) -> T:
        """Take all steps of a training, a slice each, and return what comes of it. Raises UserError when it
        takes longer than it may."""
        kind = "first"
        while True:
            taken = in_slice(reporter, kind, lambda: self._next(training))
            if not isinstance(taken, Step):
                return taken[0]
            if self.spent > self.seconds:
                training.close()
                raise UserError(
                    f"The training has taken {self.spent:.0f} s; the limit is {self.seconds:g} s. Use fewer"
                    " or smaller pictures."
                )
            reporter.doing(taken.words)
            reporter.step(taken.done, taken.total)
            kind = _kind(taken)

    def _next(self, training: Generator[Step, None, T]) -> Step | tuple[T]:
        began = time.monotonic()
        try:
            return next(training)
        except StopIteration as end:
            return (end.value,)
        finally:
            self.spent += time.monotonic() - began


def _kind(step: Step) -> str:
    """Return what the slice after a step is called: after the last of a row it is another one."""
    found = COUNTED.search(step.words)
    if found is None:
        return f"after {step.words}"
    number, count = found.group().split(" of ")
    return f"{'after ' if number == count else ''}{COUNTED.sub('#', step.words)}"


def check_libraries() -> None:
    """Raise UserError unless custom models can be trained, reported on and exported here."""
    if not can_train():
        raise UserError(NO_TRAINING)


def load_libraries() -> None:
    """Import what takes seconds the first time, so that it isn't done between two steps of a drawing."""
    for name in ("scipy.ndimage", "scipy.stats", "sklearn.linear_model", "sklearn.metrics"):
        importlib.import_module(name)
    importlib.import_module("matplotlib.backends.backend_agg")
