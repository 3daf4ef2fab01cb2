"""How large projects may grow."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from core.errors import LimitError, UserError

FEW_GOOD = 4  # good pictures from which on an inspection is worth its while
MAX_LABELS, MAX_MEANING = 25, 300  # as many as a select menu has; characters
MAX_FILES, MAX_ZIP, MAX_UNPACKED, MAX_RATIO = 500, 25 * 2**20, 100 * 2**20, 100  # of a zip file


@dataclass(frozen=True)
class ProjectLimits:
    """per_server, per_person: projects. pictures: of a project. trainings: that wait or run at once for a
    server, or for somebody's own projects. seconds: of the device for one of them. versions: whose files are
    kept."""

    per_server: int = 20
    per_person: int = 5
    pictures: int = 2000
    trainings: int = 2
    seconds: int = 600
    versions: int = 30

    def too_many(self, most: int, *, shared: bool) -> LimitError:
        """Return that there may be no more projects."""
        whose = "This server has" if shared else "You have"
        return LimitError(f"{whose} {most} projects, which is the limit. Forget one first.")

    def check_labels(self, names: Collection[str]) -> None:
        """Raise LimitError for more labels than a project may have."""
        if len(names) > MAX_LABELS:
            raise LimitError(f"A project takes {MAX_LABELS} labels; this would be number {len(names)}.")

    def check_meaning(self, meaning: str) -> None:
        """Raise UserError for a description of a label that is too long."""
        if len(meaning) > MAX_MEANING:
            raise UserError(
                f"What a label means takes up to {MAX_MEANING} characters; this has {len(meaning)}."
            )
