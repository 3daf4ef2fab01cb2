"""Rows about what may be made and shown: a guild's policy and words, strikes, time-outs, and how pictures
were judged. No text of anybody's."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from core.requests import Request, from_json
from core.requests.custom_models import STYLE, TrainRequest
from storage.job_queries import readable
from storage.people import from_row, pages, upsert
from storage.projects.dataset import LEFT_OUT
from storage.schema import (
    EVERYWHERE,
    filter_words,
    items,
    jobs,
    picture_minors,
    picture_scores,
    pictures,
    policies,
    strikes,
    timeouts,
    training_items,
    version_items,
    versions,
    videos,
)


@dataclass(frozen=True)
class ModerationRow:
    """A guild's choices; None = the host's. strikes: that bring a time-out, 0 = never. window: hours in which
    they count. timeout: minutes. rules: sentences of its own, which nothing enforces."""

    level: str | None = None  # off | standard | strict
    pictures: str | None = None  # spoiler | block
    strikes: int | None = None
    window: int | None = None
    timeout: int | None = None
    rules: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Strike:
    """A rule that stopped somebody's words, and where. guild_id: None in direct messages."""

    at: datetime
    guild_id: int | None
    rule: str


@dataclass(frozen=True)
class Made:
    """How a stored file came to be. sources: SHA-256 of files. captions: of what a style learned from."""

    request: Request
    sources: frozenset[str]
    captions: str = ""


@dataclass(frozen=True)
class Standing:
    """What decides about a member's words in a place. timed_out_until: None = not. words: the guild's own."""

    row: ModerationRow
    words: tuple[str, ...]
    timed_out_until: datetime | None


def standing(connection: sa.Connection, user_id: int, guild_id: int | None, *, now: datetime) -> Standing:
    """Policy, words and time-out in one statement: an interaction waits for it."""
    asked = {"user": user_id, "place": guild_id or EVERYWHERE, "now": now}
    found = connection.execute(_STANDING, asked).all()
    words = tuple(row.pattern for row in found if row.pattern is not None)
    return Standing(_to_row(found[0]), words, found[0].until)


_PLACE: sa.BindParameter[int] = sa.bindparam("place")
_TIMED_OUT = sa.and_(
    timeouts.c.guild_id == _PLACE,
    timeouts.c.user_id == sa.bindparam("user"),
    timeouts.c.until > sa.bindparam("now"),
)
_STANDING = (
    sa.select(policies, timeouts.c.until, filter_words.c.pattern)
    .select_from(
        sa.select(sa.literal_column("1").label("one"))
        .subquery()
        .outerjoin(policies, policies.c.guild_id == _PLACE)
        .outerjoin(timeouts, _TIMED_OUT)
        .outerjoin(filter_words, filter_words.c.guild_id == _PLACE)
    )
    .order_by(filter_words.c.pattern)
)


def policy(connection: sa.Connection, guild_id: int | None) -> ModerationRow:
    """The guild's policy; None: of direct messages."""
    statement = sa.select(policies).where(policies.c.guild_id == (guild_id or EVERYWHERE))
    row = connection.execute(statement).one_or_none()
    return ModerationRow() if row is None else _to_row(row)


def _to_row(row: sa.Row[Any]) -> ModerationRow:
    rules = tuple(json.loads(row.rules)) if row.rules else None
    return from_row(ModerationRow, row, rules=rules)


def set_policy(
    connection: sa.Connection, guild_id: int | None, **values: str | int | tuple[str, ...] | None
) -> None:
    """Change those of ModerationRow's fields that are named."""
    if "rules" in values:
        values["rules"] = json.dumps(values["rules"], ensure_ascii=False) if values["rules"] else None
    connection.execute(upsert(connection, policies, {"guild_id": guild_id or EVERYWHERE, **values}, values))


def words(connection: sa.Connection, guild_id: int | None) -> list[str]:
    """Return a guild's own words and patterns (None: of direct messages), sorted."""
    own = sa.select(filter_words.c.pattern).where(filter_words.c.guild_id == (guild_id or EVERYWHERE))
    return list(connection.scalars(own.order_by(filter_words.c.pattern)))


def add_word(
    connection: sa.Connection, guild_id: int | None, pattern: str, *, actor_id: int, now: datetime
) -> None:
    """Add a word or pattern to a guild's own."""
    values = {"guild_id": guild_id or EVERYWHERE, "pattern": pattern, "actor_id": actor_id, "created_at": now}
    connection.execute(upsert(connection, filter_words, values, {}))


def remove_word(connection: sa.Connection, guild_id: int | None, pattern: str) -> bool:
    """Remove a word. Return False when there was none."""
    own = (filter_words.c.guild_id == (guild_id or EVERYWHERE), filter_words.c.pattern == pattern)
    return bool(connection.execute(sa.delete(filter_words).where(*own)).rowcount)


def add_strike(
    connection: sa.Connection,
    user_id: int,
    guild_id: int | None,
    rule: str,
    *,
    now: datetime,
    apart: datetime,
) -> bool:
    """Note a strike; False when the user has one since ``apart``: many jobs of one command are one."""
    recent = sa.select(strikes.c.seq).where(*_of_user(strikes, user_id, guild_id), strikes.c.at > apart)
    if connection.execute(recent.limit(1)).first() is not None:
        return False
    row = {"user_id": user_id, "guild_id": guild_id or EVERYWHERE, "rule": rule, "at": now}
    connection.execute(sa.insert(strikes).values(**row))
    return True


def _of_user(table: sa.Table, user_id: int, guild_id: int | None) -> tuple[sa.ColumnElement[bool], ...]:
    return table.c.user_id == user_id, table.c.guild_id == (guild_id or EVERYWHERE)


def strikes_of(
    connection: sa.Connection, user_id: int, guild_id: int | None, *, since: datetime
) -> list[Strike]:
    """Newest first."""
    mine = sa.select(strikes).where(*_of_user(strikes, user_id, guild_id), strikes.c.at > since)
    rows = connection.execute(mine.order_by(strikes.c.seq.desc()))
    return [Strike(row.at, row.guild_id or None, row.rule) for row in rows]


def pardon(connection: sa.Connection, user_id: int, guild_id: int | None) -> int:
    """Forget the user's strikes there and end a time-out; how many strikes."""
    connection.execute(sa.delete(timeouts).where(*_of_user(timeouts, user_id, guild_id)))
    return connection.execute(sa.delete(strikes).where(*_of_user(strikes, user_id, guild_id))).rowcount


def set_timeout(connection: sa.Connection, user_id: int, guild_id: int | None, until: datetime) -> None:
    """Let the user ask for nothing there until then."""
    values = {"guild_id": guild_id or EVERYWHERE, "user_id": user_id, "until": until}
    connection.execute(upsert(connection, timeouts, values, {"until": until}))


def timeout_until(connection: sa.Connection, user_id: int, guild_id: int | None) -> datetime | None:
    """When the user's time-out there ends or has ended, None when there is none."""
    return connection.scalar(sa.select(timeouts.c.until).where(*_of_user(timeouts, user_id, guild_id)))


def scores(connection: sa.Connection, sha256s: Iterable[str], classifier: str) -> dict[str, float]:
    """How those of these pictures that were judged by ``classifier`` were judged, 0..1."""
    mine = (picture_scores.c.sha256.in_(list(sha256s)), picture_scores.c.classifier == classifier)
    found = connection.execute(sa.select(picture_scores.c.sha256, picture_scores.c.nsfw).where(*mine))
    return {row.sha256: row.nsfw for row in found}


def set_score(connection: sa.Connection, sha256: str, classifier: str, nsfw: float) -> None:
    """Keep how a picture was judged, 0..1."""
    values = {"classifier": classifier, "nsfw": nsfw}
    connection.execute(upsert(connection, picture_scores, {"sha256": sha256, **values}, values))


def makers(connection: sa.Connection, sha256s: Iterable[str]) -> dict[str, list[Made]]:
    """Return how each of these pictures and videos was made, by readable jobs; nothing of what was sent."""
    found: dict[str, list[Made]] = {name: [] for name in sha256s}
    for page in pages(found):
        made = sa.union_all(
            *(sa.select(f.c.sha256, f.c.job_id).where(f.c.sha256.in_(page)) for f in (pictures, videos))
        ).subquery()
        statement = sa.select(jobs, made.c.sha256).join(made, made.c.job_id == jobs.c.id)
        for row in connection.execute(statement):
            if (job := readable(row)) is not None:
                if isinstance(job.request, TrainRequest):
                    made_by = _taught(connection, job.request, versions.c.job_id == job.id)
                else:
                    made_by = Made(job.request, frozenset((*job.request.pictures, *job.request.files)))
                found[row.sha256].append(made_by)
    return found


def learned(connection: sa.Connection, sha256s: Iterable[str]) -> dict[str, list[Made]]:
    """Return what each of these files of own models has learned from."""
    found: dict[str, list[Made]] = {name: [] for name in sha256s}
    for row in connection.execute(sa.select(versions).where(versions.c.artefact.in_(list(found)))):
        request = from_json(TrainRequest.kind, row.settings)
        found[row.artefact].append(_taught(connection, request, versions.c.artefact == row.artefact))
    return found


def _taught(connection: sa.Connection, request: Request, which: sa.ColumnElement[bool]) -> Made:
    """Return how the version came to be that a training has made, or what came of it."""
    both = (version_items.c.project_id == versions.c.project_id, version_items.c.number == versions.c.number)
    wanted = sa.select(version_items.c.sha256, version_items.c.label).where(which, *both)
    rows = connection.execute(wanted).all()
    is_style = isinstance(request, TrainRequest) and request.task == STYLE
    captions = " \n ".join(sorted({row.label for row in rows})) if is_style else ""
    return Made(request, frozenset(row.sha256 for row in rows), captions)


def lessons(connection: sa.Connection, project_id: str, job_id: str) -> list[tuple[str, str]]:
    """Return (SHA-256, caption) of what a style is to learn from, by a job that may exist already."""
    asked = sa.select(items.c.sha256, items.c.label)
    asked = asked.where(items.c.project_id == project_id, items.c.state != LEFT_OUT)
    kept = sa.select(training_items.c.sha256, training_items.c.label)
    found = connection.execute(sa.union(asked, kept.where(training_items.c.job_id == job_id)))
    return [(row.sha256, row.label) for row in found]


def of_minors(connection: sa.Connection, sha256s: Iterable[str]) -> dict[str, bool]:
    """Return whether each of these pictures and videos is of a minor, as far as that is known."""
    known: dict[str, bool] = {}
    for page in pages(sha256s):
        statement = sa.select(picture_minors).where(picture_minors.c.sha256.in_(page))
        known |= {row.sha256: bool(row.of_minor) for row in connection.execute(statement)}
    return known


def set_of_minors(connection: sa.Connection, marks: Mapping[str, bool]) -> None:
    """Keep whether pictures and videos are of a minor."""
    for sha256, is_of_minor in marks.items():
        values = {"of_minor": int(is_of_minor)}
        connection.execute(upsert(connection, picture_minors, {"sha256": sha256, **values}, values))


def forget_pictures(connection: sa.Connection, sha256s: Iterable[str]) -> None:
    """Forget how these pictures were judged, and whether they are of a minor."""
    for page in pages(sha256s):
        for known in (picture_scores, picture_minors):
            connection.execute(sa.delete(known).where(known.c.sha256.in_(page)))
