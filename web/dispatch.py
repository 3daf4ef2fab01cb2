"""From an HTTP request to a call and from an answer to a response, in one order for every route: host,
origin, session, bucket, size, body, handler. A large body lies on the disk; a form with files is taken apart
where it lies (RFC 7578)."""

import asyncio
import json
import logging
import re
import secrets
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, ExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo
from email.message import Message
from hashlib import blake2b, sha256
from http import HTTPStatus
from itertools import pairwise
from mmap import mmap
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, quote
from weakref import WeakValueDictionary
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import jinja2
from aiohttp import web
from aiohttp.multipart import parse_content_disposition

from core.errors import ImageError, LimitError, MissingError, NotAllowedError, StorageError, UserError
from core.language import N_, _, accepted_language, own_language, retold
from storage.database import CAN_WAIT
from studio.media.uploads import BLOCK, InMemory, OnDisk, Sent
from studio.programs import TokenEnded
from studio.rights import rows_of
from studio.studio import Studio
from web import guard
from web.auth import Visitors
from web.call import (
    HELD,
    MCP,
    Answer,
    Body,
    Bytes,
    Call,
    File,
    Gone,
    Html,
    Json,
    Leave,
    Person,
    Refused,
    Route,
    SeeOther,
    SignedIn,
    SignedOut,
    Stream,
    Whole,
    error_of,
    is_page,
)
from web.cards import to_json
from web.handlers.pages import Frame
from web.schemas import way_in
from web.static_files import StaticFiles

MOST_PARTS = 120
LONGEST_NAME, LONGEST_TEXT = 200, 8000  # of a file's name, characters; of a field, bytes
MOST_STREAMS = 8  # of events, of a program or person
QUIET = 15.0  # seconds without an event, after which a comment keeps the connection
LONGEST_HEAD = 8000  # bytes before a part's content
_BLANK = b"\r\n\r\n"
_PICTURE = re.compile(rb'"data:image\\?/(?:png|jpeg|webp|gif);base64,([A-Za-z0-9+/=\\]*)"')  # in JSON


def parse_form(body: Sent, content_type: str) -> tuple[dict[str, str], tuple[Sent, ...], tuple[str, ...]]:
    """Return the fields and the files of a form, in their order, and the files' fields; a file that wasn't
    chosen is none.

    content_type: the header, with its boundary. Raises ValueError for what is no such form.
    """
    fields: dict[str, str] = {}
    files: list[Sent] = []
    names: list[str] = []
    with body.opened() as data:
        for start, end in _parts(data, _boundary(content_type)):
            head_end = data.find(_BLANK, start, min(end, start + LONGEST_HEAD))
            if head_end < 0:
                raise ValueError("a part has no end of its head")
            name, filename = _named(data[start:head_end])
            start = head_end + len(_BLANK)
            if filename is None:
                if end - start > LONGEST_TEXT:
                    raise ValueError("a field is too long")
                fields[name] = data[start:end].decode()
            elif filename or end > start:
                files.append(body.part(filename[:LONGEST_NAME] or "picture", start, end - start))
                names.append(name)
    return fields, tuple(files), tuple(names)


def _parts(data: bytes | mmap, boundary: bytes) -> Iterator[tuple[int, int]]:
    """Return where each part begins and ends, its head included."""
    line = b"\r\n--" + boundary
    first = 0 if data[: len(line) - 2] == line[2:] else data.find(line)
    marks = [first - 2 if first == 0 else first]
    while (found := data.find(line, marks[-1] + len(line))) >= 0 and len(marks) < MOST_PARTS + 2:
        marks.append(found)
    end = marks[-1] + len(line)
    if first < 0 or len(marks) > MOST_PARTS + 1 or data[end : end + 2] != b"--":
        raise ValueError("there is no end, or there are too many parts")
    return ((begin + len(line), end) for begin, end in pairwise(marks))


def _boundary(content_type: str) -> bytes:
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_param("boundary")
    if not isinstance(boundary, str) or not 0 < len(boundary) <= 70:
        raise ValueError("the form has no boundary")
    return boundary.encode("ascii")


def _named(head: bytes) -> tuple[str, str | None]:
    """Return the name of a part, and that of its file, None of a part that is no file."""
    for line in head.decode().split("\r\n"):
        header, _, value = line.partition(":")
        if header.strip().lower() == "content-disposition":
            kind, given = parse_content_disposition(value.strip())
            if kind == "form-data" and given.get("name"):
                return given["name"], given.get("filename")
    raise ValueError("a part has no name")


def digest_of(files: Iterable[Sent], fields: Iterable[str]) -> str:
    """Return what tells a form's files from others."""
    found = sha256()
    for file, name in zip(files, fields, strict=True):
        with file.opened() as data:
            found.update(f"{name} {file.size}\n".encode())
            found.update(data)
    return found.hexdigest()


def parse_json(body: Sent) -> tuple[dict[str, Any], tuple[Sent, ...]]:
    """Return what JSON says, and the pictures that it holds in base64: these stay where they lie, and in
    their place stands ``HELD`` with their SHA-256, which is their name. Raises ValueError, and Refused for
    more than IN_MEMORY without them."""
    rest, files, at = bytearray(), list[Sent](), 0
    with body.opened() as data:
        for match in _PICTURE.finditer(data):
            name = sha256(match[1]).hexdigest()
            files.append(body.part(name, match.start(1), match.end(1) - match.start(1)))
            rest += data[at : match.start()] + f'"{HELD}{name}"'.encode()
            at = match.end()
        if len(rest) + body.size - at > IN_MEMORY:
            raise _too_large(IN_MEMORY)
        rest += data[at:]
    return _object(_parsed(rest.decode())), tuple(files)


IN_MEMORY = 2**20  # bytes of a body beyond which it goes to the disk as it comes
BODY_TIME = 60.0  # seconds for a body to arrive
SLOWEST = 128 * 1024  # bytes a second of a large one, for which it has longer
PATIENCE = 60.0  # seconds that a call waits until those before it are through
ONE, ALL = 1, 64  # uploads at once, of a person and of everybody
ONE_SMALL, ALL_SMALL = 8, 256  # bodies that fit into memory


class Streams:
    """Counts the streams of events that are open, by whose they are."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    @contextmanager
    def one_of(self, who: str) -> Iterator[None]:
        """Hold a stream while the block runs. Raises Refused for one too many."""
        if self._open[who] >= MOST_STREAMS:
            detail = "Too many streams are open. Close one first."
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS, detail, 5.0)
        self._open[who] += 1
        try:
            yield
        finally:
            self._open[who] -= 1
            if not self._open[who]:
                del self._open[who]


class Slots:
    """Lets ``one`` call of each person go on at once, and ``most`` of everybody; the others wait."""

    def __init__(self, one: int, most: int) -> None:
        self._one, self._all = one, asyncio.Semaphore(most)
        self._own: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, who: str) -> AsyncIterator[None]:
        """Hold a slot while the block runs. Raises Refused for whoever waits too long."""
        own = self._own.setdefault(who, asyncio.Semaphore(self._one))
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(PATIENCE):
                    await held.enter_async_context(own)
                    await held.enter_async_context(self._all)
            except TimeoutError as error:
                detail = "Other files are still uploading. Try again soon."
                raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, detail, 10.0) from error
            yield


class Bodies:
    """Takes the bodies of calls; those too large for memory lie in ``folder`` while their call goes on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._large, self._small = Slots(ONE, ALL), Slots(ONE_SMALL, ALL_SMALL)

    @asynccontextmanager
    async def taken(self, request: web.Request, limit: int, who: str) -> AsyncIterator[Sent]:
        """Hold a body of at most ``limit`` bytes while the block runs. Raises Refused for a larger one, one
        that doesn't come, or one too many."""
        if (request.content_length or 0) > limit:
            raise _too_large(limit)
        slots = self._large if limit > IN_MEMORY else self._small
        async with slots.of(who), AsyncExitStack() as opened:
            try:
                async with asyncio.timeout(BODY_TIME + limit / SLOWEST):
                    found = await self._arrived(request, limit, opened)
            except TimeoutError as error:
                raise Refused(HTTPStatus.REQUEST_TIMEOUT, "The rest took too long to arrive.") from error
            yield found

    async def _arrived(self, request: web.Request, limit: int, opened: AsyncExitStack) -> Sent:
        """Return a body when it is whole; ``opened`` deletes its file, if it needs one."""
        waiting, size = bytearray(), 0
        file: BinaryIO | None = None
        path = self._folder / f"sent-{secrets.token_hex(8)}"
        async for part in request.content.iter_any():
            size += len(part)
            if size > limit:
                raise _too_large(limit)
            waiting += part
            if file is None and max(size, request.content_length or 0) > IN_MEMORY:
                with _on_disk():
                    self._folder.mkdir(parents=True, exist_ok=True)
                    opened.push_async_callback(asyncio.to_thread, path.unlink, missing_ok=True)
                    file = opened.enter_context(path.open("wb"))
            if file is not None and len(waiting) >= BLOCK:
                with _on_disk():
                    await asyncio.to_thread(file.write, waiting)
                waiting = bytearray()
        if file is None:
            return InMemory("", bytes(waiting))
        with _on_disk():
            await asyncio.to_thread(file.write, waiting)
            await asyncio.to_thread(file.flush)
        return OnDisk("", path, size)


@contextmanager
def _on_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        log.error("a file that somebody sends can't be written: %s", error)
        detail = "The studio's disk is full. Tell the operator."
        raise Refused(HTTPStatus.INSUFFICIENT_STORAGE, detail) from error


def _too_large(limit: int) -> Refused:
    detail = f"That is too large; the limit is {limit:,} bytes."
    return Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)


TITLES = {  # of pages that say why there is nothing else
    HTTPStatus.BAD_REQUEST: N_("Bad Request"),
    HTTPStatus.FORBIDDEN: N_("Forbidden"),
    HTTPStatus.NOT_FOUND: N_("Not Found"),
    HTTPStatus.METHOD_NOT_ALLOWED: N_("Method Not Allowed"),
    HTTPStatus.TOO_MANY_REQUESTS: N_("Too Many Requests"),
    HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS: N_("Unavailable For Legal Reasons"),
    HTTPStatus.INTERNAL_SERVER_ERROR: N_("Internal Server Error"),
    HTTPStatus.SERVICE_UNAVAILABLE: N_("Service Unavailable"),
}
EMPTY = (HTTPStatus.NO_CONTENT, HTTPStatus.ACCEPTED)
HASHED_ASIDE = 2**20  # bytes, of which more take over a millisecond
PACKED_FROM = 1400  # characters, about what one packet carries
PACKED_ASIDE = 2**19  # bytes, of which more take over a millisecond
MCP_HEADERS = ("MCP-Protocol-Version", "Mcp-Method", "Mcp-Name")
# The session's cookie; the prefix binds it to this very host: rfc6265bis, "__Host-" prefix.
COOKIE = "__Host-atelier"
SESSION_DAYS = 180  # days that a browser keeps the cookie; the row decides
HEADERS_KEPT = ("User-Agent", "X-Name", "If-Match", "Idempotency-Key", *MCP_HEADERS)
ATTEMPT, ATTEMPT_LIVES = "__Host-atelier-attempt", 600  # a cookie of a sign-in elsewhere, and its seconds
ZONE, LONGEST_ZONE = "zone", 60  # a cookie of the page's own, such as Europe/Berlin
_STATUS = {
    NotAllowedError: HTTPStatus.FORBIDDEN,
    LimitError: HTTPStatus.TOO_MANY_REQUESTS,
    ImageError: HTTPStatus.UNPROCESSABLE_ENTITY,
}
ANOTHER = "Somebody else has signed in here since this page was opened. Open it again."
_HALF = re.compile(r"\\u[dD][89a-fA-F]")  # of a surrogate pair, as JSON writes it
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Context:
    """What every call needs."""

    studio: Studio
    visitors: Visitors
    frame: Frame
    static: StaticFiles
    templates: jinja2.Environment
    addresses: guard.Addresses
    buckets: guard.Buckets
    bodies: Bodies
    trusted: tuple[str, ...] = ()
    streams: Streams = field(default_factory=Streams)


async def respond(context: Context, route: Route, request: web.Request) -> web.StreamResponse:
    """Return the response to a request for ``route``, errors included. What it reads can wait: Discord gives
    a bot three seconds to acknowledge, whoever looks at how many pages."""
    CAN_WAIT.set(True)
    person: Person | None = None
    token = token_of(context, request, route)
    held = ExitStack()
    found: Answer | None = None
    try:
        guard.check_host(context.addresses, request.headers.get("Host", ""))
        if token is None or (route.path == MCP and "Origin" in request.headers):  # as its specification wants
            guard.check_origin(context.addresses, request.method, request.headers)
        if token is None:  # no other site's page can send one
            person = await visitor(context, request)
        else:
            person = await _program(context, request, token)
        await choose_language(context, request, person)
        if person is not None and person.token is not None:
            guard.check_scopes(route, person.token)
        if person is None and not route.everybody:
            raise Refused(HTTPStatus.UNAUTHORIZED, "Sign in first: type `/web` in Discord for a link.")
        if (made_for := request.headers.get("X-Person")) and not is_theirs(person, made_for):
            raise Refused(HTTPStatus.UNAUTHORIZED, ANOTHER)  # who the page was made for has left this browser
        who = who_of(context, request, person)
        context.buckets.take(route.bucket, who)
        async with AsyncExitStack() as arrived:
            body, files, fields = await _body(context, route, request, who, arrived)
            digest = ""
            if fields and "Idempotency-Key" in request.headers:
                digest = await asyncio.to_thread(digest_of, files, fields)
            headers = {name: request.headers[name] for name in HEADERS_KEPT if name in request.headers}
            call = Call(
                context.studio,
                person,
                dict(request.match_info),
                dict(request.query),
                body,
                headers,
                files,
                fields,
                digest,
                request.cookies.get(ATTEMPT, "")[:100],
                _zone(request.cookies.get(ZONE, "")),
                lambda bucket: context.buckets.take(bucket, who),
                lambda: held.enter_context(context.streams.one_of(who)),
            )
            point = context.studio.own.point  # before anything is read: the page's socket goes on from here
            found = await _handled(route, call)
        if isinstance(found, Html) and person is not None and not found.shared:
            found = replace(found, values={"point": point, **found.values})
        if isinstance(found, Stream):
            return await _streamed(context, found, request)
        if isinstance(found, File):
            return web.FileResponse(found.path, headers=_of_bytes(context, found))  # all, or a part
        if isinstance(found, Bytes):
            return await _bytes(context, found, request)
        response = _response(context, found, person)
        if isinstance(found, Json):
            response.headers["X-Point"] = str(point)  # what was read is as new as this, at least
        return response
    except (Refused, UserError, StorageError) as error:
        refused = _refusal(error)
        page_for = token is None and route.is_page and route.method == "GET"
        if refused.status is HTTPStatus.UNAUTHORIZED and page_for:
            page = request.raw_path.removeprefix(context.addresses.prefix)
            return _see_other(context, way_in(page))  # and from there to this page
        return refusal(context, request, refused, person)
    except asyncio.CancelledError:  # its reader has left, or the studio closes
        if isinstance(found, Stream) and found.left is not None and request.transport is None:
            await found.left()
        raise
    finally:
        held.close()


async def _handled(route: Route, call: Call) -> Answer:
    """Return the handler's answer. A job that the person may not see looks like one that never was, and a
    picture that a job doesn't have isn't there either."""
    try:
        return await route.handler(call)
    except (ImageError, NotAllowedError) as error:
        job_id = call.path.get("job")
        if job_id is not None and not await call.studio.sources.is_seen(call.actor, job_id):
            raise Gone() from error
        if isinstance(error, MissingError) and "n" in call.path:
            raise Refused(HTTPStatus.NOT_FOUND, str(error)) from error
        raise


def is_theirs(person: Person | None, made_for: str) -> bool:
    """Return whether a page that names whom it was made for is that person's."""
    return person is not None and made_for in ("", str(person.user_id))


async def visitor(context: Context, request: web.Request) -> Person | None:
    """Return who a request comes from, None for nobody who is signed in."""
    token, job_id = request.cookies.get(COOKIE, ""), request.match_info.get("job")
    if not 0 < len(token) <= 100:
        return None
    return await context.visitors.find(token, rows_of(job_id) if job_id else ())


def token_of(context: Context, request: web.Request, route: Route) -> str | None:
    """Return the token by which a program comes to a route that isn't everybody's. In Discord's frame there
    are none."""
    if route.everybody or context.addresses.activity:
        return None
    return guard.token_of(request.headers, has_cookie=COOKIE in request.cookies)


async def _program(context: Context, request: web.Request, token: str) -> Person:
    """Return whose program a request comes from. Raises Refused, NotAllowedError."""
    job_id = request.match_info.get("job")
    address, programs = _address(context, request), context.studio.programs
    try:
        found, actor = await programs.enter(token[:100], address, rows_of(job_id) if job_id else ())
    except TokenEnded as ended:
        challenge = guard.CHALLENGE + ', error="invalid_token"'
        raise Refused(HTTPStatus.UNAUTHORIZED, str(ended), challenge=challenge) from ended
    return Person(found.name or "you", "", actor, found)


async def choose_language(context: Context, request: web.Request, person: Person | None) -> None:
    """Let the language that a person has chosen hold for this request, or else the browser's."""
    asked = accepted_language(request.headers.get("Accept-Language", ""))
    await context.studio.languages.speak(person.user_id if person else None, None, asked)


def _zone(name: str) -> tzinfo:
    """Return the time zone that a page has noted; UTC for one that isn't known here."""
    try:
        return ZoneInfo(name) if name and len(name) <= LONGEST_ZONE else UTC
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def who_of(context: Context, request: web.Request, person: Person | None) -> str:
    """Return whom a call counts against: a program, who is signed in, or else where it comes from."""
    if person is not None:
        return f"s:{person.user_id}" if person.token is None else f"t:{person.token.id}"
    return f"a:{_address(context, request)}"


def _address(context: Context, request: web.Request) -> str:
    forwarded = ",".join(request.headers.getall("X-Forwarded-For", ()))  # a proxy may add a line of its own
    return guard.peer_address(request.remote, forwarded, context.trusted)


async def _body(
    context: Context, route: Route, request: web.Request, who: str, arrived: AsyncExitStack
) -> tuple[Any, tuple[Sent, ...], tuple[str, ...]]:
    """Return what a request carries as its route takes it, and its files with their fields. They are there
    until ``arrived`` is closed. Raises Refused."""
    if route.body is Body.NONE:
        return None, (), ()
    sent = request.content_type
    if route.body is not Body.PICTURE and sent != route.body.value:
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"This takes {route.body.value}, not {sent}.")
    body = await arrived.enter_async_context(context.bodies.taken(request, route.limit, who))
    if route.body is Body.PICTURE:
        return body, (), ()
    try:
        if route.body is Body.FILES:
            return await asyncio.to_thread(parse_form, body, request.headers["Content-Type"])
        if route.body is Body.JSON and route.limit > IN_MEMORY:
            return *await asyncio.to_thread(parse_json, body), ()
        text = (await body.read()).decode()
        if route.body is Body.FORM:
            return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=100)), (), ()
        parsed = _parsed(text) if len(text) < IN_MEMORY else await asyncio.to_thread(_parsed, text)
    except UnicodeEncodeError as error:
        raise Refused(HTTPStatus.BAD_REQUEST, "A text holds half of a surrogate pair.") from error
    except (ValueError, RecursionError) as error:
        raise Refused(HTTPStatus.BAD_REQUEST, "The body can't be read.") from error
    return _object(parsed), (), ()


def _object(parsed: Any) -> dict[str, Any]:
    if not isinstance(parsed, dict):
        raise Refused(HTTPStatus.BAD_REQUEST, "The body takes a JSON object.")
    return parsed


def _parsed(text: str) -> Any:
    """Return what JSON says. Raises ValueError."""
    parsed = json.loads(text or "{}")
    if _HALF.search(text):
        json.dumps(parsed, ensure_ascii=False).encode()  # of a pair alone, in a key too
    return parsed


async def _streamed(context: Context, found: Stream, request: web.Request) -> web.StreamResponse:
    """Send a file while it is made, as fast as its reader takes it, or events as long as somebody reads them.
    What goes wrong on the way breaks the connection off: so the reader sees that the file isn't whole."""
    patience = None if found.name else PATIENCE  # seconds that a reader may take for a part
    more = _saved_as(found.name) if found.name else {"X-Accel-Buffering": "no"}
    made = found.parts if found.name else _kept_alive(found.parts)
    headers = guard.headers_for("data", context.addresses) | {"Content-Type": found.media_type} | more
    async with aclosing(made) as parts:
        first = await anext(parts)
        response = web.StreamResponse(headers=headers)
        try:
            await response.prepare(request)
            async with asyncio.timeout(patience):
                await response.write(first)
            async for part in parts:
                async with asyncio.timeout(patience):
                    await response.write(part)
        except Exception as error:
            if not isinstance(error, (ConnectionError, TimeoutError)):  # of a reader who has left
                log.exception("a file broke off while it was sent")
            elif found.left is not None:
                await found.left()
            if request.transport is not None:
                request.transport.abort()
        return response


async def _kept_alive(parts: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Yield events, and comments while none comes: a proxy ends what is silent."""
    async with aclosing(parts):
        while True:
            coming = asyncio.ensure_future(anext(parts, b""))
            try:
                while not (await asyncio.wait({coming}, timeout=QUIET))[0]:
                    yield b":\n\n"
            finally:
                coming.cancel()
                await asyncio.wait({coming})
            if not (part := coming.result()):
                return
            yield part


def _saved_as(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{quote(name)}"'}


def _response(context: Context, found: Whole, person: Person | None) -> web.Response:
    match found:
        case Json():
            return _json(context, found)
        case Html():
            return _page(context, found, person)
        case SeeOther(path):
            return _see_other(context, path)
        case Leave(url, attempt):
            response = _see_other(context, url)
            _set_cookie(context, response, ATTEMPT, attempt, ATTEMPT_LIVES)
            return response
        case SignedIn(token, path, another, data):
            return _signed(context, path, token, forget=another, data=data)
        case SignedOut():
            return _signed(context, None, None, forget=True)


def _json(context: Context, found: Json) -> web.Response:
    text = None if found.status in EMPTY and found.data is None else to_json(found.data)
    kind = None if text is None else "application/json"
    version = {} if found.etag is None else {"ETag": f'"{found.etag}"'}
    headers = guard.headers_for("data", context.addresses, shared=found.shared) | version
    response = _packed(text, status=found.status, content_type=kind, headers=headers)
    if found.attempt:
        _set_cookie(context, response, ATTEMPT, found.attempt, ATTEMPT_LIVES)
    return response


def _set_cookie(context: Context, response: web.Response, name: str, value: str, age: int) -> None:
    """Set a cookie for ``age`` seconds. Discord's frame is one of another site: browsers keep a cookie there
    that is of that site's frames alone, in words that ``http.cookies`` knows from Python 3.14 on.

    https://www.ietf.org/archive/id/draft-cutler-httpbis-partitioned-cookies-01.html
    """
    kind = "SameSite=None; Partitioned" if context.addresses.activity else "SameSite=Lax"
    kept = f"{name}={value}; Max-Age={age}; Path=/; Secure; HttpOnly; {kind}"
    response.headers.add("Set-Cookie", kept)


def _page(context: Context, page: Html, person: Person | None) -> web.Response:
    frame = context.frame.around(None if page.shared else person, page)
    static = {"static": context.static.prefix, "modules_of": context.static.modules, "lang": own_language()}
    text = context.templates.get_template(f"{page.name}.html").render({**static, **frame, **page.values})
    headers = guard.headers_for("page", context.addresses, shared=page.shared)
    return _packed(text, status=page.status, content_type="text/html", headers=headers)


def _packed(text: str | None, **more: Any) -> web.Response:
    """Return a response whose text is compressed where it is worth it; it holds no secret that somebody
    else's words stand beside."""
    response = web.Response(text=text, zlib_executor_size=PACKED_ASIDE, **more)
    if text is not None and len(text) > PACKED_FROM:
        response.enable_compression()
    return response


async def _bytes(context: Context, found: Bytes, request: web.Request) -> web.Response:
    """Return a picture. Where a browser may keep it: nothing of one that it has, and the part that it asks
    for.

    https://www.rfc-editor.org/rfc/rfc9110#name-conditional-requests, #name-range-requests
    """
    headers, data = _of_bytes(context, found), found.data
    if found.shared or found.name is not None:
        return web.Response(body=data, headers=headers)
    if len(data) > HASHED_ASIDE:
        digest = await asyncio.to_thread(blake2b, data, digest_size=16)
    else:
        digest = blake2b(data, digest_size=16)
    version = digest.hexdigest()
    headers |= {"ETag": f'"{version}"', "Accept-Ranges": "bytes"}
    if any(one.value in (version, "*") for one in request.if_none_match or ()):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    if "Range" not in request.headers or request.headers.get("If-Range", headers["ETag"]) != headers["ETag"]:
        return web.Response(body=data, headers=headers)
    try:
        begin, end, _step = request.http_range.indices(len(data))
    except ValueError:  # no range that anybody knows
        return web.Response(body=data, headers=headers)
    if begin >= end:
        headers["Content-Range"] = f"bytes */{len(data)}"
        return web.Response(status=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers=headers)
    headers["Content-Range"] = f"bytes {begin}-{end - 1}/{len(data)}"
    return web.Response(body=data[begin:end], status=HTTPStatus.PARTIAL_CONTENT, headers=headers)


def _of_bytes(context: Context, found: Bytes | File) -> dict[str, str]:
    headers = guard.headers_for("bytes", context.addresses, own=found.own, shared=found.shared)
    headers["Content-Type"] = found.media_type
    return headers | (_saved_as(found.name) if found.name is not None else {})


def _see_other(context: Context, path: str) -> web.Response:
    headers = guard.headers_for("data", context.addresses) | {"Location": path}
    return web.Response(status=HTTPStatus.SEE_OTHER, headers=headers)


def _signed(
    context: Context, path: str | None, token: str | None, *, forget: bool, data: Any = None
) -> web.Response:
    """Set or take away the cookie. A new token for each session: one that was known before is no use.
    forget: let the browser forget the pictures and the work that it has kept."""
    told = Json(data) if data is not None else Json(status=HTTPStatus.NO_CONTENT)
    response = _see_other(context, path) if path else _json(context, told)
    if forget:  # https://www.w3.org/TR/clear-site-data/
        response.headers["Clear-Site-Data"] = '"cache", "storage"'
    age = SESSION_DAYS * 86_400 if token else 0
    _set_cookie(context, response, COOKIE, token or "", age)
    return response


def _refusal(error: Exception) -> Refused:
    """Return an error as the person reads it. What they may not see looks like what never was."""
    if isinstance(error, Refused):
        return Refused(error.status, retold(error.detail), error.retry_after, error.more, error.challenge)
    if isinstance(error, StorageError):
        log.error("the database can't answer: %s", error)
        return Refused(HTTPStatus.SERVICE_UNAVAILABLE, "The studio is busy. Try again soon.", 5.0)
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), HTTPStatus.BAD_REQUEST)
    return Refused(status, retold(str(error)))


def refusal(
    context: Context, request: web.Request, refused: Refused, person: Person | None = None
) -> web.Response:
    """Return a refusal as a page, also where a browser's tab would show it in place of one, such as of a
    download; as RFC 9457 has it where programs read the answer."""
    shape: dict[str, Any] = {
        "status": refused.status.value,
        "title": refused.status.phrase,
        "detail": refused.detail,
        **refused.more,
    }
    wait = {} if refused.retry_after is None else {"Retry-After": str(max(1, round(refused.retry_after)))}
    if refused.challenge:
        wait["WWW-Authenticate"] = refused.challenge
    by_program = guard.token_of(request.headers, has_cookie=COOKIE in request.cookies) is not None
    if not by_program and (
        is_page(request.path.removeprefix(context.addresses.prefix))
        or request.headers.get("Sec-Fetch-Mode") == "navigate"
    ):
        title = _(TITLES.get(refused.status, refused.status.phrase))
        values = {**shape, "title": title, "next": {"href": "/", "label": _("Back to the studio")}}
        page = _page(context, Html("problem", values, refused.status), person)
        page.headers.update(wait)
        return page
    if request.path.startswith("/v1/"):
        shape = error_of(refused)
    elif refused.retry_after is not None:
        shape["retry_after"] = round(refused.retry_after, 1)
    return web.Response(
        text=to_json(shape),
        status=refused.status,
        content_type="application/json" if "error" in shape else "application/problem+json",
        headers=guard.headers_for("data", context.addresses) | wait,
    )
