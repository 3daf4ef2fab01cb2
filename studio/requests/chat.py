"""Questions about pictures and a video: from words to a turn of a conversation, what a worker is told of the
turns before it, and what people find of answers."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from core import profiles
from core.errors import ImageError, NotAllowedError, UserError
from core.events import ChatAnswer
from core.job import Job
from core.limits import MAX_VIDEO_SECONDS
from core.requests import AskRequest, TryRequest
from core.requests.chat import WHAT, Form
from core.results import Table
from core.settings import Settings
from jobs.admission import tokens_a_day
from jobs.feed import Conversation
from jobs.queue import Queue
from storage import conversations, people
from storage.conversations import Asked
from storage.database import Database
from storage.members import Members
from studio.authority import Action, Actor
from studio.example_sets import Lessons, asker
from studio.inputs import Given, Sources
from studio.library.clips import asked_video
from studio.media.uploads import Readable, Video, Videos
from studio.moderation.moderator import Moderator
from studio.moderation.rules import Visibility
from studio.new_job import Source
from studio.rights import Rights, Sight
from studio.services import Services
from studio.texts import job_name
from vision.protocol import Talk, Turn

ONE_VIDEO = "There are {} videos; a question takes one."
_VIDEO = re.compile(r"video:([a-z2-9]{12})")


@dataclass
class Material:
    """Pictures, and the frames of a video, in the order of a question."""

    sources: list[Source] = field(default_factory=list)
    videos: list[Video] = field(default_factory=list)

    @property
    def private(self) -> bool:
        """Whether any picture is somebody's alone."""
        return any(source.private for source in self.sources)

    @property
    def parent(self) -> tuple[str, int] | None:
        """The first job that a picture is of."""
        return next((source.parent for source in self.sources if source.parent), None)

    def fields(self) -> dict[str, Any]:
        """Return the fields of a request: pictures, then frames with their times."""
        stills = tuple(dict.fromkeys(source.sha256 for source in self.sources))
        if not self.videos:
            return {"images": stills}
        [video] = self.videos
        return {
            "images": (*stills, *(sha256 for _, sha256 in video.frames)),
            "times": (*[None] * len(stills), *(seconds for seconds, _ in video.frames)),
            "film_seconds": video.seconds,
        }


NO_MODEL = (
    "Questions aren't set up here yet. The operator can set ASK_MODEL or VLM_URL;"
    " docs/host/edit-chat-video-models.md explains how."
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
A_THREAD = timedelta(days=7)  # for which a conversation continues by itself in its thread
_ENDED = "ended_talk"
HIDDEN = "A rule here hides this answer."


class Talking:
    """Turns of conversations. Every method checks its right: NotAllowedError for who is barred."""

    def __init__(self, rights: Rights, sources: Sources, services: Services) -> None:
        self._rights, self._database, self._queue = rights, services.database, services.queue
        self._moderator, self._settings = services.moderator, services.settings
        self._showing = services.showing
        self._members = Members(services.database)
        self._sources, settings = sources, services.settings
        self._videos = Videos(
            services.files,
            services.queue.people.note_upload,
            frames=settings.ask_frames,
            pixels=round(settings.ask_frame_pixels * 10**6),
            max_bytes=settings.max_video_mb * 2**20,
            max_picture_bytes=settings.max_upload_mb * 2**20,
        )

    @property
    def is_possible(self) -> bool:
        """Whether anything here answers questions."""
        return self._settings.has_chat_model

    @property
    def server(self) -> str:
        """The server that questions are sent to, "" where they stay on the host's machine."""
        return urlsplit(self._settings.vlm_url).netloc

    @property
    def sends_sentences(self) -> bool:
        """Whether what people say in conversations may be sent to that server, too."""
        return bool(self.server) and self._settings.talk == "model"

    def check_possible(self, form: Form = "free") -> None:
        """Raise UserError, which says what the host has to set, where nothing here answers questions in a
        form. A reader of text is enough for a text, and for bar charts."""
        reads = form in ("text", "table") and "ocr" in profiles.packaged_models(False, self._settings.ocr)
        if not self.is_possible and not reads:
            raise UserError(NO_MODEL)

    async def answer(self, actor: Actor, job_id: str, action: Action = Action.SHOW) -> ChatAnswer:
        """Return the answer of a job. Raises ImageError or NotAllowedError, also where it breaks a rule of
        the place where the actor is."""
        result = await self._rights.result(actor, job_id, action)
        if result.answer is None:
            raise ImageError(f"Job `{job_id}` isn't an answer; it is “{job_name(result.job.request)}”.")
        if await self._moderator.captions([result.answer.text], actor.place) == [None]:
            raise ImageError("A rule here hides that answer.")
        return result.answer

    async def table(self, actor: Actor, job_id: str) -> Table:
        """Return the table that a job's answer is. Raises ImageError or NotAllowedError, also where it breaks
        a rule of the place where the actor is."""
        if (table := (await self.answer(actor, job_id)).table) is None:
            raise ImageError(f"Job `{job_id}` has no table.")
        return table

    async def conversation(self, actor: Actor, job_id: str) -> list[Asked]:
        """Return the turns up to and with a job, oldest first, as far back as the actor can look.

        Raises ImageError for no such question, NotAllowedError unless the actor may see it.
        """
        job = await self._rights.job(actor, job_id, Action.SHOW)
        if not isinstance(job.request, AskRequest):
            raise ImageError(f"Job `{job.id}` isn't a question; it is “{job_name(job.request)}”.")
        chain = await self._database.read(
            partial(conversations.ancestors, job_id=job.id, limit=self._settings.ask_turns)
        )
        turns = [await self._database.read(partial(conversations.read_question, job_id=job.id))]
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

    async def first_questions(self, job_ids: Collection[str]) -> dict[str, Job]:
        """Return what the conversation of each of these questions began with."""
        work = partial(conversations.first_questions, job_ids=job_ids)
        return await self._database.read(work) if job_ids else {}

    async def notes(self, job_id: str) -> list[str]:
        """Return what is to be said of an answer besides it; nobody's words are in it."""
        result = await self._queue.result(job_id)
        return list(result.parameters.get("notes", ())) if result else []

    async def video(self, job: Job) -> Job | None:
        """Return the question whose video the answer of a question is about, None where there is none."""
        result = await self._queue.result(job.id)
        return await asked_video(self._queue, job, result.parameters if result else {})

    async def frame(self, actor: Actor, job_id: str, index: int) -> bytes:
        """Return frame ``index`` (from 0) of a question's video as WebP of at most 256 px. Raises ImageError
        where there is none, or it may not be shown where the actor is, NotAllowedError unless they may look
        at the question, StorageError when its file is gone."""
        job = await self._rights.job(actor, job_id, Action.SHOW)
        frames = job.request.frames if isinstance(job.request, AskRequest) else ()
        if not 0 <= index < len(frames):
            raise ImageError(f"Job `{job.id}` has no such frame.")
        _, sha256 = frames[index]
        if await self._moderator.visibility((sha256,), actor.place) is not Visibility.SHOW:
            raise ImageError("A rule here hides that frame.")
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
            partial(conversations.replies, reader=actor.user_id, job_id=job.id, limit=SHOWN_REPLIES)
        )
        return [asked for asked in found if await self._rights.sees(actor, asked.job)]

    async def mine(self, actor: Actor) -> list[Asked]:
        """Return where the actor's conversations stand, the newest first."""
        await self._rights.check(actor, Action.ASK)
        found = await self._database.read(
            partial(conversations.newest_questions, user_id=actor.user_id, limit=SHOWN_CONVERSATIONS)
        )
        return await self._visible(found, actor)

    async def latest(self, actor: Actor, since: datetime) -> Job | None:
        """Return the actor's newest answered question where they are, None when it is older than ``since`` or
        they have ended that conversation."""
        found = await self._latest(actor, since, own=True)
        ended = await self._queue.people.user_flag(actor.user_id, _ENDED)
        return None if found is None or found.id == ended else found

    async def latest_here(self, actor: Actor) -> Job | None:
        """Return anybody's newest answered question where the actor is, None when they can't look at it or it
        is older than a week."""
        found = await self._latest(actor, datetime.now(UTC) - A_THREAD, own=False)
        return found if found is not None and await self._rights.sees(actor, found) else None

    async def _latest(self, actor: Actor, since: datetime, *, own: bool) -> Job | None:
        await self._rights.check(actor, Action.ASK)
        here: dict[str, Any] = {"channel_id": actor.channel_id, "reader": actor.user_id, "own": own}
        return await self._database.read(partial(conversations.latest_question, since=since, **here))

    async def end_direct(self, actor: Actor) -> None:
        """Let the actor's next words where they are begin a new conversation."""
        found = await self.latest(actor, datetime.now(UTC) - A_THREAD)
        if found is not None:
            await self._queue.people.set_user_flag(actor.user_id, _ENDED, found.id)

    async def first_time(self, actor: Actor, what: str) -> bool:
        """Return whether the actor is told something for the first time, and note that they are now."""
        await self._rights.check(actor, Action.ASK)
        if await self._queue.people.user_flag(actor.user_id, what):
            return False
        await self._queue.people.set_user_flag(actor.user_id, what, True)
        return True

    async def keep(self, actor: Actor, content: Mapping[str, Any]) -> str:
        """Keep what a question will be about until its words come; return its id."""
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

    async def keep_video(self, actor: Actor, video: Readable) -> tuple[str, Video]:
        """Keep a video that the actor sends until a question about it comes: what ``material`` knows it by,
        and its frames. Raises ImageError for anything else, NotAllowedError and LimitError as a picture
        does."""
        self.check_possible()
        await self._sources.check_upload(actor)
        taken = await self._videos.take(video, actor.user_id)
        if not isinstance(taken, Video):
            raise ImageError("That isn't a supported video. Use MP4, WebM or GIF.")
        content = {"video": {"frames": taken.frames, "seconds": taken.seconds}}
        return f"video:{await self._members.add_draft(actor.user_id, content)}", taken

    # What a question is about

    async def material(self, actor: Actor, given: Sequence[Given]) -> Material:
        """Return what ``given`` are. Raises UserError for too many of a kind, ImageError for what isn't
        taken, NotAllowedError for somebody else's picture."""
        material = Material()
        self._check_count(len(given) - 1)  # one may be a video
        for one in given:
            await self._add(actor, one, material)
            if len(material.videos) > 1:
                raise UserError(ONE_VIDEO.format(len(material.videos)))
        self._check_count(len(material.sources))
        return material

    def _check_count(self, pictures: int) -> None:
        if pictures > (most := self._settings.ask_pictures):
            raise UserError(f"There are {pictures} pictures; a question takes up to {most} here.")

    async def _add(self, actor: Actor, given: Given, material: Material) -> None:
        if not isinstance(given, str):
            await self._sources.check_upload(actor)
            found = await self._videos.take(given, actor.user_id)
            if isinstance(found, Video):
                material.videos.append(found)
            else:
                material.sources.append(await self._sources.read(actor, found))
        elif video := _VIDEO.fullmatch(given):
            material.videos.append(await self._kept_video(actor, video[1]))
        else:
            material.sources.append(await self._sources.meant(actor, given))

    async def _kept_video(self, actor: Actor, draft_id: str) -> Video:
        found = await self._members.draft(draft_id)
        if found is None or found[0] != actor.user_id or "video" not in found[1]:
            raise ImageError("That video is gone; send it again.")
        kept = found[1]["video"]
        frames = tuple((float(seconds), str(sha256)) for seconds, sha256 in kept["frames"])
        for _, sha256 in frames:
            await self._sources.uploaded(actor, sha256)
        return Video(frames, float(kept["seconds"]))

    # Questions

    def check_question(self, question: str, form: Form) -> None:
        """Raise UserError for a question that nothing here answers, or that asks who somebody is."""
        self.check_possible(form)
        if _WHO.search(question):
            raise UserError(NOT_WHO)


GONE = "Earlier turns of this conversation are gone, so the model didn't see them."
LONG = f"The video lasts {{:.0f}} s; its first {MAX_VIDEO_SECONDS} s were used."
NOT_COMPARED = "The chat server can't compare labels, so only CLIP answered."
NEARLY = 0.8  # of a day's tokens, from which on the asker is told


class Conversations:
    """Reads the rows whenever a question is handed out: nothing of a conversation is kept anywhere else."""

    def __init__(self, database: Database, sight: Sight, moderator: Moderator, settings: Settings) -> None:
        self._database, self._sight = database, sight
        self._moderator, self._settings = moderator, settings
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
        heard = await self._moderator.listener(job, seen)
        if request.film_seconds > MAX_VIDEO_SECONDS:
            notes.append(LONG.format(request.film_seconds))
        video = next((turn.job_id for turn in reversed(turns) if turn.has_video), "")
        whose = job.origin.user_id, job.origin.guild_id, job.origin.roles
        used, most = await tokens_today(self._database, settings, *whose)
        if most and used >= NEARLY * most:
            told = [
                *told,
                f"You have used {used / most:.0%} of today's {most:,} tokens; new ones come at 0:00 UTC.",
            ]
        return Conversation(talk, heard, (*notes, *told), heard.see, video)

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
        chain = await self._database.read(partial(conversations.ancestors, job_id=job.id, limit=most))
        kept = list[Asked]()
        for asked in chain:
            if asked.answer is None or not await self._sight.sees(actor, asked.job):
                break
            kept.append(asked)
        first = kept[-1].job.request if kept else request
        if len(kept) == most and _follows(first):
            return kept[::-1], [f"The model saw the last {most} turns of this conversation."]
        return kept[::-1], [GONE] if _follows(first) else []


async def tokens_today(
    database: Database, settings: Settings, user_id: int, guild_id: int | None, roles: Collection[int]
) -> tuple[int, int]:
    """Return how many of today's tokens a person has used, and how many they may, 0 = any number."""
    rules = await database.read(
        partial(people.read_rules, user_id=user_id, guild_id=guild_id, role_ids=tuple(roles))
    )
    used = await database.read(partial(conversations.read_token_use, user_id=user_id, now=datetime.now(UTC)))
    return used.tokens, tokens_a_day(settings.ask_per_day, rules.role_tokens)


def _follows(request: object) -> bool:
    return isinstance(request, AskRequest) and request.follows


def _question(job: Job, request: AskRequest) -> Turn:
    return Turn("user", request.question, request.images, job.id, request.times, request.video_used)


def _turns(asked: Asked, right: Mapping[str, str]) -> tuple[Turn, Turn]:
    """Return a turn and its answer. right: what people have taught to be right, by the ids of jobs."""
    job, answer = asked
    assert isinstance(job.request, AskRequest) and answer is not None
    return _question(job, job.request), Turn("assistant", right.get(job.id, answer.text), (), job.id)


class Feedback:
    """Notes what people find of answers that they can look at, once for each person and answer."""

    def __init__(self, rights: Rights, database: Database, queue: Queue) -> None:
        self._rights, self._database, self._queue = rights, database, queue

    async def is_about(self, message_id: int) -> bool:
        """Return whether a message shows an answer that is all there."""
        found = await self._queue.job_of_message(message_id)
        result = await self._queue.result(found[0].id) if found and found[0].status.over else None
        return result is not None and result.answer is not None

    async def note(self, actor: Actor, message_id: int, *, right: bool) -> None:
        """Note that the actor finds the answer that a message shows right, or wrong.

        Raises ImageError where it shows none, NotAllowedError unless the actor may say so.
        """
        found = await self._queue.job_of_message(message_id)
        if found is not None:
            await self._rights.check(actor, Action.RATE, found[0])
        if found is None or not await self.is_about(message_id):
            raise ImageError("That message shows no answer.")
        mine = partial(
            conversations.note_feedback,
            user_id=actor.user_id,
            job_id=found[0].id,
            right=right,
            now=datetime.now(UTC),
        )
        await self._database.write(mine)

    async def withdraw(self, actor: Actor, message_id: int, *, right: bool) -> None:
        """Forget that the actor finds the answer that a message shows right, or wrong; nothing happens if
        they didn't."""
        await self._rights.check(actor, Action.MINE)
        found = await self._queue.job_of_message(message_id)
        if found is not None:
            mine = partial(
                conversations.withdraw_feedback, user_id=actor.user_id, job_id=found[0].id, right=right
            )
            await self._database.write(mine)

    async def of(self, actor: Actor, job_id: str) -> conversations.Feedback:
        """Return how many people found a job's answer right, and how many wrong. Raises ImageError or
        NotAllowedError."""
        job = await self._rights.job(actor, job_id, Action.DETAILS)
        return await self._database.read(partial(conversations.read_feedback, job_id=job.id))
