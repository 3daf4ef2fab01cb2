"""Random mixes of videos and pictures in the engine: each comes out as it does alone.

    PYTHONPATH=. python -m proofs.vision.video_mixes --mixes 10000

Tiny models of four families of videos and two of pictures. Jobs come when they like, in one window or
several, with guidance or without; passes are joined at random or as the engine does; some jobs are cancelled,
some passes run out of memory. What is compared are the latents that come to the decoder, which in one mix of
eight runs beside the others' steps.
"""

from __future__ import annotations

import argparse
import gc
import logging
import random
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from core.errors import JobCancelled, OutOfMemory
from proofs.vision.soak import _full
from proofs.vision.video import operations
from tests.support import tiny
from tests.vision.engine.test_engine import Crowd
from vision import devices
from vision.diffusion import generate as pictures
from vision.diffusion.parameters import Generation
from vision.engine.engine import Engine, Fiber
from vision.families import Mode
from vision.protocol import WorkerConfig
from vision.reporter import Reporter
from vision.store import Models
from vision.video import generate
from vision.video.families import Operation
from vision.video.generate import Shot

DECODED = 1 / 8  # of the mixes: it takes as long as the steps do
REPORT = 500  # mixes from one line about them to the next
CLOSE = 1e-3  # of the latents' standard deviation
STUCK = 120.0  # seconds without anything happening
LONGEST = {"animatediff": 8, "ltx": 17}  # frames of one call; what is longer has windows
VIDEOS = ("animatediff", "ltx", "wan", "wan-a14b")
PICTURES = {"sd": "stable-diffusion", "sd3": "stable-diffusion-3"}
Wanted = tuple[str, Shot] | tuple[str, Generation]


class Job(Reporter):
    """latents: what came to the decoder. stop_after: steps, None = it isn't cancelled. decodes: whether its
    video is decoded."""

    def __init__(self, stop_after: int | None = None, *, decodes: bool = False) -> None:
        self.decodes = decodes
        self.latents: list[torch.Tensor] = []
        self.steps, self.stop_after = 0, stop_after
        self.error: BaseException | None = None
        self.ended = False

    def step(self, step: int, total: int, preview: Callable[[], bytes | None] | None = None) -> None:
        self.steps += 1
        if preview is not None and self.steps % 3 == 1:
            preview()

    def check(self) -> None:
        if self.stop_after is not None and self.steps >= self.stop_after:
            raise JobCancelled

    def done(self, result: Any, error: BaseException | None) -> None:
        assert not self.ended
        self.error, self.ended = error, True


@contextmanager
def kept_latents() -> Iterator[None]:
    """Let jobs keep what comes to the decoder. Pictures aren't decoded; videos are."""
    decode = generate.Video._decode

    def keep(drawing: Any, latents: torch.Tensor, *rest: Any) -> Any:
        reporter = drawing.reporter
        reporter.latents.append(latents.clone())
        return decode(drawing, latents, *rest) if reporter.decodes else iter(())

    def keep_picture(
        model: Any, pipe: Any, generation: Any, reporter: Any, result: torch.Tensor, left: Any
    ) -> Any:
        reporter.latents += [one.clone() for one in result]
        return iter(())

    with (
        mock.patch.object(generate.Video, "_decode", keep),
        mock.patch.object(pictures, "_finish", keep_picture),
    ):
        yield


@dataclass
class Mixes:
    """folder: for the tiny models."""

    folder: Path
    alone: dict[str, list[torch.Tensor]] = field(default_factory=dict)
    worst: float = 0.0  # of the latents' standard deviation
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(
            ("mixes", "videos", "pictures", "cancelled", "without memory", "passes", "shared passes"), 0
        )
    )

    def __str__(self) -> str:
        each = 1000 * (time.process_time() - self.began) / max(1, self.counts["mixes"])
        counts = ", ".join(f"{count} {what}" for what, count in self.counts.items())
        return f"{counts}; worst {self.worst:.1e} of the deviation; {each:.0f} CPU ms a mix"

    def __post_init__(self) -> None:
        self.began = time.process_time()
        folders = tiny.build(self.folder / "tiny")
        self.videos = {name: operations.load(name, self.folder / name) for name in VIDEOS}
        for name, longest in LONGEST.items():
            model = self.videos[name]
            model.card = replace(model.card, longest=longest)
        config = WorkerConfig(
            "cpu",
            {"image": str(folders[PICTURES["sd"]])},
            str(self.folder),
            cpu_threads=1,
            image_models={"sd3": str(folders[PICTURES["sd3"]])},
        )
        models = Models(config)
        self.pictures = {"sd": models.get("image"), "sd3": models.image("sd3")}

    def wanted(self, rng: random.Random) -> Wanted:
        """A video or a picture."""
        steps, guidance = rng.randint(2, 4), rng.choice((1.0, 3.0))
        if rng.random() < 0.5:
            name = rng.choice(sorted(self.pictures))
            words = rng.choice(("a cat", "red house in the snow"))
            seeds = tuple(range(seed := rng.randint(0, 2), seed + rng.randint(1, 2)))
            return name, Generation(Mode.TEXT, words, seeds, 64, 64, steps, guidance)
        name = rng.choice(VIDEOS)
        shots = operations.shots(self.videos[name])
        operation = rng.choice((Operation.WORDS, Operation.FIRST if name in LONGEST else Operation.WORDS))
        shot = replace(
            shots[operation],
            seed=rng.randint(0, 2),
            num_inference_steps=steps,
            guidance_scale=guidance,
        )
        if name in LONGEST and rng.random() < 0.3:
            shot = replace(shot, frames=2 * LONGEST[name])
        return name, shot

    def draw(self, wanted: Wanted, job: Job) -> None:
        """Draw it, with whatever ``job`` has of an engine."""
        name, what = wanted
        if isinstance(what, Generation):
            pictures.generate(self.pictures[name], what, job)
        else:
            for _ in generate.generate(self.videos[name], what, job).chunks:
                pass

    def mix(self, seed: int) -> list[str]:
        """What was wrong."""
        rng = random.Random(seed)
        wanted = [self.wanted(rng) for _ in range(rng.randint(2, 6))]
        for each in wanted:
            if repr(each) not in self.alone:
                job = Job()
                self.draw(each, job)
                self.alone[repr(each)] = job.latents
        decodes = rng.random() < DECODED
        jobs = [Job(rng.randint(0, 6) if rng.random() < 0.1 else None, decodes=decodes) for _ in wanted]
        spare = rng.random() < 0.5
        make = partial(Crowd, rng) if rng.random() < 0.5 else Engine
        engine = make(has_spare_core=lambda: spare)
        run = engine.passes.run

        def counted(calls: Any) -> Any:
            self.counts["passes"] += 1
            self.counts["shared passes"] += len(calls) > 1
            return run(calls)

        engine.passes.run = counted  # type: ignore[method-assign]
        with _full(rng, rng.choice((0.0, 0.0, 0.05))) as full:
            problem = self._run(engine, list(zip(wanted, jobs, strict=True)), rng)
        engine.stop()
        if problem:
            return [f"mix {seed}: {problem}"]
        self.counts["mixes"] += 1
        found = [self._problem(each, job, bool(full)) for each, job in zip(wanted, jobs, strict=True)]
        return [f"mix {seed}: {each!r}: {one}" for each, one in zip(wanted, found, strict=True) if one]

    def _run(self, engine: Engine, coming: list[tuple[Wanted, Job]], rng: random.Random) -> str:
        while coming or engine.fibers:
            for each, job in coming[: rng.randint(0, 2)]:
                coming.remove((each, job))

                def work(fiber: Fiber, each: Wanted = each, job: Job = job) -> None:
                    job.fiber = fiber
                    self.draw(each, job)

                engine.begin(each[0], work, check=job.check, done=job.done)
            engine.wake.clear()
            if not engine.tick() and engine.fibers and not coming and not engine.wake.wait(STUCK):
                return "stuck: " + ", ".join(f"{one.name} waits for {one.waits_for}" for one in engine.fibers)
        return ""

    def _problem(self, wanted: Wanted, job: Job, full: bool) -> str:
        self.counts["pictures" if isinstance(wanted[1], Generation) else "videos"] += 1
        if not job.ended:
            return "no answer"
        if isinstance(job.error, JobCancelled):
            self.counts["cancelled"] += 1
            return "" if job.stop_after is not None else "was stopped by nobody"
        if job.error is not None and full:
            if isinstance(job.error, OutOfMemory) or devices.is_out_of_memory(job.error):
                self.counts["without memory"] += 1
                return ""
        if job.error is not None:
            return repr(job.error)
        alone = self.alone[repr(wanted)]
        if [one.shape for one in job.latents] != [one.shape for one in alone]:
            return "other sizes or numbers"
        apart = max(float((a - b).abs().max() / b.std()) for a, b in zip(job.latents, alone, strict=True))
        self.worst = max(self.worst, apart)
        return f"{apart:.1e} of the deviation away from what it is alone" if apart > CLOSE else ""


def measure(
    folder: Path, mixes: int, *, seed: int = 0, seconds: float = float("inf"), models: Mixes | None = None
) -> tuple[Mixes, list[str]]:
    """Run so many mixes, or as many as begin within ``seconds``; return what was wrong, too. models: with
    those of other mixes, which take seconds to make."""
    torch.set_num_threads(1)
    problems, began = list[str](), time.monotonic()
    with kept_latents():
        all_of_them, frozen = models or Mixes(folder), gc.get_freeze_count()
        gc.collect()
        gc.freeze()  # passes without memory collect garbage, and needn't look at the models each time
        try:
            for number in range(seed, seed + mixes):
                if time.monotonic() - began > seconds:
                    break
                problems += all_of_them.mix(number)
                if all_of_them.counts["mixes"] % REPORT == 0:
                    print(f"{all_of_them}; {len(problems)} wrong", flush=True)
        finally:
            if not frozen:  # else those who froze the rest mean it to stay so
                gc.unfreeze()
    return all_of_them, problems


def main() -> int:
    """Exit status: 1 when anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mixes", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    arguments = parser.parse_args()
    import diffusers

    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore")
    logging.disable(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        mixes, problems = measure(
            Path(folder), arguments.mixes, seed=arguments.seed, seconds=arguments.seconds
        )
    print(f"{mixes}; {len(problems)} wrong")
    print("\n".join(problems[:20]))
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
