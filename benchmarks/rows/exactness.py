"""Requests that are drawn interleaved: every picture must be the one that the same request gets alone, and
what First-Block-Cache saves must be what it saves one after another."""

from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from diffusers.image_processor import VaeImageProcessor
from PIL import Image

from benchmarks.measure import Chart, Figure, Goal, Result, Unequal, apart, check
from benchmarks.models import Life, begin, image_model, tiny_image_model
from benchmarks.rows import Options, Row
from benchmarks.serving import PROMPTS
from core.errors import JobCancelled
from tests.support import tiny
from tests.vision.engine.test_engine import plain
from vision.diffusion.model import SCHEDULERS, ImageModel
from vision.diffusion.parameters import Generation
from vision.engine.denoiser import Denoiser
from vision.engine.engine import Engine
from vision.families import Mode

TRACES = 2000
SIDE = 64  # px, as where ``plain`` stands
BOUND = 1e-3  # of the latents' standard deviation
FAMILIES = ("stable-diffusion", "stable-diffusion-xl", "flux", "stable-diffusion-3", "z-image", "flux2-klein")
CANCELLED = 0.2  # share of jobs that somebody stops
FEWEST, MOST = 3, 6  # jobs in a trace


@dataclass(frozen=True)
class Request:
    """One of the pool, and what it gets alone: latents as the decoder takes them (1, C, h, w), picture (H, W,
    3)."""

    generation: Generation
    latents: torch.Tensor
    picture: np.ndarray


def measure_exactness(options: Options) -> Result:
    """Each family's share of the traces, drawn from a pool that covers its samplers and modes."""
    wanted = max(len(FAMILIES), round(TRACES * options.scale))
    worst: dict[str, list[float]] = {}
    pictures, shared = [], []
    for number, family in enumerate(FAMILIES):
        model = tiny_image_model(family, options.folder)
        pool = request_pool(model, random.Random(number), 48 if model.card.samplers == "any" else 10)
        for trace in range(number, wanted, len(FAMILIES)):
            found, rows = run_trace(model, pool, random.Random(trace))
            shared.append(rows)
            for request, latents, picture in found:
                relative = float((latents - request.latents).abs().max() / request.latents.std())
                worst.setdefault(f"{family}, {request.generation.sampler or 'own'}", []).append(relative)
                pictures.append(apart(picture, request.picture))
    every = list(itertools.chain(*worst.values()))
    figures = (
        Figure("traces", (wanted,), "", "count"),
        Figure("pictures compared", (len(every),), "", "count"),
        Figure("wrong pictures", (sum(r > BOUND for r in every),), "", "count", Goal(at_most=0)),
        Figure(
            "largest difference, of the latents' deviation", (max(every),), "", "count", Goal(at_most=BOUND)
        ),
        Figure("jobs that shared a pass, on the average", (float(np.mean(shared)),), "", "count"),
    )
    checks = (check("latents, of their deviation", every, BOUND), check("pictures, of 255", pictures, 2))
    series = {name: [max(found)] for name, found in worst.items()}
    return Result(
        figures,
        checks,
        Chart("largest difference, of the latents' deviation", series, log=True),
    )


# What each gets alone


def request_pool(model: ImageModel, chance: random.Random, count: int) -> list[Request]:
    samplers: Sequence[str | None] = (None, *SCHEDULERS) if model.card.samplers == "any" else (None,)
    modes = [mode for mode in Mode if mode is not Mode.EDIT and model.has(mode)]
    return [
        _alone(model, _generation(chance, samplers[i % len(samplers)], modes[i % 5 % len(modes)]))
        for i in range(count)
    ]


def _generation(chance: random.Random, sampler: str | None, mode: Mode) -> Generation:
    seed = chance.randrange(2**32)
    generation = Generation(
        mode,
        chance.choice(PROMPTS),
        (seed,),
        SIDE,
        SIDE,
        chance.randint(2, 5),
        chance.choice((1.0, 3.0, 5.0, 7.5)),
        sampler=sampler,
    )
    if mode is Mode.TEXT:
        return generation
    start, mask = tiny.picture(SIDE, SIDE, seed % 97), Image.new("L", (SIDE, SIDE), 0)
    mask.paste(255, (SIDE // 2, 0, SIDE, SIDE))
    return replace(
        generation,
        strength=chance.choice((0.6, 1.0)),
        image=start,
        mask_image=mask if mode is Mode.INPAINT else None,
    )


def _alone(model: ImageModel, g: Generation) -> Request:
    """By the pipeline itself; the picture is its latents decoded by diffusers."""
    latents, pipe = torch.stack(plain(model, g)), model.pipeline(g.mode)
    with torch.no_grad():
        decoded = pipe.vae.decode(latents, return_dict=False)[0]
    return Request(g, latents, np.asarray(VaeImageProcessor().postprocess(decoded, output_type="pil")[0]))


# What they get together


def run_trace(
    model: ImageModel, pool: Sequence[Request], chance: random.Random
) -> tuple[list[tuple[Request, torch.Tensor, np.ndarray]], float]:
    """(request, latents, picture) of every job that was not stopped, and how many jobs a pass had on the
    average."""
    chosen = chance.sample(list(pool), chance.randint(FEWEST, MOST))
    lives = [
        Life(request.generation, chance.randint(0, 4) if chance.random() < CANCELLED else None)
        for request in chosen
    ]
    arrivals, engine, ticks, passes = (
        list(itertools.accumulate(chance.choice((0, 0, 1, 2)) for _ in lives)),
        Engine(),
        0,
        [],
    )
    coming = list(zip(arrivals, lives, strict=True))
    began = time.monotonic()
    try:
        while coming or engine.fibers:
            while coming and (coming[0][0] <= ticks or not engine.fibers):
                begin(engine, model, coming.pop(0)[1])
            before = sum(life.steps for life in lives)
            engine.wake.clear()
            if not engine.tick() and engine.fibers:
                engine.wake.wait(10)
            ticks += 1
            if moved := sum(life.steps for life in lives) - before:
                passes.append(moved)
            if time.monotonic() - began > 300:
                raise TimeoutError("a trace never ended")
    finally:
        engine.stop()
    for life in lives:
        if life.error is not None and not isinstance(life.error, JobCancelled):
            raise life.error
    found = zip(chosen, lives, strict=True)
    return [(request, life.latents, life.picture) for request, life in found if life.error is None], float(
        np.mean(passes or [0])
    )


JOBS, CACHE_SIDE, THRESHOLD = 6, 64, 0.3


def measure_cache(options: Options) -> Result:
    """A tiny FLUX.1 with six deep blocks; requests of 8 to 24 steps, a trace for each repeat. Counted: runs
    of the last block."""
    bare, cached = (_model(options.folder, threshold) for threshold in (0.0, THRESHOLD))
    kept, shared, skipped, apart = [], [], [], []
    for seed in range(options.repeats):
        asked = _asked(random.Random(seed), max(2, round(JOBS * options.scale)))
        full, _ = _draw(bare, asked, 1)
        alone, one_by_one = _draw(cached, asked, 1)
        beside, interleaved = _draw(cached, asked, len(asked))
        with _one_memory():
            mixed, _ = _draw(cached, asked, len(asked))
        if alone == full:
            raise Unequal("the cache skipped nothing, so there is nothing to keep")
        kept.append(100 * (full - beside) / (full - alone))
        shared.append(100 * (full - mixed) / (full - alone))
        skipped.append(100 * (full - beside) / full)
        apart += [float((a - b).abs().max()) for a, b in zip(one_by_one, interleaved, strict=True)]
    figures = (
        Figure("saving kept", tuple(kept), "%", "count", Goal(at_least=99)),
        Figure("deep blocks skipped", tuple(skipped), "%", "count"),
        Figure("saving kept with one memory for all", tuple(shared), "%", "count"),
    )
    series = {"a memory for each": kept, "one for all": shared}
    checks = (check("latents, bit for bit", apart, 0.0),)
    return Result(
        figures,
        checks,
        Chart("% of the saving kept", series),
        (f"Threshold {THRESHOLD}, float32.",),
    )


def _model(folder: Path, threshold: float) -> ImageModel:
    from diffusers import FluxTransformer2DModel

    path = folder / f"flux-{threshold}"
    torch.manual_seed(0)
    pipe = tiny.flux()
    pipe.transformer = FluxTransformer2DModel.from_config(
        pipe.transformer.config, num_layers=3, num_single_layers=3
    )
    pipe.save_pretrained(path)
    (path / "atelier.json").write_text(json.dumps({**tiny.CARD, "cache_threshold": threshold}))
    return image_model(path, folder / "cache")


def _asked(chance: random.Random, count: int) -> list[Generation]:
    return [
        Generation(
            Mode.TEXT,
            chance.choice(PROMPTS),
            (chance.randrange(2**32),),
            CACHE_SIDE,
            CACHE_SIDE,
            chance.randint(8, 24),
            chance.choice((2.0, 3.5, 5.0)),
        )
        for _ in range(count)
    ]


def _draw(model: ImageModel, asked: Sequence[Generation], at_once: int) -> tuple[int, list[torch.Tensor]]:
    """(runs of the last block, latents of each), with so many ``at_once`` in the engine, which give each
    other turns at random."""
    lives, turns, engine = [Life(generation) for generation in asked], random.Random(0), Engine()
    coming = list(lives)
    with (
        _last_block(model) as runs,
        mock.patch.object(engine, "_choose", lambda waiting: [turns.choice(waiting)]),
    ):
        while coming or engine.fibers:
            while coming and len(engine.fibers) < at_once:
                begin(engine, model, coming.pop(0))
            engine.wake.clear()
            if not engine.tick():
                engine.wake.wait(10)
    engine.stop()
    for life in lives:
        if life.error is not None:
            raise life.error
    return len(runs), [life.latents for life in lives]


@contextmanager
def _last_block(model: ImageModel) -> Iterator[list[int]]:
    """An entry for each time it really runs."""
    runs: list[int] = []
    hook = (
        model.pipeline(Mode.TEXT)
        .transformer.single_transformer_blocks[-1]
        .attn.register_forward_hook(lambda *_: runs.append(1))
    )
    yield runs
    hook.remove()


@contextmanager
def _one_memory() -> Iterator[None]:
    """The seeded bug: all requests remember in one place."""
    forward: Callable = Denoiser.forward

    def shared(self: Denoiser, *args, **kwargs):
        self._serial = 0
        return forward(self, *args, **kwargs)

    with (
        mock.patch.object(Denoiser, "forward", shared),
        mock.patch.object(Denoiser, "forget", lambda self: None),
    ):
        yield


ROWS = {
    "exactness": Row(
        "Exactness: samplers × families × random traces",
        "the plain diffusers pipeline, each request alone, in float32",
        measure_exactness,
    ),
    "cache": Row(
        "First-Block-Cache while requests interleave",
        (
            "the same requests with the cache, one after another; and as a control, interleaved with one "
            "memory for all"
        ),
        measure_cache,
    ),
}
