"""What a host sets about members' own models: how many, how large, and how long they may be trained."""

from __future__ import annotations

from dataclasses import dataclass

from core.setting.field import setting
from core.setting.values import whole

GROUP = "Own models"


@dataclass(frozen=True, kw_only=True)
class ProjectSettings:
    """The settings of members' own models."""

    projects_per_server: int = setting(
        "20", "most projects of own models that one server can have", whole(0, 10_000), group=GROUP
    )
    projects_per_person: int = setting(
        "5",
        "most projects of own models that one member can have for themselves",
        whole(0, 1000),
        group=GROUP,
    )
    project_pictures: int = setting("2000", "most pictures of one project", whole(10, 2000), group=GROUP)
    project_versions: int = setting(
        "30", "versions of one model whose files are kept; older ones go first", whole(1, 1000), group=GROUP
    )
    trainings_waiting: int = setting(
        "2",
        "most trainings that one server, or one member for themselves, can have waiting or running",
        whole(1, 100),
        group=GROUP,
    )
    training_seconds: int = setting(
        "600", "most seconds of a device that one training can take", whole(10, 86_400), group=GROUP
    )
