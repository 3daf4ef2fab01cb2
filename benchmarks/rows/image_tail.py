"""From the decoder's tensor to the bytes of a lossless file, 1024 px."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image

from benchmarks import models as samples
from benchmarks.measure import Chart, Figure, Goal, Result, apart, check, cpu_ms, interleaved, times_less
from benchmarks.rows import Options
from vision.diffusion.vae import pixels_of
from vision.images import encode as pictures

TITLE = "Image tail: decoded tensor → lossless bytes, 1024 px"
AGAINST = "diffusers' VaeImageProcessor and `image.save(…, 'PNG')` with Pillow's defaults"
SIDE = 1024
ROUNDS = 3


def measure(options: Options) -> Result:
    """Both ways on a drawing and on a photo-like picture; the pixels that come back must be the same."""
    figures, checks, series, notes = [], [], {}, []
    for kind, picture in (("drawing", samples.drawing(SIDE)), ("photo", samples.photo(SIDE))):
        decoded = samples.decoded(picture)
        ways = {
            "diffusers + Pillow": _plain(decoded),
            "PNG": _ours(decoded, pictures.png),
            "WebP": _ours(decoded, lambda image: pictures.grid([image])),
        }
        wanted = _read(ways["diffusers + Pillow"]())
        checks.append(
            check(
                f"pixels of the {kind}", [apart(_read(ways[name]()), wanted) for name in ("PNG", "WebP")], 0
            )
        )
        costs = {
            name: cpu_ms(found) for name, found in interleaved(ways, options.repeats, rounds=ROUNDS).items()
        }
        figures += [
            Figure(
                f"PNG, {kind}",
                times_less(costs["diffusers + Pillow"], costs["PNG"]),
                "× less",
                goal=Goal(at_least=10),
            ),
            Figure(
                f"WebP, {kind}",
                times_less(costs["diffusers + Pillow"], costs["WebP"]),
                "× less",
                goal=Goal(at_least=10),
            ),
        ]
        series |= {f"{name}, {kind}": found for name, found in costs.items()}
        notes.append(
            f"{kind}: " + ", ".join(f"{name} {len(work()) / 1000:.0f} kB" for name, work in ways.items())
        )
    notes.append(
        "Single pictures are PNG; WebP is for grids only, where a quarter less to upload is worth 20 to 30 ms"
        " in a thread beside the steps."
    )
    return Result(
        tuple(figures), tuple(checks), Chart("bars", TITLE, "CPU ms a picture", series), tuple(notes)
    )


def _plain(decoded: torch.Tensor) -> Callable[[], bytes]:
    from diffusers.image_processor import VaeImageProcessor

    processor = VaeImageProcessor()

    def work() -> bytes:
        buffer = io.BytesIO()
        processor.postprocess(decoded, output_type="pil")[0].save(buffer, "PNG")
        return buffer.getvalue()

    return work


def _ours(decoded: torch.Tensor, encode: Callable) -> Callable[[], bytes]:
    return lambda: encode(Image.fromarray(pixels_of(decoded)[0])).data


def _read(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))
