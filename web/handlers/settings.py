"""A person's settings for new jobs: the same rows as ``/settings`` on Discord."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.convert import STYLIZE, Preferences
from core.errors import UserError
from core.job import Lane
from web.call import Answer, Call, Json

ON = ("on", "true", "1")


@dataclass(frozen=True)
class Field:
    """One setting. kind: "switch", "choice" or "text"; choices: (value, label)."""

    name: str
    label: str
    help: str
    kind: str
    choices: tuple[tuple[str, str], ...] = ()


def fields_of(models: tuple[str, ...]) -> tuple[Field, ...]:
    """Return every setting. models: names that the host has given to image models."""
    speeds = (("", "The studio's default"), *((lane.value, lane.value.title()) for lane in Lane))
    strengths = (
        ("", "The model's default"),
        *((str(value), name.title()) for name, value in STYLIZE.items()),
    )
    named = (("", "The studio's default"), *((name, name) for name in models))
    return (
        Field(
            "lane",
            "Speed",
            "Relax waits for everybody else; turbo goes first where it is free.",
            "choice",
            speeds,
        ),
        Field("stylize", "Stylize", "How freely the model interprets your words.", "choice", strengths),
        Field("model", "Model", "What draws your prompts, unless they name another.", "choice", named),
        Field("raw", "Raw", "Draw what the words say, with less of the model's own taste.", "switch"),
        Field("remix", "Remix", "Ask for new words before each variation.", "switch"),
        Field("strong", "Strong variations", "Vary changes a lot; off, it changes little.", "switch"),
        Field("private", "Private", "Nobody else sees what you ask for from now on.", "switch"),
        Field("sticky", "Sticky style", "Use the codes of your last --sref again.", "switch"),
        Field(
            "auto_dm", "Send results to me", "Discord sends your results to your direct messages.", "switch"
        ),
        Field(
            "adult",
            "Age-restricted channels",
            "I am of age: Explore also shows what age-restricted channels that I read have made.",
            "switch",
        ),
        Field("suffix", "Suffix", "Flags that are added to each prompt, such as --ar 3:2.", "text"),
    )


class SettingsForm:
    """Handlers about settings. models: names that the host has given to image models."""

    def __init__(self, models: tuple[str, ...]) -> None:
        self._fields = {field.name: field for field in fields_of(models)}

    async def show(self, call: Call) -> Answer:
        """Return every setting with what holds now."""
        return Json({"fields": self.values(await call.studio.own.preferences(call.actor))})

    async def change(self, call: Call) -> Answer:
        """Change the settings that are named, and return all of them."""
        unknown = [name for name in call.body if name not in self._fields]
        if unknown:
            raise UserError(f"There is no setting `{unknown[0][:40]}`; there are {', '.join(self._fields)}.")
        changes = {name: _read(self._fields[name], value) for name, value in call.body.items()}
        now = await call.studio.own.change(call.actor, **changes)
        return Json({"fields": self.values(now)})

    def values(self, now: Preferences) -> list[dict[str, Any]]:
        """Return the settings as a page shows them."""
        return [
            {
                "name": field.name,
                "label": field.label,
                "help": field.help,
                "kind": field.kind,
                "value": _shown(getattr(now, field.name), field),
                "choices": [{"value": value, "label": label} for value, label in field.choices],
            }
            for field in self._fields.values()
        ]


def _shown(value: Any, field: Field) -> Any:
    if field.kind == "switch":
        return bool(value)
    return "" if value is None else str(value)


def _read(field: Field, value: Any) -> Any:
    """Return a setting's value as ``Preferences`` takes it. Raises UserError."""
    if field.kind == "switch":
        return value is True or (isinstance(value, str) and value.lower() in ON)
    if not isinstance(value, str):
        raise UserError(f"`{field.name}` takes a text.")
    if field.kind == "text":
        return value
    allowed = [known for known, _ in field.choices]
    if value not in allowed:
        raise UserError(f"`{field.name}` takes one of {', '.join(known or '(empty)' for known in allowed)}.")
    if not value:
        return None
    return {"lane": Lane, "stylize": int}.get(field.name, str)(value)
