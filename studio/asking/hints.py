"""What the demo models can draw: one kind word per member, and suggestions while they type. Silent with other
models."""

from __future__ import annotations

import json
from dataclasses import dataclass

from core.profiles import DEMO
from core.settings import Settings


@dataclass(frozen=True)
class Hints:
    """Words of the demo world, from the pack's own ``examples.json``; empty with other models."""

    objects: tuple[str, ...] = ()
    colours: tuple[str, ...] = ()
    backgrounds: tuple[str, ...] = ()
    styles: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> Hints:
        """Return the hints of the demo pack if the settings name its image model, else empty ones."""
        path = DEMO / "examples.json"
        if settings.models["image"] != str(DEMO / "stable-diffusion") or not path.is_file():
            return cls()
        data = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{name: tuple(data.get(name, ())) for name in cls.__dataclass_fields__})

    def text(self) -> str:
        """Return a word about the demo models, with examples to try."""
        examples = "\n".join(f"> /imagine {text}" for text in self.prompts[:3])
        return (
            "**A word about the demo models.** They are tiny, run anywhere, and know a small"
            f" world:\n**things** {', '.join(self.objects)}\n**colours**"
            f" {', '.join(self.colours)}\n**places**"
            f" {', '.join(b for b in self.backgrounds if ' ' not in b)}, or any colour as"
            f" background\n**styles** {', '.join(self.styles)}\nOther words spoil a picture; its message"
            f" names them. Try:\n{examples}"
        )
