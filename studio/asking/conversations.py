"""What a question is handed out with: the turns before it as its asker may read them now, and who hears its
answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial

from core.job import Job
from core.limits import MAX_FILM_SECONDS
from core.requests import AskRequest, TryRequest
from core.requests.examples import WHAT
from core.settings import Settings
from jobs.active import Conversation
from jobs.limits import tokens_a_day
from storage import people
from storage.asking import chats
from storage.asking.chats import Asked
from storage.database import Database
from studio.directory import Directory
from studio.examples.lessons import Lessons, asker
from studio.moderation.answers import listener
from studio.moderation.moderator import Moderator
from studio.places.sight import Sight
from vision.protocol import Talk, Turn

GONE = "Earlier turns of this conversation are gone, so the model didn't know them."
LONG = f"The film lasts {{:.0f}} s; its first {MAX_FILM_SECONDS} s were looked at."
NOT_COMPARED = "The chat server wasn't asked: servers don't tell how likely they find each of given answers."
NEARLY = 0.8  # of a day's tokens, from which on the asker is told


class Conversations:
    """Reads the rows whenever a question is handed out: nothing of a conversation is kept anywhere else."""

    def __init__(
        self,
        database: Database,
        sight: Sight,
        moderator: Moderator,
        directory: Directory,
        settings: Settings,
    ) -> None:
        self._database, self._sight = database, sight
        self._moderator, self._directory, self._settings = moderator, directory, settings
        self._lessons = Lessons(database, sight, moderator)

    async def begin(self, job: Job) -> Conversation:
        """Return what the question or try ``job`` is handed out with. Raises UserError for one that can't be
        asked any more."""
        request, settings = job.request, self._settings
        if isinstance(request, TryRequest):
            return await self._try(job, request)
        assert isinstance(request, AskRequest)
        before, notes = await self._before(job, request)
        turns, right, told = await self._lessons.of_question(job, [asked.job for asked in before])
        turns += [turn for asked in before for turn in _turns(asked, right)]
        turns.append(_question(job, request))
        talk = Talk(
            tuple(turns),
            request.form,
            max_tokens=settings.ask_tokens,
            context=settings.ask_context,
            max_pixels=round(settings.ask_pixels * 10**6),
            read=settings.ask_ocr == "auto",
        )
        seen = [sha256 for turn in turns for sha256 in turn.pictures]
        heard = await listener(job, self._moderator, self._directory, seen)
        if request.film_seconds > MAX_FILM_SECONDS:
            notes.append(LONG.format(request.film_seconds))
        film = next((turn.job_id for turn in reversed(turns) if turn.has_film), "")
        return Conversation(talk, heard, (*notes, *told, *await self._use(job)), heard.see, film)

    async def _try(self, job: Job, request: TryRequest) -> Conversation:
        turns, notes = await self._lessons.of_try(job)
        if self._settings.vlm_url:
            notes = [*notes, NOT_COMPARED]
        turns.append(Turn("user", WHAT, (request.image,), job.id))
        context, pixels = self._settings.ask_context, round(self._settings.ask_pixels * 10**6)
        return Conversation(Talk(tuple(turns), context=context, max_pixels=pixels), notes=tuple(notes))

    async def _before(self, job: Job, request: AskRequest) -> tuple[list[Asked], list[str]]:
        """Return the turns before a question, oldest first, and what is to be said of those that are
        missing: the first that its asker can't read, or that has no answer, ends the conversation."""
        if not request.follows:
            return [], []
        most, actor = self._settings.ask_turns, asker(job)
        chain = await self._database.read(partial(chats.ancestors, job_id=job.id, limit=most))
        kept = list[Asked]()
        for asked in chain:
            if asked.answer is None or not await self._sight.sees(actor, asked.job):
                break
            kept.append(asked)
        first = kept[-1].job.request if kept else request
        if len(kept) == most and _follows(first):
            return kept[::-1], [f"The model was told the last {most} turns of this conversation."]
        return kept[::-1], [GONE] if _follows(first) else []

    async def _use(self, job: Job) -> list[str]:
        now, origin = datetime.now(UTC), job.origin
        rules = await self._database.read(
            partial(
                people.rules, user_id=origin.user_id, guild_id=origin.guild_id, role_ids=tuple(origin.roles)
            )
        )
        most = tokens_a_day(self._settings.ask_per_day, rules.role_tokens)
        used = await self._database.read(partial(chats.use, user_id=origin.user_id, now=now))
        if not most or used.tokens < NEARLY * most:
            return []
        return [
            f"You have used {used.tokens / most:.0%} of today's {most:,} tokens; new ones come at 0:00 UTC."
        ]


def _follows(request: object) -> bool:
    return isinstance(request, AskRequest) and request.follows


def _question(job: Job, request: AskRequest) -> Turn:
    return Turn("user", request.question, request.images, job.id, request.times, request.film_used)


def _turns(asked: Asked, right: Mapping[str, str]) -> tuple[Turn, Turn]:
    """Return a turn and its answer. right: what people have taught to be right, by the ids of jobs."""
    job, answer = asked
    assert isinstance(job.request, AskRequest) and answer is not None
    return (
        _question(job, job.request),
        Turn("assistant", right.get(job.id, answer.text), (), job.id),
    )
