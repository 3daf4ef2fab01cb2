"""Which release of Atelier this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def release() -> str:
    """Return the version of the installed package, such as "0.1.0", or "unknown" where none is."""
    try:
        return version("atelier-studio")
    except PackageNotFoundError:
        return "unknown"
