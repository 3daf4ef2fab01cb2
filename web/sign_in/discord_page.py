"""Signing in on Discord's own page: OAuth 2 by authorisation code with PKCE. Of Discord's answer nothing is
kept but who somebody is.

https://discord.com/developers/docs/topics/oauth2, https://www.rfc-editor.org/rfc/rfc7636 (PKCE),
https://www.rfc-editor.org/rfc/rfc9207 (the issuer in the answer).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from hmac import compare_digest
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import aiohttp
from cachetools import LRUCache

from core.job import Surface
from studio.actor import Actor

BACK = "/in/discord/back"
LIVES = 600.0  # seconds from leaving to coming back
MOST = 2000  # people on Discord's page at once; the oldest begins anew
PATIENCE = 10.0  # seconds for each of Discord's answers
LONGEST = 64 * 1024  # bytes of one
BEGIN_AGAIN = "This sign-in was begun in another browser, or too long ago. Begin it again here."
SILENT = "Discord doesn't answer right now. Try again in a minute, or type `/web` in Discord."
log = logging.getLogger(__name__)


class SignInFailed(Exception):
    """Nobody is signed in; the text says why, for the person."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Endpoints:
    """Where Discord is."""

    page: str = "https://discord.com/oauth2/authorize"
    api: str = "https://discord.com/api/v10"
    issuer: str = "https://discord.com"


@dataclass(frozen=True)
class Named:
    """Whom Discord has named. page: of ours, that they go on with."""

    user_id: int
    name: str
    page: str = "/"

    @property
    def actor(self) -> Actor:
        """As whom they ask."""
        return Actor(self.user_id, None, name=self.name, surface=Surface.WEB)


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
        state, verifier, browser = (secrets.token_urlsafe(32) for _ in range(3))
        self._attempts[state] = _Attempt(verifier, _sha256(browser), self._clock() + LIVES, page)
        query = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": self._redirect,
            "scope": "identify",
            "state": state,
            "code_challenge": base64.urlsafe_b64encode(_sha256(verifier)).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return f"{self._endpoints.page}?{urlencode(query)}", browser

    async def finish(self, query: Mapping[str, str], browser: str) -> Named:
        """Return who has come back with ``query``. browser: what theirs has brought. Raises SignInFailed."""
        attempt = self._attempts.pop(query.get("state", ""), None)  # good once, whatever comes of it
        if attempt is None or not compare_digest(attempt.browser, _sha256(browser)):
            raise SignInFailed(HTTPStatus.BAD_REQUEST, BEGIN_AGAIN)
        if (
            self._clock() > attempt.until
            or query.get("iss", self._endpoints.issuer) != self._endpoints.issuer
        ):
            raise SignInFailed(HTTPStatus.BAD_REQUEST, BEGIN_AGAIN)
        if "code" not in query:
            raise SignInFailed(
                HTTPStatus.FORBIDDEN, "You didn't allow it on Discord, so nobody is signed in."
            )
        try:
            async with asyncio.timeout(3 * PATIENCE), aiohttp.ClientSession(trust_env=True) as http:
                named = await self._named(http, query["code"], attempt.verifier)
                return replace(named, page=attempt.page)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            log.warning("Discord's sign-in doesn't answer (%s)", type(error).__name__)
            raise SignInFailed(HTTPStatus.BAD_GATEWAY, SILENT) from error

    async def _named(self, http: aiohttp.ClientSession, code: str, verifier: str) -> Named:
        token = await self._token(http, code, verifier)
        bearer = {"Authorization": f"Bearer {token}"}
        status, person = await self._ask(http, "GET", "/users/@me", headers=bearer)
        await self._revoke(http, token)
        if status != HTTPStatus.OK:
            raise ValueError(f"Discord answered {status} to who somebody is")
        name = person.get("global_name") or person.get("username") or ""
        return Named(int(person["id"]), str(name)[:100])

    async def _token(self, http: aiohttp.ClientSession, code: str, verifier: str) -> str:
        form = {
            **self._client,
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect,
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
