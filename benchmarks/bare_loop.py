"""The diffusers pipeline in a loop, as a process of its own: reads a JSON list of requests a line, answers
how long they took. For serving_tax.

Each request: prompt, seed, steps. Four pictures a request, seeds counting on, as /imagine makes them.
"""

from __future__ import annotations

import io
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.models import DEMO, image_model
from vision.families import Mode

PICTURES = 4


def main(folder: Path) -> None:
    """Draw the requests that come on stdin, one JSON list a line, and answer each with the seconds it took.
    folder: of the pictures."""
    torch.set_num_threads(1)
    model = image_model(DEMO, folder)
    pipe, side = model.pipeline(Mode.TEXT), model.card.native_size

    def draw(ask: dict[str, Any]) -> list[Any]:
        return pipe(
            ask["prompt"],
            num_images_per_prompt=PICTURES,
            num_inference_steps=ask["steps"],
            guidance_scale=model.card.guidance_scale,
            height=side,
            width=side,
            generator=[torch.Generator("cpu").manual_seed(ask["seed"] + i) for i in range(PICTURES)],
        ).images

    draw({"prompt": "warm", "steps": 1, "seed": 0})
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        began, drawn, saving = time.monotonic(), [], 0.0
        for ask in json.loads(line):
            drawn.append(draw(ask))
            middle = time.monotonic()
            for image in drawn[-1]:
                image.save(io.BytesIO(), "PNG")
            saving += time.monotonic() - middle
        seconds = time.monotonic() - began
        file = folder / "pictures.npy"
        np.save(
            file, np.stack([np.stack([np.asarray(image) for image in images]) for images in drawn])
        )  # (requests, 4, H, W, 3)
        print(
            json.dumps({"seconds": seconds - saving, "with PNG": seconds, "pictures": str(file)}), flush=True
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
