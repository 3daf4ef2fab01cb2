"""What every request is: frozen, checked on construction, and sure of which stored pictures it needs.

A field's value kind (``param(…, value=…)``) checks it and knows its pictures. Moderation, the worker, and
whoever keeps or deletes files go by ``Request.pictures``.
"""

import enum
from dataclasses import dataclass
from typing import ClassVar

from core.errors import UserError
from core.limits import MAX_PROMPT
from core.prompt.parameters import parameters


class Answer(enum.Enum):
    """What a request is answered with, so that every door knows how to show it."""

    PICTURES = "pictures"
    VIDEOS = "videos"  # clips; their posters come along as pictures do
    CAPTIONS = "captions"  # prompts that could have made its picture
    WEIGHTS = "weights"  # how much each word of its prompt weighs
    TEXT = "text"  # an answer in words, which grows while it is made
    LINES = "lines"  # the text in its picture, line by line; the picture with boxes comes along
    MAP = "map"  # where in its picture an answer was found; the picture with the places laid over comes along
    LABELS = "labels"  # what its picture shows, with probabilities; a chart may come along
    MODEL = "model"  # one that was learned; charts about it come along as pictures
    VERDICTS = "verdicts"  # what an own model says of each of its pictures; maps, or a sheet, come along
    FILES = "files"  # to be taken elsewhere


@dataclass(frozen=True, kw_only=True)
class Request:
    """Base of all requests. A changed copy (``dataclasses.replace``) is a new request.

    called: what people call such a job (``studio.texts.job_name`` says it of one). role: of the configured
    model that does the work. told: it is handed out with what was said before, a
    conversation or examples, as the rows have it then. Raises UserError for a value that its author can
    correct, ValueError for a picture that isn't a SHA-256.
    """

    kind: ClassVar[str]
    called: ClassVar[str]
    answer: ClassVar[Answer]
    role: ClassVar[str]
    told: ClassVar[bool] = False
    writes: ClassVar[int] = 0

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

    @property
    def files(self) -> tuple[str, ...]:
        """The SHA-256 of every stored file that is no picture and that the worker needs."""
        return ()

    def model_or_role(self) -> str:
        """Return the model that the request names, or the role whose configured model does the work."""
        return self.role

    def size(self) -> str:
        """Return how much work it is: requests of the same kind, size and model take about the same time."""
        return ""


def check_length(prompt: str) -> None:
    """Raise UserError for a prompt that is too long."""
    if len(prompt) > MAX_PROMPT:
        raise UserError(f"The prompt has {len(prompt):,} characters; it takes up to {MAX_PROMPT:,}.")
