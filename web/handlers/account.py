"""A person's sessions, begun by a link from the bot or on Discord's own page, and the data that is kept of
them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from core.errors import NotAllowedError, UserError
from web import schemas
from web.auth import DiscordPage, SignInFailed, Visitors, browser_label
from web.call import Answer, Call, Html, Json, Leave, Refused, SeeOther, SignedIn, SignedOut, Stream
from web.handlers.pages import Pages
from web.schemas import page_of, read_body

OFF = "Signing in through Discord isn't set up here. Type `/web` in Discord."
SPENT = "This link has been used or has expired. Type `/web` in Discord for a new one."


class SignIn:
    """Handlers about sessions. ``ended`` is told whose session has ended and its id. discord: its own page
    to sign in on, where that is set up. members_only: it is for people who share a server with the bot.
    policy: the address of what the host says of privacy."""

    def __init__(
        self,
        visitors: Visitors,
        ended: Callable[[int, str], None] = lambda user, session: None,
        discord: DiscordPage | None = None,
        *,
        members_only: bool = True,
        policy: str = "",
    ) -> None:
        self._policy = policy
        self._visitors, self._ended = visitors, ended
        self._discord, self._members_only = discord, members_only

    async def page(self, call: Call) -> Answer:
        """Where a link signs somebody in, or leads to Discord. Who is signed in goes on with the page that
        was wanted: another tab may have signed somebody in meanwhile."""
        if call.person is not None and "next" in call.query:
            return SeeOther(page_of(call.query["next"]))
        return self._page(HTTPStatus.OK, page=page_of(call.query.get("next", "")))

    async def to_discord(self, call: Call) -> Answer:
        """Lead to Discord's own page; this browser, and no other, can come back from there."""
        if self._discord is None:
            raise Refused(HTTPStatus.NOT_FOUND, OFF)
        url, attempt = self._discord.begin(page_of(call.query.get("next", "")))
        return Leave(url, attempt)

    async def from_discord(self, call: Call) -> Answer:
        """Begin a session of whoever comes back from Discord's page, or say why not."""
        if self._discord is None:
            raise Refused(HTTPStatus.NOT_FOUND, OFF)
        try:
            who = await self._discord.finish(call.query, call.attempt)
            label = browser_label(call.headers.get("User-Agent", ""))
            own, members = call.studio.own, self._members_only
            token = await own.web_session(who.actor, label, members_only=members)
            return SignedIn(token, who.page, another=await self._replaces(call, who.actor.user_id))
        except SignInFailed as failed:
            return self._page(failed.status, str(failed))
        except NotAllowedError as refused:
            return self._page(HTTPStatus.FORBIDDEN, str(refused))

    def _page(self, status: HTTPStatus, trouble: str | None = None, page: str = "/") -> Html:
        frame: dict[str, Any] = {"page": "in", "person": None, "nav": (), "other": None}
        given = {"discord": self._discord is not None, "trouble": trouble, "next": page}
        return Html("in.html", {**frame, **given, "policy": self._policy}, status)

    async def look(self, call: Call) -> Answer:
        """Say whom a link signs in, without spending it: a chat's preview of the link must not."""
        names = await self._visitors.offered(read_body(call, schemas.Link).token)
        if not names:
            raise Refused(HTTPStatus.NOT_FOUND, SPENT)
        return Json({"name": names[0], "names": names})

    async def begin(self, call: Call) -> Answer:
        """Spend a link and begin a session; in the sandbox, its people can become each other without one."""
        label = browser_label(call.headers.get("User-Agent", ""))
        given = read_body(call, schemas.SignIn)
        if given.token is not None:
            token = await self._visitors.sign_in(given.token, given.who, label)
        elif call.person is not None and given.who is not None:
            token = await self._visitors.become(call.person, given.who, label)
        else:
            raise UserError("`token` is missing.")
        if token is None:
            raise Refused(HTTPStatus.NOT_FOUND, SPENT)
        now = await self._visitors.find(token)
        return SignedIn(token, another=now is not None and await self._replaces(call, now.user_id))

    async def end(self, call: Call) -> Answer:
        """End the session that the call comes by."""
        assert call.person is not None
        await self._end(call.person.user_id, call.person.session)
        return SignedOut()

    async def end_other(self, call: Call) -> Answer:
        """End any session of the person's."""
        assert call.person is not None
        session = call.path["session"]
        await self._end(call.actor.user_id, session)
        return SignedOut() if session == call.person.session else Json(None, HTTPStatus.NO_CONTENT)

    async def _replaces(self, call: Call, user_id: int) -> bool:
        """Return whether somebody else was signed in by this browser until now; their session ends, with
        what their other tabs show."""
        if call.person is None or call.person.user_id == user_id:
            return False
        await self._end(call.person.user_id, call.person.session)
        return True

    async def _end(self, user_id: int, session: str) -> None:
        await self._visitors.sessions.end(user_id, session)
        self._ended(user_id, session)


class PrivacyHandlers:
    """Handlers about a person's own data. ``ended`` is told whose session has ended and its id."""

    def __init__(self, pages: Pages, visitors: Visitors, ended: Callable[[int, str], None]) -> None:
        self._pages, self._visitors, self._ended = pages, visitors, ended

    async def page(self, call: Call) -> Answer:
        """What is kept of the person and for how long, with ways to take it away and to delete it."""
        own, talking = call.studio.own, call.studio.talking
        values = {
            "held": asdict(await own.holdings(call.actor)),
            "kept": asdict(own.retention),
            "server": talking.server,
        }
        return self._pages.page(call, "privacy", values)

    async def show(self, call: Call) -> Answer:
        """Return how much is kept of the person, and for how many days; 0 days = until it is deleted."""
        held = asdict(await call.studio.own.holdings(call.actor))
        since = held.pop("since")
        held["since"] = since.isoformat() if since else None
        return Json({"held": held, "days": asdict(call.studio.own.retention)})

    async def export(self, call: Call) -> Answer:
        """Send everything that is kept of the person as one file; without pictures and videos with
        ?pictures=0."""
        parts = call.studio.own.export(call.actor, pictures=call.query.get("pictures") != "0")
        return Stream(parts, "application/zip", f"atelier-data-{datetime.now(UTC):%Y-%m-%d}.zip")

    async def delete(self, call: Call) -> Answer:
        """Delete everything that is kept of the person, for good; all of their sessions end."""
        user_id = call.actor.user_id
        sessions = await self._visitors.sessions.of(user_id)
        await call.studio.own.delete(call.actor)
        for session in sessions:
            self._ended(user_id, session.id)
        return SignedOut()
