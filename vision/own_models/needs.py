"""What the extra ``train`` brings, and the sentence for a host without it."""

from __future__ import annotations

import importlib
import importlib.util

from core.errors import ModelError

CHARTS = "matplotlib.backends.backend_agg"
LIBRARIES = ("sklearn", "scipy", "matplotlib", "onnx", "onnxscript")


def missing() -> list[str]:
    """Return the libraries of the extra that aren't installed. Imports none of them."""
    return [name for name in LIBRARIES if importlib.util.find_spec(name) is None]


def check() -> None:
    """Raise ModelError unless own models can be trained, reported on and exported here."""
    if absent := missing():
        raise ModelError(
            f"Own models need the extra `train` (make setup EXTRAS=train); missing here: {', '.join(absent)}."
        )


def load() -> None:
    """Import what takes seconds the first time, so that it isn't done between two steps of a drawing."""
    for name in ("scipy.ndimage", "scipy.stats", "sklearn.linear_model", "sklearn.metrics", CHARTS):
        importlib.import_module(name)
