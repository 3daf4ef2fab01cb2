"""Rows of watches, and of the pictures that came by them.

A picture is a job of the web like any other, and its row here says what became of it. The step that makes it
an alarm lets its job be told of by message, in one transaction, so a kill neither loses nor doubles one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from core.job import Job, Status
from storage import jobs as job_rows
from storage import pushes
from storage.job_queries import readable
from storage.people import from_row, insert_into, total
from storage.privacy import Removed, delete_jobs
from storage.schema import (
    IS_DISCORDS,
    KEYED,
    UNDELIVERED,
    inputs,
    jobs,
    uploads,
    verdicts,
    watch_pictures,
    watches,
)

UNTOLD = 100  # alarms at once
WAITING, GOOD, ALARM, QUIET, FAILED = "waiting", "good", "alarm", "quiet", "failed"
SNOOZED, HOURS, SAME, MANY = "snoozed", "hours", "same", "many"  # why a defect isn't posted


@dataclass(frozen=True)
class Watch:
    """A source of pictures. user_id: the person by whom they are asked about. source: a folder, as the
    operator has named it, and what is below. channel_id: that is told, 0 = the person alone. place: as the
    folder's clock has it, in ns; what it has changed before is done. quiet_until: nobody is told until then.
    trouble: why it sees nothing, a sentence. every: seconds between two looks at a camera. hours: at which
    nothing is posted, as typed. most: alarms of a minute. silent_after: minutes, 0 = never. sight: what it
    sees, JSON. is_silent, is_changed: that this was posted. notice: what was posted last besides alarms."""

    id: str
    project_id: str
    user_id: int
    camera: str
    source: str
    channel_id: int
    language: str
    keep_days: int
    created_at: datetime
    is_on: bool = True
    place: int = 0
    seen_at: datetime | None = None
    quiet_until: datetime | None = None
    trouble: str = ""
    every: int = 5
    hours: str = ""
    most: int = 6
    silent_after: int = 0
    is_silent: bool = False
    is_changed: bool = False
    sight: str = ""
    on_at: datetime | None = None
    digest_at: datetime | None = None
    reported_on: str = ""
    notice: str = ""


@dataclass(frozen=True)
class Watched:
    """A picture that came by a watch. state: WAITING, GOOD, ALARM (somebody is told), QUIET (strange, but
    nobody is told), FAILED. why: SNOOZED, HOURS, SAME or MANY of one that is QUIET. number: of the version
    that judged it, 0 = none yet. is_right: what somebody found of the verdict, None = nobody has said."""

    job_id: str
    watch_id: str
    camera: str
    file: str
    at: datetime
    state: str
    why: str = ""
    number: int = 0
    sha256: str = ""
    score: float = 0.0
    is_right: bool | None = None


@dataclass(frozen=True)
class Seen:
    """What a version has said of a project's watched pictures: how many it judged and stopped, and what
    people found of those."""

    judged: int = 0
    stopped: int = 0
    right: int = 0
    wrong: int = 0


@dataclass(frozen=True)
class Ended:
    """A picture whose job is over. strange: None where there is no verdict. look: its coarse cells."""

    job_id: str
    watch_id: str
    at: datetime
    look: str
    sha256: str
    strange: bool | None
    score: float | None


@dataclass(frozen=True)
class Day:
    """What a camera saw on a day, and what people found of it. drifts: the highest of each hour."""

    parts: int = 0
    stopped: int = 0
    right: int = 0
    wrong: int = 0
    drifts: tuple[float, ...] = ()


# Watches

_FLAGS = ("is_on", "is_silent", "is_changed")


def add_watch(connection: sa.Connection, made: Watch, *, most: int) -> bool:
    """Write a new watch; False where its project has ``most``. IntegrityError where it has such a camera."""
    mine = sa.select(sa.func.count()).where(watches.c.project_id == made.project_id)
    if connection.execute(mine).scalar_one() >= most:
        return False
    flags = {name: int(getattr(made, name)) for name in _FLAGS}
    connection.execute(sa.insert(watches).values({**vars(made), **flags}))
    return True


def list_watches(connection: sa.Connection, project_id: str) -> list[Watch]:
    """Return a project's watches by their cameras."""
    return _watches(connection, sa.select(watches).where(watches.c.project_id == project_id))


def list_running(connection: sa.Connection) -> list[Watch]:
    """Return all watches that are on."""
    return _watches(connection, sa.select(watches).where(watches.c.is_on == 1))


def read_watch(connection: sa.Connection, watch_id: str) -> Watch | None:
    """Return a watch, None where there is none."""
    return next(iter(_watches(connection, sa.select(watches).where(watches.c.id == watch_id))), None)


def _watches(connection: sa.Connection, statement: sa.Select[Any]) -> list[Watch]:
    found = connection.execute(statement.order_by(watches.c.project_id, watches.c.camera))
    return [from_row(Watch, row, **{name: bool(getattr(row, name)) for name in _FLAGS}) for row in found]


def change_watch(connection: sa.Connection, watch_id: str, values: Mapping[str, Any]) -> bool:
    """Change columns of a watch; False where there is none."""
    mine = sa.update(watches).where(watches.c.id == watch_id)
    return bool(connection.execute(mine.values(dict(values))).rowcount)


def turn_off(connection: sa.Connection, project_id: str) -> None:
    """Let nothing of a project's be watched any more."""
    connection.execute(sa.update(watches).where(watches.c.project_id == project_id).values(is_on=0))


# Pictures

_OWN = ("job_id", "watch_id", "file", "at", "state", "why")
_JUDGED = sa.and_(verdicts.c.job_id == watch_pictures.c.job_id, verdicts.c.position == 0)
_WITH_WATCH = watch_pictures.join(watches, watches.c.id == watch_pictures.c.watch_id)
_SAID = ("number", "sha256", "score", "is_right")
_ALL: sa.Select[Any] = sa.select(
    *(watch_pictures.c[name] for name in _OWN), watches.c.camera, *(verdicts.c[name] for name in _SAID)
).select_from(_WITH_WATCH.outerjoin(verdicts, _JUDGED))


def note_picture(
    connection: sa.Connection, watch_id: str, job_id: str, file: str, look: str, *, now: datetime
) -> None:
    """Note the job that judges a picture; nothing changes where it was noted before."""
    row = {"job_id": job_id, "watch_id": watch_id, "file": file, "at": now, "look": look}
    adding = insert_into(watch_pictures, connection.dialect.name).on_conflict_do_nothing()
    connection.execute(adding, row)
    connection.execute(sa.update(watches).where(watches.c.id == watch_id).values(seen_at=now))


def read_picture(connection: sa.Connection, job_id: str) -> Watched | None:
    """Return the picture that a job judges, None where it came by no watch."""
    row = connection.execute(_ALL.where(watch_pictures.c.job_id == job_id)).first()
    return None if row is None else _watched(row)


def find_job(connection: sa.Connection, user_id: int, key: str) -> str | None:
    """Return the job that a person's request key has made."""
    mine = (jobs.c.user_id == user_id, jobs.c.request_key == key, sa.text(KEYED))
    return connection.scalar(sa.select(jobs.c.id).where(*mine))


def count_waiting(connection: sa.Connection, watch_id: str) -> int:
    """Return how many pictures of a watch aren't judged yet."""
    mine = (watch_pictures.c.watch_id == watch_id, watch_pictures.c.state == WAITING)
    return connection.execute(sa.select(sa.func.count()).where(*mine)).scalar_one()


def list_ended(connection: sa.Connection, limit: int) -> list[Ended]:
    """Return pictures whose jobs are over while nothing has become of them here, in their order."""
    over = (Status.DELIVERED.value, Status.FAILED.value, Status.CANCELLED.value)
    joined = watch_pictures.join(jobs, jobs.c.id == watch_pictures.c.job_id).outerjoin(verdicts, _JUDGED)
    columns = tuple(watch_pictures.c[name] for name in ("job_id", "watch_id", "at", "look"))
    found: sa.Select[Any] = sa.select(*columns, verdicts.c.sha256, verdicts.c.strange, verdicts.c.score)
    waiting = (watch_pictures.c.state == WAITING, jobs.c.status.in_(over))
    rows = connection.execute(found.select_from(joined).where(*waiting).order_by(jobs.c.seq).limit(limit))
    return [
        from_row(
            Ended, row, strange=None if row.strange is None else bool(row.strange), sha256=row.sha256 or ""
        )
        for row in rows
    ]


def settle(
    connection: sa.Connection, job_id: str, state: str, why: str, drift: float, *, now: datetime
) -> bool:
    """Note what becomes of a picture, and let an alarm be told of by message, and by the browsers of the one
    whose own project it is; False where that was noted."""
    mine = (watch_pictures.c.job_id == job_id, watch_pictures.c.state == WAITING)
    noted = {"state": state, "why": why, "drift": drift, "told_at": now if state == ALARM else None}
    if not connection.execute(sa.update(watch_pictures).where(*mine).values(noted)).rowcount:
        return False
    if state == ALARM:
        job_rows.tell(connection, job_id)
        pushes.note_alarm(connection, job_id, now=now)
    return True


def list_shown(
    connection: sa.Connection, watch_id: str, *, since: datetime, but: str, limit: int
) -> list[tuple[str, str]]:
    """Return (job, SHA-256) of a watch's newest pictures since a time that were posted, or weren't because
    one of the same part was. but: of this job not."""
    posted = sa.or_(watch_pictures.c.state == ALARM, watch_pictures.c.why == SAME)
    mine = (watch_pictures.c.watch_id == watch_id, watch_pictures.c.at >= since, posted)
    columns = (watch_pictures.c.job_id, verdicts.c.sha256)
    found = sa.select(*columns).select_from(watch_pictures.join(verdicts, _JUDGED))
    found = found.where(*mine, watch_pictures.c.job_id != but).order_by(watch_pictures.c.at.desc())
    return [tuple(row) for row in connection.execute(found.limit(limit))]


def count_told(connection: sa.Connection, watch_id: str, since: datetime) -> int:
    """Return how many alarms of a watch were posted since a time."""
    mine = (watch_pictures.c.watch_id == watch_id, watch_pictures.c.state == ALARM)
    told = sa.select(sa.func.count()).where(*mine, watch_pictures.c.told_at >= since)
    return connection.execute(told).scalar_one()


def count_many(connection: sa.Connection, watch_id: str, since: datetime) -> int:
    """Return how many defects since a time weren't posted because there were many."""
    mine = (watch_pictures.c.watch_id == watch_id, watch_pictures.c.state == QUIET)
    many = sa.select(sa.func.count()).where(*mine, watch_pictures.c.why == MANY, watch_pictures.c.at > since)
    return connection.execute(many).scalar_one()


def newest_drift(connection: sa.Connection, watch_id: str) -> float:
    """Return by how far a camera's pictures have drifted, 0 where that isn't known."""
    mine = (watch_pictures.c.watch_id == watch_id, watch_pictures.c.state.in_((GOOD, ALARM, QUIET)))
    newest = sa.select(watch_pictures.c.drift).where(*mine).order_by(watch_pictures.c.at.desc()).limit(1)
    return connection.scalar(newest) or 0.0


def day_of(connection: sa.Connection, watch_id: str, begin: datetime, end: datetime) -> Day:
    """Return what a camera saw between two times."""
    joined = watch_pictures.join(verdicts, _JUDGED)
    mine = (watch_pictures.c.watch_id == watch_id, watch_pictures.c.at >= begin, watch_pictures.c.at < end)
    columns = (watch_pictures.c.at, watch_pictures.c.drift, verdicts.c.strange, verdicts.c.is_right)
    found = connection.execute(sa.select(*columns).select_from(joined).where(*mine)).all()
    drifts = [0.0] * 24
    for row in found:
        hour = min(int((row.at - begin) / timedelta(hours=1)), 23)
        drifts[hour] = max(drifts[hour], row.drift)
    stopped = [row.is_right for row in found if row.strange]
    return Day(len(found), len(stopped), stopped.count(1), stopped.count(0), tuple(drifts))


def list_untold(connection: sa.Connection) -> list[Job]:
    """Return the jobs of alarms that aren't delivered, in their order."""
    alarms = sa.select(watch_pictures.c.job_id).where(watch_pictures.c.state == ALARM)
    untold = sa.select(jobs).where(sa.text(UNDELIVERED), IS_DISCORDS, jobs.c.id.in_(alarms))
    rows = connection.execute(untold.order_by(jobs.c.seq).limit(UNTOLD))
    return [job for row in rows if (job := readable(row)) is not None]


def list_alarms(
    connection: sa.Connection, project_id: str, limit: int, before: datetime | None = None
) -> list[Watched]:
    """Return pictures that were stopped, told of or not, the newest first. before: only older ones."""
    which = [watches.c.project_id == project_id, watch_pictures.c.state.in_((ALARM, QUIET))]
    which += [watch_pictures.c.at < before] if before else []
    newest = _ALL.where(*which).order_by(watch_pictures.c.at.desc(), watch_pictures.c.job_id).limit(limit)
    return [_watched(row) for row in connection.execute(newest)]


def _watched(row: sa.Row[Any]) -> Watched:
    right = None if row.is_right is None else bool(row.is_right)
    told = {"number": row.number or 0, "sha256": row.sha256 or "", "score": row.score or 0.0}
    return from_row(Watched, row, is_right=right, **told)


def count_seen(connection: sa.Connection, project_id: str, number: int) -> Seen:
    """Return what came of a version's verdicts on watched pictures."""
    strange = verdicts.c.strange == 1
    told = (strange, sa.and_(strange, verdicts.c.is_right == 1), sa.and_(strange, verdicts.c.is_right == 0))
    sums = (total(sa.case((one, 1), else_=0)) for one in told)
    joined = _WITH_WATCH.join(verdicts, _JUDGED)
    mine = (watches.c.project_id == project_id, verdicts.c.number == number)
    row = connection.execute(sa.select(sa.func.count(), *sums).select_from(joined).where(*mine)).one()
    return Seen(*map(int, row))


# What goes


def jobs_of(connection: sa.Connection, *, project_id: str = "", watch_id: str = "") -> list[str]:
    """Return the jobs of a watch's pictures, or of all of a project's, the oldest first."""
    which = watches.c.id == watch_id if watch_id else watches.c.project_id == project_id
    found = sa.select(watch_pictures.c.job_id).select_from(_WITH_WATCH).where(which)
    return list(connection.scalars(found.order_by(watch_pictures.c.at)))


def list_overdue(connection: sa.Connection, now: datetime, limit: int) -> list[str]:
    """Return jobs of pictures that have been kept for as long as their watch says."""
    found = list[str]()
    for watch_id, days in connection.execute(sa.select(watches.c.id, watches.c.keep_days)).all():
        old = (watch_pictures.c.watch_id == watch_id, watch_pictures.c.at < now - timedelta(days=days))
        some = sa.select(watch_pictures.c.job_id).where(*old, watch_pictures.c.state != WAITING)
        found += connection.scalars(some.limit(limit - len(found)))
    return found


def drop_pictures(
    connection: sa.Connection, ids: Sequence[str], *, now: datetime, unpost: bool = True
) -> Removed:
    """Delete the jobs of watched pictures, and that their person has sent these. unpost: as of
    ``delete_jobs``."""
    sent = sa.select(inputs.c.sha256).where(inputs.c.job_id.in_(ids))
    whose = sa.select(jobs.c.user_id).where(jobs.c.id.in_(ids))
    used = sa.select(inputs.c.sha256).where(inputs.c.sha256 == uploads.c.sha256, inputs.c.job_id.not_in(ids))
    gone = (uploads.c.sha256.in_(sent), uploads.c.user_id.in_(whose), ~sa.exists(used))
    connection.execute(sa.delete(uploads).where(*gone))
    return delete_jobs(connection, ids, now=now, unpost=unpost)


def delete_watch(connection: sa.Connection, watch_id: str) -> None:
    """Delete a watch. Its pictures' jobs are deleted before."""
    connection.execute(sa.delete(watches).where(watches.c.id == watch_id))
