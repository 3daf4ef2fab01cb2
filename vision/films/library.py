"""The library that reads and writes films: how old it is. It reads strangers' bytes, and FFmpeg, which is in
it, is mended every few weeks."""

from __future__ import annotations

from datetime import date
from importlib.metadata import PackageNotFoundError, version

OLD = 365  # days
RELEASED = {  # PyAV's versions, by https://pypi.org/project/av/#history; what is newer isn't old
    (16, 0): date(2025, 10, 5),
    (16, 1): date(2026, 1, 9),
    (17, 0): date(2026, 3, 14),
    (17, 1): date(2026, 6, 7),
    (18, 0): date(2026, 7, 2),
    (18, 1): date(2026, 8, 12),
    (19, 0): date(2026, 9, 29),
}


def found() -> str:
    """Return the version of PyAV that is installed, "" if none is."""
    try:
        return version("av")
    except PackageNotFoundError:
        return ""


def released(name: str) -> date | None:
    """Return when a version came out; None for one that is newer than all that are known here."""
    numbers = tuple(int(part) for part in name.split(".")[:2] if part.isdigit())
    if numbers > max(RELEASED):
        return None
    return max((day for known, day in RELEASED.items() if known <= numbers), default=date.min)


def is_old(name: str, today: date) -> bool:
    """Return whether a version came out more than a year ago."""
    day = released(name)
    return day is not None and (today - day).days > OLD
