"""How a setting is declared: a field whose metadata says its default, its help, and how its text is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Any

from core.setting.values import text


def setting(
    default: str, help: str, read: Callable[[str], Any] = text, *, group: str, secret: bool = False
) -> Any:
    """Return the field of a setting. default: as it stands in ``.env``. help: what ``.env.example`` says.
    read: from text to value. secret: never shown."""
    return field(
        repr=not secret,
        metadata={"default": default, "help": help, "read": read, "group": group, "secret": secret},
    )
