"""Who asks for what, when: open-loop Poisson arrivals with fixed seeds."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vision.drawing.generation import Generation
from vision.families import Mode

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
