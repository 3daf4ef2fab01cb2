"""A store of a training's steps that lives as long as a test."""

from __future__ import annotations

from vision.custom_models.steps import Store


class MemoryStore(Store):
    """Keeps all in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def get(self, name: str) -> bytes | None:
        return self.kept.get(name)

    def put(self, name: str, data: bytes) -> None:
        self.kept[name] = data
