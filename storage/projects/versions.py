"""Rows of what a project's model learns from, of the versions that came of it, and of their verdicts.

What a training learns from is copied when it is asked for; a picture that is deleted goes out of the copy, so
that the worker is never told of it, and what was told of it before is spoilt."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from core.job import Job
from core.requests.custom_models import MARKED, STYLE, TrainRequest
from core.results import TEST, TRAIN, LearnedFrom, Verdict
from storage import webhooks
from storage.people import from_row, total
from storage.projects.dataset import LABELLED, LEFT_OUT, Box, marks_of
from storage.schema import (
    UNFINISHED,
    items,
    job_files,
    jobs,
    projects,
    training_items,
    trainings,
    verdicts,
    version_files,
    version_items,
    versions,
)

CANDIDATE, ACTIVE, RETIRED, TAINTED = "candidate", "active", "retired", "tainted"
_ITEM = ("sha256", "label", "group_key", "part")


@dataclass(frozen=True)
class StoredModel:
    """``core.results.Learned`` with a file in place of a path. size: bytes. charts: (name, SHA-256, type)."""

    artefact: str
    size: int
    items: tuple[LearnedFrom, ...] = field(repr=False)
    threshold: float | None = None
    promise: float | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    charts: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True)
class Told:
    """What a training is to learn from: pictures in the order of their hashes. spoilt: an earlier try was
    told of pictures that are deleted, so that nothing of it may be used. boxes: (label, left, top, right,
    bottom), sides in 0..1, by SHA-256 of pictures that have some. masks: SHA-256 of what is painted on them,
    likewise."""

    items: tuple[LearnedFrom, ...]
    spoilt: bool = False
    boxes: Mapping[str, tuple[Box, ...]] = field(default_factory=dict)
    masks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Version:
    """A version of a project's model.

    state: CANDIDATE, ACTIVE (the one that is used), RETIRED (used before), or TAINTED: some of what it had
    learned from was deleted. artefact: SHA-256 of its file, None where that is deleted. settings: of the
    request. asked_at: when its training was asked for; what came later isn't in it.
    """

    project_id: str
    number: int
    user_id: int
    state: str
    artefact: str | None
    size: int
    threshold: float | None
    promise: float | None
    settings: dict[str, Any]
    metrics: dict[str, Any]
    asked_at: datetime
    at: datetime
    job_id: str | None = None


def begin_training(connection: sa.Connection, job: Job, request: TrainRequest) -> int:
    """Note a training that is asked for, with what it is to learn from; return how many pictures that is.

    Labelled pictures, of a style all that aren't left out; what any version was tested on stays for testing.
    One that stands in for another version learns from what is left of that one's.
    """
    row = {"job_id": job.id, "project_id": request.project}
    connection.execute(sa.insert(trainings).values(**row))
    if request.replaces:
        old = (version_items.c.project_id == request.project, version_items.c.number == request.replaces)
        found = sa.select(sa.literal(job.id), *(version_items.c[name] for name in _ITEM)).where(*old)
    else:
        tested = sa.exists().where(
            version_items.c.project_id == items.c.project_id,
            version_items.c.sha256 == items.c.sha256,
            version_items.c.part == TEST,
        )
        part = sa.case((tested, TEST), else_=TRAIN)
        wanted = items.c.state != LEFT_OUT if request.task == STYLE else items.c.state == LABELLED
        columns = (items.c.sha256, items.c.label, items.c.group_key, part)
        found = sa.select(sa.literal(job.id), *columns).where(items.c.project_id == request.project, wanted)
    connection.execute(sa.insert(training_items).from_select(["job_id", *_ITEM], found))
    count = sa.select(sa.func.count()).where(training_items.c.job_id == job.id)
    return connection.execute(count).scalar_one()


def read_lesson(connection: sa.Connection, job_id: str) -> Told:
    """Return what a training is to learn from now, and count what an earlier try was told as not told."""
    mine = trainings.c.job_id == job_id
    row = connection.execute(sa.select(trainings).where(mine)).first()
    if row is None:  # its project is gone
        return Told(())
    connection.execute(sa.update(trainings).where(mine, trainings.c.spoilt == 1).values(spoilt=0))
    found = named_anew(_items(connection, training_items, training_items.c.job_id == job_id))
    return Told(found, row.spoilt == 1, *_places(connection, row.project_id, found))


def _places(
    connection: sa.Connection, project_id: str, found: Sequence[LearnedFrom]
) -> tuple[dict[str, tuple[Box, ...]], dict[str, str]]:
    """Return where people have marked what pictures are called by, or the objects in them, in boxes and by
    masks: of each the latest word, of objects also that there is none."""
    labels = {one.sha256: one.label for one in found}
    said = marks_of(connection, project_id, labels)
    boxes: dict[str, tuple[Box, ...]] = {}
    masks: dict[str, str] = {}
    for sha256, voices in said.items():
        mine = [mark for mark in voices if mark.label == labels[sha256]]
        marked = [mark for mark in mine if mark.boxes or mark.mask or mark.label == MARKED][-1:]
        drawn = [box for mark in marked for box in mark.boxes]
        if inside := tuple(box for box in drawn if box[1] < box[3] and box[2] < box[4]):
            boxes[sha256] = inside
        if marked and marked[0].mask:
            masks[sha256] = marked[0].mask
    return boxes, masks


def named_anew(found: Sequence[LearnedFrom]) -> tuple[LearnedFrom, ...]:
    """Return pictures in the order of their hashes, their groups named by the first of each: the same
    pictures in the same groups are the same text, whatever else a group had."""
    first: dict[str, str] = {}
    ordered = sorted(found, key=lambda one: one.sha256)
    for one in ordered:
        if one.group:
            first.setdefault(one.group, one.sha256)
    return tuple(LearnedFrom(one.sha256, one.label, first.get(one.group, ""), one.part) for one in ordered)


def add_version(
    connection: sa.Connection, job_id: str, job: sa.Row[Any], model: StoredModel, *, now: datetime
) -> Version | None:
    """Write the version that a training has made. job: its columns user_id, request and created_at.

    None when its project is gone. What it was told of and was deleted meanwhile taints it at once, and its
    project is due again. The first version is used at once, and so is one that stands in for another.
    """
    asked = connection.execute(sa.select(trainings).where(trainings.c.job_id == job_id)).first()
    if asked is None:
        return None
    settings = json.loads(job.request)
    project_id, replaces = asked.project_id, int(settings.get("replaces", 0))
    copied = sa.select(training_items.c.sha256).where(training_items.c.job_id == job_id)
    left = set(connection.scalars(copied))
    kept = tuple(one for one in model.items if one.sha256 in left)
    spoilt = bool(asked.spoilt) or len(kept) < len(model.items)
    mine = versions.c.project_id == project_id
    last = sa.select(sa.func.coalesce(sa.func.max(versions.c.number), 0)).where(mine)
    number = connection.execute(last).scalar_one() + 1
    used = connection.execute(sa.select(versions.c.number).where(mine, versions.c.state == ACTIVE)).first()
    state = TAINTED if spoilt else ACTIVE if used is None else CANDIDATE
    values = {
        **{name: getattr(model, name) for name in ("artefact", "size", "threshold", "promise")},
        "user_id": job.user_id,
        "job_id": job_id,
        "state": state,
        "settings": json.dumps(settings, ensure_ascii=False),
        "metrics": json.dumps(dict(model.metrics), ensure_ascii=False),
        "asked_at": job.created_at,
        "at": now,
    }
    key = {"project_id": project_id, "number": number}
    connection.execute(sa.insert(versions).values(**key, **values))
    rows = [
        {**key, "sha256": one.sha256, "label": one.label, "group_key": one.group, "part": one.part}
        for one in kept
    ]
    if rows:
        connection.execute(sa.insert(version_items), rows)
    for position, (name, sha256, media_type) in enumerate(model.charts):
        row = {"name": name, "position": position, "sha256": sha256, "media_type": media_type}
        connection.execute(sa.insert(version_files).values(**key, **row))
    groups = {one.sha256: one.group for one in kept}  # which pictures show the same thing, as it was found
    known = sa.select(items.c.sha256, items.c.group_key).where(items.c.project_id == project_id)
    for sha256, group in connection.execute(known).all():
        if groups.get(sha256, group) != group:
            same = (items.c.project_id == project_id, items.c.sha256 == sha256)
            connection.execute(sa.update(items).where(*same).values(group_key=groups[sha256]))
    connection.execute(sa.delete(trainings).where(trainings.c.job_id == job_id))
    due = number if spoilt and (replaces or used is None) else 0
    if due or replaces:
        connection.execute(sa.update(projects).where(projects.c.id == project_id).values(due=due))
    return read_version(connection, project_id, number)


def owned_with(guild_id: int | None, user_id: int) -> sa.ColumnElement[bool]:
    """Return the condition that a project is the server's, or where that is None, the person's own."""
    alone = sa.and_(projects.c.guild_id.is_(None), projects.c.user_id == user_id)
    return alone if guild_id is None else projects.c.guild_id == guild_id


def count_trainings(connection: sa.Connection, project_id: str) -> int:
    """Return how many trainings of a project's server, or of its owner's own projects, aren't over."""
    mine = sa.select(projects.c.guild_id, projects.c.user_id).where(projects.c.id == project_id)
    owner = connection.execute(mine).first()
    if owner is None:
        return 0
    whose = owned_with(owner.guild_id, owner.user_id)
    joined = trainings.join(projects, projects.c.id == trainings.c.project_id)
    joined = joined.join(jobs, jobs.c.id == trainings.c.job_id)
    statement = sa.select(sa.func.count()).select_from(joined).where(whose, sa.text(UNFINISHED))
    return connection.execute(statement).scalar_one()


def unfinished(connection: sa.Connection, project_id: str) -> list[str]:
    """Return the jobs of a project's trainings that aren't over, the oldest first."""
    joined = trainings.join(jobs, jobs.c.id == trainings.c.job_id)
    mine = sa.select(jobs.c.id).select_from(joined).where(trainings.c.project_id == project_id)
    return list(connection.execute(mine.where(sa.text(UNFINISHED)).order_by(jobs.c.seq)).scalars())


def read_version(connection: sa.Connection, project_id: str, number: int | None = None) -> Version | None:
    """Return a version, None = the one that is used; None when there is none such."""
    chosen = versions.c.state == ACTIVE if number is None else versions.c.number == number
    row = connection.execute(sa.select(versions).where(versions.c.project_id == project_id, chosen)).first()
    return None if row is None else _version(row)


def read_version_of_job(connection: sa.Connection, job_id: str) -> Version | None:
    """Return the version that a training has made."""
    row = connection.execute(sa.select(versions).where(versions.c.job_id == job_id)).first()
    return None if row is None else _version(row)


def list_versions(connection: sa.Connection, project_id: str) -> list[Version]:
    """Return a project's versions, the newest first."""
    mine = sa.select(versions).where(versions.c.project_id == project_id)
    return [_version(row) for row in connection.execute(mine.order_by(versions.c.number.desc()))]


def use_version(connection: sa.Connection, project_id: str, number: int) -> bool:
    """Let this version be the one that is used; False when its file is gone."""
    mine = versions.c.project_id == project_id
    there = (mine, versions.c.number == number, versions.c.artefact.is_not(None), versions.c.state != TAINTED)
    if connection.execute(sa.select(versions.c.number).where(*there)).first() is None:
        return False
    before = (mine, versions.c.state == ACTIVE, versions.c.number != number)
    connection.execute(sa.update(versions).where(*before).values(state=RETIRED))
    connection.execute(sa.update(versions).where(*there).values(state=ACTIVE))
    return True


def judge_by(
    connection: sa.Connection, project_id: str, number: int, threshold: float, promise: float | None
) -> None:
    """Let a version judge by another threshold, with what that promises."""
    mine = (versions.c.project_id == project_id, versions.c.number == number)
    connection.execute(sa.update(versions).where(*mine).values(threshold=threshold, promise=promise))


def learned_from(connection: sa.Connection, project_id: str, number: int) -> tuple[LearnedFrom, ...]:
    """Return what a version learned from and was tested on, without what was deleted since."""
    mine = (version_items.c.project_id == project_id, version_items.c.number == number)
    return named_anew(_items(connection, version_items, sa.and_(*mine)))


def charts(connection: sa.Connection, project_id: str, number: int) -> list[tuple[str, str, str]]:
    """Return a version's report, (name, SHA-256, media type) in order."""
    mine = (version_files.c.project_id == project_id, version_files.c.number == number)
    found = connection.execute(sa.select(version_files).where(*mine).order_by(version_files.c.position))
    return [(row.name, row.sha256, row.media_type) for row in found]


def new_since(connection: sa.Connection, project_id: str, asked_at: datetime) -> int:
    """Return how many labelled pictures came, or got another label, since a training was asked for."""
    mine = (items.c.project_id == project_id, items.c.state == LABELLED, items.c.changed_at > asked_at)
    return connection.execute(sa.select(sa.func.count()).where(*mine)).scalar_one()


def stale(connection: sa.Connection, keep: int) -> list[tuple[str, int]]:
    """Return (project, number) of versions whose files aren't needed: tainted ones, and all that are older
    than the newest ``keep`` of their project and not in use."""
    there = sa.select(versions.c.project_id, versions.c.number, versions.c.state)
    newest = there.where(versions.c.artefact.is_not(None)).order_by(versions.c.number.desc())
    found, kept = list[tuple[str, int]](), Counter[str]()
    for project_id, number, state in connection.execute(newest):
        if state != TAINTED:
            kept[project_id] += 1
        if state == TAINTED or (kept[project_id] > keep and state != ACTIVE):
            found.append((project_id, number))
    return found


def give_up(connection: sa.Connection, some: Iterable[tuple[str, int]]) -> set[str]:
    """Let versions have no file any more; return the files that they named."""
    files = set[str]()
    for project_id, number in some:
        mine = (versions.c.project_id == project_id, versions.c.number == number)
        named = sa.select(versions.c.artefact).where(*mine, versions.c.artefact.is_not(None))
        files |= set(connection.scalars(named))
        connection.execute(sa.update(versions).where(*mine).values(artefact=None))
    return files


def _items(connection: sa.Connection, table: sa.Table, condition: Any) -> list[LearnedFrom]:
    found = connection.execute(sa.select(*(table.c[name] for name in _ITEM)).where(condition))
    return [LearnedFrom(*row) for row in found]


def _version(row: sa.Row[Any]) -> Version:
    return from_row(Version, row, settings=json.loads(row.settings), metrics=json.loads(row.metrics))


@dataclass(frozen=True)
class StoredFile:
    """A file that a job has made to be taken elsewhere. size: bytes."""

    name: str
    sha256: str
    media_type: str
    size: int


@dataclass(frozen=True)
class Judged:
    """A verdict as its row has it. position: of its picture in the job, from 0. number: of the version.
    is_right: what somebody found it, None = nobody has said."""

    job_id: str
    position: int
    project_id: str
    number: int
    sha256: str
    score: float
    label: str
    strange: bool
    at: datetime
    is_right: bool | None = None


@dataclass(frozen=True)
class Tally:
    """Verdicts of a version: how many, how many of them strange, and found right and wrong by people."""

    verdicts: int = 0
    strange: int = 0
    right: int = 0
    wrong: int = 0


def write_results(
    connection: sa.Connection,
    job_id: str,
    job: sa.Row[Any],
    files: Sequence[StoredFile],
    model: StoredModel | None,
    said: Sequence[Verdict],
    *,
    now: datetime,
) -> None:
    """Write what a finished job has made. job: its columns user_id, request and created_at."""
    for file in files:
        connection.execute(sa.insert(job_files).values(job_id=job_id, **vars(file)))
    if model is not None and (version := add_version(connection, job_id, job, model, now=now)):
        made = (job_id, job.user_id, version.project_id)
        webhooks.note_made(connection, webhooks.TRAINED, *made, now=now)
    if said:
        asked = json.loads(job.request)
        there = sa.select(projects.c.id).where(projects.c.id == asked["project"])
        if connection.execute(there).first() is None:
            return
        rows = [
            {
                "job_id": job_id,
                "position": position,
                "project_id": asked["project"],
                "number": asked["version"],
                **{name: getattr(one, name) for name in ("sha256", "score", "label")},
                "strange": int(one.strange),
                "at": now,
            }
            for position, one in enumerate(said)
        ]
        connection.execute(sa.insert(verdicts), rows)
        made = (job_id, job.user_id, asked["project"])
        webhooks.note_made(connection, webhooks.VERDICT, *made, now=now)


def files_of(connection: sa.Connection, job_id: str) -> list[StoredFile]:
    """Return the files that a job has made to be taken elsewhere, by name."""
    mine = sa.select(job_files).where(job_files.c.job_id == job_id).order_by(job_files.c.name)
    return [from_row(StoredFile, row) for row in connection.execute(mine)]


def read_verdicts(connection: sa.Connection, job_id: str) -> list[Judged]:
    """Return a job's verdicts in the order of its pictures."""
    mine = sa.select(verdicts).where(verdicts.c.job_id == job_id).order_by(verdicts.c.position)
    return [_judged(row) for row in connection.execute(mine)]


def answer_verdict(
    connection: sa.Connection, job_id: str, position: int, is_right: bool, user_id: int
) -> Judged | None:
    """Note what somebody finds a verdict, in place of what was found before; None when there is none."""
    mine = (verdicts.c.job_id == job_id, verdicts.c.position == position)
    values = {"is_right": int(is_right), "answered_by": user_id}
    row = connection.execute(sa.update(verdicts).where(*mine).values(**values).returning(*verdicts.c)).first()
    return None if row is None else _judged(row)


def tally(connection: sa.Connection, project_id: str, number: int) -> Tally:
    """Return what came of a version's verdicts."""

    told = (verdicts.c.strange == 1, verdicts.c.is_right == 1, verdicts.c.is_right == 0)
    totals = (total(sa.case((condition, 1), else_=0)) for condition in told)
    mine = (verdicts.c.project_id == project_id, verdicts.c.number == number)
    row = connection.execute(sa.select(sa.func.count(), *totals).where(*mine)).one()
    return Tally(*map(int, row))


def _judged(row: sa.Row[Any]) -> Judged:
    right = None if row.is_right is None else bool(row.is_right)
    return from_row(Judged, row, strange=bool(row.strange), is_right=right)
