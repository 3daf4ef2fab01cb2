"""Requests about people's own models: learn one from a project's pictures, ask it, and take it elsewhere."""

import re
from dataclasses import MISSING, dataclass
from typing import ClassVar

from core.errors import UserError
from core.limits import MAX_SEED
from core.prompt.parameters import param
from core.prompt.values import Pictures, Whole, check_sha256
from core.requests.base import Answer, Request

ANOMALY, CLASSIFY, DETECT, STYLE = "anomaly", "classify", "detect", "style"
TASKS = (ANOMALY, CLASSIFY, DETECT, STYLE)
MARKED = "marked"  # label of a detector's picture, in which the objects that it shows are marked, if any
ALIKE = ("auto", "fixture", "turns", "free")  # how parts lie in an inspection's pictures
MOST_ASKED, MOST_GOLDEN = 50, 6  # pictures of one try; pictures that a bundle is proven with
MB = 2**20
_ID = re.compile(r"[a-z2-9]{12}")


@dataclass(frozen=True, kw_only=True)
class ProjectRequest(Request):
    """Base of what is asked about a project's models. project: its id. task: see TASKS."""

    role: ClassVar[str] = "own"
    project: str = param(MISSING, moderated=False)
    task: str = param(MISSING, moderated=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not _ID.fullmatch(self.project):
            raise UserError(f"`project` is {self.project[:40]!r}; it takes the id of a project.")
        if self.task not in TASKS:
            raise UserError(f"`task` is {self.task!r}; it takes {', '.join(TASKS)}.")


@dataclass(frozen=True, kw_only=True)
class TrainRequest(ProjectRequest):
    """Learn a version of the project's model.

    What it learns from is no part of the request: rows keep the pictures as they were when it was asked for,
    less those that were deleted since, and its worker finds them in ``snapshot.json`` in the job's folder.
    settled: their groups and parts stand already and are taken as they are. replaces: number of the version
    that may be used no more, which this one stands in for; 0 = none. alike: of an inspection. pixels: of a
    side. seconds: of the device that it may take at most. count: how many pictures there are. words: what
    calls a style. model: that a style is for, None = the studio's.
    """

    kind: ClassVar[str] = "train"
    called: ClassVar[str] = "Training"
    answer: ClassVar[Answer] = Answer.MODEL
    writes: ClassVar[int] = 400 * MB
    alike: str = param("auto", moderated=False)
    pixels: int = param(256, value=Whole(128, 1024), moderated=False)
    seconds: int = param(600, value=Whole(10, 24 * 3600), moderated=False)
    seed: int = param(0, value=Whole(0, MAX_SEED), moderated=False)
    settled: bool = param(False, moderated=False)
    replaces: int = param(0, value=Whole(0, 10**6), moderated=False)
    count: int = param(0, value=Whole(0, 10**6), moderated=False)
    words: str = ""
    model: str | None = param(None, moderated=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.alike not in ALIKE:
            raise UserError(f"`alike` is {self.alike!r}; it takes {', '.join(ALIKE)}.")

    def model_or_role(self) -> str:
        """Return the image model of a style, the role of all others."""
        return self.model or ("image" if self.task == STYLE else self.role)

    def size(self) -> str:
        """Return the task, about how many pictures, and their size."""
        rounded = 0 if self.count < 1 else 2 ** (self.count - 1).bit_length()
        return f"{self.task}{rounded}x{self.pixels}"


@dataclass(frozen=True, kw_only=True)
class InspectRequest(ProjectRequest):
    """Ask a version of the project's model about pictures (SHA-256), 1 to MOST_ASKED.

    artefact: SHA-256 of the model's file. limit: by which an inspection judges, or the
    score from which on a detector tells of an object, 0 = the model's own.
    explain: with heat or attention maps.
    """

    kind: ClassVar[str] = "inspect"
    called: ClassVar[str] = "Inspection"
    answer: ClassVar[Answer] = Answer.VERDICTS
    version: int = param(MISSING, value=Whole(1, 10**6), moderated=False)
    artefact: str = param(MISSING, moderated=False)
    images: tuple[str, ...] = param(MISSING, value=Pictures(), moderated=False)
    limit: float = param(0.0, moderated=False)
    explain: bool = param(True, moderated=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sha256("artefact", self.artefact)
        if not 1 <= len(self.images) <= MOST_ASKED:
            raise UserError(f"There are {len(self.images)} pictures; a try takes 1 to {MOST_ASKED}.")

    @property
    def files(self) -> tuple[str, ...]:
        return (self.artefact,)

    def size(self) -> str:
        return f"{self.task}{len(self.images)}"


@dataclass(frozen=True, kw_only=True)
class BundleRequest(ProjectRequest):
    """Make the zip file by which a version runs elsewhere.

    artefact: SHA-256 of the model's file. name: of the project. limit: by which an inspection judges, 0 = the
    model's own. images: up to MOST_GOLDEN pictures (SHA-256) that the zip is proven with. figures: sentences
    for its card.
    """

    kind: ClassVar[str] = "bundle"
    called: ClassVar[str] = "Bundle"
    answer: ClassVar[Answer] = Answer.FILES
    writes: ClassVar[int] = 100 * MB
    version: int = param(MISSING, value=Whole(1, 10**6), moderated=False)
    artefact: str = param(MISSING, moderated=False)
    name: str = param("", moderated=False)
    limit: float = param(0.0, moderated=False)
    images: tuple[str, ...] = param((), value=Pictures(), moderated=False)
    figures: tuple[str, ...] = param((), moderated=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sha256("artefact", self.artefact)
        if len(self.images) > MOST_GOLDEN:
            raise UserError(f"There are {len(self.images)} pictures; a bundle takes up to {MOST_GOLDEN}.")

    @property
    def files(self) -> tuple[str, ...]:
        return (self.artefact,)

    def size(self) -> str:
        return self.task
