"""Webhooks: addresses elsewhere that a token's or a project's person has told what happens. They make, list,
test and end them; what is due is signed as Standard Webhooks says and sent until it is taken or given up.

What an event tells is asked as it is sent, as that person: a right that has ended since tells nothing.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import logging
import random
import secrets
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from core.errors import ImageError, NotAllowedError, StorageError, UserError
from core.job import Job, Status, Surface, new_job_id
from core.language import N_, _
from core.outside import Answered, Hosts, Posting, Unanswered
from storage import webhooks as rows
from storage.projects import versions
from storage.projects.projects import Project
from storage.tokens import Tokens
from storage.webhooks import Event, Tried, Webhook
from studio.authority import Action, Actor
from studio.programs import Programs, Scope
from studio.projects.projects import Access
from studio.rights import Rights
from studio.services import Services

KINDS = {
    rows.JOB_ENDED: N_("A job of yours is over"),
    rows.VERDICT: N_("A picture was inspected"),
    rows.TRAINED: N_("A model was trained"),
    rows.PAUSED: N_("The queue was paused"),
    rows.RESUMED: N_("The queue continues"),
}
ANSWERS = {  # why there was no status
    "forbidden": N_("not called: it leads to an address that isn't allowed"),
    "unknown": N_("there is no such host"),
    "late": N_("no answer in time"),
    "certificate": N_("its certificate isn't valid"),
    "broken": N_("the connection failed"),
    "withheld": N_("not called: its token, project or right has ended"),
}
OFF = N_("Webhooks are off here. The operator turns them on with `WEBHOOK_HOSTS`.")
MOST_WEBHOOKS = 20  # of a person
_S, _M, _H = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
PAUSES = (5 * _S, 30 * _S, 2 * _M, 10 * _M, 30 * _M, _H, 2 * _H, 4 * _H, 8 * _H, 8 * _H)  # a day, all in all
SPREAD = 0.1  # by which each pause is longer at most, so that not all come back at once
FEW = 5  # failures in a row from which on a webhook as a whole rests, and is then tried with one event
AT_ONCE, ALL_AT_ONCE = 4, 32  # calls to one webhook, and to all
EVERY = 1.0  # seconds between two looks at what is due
NO_MORE = 410  # the status of an address that has ended
PREFIX = "whsec_"  # of secrets
log = logging.getLogger(__name__)


def new_secret() -> str:
    """Return a secret of 256 bits, as receivers take it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def sign(secret: str, event_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the headers of an event that is sent at ``at``."""
    moment = str(int(at.timestamp()))
    signed = b".".join((event_id.encode(), moment.encode(), body))
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signature = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    return {
        "Content-Type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,{signature}",
    }


class Webhooks:
    """What people decide about their webhooks."""

    def __init__(self, rights: Rights, access: Access, programs: Programs, services: Services) -> None:
        self._rights, self._access, self._programs = rights, access, programs
        self._database, self._tokens = services.database, Tokens(services.database)
        self._hosts = Hosts.of(services.settings.webhook_hosts)
        self._sending = None
        if services.posting is not None:
            self._sending = Sending(rights, access, programs, services, services.posting)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send what is due while the block runs, where the operator allows any host."""
        if self._sending is None:
            yield
            return
        async with self._sending.running():
            yield

    @property
    def is_possible(self) -> bool:
        """Whether the operator allows any host."""
        return bool(self._hosts) and self._programs.is_possible

    async def create(
        self, actor: Actor, url: str, events: Collection[str], *, token: str = "", project: str = ""
    ) -> Webhook:
        """Return a new webhook of one of the actor's tokens, by its id, or of a project that they manage. Its
        secret is told this once. Raises UserError, NotAllowedError."""
        await self._rights.check(actor, Action.SETTINGS)
        if not self.is_possible:
            raise NotAllowedError(_(OFF))
        await self._programs.check_allowed()
        self._hosts.check_url(url)
        if not events or not set(events) <= KINDS.keys():
            raise UserError(
                _("A webhook takes one or more of these events: {known}.", known=", ".join(KINDS))
            )
        if bool(token) == bool(project):
            raise UserError(_("A webhook belongs to a token or to a project."))
        if project:
            found, _who = await self._access.find(actor, project, Action.MANAGE_PROJECT)
            project = found.id
        elif token not in {one.id for one in await self._tokens.of(actor.user_id)}:
            raise UserError(_("You have no such token."))
        text = " ".join(kind for kind in KINDS if kind in events)
        whose = (actor.user_id, actor.name, token or None, project or None)
        made = Webhook(new_job_id(), *whose, url, new_secret(), text, datetime.now(UTC))
        if not await self._database.write(partial(rows.add_webhook, made=made, most=MOST_WEBHOOKS)):
            raise UserError(_("You have {most} webhooks, which is the limit.", most=MOST_WEBHOOKS))
        return made

    async def projects(self, actor: Actor) -> list[Project]:
        """Return the projects that can have webhooks of the actor's."""
        found = await self._access.all(actor)
        return [one for one in found if await self._access.may(actor, Action.MANAGE_PROJECT, one)]

    async def all(self, actor: Actor) -> list[Webhook]:
        """Return the actor's webhooks, the newest first."""
        await self._rights.check(actor, Action.MINE)
        return await self._database.read(partial(rows.list_webhooks, user_id=actor.user_id))

    async def end(self, actor: Actor, webhook_id: str) -> bool:
        """End one of the actor's webhooks; False when there is none."""
        await self._rights.check(actor, Action.MINE)
        work = partial(rows.delete_webhook, user_id=actor.user_id, webhook_id=webhook_id)
        return await self._database.write(work)

    async def resume(self, actor: Actor, webhook_id: str) -> bool:
        """Send one of the actor's webhooks again all that it hasn't taken; False when there is none."""
        await self._rights.check(actor, Action.SETTINGS)
        work = partial(rows.resume_webhook, user_id=actor.user_id, webhook_id=webhook_id)
        return await self._database.write(partial(work, now=datetime.now(UTC)))

    async def test(self, actor: Actor, webhook_id: str) -> bool:
        """Send one of the actor's webhooks an event that tells nothing; False when there is none."""
        await self._rights.check(actor, Action.SETTINGS)
        work = partial(rows.note_test, user_id=actor.user_id, webhook_id=webhook_id)
        return await self._database.write(partial(work, now=datetime.now(UTC)))


class Sending:
    """Sends what is due by ``posting``. clock: by which it is."""

    def __init__(
        self,
        rights: Rights,
        access: Access,
        programs: Programs,
        services: Services,
        posting: Posting,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._rights, self._access, self._programs, self._clock = rights, access, programs, clock
        self._database, self._tokens, self._web = services.database, Tokens(services.database), services.web
        self._queue, self._public = services.queue, services.settings.public_url.rstrip("/")
        self._posting = posting
        self._room = asyncio.Semaphore(ALL_AT_ONCE)
        self._at_work: dict[str, asyncio.Task[None]] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send while the block runs. What is on its way at its end is sent again after the next start."""
        sending = self._database.supervisor.forever("webhooks", self._send_for_ever)
        task = asyncio.create_task(sending, name="webhooks")
        try:
            yield
        finally:
            tasks = [task, *self._at_work.values()]
            for one in tasks:
                one.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send_for_ever(self) -> None:
        while True:
            [due] = await self._database.look_up(partial(rows.list_due), once=True)
            for webhook_id, at in due.items():
                if at <= self._clock() and webhook_id not in self._at_work:
                    task = asyncio.create_task(self._send(webhook_id), name=webhook_id)
                    self._at_work[webhook_id] = task
                    task.add_done_callback(lambda done: self._at_work.pop(done.get_name()))
            await asyncio.sleep(EVERY)

    async def _send(self, webhook_id: str) -> None:
        """Send a webhook all that is due, some at a time."""
        try:
            limit = 1
            while True:
                work = partial(rows.read_due, webhook_id=webhook_id, now=self._clock(), limit=limit)
                hook, due = await self._database.read(work)
                if hook is None or not due:
                    return
                answers = await asyncio.gather(*(self._try(hook, event) for event in due))
                tried, failures = list[Tried](), hook.failures
                for event, answer in zip(due, answers, strict=True):
                    one = self._judge(event, answer, failures)
                    failures = 0 if one.done else failures + 1
                    tried.append(one)
                note = partial(rows.note_tries, webhook_id=webhook_id, tried=tried, now=self._clock())
                await self._database.write(note)
                if any(one.pause for one in tried):
                    log.info("webhook %s is paused: it takes nothing", webhook_id)
                limit = 1 if failures >= FEW else AT_ONCE
        except StorageError as error:
            log.warning("webhook %s: what is due is sent later: %s", webhook_id, error)

    async def _try(self, hook: Webhook, event: Event) -> Answered | Unanswered | None:
        """Send an event and return the answer; None where there is nothing to tell any more."""
        try:
            told = await self._tell(hook, event)
        except (UserError, NotAllowedError):
            return Unanswered("withheld")
        if told is None:
            return None
        body = json.dumps(told, separators=(",", ":")).encode()
        try:
            async with self._room:
                return await self._posting.post(
                    hook.url, body, sign(hook.secret, event.id, datetime.now(UTC), body)
                )
        except Unanswered as nothing:
            return nothing
        except UserError:  # the operator has changed the list
            return Unanswered("forbidden")

    def _judge(self, event: Event, answer: Answered | Unanswered | None, failures: int) -> Tried:
        """Return what becomes of an event. failures: of its webhook in a row, before this."""
        if answer is None:
            return Tried(event, "", done=True)
        now, wait = self._clock(), 0.0
        if isinstance(answer, Answered):
            if 200 <= answer.status < 300:
                return Tried(event, str(answer.status), done=True)
            if answer.status == NO_MORE:
                return Tried(event, str(answer.status), due_at=now, pause=True)
            text, wait = str(answer.status), min(answer.wait, PAUSES[-1].total_seconds())
        else:
            text = answer.why
        spread = random.uniform(1.0, 1.0 + SPREAD)
        later = None
        if event.tries < len(PAUSES):
            later = now + max(PAUSES[event.tries] * spread, timedelta(seconds=wait))
        ladder = failures + 1 - FEW
        rest = now + PAUSES[min(ladder, len(PAUSES) - 1)] * spread if ladder >= 0 else None
        pause = ladder >= len(PAUSES) or later is None and failures >= len(PAUSES)
        return Tried(event, text, due_at=later, rest=rest, pause=pause)

    # What is told

    async def _tell(self, hook: Webhook, event: Event) -> dict[str, Any] | None:
        """Return an event as its webhook's person may be told of it now, None where that is nothing. Raises
        NotAllowedError, UserError where nothing at all may be told."""
        await self._programs.check_allowed()
        actor, scopes = (
            Actor(hook.user_id, None, name=hook.name, surface=Surface.WEB, program=True),
            set(Scope),
        )
        await self._rights.check(actor, Action.MINE)
        if hook.project_id is not None:
            await self._access.find(actor, hook.project_id, Action.SEE_PROJECT)
        else:
            found = [one for one in await self._tokens.of(hook.user_id) if one.id == hook.token_id]
            if not found or found[0].is_over:
                raise NotAllowedError("The token of this webhook has ended. Make a new one.")
            scopes = {Scope(name) for name in found[0].scopes.split()}
        data: dict[str, Any] = {}
        if event.job_id is not None:
            trained = event.kind == rows.TRAINED and hook.project_id is not None
            try:  # who may look at a project may look at its versions, but not at all jobs
                read = self._queue.job(event.job_id) if trained else None
                job = await read if read else await self._rights.job(actor, event.job_id, Action.SHOW)
            except (ImageError, NotAllowedError):
                return None
            if job is None:
                return None
            data = await self._of_job(event.kind, job, looks=Scope.LOOK in scopes)
        return {"type": event.kind, "timestamp": event.at.isoformat(), "data": data}

    async def _of_job(self, kind: str, job: Job, *, looks: bool) -> dict[str, Any]:
        """Return what is told of a job: ids, and to who may look, links and verdicts; never words."""
        here = self._web.address or self._public
        data: dict[str, Any] = {"job": job.id}
        if looks:
            data["url"] = f"{here}/api/jobs/{job.id}"
        if kind == rows.TRAINED:
            made = partial(versions.read_version_of_job, job_id=job.id)
            version = await self._database.read(made)
            return data | ({"project": version.project_id, "version": version.number} if version else {})
        if kind == rows.VERDICT:
            said = await self._database.read(partial(versions.read_verdicts, job_id=job.id))
            if said:
                data |= {"project": said[0].project_id, "version": said[0].number, "pictures": len(said)}
            if looks:
                told = [{"n": one.position + 1, "label": one.label, "strange": one.strange} for one in said]
                data["verdicts"] = [
                    shown | {"score": round(one.score, 4)} for shown, one in zip(told, said, strict=True)
                ]
            return data
        made_it = job.status in (Status.RENDERED, Status.DELIVERED)
        data |= {"kind": job.request.kind, "status": "rendered" if made_it else job.status.value}
        if looks and made_it and (result := await self._queue.result(job.id)):
            data["pictures"] = [f"{here}/files/{job.id}/{one.index + 1}" for one in result.pictures]
        return data
