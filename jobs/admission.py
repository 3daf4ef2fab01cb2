"""What happens before a job waits: is it known already, allowed, within the limits; then its row.
Who may ask, how much at once, and what a video may be and takes are pure functions over plain values."""

import asyncio
import logging
import secrets
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import sqlalchemy as sa

from core.errors import FilesAway, ImageError, LimitError, NotAllowedError, UserError
from core.job import NOBODY, Job, Origin
from core.limits import RESOLUTIONS
from core.requests import AskRequest, ImagineRequest, Request
from core.requests.custom_models import BundleRequest, TrainRequest
from core.requests.images import SHEET_JOBS
from core.requests.video import VideoRequest
from jobs.waitlist import Takes, Waiting, cost_key, kind_of
from storage import conversations, job_queries, jobs
from storage.blobs.base import Files
from storage.conversations import Use
from storage.database import Database
from storage.job_queries import StoredOutput, WaitingRow
from storage.people import RoleLimit, Rules
from storage.projects import versions

USUAL_SECONDS = 5.0  # where nobody says how long, and what a model draws at once
USUAL_FPS, USUAL_SIDES = 24, (854, 480)
BYTES_A_PIXEL = 0.15  # of a video at the quality that is kept (H.264, CRF 15)
WRITTEN = {VideoRequest.kind: "video", TrainRequest.kind: "training", BundleRequest.kind: "bundle"}
ENDS_BYTES = 3 * 10**6  # latents of a video's ends, at most


@dataclass(frozen=True)
class VideoLimits:
    """What may be asked of videos. running, waiting: of one member at once. seconds: of one video.
    max_pixels: of a frame. per_day: seconds of video that one member may have made in a day, 0 = as many as
    they like."""

    running: int = 1
    waiting: int = 3
    seconds: float = 20.0
    max_pixels: int = 1920 * 1088
    per_day: int = 0


def in_proportion(videos: int, own: int, everybody: int) -> int:
    """Return how many videos a member may have whose roles let them have ``own`` jobs where everybody may
    have
    ``everybody``, and ``videos`` of these may be videos: at least one, and no more than jobs."""
    return min(own, max(1, videos * own // everybody))


def is_video(cost_key: str) -> bool:
    """Return whether jobs with this cost key draw videos."""
    return kind_of(cost_key) == VideoRequest.kind


def check_video(limits: VideoLimits, request: Request) -> None:
    """Raise UserError for a video that is longer or larger than any may be."""
    if not isinstance(request, VideoRequest):
        return
    if request.seconds is not None and request.seconds > limits.seconds:
        raise UserError(
            f"That video would be {request.seconds:g} seconds long; this studio makes videos of up to"
            f" {limits.seconds:g} seconds."
        )
    sides = sides_of(request)
    if sides is None or sides[0] * sides[1] <= limits.max_pixels:
        return
    ratio = max(sides) / min(sides)
    fitting = [side for side in RESOLUTIONS if side * round(side * ratio) <= limits.max_pixels]
    advice = f" `--res {max(fitting)}` fits." if fitting else ""
    raise UserError(
        f"A frame of {sides[0]}×{sides[1]} has {sides[0] * sides[1]:,} pixels; this studio makes videos of up"
        f" to {limits.max_pixels:,}.{advice}"
    )


def check_videos_waiting(allowed: int, waiting: int) -> None:
    """Raise LimitError when a member may have no more videos waiting."""
    if waiting >= allowed:
        raise LimitError(
            f"You have {waiting} videos waiting; the limit is {allowed}. One has to start or be cancelled"
            " first."
        )


def check_day(limits: VideoLimits, used: float, coming: Iterable[Request], request: Request) -> None:
    """Raise LimitError when a video is more than its asker may have today. used: seconds of video that were
    made for them. coming: what they have asked for and isn't made yet."""
    if not limits.per_day or not isinstance(request, VideoRequest):
        return
    expected = used + sum(seconds_of(one) for one in coming)
    asked = seconds_of(request)
    if expected + asked > limits.per_day:
        left = max(0.0, limits.per_day - expected)
        raise LimitError(
            f"That is {asked:g} seconds of video, and you have {left:g} of today's {limits.per_day} left. New"
            " ones come at 0:00 UTC."
        )


def no_room(request: Request, free: int) -> LimitError:
    """Return that what a request's worker writes doesn't fit on the disk. free: bytes over the floor."""
    what = WRITTEN.get(request.kind, "job")
    advice = "A shorter or smaller one may fit; please" if what == "video" else "Please"
    return LimitError(
        f"The studio's disk has no room for this {what}: it needs about {bytes_of(request) / 10**6:,.0f} MB,"
        f" and {max(0, free) / 10**6:,.0f} MB are free. {advice} tell the operator."
    )


def sides_of(request: VideoRequest) -> tuple[int, int] | None:
    """Return the sides that a video is asked for with, px; None = its model's own."""
    if request.width and request.height:
        return request.width, request.height
    if request.resolution is None:
        return None
    across, down = request.aspect_ratio or (16, 9)
    longer = round(request.resolution * max(across, down) / min(across, down))
    return (longer, request.resolution) if across >= down else (request.resolution, longer)


def seconds_of(request: Request) -> float:
    """Return how many seconds of video a request asks for, all its videos together; 0 for no videos."""
    if not isinstance(request, VideoRequest):
        return 0.0
    return (request.seconds or USUAL_SECONDS) * request.num_images


def bytes_of(request: Request) -> int:
    """Return about how many bytes the disk needs for what a request's worker writes; 0 for one that writes
    nothing, whose pictures the disk's floor has room for."""
    if not isinstance(request, VideoRequest):
        return request.writes
    width, height = sides_of(request) or USUAL_SIDES
    frames = seconds_of(request) * (request.fps or USUAL_FPS)
    return round(frames * width * height * BYTES_A_PIXEL) + ENDS_BYTES * request.num_images


@dataclass(frozen=True)
class Limits:
    """What may be asked at once. ``disk_floor``: bytes that must stay free on the disk. ``tokens_per_day``:
    of one person's questions and answers, 0 = as many as they like; ``answer_tokens``: most of an answer;
    ``conversation_tokens``: most that are sent with a question and answered; ``turns``: most that are told
    again.
    ``trainings``: of own models that wait or run for a server, or for somebody's own projects.
    ``away_waiting``, ``away_per_day``: of one person's jobs from places that the bot isn't in; 0 a day = as
    many as they like."""

    user_running: int = 3
    user_waiting: int = 10
    guild_waiting: int = 200
    disk_floor: int = 500 * 10**6
    tokens_per_day: int = 0
    answer_tokens: int = 512
    conversation_tokens: int = 8192
    turns: int = 24
    trainings: int = 2
    videos: VideoLimits = VideoLimits()
    away_waiting: int = 3
    away_per_day: int = 30


@dataclass(frozen=True)
class Allowance:
    """The limits of one member, with the best of their roles."""

    user_running: int
    user_waiting: int


def allowance(limits: Limits, roles: Iterable[RoleLimit]) -> Allowance:
    """Return what a member with limits by role may have: the best of each, or else everybody's."""
    roles = tuple(roles)
    if not roles:
        return Allowance(limits.user_running, limits.user_waiting)
    return Allowance(max(role.user_running for role in roles), max(role.user_waiting for role in roles))


def check_limits(
    origin: Origin, rules: Rules, allowed: Allowance, limits: Limits, *, user_waiting: int, guild_waiting: int
) -> None:
    """Raise, with the limit named, when this request may not be queued. What the studio asks always may."""
    if origin.user_id == NOBODY:
        return
    if rules.banned:
        raise NotAllowedError("You can't use Atelier here: an admin has blocked you.")
    if rules.channels and not rules.channels & {origin.channel_id, origin.parent_channel_id}:
        places = ", ".join(f"<#{channel}>" for channel in sorted(rules.channels)[:5])
        raise NotAllowedError(f"Atelier isn't allowed in this channel. It works in {places}.")
    if rules.roles and not rules.roles & set(origin.roles):
        names = ", ".join(f"<@&{role}>" for role in sorted(rules.roles)[:5])
        raise NotAllowedError(f"Only members with these roles can use Atelier here: {names}.")
    if not allowed.user_running:
        raise LimitError("Your roles allow 0 running jobs here, so none would start. Ask a server manager.")
    if user_waiting >= allowed.user_waiting:
        raise LimitError(
            f"You have {user_waiting} jobs waiting; the limit is {allowed.user_waiting}. One has to start or"
            " be cancelled first."
        )
    if origin.guild_id is not None and guild_waiting >= limits.guild_waiting:
        raise LimitError(
            f"This server has {guild_waiting} jobs waiting; the limit is {limits.guild_waiting}. Try again in"
            " a while."
        )


def check_away(limits: Limits, waiting: int, today: int) -> None:
    """Raise LimitError when somebody may ask for no more from places that the bot isn't in."""
    if waiting >= limits.away_waiting:
        raise LimitError(
            f"You have {waiting} jobs waiting from places that Atelier isn't in; the limit is"
            f" {limits.away_waiting}. One has to start or be cancelled first."
        )
    if limits.away_per_day and today >= limits.away_per_day:
        raise LimitError(
            f"You have had today's {limits.away_per_day} jobs from places that Atelier isn't in. New ones"
            " come at 0:00 UTC."
        )


def check_trainings(most: int, waiting: int) -> None:
    """Raise LimitError when no further training of a server's, or of somebody's own projects, may wait."""
    if waiting >= most:
        raise LimitError(
            f"{waiting} trainings wait or run already; the limit is {most}. One has to end first."
        )


def videos_fit(limits: Limits, videos_running: Mapping[int, int]) -> Takes:
    """Return whether a job may start beside its member's videos. videos_running: member → videos."""

    def fits(job: Waiting) -> bool:
        return not is_video(job.cost_key) or videos_running.get(job.user_id, 0) < videos_at_once(limits, job)

    return fits


def videos_at_once(limits: Limits, job: Waiting) -> int:
    """Return how many videos the member of ``job`` may have running."""
    return in_proportion(limits.videos.running, job.max_running, limits.user_running)


def tokens_a_day(everybody: int, roles: Collection[int]) -> int:
    """Return how many tokens a member may use a day, 0 = as many as they like: the most of their roles that
    have a number of their own, or else what everybody has."""
    if not roles:
        return everybody
    return 0 if 0 in roles else max(roles)


def check_tokens(most: int, used: Use, coming: int, question: int) -> None:
    """Raise LimitError when a question that is sent with about so many tokens is more than its asker may have
    today, at ``most``. coming: tokens of those that aren't answered yet, with answers as long as they may
    be."""
    if used.tokens + coming + question > most:
        waiting = f" and {used.open} questions not answered yet" if used.open else ""
        raise LimitError(
            f"You have used {used.tokens:,} of today's {most:,} tokens{waiting}, so this question doesn't"
            " fit. New ones come at 0:00 UTC."
        )


NO_DEVICE = "none"  # of a job that no worker had to run
AWAY = "The studio can't reach its pictures at the moment; nothing was queued. Try again in a minute."
log = logging.getLogger(__name__)
DISK_KNOWN = 1.0  # s for which a look at the disk holds


@dataclass(frozen=True)
class Admitted:
    """A job that is there. row: None for one that was there before. served: the person's latest turn."""

    job: Job
    row: WaitingRow | None = None
    served: int = 0


class Admission:
    """Writes jobs that may be queued. ``draining``: takes no new ones."""

    def __init__(self, database: Database, files: Files, limits: Limits) -> None:
        self._database, self._files, self.limits = database, files, limits
        self.draining = False
        self._disk_had_room = -DISK_KNOWN  # monotonic seconds

    async def problem_with_files(self, request: Request) -> UserError | None:
        """Return why the disk, or the limits of videos, don't allow ``request``, None when they do."""
        try:
            check_video(self.limits.videos, request)
        except UserError as error:
            return error
        if (full := await self.full_disk(request)) is not None or not request.pictures:
            return full
        try:
            there = [await self._files.has(sha256) for sha256 in request.pictures]
        except FilesAway:
            log.warning("a job isn't taken: its pictures can't be looked for", exc_info=True)
            return LimitError(AWAY)
        return None if all(there) else ImageError("That picture is gone. Attach it again.")

    async def full_disk(self, request: Request | None = None) -> LimitError | None:
        """Return that the disk is nearly full, None while its floor and what a request writes are free."""
        now, coming = time.monotonic(), 0 if request is None else bytes_of(request)
        if not coming and now - self._disk_had_room < DISK_KNOWN:
            return None
        free = await asyncio.to_thread(self._files.free_bytes)
        if request is not None and coming and free < self.limits.disk_floor + coming:
            return no_room(request, free - self.limits.disk_floor)
        if free < self.limits.disk_floor:
            return LimitError(
                f"The studio's disk is nearly full (less than {self.limits.disk_floor // 10**6} MB free)."
                " Please tell the operator; nothing was queued."
            )
        self._disk_had_room = now
        return None

    async def admit(self, job: Job, problem: UserError | None, made: StoredOutput | None = None) -> Admitted:
        """Write ``job`` and return it, or the one that the same asking has made. In one transaction.

        problem: raised unless the job is known already. made: what the job makes, which is written along.
        Raises LimitError, NotAllowedError or UserError.
        """
        return await self._database.write(partial(self._admit, job, problem, made))

    def _admit(
        self, job: Job, problem: UserError | None, made: StoredOutput | None, connection: sa.Connection
    ) -> Admitted:
        known = jobs.facts(connection, job)
        if (
            known.same_id is not None
            and (same := job_queries.read_job(connection, known.same_id)) is not None
        ):
            return Admitted(same)
        if self.draining:
            raise LimitError(
                "The studio accepts no new jobs right now; waiting jobs will be finished. Try again later."
            )
        if problem is not None:
            raise problem
        allowed = allowance(self.limits, known.rules.role_limits)
        check_limits(
            job.origin,
            known.rules,
            allowed,
            self.limits,
            user_waiting=known.user_waiting,
            guild_waiting=known.guild_waiting,
        )
        if job.origin.away:
            check_away(self.limits, known.away_waiting, known.away_today)
        most = tokens_a_day(self.limits.tokens_per_day, known.rules.role_tokens)
        if isinstance(job.request, AskRequest) and most:
            used = conversations.read_token_use(connection, job.origin.user_id, now=job.created_at)
            open_ones = conversations.unanswered(connection, job.origin.user_id)
            coming = sum(self._tokens_of(one, connection, answered=True) for one in open_ones)
            check_tokens(most, used, coming, self._tokens_of(job, connection, answered=False))
        if isinstance(job.request, VideoRequest):
            self._check_videos(job, known.videos_waiting, allowed.user_waiting, connection)
        if isinstance(job.request, TrainRequest) and job.origin.user_id != NOBODY:
            check_trainings(self.limits.trainings, versions.count_trainings(connection, job.request.project))
        if job.parent_id is not None and not known.has_parent:
            raise UserError("The job it comes from is gone.")
        row = jobs.add_job(connection, job, cost_key=cost_key(job.request), max_running=allowed.user_running)
        if job.origin.away:
            is_sheet = isinstance(job.request, ImagineRequest) and job.request.is_sheet
            count = SHEET_JOBS if is_sheet else 1
            conversations.count_away(connection, job.origin.user_id, count, now=job.created_at)
        if made is not None:
            token = secrets.token_hex(16)
            jobs.claim(connection, job.id, token=token, device=NO_DEVICE, now=job.created_at)
            jobs.finish(connection, job.id, made, token=token, now=job.created_at, run_seconds=0.0)
        return Admitted(job, row, known.served)

    def _tokens_of(self, job: Job, connection: sa.Connection, *, answered: bool) -> int:
        """Return about how many tokens a question sends; with those of its answer if it is ``answered``."""
        limits, request = self.limits, job.request
        assert isinstance(request, AskRequest)
        answer = limits.answer_tokens
        sent = conversations.about_sent(connection, request, job.parent_id, turns=limits.turns, answer=answer)
        return min(sent, max(0, limits.conversation_tokens - answer)) + answer * answered

    def _check_videos(self, job: Job, waiting: int, user_waiting: int, connection: sa.Connection) -> None:
        """Raise LimitError when its asker may have no more videos for now."""
        videos, user_id = self.limits.videos, job.origin.user_id
        check_videos_waiting(in_proportion(videos.waiting, user_waiting, self.limits.user_waiting), waiting)
        if videos.per_day:
            made = conversations.seconds_used(connection, user_id, now=job.created_at)
            check_day(videos, made, conversations.list_coming(connection, user_id), job.request)
