"""Three ways to serve the same trace on the same weights: one job at a time, batches of whole requests, and
Atelier's engine.

A trace says who asks for what, when: open-loop Poisson arrivals with fixed seeds. Time is CPU time of this
process, and idle time is skipped: a trace is served as on a machine of its own, however busy this one is.
"""

from __future__ import annotations

import random
import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.measure import Check, apart, check, quantile
from vision.diffusion.generate import generate
from vision.diffusion.model import ImageModel
from vision.diffusion.parameters import Generation
from vision.engine.batches import DurationModel
from vision.engine.engine import Engine
from vision.families import Mode
from vision.reporter import Reporter

PROMPTS = (
    "a red house in the snow",
    "a blue cat",
    "two trees beside a river",
    "a yellow boat at night",
    "a green hat on a table",
    "the sea",
)


@dataclass(frozen=True)
class Ask:
    """One job of a trace. at: seconds after the begin. lora: name of an adapter, None = none."""

    number: int
    at: float
    generation: Generation
    lora: str | None = None


@dataclass(frozen=True)
class Mix:
    """What jobs are drawn from, each quantity by itself. steps: (number of steps, weight)."""

    steps: Sequence[tuple[int, float]]
    guidances: Sequence[float]
    side: int  # px
    samplers: Sequence[str | None] = (None,)
    loras: Sequence[str | None] = (None,)

    @property
    def mean_steps(self) -> float:
        """The mean number of steps of a job."""
        return sum(n * weight for n, weight in self.steps) / sum(weight for _, weight in self.steps)


def poisson(mix: Mix, count: int, rate: float, seed: int) -> list[Ask]:
    """``count`` jobs, ``rate`` a second on the average, with exponential gaps; the same for the same seed."""
    chance, at, asks = random.Random(seed), 0.0, []
    numbers, weights = [n for n, _ in mix.steps], [weight for _, weight in mix.steps]
    for number in range(count):
        at += chance.expovariate(rate)
        generation = Generation(
            Mode.TEXT,
            chance.choice(PROMPTS),
            (chance.randrange(2**32),),
            mix.side,
            mix.side,
            chance.choices(numbers, weights)[0],
            chance.choice(mix.guidances),
            sampler=chance.choice(mix.samplers),
        )
        lora = chance.choice(mix.loras)
        asks.append(Ask(number, at, replace(generation, loras=((lora, 1.0),) if lora else ()), lora))
    return asks


def at_once(asks: Sequence[Ask]) -> list[Ask]:
    """The same jobs, all there from the begin: what matters then is throughput."""
    return [Ask(ask.number, 0.0, ask.generation, ask.lora) for ask in asks]


class Clock:
    """Counts the seconds since it was made, plus what was skipped. timer: of CPU time, all threads together;
    on a GPU, the clock on the wall."""

    def __init__(self, timer: Callable[[], float] = time.process_time) -> None:
        self._timer, self._began, self._skipped = timer, timer(), 0.0

    def now(self) -> float:
        """Return the seconds since the clock was made, plus what was skipped."""
        return self._timer() - self._began + self._skipped

    def wait_until(self, moment: float) -> None:
        """Skip to ``moment``, if it is still to come."""
        self._skipped += max(0.0, moment - self.now())

    @property
    def busy(self) -> float:
        """Seconds of work, without what was skipped."""
        return self.now() - self._skipped


@dataclass
class Served:
    """How a job fared. first, finished: seconds on the trace's clock, of its first step and its picture (H,
    W, 3)."""

    ask: Ask
    first: float = 0.0
    finished: float = 0.0
    picture: np.ndarray | None = field(default=None, repr=False)

    @property
    def latency(self) -> float:
        """Seconds from when it came to its picture."""
        return self.finished - self.ask.at

    @property
    def wait(self) -> float:
        """Until its first step was done."""
        return self.first - self.ask.at


@dataclass(frozen=True)
class Run:
    """A served trace: jobs by number, and the seconds of work that it took."""

    served: list[Served]
    busy: float

    def mean(self, of: Callable[[Served], float], only: Callable[[Ask], bool] = lambda ask: True) -> float:
        """Return the mean of a measure over the jobs that ``only`` takes."""
        return statistics.mean(of(one) for one in self.served if only(one.ask))

    def p95(self, of: Callable[[Served], float]) -> float:
        """Return the 95th percentile of a measure."""
        return quantile([of(one) for one in self.served], 0.95)


Server = Callable[[ImageModel, Sequence[Ask], Clock], list[Served]]


# (a) and (b), as a competent user would write them


class Plain:
    """The diffusers pipeline over the model's weights; schedulers and adapters are made once and switched,
    not made anew for each call."""

    def __init__(self, model: ImageModel) -> None:
        self.pipe, self._schedulers = model.pipeline(Mode.TEXT), {}
        self._model, self._adapters, self._lora = (
            model,
            bool(getattr(self.pipe, "get_list_adapters", dict)()),
            "",
        )

    def draw(self, asks: Sequence[Ask], on_step: Callable[[], None]) -> list[np.ndarray]:
        """All of ``asks``, which differ in prompt and seed only, in one call."""
        g = asks[0].generation
        if g.sampler not in self._schedulers:
            self._schedulers[g.sampler] = self._model.scheduler(g.sampler)
        self.pipe.scheduler = self._schedulers[g.sampler]
        if self._adapters and asks[0].lora != self._lora:
            self._switch(asks[0].lora)

        def callback(pipe: Any, i: int, t: Any, values: dict[str, Any]) -> dict[str, Any]:
            if i == 0:
                on_step()
            return values

        images = self.pipe(
            prompt=[ask.generation.prompt for ask in asks],
            height=g.height,
            width=g.width,
            num_inference_steps=g.num_inference_steps,
            guidance_scale=g.guidance_scale,
            generator=[torch.Generator("cpu").manual_seed(ask.generation.seeds[0]) for ask in asks],
            callback_on_step_end=callback,
        ).images
        return [np.asarray(image) for image in images]

    def _switch(self, lora: str | None) -> None:
        self._lora = lora
        if lora is None:
            self.pipe.disable_lora()
        else:
            self.pipe.enable_lora()
            self.pipe.set_adapters(lora)


def compatible(ask: Ask) -> tuple[Any, ...]:
    """What must be equal for two requests to share a pipeline call."""
    g = ask.generation
    return g.num_inference_steps, g.guidance_scale, g.sampler, g.width, g.height, ask.lora


def one_by_one(model: ImageModel, asks: Sequence[Ask], clock: Clock) -> list[Served]:
    """(a) in the order of arrival."""
    return _calls(model, asks, clock, 1)


def request_batches(model: ImageModel, asks: Sequence[Ask], clock: Clock, cap: int = 8) -> list[Served]:
    """(b) the oldest waiting request, with all compatible ones that wait, up to ``cap``."""
    return _calls(model, asks, clock, cap)


def _calls(model: ImageModel, asks: Sequence[Ask], clock: Clock, cap: int) -> list[Served]:
    plain, coming, waiting, done = Plain(model), deque(asks), [], []
    while coming or waiting:
        if not waiting:
            clock.wait_until(coming[0].at)
        while coming and coming[0].at <= clock.now():
            waiting.append(coming.popleft())
        batch = [ask for ask in waiting if compatible(ask) == compatible(waiting[0])][:cap]
        waiting = [ask for ask in waiting if ask not in batch]
        served = [Served(ask) for ask in batch]

        def first(served: list[Served] = served) -> None:
            for one in served:
                one.first = clock.now()

        pictures = plain.draw(batch, first)
        for one, picture in zip(served, pictures, strict=True):
            one.finished, one.picture = clock.now(), picture
        done += served
    return sorted(done, key=lambda one: one.ask.number)


# Atelier's


class _Notes(Reporter):
    """Notes a job's first step."""

    def __init__(self, served: Served, clock: Clock) -> None:
        self.served, self.clock = served, clock

    def step(self, step: int, total: int, preview: Callable[[], bytes | None] | None = None) -> None:
        if self.fiber is not None:
            self.fiber.set_progress(step, total)  # as a worker's reporter does
        self.served.first = self.served.first or self.clock.now()


def engine(
    model: ImageModel, asks: Sequence[Ask], clock: Clock, durations: DurationModel | None = None
) -> list[Served]:
    """Each job begins when it arrives; the engine decides the rest. durations: what it knows of the device
    from before.

    The clock counts the work of all threads as one core's, so there is no room beside the passes.
    """
    coming, served, engine = (
        deque(asks),
        [],
        Engine(clock=clock.now, durations=durations, has_spare_core=lambda: False),
    )
    try:
        while coming or engine.fibers:
            if not engine.fibers:
                clock.wait_until(coming[0].at)
            while coming and coming[0].at <= clock.now():
                served.append(_begin(engine, model, coming.popleft(), clock))
            engine.wake.clear()
            if not engine.tick():
                engine.wake.wait()
    finally:
        engine.stop()
    return sorted(served, key=lambda one: one.ask.number)


def learned(model: ImageModel, like: Ask, timer: Callable[[], float] = time.process_time) -> DurationModel:
    """The batch curve and the overhead of jobs like ``like``, measured as a worker does: with a first job and
    in the idle moments after it."""
    durations, clock = DurationModel(), Clock(timer)
    engine = Engine(clock=clock.now, durations=durations)
    _begin(engine, model, like, clock)
    engine.run()
    while engine.measure():
        pass
    engine.stop()
    return durations


def _begin(engine: Engine, model: ImageModel, ask: Ask, clock: Clock) -> Served:
    served = Served(ask)
    reporter = _Notes(served, clock)

    def work(fiber: Any) -> Any:
        reporter.fiber = fiber
        return generate(model, ask.generation, reporter)

    def done(result: Any, error: BaseException | None) -> None:
        if error is not None:
            raise error
        served.finished, served.picture = clock.now(), np.asarray(result.images[0])

    engine.begin(f"job {ask.number}", work, done=done)
    return served


def service_time(model: ImageModel, asks: Sequence[Ask]) -> float:
    """Mean CPU seconds of one job when each is drawn alone, one after another: what a load is counted in."""
    plain = Plain(model)
    plain.draw(asks[:1], lambda: None)
    began = time.process_time()
    for ask in asks:
        plain.draw([ask], lambda: None)
    return (time.process_time() - began) / len(asks)


# A trace in all ways

WAYS: dict[str, Server] = {"one by one": one_by_one, "request batches": request_batches, "engine": engine}


def serve(
    model: ImageModel,
    trace: Sequence[Ask],
    ways: dict[str, Server] = WAYS,
    timer: Callable[[], float] = time.process_time,
    plain: ImageModel | None = None,
) -> dict[str, Run]:
    """The same trace in each way, one after another; the engine knows the device's curve, as after a first
    job of the kind.

    plain: the model of all ways but the engine, if it needs one of its own.
    """
    durations, runs = learned(model, trace[0], timer), {}
    for name, way in ways.items():
        way = partial(way, durations=durations) if way is engine else way
        clock = Clock(timer)
        served = way(model if name == "engine" else plain or model, trace, clock)
        runs[name] = Run(served, clock.busy)
    return runs


def serve_loaded(
    model: ImageModel, mix: Mix, load: float, count: int, repeats: int, ways: dict[str, Server] = WAYS
) -> list[dict[str, Run]]:
    """``repeats`` traces of ``count`` jobs, each served in all ``ways``, that offer ``load`` of what one job
    at a time can serve.

    Each one's own steps count, not the mix's mean: with a few 50-step jobs more or less, a hundred jobs of
    the same mix are 0.8 of a device's time or 1.2. So does how long a step took under (a) in the trace
    before: at load 0.83 the line is half as long as at 0.9.
    """
    middling, runs = round(mix.mean_steps), []
    step = (
        service_time(
            model, poisson(replace(mix, steps=((middling, 1.0),)), max(4, count // 15), 1.0, repeats)
        )
        / middling
    )
    for seed in range(repeats):
        trace = poisson(mix, count, 1.0, seed)
        steps = sum(ask.generation.num_inference_steps for ask in trace)
        stretch = step * steps / (load * trace[-1].at)
        runs.append(serve(model, [replace(ask, at=ask.at * stretch) for ask in trace], ways))
        step = runs[-1]["one by one"].busy / steps
    return runs


def gains(runs: Sequence[dict[str, Run]], against: str, of: Callable[[Run], float]) -> tuple[float, ...]:
    """How many times smaller ``of`` is with the engine, trace by trace."""
    return tuple(of(run[against]) / of(run["engine"]) for run in runs)


def came_out(runs: Sequence[dict[str, Run]], mix_rate: str = "one by one") -> tuple[float, ...]:
    """The load that one job at a time really had: its work by the time between the first arrival and the
    last."""
    return tuple(
        run[mix_rate].busy / max(1e-9, run[mix_rate].served[-1].ask.at - run[mix_rate].served[0].ask.at)
        for run in runs
    )


def same_pictures(runs: Sequence[dict[str, Run]], bound: float) -> Check:
    """Every way gave every job the same picture, within ``bound`` of 255."""
    ways = list(runs[0])
    pairs = ((run[ways[0]].served, run[way].served) for run in runs for way in ways[1:])
    differences = [
        apart(one.picture, other.picture)
        for first, second in pairs
        for one, other in zip(first, second, strict=True)
    ]
    return check("pictures of " + " and ".join(ways) + ", of 255", differences, bound)
