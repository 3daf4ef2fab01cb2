"""Who a session belongs to, and how one begins: by a link of the bot's, or on Discord's own page (OAuth 2 by
authorisation code with PKCE), of whose answer nothing is kept but who somebody is.

https://discord.com/developers/docs/topics/oauth2, https://www.rfc-editor.org/rfc/rfc7636 (PKCE),
https://www.rfc-editor.org/rfc/rfc9207 (the issuer in the answer).
"""

import asyncio
import base64
import hashlib
import json
import logging
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from hmac import compare_digest
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import aiohttp
from cachetools import LRUCache

from core.job import Surface
from core.language import N_, _
from storage.sessions import Sessions
from studio.authority import Actor
from web.call import Person

_BROWSERS = (  # how a User-Agent is recognised; the first that fits
    (N_("Firefox"), r"Firefox/"),
    (N_("Edge"), r"Edg/"),
    (N_("Opera"), r"OPR/"),
    (N_("Chrome"), r"Chrom(?:e|ium)/"),
    (N_("Safari"), r"Safari/"),
)
_SYSTEMS = (
    (N_("Android"), N_(r"Android")),
    ("iPhone", r"iPhone"),
    ("iPad", r"iPad"),
    (N_("Windows"), N_(r"Windows")),
    ("macOS", N_(r"Mac OS X")),
    (N_("Linux"), r"Linux|X11"),
)


def web_actor(user_id: int, name: str) -> Actor:
    """Return as whom somebody asks on the web: alone, as in a direct message."""
    return Actor(user_id, None, name=name, surface=Surface.WEB)


def browser_label(user_agent: str) -> str:
    """Return what a person calls a browser, such as "Firefox on Linux"."""
    browser = next((name for name, pattern in _BROWSERS if re.search(pattern, user_agent)), _("A browser"))
    system = next((name for name, pattern in _SYSTEMS if re.search(pattern, user_agent)), None)
    return _("{browser} on {system}", browser=browser, system=system) if system else browser


class Visitors:
    """Signs people in. ``local``: who the printed address of the sandbox stands for, by name; such an
    address is good for as long as the process runs."""

    def __init__(self, sessions: Sessions, local: Callable[[], dict[str, int]] = dict) -> None:
        self.sessions = sessions
        self._local = local
        self._capability: str | None = None

    def open_locally(self, capability: str) -> None:
        """Let ``capability`` sign in whoever holds it, as any of the local people."""
        self._capability = capability

    def is_local(self, token: str) -> bool:
        """Return whether ``token`` is of the printed address."""
        return self._capability is not None and compare_digest(token.encode(), self._capability.encode())

    async def offered(self, token: str) -> list[str]:
        """Return the names that ``token`` can sign in as, none when it is spent. It isn't spent by this."""
        if self.is_local(token):
            return list(self._local())
        name = await self.sessions.offered(token)
        return [] if name is None else [name or "you"]

    async def sign_in(self, token: str, who: str | None, label: str) -> str | None:
        """Return the token of a new session; None when ``token`` is spent or stands for nobody."""
        if self.is_local(token):
            people = self._local()
            name = who if who in people else next(iter(people), None)
            return None if name is None else await self.sessions.begin(people[name], name, label)
        return await self.sessions.sign_in(token, label)

    def others(self, person: Person) -> list[str]:
        """Return the local people whom a local person can become, by name; nobody else becomes anybody."""
        people = self._local()
        if person.user_id not in people.values():
            return []
        return [name for name, user_id in people.items() if user_id != person.user_id]

    async def become(self, person: Person, who: str, label: str) -> str | None:
        """End a local person's session and return the token of one as ``who``; None for nobody else."""
        if who not in self.others(person):
            return None
        await self.sessions.end(person.user_id, person.session)
        return await self.sessions.begin(self._local()[who], who, label)

    async def find(self, token: str, beside: Iterable[partial[Any]] = ()) -> Person | None:
        """Return who holds a session, None when it has ended. beside: what is read with it, see
        ``Database.look_up``."""
        session = await self.sessions.find(token, beside)
        if session is None:
            return None
        return Person(session.name or "you", session.id, web_actor(session.user_id, session.name))


BACK = "/in/discord/back"
LIVES = 600.0  # seconds from leaving to coming back
MOST = 2000  # people on Discord's page at once; the oldest begins again
PATIENCE = 10.0  # seconds for each of Discord's answers
LONGEST = 64 * 1024  # bytes of one
BEGIN_AGAIN = N_("This sign-in was started in another browser, or too long ago. Start it again here.")
SILENT = N_("Discord doesn't answer right now. Try again in a minute, or type `/web` in Discord.")
log = logging.getLogger(__name__)


CHANNELS = ("", "ptb.", "canary.")  # of Discord's releases


class SignInFailed(Exception):
    """Nobody is signed in; the text says why, for the person."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Endpoints:
    """Where Discord is. proxy: the origin of an Activity's pages, ``{}`` being the application's id. clients:
    the origins of Discord's own pages, which may frame them.

    https://docs.discord.com/developers/activities/how-activities-work
    """

    page: str = "https://discord.com/oauth2/authorize"
    api: str = "https://discord.com/api/v10"
    issuer: str = "https://discord.com"
    proxy: str = "https://{}.discordsays.com"
    clients: tuple[str, ...] = tuple(
        f"https://{channel}{site}" for site in ("discord.com", "discordapp.com") for channel in CHANNELS
    )


@dataclass(frozen=True)
class _Attempt:
    """Somebody who is on Discord's page. browser: SHA-256 of what theirs must bring back."""

    verifier: str = field(repr=False)
    browser: bytes = field(repr=False)
    until: float = 0.0
    page: str = "/"


DISCORD = Endpoints()


class DiscordPage:
    """Leads people to Discord's page and reads who comes back. address: our own, as browsers know it."""

    def __init__(
        self,
        client_id: str,
        secret: str,
        address: str,
        endpoints: Endpoints = DISCORD,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client_id, self._secret, self._endpoints = client_id, secret, endpoints
        self._redirect, self._clock = address + BACK, clock
        self._attempts = LRUCache[str, _Attempt](MOST)  # by state

    def begin(self, page: str = "/") -> tuple[str, str]:
        """Return the address of Discord's page, and what the browser has to bring back from there. page: of
        ours, to go on with."""
        said, browser = self.begin_inside(page)
        query = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": self._redirect,
            "scope": "identify",
            **said,
        }
        return f"{self._endpoints.page}?{urlencode(query)}", browser

    def begin_inside(self, page: str = "/") -> tuple[dict[str, str], str]:
        """Return what Discord's own window is told to whom a code is given, and what the browser has to bring
        with the code."""
        state, verifier, browser = (secrets.token_urlsafe(32) for _ in range(3))
        self._attempts[state] = _Attempt(verifier, _sha256(browser), self._clock() + LIVES, page)
        challenge = base64.urlsafe_b64encode(_sha256(verifier)).rstrip(b"=").decode()
        return {"state": state, "code_challenge": challenge, "code_challenge_method": "S256"}, browser

    async def finish(self, query: Mapping[str, str], browser: str) -> tuple[Actor, str]:
        """Return who has come back with ``query``, and the page of ours that they go on with. browser: what
        theirs has brought. Raises SignInFailed."""
        attempt = self._attempt(query.get("state", ""))
        is_theirs = compare_digest(attempt.browser, _sha256(browser))
        if not is_theirs or query.get("iss", self._endpoints.issuer) != self._endpoints.issuer:
            raise SignInFailed(HTTPStatus.BAD_REQUEST, BEGIN_AGAIN)
        if "code" not in query:
            raise SignInFailed(
                HTTPStatus.FORBIDDEN, "You didn't allow it on Discord, so nobody is signed in."
            )
        return await self._named(query["code"], attempt.verifier, self._redirect), attempt.page

    async def finish_inside(self, state: str, code: str, browser: str) -> Actor:
        """Return who brings a ``code`` of Discord's own window. browser: what theirs has brought, "" of one
        that keeps nothing. Raises SignInFailed."""
        attempt = self._attempt(state)
        if browser and not compare_digest(attempt.browser, _sha256(browser)):
            raise SignInFailed(HTTPStatus.BAD_REQUEST, BEGIN_AGAIN)
        return await self._named(code, attempt.verifier, None)

    def _attempt(self, state: str) -> _Attempt:
        """Return what was begun, which is good once, whatever comes of it. Raises SignInFailed."""
        attempt = self._attempts.pop(state, None)
        if attempt is None or self._clock() > attempt.until:
            raise SignInFailed(HTTPStatus.BAD_REQUEST, BEGIN_AGAIN)
        return attempt

    async def _named(self, code: str, verifier: str, redirect: str | None) -> Actor:
        """Return whom a code names. redirect: where Discord has led back to, None of a code that its own
        window has given. Raises SignInFailed."""
        try:
            async with asyncio.timeout(3 * PATIENCE), aiohttp.ClientSession(trust_env=True) as http:
                return await self._asked(http, code, verifier, redirect)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            log.warning("Discord's sign-in doesn't answer (%s)", type(error).__name__)
            raise SignInFailed(HTTPStatus.BAD_GATEWAY, SILENT) from error

    async def _asked(
        self, http: aiohttp.ClientSession, code: str, verifier: str, redirect: str | None
    ) -> Actor:
        token = await self._token(http, code, verifier, redirect)
        bearer = {"Authorization": f"Bearer {token}"}
        status, person = await self._ask(http, "GET", "/users/@me", headers=bearer)
        await self._revoke(http, token)
        if status != HTTPStatus.OK:
            raise ValueError(f"Discord answered {status} to who somebody is")
        name = person.get("global_name") or person.get("username") or ""
        return web_actor(int(person["id"]), str(name)[:100])

    async def _token(
        self, http: aiohttp.ClientSession, code: str, verifier: str, redirect: str | None
    ) -> str:
        form = {
            **self._client,
            "grant_type": "authorization_code",
            "code": code,
            **({"redirect_uri": redirect} if redirect else {}),
            "code_verifier": verifier,
        }
        status, answer = await self._ask(http, "POST", "/oauth2/token", data=form)
        if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED):
            log.error("Discord refuses the sign-in: %s; `atelier doctor` looks at it", answer.get("error"))
            raise SignInFailed(HTTPStatus.BAD_REQUEST, "Discord refused this sign-in. Begin it again here.")
        if status != HTTPStatus.OK:
            raise ValueError(f"Discord answered {status} to a code")
        return str(answer["access_token"])

    async def _revoke(self, http: aiohttp.ClientSession, token: str) -> None:
        """Give the token back; one that stays ends by itself, and is kept nowhere."""
        try:
            form = {**self._client, "token": token, "token_type_hint": "access_token"}
            await self._ask(http, "POST", "/oauth2/token/revoke", data=form)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            log.info("a token of Discord's wasn't given back (%s)", type(error).__name__)

    @property
    def _client(self) -> dict[str, str]:
        secret = {"client_secret": self._secret} if self._secret else {}
        return {"client_id": self._client_id, **secret}

    async def _ask(
        self, http: aiohttp.ClientSession, method: str, path: str, **options: Any
    ) -> tuple[int, dict[str, Any]]:
        """Return the status and the JSON object of an answer of Discord's. Raises ValueError for another
        body, TimeoutError after ``PATIENCE``."""
        async with asyncio.timeout(PATIENCE):
            url = self._endpoints.api + path
            async with http.request(method, url, allow_redirects=False, **options) as answer:
                body = await answer.content.read(LONGEST)
                while len(body) < LONGEST and (more := await answer.content.read(LONGEST - len(body))):
                    body += more
        found = json.loads(body or b"{}") if answer.status < HTTPStatus.INTERNAL_SERVER_ERROR else {}
        if not isinstance(found, dict):
            raise ValueError("no JSON object")
        return answer.status, found


def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
