"""What a walk has seen: a row for each step, printed as it comes and written as a table."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Step:
    """One row. ``seen``: what came instead, or what there was to see. ``ok``: whether it was as expected."""

    number: int
    who: str
    does: str
    expected: str
    seen: str = ""
    ok: bool = False
    seconds: float = 0.0

    def saw(self, text: str) -> None:
        """Note what there was to see."""
        self.seen = " ".join(text.split())[:110]


@dataclass
class Report:
    """All steps so far. ``shots``: folder of the screenshots; ``shoot`` (path) makes one."""

    shots: Path
    shoot: object = None
    steps: list[Step] = field(default_factory=list)

    @contextmanager
    def step(self, who: str, does: str, expected: str) -> Iterator[Step]:
        """Time what is done inside; an error there is the step's, and the walk goes on."""
        step = Step(len(self.steps) + 1, who, does, expected)
        self.steps.append(step)
        began = time.monotonic()
        try:
            yield step
            step.ok = True
        except Exception as error:  # whatever a step meets, it is the step's row
            step.saw(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
        step.seconds = time.monotonic() - began
        self._shoot(self.shots / f"{step.number:02}-{who}.png")
        mark = "ok   " if step.ok else "WRONG"
        print(f"{mark} {step.number:2} {who:<9} {step.does}: {step.seen} ({step.seconds:.1f} s)", flush=True)

    def _shoot(self, path: Path) -> None:
        try:
            if callable(self.shoot):
                self.shoot(path)
        except Exception as error:  # the browser stood still: that is no step's fault, and no end of the walk
            print(f"no {path.name}: {type(error).__name__}", flush=True)

    @property
    def wrong(self) -> list[Step]:
        """The steps that were not as expected."""
        return [step for step in self.steps if not step.ok]

    def table(self) -> str:
        """Return the steps as a table in Markdown."""
        rows = ["| step | who | does | expected | seen | s |", "|---|---|---|---|---|---|"]
        for step in self.steps:
            cells = (step.does, step.expected, step.seen if step.ok else f"**{step.seen}**")
            told = " | ".join(cell.replace("|", "\\|").replace("<", "\\<") for cell in cells)
            rows.append(f"| {step.number} | {step.who} | {told} | {step.seconds:.1f} |")
        return "\n".join(rows)
