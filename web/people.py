"""Who a session belongs to, as whom they ask, and the token that a browser keeps."""

from __future__ import annotations

import re
from collections.abc import Callable
from hmac import compare_digest

from core.job import Surface
from storage.sessions import Session, Sessions
from studio.actor import Actor
from web.call import Person

_BROWSERS = (  # how a User-Agent is recognised; the first that fits
    ("Firefox", r"Firefox/"),
    ("Edge", r"Edg/"),
    ("Opera", r"OPR/"),
    ("Chrome", r"Chrom(?:e|ium)/"),
    ("Safari", r"Safari/"),
)
_SYSTEMS = (
    ("Android", r"Android"),
    ("iPhone", r"iPhone"),
    ("iPad", r"iPad"),
    ("Windows", r"Windows"),
    ("macOS", r"Mac OS X"),
    ("Linux", r"Linux|X11"),
)


def person_of(session: Session) -> Person:
    """Return the person of a session. What is asked on the web is asked alone, as in a direct message."""
    actor = Actor(session.user_id, None, name=session.name, surface=Surface.WEB)
    return Person(session.name or "you", session.id, actor)


def label_of(user_agent: str) -> str:
    """Return what a person calls a browser, such as "Firefox on Linux"."""
    browser = next((name for name, pattern in _BROWSERS if re.search(pattern, user_agent)), "A browser")
    system = next((name for name, pattern in _SYSTEMS if re.search(pattern, user_agent)), None)
    return f"{browser} on {system}" if system else browser


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

    def _is_local(self, token: str) -> bool:
        return self._capability is not None and compare_digest(token.encode(), self._capability.encode())

    async def offered(self, token: str) -> list[str]:
        """Return the names that ``token`` can sign in as, none when it is spent. It isn't spent by this."""
        if self._is_local(token):
            return list(self._local())
        name = await self.sessions.offered(token)
        return [] if name is None else [name or "you"]

    async def sign_in(self, token: str, who: str | None, label: str) -> str | None:
        """Return the token of a new session; None when ``token`` is spent or stands for nobody."""
        if self._is_local(token):
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

    async def find(self, token: str) -> Person | None:
        """Return who holds a session, None when it has ended."""
        session = await self.sessions.find(token)
        return None if session is None else person_of(session)
