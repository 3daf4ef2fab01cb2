"""What a host sets about what pictures and films say of themselves when they leave."""

from __future__ import annotations

from dataclasses import dataclass

from core.setting.field import setting
from core.setting.values import on_or_off

GROUP = "Marks"


@dataclass(frozen=True, kw_only=True)
class MarkSettings:
    """The settings of marks."""

    ai_mark: bool = setting(
        "on",
        "say in each picture's metadata that a model made it (IPTC), as the EU requires",
        on_or_off,
        group=GROUP,
    )
    c2pa_certificate: str = setting(
        "",
        "file with a certificate for content credentials (C2PA), PEM, with those that vouch for it: what"
        " leaves is signed by it where AI_MARK is on; needs the extra c2pa",
        group=GROUP,
    )
    c2pa_key: str = setting("", "file with that certificate's private key, PEM", group=GROUP)
    picture_parameters: bool = setting(
        "on",
        "save prompt, seed and settings in PNG files, where other programs can read them",
        on_or_off,
        group=GROUP,
    )
