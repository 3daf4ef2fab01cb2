"""Rows of turns: what somebody said in a conversation with the studio and what that was taken for. Turns are
a tree; where somebody is in it, and what they are shown there, follows from the path to its root."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from datetime import datetime
from itertools import takewhile
from typing import Any

import sqlalchemy as sa

from core.job import Job, Status
from core.talk import MAKES, By, Decision, Kind
from storage import job_queries
from storage.people import from_row
from storage.schema import ASKED_ONCE, IN_SERVER, OPEN, jobs, messages, pictures, turn_pictures, turns

MAX_PATH, MAX_TREE, MAX_LINEAGE = 100, 200, 32  # turns up to the root, turns of a tree, pictures up


@dataclass(frozen=True)
class Sent:
    """A picture that came with a turn. number: in its conversation. sha256: of an upload, "" of a picture of
    ours, which job_id and position name, None = all of the job's: these go when their job does. made: how
    many they are."""

    number: int
    sha256: str
    job_id: str | None = None
    position: int | None = None
    made: int = 1


@dataclass(frozen=True)
class StoredTurn:
    """A row. number: of the picture that it makes, None for one that makes none. is_open: its job is to be
    queued yet, once the turn ``waits_for`` has its picture. status, job_kind, made: of its job, with how many
    pictures; job_user: who asked for it."""

    id: str
    root_id: str
    user_id: int
    channel_id: int
    said: str = field(repr=False)
    kind: Kind
    by: By
    decision: Decision = field(repr=False)
    created_at: datetime
    before_id: str | None = None
    guild_id: int | None = None
    parent_channel_id: int | None = None
    surface: str = "discord"
    roles: tuple[int, ...] = ()
    private: bool = False
    once: str | None = None
    message_id: int | None = None
    reply: str = ""
    number: int | None = None
    is_open: bool = False
    waits_for: str | None = None
    job_id: str | None = None
    sent: tuple[Sent, ...] = ()
    status: Status | None = None
    job_kind: str | None = None
    made: int = 0
    seq: int = 0

    @property
    def is_lost(self) -> bool:
        """Whether the picture that it was to make will never be there."""
        if self.job_id is None:
            return self.number is not None and not self.is_open
        return self.status in (Status.FAILED, Status.CANCELLED)

    @property
    def is_ready(self) -> bool:
        """Whether what it makes is there."""
        return self.status in (Status.RENDERED, Status.DELIVERED)


_DEFAULTS = {item.name: item.default for item in fields(Decision) if item.default is not MISSING}


def decision_json(decision: Decision) -> str:
    """Return a decision as JSON, without fields that have their default value."""
    return json.dumps(_plain(decision), ensure_ascii=False)


def _plain(decision: Decision) -> dict[str, Any]:
    found = {item.name: getattr(decision, item.name) for item in fields(decision)}
    kept = {name: value for name, value in found.items() if name == "kind" or value != _DEFAULTS[name]}
    if decision.offers:
        kept["offers"] = [[_plain(one) for one in plan] for plan in decision.offers]
    return kept


def read_decision(text: str) -> Decision:
    """Return the decision that ``decision_json`` wrote. Raises ValueError or TypeError for another
    version's."""
    return _decision(json.loads(text))


def _decision(found: Mapping[str, Any]) -> Decision:
    values: dict[str, Any]
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}
    values["offers"] = tuple(tuple(map(_decision, plan)) for plan in found.get("offers", ()))
    return Decision(**values)


_MADE = (
    sa.select(sa.func.count())
    .where(pictures.c.job_id == turns.c.job_id, pictures.c.position >= 0)
    .scalar_subquery()
)
_COLUMNS = (*turns.c, jobs.c.status, jobs.c.kind.label("job_kind"), _MADE.label("made"))
_WITH_JOBS = turns.outerjoin(jobs, jobs.c.id == turns.c.job_id)
_TURNS = sa.select(*_COLUMNS).select_from(_WITH_JOBS)


def _upward(row: sa.Column[str], parent: sa.Column[str | None]) -> sa.Select[Any]:
    """Return the statement that reads the ids from row ``start`` up by its parents, at most ``most``. Made
    once: making it takes longer than reading."""
    begin = sa.select(row, parent.label("parent"), sa.literal(1).label("depth"))
    up = begin.where(row == sa.bindparam("start")).cte("up", recursive=True)
    step = sa.select(row, parent, up.c.depth + 1)
    up = up.union_all(step.where(row == up.c.parent, up.c.depth < sa.bindparam("most")))
    return sa.select(up.c.id).order_by(up.c.depth)


_PATH = _upward(turns.c.id, turns.c.before_id)
_LINEAGE = _upward(jobs.c.id, jobs.c.parent_id)
_OF_JOB = (
    sa.select(sa.func.count())
    .where(pictures.c.job_id == turn_pictures.c.job_id, pictures.c.position >= 0)
    .scalar_subquery()
)
_IS_WHOLE = sa.and_(turn_pictures.c.job_id.is_not(None), turn_pictures.c.position.is_(None))
_BROUGHT = sa.select(turn_pictures, sa.case((_IS_WHOLE, _OF_JOB), else_=1).label("made"))


def _all(connection: sa.Connection, statement: sa.Select[Any]) -> list[StoredTurn]:
    rows = connection.execute(statement).all()
    sent = dict[str, list[Sent]]()
    if rows:
        of_them = turn_pictures.c.turn_id.in_([row.id for row in rows])
        for one in connection.execute(_BROUGHT.where(of_them).order_by("number")):
            sent.setdefault(one.turn_id, []).append(from_row(Sent, one))
    return [_turn(row, sent.get(row.id, ())) for row in rows]


def _turn(row: sa.Row[Any], sent: Iterable[Sent]) -> StoredTurn:
    return from_row(
        StoredTurn,
        row,
        decision=read_decision(row.decision),
        roles=tuple(json.loads(row.roles)),
        private=bool(row.private),
        is_open=bool(row.is_open),
        sent=tuple(sent),
        status=None if row.status is None else Status(row.status),
    )


def read_turn(connection: sa.Connection, turn_id: str) -> StoredTurn | None:
    """Return a turn, None where there is none."""
    return next(iter(_all(connection, _TURNS.where(turns.c.id == turn_id))), None)


def read_path(connection: sa.Connection, turn_id: str, limit: int = MAX_PATH) -> list[StoredTurn]:
    """Return a turn and those that it follows, the first one first, at most ``limit``."""
    ids = list(connection.scalars(_PATH, {"start": turn_id, "most": limit}))[::-1]
    found = {one.id: one for one in _all(connection, _TURNS.where(turns.c.id.in_(ids)))}
    return [found[one] for one in ids]


def read_tree(connection: sa.Connection, root_id: str, limit: int = MAX_TREE) -> list[StoredTurn]:
    """Return the newest turns of a conversation, oldest first."""
    mine = _TURNS.where(turns.c.root_id == root_id).order_by(turns.c.seq.desc()).limit(limit)
    return _all(connection, mine)[::-1]


def read_making(connection: sa.Connection, root_id: str, limit: int) -> list[StoredTurn]:
    """Return the turns of a conversation that make pictures or brought some: the newest, and its first."""
    brought = sa.exists().where(turn_pictures.c.turn_id == turns.c.id)
    some = _TURNS.where(turns.c.root_id == root_id, sa.or_(turns.c.number.is_not(None), brought))
    found = _all(connection, some.order_by(turns.c.seq.desc()).limit(limit))
    if len(found) == limit:
        found += _all(connection, some.order_by(turns.c.seq).limit(1))
    return found[::-1]


def newest_turn(
    connection: sa.Connection, channel_id: int, user_id: int, surface: str, since: datetime
) -> StoredTurn | None:
    """Return somebody's newest turn in a place, None where it is older than ``since``."""
    mine = (turns.c.channel_id == channel_id, turns.c.user_id == user_id, turns.c.surface == surface)
    newest = _TURNS.where(*mine).order_by(turns.c.seq.desc()).limit(1)
    found = _all(connection, newest)
    return found[0] if found and found[0].created_at >= since else None


def newest_turns(
    connection: sa.Connection, channel_id: int, user_id: int, since: datetime, limit: int = 10
) -> list[StoredTurn]:
    """Return the newest turns of a server's channel that others may see, or that are somebody's own."""
    here = (turns.c.channel_id == channel_id, sa.text(f"turns.{IN_SERVER}"))
    seen = sa.or_(turns.c.private == 0, turns.c.user_id == user_id)
    newest = _TURNS.where(*here, seen).order_by(turns.c.seq.desc()).limit(limit)
    return [one for one in _all(connection, newest) if one.created_at >= since]


def conversations_of(connection: sa.Connection, user_id: int, limit: int) -> list[StoredTurn]:
    """Return where somebody's conversations stand, their newest turn of each, the newest first."""
    recent = sa.select(turns.c.root_id, turns.c.seq).where(turns.c.user_id == user_id)
    recent_ = recent.order_by(turns.c.seq.desc()).limit(40 * limit).subquery()
    ends = sa.select(sa.func.max(recent_.c.seq)).group_by(recent_.c.root_id)
    newest = _TURNS.where(turns.c.seq.in_(ends)).order_by(turns.c.seq.desc()).limit(limit)
    return _all(connection, newest)


def of_once(connection: sa.Connection, user_id: int, once: str) -> StoredTurn | None:
    """Return the turn that the same asking has made."""
    same = (turns.c.user_id == user_id, turns.c.once == once, sa.text(ASKED_ONCE))
    return next(iter(_all(connection, _TURNS.where(*same))), None)


def said_as(connection: sa.Connection, once: Collection[str]) -> list[str]:
    """Return the ids of the turns that these askings have made, whoever's they are."""
    found = sa.select(turns.c.id).where(turns.c.once.in_(list(once)), sa.text(f"turns.{ASKED_ONCE}"))
    return list(connection.scalars(found))


def newest_without_message(
    connection: sa.Connection, begins: str, since: datetime, limit: int = 200
) -> list[StoredTurn]:
    """Return which of the newest turns are shown in no message that is known, oldest first. begins: how the
    key begins of the askings that they came from."""
    newest = _all(connection, _TURNS.order_by(turns.c.seq.desc()).limit(limit))[::-1]
    return [
        one
        for one in newest
        if one.message_id is None and (one.once or "").startswith(begins) and one.created_at >= since
    ]


def of_message(connection: sa.Connection, message_id: int) -> StoredTurn | None:
    """Return the turn that a message shows, itself or by its job."""
    shown = _all(connection, _TURNS.where(turns.c.message_id == message_id))
    if not shown:
        of_job = sa.select(messages.c.job_id).where(messages.c.message_id == message_id)
        shown = _all(connection, _TURNS.where(turns.c.job_id == of_job.scalar_subquery()))
    return next(iter(shown), None)


def of_job(connection: sa.Connection, job_id: str) -> StoredTurn | None:
    """Return the turn that a job came from."""
    return next(iter(_all(connection, _TURNS.where(turns.c.job_id == job_id))), None)


def count_open(connection: sa.Connection, user_id: int) -> int:
    """Return how many turns of somebody's wait for a picture."""
    waiting = (turns.c.user_id == user_id, sa.text(OPEN), turns.c.waits_for.is_not(None))
    return connection.execute(sa.select(sa.func.count()).select_from(turns).where(*waiting)).scalar_one()


def list_open(connection: sa.Connection) -> list[StoredTurn]:
    """Return every turn whose job is to be queued yet, the oldest first."""
    return _all(connection, _TURNS.where(sa.text(f"turns.{OPEN}")).order_by(turns.c.seq))


def queued_as(connection: sa.Connection, user_id: int, request_key: str) -> str | None:
    """Return the id of the job that a person's request with this key is."""
    same = (jobs.c.user_id == user_id, jobs.c.request_key == request_key)
    return connection.scalar(sa.select(jobs.c.id).where(*same))


def next_number(connection: sa.Connection, root_id: str) -> int:
    """Return the number of the next picture of a conversation."""
    made = sa.select(sa.func.max(turns.c.number)).where(turns.c.root_id == root_id)
    of_root = turn_pictures.join(turns, turns.c.id == turn_pictures.c.turn_id)
    brought = sa.select(sa.func.max(turn_pictures.c.number)).select_from(of_root)
    found = connection.scalar(made), connection.scalar(brought.where(turns.c.root_id == root_id))
    return max(number or 0 for number in found) + 1


_WRITTEN = [
    column.name for column in turns.c if column.name not in ("seq", "decision", "roles", "private", "is_open")
]


def add_turns(connection: sa.Connection, new: Iterable[StoredTurn]) -> list[StoredTurn]:
    """Write turns, the first with the pictures that came with it, and return them with their numbers: each
    that is to make a picture gets the next. The numbers of pictures that came, in decisions too, are moved on
    by what others have added to the conversation meanwhile."""
    written, moved = list[StoredTurn](), dict[int, int]()
    for turn in new:
        number = next_number(connection, turn.root_id)
        moved |= {one.number: number + n for n, one in enumerate(turn.sent)}
        sent = tuple(replace(one, number=moved[one.number]) for one in turn.sent)
        makes = turn.is_open and turn.kind in MAKES
        row = replace(
            turn,
            decision=_moved(turn.decision, moved),
            sent=sent,
            number=number + len(sent) if makes else None,
        )
        values = {name: getattr(row, name) for name in _WRITTEN}
        values |= {"private": int(row.private), "is_open": int(row.is_open), "roles": json.dumps(row.roles)}
        connection.execute(sa.insert(turns).values(**values, decision=decision_json(row.decision)))
        if sent:
            own = [column.name for column in turn_pictures.c if column.name != "turn_id"]
            rows = [{"turn_id": row.id} | {name: getattr(one, name) for name in own} for one in sent]
            connection.execute(sa.insert(turn_pictures), rows)
        written.append(row)
    return written


def _moved(decision: Decision, numbers: Mapping[int, int]) -> Decision:
    """Return a decision, with its offers, about pictures by other numbers."""
    about = tuple(numbers.get(one, one) for one in decision.about)
    offers = tuple(tuple(_moved(step, numbers) for step in plan) for plan in decision.offers)
    return replace(decision, about=about, offers=offers)


def note_job(connection: sa.Connection, turn_id: str, job_id: str) -> bool:
    """Note the job that a turn has become. False when the turn, or the job, is gone."""
    if connection.scalar(sa.select(jobs.c.seq).where(jobs.c.id == job_id)) is None:
        return False
    values = {"job_id": job_id, "is_open": 0, "waits_for": None}
    return bool(connection.execute(_of(turn_id).values(**values)).rowcount)


def end_turn(connection: sa.Connection, turn_id: str, reply: str) -> None:
    """Note that no job comes of a turn, and why."""
    ended = _of(turn_id).where(turns.c.job_id.is_(None))
    connection.execute(ended.values(is_open=0, waits_for=None, reply=reply))


def note_message(connection: sa.Connection, turn_id: str, message_id: int) -> None:
    """Note which message shows a turn."""
    connection.execute(_of(turn_id).values(message_id=message_id))


def forget_said(connection: sa.Connection, turn_id: str) -> None:
    """Forget what was said in a turn; what it was taken for stays."""
    text = connection.scalar(sa.select(turns.c.decision).where(turns.c.id == turn_id))
    if text is not None:
        decision = read_decision(text)
        bare = replace(decision, words="", changes=("…",) * len(decision.changes), offers=())
        connection.execute(_of(turn_id).values(said="", decision=decision_json(bare)))


def set_decision(connection: sa.Connection, turn_id: str, decision: Decision) -> None:
    """Note what a turn means since it was decided again."""
    connection.execute(_of(turn_id).values(decision=decision_json(decision)))


def _of(turn_id: str) -> sa.Update:
    return sa.update(turns).where(turns.c.id == turn_id)


def relink_turns(connection: sa.Connection, job_ids: Collection[str]) -> set[str]:
    """Let what follows the turns of these jobs, which go with them, follow what those followed; return the
    files that came with them."""
    going = {
        row.id: row.before_id
        for row in connection.execute(
            sa.select(turns.c.id, turns.c.before_id).where(turns.c.job_id.in_(list(job_ids)))
        )
    }
    if not going:
        return set()
    later = sa.select(turns.c.id, turns.c.before_id).where(turns.c.before_id.in_(list(going)))
    for row in connection.execute(later).all():
        before = row.before_id
        while before in going:
            before = going[before]
        connection.execute(_of(row.id).values(before_id=before))
    named = sa.select(turn_pictures.c.sha256).where(turn_pictures.c.turn_id.in_(list(going)))
    return set(connection.scalars(named))


def drop_turns(connection: sa.Connection, before: datetime, limit: int) -> tuple[int, set[str]]:
    """Delete turns from before then that no job hangs on; return how many, and the files that they named."""
    old = sa.select(turns.c.id).where(turns.c.created_at < before, turns.c.job_id.is_(None))
    ids = list(connection.scalars(old.order_by(turns.c.seq).limit(limit)))
    named = sa.select(turn_pictures.c.sha256).where(turn_pictures.c.turn_id.in_(ids))
    files = set(connection.scalars(named))
    connection.execute(sa.delete(turns).where(turns.c.id.in_(ids)))
    return len(ids), files


def lineage(connection: sa.Connection, job_id: str, limit: int = MAX_LINEAGE) -> list[Job]:
    """Return a job and those that its picture was made from, one from another, the first one first, as far as
    they are there and this version reads them."""
    ids = list(connection.scalars(_LINEAGE, {"start": job_id, "most": limit}))
    read = job_queries.read_jobs(connection, ids)
    return [read[one] for one in takewhile(read.__contains__, ids)][::-1]
