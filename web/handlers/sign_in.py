"""Signing in by a link from the bot, and the sessions that there are."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from web.call import Answer, Call, Json, Refused, SeeOther, SignedIn, SignedOut
from web.fields import field, text_of
from web.people import Visitors, label_of

SPENT = "This link has been used or has expired. Type `/web` in Discord for a new one."


class SignIn:
    """Handlers about sessions. ``ended`` is told whose session has ended and its id."""

    def __init__(
        self, visitors: Visitors, ended: Callable[[int, str], None] = lambda user, session: None
    ) -> None:
        self._visitors, self._ended = visitors, ended

    async def look(self, call: Call) -> Answer:
        """Say whom a link signs in, without spending it: a chat's preview of the link must not."""
        names = await self._visitors.offered(text_of(call.body, "token"))
        if not names:
            raise Refused(HTTPStatus.NOT_FOUND, SPENT)
        return Json({"name": names[0], "names": names})

    async def begin(self, call: Call) -> Answer:
        """Spend a link and begin a session; in the sandbox, its people can become each other without one."""
        label = label_of(call.headers.get("User-Agent", ""))
        who = field(call.body, "who", str)
        if field(call.body, "token", str) is None and call.person is not None and who is not None:
            token = await self._visitors.become(call.person, who, label)
        else:
            token = await self._visitors.sign_in(text_of(call.body, "token"), who, label)
        if token is None:
            raise Refused(HTTPStatus.NOT_FOUND, SPENT)
        return SignedIn(token)

    async def end(self, call: Call) -> Answer:
        """End the session that the call comes by."""
        assert call.person is not None
        await self._end(call.person.user_id, call.person.session)
        return SignedOut()

    async def end_by_form(self, call: Call) -> Answer:
        """End the session, from a page without scripts."""
        await self.end(call)
        return SignedOut("/")

    async def end_other(self, call: Call) -> Answer:
        """End any session of the person's."""
        await self._end(call.actor.user_id, call.path["session"])
        return Json(None, HTTPStatus.NO_CONTENT)

    async def end_other_by_form(self, call: Call) -> Answer:
        """End any session of the person's, from a page without scripts."""
        await self.end_other(call)
        return SeeOther("/sessions")

    async def _end(self, user_id: int, session: str) -> None:
        await self._visitors.sessions.end(user_id, session)
        self._ended(user_id, session)
