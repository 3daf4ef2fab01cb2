"""Random jobs that wait for everything there is to wait for, are cancelled and fail: all of them end, and
nothing stays taken."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch

from core.errors import JobCancelled
from vision.engine.engine import Call, Engine, Fiber
from vision.engine.fiber import PriorityLock

STUCK = 10.0  # seconds without anything happening
STEPS = "give way, pass, decode, thread, encode, load, side work, side work batched, alone, fail".split(", ")


class Broken(Exception):
    """What a job fails with."""


@dataclass
class World:
    """What jobs share, and what is said about it."""

    rng: random.Random
    engine: Engine
    decoder: PriorityLock = field(default_factory=PriorityLock)
    inside: int = 0
    exclusive_fiber: int | None = None
    ends: dict[int, BaseException | None] = field(default_factory=dict)
    cancelled: set[int] = field(default_factory=set)

    def __call__(self, sample: torch.Tensor) -> tuple[torch.Tensor]:
        """A pass: each row is the number of its job."""
        assert self.exclusive_fiber is None or set(sample[:, 0].tolist()) == {self.exclusive_fiber}
        if self.rng.random() < 0.02:
            raise (
                torch.OutOfMemoryError("CUDA out of memory.")
                if len(sample) > 1 and not self.engine.passes.exact
                else Broken("pass")
            )
        return (sample + 1,)

    def decode(self, seconds: float) -> None:
        """Only one at a time, whoever does it."""
        self.inside += 1
        assert self.inside == 1
        time.sleep(seconds)
        self.inside -= 1

    def label(self, items: list[int], before_slice: Callable[..., None]) -> list[int]:
        for _ in range(3):
            before_slice(len(items))
        return [item + 1 for item in items]

    def job(self, number: int, steps: list[tuple[str, float]]) -> Callable[[Fiber], None]:
        def do(fiber: Fiber, step: str, seconds: float) -> None:
            if step == "pass":
                sample = torch.full((self.rng.randint(1, 3), 1), float(number))
                assert (
                    fiber.evaluate(Call(self, {"sample": sample}, len(sample), ("like",), "kind"))[0]
                    == number + 1
                ).all()
                fiber.step += 1
            elif step == "decode":
                fiber.in_thread(lambda: self.decode(seconds), lock=self.decoder)
            elif step == "encode":
                fiber.inline(lambda: self.decode(0), self.decoder)
            elif step in ("thread", "load"):
                fiber.in_thread(
                    lambda: time.sleep(seconds), thread="loading" if step == "load" else "decoding"
                )
            elif step == "give way":
                fiber.give_way()
            elif step == "side work":
                fiber.pause("side work")
            elif step == "side work batched":
                assert fiber.batched("label", self.label, 3) == 4
            elif step == "fail":
                raise Broken(step)

        def work(fiber: Fiber) -> None:
            fiber.total = len(steps)
            for place, (step, seconds) in enumerate(steps):
                if step != "alone":
                    do(fiber, step, seconds)
                    continue
                with fiber.exclusive():
                    self.exclusive_fiber = number
                    try:
                        for inner in steps[place + 1 :]:
                            do(fiber, *inner)
                    finally:
                        self.exclusive_fiber = None
                return

        return work

    def begin(self, number: int) -> None:
        def check() -> None:
            if number in self.cancelled:
                raise JobCancelled

        def done(_: object, error: BaseException | None) -> None:
            assert number not in self.ends
            self.ends[number] = error

        weights = [1.0] * (len(STEPS) - 2) + [0.4, 0.1]
        steps = [
            (step, self.rng.choice((0, 0, 0.001, 0.003)))
            for step in self.rng.choices(STEPS, weights, k=self.rng.randint(1, 7))
        ]
        self.engine.begin(str(number), self.job(number, steps), check=check, done=done)

    def tick(self) -> None:
        """As a worker does; AssertionError when nothing happens any more."""
        self.engine.wake.clear()
        if not self.engine.tick() and self.engine.fibers and not self.engine.wake.wait(STUCK):
            waiting = {fiber.name: fiber.waits_for for fiber in self.engine.fibers}
            raise AssertionError(f"stuck: {waiting}")


@pytest.mark.slow
@pytest.mark.parametrize("has_spare_core", [True, False])
def test_whatever_jobs_wait_for_all_of_them_end(has_spare_core: bool) -> None:
    for seed in range(60):
        rng = random.Random(seed)
        world = World(rng, Engine(has_spare_core=lambda: has_spare_core, exact=seed % 5 == 0))
        numbers = range(1, rng.randint(3, 10))
        coming = list(numbers)
        while coming or world.engine.fibers:
            for _ in range(min(len(coming), rng.randint(0, 2))):
                world.begin(coming.pop())
            if rng.random() < 0.05:
                world.cancelled.add(rng.choice(numbers))
            world.tick()
        assert sorted(world.ends) == list(numbers), seed
        for number, error in world.ends.items():
            assert (
                error is None
                or isinstance(error, Broken)
                or number in world.cancelled
                and isinstance(error, JobCancelled)
            ), (seed, error)
        with world.decoder.hold():  # a thread may still be at work for a job that was cancelled
            assert world.inside == 0
        assert world.engine.exclusive_fiber is None
        world.engine.stop()
    assert threading.active_count() < 100
