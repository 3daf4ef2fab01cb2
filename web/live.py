"""What is new, sent to every open tab: one task that wakes eight times a second, encodes each person's news
once, and lets nobody wait for a browser that doesn't read."""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from core.language import own_language, speaking
from studio.services import Launch
from studio.studio import Studio
from web import views
from web.call import Person

EVERY = 0.125  # seconds
AT_A_TIME = 20  # sockets in one turn of the event loop
MOST, MOST_OF_ONE = 800, 8  # sockets
QUIET = 25.0  # seconds after which a tab without news is told that there are none: so it notices a dead line
NOTHING = json.dumps({"jobs": [], "changed": [], "complete": True}, separators=(",", ":"))
FULL, PATIENCE = 64 * 1024, 5.0  # bytes that wait for a browser, and seconds until it is let go
UNREAD = 16 * 2**20  # bytes above which a send waits; far more than one message on top of FULL
CHECK_EVERY = 60.0  # seconds; a session that has ended closes its sockets by then
HEARTBEAT = 20.0  # seconds
LOOKS = "1"  # what a page says that somebody looks at
SIGNED_OUT, TOO_SLOW, TOO_MANY = 4401, 4408, 4429
log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Tab:
    """An open socket. at: the point that its news end at. told: when it was sent something. instance: of the
    Activity that holds the pages, for its own socket; launch: what was asked for last there. looks: somebody
    looks at it. full_since: when its browser stopped reading."""

    socket: web.WebSocketResponse
    request: web.Request
    person: Person
    token: str
    at: int
    checked: float
    told: float
    language: str
    instance: str
    launch: Launch | None
    looks: bool = False
    full_since: float | None = None
    closing: asyncio.Task[object] | None = field(default=None, repr=False)


class Hub:
    """Keeps the sockets. ``find``: who holds a session's token, None when it has ended. launched: the pages
    that people have asked for on Discord, by the instance of the Activity and who. looking: how many pages
    people look at, by their ids."""

    def __init__(
        self,
        studio: Studio,
        find: Callable[[str], Awaitable[Person | None]],
        launched: Mapping[tuple[str, int], Launch],
        looking: Counter[int],
    ) -> None:
        self._studio, self._find, self._launched, self._looking = studio, find, launched, looking
        self._tabs: set[_Tab] = set()
        self._closing: set[asyncio.Task[object]] = set()

    def __len__(self) -> int:
        return len(self._tabs)

    async def serve(self, request: web.Request, person: Person, token: str) -> web.StreamResponse:
        """Keep a socket open until its browser leaves. ``?since``: the point that its page was made at.
        Without one, or with nonsense, what is new from now on is told. ``?instance``: only where a press on
        Discord leads that Activity from now on."""
        socket = web.WebSocketResponse(heartbeat=HEARTBEAT, compress=False, max_msg_size=4096)
        await socket.prepare(request)
        held = Counter(tab.person.user_id for tab in self._tabs)
        if held[person.user_id] >= MOST_OF_ONE:
            await socket.close(code=TOO_MANY, message=b"too many tabs are open")
            return socket
        if held.total() >= MOST and not self._makes_room(held, person.user_id):
            await socket.close(code=WSCloseCode.TRY_AGAIN_LATER, message=b"too many people are here")
            return socket
        if request.transport is not None:  # so that sending never waits for a browser: see _is_full
            request.transport.set_write_buffer_limits(high=UNREAD)
        now = asyncio.get_running_loop().time()
        since = request.query.get("since", "")
        at = (
            int(since)
            if since.isascii() and since.isdecimal() and len(since) < 20
            else self._studio.own.point
        )
        instance = request.query.get("instance", "")
        launch = self._launched.get((instance, person.user_id))
        tab = _Tab(socket, request, person, token, at, now, now, own_language(), instance, launch)
        self._tabs.add(tab)
        try:
            async for message in socket:
                if message.type in (WSMsgType.CLOSE, WSMsgType.ERROR):
                    break
                self._look(tab, looks=message.data == LOOKS)
        finally:
            self._look(tab, looks=False)
            self._tabs.discard(tab)
        return socket

    def _look(self, tab: _Tab, *, looks: bool) -> None:
        """Note whether somebody looks at a page now: who does isn't called."""
        if looks == tab.looks:
            return
        tab.looks, user_id = looks, tab.person.user_id
        self._looking[user_id] += 1 if looks else -1
        if not self._looking[user_id]:
            del self._looking[user_id]

    async def turn_away(self, request: web.Request) -> web.StreamResponse:
        """Close the socket of somebody who isn't signed in. A page learns why only of one that was open."""
        socket = web.WebSocketResponse(compress=False, max_msg_size=4096)
        await socket.prepare(request)
        await socket.close(code=SIGNED_OUT, message=b"signed out")
        return socket

    def _makes_room(self, held: Counter[int], user_id: int) -> bool:
        """Close a socket of whoever has most, and more than ``user_id`` would have."""
        greediest, most = held.most_common(1)[0]
        if most <= held[user_id] + 1:
            return False
        tab = min((tab for tab in self._tabs if tab.person.user_id == greediest), key=lambda tab: tab.checked)
        self._tabs.discard(tab)
        self._later(tab.socket.close(code=TOO_MANY, message=b"too many tabs are open"))
        return True

    async def run(self) -> None:
        """Send news until cancelled."""
        try:
            while True:
                await asyncio.sleep(EVERY)
                try:
                    await self._turn()
                except Exception:  # one person's news must not end everybody's
                    log.exception("what is new couldn't be told; the next turn tells it")
        finally:
            await asyncio.gather(*(tab.socket.close(code=WSCloseCode.GOING_AWAY) for tab in list(self._tabs)))

    async def _turn(self) -> None:
        now = asyncio.get_running_loop().time()
        encoded: dict[tuple[int, int, str], tuple[int, str | None]] = {}
        for count, tab in enumerate(list(self._tabs), 1):
            if count % AT_A_TIME == 0:
                await asyncio.sleep(0)
            if now - tab.checked > CHECK_EVERY:
                tab.checked = now
                self._later(self._check(tab))
            if self._is_full(tab, now):
                continue
            key = (tab.person.user_id, tab.at, tab.language)
            if tab.instance:
                text = self._asked_for(tab)
            else:
                if key not in encoded:
                    with speaking(tab.language):
                        encoded[key] = self._news(tab)
                tab.at, text = encoded[key]
            if text is None and now - tab.told >= QUIET:
                text = NOTHING
            if text is not None and not tab.socket.closed:
                tab.told = now
                try:
                    await tab.socket.send_str(text)
                except (ConnectionError, RuntimeError):  # it has just left
                    self._tabs.discard(tab)

    def _news(self, tab: _Tab) -> tuple[int, str | None]:
        """Return the point that a person's news end at, and the news as JSON if there are any."""
        news = self._studio.news(tab.person.actor, tab.at)
        if not news.live and not news.changed and news.complete:
            return news.at, None
        jobs = [views.describe_event(job_id, event) for job_id, event in news.live.items()]
        changed = sorted(news.changed)
        message = {"jobs": jobs, "changed": changed, "complete": news.complete, "at": news.at}
        return news.at, json.dumps(message, separators=(",", ":"))

    def _asked_for(self, tab: _Tab) -> str | None:
        """Return the page that a person has asked for since, as JSON; another device may open it too."""
        launch = self._launched.get((tab.instance, tab.person.user_id))
        if launch is None or launch == tab.launch:
            return None
        tab.launch = launch
        return json.dumps({"page": launch.page})

    def _is_full(self, tab: _Tab, now: float) -> bool:
        """Return whether a browser doesn't read what was sent; let it go when that lasts."""
        transport = tab.request.transport
        if transport is None or transport.get_write_buffer_size() <= FULL:
            tab.full_since = None
            return False
        if tab.full_since is None:
            tab.full_since = now
        elif now - tab.full_since > PATIENCE:
            self._tabs.discard(tab)
            transport.abort()  # a goodbye would wait as well
        return True

    async def _check(self, tab: _Tab) -> None:
        if await self._find(tab.token) is None:
            self._tabs.discard(tab)
            await tab.socket.close(code=SIGNED_OUT, message=b"signed out")

    def _later(self, work: Any) -> None:
        task = asyncio.create_task(work, name="check a session")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def end(self, user_id: int, session: str) -> None:
        """Close the sockets of a person's session that has ended."""
        for tab in list(self._tabs):
            if (tab.person.user_id, tab.person.session) == (user_id, session):
                self._tabs.discard(tab)
                self._later(tab.socket.close(code=SIGNED_OUT, message=b"signed out"))
