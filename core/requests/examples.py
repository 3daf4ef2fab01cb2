"""The request that tries a set of examples on a picture."""

from __future__ import annotations

from dataclasses import MISSING, dataclass
from typing import ClassVar

from core.errors import UserError
from core.grammar.references import Picture
from core.parameters import param
from core.requests.base import Answer, Request

WHAT = "What is this?"  # asked of each picture that a set calls something


@dataclass(frozen=True, kw_only=True)
class TryRequest(Request):
    """Say which of a set's labels fits ``image``.

    The set's examples are no part of it: they are read from the rows when the job is handed out. set_id: of
    the set. name: of it, when it was asked for.
    """

    kind: ClassVar[str] = "examples"
    answer: ClassVar[Answer] = Answer.LABELS
    role: ClassVar[str] = "clip"
    told: ClassVar[bool] = True
    set_id: str = param(MISSING, moderated=False)
    image: str = param(MISSING, value=Picture(), moderated=False)
    name: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.set_id:
            raise UserError("No set of examples is named.")
