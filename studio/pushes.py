"""Browsers that ring: people let them, and are called when a long job is over while they don't look, or when
a camera of their own sees a defect. What is told is encrypted for that browser alone.

https://www.rfc-editor.org/rfc/rfc8030
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from core import web_push
from core.errors import ImageError, NotAllowedError, StorageError, UserError
from core.job import Job, Status, Surface
from core.language import N_, _, speaking
from core.outside import Answered, Hosts, Unanswered
from storage import pushes as rows
from storage.pushes import Push, Subscription
from storage.watches import Watched, read_picture, read_watch
from studio.authority import Action, Actor
from studio.requests.prompts import remix_text
from studio.rights import Rights
from studio.services import Services
from studio.texts import counted, job_name

OFF = N_("Notifications are off here.")
NOT_HERE = N_("Your browser's notification service isn't allowed here.")
WORDS = 120  # characters of a prompt that a browser shows
KEPT = 6 * 3600  # seconds that a push service keeps a message for a phone that is off
EVERY = 1.0  # seconds between two looks at what is due
PAUSES = tuple(timedelta(minutes=minutes) for minutes in (0.5, 2, 10, 60))  # then it is given up
GONE = (404, 410)  # of an endpoint that has ended: RFC 8030, section 7.3
BUSY = 429
log = logging.getLogger(__name__)


class Pushes:
    """Lets people's browsers be called, and calls them. clock: by which it is."""

    def __init__(
        self,
        rights: Rights,
        services: Services,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._rights, self._clock, self._web = rights, clock, services.web
        self._database, self._queue, self._posting = services.database, services.queue, services.pushing
        self._hosts = Hosts.of(services.settings.push_hosts)
        self._public = services.settings.public_url.rstrip("/")
        self._key: str | None = None

    @property
    def is_possible(self) -> bool:
        """Whether the operator allows it and what encrypts is there."""
        return self._posting is not None and web_push.is_there()

    async def public_key(self) -> str:
        """Return by what a browser knows this studio, "" where none can be called."""
        if not self.is_possible:
            return ""
        return await asyncio.to_thread(web_push.public_key, await self._own_key())

    async def subscribe(self, actor: Actor, session: str, endpoint: str, p256dh: str, auth: str) -> None:
        """Call the browser of one of the actor's sessions, by its id, from now on. Raises UserError,
        NotAllowedError."""
        await self._rights.check(actor, Action.SETTINGS)
        if not self.is_possible:
            raise NotAllowedError(_(OFF))
        try:
            self._hosts.check_url(endpoint)
        except UserError:
            raise UserError(_(NOT_HERE)) from None
        try:
            await asyncio.to_thread(web_push.check_browser, p256dh, auth)
        except ValueError:
            raise UserError("`p256dh` or `auth` isn't a browser's key.") from None
        work = partial(rows.subscribe, user_id=actor.user_id, session_id=session)
        keys = (endpoint, p256dh, auth)
        if not await self._database.write(partial(work, keys=keys, now=self._clock())):
            raise UserError(_("You are signed out. Sign in again."))

    async def unsubscribe(self, actor: Actor, session: str) -> bool:
        """Call the browser of one of the actor's sessions no more; False when it wasn't called."""
        await self._rights.check(actor, Action.MINE)
        work = partial(rows.unsubscribe, user_id=actor.user_id, session_id=session)
        return await self._database.write(work)

    async def calls(self, actor: Actor, session: str) -> bool:
        """Return whether the browser of one of the actor's sessions is called."""
        work = partial(rows.is_subscribed, user_id=actor.user_id, session_id=session)
        return await self._database.read(work)

    async def _own_key(self) -> str:
        if self._key is None:
            made = await asyncio.to_thread(web_push.new_key)
            self._key = await self._database.write(partial(rows.own_key, made=made))
        return self._key

    # Calling

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Call while the block runs. What is on its way at its end is sent again after the next start, by the
        same name: a browser shows it once."""
        if not self.is_possible:
            yield
            return

        async def call_for_ever() -> None:
            while True:
                [due] = await self._database.look_up(partial(rows.list_due, now=self._clock()))
                await asyncio.gather(*(self._call(session) for session in due))
                await asyncio.sleep(EVERY)

        calling = self._database.supervisor.forever("pushes", call_for_ever)
        task = asyncio.create_task(calling, name="pushes")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _call(self, session: str) -> None:
        """Tell a browser all that is due, in one message."""
        try:
            browser, due = await self._database.read(
                partial(rows.read_due, session=session, now=self._clock())
            )
            if browser is None or not due:
                return
            alarms = dict[str, Watched]()
            for one in due:
                if (seen := await self._database.read(partial(read_picture, job_id=one.job_id))) is not None:
                    alarms[one.job_id] = seen
            if alarms:  # the others come after them
                due = [one for one in due if one.job_id in alarms]
            told = None
            if alarms or not self._web.looking[browser.user_id]:  # pages tell of jobs, not of alarms
                told = await self._message(browser, due, alarms)
            if told is not None:
                await self._judge(browser, due, await self._post(browser, due, told))
            else:
                await self._database.write(partial(rows.note_told, session=session, told=due))
        except StorageError as error:
            log.warning("a browser is called later: %s", error)

    async def _message(
        self, browser: Subscription, due: Sequence[Push], alarms: Mapping[str, Watched]
    ) -> dict[str, Any] | None:
        """Return what a browser shows, None where that is nothing any more. alarms: those that are due, by
        their jobs; no other is due then."""
        actor = Actor(browser.user_id, None, name=browser.name, surface=Surface.WEB)
        jobs = list[Job]()
        for one in due:
            try:
                await self._rights.check(actor, Action.MINE)
                jobs.append(await self._rights.job(actor, one.job_id, Action.SHOW))
            except (ImageError, NotAllowedError):
                continue
        if not jobs:
            return None
        first = jobs[0]
        if alarms:
            with speaking(due[0].language):
                return await self._alarm(alarms[first.id], len(jobs))
        with speaking(due[0].language):
            if len(jobs) > 1:
                title = _("{count} jobs are ready", count=len(jobs))
            elif first.status is Status.FAILED:
                title = _("It failed")
            else:
                title = _("Ready")
            words = " ".join((remix_text(first) or job_name(first.request)).split())
        href = f"/#job-{first.id}" if len(jobs) == 1 else "/"
        return {"title": title, "body": words[:WORDS], "tag": first.id, "href": href}

    async def _alarm(self, seen: Watched, count: int) -> dict[str, Any] | None:
        """Return what a browser shows of alarms, of which ``seen`` is the newest; with the buttons that a
        message has where it is the only one."""
        watch = await self._database.read(partial(read_watch, watch_id=seen.watch_id))
        if watch is None:
            return None
        verdict, camera = f"/api/verdicts/{seen.job_id}/1", f"/api/projects/{watch.project_id}/watches"
        buttons = (
            (_("False alarm"), "POST", verdict, {"right": False}),  # phones show two
            (_("Snooze 1 h"), "PATCH", f"{camera}/{watch.id}", {"snooze": True}),
            (_("Right"), "POST", verdict, {"right": True}),
        )
        title = _("{camera}: not like the good ones", camera=seen.camera)
        if count > 1:
            title = _("{defects}, the last at {camera}", defects=counted(count, "defect"), camera=seen.camera)
        return {
            "title": title,
            "body": _("Score {score}", score=f"{seen.score:.2f}"),
            "tag": seen.job_id,
            "href": f"/projects/{watch.project_id}/watch#alarm-{seen.job_id}",
            "actions": [
                {"title": said, "action": f"{method} {path} {json.dumps(body)}"}
                for said, method, path, body in (buttons if count == 1 else ())
            ],
        }

    async def _post(
        self, browser: Subscription, due: Sequence[Push], told: dict[str, Any]
    ) -> Answered | Unanswered:
        assert self._posting is not None
        text = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
        private, now = await self._own_key(), datetime.now(UTC).timestamp()
        contact = self._public if self._public.startswith("https:") else ""
        signed = asyncio.to_thread(web_push.authorization, private, browser.endpoint, contact, now)
        sealed = await asyncio.to_thread(web_push.encrypt, text, browser.p256dh, browser.auth)
        headers = {
            "Authorization": await signed,
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(KEPT),
            "Topic": due[0].job_id,  # takes the place of the same that still waits
        }
        try:
            return await self._posting.post(browser.endpoint, sealed, headers)
        except Unanswered as nothing:
            return nothing
        except UserError:  # the operator has changed the list
            return Unanswered("forbidden")

    async def _judge(self, browser: Subscription, due: Sequence[Push], answer: Answered | Unanswered) -> None:
        """Note what came of a call."""
        session, status = browser.session, answer.status if isinstance(answer, Answered) else 0
        if status in GONE:
            work = partial(rows.drop_subscription, session=session, endpoint=browser.endpoint)
            await self._database.write(work)
            return
        passes = status in (0, BUSY) or status >= 500
        tries = max(one.tries for one in due)
        if passes and tries < len(PAUSES):
            wait = answer.wait if isinstance(answer, Answered) else 0.0
            later = self._clock() + max(PAUSES[tries], min(timedelta(seconds=wait), PAUSES[-1]))
            await self._database.write(partial(rows.note_untold, session=session, untold=due, due_at=later))
            return
        if not 200 <= status < 300:
            log.warning("a push service doesn't take a message (%s)", status or getattr(answer, "why", ""))
        await self._database.write(partial(rows.note_told, session=session, told=due))
