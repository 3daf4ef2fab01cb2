"""Jobs found: by id, message, interaction, person; those that wait, and those whose end nobody was told.

A row becomes a ``Job`` here, and only here.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from operator import attrgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from core.errors import AtelierError, StorageError
from core.events import ChatAnswer
from core.job import Job, Lane, Origin, Reply, Status, Surface
from core.requests import STILL_KINDS, from_json
from core.results import Box, Table, TextLine, Verdict, line_from_stored
from storage import videos
from storage.people import from_row
from storage.projects.versions import StoredFile, StoredModel
from storage.schema import (
    CHILD,
    GRID,
    IS_DISCORDS,
    QUEUED,
    RUNNING,
    UNDELIVERED,
    inputs,
    jobs,
    messages,
    pictures,
    watch_pictures,
)
from storage.videos import StoredVideo

PAGE = 200  # rows
log = logging.getLogger(__name__)


class UnreadableJob(StorageError):
    """A row of another version of the program."""


@dataclass(frozen=True)
class StoredPicture:
    """A file of a finished job. index: from 0, -1 for the grid or chart. size: bytes; sides in px."""

    sha256: str
    media_type: str
    width: int
    height: int
    seed: int | None
    index: int
    size: int


@dataclass(frozen=True)
class StoredOutput:
    """What a run left behind: ``core.events.Output`` with files in the place of bytes. ``pictures`` are the
    posters of ``videos`` where there are any: those with the same index belong together. files, model and
    verdicts are written only: ``storage.projects`` reads them."""

    pictures: tuple[StoredPicture, ...] = ()
    grid: StoredPicture | None = None
    captions: tuple[str, ...] = ()
    scores: tuple[tuple[str, float], ...] = ()
    parameters: Mapping[str, Any] | None = None
    answer: ChatAnswer | None = None
    lines: tuple[TextLine, ...] = ()
    videos: tuple[StoredVideo, ...] = ()
    files: tuple[StoredFile, ...] = ()
    model: StoredModel | None = None
    verdicts: tuple[Verdict, ...] = ()


@dataclass(frozen=True)
class WaitingRow:
    """What ordering needs of a queued job, without its request."""

    id: str
    seq: int
    user_id: int
    guild_id: int | None
    lane: Lane
    front: int | None
    cost_key: str
    max_running: int
    created_at: datetime
    attempts: int = 0
    cut_off: int = 0


@dataclass(frozen=True)
class RunningRow:
    """A job that its row calls running: who has it (``token`` on ``device``), and what ordering needs."""

    job: Job
    waiting: WaitingRow
    token: str
    device: str


WAITING = tuple(jobs.c[item.name] for item in fields(WaitingRow))
PICTURE_COLUMNS = ("sha256", "media_type", "width", "height", "seed", "position", "size")  # of StoredPicture
_REPLY = attrgetter(*(item.name for item in fields(Reply)))
_ONE = sa.select(jobs).where(jobs.c.id == sa.bindparam("job"))  # built once, asked for all the time
_OF_JOBS = pictures.c.job_id.in_(sa.bindparam("jobs", expanding=True))
_PICTURES = sa.select(pictures).where(_OF_JOBS).order_by(pictures.c.position)


def read_job(connection: sa.Connection, job_id: str) -> Job | None:
    """Return a job, None when there is none. Raises UnreadableJob."""
    row = connection.execute(_ONE, {"job": job_id}).first()
    return None if row is None else to_job(row)


def read_jobs(connection: sa.Connection, ids: Iterable[str]) -> dict[str, Job]:
    """Readable jobs by id. A few hundred at a time."""
    rows = connection.execute(sa.select(jobs).where(jobs.c.id.in_(list(ids))))
    return {job.id: job for row in rows if (job := readable(row))}


def of_interaction(connection: sa.Connection, interaction_id: int) -> Job | None:
    """The job that the interaction has made."""
    row = connection.execute(sa.select(jobs).where(jobs.c.interaction_id == interaction_id)).first()
    return None if row is None else to_job(row)


def of_message(connection: sa.Connection, message_id: int) -> tuple[Job, int | None] | None:
    """The job a message shows, and which of its pictures alone (from 0), None = all."""
    joined = sa.select(jobs, messages.c.position).join(messages, messages.c.job_id == jobs.c.id)
    row = connection.execute(joined.where(messages.c.message_id == message_id)).first()
    return None if row is None else (to_job(row), row.position)


def message_places(connection: sa.Connection, job_id: str) -> set[tuple[int | None, int]]:
    """(guild or None, channel) of every message that shows the job."""
    shown = sa.select(messages.c.guild_id, messages.c.channel_id).where(messages.c.job_id == job_id)
    return {(row.guild_id, row.channel_id) for row in connection.execute(shown.distinct())}


def read_output(connection: sa.Connection, job_id: str) -> tuple[Job, StoredOutput] | None:
    """A finished job with what it made; None while there is nothing."""
    row = connection.execute(_ONE, {"job": job_id}).first()
    if row is None or row.rendered_at is None:
        return None
    made = videos.videos_of_jobs(connection, [job_id]).get(job_id, ())
    return to_job(row), to_output(row, read_pictures(connection, [job_id])[job_id], made)


def read_pictures(connection: sa.Connection, job_ids: Iterable[str]) -> dict[str, list[StoredPicture]]:
    """The pictures of each of these jobs in order, the grid or chart first."""
    found: dict[str, list[StoredPicture]] = {job_id: [] for job_id in job_ids}
    for row in connection.execute(_PICTURES, {"jobs": list(found)}):
        found[row.job_id].append(to_picture(row))
    return found


def to_picture(row: sa.Row[Any], prefix: str = "") -> StoredPicture:
    """Return the picture of a row whose columns have their names behind ``prefix``."""
    return StoredPicture(*(getattr(row, prefix + name) for name in PICTURE_COLUMNS))


def to_output(
    row: sa.Row[Any], stored: Sequence[StoredPicture], made: tuple[StoredVideo, ...] = ()
) -> StoredOutput:
    """Return what a job's row, its pictures and its videos say that it made."""
    return StoredOutput(
        pictures=tuple(p for p in stored if p.index != GRID),
        grid=next((p for p in stored if p.index == GRID), None),
        captions=tuple(json.loads(row.captions or "[]")),
        scores=tuple((label, score) for label, score in json.loads(row.scores or "[]")),
        answer=to_answer(row),
        lines=tuple(map(line_from_stored, json.loads(row.lines or "[]"))),
        parameters=json.loads(row.parameters or "{}"),
        videos=made,
    )


def to_answer(row: sa.Row[Any]) -> ChatAnswer | None:
    """Return the answer that a job's row holds, None where there is none."""
    if not row.answer:
        return None
    found: dict[str, Any] = json.loads(row.answer)
    sides = tuple((width, height) for width, height in found.pop("pictures", ()))
    boxes = tuple(Box(**box) for box in found.pop("boxes", ()))
    if (table := found.get("table")) is not None:
        found["table"] = Table(tuple(table["columns"]), tuple(map(tuple, table["rows"])), table["title"])
    return ChatAnswer(**found, pictures=sides, boxes=boxes)


def count_children(connection: sa.Connection, job_id: str, index: int) -> int:
    """How many jobs were made from picture ``index`` of this one."""
    made = (sa.text(CHILD), jobs.c.parent_id == job_id, sa.func.coalesce(jobs.c.parent_index, 0) == index)
    return connection.execute(sa.select(sa.func.count()).select_from(jobs).where(*made)).scalar_one()


def captions_of(connection: sa.Connection, user_id: int, sha256s: Sequence[str]) -> dict[str, str]:
    """Return the first caption of the newest job in which the person had each picture described, by its
    SHA-256; of those that they had."""
    described = (jobs.c.user_id == user_id, jobs.c.captions.is_not(None), inputs.c.sha256.in_(sha256s))
    found = sa.select(inputs.c.sha256, jobs.c.captions).join(jobs, jobs.c.id == inputs.c.job_id)
    rows = connection.execute(found.where(*described).order_by(jobs.c.created_at)).all()
    return {row.sha256: captions[0] for row in rows if (captions := json.loads(row.captions))}


def waiting_statement() -> sa.Select[Any]:
    """Return the statement for all queued jobs, in order of arrival."""
    return sa.select(*WAITING).where(sa.text(QUEUED)).order_by(jobs.c.seq)


def list_waiting(connection: sa.Connection) -> list[WaitingRow]:
    """Every queued job, in order of arrival."""
    return [to_waiting(row) for row in _pages(connection, waiting_statement())]


def list_running(connection: sa.Connection) -> list[RunningRow]:
    """Every running job whose row can be read."""
    rows = connection.execute(sa.select(jobs).where(sa.text(RUNNING)).order_by(jobs.c.seq))
    return [
        RunningRow(job, to_waiting(row), row.lease_token or "", row.device or "")
        for row in rows
        if (job := readable(row)) is not None
    ]


def undelivered(connection: sa.Connection) -> list[Job]:
    """Discord's jobs whose end nobody was told yet, whatever their status, in order of arrival."""
    statement = sa.select(jobs).where(sa.text(UNDELIVERED), IS_DISCORDS).order_by(jobs.c.seq)
    return [job for row in _pages(connection, statement) if (job := readable(row))]


def last_picture(connection: sa.Connection, user_id: int) -> Job | None:
    """The user's newest finished job that made pictures."""
    made = (jobs.c.user_id == user_id, jobs.c.kind.in_(STILL_KINDS), jobs.c.rendered_at.is_not(None))
    row = connection.execute(sa.select(jobs).where(*made).order_by(jobs.c.seq.desc()).limit(1)).first()
    return None if row is None else to_job(row)


def durations(connection: sa.Connection) -> list[tuple[str, float]]:
    """(cost key, seconds) of the finished ones among the last 1,000 jobs, oldest first."""
    last = sa.select(sa.func.max(jobs.c.seq)).scalar_subquery()
    finished = (jobs.c.seq > last - 1000, jobs.c.run_seconds.is_not(None))
    statement = sa.select(jobs.c.cost_key, jobs.c.run_seconds).where(*finished).order_by(jobs.c.seq)
    return [(row.cost_key, row.run_seconds) for row in connection.execute(statement)]


def _pages(connection: sa.Connection, statement: sa.Select[Any]) -> Iterator[sa.Row[Any]]:
    """All rows of a statement that is ordered by seq, a page at a time: turning ten thousand rows into
    Python's values at once would hold up the event loop."""
    last = -1
    while True:
        page = connection.execute(statement.where(jobs.c.seq > last).limit(PAGE)).all()
        yield from page
        if len(page) < PAGE:
            return
        last = page[-1].seq


def to_job(row: sa.Row[Any]) -> Job:
    """UnreadableJob for a row of another version of the program."""
    try:
        return Job(
            id=row.id,
            request=from_json(row.kind, row.request),
            status=Status(row.status),
            lane=Lane(row.lane),
            origin=Origin(
                user_id=row.user_id,
                channel_id=row.channel_id,
                guild_id=row.guild_id,
                roles=tuple(json.loads(row.roles)),
                private=bool(row.private),
                surface=Surface(row.surface),
                request_key=row.request_key,
                press_key=row.press_key,
                away=bool(row.away),
                language=row.language,
            ),
            reply=Reply(*_REPLY(row)),
            created_at=row.created_at,
            parent_id=row.parent_id,
            parent_index=row.parent_index,
            attempts=row.attempts,
            started_at=row.started_at,
            rendered_at=row.rendered_at,
            finished_at=row.finished_at,
            error=row.error,
            device=row.device,
            run_seconds=row.run_seconds,
        )
    except (AtelierError, ValueError, TypeError) as error:
        raise UnreadableJob(
            f"job {row.id} was written by another version of Atelier and can't be read: {error}"
        ) from error


def open_to(reader: sa.ColumnElement[int] | int) -> sa.ColumnElement[bool]:
    """Return the condition that a job is user ``reader``'s, or is shown in any server and not private."""
    posted = sa.exists().where(messages.c.job_id == jobs.c.id, messages.c.guild_id.is_not(None))
    shown = sa.or_(jobs.c.guild_id.is_not(None), posted)
    return sa.or_(jobs.c.user_id == reader, sa.and_(jobs.c.private == 0, shown))


def readable(row: sa.Row[Any]) -> Job | None:
    """One job of another version must not hide the others."""
    try:
        return to_job(row)
    except UnreadableJob as error:
        log.warning("%s", error)
        return None


def of_camera() -> sa.ColumnElement[bool]:
    """Return the condition that a job judges a picture that came by a watch."""
    return sa.exists().where(watch_pictures.c.job_id == jobs.c.id)


def newest_about(connection: sa.Connection, user_id: int, kind: str, about: str, limit: int) -> list[Job]:
    """Return a person's newest jobs of a kind whose request names ``about``, an id, but those of cameras, the
    newest first."""
    named = jobs.c.request.contains(f'"{about}"', autoescape=True)
    mine = (jobs.c.user_id == user_id, jobs.c.kind == kind, named, ~of_camera())
    statement = sa.select(jobs).where(*mine)
    found = connection.execute(statement.order_by(jobs.c.seq.desc()).limit(limit))
    return [job for row in found if (job := readable(row)) is not None]


def to_waiting(row: sa.Row[Any]) -> WaitingRow:
    """Return a row of the columns ``WAITING`` as ordering takes it."""
    return from_row(WaitingRow, row, lane=Lane(row.lane))


class model_of(sa.sql.functions.GenericFunction[str]):
    """The name of the model in a job's parameters, which are JSON."""

    type = sa.Text()
    inherit_cache = True


@compiles(model_of)
def _model_in_sqlite(element: model_of, compiler: Any, **options: Any) -> str:
    return f"json_extract({compiler.process(element.clauses, **options)}, '$.model')"


@compiles(model_of, "postgresql")
def _model_in_postgres(element: model_of, compiler: Any, **options: Any) -> str:
    return f"({compiler.process(element.clauses, **options)}::json ->> 'model')"
