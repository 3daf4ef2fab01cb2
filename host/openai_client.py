"""The wire to a chat server: HTTP with aiohttp, with a limit to every wait. What goes over it is never
logged."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from core.settings import Settings
from jobs.executors.openai_api import Answering, Refused, Silent, Unreachable, error_words

CONNECT, FIRST_BYTE, BETWEEN = 5.0, 120.0, 30.0  # seconds
ERROR_READ = 1 << 16  # bytes of an error that are looked at
FAILURES = (aiohttp.ClientError, OSError, ValueError)


class HttpChatServer:
    """A server at ``url``, which ends with the version of its interface, such as http://127.0.0.1:8000/v1.

    model: what it calls its model, "" = the first that it names. waits: seconds to connect, for the first
    byte, and between two.
    """

    def __init__(
        self,
        url: str,
        model: str = "",
        key: str = "",
        waits: tuple[float, float, float] = (CONNECT, FIRST_BYTE, BETWEEN),
    ) -> None:
        self._url, self._waits = url.rstrip("/"), waits
        self._model, self._asks_model = model, not model
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.host = urlsplit(url).netloc
        self._session: aiohttp.ClientSession | None = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            connect, _, _ = self._waits
            self._session = aiohttp.ClientSession(
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect),
                connector=aiohttp.TCPConnector(limit=0, force_close=True),  # some servers break a kept line
            )
        return self._session

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def model(self) -> str:
        """Return the model of the settings, or else the first that the server names; it is asked
        once, until it is forgotten.

        Raises Unreachable, Silent, Refused.
        """
        if not self._model:
            names = await self.models()
            if not names:
                raise Refused(404, "it names no model")
            self._model = names[0]
        return self._model

    def forget_model(self) -> bool:
        """Forget what the server called its model; False where the settings say it."""
        self._model = "" if self._asks_model else self._model
        return self._asks_model

    async def models(self) -> list[str]:
        """Return the names of the server's models. Raises Unreachable, Silent, Refused."""
        timeout = aiohttp.ClientTimeout(total=self._waits[1], sock_connect=self._waits[0])
        try:
            async with self._opened().get(
                f"{self._url}/models", timeout=timeout, allow_redirects=False
            ) as response:
                await _check(response)
                found = json.loads(await response.content.read(1 << 22))
        except TimeoutError as error:
            raise Silent("no list of models") from error
        except FAILURES as error:
            raise Unreachable(type(error).__name__) from error
        listed = found.get("data") if isinstance(found, dict) else None
        return [str(one["id"]) for one in listed or () if isinstance(one, dict) and "id" in one]

    @asynccontextmanager
    async def ask(self, body: Mapping[str, Any]) -> AsyncIterator[Answering]:
        """Post a question and wait for the head of its answer. Raises Unreachable, Silent, Refused."""
        connect, first, between = self._waits
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect, sock_read=first)
        try:
            response = await self._opened().post(
                f"{self._url}/chat/completions", json=body, timeout=timeout, allow_redirects=False
            )
        except (aiohttp.ServerTimeoutError, TimeoutError) as error:
            unconnected = isinstance(error, aiohttp.ConnectionTimeoutError)
            raise (Unreachable if unconnected else Silent)(type(error).__name__) from error
        except FAILURES as error:
            raise Unreachable(type(error).__name__) from error
        try:
            await _check(response)
            yield _Answer(response, first, between)
        finally:
            response.close()  # which ends the answer on the server, too


def open_chat_server(settings: Settings, waits: tuple[float, float, float] | None = None) -> HttpChatServer:
    """Return the server that the settings name, not connected yet. waits: see HttpChatServer, None = those of
    questions."""
    waits = waits or (CONNECT, settings.vlm_wait, BETWEEN)
    return HttpChatServer(settings.vlm_url, settings.vlm_model, settings.vlm_key, waits)


class _Answer:
    """The body of an answer. streams: by its type, it is one of events."""

    def __init__(self, response: aiohttp.ClientResponse, first: float, between: float) -> None:
        self._response, self._waits = response, (first, between)
        self.streams = response.content_type not in ("application/json", "text/json")

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield bytes as they come. Raises Unreachable, Silent."""
        wait, after = self._waits
        while True:
            try:
                async with asyncio.timeout(wait):
                    data = await self._response.content.readany()
            except TimeoutError as error:
                raise Silent("nothing came") from error
            except FAILURES as error:
                raise Unreachable(type(error).__name__) from error
            if not data:
                return
            yield data
            wait = after


async def _check(response: aiohttp.ClientResponse) -> None:
    if response.status == 200:
        return
    try:
        text = (await response.content.read(ERROR_READ)).decode("utf-8", "replace")
    except (TimeoutError, *FAILURES):
        text = ""
    try:
        words = error_words(json.loads(text))
    except ValueError:
        words = ""  # a page of a proxy's, say
    raise Refused(response.status, words, _seconds(response.headers.get("Retry-After", "")))


def _seconds(text: str) -> float | None:
    """Return the seconds of a Retry-After; a date counts as none."""
    return float(text) if text.strip().isdigit() else None
