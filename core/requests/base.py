"""What every request is: frozen, checked on construction, and sure of which stored pictures it needs.

A field that names pictures is made by ``picture_field(…)``. Moderation, the worker, and whoever keeps or
deletes files go by ``Request.pictures``, which reads that mark.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar

from core.errors import UserError
from core.limits import MAX_REFERENCES, MAX_WEIGHT, Weighted

_SHA256 = re.compile(r"[0-9a-f]{64}")


def picture_field(default: Any = MISSING) -> Any:
    """A dataclass field that names pictures by the SHA-256 of their files, in hex.

    Its value is one name or None, a tuple of names, or a tuple of (name, weight).
    """
    return field(default=default, metadata={"pictures": True})


@dataclass(frozen=True, kw_only=True)
class Request:
    """Base of all requests. A changed copy (``dataclasses.replace``) is a new request."""

    kind: ClassVar[str]

    @property
    def pictures(self) -> tuple[str, ...]:
        """The SHA-256 of every stored picture that the worker needs, each once."""
        marked = (getattr(self, f.name) for f in fields(self) if f.metadata.get("pictures"))
        return tuple(dict.fromkeys(name for value in marked for name in _names(value)))


def _names(value: str | tuple[Any, ...] | None) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif value is not None:
        yield from (item if isinstance(item, str) else item[0] for item in value)


def within(name: str, value: float | None, low: float, high: float, unit: str = "") -> None:
    """Raise UserError, which names the field and its range, unless ``value`` is None or in low..high."""
    if value is not None and not low <= value <= high:
        raise UserError(f"`{name}` is {value:g}{unit}; it takes {low:g} to {high:g}{unit}.")


def check_picture(name: str, value: str | None) -> None:
    """Raise ValueError unless ``value`` is None or a SHA-256 in hex."""
    if value is not None and not _SHA256.fullmatch(value):
        raise ValueError(f"{name} must be a SHA-256 in hex, not {value!r}")


def check_pictures(name: str, weighted: Weighted, *, negative: bool = False) -> None:
    """Raise UserError for too many pictures or for a weight out of range; ``negative``: it may be below 0."""
    if len(weighted) > MAX_REFERENCES:
        raise UserError(f"`{name}` has {len(weighted)} pictures; it takes up to {MAX_REFERENCES}.")
    for sha256, weight in weighted:
        check_picture(name, sha256)
        within(name, weight, -MAX_WEIGHT if negative else 0, MAX_WEIGHT)
