"""Where the programs that read text lie on this machine, and how large the networks are that they bring
along. Runs and imports none of them."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

RAPID, TESSERACT = "rapidocr", "tesseract"
FIXES = {  # what helps where a program isn't there
    RAPID: "install the extra: make setup EXTRAS=ocr, or set OCR=off",
    TESSERACT: "install the program (Debian: tesseract-ocr, tesseract-ocr-deu and so on), or set OCR=rapid",
}


def find(name: str) -> Path | None:
    """Return the folder of what a program needs, None where it isn't installed. name: as in the settings,
    "tesseract:deu"."""
    if name == RAPID:
        spec = importlib.util.find_spec(RAPID)
        places = [Path(place) / "models" for place in (spec and spec.submodule_search_locations) or ()]
        return next((place for place in places if place.is_dir()), None)
    program = shutil.which(TESSERACT)
    return None if program is None else Path(program).parent


def size(name: str, folder: Path) -> int:
    """Return the bytes of a program's networks that this process holds; tesseract's are its own."""
    return sum(file.stat().st_size for file in folder.glob("*_[dr]e[tc]_*.onnx")) if name == RAPID else 0


def fix(name: str) -> str:
    """Return what helps where the program isn't there."""
    return FIXES[name.partition(":")[0]]
