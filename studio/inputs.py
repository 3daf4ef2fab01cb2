"""Pictures and videos that people work on: one they give, one of a job by its id and number, or their
last."""

import re
from dataclasses import dataclass, field

from core.errors import ImageError, LimitError, UserError
from core.job import ID_LENGTH, Job, new_seed
from core.requests import GenerateRequest
from core.requests.base import Answer
from jobs.queue import Queue, Result
from storage.videos import StoredVideo
from studio.authority import Action, Actor, Pace
from studio.media.uploads import Intake, Readable
from studio.new_job import OfJob, Source, source_of
from studio.rights import Rights
from studio.texts import duration, job_name

UPLOADS, UPLOAD_EVERY = 40, 30.0  # files of one person at once, and seconds for each one after these
NO_STILL = "That video was made from words alone. Press *Last frame* under it, and talk about that picture."
Given = Readable | str  # a file, or the name of one of our pictures, such as "abcd2345efgh 2"
SHA256 = re.compile(r"[0-9a-f]{64}")
_JOB = re.compile(rf"([a-z2-9]{{{ID_LENGTH}}})(?:[\s#:]+(\d+))?", re.IGNORECASE)


class Sources:
    """Finds pictures, and checks that the person may use them."""

    def __init__(self, queue: Queue, intake: Intake, rights: Rights) -> None:
        self._queue, self._intake, self._rights = queue, intake, rights
        self._uploads = Pace[int](UPLOADS, UPLOAD_EVERY)

    async def find(self, actor: Actor, picture: Readable | None, named: str | None) -> Source:
        """Return the given picture, the one called ``named`` ("abcd2345efgh 2"), or else the actor's last.

        Raises UserError with what is wrong and what is taken, ImageError for who has none, NotAllowedError
        for somebody else's picture.
        """
        if picture is not None and named:
            raise UserError("Give `image` or `source`, not both.")
        if picture is not None:
            return await self.given(actor, picture)
        if named:
            return await self.of_job(actor, *await self.job_of(named.strip()))
        last = await self._queue.last_picture(actor.user_id)
        if last is None:
            mine = await self._queue.mine(actor.user_id)
            if mine.running or mine.waiting:
                raise ImageError("Your first picture isn't finished yet. Try again when it is.")
            raise ImageError(
                "You have no picture here yet. Attach one as `image`, or make one with `/imagine`."
            )
        return await self.of_job(actor, *last)

    async def meant(self, actor: Actor, picture: Given) -> Source:
        """Return a picture that somebody sends, one of ours by its name, as ``job_of`` takes it, or, by its
        SHA-256, one that they have sent. Raises as ``given``, ``of_job`` and ``uploaded`` do."""
        if not isinstance(picture, str):
            return await self.given(actor, picture)
        if SHA256.fullmatch(picture):
            return await self.uploaded(actor, picture)
        return await self.of_job(actor, *await self.job_of(picture))

    async def named(self, actor: Actor, given: Given) -> tuple[Given, int]:
        """Return what a picture is known by, and how many a job has that is meant as a whole, 0 of one
        picture. Of a video of ours it is the picture that it was made from. Raises UserError for a video that
        was made from words, NotAllowedError for who may not use it."""
        await self._rights.check(actor, Action.ASK)
        whole = 0
        while isinstance(given, str) and not SHA256.fullmatch(given):
            job, index = await self.job_of(given)
            if job.request.answer is not Answer.VIDEOS:
                made = await self._rights.made(actor, job) if index is None else None
                if made is not None and len(made.pictures) > 1:
                    given, whole = f"{job.id} {made.pictures[0].index + 1}", len(made.pictures)
                break
            await self._rights.check(actor, Action.USE, job)
            if job.parent_id is None:
                raise UserError(NO_STILL)
            given = f"{job.parent_id} {(job.parent_index or 0) + 1}"
        return given, whole

    async def given(self, actor: Actor, picture: Readable) -> Source:
        """Return a picture that somebody sends.

        Raises ImageError for one that isn't taken, and as ``check_upload`` does.
        """
        await self.check_upload(actor)
        return await self.read(actor, picture)

    async def read(self, actor: Actor, picture: Readable) -> Source:
        """Return a picture that somebody sends and that has been counted. Raises ImageError."""
        taken = await self._intake.take(picture, actor.user_id)
        return Source(taken.sha256, taken.width, taken.height)

    async def uploaded(self, actor: Actor, sha256: str) -> Source:
        """Return a picture that the actor has sent. Raises as ``check_sent`` does."""
        await self.check_sent(actor, sha256)
        return Source(sha256, *await self._intake.size(sha256))

    async def check_sent(self, actor: Actor, sha256: str) -> None:
        """Raise ImageError unless the actor has sent a picture, NotAllowedError for who may not ask."""
        await self._rights.check(actor, Action.ASK)
        if not await self._queue.people.has_sent(actor.user_id, sha256):
            raise ImageError("That picture is gone; send it again.")

    async def is_seen(self, actor: Actor, job_id: str) -> bool:
        """Return whether a job is there, and shown where the actor can look."""
        job = await self._queue.job(job_id)
        return job is not None and await self._rights.sees(actor, job)

    async def check_upload(self, actor: Actor) -> None:
        """Count one file of somebody's, before it is read.

        Raises NotAllowedError for who may not ask, LimitError when the disk is nearly full or they have sent
        too many.
        """
        await self._rights.check(actor, Action.ASK)
        await self._queue.check_room()
        if wait := self._uploads.take(actor.user_id):
            raise LimitError(
                f"You have sent {UPLOADS} pictures in a short time. Send the next one in {duration(wait)}."
            )

    async def job_of(self, name: str) -> tuple[Job, int | None]:
        """Return the job that "abcd2345efgh 2" names, and the number in it (from 0; None = left out).

        Raises UserError for another form, ImageError when there is no such job.
        """
        match = _JOB.fullmatch(name)
        if match is None:
            raise UserError(
                "`source` takes a link to one of my messages, or a job id with a number, such as"
                " `abcd2345efgh 2`."
            )
        job = await self._queue.job(match[1].lower())
        if job is None:
            raise ImageError(f"There is no job `{match[1].lower()}` here.")
        return job, int(match[2]) - 1 if match[2] else None

    async def of_job(self, actor: Actor, job: Job, index: int | None, action: Action = Action.USE) -> Source:
        """Return picture ``index`` (from 0; None = the only one) of a job.

        Raises NotAllowedError unless the actor may do ``action`` to the job, ImageError when it has no
        picture, UserError when it has several and none is named.
        """
        await self._rights.check(actor, action, job)
        if job.request.answer is not Answer.PICTURES:
            raise ImageError(f"Job `{job.id}` made no picture; it is “{job_name(job.request)}”.")
        result = await self._rights.made(actor, job)
        if result is None or not result.pictures:
            raise ImageError(f"Job `{job.id}` has no picture (it is {job.status}).")
        if index is None and len(result.pictures) > 1:
            raise UserError(
                f"That job has {len(result.pictures)} pictures. Add the number, such as `{job.id} 2`."
            )
        return await self.of_result(result, result.pictures[0].index if index is None else index)

    async def of_result(self, result: Result, index: int) -> Source:
        """Return picture ``index`` (from 0) of a job whose right has been checked, with its next seed.

        Raises ImageError when there is no picture of that number.
        """
        return source_of(result, index, children=await self._queue.children(result.job.id, index))


@dataclass(frozen=True)
class VideoSource(OfJob):
    """Sides in px, ``frames`` at ``fps`` a second. ends: SHA-256 of the latents of its ends, None = there are
    none. next_seed: the seed for what is made from it next."""

    sha256: str
    width: int
    height: int
    frames: int
    fps: float
    sound: bool = False
    ends: str | None = None
    job: Job | None = None
    index: int = 0
    next_seed: int = field(default_factory=new_seed)

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.frames / self.fps


def video_of(result: Result, index: int) -> StoredVideo:
    """Return the row of video ``index`` (from 0). Raises ImageError when there is none of that number."""
    found = next((video for video in result.videos if video.index == index), None)
    if found is None:
        raise ImageError(f"That job has no video number {index + 1}.")
    return found


def video_source(result: Result, index: int, *, children: int = 0) -> VideoSource:
    """Return video ``index`` (from 0) of a finished job.

    children: how many jobs were made from that video before; each gets a seed of its own, four apart since a
    job makes up to four videos. Raises ImageError when there is no such video.
    """
    video, job = video_of(result, index), result.job
    request = job.request
    seed = request.seed if isinstance(request, GenerateRequest) else new_seed()
    return VideoSource(
        video.sha256,
        video.width,
        video.height,
        video.frames,
        video.fps,
        video.sound,
        video.ends,
        job,
        index,
        (seed + index + 4 * (children + 1)) % 2**32,
    )
