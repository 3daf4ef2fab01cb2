"""Measures what a model needs beside its weights: its texts, a pass of one row, and its decoder, at native
size.

    python -m tools.memory_needs [FAMILY …]

Each is written hollow, loaded and drawn with by the program's own code on a card that isn't there. Prints
JSON of bytes, which ``vision/weights/needs.json`` keeps and a test compares.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from core.requests.images import ImagineRequest
from tools import full_size
from tools.hollow_card import HollowCard
from vision import loader
from vision.capabilities import capability
from vision.diffusion import model as image_model
from vision.protocol import WorkerConfig
from vision.reporter import Reporter
from vision.store import Models

IMAGES = ("stable-diffusion-xl", "flux2-klein-4b", "z-image-turbo", "qwen-image-2512")


def measure_image_model(family: str, root: Path) -> dict[str, int]:
    """Return the bytes that ``family`` needs: weights, and over them text, step (a row's pass) and decode."""
    folder = root / family
    full_size.write_model(family, folder)
    with hollow_card() as card:
        models = Models(
            WorkerConfig("cuda:0", {"image": str(folder)}, str(root / "data"), allow_download=False)
        )
        loaded = models.image(None)
        weights, found = card.live, dict[str, int]()
        with watched(card, loaded._base, found):
            request = ImagineRequest(
                prompt="a red house on a hill", seed=7, num_images=1, num_inference_steps=2
            )
            capability(request.kind)(request, {}, models, Reporter())
    return {"weights": weights, **{name: peak - weights for name, peak in sorted(found.items())}}


@contextlib.contextmanager
def hollow_card(capacity: int = 1 << 60) -> Iterator[HollowCard]:
    """A card for the program's own loader: nothing is read ahead, and no picture is taken for a black one."""
    with (
        HollowCard(capacity) as card,
        mock.patch.object(loader, "_read_ahead", lambda *args: None),
        mock.patch.object(image_model, "_is_blank", lambda decoded: False),
    ):
        yield card


@contextlib.contextmanager
def watched(card: HollowCard, pipe: Any, found: dict[str, int]) -> Iterator[None]:
    """Note the peaks while the pipeline's parts work. found: what → bytes, the largest."""

    def noted(what: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            card.reset()
            try:
                return work(*args, **kwargs)
            finally:
                found[what] = max(found.get(what, 0), card.peak)

        return call

    with contextlib.ExitStack() as stack:
        for name, part in pipe.components.items():
            if not isinstance(part, torch.nn.Module):
                continue
            what = "decode" if name == "vae" else "text" if "encoder" in name else "step"
            work = "decode" if name == "vae" else "forward"
            stack.enter_context(mock.patch.object(part, work, noted(what, getattr(part, work))))
        yield


def main() -> None:
    """Print the needs of the families that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("families", nargs="*", default=IMAGES)
    with tempfile.TemporaryDirectory() as folder:
        needs = {family: measure_image_model(family, Path(folder)) for family in parser.parse_args().families}
    print(json.dumps(needs, indent=1))


if __name__ == "__main__":
    main()
