"""The demo models behind the worker's own code, held-out prompts for them, and measures of their pictures."""

import io
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from core.requests import GenerateRequest, ImagineRequest, Request
from demo.evaluate.images import SINGLE, held_out
from demo.evaluate.images import prompt as worded
from demo.judge import Judge
from demo.train.loop import MODELS
from demo.world import Scene
from vision.capabilities import capability
from vision.protocol import WorkerConfig
from vision.reporter import Reporter
from vision.store import Models

ONE, TWO = "a" * 64, "b" * 64  # names of the pictures that a request is given


class Pack:
    """The demo models behind the worker's own code. house: words of a house style; the pack has none of its
    own."""

    def __init__(self, house: str = "") -> None:
        folder = MODELS / "stable-diffusion"
        if house:
            folder = Path(tempfile.mkdtemp()) / "styled"
            shutil.copytree(MODELS / "stable-diffusion", folder)
            card = json.loads((MODELS / "stable-diffusion" / "atelier.json").read_text())
            (folder / "atelier.json").write_text(json.dumps({**card, "style": {"words": house}}))
        specs = {"image": str(folder), "clip": str(MODELS / "clip"), "caption": str(MODELS / "captioner")}
        self.models, self.reporter = (
            Models(WorkerConfig("cpu", specs, tempfile.mkdtemp(), cpu_threads=1)),
            Counter(),
        )

    def run(self, request: Request, images: Mapping[str, Image.Image] | None = None):
        """Return the output of ``request``. images: SHA-256 → picture, of every picture that it names."""
        self.reporter.steps = 0
        return capability(request.kind)(request, images or {}, self.models, self.reporter)

    def draw(
        self, request: GenerateRequest, images: Mapping[str, Image.Image] | None = None
    ) -> list[Image.Image]:
        """Return the pictures of ``request``, opened as RGB."""
        return [
            Image.open(io.BytesIO(picture.data)).convert("RGB")
            for picture in self.run(request, images).pictures
        ]

    def see(self, images: list[Image.Image]) -> torch.Tensor:
        """Return the pictures' CLIP embeddings: (N, D) of unit length."""
        return self.models.get("clip").embed_images(images).float()


class Counter(Reporter):
    """Counts the steps of a job."""

    steps = 0

    def step(self, step: int, total: int, preview: Callable[[], bytes | None] | None = None) -> None:
        """Count one step more."""
        self.steps += 1


@cache
def pack(house: str = "") -> Pack:
    """Return the demo models, loaded once for each house style."""
    return Pack(house)


@cache
def judge() -> Judge:
    """Return the network that names what is in a picture, loaded once."""
    return Judge()


def scenes(n: int, name: str, kinds: dict[str, float] = SINGLE) -> list[tuple[Scene, str]]:
    """Return ``n`` held-out scenes and what somebody would type for them; the same for the same ``name``."""
    return [(scene, worded(scene, rng)) for scene, rng in held_out(n, kinds, name)]


def ask(words: str, number: int, **more) -> ImagineRequest:
    """Return the request of prompt ``number``, which has seeds of its own."""
    return ImagineRequest(prompt=words, seed=1000 + 10 * number, **more)


# Measures


def spread(images: list[Image.Image]) -> float:
    """Return the mean CLIP distance (1 - cosine) of all pairs."""
    seen = pack().see(images)
    apart = 1 - seen @ seen.T
    return float(apart.sum() / (len(images) * (len(images) - 1)))


def seam(image: Image.Image) -> float:
    """Return the step across opposite edges, in mean steps between neighbours."""
    a = np.asarray(image, float)
    across = np.abs(a[0] - a[-1]).mean() + np.abs(a[:, 0] - a[:, -1]).mean()
    return across / (np.abs(np.diff(a, axis=0)).mean() + np.abs(np.diff(a, axis=1)).mean())


def blueness(image: Image.Image) -> float:
    """Return 0..255: how far blue is over the mean of red and green, the mean of all pixels."""
    a = np.asarray(image, float)
    return float((a[..., 2] - (a[..., 0] + a[..., 1]) / 2).clip(0).mean())
