"""A call as handlers see it, what they answer, and the line of the table that leads to one."""

import enum
import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct

from core.errors import FilesAway, StorageError
from storage.tokens import Token
from studio.authority import Actor
from studio.media.uploads import Sent
from studio.programs import Scope
from studio.studio import Studio

HELD = "held:sha256,"  # begins what stands in JSON for a picture that it held in base64
MCP = "/mcp"  # where agents come in
T = TypeVar("T")


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in, or their program. actor: as whom they ask and look. session: the id of their
    session. token: of what their program came by, None for a browser."""

    name: str
    session: str
    actor: Actor
    token: Token | None = None

    @property
    def user_id(self) -> int:
        """Their id."""
        return self.actor.user_id


class Body(enum.Enum):
    """What a route takes."""

    NONE = "nothing"
    JSON = "application/json"
    FORM = "application/x-www-form-urlencoded"
    PICTURE = "a picture"
    FILES = "multipart/form-data"


class Bucket(enum.Enum):
    """What a call counts as, with how many of it a person may make in a minute."""

    READ = 600
    BYTES = 3000
    ASK = 20
    UPLOAD = 30
    CHANGE = 240
    SELECT = 60
    PREVIEW = 120
    SIGN_IN = 10


@dataclass(frozen=True)
class Call:
    """One request, checked: a host of ours, its own origin, within its limits. ``person`` is None only on
    routes for everybody. body: a mapping for JSON and forms, a file for a picture. files: those of a form
    with files, whose fields are ``file_fields``, or that a JSON holds in base64. Files are there until the
    handler is done. digest: of a form's files, where the call has a key. attempt: what a
    sign-in elsewhere has left in this browser. zone: by which its clock goes. count: counts it in a further
    bucket, and raises Refused after too many. stream: does so for events that will be sent; to be called
    before anything is queued for them."""

    studio: Studio
    person: Person | None
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: tuple[Sent, ...] = field(default=(), repr=False)
    file_fields: tuple[str, ...] = ()
    digest: str = ""
    attempt: str = field(default="", repr=False)
    zone: tzinfo = UTC
    count: Callable[[Bucket], None] = field(default=lambda bucket: None, repr=False)
    stream: Callable[[], None] = field(default=lambda: None, repr=False)

    @property
    def actor(self) -> Actor:
        """Who asks."""
        assert self.person is not None, "a route for everybody asked for its actor"
        return self.person.actor


@dataclass(frozen=True)
class Json:
    """An answer of data. etag: the version of what it tells of. shared: for somebody who has a link. attempt:
    as of ``Leave``."""

    data: Any = None
    status: int = 200
    etag: str | None = None
    shared: bool = False
    attempt: str = field(default="", repr=False)


DONE = Json(status=HTTPStatus.NO_CONTENT)


@dataclass(frozen=True)
class Html:
    """A page of ``web/templates`` by its name, with its values. shared: for somebody who has a link. tab: the
    page to whose tab it belongs, of one that belongs to several."""

    name: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    shared: bool = False
    tab: str = ""


@dataclass(frozen=True)
class Bytes:
    """A picture. own: it may be kept by the person's browser for good. name: it is to be saved as that.
    shared: for somebody who has a link; no browser keeps it."""

    data: bytes = field(repr=False)
    media_type: str = "application/octet-stream"
    own: bool = False
    name: str | None = None
    shared: bool = False


@dataclass(frozen=True)
class File:
    """A video on the disk, of which a browser may ask for parts. own, name, shared: as of ``Bytes``."""

    path: Path
    media_type: str
    own: bool = False
    name: str | None = None
    shared: bool = False


@dataclass(frozen=True)
class Stream:
    """A file that is sent while it is made, and saved as ``name``; events of a job without one. What is wrong
    is raised before its first part. left: is called if the reader leaves before the end."""

    parts: AsyncGenerator[bytes, None] = field(repr=False)
    media_type: str
    name: str = ""
    left: Callable[[], Awaitable[None]] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class SeeOther:
    """The page to go on with after a form."""

    path: str


@dataclass(frozen=True)
class Leave:
    """A page of another site to go on with. attempt: what this browser must bring back."""

    url: str
    attempt: str = field(repr=False)


@dataclass(frozen=True)
class SignedIn:
    """A new session: its token becomes the cookie, then the page ``path`` if there is one. another: somebody
    else was signed in before, whose things the browser must forget. data: what its script is told."""

    token: str
    path: str | None = None
    another: bool = False
    data: Any = None


@dataclass(frozen=True)
class SignedOut:
    """The session has ended: the cookie goes, and all that the browser has kept."""


Whole = Json | Html | SeeOther | Leave | SignedIn | SignedOut
Answer = Whole | Bytes | File | Stream
Handler = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True)
class Route:
    """A line of the table. everybody: nobody has to be signed in. limit: bytes of the body.

    path: {job} is a job's id, {n} the number of a picture from 1. given: what it takes, of JSON its type in
    ``web/schemas.py``. query: what may stand behind the address's question mark. scopes: all that a program's
    token must have, none where programs don't come in.
    """

    method: str
    path: str
    handler: Handler
    given: Body | type[Struct] = Body.NONE
    bucket: Bucket = Bucket.READ
    everybody: bool = False
    limit: int = 64 * 1024
    query: tuple[str, ...] = ()
    scopes: tuple[Scope, ...] = ()

    @property
    def body(self) -> Body:
        """The kind of what it takes."""
        return self.given if isinstance(self.given, Body) else Body.JSON

    @property
    def takes(self) -> type[Struct] | None:
        """What its JSON may hold, if it takes any."""
        return None if isinstance(self.given, Body) else self.given

    @property
    def is_page(self) -> bool:
        """Whether a person reads the answer in a browser, an error included."""
        return is_page(self.path)


def is_page(path: str) -> bool:
    """Return whether a person reads what is answered at ``path``; of others, a program does."""
    return path != MCP and not path.startswith(("/api/", "/v1/", "/files/", "/previews/", "/static/"))


class Refused(Exception):
    """A call that isn't answered. ``detail`` is a sentence for the person; ``retry_after`` in seconds;
    ``more``: what programs are told besides; ``challenge``: what would let a program in."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        retry_after: float | None = None,
        more: Mapping[str, Any] | None = None,
        challenge: str = "",
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.retry_after, self.more = status, detail, retry_after, more or {}
        self.challenge = challenge


def event_of(data: Any, name: str = "") -> bytes:
    """Return an event that a server sends.

    https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
    """
    text = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()


def error_of(refused: Refused) -> dict[str, Any]:
    """Return a refusal in the form of OpenAI's API.

    https://platform.openai.com/docs/guides/error-codes
    """
    status = refused.status
    kind = "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    codes = {
        HTTPStatus.UNAUTHORIZED: "invalid_api_key",
        HTTPStatus.FORBIDDEN: "insufficient_permissions",
        HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_exceeded",
    }
    field = re.match(r"`(\w+)`", refused.detail)  # of messages that begin with what is wrong
    named = {
        "param": refused.more.get("param", field and field[1]),
        "code": refused.more.get("code", codes.get(status)),
    }
    return {"error": {"message": refused.detail, "type": kind, **named}}


class Gone(Refused):
    """What a call names isn't there, or isn't the person's to see."""

    def __init__(self) -> None:
        super().__init__(HTTPStatus.NOT_FOUND, "There is nothing here, or you don't have access to it.")


def there(found: T | None) -> T:
    """Return what was found. Raises Gone for None, and for False where nothing was there to be changed."""
    if found is None or found is False:
        raise Gone()
    return found


async def bytes_of(asked: Awaitable[T], *refused: type[Exception]) -> T:
    """Return what is read from files. Raises Gone for what isn't there, and for an error of ``refused``: what
    the person may not see looks like what never was. Raises FilesAway while their store doesn't answer."""
    missing: tuple[type[Exception], ...] = (StorageError, *refused)
    try:
        return await asked
    except FilesAway:
        raise
    except missing as error:
        raise Gone() from error
