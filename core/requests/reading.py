"""Requests that read a picture or a prompt and answer in words: describe, classify, why,
read, shorten."""

from __future__ import annotations

from dataclasses import MISSING, dataclass
from typing import ClassVar

from core.errors import UserError
from core.limits import MAX_LABEL, MAX_LABELS
from core.prompt.parameters import SEED, param
from core.prompt.values import Picture, Whole
from core.requests.base import Answer, Request, check_length


@dataclass(frozen=True, kw_only=True)
class ShortenRequest(Request):
    """Measure how much each word of ``prompt`` weighs.

    ``Output.scores`` has every word as it is written and in the prompt's order, with 0..1, 1 = the strongest.
    """

    kind: ClassVar[str] = "shorten"
    answer: ClassVar[Answer] = Answer.WEIGHTS
    role: ClassVar[str] = "clip"
    prompt: str

    def __post_init__(self) -> None:
        check_length(self.prompt)
        if len(self.prompt.split()) < 2:
            raise UserError("There is nothing to shorten: the prompt has one word at most.")

    def size(self) -> str:
        """Return the number of words: each is left out once."""
        return str(len(self.prompt.split()))


@dataclass(frozen=True, kw_only=True)
class DescribeRequest(Request):
    """Write ``num_captions`` different prompts that could have made ``image``."""

    kind: ClassVar[str] = "describe"
    answer: ClassVar[Answer] = Answer.CAPTIONS
    role: ClassVar[str] = "caption"
    image: str = param(MISSING, value=Picture(), moderated=False)
    num_captions: int = param(4, value=Whole(1, 8))
    seed: int = param(0, value=SEED)

    def size(self) -> str:
        """Return the number of captions."""
        return str(self.num_captions)


@dataclass(frozen=True, kw_only=True)
class ReadRequest(Request):
    """Read the text in ``image``."""

    kind: ClassVar[str] = "read"
    answer: ClassVar[Answer] = Answer.LINES
    role: ClassVar[str] = "ocr"
    image: str = param(MISSING, value=Picture(), moderated=False)


@dataclass(frozen=True, kw_only=True)
class ClassifyRequest(Request):
    """Score how well each label fits ``image``; without labels, the classifier's best ``top_k``."""

    kind: ClassVar[str] = "classify"
    answer: ClassVar[Answer] = Answer.LABELS
    role: ClassVar[str] = "vit"
    image: str = param(MISSING, value=Picture(), moderated=False)
    labels: tuple[str, ...] = ()
    top_k: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.labels) > MAX_LABELS:
            raise UserError(f"There are {len(self.labels)} labels; up to {MAX_LABELS} fit.")
        if len(self.labels) == 1:
            raise UserError("One label alone is always 100 %. Give at least two, separated by commas.")
        for label in self.labels:
            if not label.strip() or len(label) > MAX_LABEL:
                raise UserError(f"A label takes 1 to {MAX_LABEL} characters; one has {len(label.strip())}.")

    def model_or_role(self) -> str:
        """Return who compares a picture with words, or else who knows classes of its own."""
        return "clip" if self.labels else self.role

    def size(self) -> str:
        """Return the number of labels."""
        return str(len(self.labels))


@dataclass(frozen=True, kw_only=True)
class WhyRequest(Request):
    """Show where in ``image`` a reader sees ``label``: among ``labels``, or without these among its own."""

    kind: ClassVar[str] = "why"
    answer: ClassVar[Answer] = Answer.MAP
    role: ClassVar[str] = "vit"
    image: str = param(MISSING, value=Picture(), moderated=False)
    label: str
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.labels and self.label not in self.labels:
            raise UserError("The label isn't one of those that were compared.")

    def model_or_role(self) -> str:
        """Return who is asked, as for /classify."""
        return "clip" if self.labels else self.role
