"""Checks of what is installed: Python, packages, what films and the host's certificate need."""

from __future__ import annotations

import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from core.errors import AtelierError
from studio.media.provenance import Credentials
from vision.video import codecs

FLOORS = {  # the lowest versions with known fixes that the code is written for
    "discord.py": "2.7.1",
    "torch": "2.10",
    "diffusers": "0.39",
    "transformers": "5.3",
    "pillow": "12.3",
    "aiohttp": "3.13.4",
    "sqlalchemy": "2.0.40",
}


@dataclass(frozen=True)
class Check:
    """One line of the report. ``ok``: None means that somebody should have a look. ``fix``: what to do."""

    name: str
    ok: bool | None
    found: str
    fix: str = ""


def python() -> Check:
    """Return whether this Python works with everything."""
    text = ".".join(map(str, sys.version_info[:3]))
    if (3, 14) <= sys.version_info[:3] < (3, 14, 5):  # https://docs.python.org/3.15/whatsnew/3.15.html#gc
        return Check(
            "Python",
            None,
            f"{text}, whose garbage collector lets memory grow",
            "take 3.14.5 or newer, which has the collector of 3.13 again",
        )
    return Check(
        "Python",
        sys.version_info >= (3, 11),
        text,
        "install Python 3.11 or newer and run `make setup` with PYTHON=python3.12, say",
    )


def versions() -> Check:
    """Return whether the packages are there and new enough."""
    wrong = []
    for name, floor in FLOORS.items():
        try:
            found = version(name)
        except PackageNotFoundError:
            wrong.append(f"{name} is missing")
            continue
        if _numbers(found) < _numbers(floor):
            wrong.append(f"{name} {found} is older than {floor}")
    return Check(
        "Packages",
        not wrong,
        "; ".join(wrong) or "all there",
        "run `make setup`, or delete .venv and run it again",
    )


def films(encoder: str, version: str, today: date) -> Check:
    """Return whether films can be made as the setting wants, by a library that isn't old."""
    try:
        name = codecs.encoder_of(encoder).name
    except ValueError as error:
        return Check("Films", False, f"VIDEO_ENCODER={encoder}: {error}", "set VIDEO_ENCODER=auto")
    text = f"PyAV {version}, {name}"
    if codecs.is_old(version, today):
        fix = "run `pip install --upgrade av`: it reads strangers' films, and FFmpeg in it is mended often"
        return Check("Films", None, f"{text}; it is more than a year old", fix)
    return Check("Films", True, text)


def credentials(certificate: Path, key: Path) -> Check:
    """Return whether what leaves can be signed by the host's certificate."""
    try:
        Credentials(certificate, key)
    except AtelierError as error:
        fix = "set neither to send pictures with the mark alone; docs/security.md says which keys do"
        return Check("C2PA", False, str(error), fix)
    return Check("C2PA", True, f"signs by {certificate.name}")


def secrets(files: Mapping[str, Path]) -> list[Check]:
    """Return a line for each file with a secret that every account of this machine can read. files: by the
    setting that names it."""
    if sys.platform == "win32":  # its rights aren't in the mode
        return []
    found = []
    for path in dict.fromkeys(files.values()):
        try:
            mode = path.stat().st_mode
        except OSError:  # the settings say so
            continue
        if mode & stat.S_IROTH:
            names = ", ".join(name for name, one in files.items() if one == path)
            text = f"every account of this machine can read {path} ({names})"
            found.append(Check("Secrets", None, text, f"chmod 600 {path}, owned by who runs Atelier"))
    return found


def _numbers(text: str) -> tuple[int, ...]:
    parts = text.partition("+")[0].split(".")
    return tuple(int("".join(c for c in part if c.isdigit()) or 0) for part in parts)
