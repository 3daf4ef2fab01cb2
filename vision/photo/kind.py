"""Whether a picture is photographed or drawn: a head on the features of EfficientNet-Lite0, made by
``demo.photographs`` from drawings of the demo world and photographs."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from core.profiles import DEMO

HEAD = DEMO / "photograph" / "model.safetensors"


def photographed(features: np.ndarray) -> bool:
    """Return whether a picture with these features (1280,) is a photograph."""
    weights, bias = head(HEAD)
    return float(features @ weights) + bias > 0


@cache
def head(file: Path) -> tuple[np.ndarray, float]:
    """Return the weights (1280,) and the bias of the head in a file."""
    found = load_file(file)
    return found["weights"].astype(np.float32), float(found["bias"][0])
