"""A training whose steps are watched, and a store of them that lives as long as a test."""

from collections.abc import Generator
from typing import Any

from vision.custom_models.steps import Step, Store


class MemoryStore(Store):
    """Keeps all in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def get(self, name: str) -> bytes | None:
        return self.kept.get(name)

    def put(self, name: str, data: bytes) -> None:
        self.kept[name] = data


def watched(training: Generator[Step, None, Any]) -> tuple[Any, list[Step]]:
    """Return what comes of a training, and its steps."""
    steps: list[Step] = []
    while True:
        try:
            steps.append(next(training))
        except StopIteration as end:
            return end.value, steps
