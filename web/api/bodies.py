"""What the JSON of each route may hold, for ``web/openapi.py``. A value without a default has to be there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class NewJobs:
    """A prompt. pictures: names of pictures and films that come along. do: what is to be done with films:
    "extend", "extend backward", "remix", "loop" or "blend"; "" = guess. key: the same wish is queued once."""

    prompt: str
    pictures: tuple[str, ...] = ()
    do: str = ""
    key: str = ""


@dataclass(frozen=True)
class NewTalk:
    """A question. answer: its form, "free", "short", "table", "boxes" or "text". pictures: names of pictures
    that come along. key: the same wish is queued once."""

    question: str
    answer: str = ""
    pictures: tuple[str, ...] = ()
    key: str = ""


@dataclass(frozen=True)
class NewExamples:
    """Pictures for a set by its name or id, which is made if there is none: under a label, or, with a
    question, one question about all of them, whose right answer is the label."""

    set: str
    label: str
    pictures: tuple[str, ...]
    question: str = ""


@dataclass(frozen=True)
class Try:
    """A picture that a set is tried on. question: of a set of questions, "" = its last one. key: the same
    wish is queued once."""

    picture: str
    question: str = ""
    key: str = ""


@dataclass(frozen=True)
class Press:
    """A button. words: new ones, where it takes any. source: the other film of a blend. start, end: seconds
    of a cut. key: the same wish is queued once."""

    words: str = ""
    source: str = ""
    start: str = ""
    end: str = ""
    key: str = ""


@dataclass(frozen=True)
class Link:
    """What a sign-in link carries."""

    token: str


@dataclass(frozen=True)
class SignIn:
    """A link to be spent, or one of the people of a sandbox."""

    token: str = ""
    who: str = ""


@dataclass(frozen=True)
class Nothing:
    """An empty object."""


@dataclass(frozen=True)
class Changes:
    """Settings by their names, as ``GET /api/settings`` gives them."""

    lane: str = ""
    stylize: str = ""
    model: str = ""
    raw: bool = False
    remix: bool = False
    strong: bool = False
    private: bool = False
    sticky: bool = False
    auto_dm: bool = False
    suffix: str = ""


@dataclass(frozen=True)
class Named:
    """Pictures by their jobs and numbers, such as "abcd2345efgh/2"."""

    pictures: tuple[str, ...]


@dataclass(frozen=True)
class NewFolder:
    """A folder. query: the gallery's filters, as they stand in its address, for a smart one."""

    name: str
    query: str = ""


@dataclass(frozen=True)
class Rename:
    """Another name."""

    name: str


@dataclass(frozen=True)
class Post:
    """Picture ``n`` of a job, to be posted to a channel of a server; their ids are texts."""

    job: str
    n: int
    server: str
    channel: str


@dataclass(frozen=True)
class NewShare:
    """A link to picture ``n`` of a job, to all of a job's (without it), or to a folder's. days: it lasts."""

    job: str = ""
    n: int = 0
    folder: str = ""
    title: str = ""
    words: bool = False
    days: int = 0


@dataclass(frozen=True)
class Edit:
    """A document of the editor, as docs/editor.md has it. painted: SHA-256 of its mask's pixels, a byte each.
    key: the same wish is queued once."""

    document: dict[str, Any]
    painted: str = ""
    key: str = ""


@dataclass(frozen=True)
class Look:
    """A document of the editor, only to be told what it would become."""

    document: dict[str, Any]


@dataclass(frozen=True)
class Saved:
    """A document of the editor, to be kept. name: without one it is kept until 90 days have passed."""

    document: dict[str, Any]
    name: str = ""


@dataclass(frozen=True)
class Tail:
    """Strokes that follow the first ``keep`` of a document's mask, and new words."""

    strokes: tuple[dict[str, Any], ...]
    keep: int = 0
    words: str = ""


@dataclass(frozen=True)
class Select:
    """What a thing in a picture is found by. source: as a document's layers have it. points: [x, y, 1 =
    belongs to it, 0 = doesn't]. box: around it. Pixels of the picture. Nothing of it: get ready for that."""

    source: dict[str, Any]
    points: tuple[tuple[float, float, int], ...] = ()
    box: tuple[float, ...] = ()
    words: str = ""


@dataclass(frozen=True)
class NewProject:
    """A project of one's own models. task: "anomaly", "classify" or "style". words: what calls a style."""

    name: str
    task: str = ""
    words: str = ""


@dataclass(frozen=True)
class Chosen:
    """Pictures of a project, by the ids that it lists."""

    pictures: tuple[str, ...]


@dataclass(frozen=True)
class LeftOut:
    """Pictures of a project. out: whether they are left out of what is learned from, or taken in again."""

    pictures: tuple[str, ...]
    out: bool = True


@dataclass(frozen=True)
class Skipped:
    """Pictures that the person left for later."""

    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mark:
    """What a picture of a project is called, "" = no more. boxes: [label, left, top, right, bottom], in 0 to
    1 of the sides. mask: of the picture's size, white where that is, as ``POST /api/masks`` has called it."""

    picture: str
    label: str
    boxes: tuple[tuple[Any, ...], ...] = ()
    mask: str = ""


@dataclass(frozen=True)
class Training:
    """How a version is trained. pixels: of a side, 128 to 1024. key: the same wish is queued once."""

    pixels: int = 256
    seed: int = 0
    key: str = ""


@dataclass(frozen=True)
class Judgement:
    """Whether a verdict is right. label: what its picture is called instead, "" = nothing else."""

    right: bool
    label: str = ""
