"""Questions about pictures: from words and pictures to a turn of a conversation, and back to its turns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from core import profiles
from core.errors import ImageError, NotAllowedError, UserError
from core.job import Job
from core.requests import AskRequest
from core.requests.ask import Form
from core.results.forms import Table
from storage.asking import chats
from storage.asking.chats import Asked
from storage.members import Members
from studio.actor import Actor
from studio.asking.new_job import NewJob
from studio.asking.sources import Given, Sources
from studio.authority import Action
from studio.films.intake import Film
from studio.films.material import Materials
from studio.films.strips import film_of
from studio.moderation.rules import Visibility
from studio.pictures.intake import Readable
from studio.rights import Rights
from studio.services import Services

NO_MODEL = (
    "Nobody answers questions here yet. The host has to name a chat model in ASK_MODEL, or a server in"
    " VLM_URL; docs/ask.md says how."
)
NOT_WHO = (
    "Atelier doesn't say who somebody is by their looks. Ask what they wear or do, or what a caption in the"
    " picture says."
)
_PERSON = r"(?:man|woman|person|people|guy|girl|boy|lady|child|kid|actor|actress|celebrity|face|model)"
_WHO = re.compile(
    r"\bwho(?:se face)?(?:'s|\s+is|\s+are|\s+was)\s+(?:this|that|these|those|he|she|"
    rf"(?:the|this|that)\s+(?:\w+\s+){{0,2}}{_PERSON})\b(?!.*\bby\b)"
    rf"|\bname\s+of\s+(?:this|the|that)\s+(?:\w+\s+){{0,2}}{_PERSON}\b"
    rf"|\b(?:identify|recogni[sz]e|name)\s+(?:this|the|that|these|him|her)\s*(?:\w+\s+){{0,2}}{_PERSON}\b",
    re.IGNORECASE,
)
SHOWN_REPLIES = 50
SHOWN_CONVERSATIONS = 30
A_THREAD = timedelta(days=7)  # for which a conversation goes on by itself in its thread
_ENDED = "ended_talk"
HIDDEN = "A rule of this place hides this answer."


class Talking:
    """Turns of conversations. Each checks its right; whether anything here can answer, too."""

    def __init__(self, rights: Rights, sources: Sources, services: Services) -> None:
        self._rights, self._database, self._queue = rights, services.database, services.queue
        self._moderator, self._settings = services.moderator, services.settings
        self._showing = services.showing
        self._members = Members(services.database)
        self._materials = Materials(sources, services, self._members)

    @property
    def is_possible(self) -> bool:
        """Whether anything here answers questions."""
        return self._settings.has_chat_model

    @property
    def server(self) -> str:
        """The server that questions are sent to, "" where they stay on the host's machine."""
        return urlsplit(self._settings.vlm_url).netloc

    def check_possible(self, form: Form = "free") -> None:
        """Raise UserError, which says what the host has to set, where nothing here answers questions in a
        form. A reader of text is enough for a text, and for bar charts."""
        reads = form in ("text", "table") and "ocr" in profiles.packaged_models(False, self._settings.ocr)
        if not self.is_possible and not reads:
            raise UserError(NO_MODEL)

    async def ask(
        self, actor: Actor, question: str, pictures: Sequence[Given], form: Form = "free"
    ) -> NewJob:
        """Return the first question of a conversation.

        pictures: files, a film among them, names of ours such as "abcd2345efgh 2", SHA-256 of what the actor
        has sent, or what ``keep_film`` calls a film. Raises UserError for a question that isn't taken,
        ImageError for a picture or film, NotAllowedError for who may not ask, or somebody else's picture.
        """
        await self._rights.check(actor, Action.ASK)
        found = await self._materials.found(actor, pictures)
        self._check(question, form)
        request = AskRequest(question=question.strip(), form=form, **found.fields())
        return NewJob(request, parent=found.parent, private=found.private)

    async def ask_more(
        self,
        actor: Actor,
        job_id: str,
        question: str,
        pictures: Sequence[Given] = (),
        form: Form | None = None,
    ) -> NewJob:
        """Return the question that follows on from a job's answer; unless a form is named, short if that was.

        Raises UserError and ImageError as ``ask`` does, ImageError where there is no such answer,
        NotAllowedError unless the actor may ask more there.
        """
        await self._rights.check(actor, Action.ASK)
        result = await self._rights.result(actor, job_id, Action.ASK_MORE)
        job, before = result.job, result.job.request
        if not isinstance(before, AskRequest) or result.answer is None:
            raise ImageError(f"Job `{job.id}` is no answer: it was a /{before.kind}.")
        found = await self._materials.found(actor, pictures)
        form = form or _next(before.form)
        self._check(question, form)
        request = AskRequest(question=question.strip(), form=form, follows=True, **found.fields())
        return NewJob(request, job.lane, (job.id, 0), job.origin.private or found.private)

    async def answer(self, actor: Actor, job_id: str, action: Action = Action.SHOW) -> str:
        """Return the answer of a job. Raises ImageError or NotAllowedError, also where it breaks a rule of
        the place where the actor is."""
        result = await self._rights.result(actor, job_id, action)
        if result.answer is None:
            raise ImageError(f"Job `{job_id}` is no answer: it was a /{result.job.request.kind}.")
        [text] = await self._moderator.captions([result.answer.text], actor.place)
        if text is None:
            raise ImageError("A rule of this place hides that answer.")
        return text

    async def table(self, actor: Actor, job_id: str) -> Table:
        """Return the table that a job's answer is. Raises ImageError or NotAllowedError, also where it breaks
        a rule of the place where the actor is."""
        await self.answer(actor, job_id)
        result = await self._rights.result(actor, job_id, Action.SHOW)
        if result.answer is None or result.answer.table is None:
            raise ImageError(f"Job `{job_id}` has no table.")
        return result.answer.table

    async def conversation(self, actor: Actor, job_id: str) -> list[Asked]:
        """Return the turns up to and with a job, oldest first, as far back as the actor can look.

        Raises ImageError for no such question, NotAllowedError unless the actor may see it.
        """
        job = await self._rights.job(actor, job_id, Action.SHOW)
        if not isinstance(job.request, AskRequest):
            raise ImageError(f"Job `{job.id}` is no question: it was a /{job.request.kind}.")
        chain = await self._database.read(
            partial(chats.ancestors, job_id=job.id, limit=self._settings.ask_turns)
        )
        turns = [await self._database.read(partial(chats.asked, job_id=job.id))]
        for asked in chain:
            if not await self._rights.sees(actor, asked.job):
                break
            turns.append(asked)
        return await self._visible([turn for turn in reversed(turns) if turn is not None], actor)

    async def _visible(self, turns: Sequence[Asked], actor: Actor) -> list[Asked]:
        """Return turns with a word in place of each answer that breaks a rule of the actor's place."""
        texts = [turn.answer.text if turn.answer else "" for turn in turns]
        judged = await self._moderator.captions(texts, actor.place)
        return [
            turn
            if text is not None or turn.answer is None
            else Asked(turn.job, replace(turn.answer, text=HIDDEN, table=None, boxes=()))
            for turn, text in zip(turns, judged, strict=True)
        ]

    async def notes(self, job_id: str) -> list[str]:
        """Return what is to be said of an answer besides it; nobody's words are in it."""
        result = await self._queue.result(job_id)
        return list(result.parameters.get("notes", ())) if result else []

    async def film(self, job: Job) -> Job | None:
        """Return the question whose film the answer of a question is about, None where there is none."""
        result = await self._queue.result(job.id)
        return await film_of(self._queue, job, result.parameters if result else {})

    async def frame(self, actor: Actor, job_id: str, index: int) -> bytes:
        """Return frame ``index`` (from 0) of a question's film as WebP of at most 256 px. Raises ImageError
        where there is none, or it may not be shown where the actor is, NotAllowedError unless they may look
        at the question, StorageError when its file is gone."""
        job = await self._rights.job(actor, job_id, Action.SHOW)
        frames = job.request.frames if isinstance(job.request, AskRequest) else ()
        if not 0 <= index < len(frames):
            raise ImageError(f"Job `{job.id}` has no such frame.")
        _, sha256 = frames[index]
        if await self._moderator.visibility((sha256,), actor.place) is not Visibility.SHOW:
            raise ImageError("A rule of this place hides that frame.")
        return await self._showing.small(sha256)

    async def index_of(self, actor: Actor, job_id: str, sha256: str) -> int | None:
        """Return which picture (from 0) of a job that the actor may see a file is, None where it is none."""
        try:
            result = await self._rights.result(actor, job_id, Action.SHOW)
        except (ImageError, NotAllowedError):
            return None
        return next((picture.index for picture in result.pictures if picture.sha256 == sha256), None)

    async def replies(self, actor: Actor, job_id: str) -> list[Asked]:
        """Return the questions that follow on directly from a job and that the actor can look at. Raises
        ImageError or NotAllowedError."""
        job = await self._rights.job(actor, job_id, Action.SHOW)
        found = await self._database.read(
            partial(chats.replies, reader=actor.user_id, job_id=job.id, limit=SHOWN_REPLIES)
        )
        return [asked for asked in found if await self._rights.sees(actor, asked.job)]

    async def mine(self, actor: Actor) -> list[Asked]:
        """Return where the actor's conversations stand, the newest first. Raises NotAllowedError for a barred
        person."""
        await self._rights.check(actor, Action.ASK)
        found = await self._database.read(
            partial(chats.newest, user_id=actor.user_id, limit=SHOWN_CONVERSATIONS)
        )
        return await self._visible(found, actor)

    async def latest(self, actor: Actor, since: datetime) -> Job | None:
        """Return the actor's newest answered question where they are, None when it is older than ``since`` or
        they have ended that conversation. Raises NotAllowedError for a barred person."""
        await self._rights.check(actor, Action.ASK)
        found = await self._database.read(
            partial(chats.latest, channel_id=actor.channel_id, reader=actor.user_id, since=since, own=True)
        )
        ended = await self._queue.people.user_flag(actor.user_id, _ENDED)
        return None if found is None or found.id == ended else found

    async def latest_here(self, actor: Actor) -> Job | None:
        """Return anybody's newest answered question where the actor is, None when they can't look at it or it
        is older than a week. Raises NotAllowedError for a barred person."""
        await self._rights.check(actor, Action.ASK)
        since = datetime.now(UTC) - A_THREAD
        found = await self._database.read(
            partial(chats.latest, channel_id=actor.channel_id, reader=actor.user_id, since=since, own=False)
        )
        return found if found is not None and await self._rights.sees(actor, found) else None

    async def end_direct(self, actor: Actor) -> None:
        """Let the actor's next words where they are begin a new conversation. Raises NotAllowedError for a
        barred person."""
        found = await self.latest(actor, datetime.now(UTC) - A_THREAD)
        if found is not None:
            await self._queue.people.set_user_flag(actor.user_id, _ENDED, found.id)

    async def first_time(self, actor: Actor, what: str) -> bool:
        """Return whether the actor is told something for the first time, and note that they are now. Raises
        NotAllowedError for a barred person."""
        await self._rights.check(actor, Action.ASK)
        if await self._queue.people.user_flag(actor.user_id, what):
            return False
        await self._queue.people.set_user_flag(actor.user_id, what, True)
        return True

    async def keep(self, actor: Actor, content: Mapping[str, Any]) -> str:
        """Keep what a question will be about until its words come; return its id. Raises NotAllowedError for
        a barred person."""
        await self._rights.check(actor, Action.ASK)
        return await self._members.add_draft(actor.user_id, {"question": dict(content)})

    async def kept(self, actor: Actor, draft_id: str) -> Mapping[str, Any]:
        """Return what a question is about. Raises UserError when it is gone, NotAllowedError for somebody
        else's."""
        await self._rights.check(actor, Action.ASK)
        found = await self._members.draft(draft_id)
        if found is not None and found[0] != actor.user_id:
            raise NotAllowedError("This question was for somebody else.")
        if found is None or "question" not in found[1]:
            raise UserError("This window has expired; open it again.")
        return found[1]["question"]

    async def keep_film(self, actor: Actor, film: Readable) -> tuple[str, Film]:
        """Keep a film that the actor sends until a question about it comes: what ``ask`` knows it by, and its
        frames. Raises ImageError for anything else, NotAllowedError and LimitError as a picture does."""
        self.check_possible()
        return await self._materials.keep(actor, film)

    def _check(self, question: str, form: Form) -> None:
        self.check_possible(form)
        if _WHO.search(question):
            raise UserError(NOT_WHO)


def _next(form: Form) -> Form:
    """Return the form of what follows on: after a table people ask about it."""
    return form if form == "short" else "free"
