"""What every request is: frozen, checked on construction, and sure of which stored pictures it needs.

A field's value kind (``param(…, value=…)``) checks it and knows its pictures. Moderation, the worker, and
whoever keeps or deletes files go by ``Request.pictures``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.errors import UserError
from core.limits import MAX_PROMPT
from core.parameters import parameters


@dataclass(frozen=True, kw_only=True)
class Request:
    """Base of all requests. A changed copy (``dataclasses.replace``) is a new request.

    Raises UserError for a value that its author can correct, ValueError for a picture that isn't a SHA-256.
    """

    kind: ClassVar[str]

    def __post_init__(self) -> None:
        for name, parameter in parameters(type(self)).items():
            typed = parameter.flags[0].name if parameter.flags else name.replace("_", " ")
            parameter.value.check(typed, getattr(self, name))

    @property
    def pictures(self) -> tuple[str, ...]:
        """The SHA-256 of every stored picture that the worker needs, each once."""
        known = parameters(type(self))
        found = (known[name].value.pictures(getattr(self, name)) for name in known)
        return tuple(dict.fromkeys(sha256 for several in found for sha256 in several))


def check_length(prompt: str) -> None:
    """Raise UserError for a prompt that is too long."""
    if len(prompt) > MAX_PROMPT:
        raise UserError(f"The prompt has {len(prompt):,} characters; it takes up to {MAX_PROMPT:,}.")
