"""Rows of a project's pictures, of what people call them, and which of them is asked about next: what people
disagree about, then what its model is least sure of, then what isn't like anything it knows, then the rest.

A picture's label is what all votes agree on, once there are as many as its project asks for: one person's
word is enough unless it says otherwise. Two that differ make it disputed until one of them gives way."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from core.job import NOBODY
from core.requests.custom_models import ANOMALY, MARKED
from storage.people import PAGE, from_row, pages
from storage.schema import ACTIVE, items, jobs, marks, projects, verdicts, versions

NEW, LABELLED, DISPUTED, LEFT_OUT = "new", "labelled", "disputed", "left_out"
Box = tuple[str, float, float, float, float]  # label, left, top, right, bottom; in 0..1 of the sides


@dataclass(frozen=True)
class Incoming:
    """A picture that is added. label: as whoever brings it calls it, "" = not at all. group: of shots of the
    same thing, "" = not known. job_id: whose picture it is, if a job's. boxes, mask: as of ``Mark``."""

    sha256: str
    label: str = ""
    group: str = ""
    job_id: str | None = None
    boxes: tuple[Box, ...] = ()
    mask: str | None = None


@dataclass(frozen=True)
class Item:
    """A picture of a project. label: that is agreed on. state: NEW, LABELLED, DISPUTED or LEFT_OUT."""

    sha256: str
    user_id: int
    label: str
    state: str
    group: str
    added_at: datetime
    job_id: str | None = None


@dataclass(frozen=True)
class Mark:
    """What somebody (0 = deleted) calls a picture, and where. mask: SHA-256 of a black and white picture."""

    user_id: int
    label: str
    boxes: tuple[Box, ...] = ()
    mask: str | None = None


@dataclass(frozen=True)
class Counts:
    """How many pictures a project has. labels: by agreed label. states: by state. voiced: without a label
    still, though somebody has called them something: it takes more people. said: those of them that the
    reader has called something."""

    total: int = 0
    labels: dict[str, int] = field(default_factory=dict)
    states: dict[str, int] = field(default_factory=dict)
    voiced: int = 0
    said: int = 0


@dataclass(frozen=True)
class Added:
    """What became of pictures that were added, by SHA-256. over: those for which there was no room."""

    new: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    over: tuple[str, ...] = ()

    def __or__(self, other: Added) -> Added:
        return Added(self.new + other.new, self.known + other.known, self.over + other.over)


def add_items(
    connection: sa.Connection,
    project_id: str,
    user_id: int,
    coming: Sequence[Incoming],
    *,
    most: int,
    now: datetime,
) -> Added:
    """Write pictures that somebody brings, and what they call them. most: that the project may have."""
    there = set(connection.scalars(sa.select(items.c.sha256).where(items.c.project_id == project_id)))
    new, known, over = list[str](), list[str](), list[str]()
    for one in coming:
        if one.sha256 in there:
            known.append(one.sha256)
        elif len(there) >= most:
            over.append(one.sha256)
            continue
        else:
            values = {"job_id": one.job_id, "group_key": one.group, "added_at": now, "changed_at": now}
            row = {"project_id": project_id, "sha256": one.sha256, "user_id": user_id, **values}
            connection.execute(sa.insert(items).values(**row))
            there.add(one.sha256)
            new.append(one.sha256)
        if one.label:
            mark_item(
                connection, project_id, one.sha256, Mark(user_id, one.label, one.boxes, one.mask), now=now
            )
    return Added(tuple(new), tuple(dict.fromkeys(known)), tuple(over))


def mark_item(connection: sa.Connection, project_id: str, sha256: str, voice: Mark, *, now: datetime) -> None:
    """Note what somebody calls a picture, in place of what they called it before; "" takes it back."""
    mine = (*_of(marks, project_id, sha256), marks.c.user_id == voice.user_id)
    connection.execute(sa.delete(marks).where(*mine))
    if voice.label:
        values = {"user_id": voice.user_id, "label": voice.label, "boxes": json.dumps(voice.boxes)}
        row = {"project_id": project_id, "sha256": sha256, "mask": voice.mask, "at": now, **values}
        connection.execute(sa.insert(marks).values(**row))
    agree(connection, project_id, sha256, now=now)
    if voice.boxes or voice.label == MARKED:  # the same label in another place is something new to learn
        mine = (*_of(items, project_id, sha256), items.c.state == LABELLED)
        connection.execute(sa.update(items).where(*mine).values(changed_at=now))


def agree(connection: sa.Connection, project_id: str, sha256: str, *, now: datetime) -> None:
    """Write what all voices on a picture come to; one that is left out stays so."""
    voices = sa.select(projects.c.voices).where(projects.c.id == project_id)
    number = connection.execute(voices).scalar_one()
    said = sa.select(marks.c.label).where(*_of(marks, project_id, sha256))
    label, state = _agreed(list(connection.execute(said).scalars()), number)
    mine = (*_of(items, project_id, sha256), items.c.state != LEFT_OUT)
    changed = sa.or_(items.c.label != label, items.c.state != state)
    values = {"label": label, "state": state, "changed_at": now}
    connection.execute(sa.update(items).where(*mine, changed).values(**values))


def _agreed(said: Sequence[str], voices: int) -> tuple[str, str]:
    """Return the label that so many votes come to, "" = none, and the state of what they are about."""
    if len(set(said)) > 1:
        return "", DISPUTED
    return (said[0], LABELLED) if len(said) >= voices else ("", NEW)


def take_voices(connection: sa.Connection, project_id: str, voices: int, *, now: datetime) -> None:
    """Let a label of a project take so many voices, and write what those that there are come to."""
    connection.execute(sa.update(projects).where(projects.c.id == project_id).values(voices=voices))
    said: dict[str, list[str]] = {}
    words = sa.select(marks.c.sha256, marks.c.label).where(marks.c.project_id == project_id)
    for sha256, label in connection.execute(words):
        said.setdefault(sha256, []).append(label)
    there = sa.select(items.c.sha256, items.c.label, items.c.state).where(
        items.c.project_id == project_id, items.c.state != LEFT_OUT
    )
    for row in connection.execute(there).all():
        label, state = _agreed(said.get(row.sha256, []), voices)
        if (label, state) != (row.label, row.state):
            values = {"label": label, "state": state, "changed_at": now}
            connection.execute(sa.update(items).where(*_of(items, project_id, row.sha256)).values(**values))


def leave_out(
    connection: sa.Connection, project_id: str, sha256s: Collection[str], out: bool, *, now: datetime
) -> None:
    """Leave pictures out of what is learned from, or take them in again."""
    for page in pages(sha256s):
        mine = (items.c.project_id == project_id, items.c.sha256.in_(page))
        if out:
            connection.execute(sa.update(items).where(*mine).values(state=LEFT_OUT, label="", changed_at=now))
            continue
        connection.execute(sa.update(items).where(*mine, items.c.state == LEFT_OUT).values(state=NEW))
        for sha256 in page:
            agree(connection, project_id, sha256, now=now)


def relabel(connection: sa.Connection, project_id: str, old: str, new: str, *, now: datetime) -> None:
    """Call ``new`` whatever was called ``old``, boxes too; "" = nothing: such boxes go."""
    named = (marks.c.project_id == project_id, marks.c.label == old)
    touched = list(connection.execute(sa.select(marks.c.sha256).distinct().where(*named)).scalars())
    if new:
        connection.execute(sa.update(marks).where(*named).values(label=new))
    else:
        connection.execute(sa.delete(marks).where(*named))
    for sha256 in touched:
        agree(connection, project_id, sha256, now=now)
    drawn = (marks.c.project_id == project_id, marks.c.boxes != "[]")
    for row in connection.execute(sa.select(marks.c.seq, marks.c.sha256, marks.c.boxes).where(*drawn)).all():
        boxes = json.loads(row.boxes)
        if old not in (box[0] for box in boxes):
            continue
        kept = [[new if box[0] == old else box[0], *box[1:]] for box in boxes if new or box[0] != old]
        connection.execute(sa.update(marks).where(marks.c.seq == row.seq).values(boxes=json.dumps(kept)))
        mine = (*_of(items, project_id, row.sha256), items.c.state == LABELLED)
        connection.execute(sa.update(items).where(*mine).values(changed_at=now))


def read_item(connection: sa.Connection, project_id: str, sha256: str) -> Item | None:
    """Return a picture of a project, None when it has none such."""
    row = connection.execute(sa.select(items).where(*_of(items, project_id, sha256))).first()
    return None if row is None else _item(row)


def read_items(
    connection: sa.Connection,
    project_id: str,
    *,
    label: str | None = None,
    state: str | None = None,
    after: str | None = None,
    limit: int = PAGE,
) -> list[Item]:
    """Return a project's pictures, the oldest first, of a label or state. after: SHA-256 of the last seen."""
    chosen: list[Any] = [items.c.project_id == project_id]
    chosen += [] if label is None else [items.c.label == label]
    chosen += [] if state is None else [items.c.state == state]
    if after is not None:
        seen = connection.execute(sa.select(items.c.added_at).where(*_of(items, project_id, after))).scalar()
        if seen is not None:
            later = sa.and_(items.c.added_at == seen, items.c.sha256 > after)
            chosen.append(sa.or_(items.c.added_at > seen, later))
    order = sa.select(items).where(*chosen).order_by(items.c.added_at, items.c.sha256).limit(limit)
    return [_item(row) for row in connection.execute(order)]


def caption_key(project_id: str, sha256: str) -> str:
    """Return what asks once for the caption of a style's picture."""
    return f"caption {project_id} {sha256}"


def described(connection: sa.Connection, project_id: str, sha256s: Collection[str]) -> dict[str, str]:
    """Return what jobs have written of a style's pictures, by SHA-256."""
    keys = {caption_key(project_id, sha256): sha256 for sha256 in sha256s}
    chosen = sa.select(jobs.c.request_key, jobs.c.captions).where(jobs.c.captions.is_not(None))
    brought = sa.select(items.c.user_id).where(items.c.project_id == project_id)
    mine = (jobs.c.user_id.in_(brought), jobs.c.request_key.in_(list(keys)))
    found = connection.execute(chosen.where(*mine))
    return {keys[row.request_key]: said[0] for row in found if (said := json.loads(row.captions))}


def called_by(user_id: int | None = None) -> sa.Exists:
    """Return the condition that a person, None = anybody, has called a picture something."""
    said = sa.exists().where(marks.c.project_id == items.c.project_id, marks.c.sha256 == items.c.sha256)
    return said if user_id is None else said.where(marks.c.user_id == user_id)


def count_items(connection: sa.Connection, project_id: str, user_id: int = NOBODY) -> Counts:
    """Return how many pictures there are of each label and in each state. user_id: of the reader."""
    number = sa.func.count()
    statement = sa.select(items.c.label, items.c.state, number).where(items.c.project_id == project_id)
    by_label, by_state = Counter[str](), Counter[str]()
    for label, state, count in connection.execute(statement.group_by(items.c.label, items.c.state)):
        by_state[state] += count
        if label:
            by_label[label] += count
    new = sa.select(number).where(items.c.project_id == project_id, items.c.state == NEW)
    voiced = connection.execute(new.where(called_by())).scalar_one()
    said = connection.execute(new.where(called_by(user_id))).scalar_one() if voiced else 0
    by = (dict(sorted(by_label.items())), dict(sorted(by_state.items())))
    return Counts(by_state.total(), *by, voiced, said)


def count_boxes(connection: sa.Connection, project_id: str) -> dict[str, int]:
    """Return how many boxes there are of each label, by the latest word on each labelled picture."""
    labelled = sa.select(items.c.sha256).where(items.c.project_id == project_id, items.c.state == LABELLED)
    latest = sa.select(sa.func.max(marks.c.seq)).where(
        marks.c.project_id == project_id, marks.c.sha256.in_(labelled)
    )
    drawn = sa.select(marks.c.boxes).where(marks.c.seq.in_(latest.group_by(marks.c.sha256)))
    counted = Counter(str(box[0]) for boxes in connection.scalars(drawn) for box in json.loads(boxes))
    return dict(sorted(counted.items()))


def marks_of(
    connection: sa.Connection, project_id: str, sha256s: Collection[str] | None = None
) -> dict[str, list[Mark]]:
    """Return what people call pictures (None = all of the project), by SHA-256, in order."""
    found: dict[str, list[Mark]] = {}
    statement = sa.select(marks).where(marks.c.project_id == project_id).order_by(marks.c.seq)
    for some in [None] if sha256s is None else pages(sha256s):
        chosen = statement if some is None else statement.where(marks.c.sha256.in_(some))
        for row in connection.execute(chosen):
            boxes = tuple(tuple(box) for box in json.loads(row.boxes))
            found.setdefault(row.sha256, []).append(Mark(row.user_id, row.label, boxes, row.mask))
    return found


def _item(row: sa.Row[Any]) -> Item:
    return from_row(Item, row, group=row.group_key)


def _of(table: sa.Table, project_id: str, sha256: str) -> tuple[Any, Any]:
    return table.c.project_id == project_id, table.c.sha256 == sha256


NEAR = 1.25  # times the limit, above or below it, that count as near
UNSURE = 0.6  # chance of its likeliest label below which a classifier isn't sure
FIRST, NEAR_LIMIT, UNLIKE, REST = range(4)


def next_item(
    connection: sa.Connection, project_id: str, user_id: int, sha256: str, skipped: Collection[str] = ()
) -> Item | None:
    """Return the picture that a person's label is wanted for after ``sha256`` ("" = first), from the
    beginning again behind the last one; None when there is none but those that were ``skipped``.

    Where one voice isn't enough, what they have called something already waits for others.
    """
    order = _order(connection, project_id, user_id, sha256)
    at = order.index(sha256) if sha256 in order else -1
    passed = {sha256, *skipped}
    wanted = next((name for name in (*order[at + 1 :], *order[: max(at, 0)]) if name not in passed), None)
    return None if wanted is None else read_item(connection, project_id, wanted)


def _order(connection: sa.Connection, project_id: str, user_id: int, sha256: str) -> list[str]:
    """Return the pictures that are asked about, in order, with ``sha256`` where it was before its label."""
    said = _verdicts(connection, project_id)
    mine = (marks.c.project_id == items.c.project_id, marks.c.sha256 == items.c.sha256)
    several = sa.select(sa.func.count()).where(*mine).scalar_subquery() > 1
    disputed = sa.or_(items.c.state == DISPUTED, sa.and_(items.c.sha256 == sha256, several))
    tier = sa.case((disputed, FIRST), else_=said.c.tier if said is not None else sa.literal(REST))
    source: sa.FromClause = items
    keys: list[Any] = [tier]
    if said is not None:
        source = items.outerjoin(said, said.c.sha256 == items.c.sha256)
        keys = [sa.func.coalesce(tier, REST), sa.func.coalesce(said.c.place, 0.0)]
    new = sa.and_(items.c.state == NEW, ~called_by(user_id))
    waiting = sa.or_(items.c.state == DISPUTED, new)
    chosen = (items.c.project_id == project_id, sa.or_(waiting, items.c.sha256 == sha256))
    statement = sa.select(items.c.sha256).select_from(source).where(*chosen)
    found = connection.execute(statement.order_by(*keys, items.c.added_at, items.c.sha256))
    return list(found.scalars())


def _verdicts(connection: sa.Connection, project_id: str) -> sa.Subquery | None:
    """Return the used version's verdicts: sha256, tier, and place within it; None where there is none."""
    used = sa.select(versions.c.number, versions.c.threshold, projects.c.task)
    used = used.join(projects, projects.c.id == versions.c.project_id)
    mine = (versions.c.project_id == project_id, sa.text(f"project_versions.{ACTIVE}"))
    version = connection.execute(used.where(*mine)).first()
    if version is None:
        return None
    score, strange = sa.func.max(verdicts.c.score), sa.func.max(verdicts.c.strange)
    if version.task == ANOMALY and version.threshold:
        ratio = score / version.threshold
        near = sa.and_(ratio <= NEAR, ratio >= 1 / NEAR)
        place = sa.case((near, sa.func.abs(ratio - 1)), (strange == 1, -ratio), else_=0.0)
    else:
        near = sa.and_(strange == 0, score < UNSURE)
        place = sa.case((near, score), else_=0.0)
    tier = sa.case((near, NEAR_LIMIT), (strange == 1, UNLIKE), else_=REST)
    of = (verdicts.c.project_id == project_id, verdicts.c.number == version.number)
    found = sa.select(verdicts.c.sha256, tier.label("tier"), place.label("place")).where(*of)
    return found.group_by(verdicts.c.sha256).subquery()


def unjudged(connection: sa.Connection, project_id: str, number: int, limit: int) -> list[str]:
    """Return pictures without a label that a version hasn't judged, in the order in which they came."""
    judged = sa.exists().where(
        verdicts.c.project_id == items.c.project_id,
        verdicts.c.sha256 == items.c.sha256,
        verdicts.c.number == number,
    )
    chosen = (items.c.project_id == project_id, items.c.state == NEW, ~judged)
    order = sa.select(items.c.sha256).where(*chosen).order_by(items.c.added_at, items.c.sha256)
    return list(connection.execute(order.limit(limit)).scalars())


def said_since(connection: sa.Connection, project_id: str, since: datetime) -> set[str]:
    """Return the pictures that anybody has called something since then."""
    mine = (marks.c.project_id == project_id, marks.c.at > since)
    return set(connection.execute(sa.select(marks.c.sha256).where(*mine)).scalars())
