"""The studio inside Discord, as an Activity: the page around it, signing in there, and the ways out of a
frame that saves no files and opens no windows.

https://docs.discord.com/developers/activities/overview
"""

from collections.abc import MutableMapping
from http import HTTPStatus

from core.language import _
from studio.services import Launch
from web import schemas
from web.auth import DiscordPage, SignInFailed, browser_label
from web.call import DONE, Answer, Bucket, Call, Html, Json, Refused, SignedIn
from web.guard import Buckets
from web.handlers import pages
from web.handlers.account import Account
from web.schemas import number_of, page_of, read_body

LONGEST_INSTANCE = 100  # characters


class Activity:
    """Handlers of Discord's frame. launched: the pages that people have asked for on Discord, by the instance
    of the Activity and who. members_only: as of ``Account``."""

    def __init__(
        self,
        account: Account,
        discord: DiscordPage,
        buckets: Buckets,
        launched: MutableMapping[tuple[str, int], Launch],
        *,
        client_id: str,
        clients: tuple[str, ...],
        members_only: bool,
    ) -> None:
        self._account, self._discord, self._buckets = account, discord, buckets
        self._launched, self._members_only = launched, members_only
        self._values = {"client": client_id, "clients": clients}

    async def page(self, call: Call) -> Answer:
        """The page that Discord opens, which signs somebody in and holds the others in a frame; without what
        Discord says of its own frame, the page to create."""
        if "frame_id" in call.query:
            return Html("activity", self._values)
        return await pages.create_page(call)

    async def signed_out(self, call: Call) -> Answer:
        """Where a page leads whose session has ended; the page around it offers to sign in again."""
        outside = {
            "title": _("You are signed out"),
            "detail": _("Open the studio in Discord again."),
            "next": None,
        }
        return Html("problem", outside, HTTPStatus.UNAUTHORIZED)

    async def begin(self, call: Call) -> Answer:
        """Return what Discord is asked for a code with; this frame, and no other, can bring it."""
        said, attempt = self._discord.begin_inside()
        return Json(said, attempt=attempt)

    async def sign_in(self, call: Call) -> Answer:
        """Begin a session of whoever brings a code, and name the page to show; in a frame that keeps no
        cookie, a link that signs them in once in a browser."""
        given = read_body(call, schemas.Code)
        instance = given.instance[:LONGEST_INSTANCE]
        self._buckets.take(Bucket.SIGN_IN, f"i:{instance}")  # Discord's proxy hides where a call comes from
        try:
            who = await self._discord.finish_inside(given.state, given.code, call.attempt)
        except SignInFailed as failed:
            raise Refused(failed.status, str(failed)) from failed
        own, launch = call.studio.own, self._launched.pop((instance, who.user_id), None)
        page = launch.page if launch else "/"
        if not call.attempt:
            return Json({"link": await own.web_link(who, page, members_only=self._members_only)})
        if call.person is not None and call.person.user_id == who.user_id:
            return Json({"page": page})
        label = _("{get} in Discord", get=browser_label(call.headers.get("User-Agent", "")))
        token = await own.web_session(who, label, members_only=self._members_only)
        another = await self._account.replaces(call, who.user_id)
        return SignedIn(token, another=another, data={"page": page})

    async def send(self, call: Call) -> Answer:
        """Send a picture to the person's direct messages."""
        await call.studio.posting.send(call.actor, call.path["job"], number_of(call.path["n"]) - 1)
        return DONE

    async def leave(self, call: Call) -> Answer:
        """Return a link that opens a page in a browser, where the person is signed in by it once."""
        page = page_of(read_body(call, schemas.Page).page)
        return Json({"link": await call.studio.own.web_link(call.actor, page)})
