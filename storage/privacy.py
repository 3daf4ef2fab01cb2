"""A person's rows: counted, told, and deleted. Every table that names a person is in ``OWNED``, ``NAMED`` or
``KEPT``; a test holds that.

What others need stays without the name: an admin's entries in the audit trail. What protects others stays
with it: bans, strikes and time-outs until they expire, and the tokens and seconds of video of today and
yesterday.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from core.job import NOBODY
from storage import conversations as taught
from storage import embeddings, turns
from storage import schema as own
from storage.embeddings import Slot
from storage.people import PAGE, pages, total, upsert
from storage.projects import projects as project_rows
from storage.schema import (
    UNFINISHED,
    api_tokens,
    audit,
    bans,
    document_files,
    documents,
    drafts,
    example_pictures,
    example_sets,
    examples,
    favourites,
    feedback,
    filter_words,
    folder_items,
    folders,
    inputs,
    jobs,
    messages,
    options,
    own_style_pictures,
    own_styles,
    pictures,
    preferences,
    sessions,
    shares,
    sign_ins,
    strikes,
    style_likes,
    style_tiles,
    timeouts,
    tokens_used,
    trash,
    turn_pictures,
    unposted,
    uploads,
    users,
    videos,
    videos_used,
)
from storage.videos import files_of_jobs

JOBS_AT_ONCE = 20  # deleted by one statement, while all others wait to write: 0.3 ms a job among a million
_BY_USER: tuple[sa.Table, ...]
_BY_USER = (uploads, preferences, options, favourites, drafts, sessions, sign_ins, trash, folders, shares)
_BY_USER += (documents, example_sets, feedback, own.items, own.turns, own.taste_codes, own.taste_voters)
_BY_USER += (own.taste_choices, own.duel_votes, own.push_subscriptions)
_BY_USER += (style_likes, own_styles, own_style_pictures, api_tokens, own.webhooks, own.watches)
# deleted; what hangs on a job goes with it
OWNED = {jobs: jobs.c.user_id, users: users.c.id} | {table: table.c.user_id for table in _BY_USER}
NAMED = {
    audit: audit.c.actor_id,
    bans: bans.c.actor_id,
    filter_words: filter_words.c.actor_id,
    own.projects: own.projects.c.user_id,
    own.marks: own.marks.c.user_id,
    own.versions: own.versions.c.user_id,
    own.verdicts: own.verdicts.c.answered_by,
}  # stay, without the name
_STAY = (strikes, timeouts, bans, tokens_used, videos_used)
KEPT = {table: table.c.user_id for table in _STAY}  # stay, with it

NAMING = (  # everything by which a row says that it needs a file
    pictures.c.sha256,
    videos.c.sha256,
    videos.c.ends_sha256,
    inputs.c.sha256,
    uploads.c.sha256,
    document_files.c.sha256,
    example_pictures.c.sha256,
    turn_pictures.c.sha256,
    own.items.c.sha256,
    own.marks.c.mask,
    own.versions.c.artefact,
    own.version_files.c.sha256,
    own.job_files.c.sha256,
)


@dataclass(frozen=True)
class Holdings:
    """How much there is of somebody. bytes: of their files. pictures: with posters. items: in projects.
    turns: of conversations. away: those of the jobs that were asked for where the bot isn't."""

    jobs: int = 0
    away: int = 0
    pictures: int = 0
    videos: int = 0
    bytes: int = 0
    uploads: int = 0
    messages: int = 0
    examples: int = 0
    feedback: int = 0
    items: int = 0
    turns: int = 0
    strikes: int = 0
    bans: int = 0
    since: datetime | None = None


@dataclass(frozen=True)
class Removed:
    """What was taken out of the rows and lies elsewhere still. messages: (channel, message). files: SHA-256
    that nobody needs any more. vectors: copies of what pictures that nobody has any more show. forgotten:
    names of whatever else workers may remember, such as pictures that are examples no more. spoilt: jobs that
    were told of what is gone."""

    jobs: tuple[str, ...] = ()
    messages: tuple[tuple[int, int], ...] = ()
    files: tuple[str, ...] = ()
    vectors: tuple[Slot, ...] = ()
    forgotten: tuple[str, ...] = ()
    spoilt: tuple[str, ...] = ()

    def __or__(self, other: Removed) -> Removed:
        pairs = ((getattr(self, item.name), getattr(other, item.name)) for item in fields(self))
        return Removed(*(tuple(dict.fromkeys(first + second)) for first, second in pairs))


def holdings(connection: sa.Connection, user_id: int) -> Holdings:
    """Return how much there is of a person."""
    mine = sa.select(jobs.c.id).where(jobs.c.user_id == user_id)

    def count(column: sa.Column[Any], *conditions: Any) -> int:
        return connection.execute(sa.select(sa.func.count(column)).where(*conditions)).scalar_one()

    sums = (
        sa.select(sa.func.count(), total(t.c.size)).where(t.c.job_id.in_(mine)) for t in (pictures, videos)
    )
    (number, size), (clips, clips_size) = (connection.execute(one).one() for one in sums)
    return Holdings(
        jobs=count(jobs.c.id, jobs.c.user_id == user_id),
        pictures=number,
        videos=clips,
        bytes=size + clips_size,
        away=count(jobs.c.id, jobs.c.user_id == user_id, jobs.c.away == 1),
        uploads=count(uploads.c.sha256, uploads.c.user_id == user_id),
        messages=count(messages.c.message_id, messages.c.job_id.in_(mine)),
        examples=count(examples.c.id, examples.c.set_id.in_(_sets_of(user_id))),
        items=project_rows.count_pictures(connection, user_id),
        turns=count(own.turns.c.id, own.turns.c.user_id == user_id),
        feedback=count(feedback.c.job_id, feedback.c.user_id == user_id),
        strikes=count(strikes.c.seq, strikes.c.user_id == user_id),
        bans=count(bans.c.guild_id, bans.c.user_id == user_id),
        since=connection.scalar(sa.select(sa.func.min(jobs.c.created_at)).where(jobs.c.user_id == user_id)),
    )


def personal_rows(user_id: int) -> dict[str, sa.Select[Any]]:
    """Return, by table, the rows about the person."""
    own_folders = sa.select(folders.c.id).where(folders.c.user_id == user_id)
    own_documents = sa.select(documents.c.id).where(documents.c.user_id == user_id)
    own_codes = sa.select(own.taste_codes.c.code).where(own.taste_codes.c.user_id == user_id)
    own_turns = sa.select(own.turns.c.id).where(own.turns.c.user_id == user_id)
    own_examples = sa.select(examples.c.id).where(examples.c.set_id.in_(_sets_of(user_id)))
    own_watches = sa.select(own.watches.c.id).where(own.watches.c.user_id == user_id)
    own_browsers = sa.select(sessions.c.token_hash).where(sessions.c.user_id == user_id)
    own_hooks = sa.select(own.webhooks.c.id).where(own.webhooks.c.user_id == user_id)
    selections = {
        "users": sa.select(users).where(users.c.id == user_id),
        "jobs": sa.select(jobs).where(jobs.c.user_id == user_id),
        "pictures": _of_jobs(pictures, user_id),
        "films": _of_jobs(videos, user_id),
        "inputs": _of_jobs(inputs, user_id),
        "messages": _of_jobs(messages, user_id),
        "uploads": sa.select(uploads).where(uploads.c.user_id == user_id),
        "folder_items": sa.select(folder_items).where(folder_items.c.folder_id.in_(own_folders)),
        "document_files": sa.select(document_files).where(document_files.c.document_id.in_(own_documents)),
        "examples": sa.select(examples).where(examples.c.id.in_(own_examples)),
        "example_pictures": sa.select(example_pictures).where(
            example_pictures.c.example_id.in_(own_examples)
        ),
        "turn_pictures": sa.select(turn_pictures).where(turn_pictures.c.turn_id.in_(own_turns)),
        "taste_rows": sa.select(own.taste_rows).where(own.taste_rows.c.code.in_(own_codes)),
        "watch_pictures": sa.select(own.watch_pictures).where(own.watch_pictures.c.watch_id.in_(own_watches)),
        "pushes": sa.select(own.pushes).where(own.pushes.c.session.in_(own_browsers)),
        "webhook_events": sa.select(own.events).where(own.events.c.webhook_id.in_(own_hooks)),
        **{table.name: sa.select(table).where(column == user_id) for table, column in KEPT.items()},
        "audit": sa.select(audit).where(audit.c.actor_id == user_id),
    }
    selections |= project_rows.selections(user_id)
    return selections | {
        table.name: sa.select(table).where(column == user_id)
        for table, column in OWNED.items()
        if table.name not in selections
    }


def _of_jobs(table: sa.Table, user_id: int) -> sa.Select[Any]:
    return sa.select(table).join(jobs, jobs.c.id == table.c.job_id).where(jobs.c.user_id == user_id)


def export(
    connection: sa.Connection, user_id: int, table: str, after: tuple[Any, ...] = (), limit: int = 250
) -> tuple[list[dict[str, Any]], tuple[Any, ...] | None]:
    """Return the next rows about the person in a table, as JSON takes them and without secrets of ours, and
    what to go on after, None at the end. One statement."""
    statement = personal_rows(user_id)[table]
    source = next(iter(statement.selected_columns)).table
    keys = [source.c.seq] if "seq" in source.c else list(source.primary_key)
    if isinstance(statement.get_final_froms()[0], sa.Join):  # by job, as an index has them
        keys = [jobs.c.seq, *keys]
    if after:
        here = [sa.literal(value, key.type) for key, value in zip(keys, after, strict=True)]
        statement = statement.where(keys[0] >= here[0], sa.tuple_(*keys) > sa.tuple_(*here))
    at = [key.label(f"key {number}") for number, key in enumerate(keys)]
    found = connection.execute(statement.add_columns(*at).order_by(*keys).limit(limit)).all()
    hidden = {"interaction_token", "lease_token", "actor_id", "token_hash", "secret"}
    names = list(source.c.keys())
    shown = [
        {name: _plain(value) for name, value in zip(names, row, strict=False) if name not in hidden}
        for row in found
    ]
    return shown, tuple(found[-1][len(names) :]) if len(found) == limit else None


def _sets_of(user_id: int) -> sa.Select[Any]:
    return sa.select(example_sets.c.id).where(example_sets.c.user_id == user_id)


def unfinished(connection: sa.Connection, user_id: int) -> list[str]:
    """The person's jobs that are not over."""
    mine = sa.select(jobs.c.id).where(jobs.c.user_id == user_id, sa.text(UNFINISHED))
    return list(connection.execute(mine).scalars())


def jobs_of(connection: sa.Connection, user_id: int, limit: int) -> list[str]:
    """The person's oldest jobs."""
    mine = sa.select(jobs.c.id).where(jobs.c.user_id == user_id)
    return list(connection.execute(mine.order_by(jobs.c.seq).limit(limit)).scalars())


def jobs_among(connection: sa.Connection, ids: Iterable[str]) -> list[str]:
    """Those of these jobs that there are."""
    return list(connection.scalars(sa.select(jobs.c.id).where(jobs.c.id.in_(list(ids)))))


def delete_person(connection: sa.Connection, user_id: int, *, now: datetime) -> Removed:
    """Delete all of the person in one transaction, and note their messages on Discord for deletion."""
    ids = list(connection.execute(sa.select(jobs.c.id).where(jobs.c.user_id == user_id)).scalars())
    removed = delete_jobs(connection, ids, now=now)
    sent = set(connection.execute(sa.select(uploads.c.sha256).where(uploads.c.user_id == user_id)).scalars())
    shown = taught.files_of(connection, user_id)
    learned = project_rows.forget_person(connection, user_id)
    removed |= delete_jobs(connection, learned.shown, now=now)
    for table, column in OWNED.items():
        connection.execute(sa.delete(table).where(column == user_id))
    for table, column in NAMED.items():
        connection.execute(sa.update(table).where(column == user_id).values({column.name: NOBODY}))
    connection.execute(sa.update(audit).where(audit.c.target == str(user_id)).values(target=None))
    over = (timeouts.c.user_id == user_id, timeouts.c.until <= now)
    connection.execute(sa.delete(timeouts).where(*over))
    files = set(removed.files) | unneeded(connection, sent | shown | learned.files)
    forgotten = {*removed.forgotten, *shown, *learned.files}
    spoilt = {*removed.spoilt, *learned.spoilt} - set(removed.jobs)
    return replace(removed, files=tuple(files), forgotten=tuple(forgotten), spoilt=tuple(spoilt))


def delete_jobs(
    connection: sa.Connection, ids: Iterable[str], *, now: datetime, unpost: bool = True
) -> Removed:
    """These jobs with the rows of their pictures, videos and messages; ``unpost``: note the messages, to be
    deleted on Discord. Others' jobs made from them stay, without the link."""
    ids = list(ids)
    files: set[str] = set()
    forgotten: set[str] = set()
    shown: list[tuple[int, int]] = []
    learned = project_rows.Gone()
    for page in pages(ids, JOBS_AT_ONCE):
        for table in (pictures, inputs):
            files |= set(connection.scalars(sa.select(table.c.sha256).where(table.c.job_id.in_(page))))
        files |= files_of_jobs(connection, page) | project_rows.files_of_jobs(connection, page)
        if unpost:  # what only expires is learned from still
            learned |= project_rows.forget_jobs(connection, page)
        found = sa.select(messages.c.channel_id, messages.c.message_id).where(messages.c.job_id.in_(page))
        shown += [(row.channel_id, row.message_id) for row in connection.execute(found)]
        shown += messages_of_duels(connection, own.duel_pictures.c.job_id.in_(page))
        forgotten |= taught.remove_from_jobs(connection, page)
        files |= turns.relink_turns(connection, page)
        connection.execute(sa.delete(jobs).where(jobs.c.id.in_(page)))
    for channel, message in shown if unpost else ():
        note_unposted(connection, channel, message, now=now)
    gone = embeddings.forget_vectors(connection, files)
    forgotten |= learned.files
    left = unneeded(connection, files | forgotten)
    spoilt = tuple(learned.spoilt - set(ids))
    removed = Removed(tuple(ids), tuple(shown), tuple(left), tuple(gone), tuple(forgotten), spoilt)
    others = learned.shown - set(ids)  # that show what was learned from these
    return removed | delete_jobs(connection, others, now=now) if others else removed


def messages_of_duels(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> list[tuple[int, int]]:
    """Return the (channel, message) of each duel whose pictures meet a condition."""
    joined = own.duels.join(own.duel_pictures, own.duel_pictures.c.duel_id == own.duels.c.id)
    found = sa.select(own.duels.c.channel_id, own.duels.c.message_id).distinct().select_from(joined)
    rows = connection.execute(found.where(condition, own.duels.c.message_id.is_not(None)))
    return [(row.channel_id, row.message_id) for row in rows]


def note_unposted(connection: sa.Connection, channel_id: int, message_id: int, *, now: datetime) -> None:
    """Note a message of a deleted job, to be deleted on Discord."""
    row = {"message_id": message_id, "channel_id": channel_id, "at": now}
    connection.execute(upsert(connection, unposted, row, {}))


def count_files(connection: sa.Connection) -> int:
    """Return how many files rows name."""
    named = sa.union(*(sa.select(column).where(column != "") for column in NAMING)).subquery()
    return connection.scalar(sa.select(sa.func.count()).select_from(named)) or 0


def unneeded(connection: sa.Connection, sha256s: Iterable[str]) -> set[str]:
    """Return which of these files no row names any more."""
    names, needed = set(sha256s), set()
    for page in pages(names):
        for column in NAMING:
            needed |= set(connection.scalars(sa.select(column).where(column.in_(page))))
    return names - needed


def note_upload(connection: sa.Connection, user_id: int, sha256: str, *, now: datetime) -> None:
    """The person has sent this file."""
    row = {"user_id": user_id, "sha256": sha256, "at": now}
    connection.execute(upsert(connection, uploads, row, {"at": now}))


def sent(connection: sa.Connection, user_id: int, sha256: str) -> bool:
    """Whether the person has sent this file."""
    mine = (uploads.c.user_id == user_id, uploads.c.sha256 == sha256)
    return connection.execute(sa.select(uploads.c.sha256).where(*mine)).first() is not None


def drop_uploads(connection: sa.Connection, before: datetime, limit: int = PAGE) -> tuple[int, set[str]]:
    """Forget old uploads that no document and no turn needs; return how many, and the files that nobody needs
    now."""
    whose = document_files.join(documents, documents.c.id == document_files.c.document_id)
    same = (document_files.c.sha256 == uploads.c.sha256, documents.c.user_id == uploads.c.user_id)
    needed = sa.exists(sa.select(document_files.c.sha256).select_from(whose).where(*same))
    said = turn_pictures.join(own.turns, own.turns.c.id == turn_pictures.c.turn_id)
    came = (turn_pictures.c.sha256 == uploads.c.sha256, own.turns.c.user_id == uploads.c.user_id)
    with_turn = sa.exists(sa.select(turn_pictures.c.sha256).select_from(said).where(*came))
    unused = (uploads.c.at < before, ~needed, ~with_turn)
    old = sa.select(uploads.c.user_id, uploads.c.sha256).where(*unused).limit(limit)
    found = [(row.user_id, row.sha256) for row in connection.execute(old)]
    mine = sa.tuple_(uploads.c.user_id, uploads.c.sha256)
    connection.execute(sa.delete(uploads).where(mine.in_(found)))
    return len(found), unneeded(connection, {sha256 for _, sha256 in found})


def old_jobs(connection: sa.Connection, before: datetime, limit: int = JOBS_AT_ONCE) -> list[str]:
    """Jobs that were over and told before then, but for the tiles of the wall of styles."""
    on_wall = sa.exists().where(style_tiles.c.job_id == jobs.c.id)
    old = sa.select(jobs.c.id).where(jobs.c.delivered_at < before, ~on_wall)
    return list(connection.execute(old.order_by(jobs.c.delivered_at).limit(limit)).scalars())


def old_videos(connection: sa.Connection, before: datetime, limit: int = JOBS_AT_ONCE) -> list[str]:
    """Those of them that made videos."""
    made = jobs.c.id.in_(sa.select(videos.c.job_id))
    old = sa.select(jobs.c.id).where(jobs.c.delivered_at < before, made)
    return list(connection.execute(old.limit(limit)).scalars())


def known_files(connection: sa.Connection, sha256s: Iterable[str]) -> set[str]:
    """Which of these files some row names."""
    names = set(sha256s)
    return names - unneeded(connection, names)


def drop_drafts(connection: sa.Connection, before: datetime) -> None:
    """Delete the prompts of questions that nobody has answered since then."""
    connection.execute(sa.delete(drafts).where(drafts.c.created_at < before))


def drop_strikes(connection: sa.Connection, before: datetime, now: datetime) -> None:
    """Strikes from before then and time-outs that are over."""
    connection.execute(sa.delete(strikes).where(strikes.c.at < before))
    connection.execute(sa.delete(timeouts).where(timeouts.c.until <= now))


def still_posted(connection: sa.Connection, limit: int = 100) -> list[tuple[int, int]]:
    """(channel, message) of those that are to be deleted on Discord, oldest first."""
    rows = connection.execute(sa.select(unposted).order_by(unposted.c.at, unposted.c.message_id).limit(limit))
    return [(row.channel_id, row.message_id) for row in rows]


def forget_posted(connection: sa.Connection, message_ids: Iterable[int]) -> None:
    """Forget messages that are deleted on Discord."""
    connection.execute(sa.delete(unposted).where(unposted.c.message_id.in_(list(message_ids))))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str) and value[:1] in "[{":
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
