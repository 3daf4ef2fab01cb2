"""Captions and labels of several users in one call, beside the passes of those who draw."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from PIL import Image

from core.errors import JobCancelled
from core.events import Output
from core.requests import ClassifyRequest, DescribeRequest, Request, ShortenRequest
from tests.support import tiny
from tests.vision.conftest import SHA, Recorder, ask
from vision.capabilities import capability
from vision.engine.batches import SIDE_WORK_SHARE
from vision.engine.engine import Call, Engine, Fiber
from vision.engine.fiber import BeforeSlice
from vision.store import Models


class Adder:
    """Work whose calls are kept: each item plus one, a slice for each piece. Breaks at "bad"."""

    def __init__(self) -> None:
        self.calls: list[list[Any]] = []

    def work(self, items: Sequence[Any], before_slice: BeforeSlice) -> list[Any]:
        self.calls.append(list(items))
        before_slice(len(items))
        if "bad" in items:
            raise ValueError("bad")
        return [item + 1 for item in items]


def begin(
    engine: Engine,
    ends: dict[Any, Any],
    adder: Adder,
    item: Any,
    key: object = (),
    check: Callable[[], None] = lambda: None,
) -> None:
    def done(result: Any, error: BaseException | None) -> None:
        ends[item] = error or result

    engine.begin(f"{item}", lambda fiber: fiber.batched("sum", adder.work, item, key), check=check, done=done)


def test_who_waits_for_the_same_is_in_one_call_up_to_eight() -> None:
    engine, ends, adder = Engine(), {}, Adder()
    for item in range(10):
        begin(engine, ends, adder, item)
    begin(engine, ends, adder, 100, key="else")
    engine.run()
    assert ends == {**{item: item + 1 for item in range(10)}, 100: 101}
    assert sorted(map(len, adder.calls)) == [1, 2, 8] and [100] in adder.calls


def test_with_exact_nobody_shares_a_call() -> None:
    engine, ends, adder = Engine(exact=True), {}, Adder()
    for item in range(3):
        begin(engine, ends, adder, item)
    engine.run()
    assert len(ends) == len(adder.calls) == 3


def test_only_the_guilty_one_is_told() -> None:
    engine, ends, adder = Engine(), {}, Adder()
    for item in (1, "bad", 3):
        begin(engine, ends, adder, item)
    engine.run()
    assert ends.pop("bad").args == ("bad",) and ends == {1: 2, 3: 4}


def test_who_is_stopped_leaves_and_the_last_one_ends_the_call() -> None:
    engine, ends, adder, stopped = Engine(), {}, Adder(), set()

    def checked(item: int) -> Callable[[], None]:
        def check() -> None:
            if item in stopped:
                raise JobCancelled("trace")

        return check

    for item in (1, 2, 3):
        begin(engine, ends, adder, item, check=checked(item))
    engine.tick()
    stopped.add(3)  # before its call began
    while not adder.calls:
        engine.tick()
    stopped.add(2)  # within it
    engine.run()
    assert ends[1] == 2 and isinstance(ends[2], JobCancelled) and isinstance(ends[3], JobCancelled)
    for item in (4, 5):
        begin(engine, ends, adder, item, check=checked(item))
    engine.tick()
    stopped |= {4, 5}
    engine.run()
    begin(engine, ends, adder, 6)
    engine.run()
    assert isinstance(ends[4], JobCancelled) and ends[6] == 7 and not engine.shared_calls.queues


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Step(torch.nn.Module):
    """A denoiser whose pass takes ``seconds`` on ``clock``."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        super().__init__()
        self.clock, self.seconds = clock, seconds

    def forward(self, sample: torch.Tensor) -> tuple[torch.Tensor]:
        self.clock.now += self.seconds
        return (sample,)


def drawing(engine: Engine, step: Step, steps: int, ended: Callable[[], None]) -> None:
    def work(fiber: Fiber) -> None:
        fiber.total = steps
        for i in range(steps):
            fiber.step = i
            fiber.evaluate(Call(step, {"sample": torch.zeros(1, 1)}, 1, ("step",), "step"))

    engine.begin("drawing", work, done=lambda result, error: ended())


@pytest.mark.parametrize(("steps", "slices", "seconds"), [(50, 300, 0.02), (30, 40, 0.06), (4, 30, 0.01)])
def test_a_generation_is_delayed_by_a_twentieth_and_side_work_gets_on(
    steps: int, slices: int, seconds: float
) -> None:
    """Generations of 0.1 s a step, one after another, and side work of many slices."""
    clock = Clock()
    engine, step, spent = Engine(clock=clock), Step(clock, 0.1), []

    def work(items: Sequence[Any], before_slice: BeforeSlice) -> list[Any]:
        for i in range(slices):
            if i:
                before_slice()
            spent.append(clock.now)
            clock.now += seconds
        return list(items)

    def alone() -> None:
        drawing(engine, step, steps, lambda: None)
        engine.run()

    alone(), alone(), alone()  # what a pass takes is known
    engine.begin("side work", lambda fiber: fiber.batched("caption", work, 1))
    took = []
    while len(spent) < slices and len(took) < 1000:
        began = clock.now
        ends: list[float] = []
        drawing(engine, step, steps, lambda ends=ends: ends.append(clock.now))
        while not ends:
            engine.tick()
        took.append(ends[0] - began)
    assert len(spent) == slices, "no side work starves"
    plain = 0.1 * steps
    assert sum(took) <= (1 + SIDE_WORK_SHARE) * plain * len(took) + 2 * seconds
    assert max(took) <= (1 + 2 * SIDE_WORK_SHARE) * plain + seconds
    assert sum(value <= (1 + SIDE_WORK_SHARE) * plain + seconds for value in took) >= 0.9 * len(took)
    engine.stop()


# The real capabilities


class Member(Recorder):
    """A job in an engine: its request, and what came of it."""

    def __init__(self, models: Models, request: Request, image: Image.Image | None) -> None:
        super().__init__()
        self.models, self.request, self.image = models, request, image
        self.output: Output | None = None

    def __call__(self, fiber: Fiber) -> None:
        self.fiber = fiber
        self.output = capability(self.request.kind)(
            self.request, dict.fromkeys(self.request.pictures, self.image), self.models, self
        )


def together(models: Models, asked: Sequence[tuple[Request, Image.Image | None]]) -> list[Output]:
    engine, members = Engine(), [Member(models, request, image) for request, image in asked]

    def done(result: Any, error: BaseException | None) -> None:
        if error is not None:
            raise error

    for member in members:
        engine.begin("member", member, done=done)
    engine.run()
    engine.stop()
    return [member.output for member in members]


@pytest.mark.parametrize("name", ["blip", "llava", "idefics3"])
def test_descriptions_of_several_pictures_are_written_at_once_and_are_the_same(
    name: str, models_of: Callable[..., Models]
) -> None:
    models = models_of(caption=name)
    model = models.get("caption").model
    asked = [
        (DescribeRequest(image=SHA, seed=seed, num_captions=2), tiny.picture(64, 64, seed))
        for seed in range(4)
    ]
    alone = [ask(models, request, image).captions for request, image in asked]
    rows = list[int]()
    module = getattr(model, "model", model) if not isinstance(model, torch.nn.Module) else model
    words = getattr(module, "text_decoder", module).get_output_embeddings()  # BLIP's decoder is a part of it
    hook = words.register_forward_hook(lambda module, given, out: rows.append(len(given[0])))
    assert [output.captions for output in together(models, asked)] == alone
    hook.remove()
    assert max(rows) >= 4, "the first text of each in one call"


def test_pictures_of_different_sizes_are_written_apart_where_that_matters(models_of) -> None:
    models = models_of(caption="idefics3")
    asked = [
        (DescribeRequest(image=SHA, num_captions=1), tiny.picture(*size))
        for size in ((64, 64), (200, 64), (64, 64))
    ]
    alone = [ask(models, request, image).captions for request, image in asked]
    assert [output.captions for output in together(models, asked)] == alone


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_labels_and_words_of_several_users_are_read_at_once(name: str, models_of) -> None:
    models = models_of(clip=name, vit="vit")
    matcher = models.get("clip")
    asked: list[tuple[Request, Image.Image | None]] = [
        *(
            (ClassifyRequest(image=SHA, labels=("a cat", f"a dog {i}")), tiny.picture(64, 64, i))
            for i in range(3)
        ),
        *((ClassifyRequest(image=SHA), tiny.picture(64, 64, i)) for i in range(3)),
        (ShortenRequest(prompt="a red house in the snow"), None),
    ]
    alone = [ask(models, request, image).scores for request, image in asked]
    matcher._label_cache.clear()
    looks: list[int] = []
    hook = matcher.model.vision_model.register_forward_hook(
        lambda module, given, named, out: looks.append(len(named["pixel_values"])), with_kwargs=True
    )
    found = [output.scores for output in together(models, asked)]
    hook.remove()
    assert looks == [3]
    for mine, theirs in zip(found, alone, strict=True):
        assert dict(mine) == pytest.approx(dict(theirs), abs=1e-5)
