"""How far quantised pictures are from the plain ones, for every family and kind: ``python -m
proofs.vision.quantized`` prints the table; the tests look at two families."""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from PIL import Image

from core.requests import ImagineRequest
from tests.support import tiny
from tests.vision.conftest import ask
from vision.protocol import WorkerConfig
from vision.store import Models
from vision.weights import memory

REQUEST = ImagineRequest(prompt="a red house", seed=7, num_images=1, num_inference_steps=2)
NEAR = {"int8": 0.3, "fp8": 1.6, "nf4": 8.0}  # of 255, mean over a picture's values


@dataclass(frozen=True)
class Distance:
    """How far a quantised model's picture is from the plain one, in 255ths: mean and largest. back: the
    largest between it and that of the model saved and read back."""

    mean: float
    largest: int
    back: int


@contextmanager
def nf4_on_the_processor() -> Iterator[None]:
    """Let diffusers load NF4 without a card: bitsandbytes computes it on a processor, too, but diffusers asks
    for a card first. Where the processor has AVX-512 for bfloat16, bitsandbytes would pack the weights anew
    for a product of its own, which refuses matrices as narrow as those of tiny models: it is told not to."""
    from diffusers.quantizers.bitsandbytes.bnb_quantizer import BnB4BitDiffusersQuantizer as Quantizer

    with (
        mock.patch.object(Quantizer, "validate_environment", lambda self, *_, **__: None),
        mock.patch.object(Quantizer, "update_device_map", lambda self, _: {"": "cpu"}),
        mock.patch("vision.weights.memory.installed", lambda device: frozenset(NEAR)),
        mock.patch("bitsandbytes.nn.modules.has_avx512bf16", lambda: False),
        mock.patch("bitsandbytes.backends.cpu.ops.has_avx512bf16", lambda: False),
    ):
        yield


def models_of(source: Path, cache: Path, kind: str = "off", **more: Any) -> Models:
    """Return the models of a worker that loads ``source``, quantised. more: fields of WorkerConfig."""
    config = WorkerConfig("cpu", {"image": str(source)}, str(cache), allow_download=False, quantize=kind)
    return Models(replace(config, **more))


def pixels(models: Models, request: ImagineRequest = REQUEST) -> np.ndarray:
    """Return the picture that the model draws, (H, W, 3)."""
    picture = ask(models, request).pictures[0]
    return np.asarray(Image.open(io.BytesIO(picture.data)).convert("RGB"), np.int16)


def kinds_of_weights(models: Models) -> set[str]:
    """Return the classes of the weights of the denoiser's linear layers."""
    pipe = models.get("image")._base
    module = getattr(pipe, "transformer", None) or pipe.unet
    return {type(part.weight).__name__ for part in module.modules() if isinstance(part, torch.nn.Linear)}


def distance(folder: Path, kind: str, scratch: Path) -> Distance:
    """Draw with the model in ``folder`` plain, quantised, and saved and read back; return how far apart the
    pictures are."""
    plain = pixels(models_of(folder, scratch))
    models, saved = models_of(folder, scratch, kind), scratch / f"{folder.name} {kind}"
    drawn = pixels(models)
    assert kinds_of_weights(models) - {"Parameter"}, "nothing was quantised"
    models.get("image")._base.save_pretrained(saved)
    shutil.copy(folder / "atelier.json", saved)
    assert memory.quantizable_parts(saved) == ()
    back = models_of(saved, scratch)
    apart = np.abs(pixels(back) - drawn).max()
    assert kinds_of_weights(back) == kinds_of_weights(models)
    return Distance(float(np.abs(plain - drawn).mean()), int(np.abs(plain - drawn).max()), int(apart))


def main() -> int:
    """Print a row for each family; return 1 if one is further off than NEAR allows."""
    torch.set_num_threads(1)
    far = False
    with tempfile.TemporaryDirectory() as name, nf4_on_the_processor():
        folders = tiny.build(Path(name) / "tiny")
        print(f"{'family':<20}", *(f"{kind + ' mean, largest, back':>28}" for kind in NEAR))
        for family in sorted(tiny.IMAGE_MODELS):
            row = {kind: distance(folders[family], kind, Path(name)) for kind in NEAR}
            print(
                f"{family:<20}",
                *(f"{d.mean:18.2f} {d.largest:5} {d.back:3}" for d in row.values()),
                flush=True,
            )
            far |= any(d.mean > NEAR[kind] or d.back > 1 for kind, d in row.items())
    return int(far)


if __name__ == "__main__":
    sys.exit(main())
