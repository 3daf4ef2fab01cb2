"""Opens the studio on the web and closes it again, in the bot's own process and loop; lets go of connections
that are one too many, or say nothing."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import jinja2
from aiohttp import web
from aiohttp.http import HttpProcessingError
from isal import isal_zlib

from core.errors import AtelierError
from core.language import _, catalogue, own_language
from studio.library import clips
from studio.services import Services
from studio.studio import Studio
from studio.texts import counted
from web import guard
from web.auth import DISCORD, DiscordPage, Endpoints, Visitors
from web.call import Bucket, Gone, Refused, Route
from web.cards import Cards, to_json
from web.dispatch import (
    COOKIE,
    Bodies,
    Context,
    choose_language,
    is_theirs,
    refusal,
    respond,
    visitor,
    who_of,
)
from web.handlers.account import Account
from web.handlers.activity import Activity
from web.handlers.pages import Frame
from web.live import Hub
from web.openapi import with_description
from web.page_texts import PageTexts
from web.routes import LIVE, inside_table, route_table
from web.static_files import StaticFiles

MOST = 1000  # at once
HEADER_TIME = 10.0  # seconds from the connection to the end of its first header


def quiet_log() -> logging.Logger:
    """Return the log of what goes wrong below our handlers, without calls that are no HTTP: anybody could
    fill it with them, and errors are told to the owner."""
    found = logging.getLogger(f"{__name__}.http")
    found.addFilter(
        lambda record: not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))
    )
    return found


class Connections:
    """Lets go of connections that are one too many, or say nothing: each costs memory while it is open.

    Later headers of a connection that is kept have as long as aiohttp keeps it.
    """

    def __init__(self) -> None:
        self._silent: set[web.RequestHandler] = set()

    def of(self, server: web.Server) -> Callable[[], web.RequestHandler]:
        """Return what makes the protocol of each new connection of ``server``."""

        def made() -> web.RequestHandler:
            protocol = server()
            patience = 0.0 if len(server.connections) >= MOST else HEADER_TIME
            self._silent.add(protocol)
            asyncio.get_running_loop().call_later(patience, self._look, protocol)
            return protocol

        return made

    def note(self, request: web.BaseRequest) -> None:
        """Note that a connection has said what it wants."""
        self._silent.discard(request.protocol)

    def _look(self, protocol: web.RequestHandler) -> None:
        if protocol not in self._silent:
            return
        self._silent.discard(protocol)
        if protocol.transport is not None:
            protocol.transport.close()


TEMPLATES = Path(__file__).parent / "templates"
KEEP_ALIVE = 75.0  # seconds that an idle connection is kept
LOOKS = (Bucket.READ, Bucket.BYTES)  # what HEAD may ask for as well: it changes nothing and makes nothing
WORKER = "worker/worker.js"  # which stands before all pages, though it lies below them
REST = "/{rest}"  # every address that no other route has
LONGEST_ADDRESS = 40_000  # bytes: a prompt of 4,000 letters of any alphabet in it, percent-encoded
BACKLOG = 128  # connections that wait to be taken
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Web:
    """The open studio on the web. url: where people come in. routes: all that is served, but the socket and
    the front end's own files. inside: the same of Discord's frame."""

    url: str
    visitors: Visitors
    routes: tuple[Route, ...] = ()
    inside: tuple[Route, ...] = ()

    def local_address(self, capability: str) -> str:
        """Return an address that signs in whoever opens it on this machine."""
        self.visitors.open_locally(capability)
        return f"{self.url}/in#{capability}"


@asynccontextmanager
async def serve_web(
    services: Services,
    studio: Studio,
    *,
    port: int,
    local: Callable[[], Mapping[str, int]] = dict,
    elsewhere: Callable[[], str | None] = lambda: None,
    discord: Endpoints = DISCORD,
) -> AsyncIterator[Web]:
    """Serve the studio while the block runs. port: 0 = a free one.

    local: people who may come in by ``Web.local_address``, name → user id. elsewhere: the address of a
    simulated Discord beside it. discord: where people sign in through its page. Raises AtelierError when the
    port is taken.
    """
    aiohttp.set_zlib_backend(isal_zlib)  # a page in a tenth of zlib's time, an eighth larger
    settings = services.settings
    visitors = Visitors(services.web.sessions, lambda: dict(local()))
    hub = Hub(studio, visitors.find, services.web.launched, services.web.looking)
    listening = _listen(settings.web_host, port)
    port = listening.getsockname()[1]
    addresses = guard.Addresses(port, settings.public_url.rstrip("/"))
    static, templates = await asyncio.to_thread(lambda: (_static_files(), page_templates()))
    frame = Frame(studio, visitors, elsewhere, settings.privacy_url, talks=settings.talk != "off")
    context = Context(
        studio,
        visitors,
        frame,
        static,
        templates,
        addresses,
        guard.Buckets(),
        Bodies(services.files.incoming / clips.FOLDER),
        settings.trusted_proxies,
    )
    url = addresses.public or f"http://127.0.0.1:{port}"
    members = settings.web_members == "members"
    client, secret = settings.discord_client_id, settings.discord_client_secret
    page = DiscordPage(client, secret, url, discord) if client else None
    own = Account(visitors, hub.end, page, members_only=members)
    routes = with_description(route_table(settings, own))
    connections = Connections()
    app = _application(context, hub, routes, connections)
    inside: tuple[Route, ...] = ()
    if settings.activity and page is not None:
        shown = Activity(
            own,
            page,
            context.buckets,
            services.web.launched,
            client_id=client,
            clients=discord.clients,
            members_only=members,
        )
        inside = inside_table(routes, shown)
        origin = discord.proxy.format(client)
        door = replace(addresses, activity=origin, framed_by=discord.clients)
        behind = replace(context, addresses=door, frame=replace(frame, inside=True))
        app.add_subapp(guard.ACTIVITY, _application(behind, hub, inside, connections))
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=quiet_log(),
        keepalive_timeout=KEEP_ALIVE,
        handler_cancellation=True,
        max_line_size=LONGEST_ADDRESS,
    )
    await runner.setup()
    assert runner.server is not None
    made = connections.of(runner.server)
    open_door = await asyncio.get_running_loop().create_server(made, sock=listening, backlog=BACKLOG)
    sending = asyncio.create_task(hub.run(), name="web news")
    opened = Web(url, visitors, routes, inside)
    try:
        with services.web.opened(opened.url):
            yield opened
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        open_door.close()
        await runner.cleanup()


def _listen(host: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise AtelierError(
            f"WEB_PORT={port}: the studio can't be opened on {host}, port {port}: {error.strerror}."
        ) from error
    return listening


@cache
def _static_files() -> StaticFiles:
    """Return the files that browsers may read, read and packed once for the process."""
    return StaticFiles()


@cache
def page_templates() -> jinja2.Environment:
    """Return all templates, their texts marked, compiled: the first visitor, and everybody beside them, would
    wait for it."""
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=[PageTexts],
    )
    plural = lambda one, other, n: catalogue(own_language()).ngettext(one, other, n)  # noqa: E731
    found.install_gettext_callables(_, plural, newstyle=True)  # type: ignore[attr-defined]
    found.globals |= {"counted": counted, "draw_card": Cards().draw}
    found.policies |= {"json.dumps_function": to_json, "json.dumps_kwargs": {}}
    for name in found.list_templates():
        found.get_template(name)
    return found


def _application(
    context: Context, hub: Hub, routes: tuple[Route, ...], connections: Connections
) -> web.Application:
    app = web.Application(middlewares=[_last_resort(context, connections)])
    for route in routes:
        taken = partial(respond, context, route)
        app.router.add_route(route.method, route.path, taken)
        if route.method == "GET" and route.bucket in LOOKS:
            app.router.add_route("HEAD", route.path, taken)
    app.router.add_get("/static/{version}/{name:.+}", partial(_static, context))
    app.router.add_get(LIVE, partial(_live, context, hub), allow_head=False)
    app.router.add_route("*", "/{rest:.*}", partial(_unknown, context))
    return app


def _last_resort(context: Context, connections: Connections) -> Any:
    """Return the middleware that answers what no route takes, and what nobody foresaw, in plain words."""

    @web.middleware
    async def middleware(request: web.Request, handler: Any) -> web.StreamResponse:
        connections.note(request)
        await choose_language(context, request, None)
        try:
            return await handler(request)
        except web.HTTPException as error:  # of aiohttp's own, such as a socket that isn't opened as one
            refused = Refused(HTTPStatus(error.status), error.text or error.reason)
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception:
            found = request.match_info.route.resource
            log.exception("an unexpected error at %s %s", request.method, found and found.canonical)
            refused = Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "Something unexpected went wrong.")
        return refusal(context, request, refused)

    return middleware


async def _unknown(context: Context, request: web.Request) -> web.StreamResponse:
    """What no route takes, by its address or its method. It is a route as well: aiohttp keeps what it makes
    for a request without one, with the request itself, a thousand times."""
    rest = context.addresses.prefix + REST
    found = [await one.resolve(request) for one in request.app.router.resources() if one.canonical != rest]
    takes = ", ".join(sorted({method for _, methods in found for method in methods}))
    if not takes:
        return refusal(context, request, Gone())
    said = f"This address doesn't accept {request.method}; use {takes}."
    response = refusal(context, request, Refused(HTTPStatus.METHOD_NOT_ALLOWED, said))
    response.headers["Allow"] = takes
    return response


async def _static(context: Context, request: web.Request) -> web.StreamResponse:
    """A file of the front end. An older version's address gets the current file, and isn't kept."""
    file = context.static.get(request.match_info["name"])
    if file is None:
        return refusal(context, request, Gone())
    headers = guard.headers_for("file", context.addresses) | {"Content-Type": file.media_type}
    if file.media_type == "image/svg+xml":  # which a browser may open as a page
        headers["Content-Security-Policy"] = guard.BYTES_POLICY
    if request.match_info["name"] == WORKER:
        headers["Service-Worker-Allowed"] = "/"
    if request.match_info["version"] == context.static.version:
        headers["Cache-Control"] = "max-age=31536000, immutable"
    if file.packed is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
        headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        return web.Response(body=file.packed, headers=headers)
    return web.Response(body=file.data, headers=headers)


async def _live(context: Context, hub: Hub, request: web.Request) -> web.StreamResponse:
    """The socket. Its Origin is checked before it opens: a browser sends cookies to it from any page."""
    try:
        guard.check_host(context.addresses, request.headers.get("Host", ""))
        guard.check_origin(context.addresses, "SOCKET", request.headers)
        person = await visitor(context, request)
        await choose_language(context, request, person)
        context.buckets.take(Bucket.CHANGE, who_of(context, request, person))
    except Refused as error:
        return refusal(context, request, error)
    if person is None or not is_theirs(person, request.query.get("person", "")):
        return await hub.turn_away(request)
    return await hub.serve(request, person, request.cookies[COOKIE])
