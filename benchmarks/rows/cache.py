"""First-Block-Cache when requests interleave: what it saves must be what it saves when they are drawn one
after another."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import torch

from benchmarks.measure import Chart, Figure, Goal, Result, Unequal, check
from benchmarks.models import Life, begin, image_model
from benchmarks.rows import Options
from benchmarks.serving import PROMPTS
from tests.support import tiny
from vision.diffusion.model import ImageModel
from vision.diffusion.parameters import Generation
from vision.engine.denoiser import Denoiser
from vision.engine.engine import Engine
from vision.families import Mode

TITLE = "First-Block-Cache while requests interleave"
AGAINST = (
    "the same requests with the cache, one after another; and as a control, interleaved with one memory"
    " for all"
)
JOBS, SIDE, THRESHOLD = 6, 64, 0.3


def measure(options: Options) -> Result:
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
        Chart("bars", TITLE, "% of the saving kept", series),
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
            SIDE,
            SIDE,
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
