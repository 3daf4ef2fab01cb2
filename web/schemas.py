"""What the JSON of each route may hold, for ``web/openapi.py``. A value without a default has to be there.

Reads values out of a body or an address, strictly: what is wrong is named with what is allowed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from core.errors import UserError
from core.requests.chat import FORMS, Form
from storage.collections import Named as CollectionsNamed
from studio.media.uploads import Sent
from web.call import Call, Gone


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


MOST_PICTURES = 64  # of one job
LONGEST_KEY, LONGEST_ADDRESS = 100, 4000
MOST_CHOSEN = 2000  # pictures that a call can name
_CHOSEN = re.compile(r"([a-z2-9]{12})/([1-9][0-9]?)")
_WHOLE = re.compile("[0-9]{1,19}")
_PAGE = re.compile(r"/(?!in\b|api/|files/|previews/|static/)(?:[!-.0-\[\]-~][!-\[\]-~]*)?")  # never // or \\
T = TypeVar("T")


def field(body: Any, name: str, kind: type[T]) -> T | None:
    """Return a value of a JSON object or form, None when it isn't there. Raises UserError for another
    type."""
    value = body.get(name) if isinstance(body, Mapping) else None
    if value is not None and not isinstance(value, kind):
        raise UserError(f"`{name}` takes {_SPOKEN.get(kind, kind.__name__)}.")
    return value


_SPOKEN: dict[type, str] = {
    str: "a text",
    list: "a list",
    dict: "an object",
    int: "a whole number",
    bool: "true or false",
}


def text_of(body: Any, name: str) -> str:
    """Return a text that has to be there. Raises UserError."""
    value = field(body, name, str)
    if value is None:
        raise UserError(f"`{name}` is missing.")
    return value


def names_of(body: Any, name: str, most: int) -> list[str]:
    """Return a list of at most ``most`` texts, empty when it isn't there. Raises UserError."""
    values = field(body, name, list) or []
    if len(values) > most or not all(isinstance(value, str) and len(value) <= 80 for value in values):
        raise UserError(f"`{name}` takes a list of up to {most} texts.")
    return values


def chosen_of(body: Any) -> list[CollectionsNamed]:
    """Return the pictures that ``pictures`` names, such as "abcd2345efgh/2" for the second of a job: a list
    in JSON, a text with spaces between them in a form. Raises UserError."""
    given = body.get("pictures") if isinstance(body, Mapping) else None
    texts = given.split() if isinstance(given, str) else names_of(body, "pictures", MOST_CHOSEN)
    found = [_CHOSEN.fullmatch(text) for text in texts]
    if not 0 < len(found) <= MOST_CHOSEN or not all(found):
        raise UserError(f"`pictures` takes 1 to {MOST_CHOSEN:,} names such as abcd2345efgh/2.")
    return [(match[1], int(match[2]) - 1) for match in found if match]


def form_of(body: Any) -> Form | None:
    """Return the form that an answer is to have, None when none is named. Raises UserError."""
    named = field(body, "answer", str)
    form = next((form for form in FORMS if form == named), None)
    if named and form is None:
        raise UserError(f"`answer` takes {', '.join(FORMS)}.")
    return form


def key_of(call: Call) -> str | None:
    """Return what makes asking the same again harmless, if the call has a key; the same key with another wish
    is another one. Raises UserError."""
    key = field(call.body, "key", str)
    if key is None:
        return None
    if not 0 < len(key) <= LONGEST_KEY:
        raise UserError(f"`key` takes 1 to {LONGEST_KEY} characters.")
    wish = json.dumps([dict(call.path), call.body], sort_keys=True)
    return f"web:{key}:{hashlib.sha256(wish.encode()).hexdigest()[:16]}"


def whole(text: str) -> int | None:
    """Return a whole number as rows keep them, of at most 63 bits; None of any other text."""
    number = int(text) if _WHOLE.fullmatch(text) else 2**63
    return number if number < 2**63 else None


def page_of(text: str) -> str:
    """Return the address of a page of ours that somebody wants to go on with; "/" for anything else."""
    return text if _PAGE.fullmatch(text) and len(text) <= LONGEST_ADDRESS else "/"


def way_in(page: str) -> str:
    """Return where somebody signs in who then goes on with a page."""
    found = page_of(page)
    return "/in" if found == "/" else f"/in?next={quote(found, safe='/')}"


def number_of(text: str) -> int:
    """Return the number of a picture, from 1. Raises Refused for what can't be one."""
    if not text.isascii() or not text.isdecimal() or not 0 < int(text[:4]) <= MOST_PICTURES:
        raise Gone()
    return int(text[:4])


def sent_picture(call: Call) -> Sent:
    """Return the picture that a call carries, under the name that it gives it."""
    name = unquote(call.headers.get("X-Name", ""))[:200] or "picture"
    sent: Sent = call.body
    return sent.part(name, 0, sent.size)
