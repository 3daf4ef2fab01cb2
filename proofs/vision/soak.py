"""Random mixes of all jobs on several models in little memory: ``python -m proofs.vision.soak --mixes 100``.

The worker's own models, engine and capabilities, on tiny models of four families: pictures from words (with
LoRAs, drafts, --hd), variations, outpaintings, enlargements, regions found by words, blends, captions,
labels. Jobs come when they like, some are cancelled, passes run out of memory. Every job must end, with the
picture that it has alone: within 3 of 255 in float32; to the bit with ``--exact``, in any dtype.
"""

from __future__ import annotations

import argparse
import io
import logging
import random
import sys
import tempfile
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from PIL import Image

from core import requests
from core.errors import JobCancelled, OutOfMemory
from core.events import Output
from core.requests import Request
from tests.support import tiny
from tests.vision.diffusion.test_loras import save_lora
from vision import devices
from vision.capabilities import capability
from vision.engine import engine
from vision.engine.engine import Call, Engine, Fiber
from vision.protocol import WorkerConfig
from vision.reporter import Reporter
from vision.store import Models
from vision.weights import memory

NEAR = 3  # of 255
STUCK = 120.0  # seconds without anything happening
PICTURES = {letter * 64: tiny.picture(64, 64, seed) for seed, letter in enumerate("abc")}
IMAGE_MODELS = {"xl": "stable-diffusion-xl", "sd3": "stable-diffusion-3", "flux": "flux"}


def request(rng: random.Random, most_steps: int) -> Request:
    """Of any kind."""
    sha = rng.choice(list(PICTURES))
    kind = rng.choice(
        ("imagine",) * 5
        + ("variation", "outpaint", "upscale", "words", "boxes", "blend", "describe", "labels")
    )
    if kind == "describe":
        return requests.DescribeRequest(image=sha, num_captions=rng.randint(1, 3), seed=rng.randint(0, 2))
    if kind == "labels":
        return requests.ClassifyRequest(image=sha, labels=rng.choice(((), ("cat", "dog"))))
    given: dict[str, Any] = {
        "prompt": rng.choice(("a cat", "red house in the snow", "moon")),
        "seed": rng.randint(0, 3),
        "num_inference_steps": rng.randint(1, most_steps),
        "num_images": rng.randint(1, 3),
        "model": rng.choice((None, None, *IMAGE_MODELS)),
        "guidance_scale": rng.choice((None, None, 1.0, 3.0, 6.0)),
    }
    if given["model"] is None and rng.random() < 0.4:
        given["loras"] = tuple((name, rng.choice((0.5, 1.0))) for name in rng.sample("ab", rng.randint(1, 2)))
    match kind:
        case "imagine":
            return requests.ImagineRequest(**given, hd=rng.random() < 0.2, draft=rng.random() < 0.2)
        case "variation":
            return requests.VariationRequest(**given, image=sha)
        case "outpaint":
            return requests.OutpaintRequest(**given, image=sha, left=32)
        case "upscale":
            return requests.UpscaleRequest(
                **{**given, "num_images": 1}, image=sha, factor=2, mode=rng.choice(("subtle", "creative"))
            )
        case "words":
            return requests.RegionRequest(**given, image=sha, region=rng.choice(("cat", "red")))
        case "boxes":
            return requests.RegionRequest(**given, image=sha, boxes=((8, 8, 40, 40),))
    return requests.BlendRequest(**{**given, "prompt": ""}, images=tuple(rng.sample(list(PICTURES), 2)))


class Job(Reporter):
    """Looks at every third step's preview, as a worker does now and then."""

    def __init__(self, request: Request, models: Models) -> None:
        self.request, self.models, self.cancelled, self.steps = request, models, False, 0
        self.output: Output | None = None
        self.error: BaseException | None = None
        self.ended = False

    def __call__(self, fiber: Fiber) -> Output:
        self.fiber = fiber
        return capability(self.request.kind)(
            self.request, {sha: PICTURES[sha] for sha in self.request.pictures}, self.models, self
        )

    def step(self, step: int, total: int, preview: Callable[[], bytes | None] | None = None) -> None:
        self.steps += 1
        if preview is not None and step < total and self.steps % 3 == 1:
            preview()

    def check(self) -> None:
        if self.cancelled:
            raise JobCancelled

    def done(self, output: Output | None, error: BaseException | None) -> None:
        assert not self.ended
        self.output, self.error, self.ended = output, error, True


@dataclass
class Soak:
    """folder: for what the models cache. folders: name → tiny model; None = made there."""

    folder: Path
    exact: bool = False
    dtype: str = "auto"
    folders: dict[str, Path] | None = None
    most_steps: int = 6
    alone: dict[Request, Output | BaseException] = field(default_factory=dict)
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("jobs", "cancelled", "without memory"), 0)
    )

    def __post_init__(self) -> None:
        folders = self.folders or tiny.build(self.folder / "tiny")
        for seed, name in enumerate("ab"):
            save_lora("stable-diffusion", self.folder / f"{name}.safetensors", seed, ("unet",))
        roles = {"image": "stable-diffusion", "clip": "clip", "vit": "vit", "caption": "blip"}
        self.config = WorkerConfig(
            "cpu",
            {role: str(folders[name]) for role, name in roles.items()},
            str(self.folder),
            cpu_threads=1,
            dtype=self.dtype,
            exact=self.exact,
            image_models={name: str(folders[folder]) for name, folder in IMAGE_MODELS.items()},
            loras={name: str(self.folder / f"{name}.safetensors") for name in "ab"},
        )
        self.plain = Models(self.config)

    def mix(self, seed: int) -> list[str]:
        """What was wrong."""
        rng = random.Random(seed)
        wanted = [request(rng, self.most_steps) for _ in range(rng.randint(3, 9))]
        for each in wanted:
            if each not in self.alone:
                self.alone[each] = self._alone(each)
        models, has_spare_core = Models(self.config), rng.random() < 0.5
        jobs, engine = (
            [Job(each, models) for each in wanted],
            Engine(exact=self.exact, has_spare_core=lambda: has_spare_core),
        )
        with (
            _memory(models, rng.choice((2.3, 2.3, 3.0, 5.0))),
            _full(rng, 0.0 if self.exact else rng.choice((0.0, 0.0, 0.02, 0.1))) as full,
        ):
            coming = list(jobs)
            while coming or engine.fibers:
                for job in coming[: rng.randint(0, 2)]:
                    engine.begin(job.request.kind, job, check=job.check, done=job.done)
                    coming.remove(job)
                if rng.random() < 0.01:
                    rng.choice(jobs).cancelled = True
                engine.wake.clear()
                if not engine.tick() and engine.fibers and not coming and not engine.wake.wait(STUCK):
                    return [
                        f"mix {seed}: stuck: "
                        + ", ".join(f"{fiber.name} waits for {fiber.waits_for}" for fiber in engine.fibers)
                    ]
            engine.stop()
        return [
            f"mix {seed}: {job.request.kind}: {problem}"
            for job in jobs
            for problem in [self._problem(job, bool(full))]
            if problem
        ]

    def _alone(self, wanted: Request) -> Output | BaseException:
        job, engine = Job(wanted, self.plain), Engine(exact=self.exact, has_spare_core=lambda: False)
        engine.begin("alone", job, done=job.done)
        engine.run()
        return job.output or job.error

    def _problem(self, job: Job, full: bool) -> str:
        self.counts["jobs"] += 1
        alone = self.alone[job.request]
        if not job.ended:
            return "no answer"
        if isinstance(job.error, JobCancelled):
            self.counts["cancelled"] += 1
            return "" if job.cancelled else "was stopped by nobody"
        if (
            full
            and job.error is not None
            and (isinstance(job.error, OutOfMemory) or devices.is_out_of_memory(job.error))
        ):
            self.counts["without memory"] += 1
            return ""
        if job.error is not None or isinstance(alone, BaseException):
            return "" if type(job.error) is type(alone) else f"{job.error!r} instead of {alone!r:.80}"
        got, known = (
            [_pixels(picture.data) for picture in output.pictures] for output in (job.output, alone)
        )
        if [picture.shape for picture in got] != [picture.shape for picture in known]:
            return "other sizes or numbers"
        apart = max((int(np.abs(a - b).max()) for a, b in zip(got, known, strict=True)), default=0)
        if apart > (0 if self.exact else NEAR):
            return f"{apart} of 255 away from the picture that it has alone"
        said, known = (replace(output, pictures=(), grid=None) for output in (job.output, alone))
        return (
            ""
            if isinstance(job.request, requests.ClassifyRequest) or said == known
            else f"says {said} instead of {known}"
        )


@contextmanager
def _memory(models: Models, largest: float):
    """A device that has room for the ``largest``-fold of the largest model's weights, beside which work takes
    as much again."""
    known = [
        memory.bytes_in_memory(Path(spec), models.dtype.itemsize)
        for spec in (*models.config.models.values(), *models.config.image_models.values())
    ]
    room = round(largest * max(known))
    with mock.patch.object(
        devices, "memory", lambda device: (room - sum(held.found.held for held in models.held.values()), room)
    ):
        yield


@contextmanager
def _full(rng: random.Random, share: float):
    """``share`` of the passes of several rows run out of memory, and a few of those of one. What was thrown
    is in the list."""
    plain, thrown = engine.evaluate_now, []

    def evaluate_now(call: Call) -> Any:
        if rng.random() < share and (call.count > 1 or rng.random() < 0.3):
            thrown.append(call.count)
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return plain(call)

    with mock.patch.object(engine, "evaluate_now", evaluate_now):
        yield thrown


def _pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def main() -> int:
    """Exit status: 1 when anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mixes", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--exact", action="store_true")
    parser.add_argument("--dtype", default="auto")
    arguments = parser.parse_args()
    from vision.worker.main import quiet_libraries

    quiet_libraries()
    warnings.filterwarnings("ignore")
    logging.disable(logging.ERROR)
    torch.set_num_threads(1)
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(Path(folder), arguments.exact, arguments.dtype)
        for seed in range(arguments.seed, arguments.seed + arguments.mixes):
            for line in soak.mix(seed):
                print(line, flush=True)
                wrong.append(line)
    print(
        f"{arguments.mixes} mixes: {', '.join(f'{count} {what}' for what, count in soak.counts.items())},"
        f" {len(wrong)} wrong"
    )
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
