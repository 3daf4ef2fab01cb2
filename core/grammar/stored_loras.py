"""How a request names a LoRA that members have made: what is typed, its project's id, and its file, as in
``harbour+abcdefgh2345+<SHA-256>``."""

from __future__ import annotations

import re
from typing import NamedTuple

_STORED = re.compile(r"(?P<shown>[\w.-]{1,64})\+(?P<project>[a-z2-9]{12})\+(?P<sha256>[0-9a-f]{64})")


class StoredLora(NamedTuple):
    """A style of a project. shown: how it is typed. sha256: of its file."""

    shown: str
    project: str
    sha256: str

    def __str__(self) -> str:
        return "+".join(self)


def stored_lora(name: str) -> StoredLora | None:
    """Return what a LoRA's name in a request stands for; None for one that the host has set up."""
    match = _STORED.fullmatch(name)
    return StoredLora(*match.group("shown", "project", "sha256")) if match else None


def shown_lora(name: str) -> str:
    """Return how a LoRA in a request is typed."""
    stored = stored_lora(name)
    return stored.shown if stored else name


def lora_name(project: str) -> str:
    """Return how the name of a project is typed behind ``--lora``: one word."""
    return re.sub(r"[^\w.-]+", "-", project).strip("-")[:64] or "style"
