"""Conversations: the chain of turns before a question, those that follow it, what people found of answers,
and what they teach by example: sets, and the examples in them. Beside them what members have used of a day's
tokens and seconds of video.

An example that was taken from a job hangs on it, and goes with it; so does one with a picture of it."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from core.events import ChatAnswer
from core.job import Job, new_job_id
from core.requests import AskRequest, Request, TryRequest
from core.requests.chat import about_tokens
from core.requests.video import VideoRequest
from storage import job_queries
from storage.people import from_row, pages, upsert
from storage.schema import (
    ANSWERED,
    UNFINISHED,
    example_pictures,
    example_sets,
    examples,
    feedback,
    jobs,
    tokens_used,
    videos_used,
)
from storage.videos import StoredVideo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_TURNS = 1000  # back to where a conversation began
_IS_ASKED = jobs.c.kind == sa.literal_column(f"'{AskRequest.kind}'")


class Asked(NamedTuple):
    """A question with its answer, None while, or if, there is none."""

    job: Job
    answer: ChatAnswer | None


class Use(NamedTuple):
    """Tokens that a person has used on a day, and how many questions of theirs aren't answered yet."""

    tokens: int
    open: int


def ancestors(connection: sa.Connection, job_id: str, limit: int) -> list[Asked]:
    """Return the turns before a question, the latest first, up to ``limit`` or another version's row."""
    chain = (
        sa.select(jobs.c.parent_id.label("id"), sa.literal(1).label("depth"))
        .where(jobs.c.id == job_id)
        .cte("chain", recursive=True)
    )
    step = sa.select(jobs.c.parent_id, chain.c.depth + 1).where(
        jobs.c.id == chain.c.id, _IS_ASKED, chain.c.depth < limit
    )
    chain = chain.union_all(step)
    turns = sa.select(jobs).join(chain, chain.c.id == jobs.c.id).where(_IS_ASKED, chain.c.depth <= limit)
    found = list[Asked]()
    for row in connection.execute(turns.order_by(chain.c.depth)):
        if (job := job_queries.readable(row)) is None:
            break
        found.append(Asked(job, job_queries.to_answer(row)))
    return found


def first_questions(connection: sa.Connection, job_ids: Collection[str]) -> dict[str, Job]:
    """Return of each of these questions the one that its conversation began with, as far as that is there:
    itself where it follows on from none."""
    begins = sa.select(jobs.c.id.label("end"), jobs.c.id, jobs.c.parent_id, sa.literal(1).label("depth"))
    chain = begins.where(jobs.c.id.in_(job_ids), _IS_ASKED).cte("chain", recursive=True)
    step = sa.select(chain.c.end, jobs.c.id, jobs.c.parent_id, chain.c.depth + 1).where(
        jobs.c.id == chain.c.parent_id, _IS_ASKED, chain.c.depth < _MOST_TURNS
    )
    chain = chain.union_all(step)
    turns = sa.select(chain.c.end, jobs).join(jobs, jobs.c.id == chain.c.id).order_by(chain.c.depth)
    rows = connection.execute(turns)
    return {row.end: job for row in rows if (job := job_queries.readable(row)) is not None}


def read_question(connection: sa.Connection, job_id: str) -> Asked | None:
    """Return one question, None when there is none of that id."""
    row = connection.execute(sa.select(jobs).where(jobs.c.id == job_id, _IS_ASKED)).first()
    job = None if row is None else job_queries.readable(row)
    return None if row is None or job is None else Asked(job, job_queries.to_answer(row))


def latest_question(
    connection: sa.Connection, channel_id: int, reader: int, since: datetime, *, own: bool
) -> Job | None:
    """Return a channel's newest answered question since then that ``reader`` may see. own: one of theirs."""
    mine = jobs.c.user_id == reader
    statement = (
        sa.select(jobs)
        .where(jobs.c.channel_id == channel_id, sa.text(ANSWERED))
        .where(jobs.c.created_at >= since, mine if own else sa.or_(mine, jobs.c.private == 0))
        .order_by(jobs.c.created_at.desc(), jobs.c.seq.desc())
        .limit(1)
    )
    row = connection.execute(statement).first()
    return None if row is None else job_queries.readable(row)


def replies(connection: sa.Connection, reader: int, job_id: str, limit: int) -> list[Asked]:
    """Return the questions that follow on directly from a job, of those ``reader`` may see, oldest first."""
    following = (jobs.c.parent_id == job_id, _IS_ASKED, job_queries.open_to(reader))
    return _all_asked(connection, sa.select(jobs).where(*following).order_by(jobs.c.seq).limit(limit))


def newest_questions(connection: sa.Connection, user_id: int, limit: int) -> list[Asked]:
    """Return a person's questions that no question of theirs follows on from, the newest first: where each of
    their conversations stands, once for each of its branches."""
    later = jobs.alias("later")
    followed = sa.exists().where(
        later.c.parent_id == jobs.c.id,
        later.c.parent_id.is_not(None),
        later.c.kind == sa.literal_column(f"'{AskRequest.kind}'"),
        later.c.user_id == jobs.c.user_id,
    )
    ends = sa.select(jobs).where(jobs.c.user_id == user_id, _IS_ASKED, ~followed)
    return _all_asked(connection, ends.order_by(jobs.c.seq.desc()).limit(limit))


def _all_asked(connection: sa.Connection, statement: sa.Select[Any]) -> list[Asked]:
    rows = connection.execute(statement)
    return [Asked(job, job_queries.to_answer(row)) for row in rows if (job := job_queries.readable(row))]


def day_of(now: datetime) -> int:
    """Return the number of a day: whole days since 1970, in UTC."""
    return (now - _EPOCH).days


def read_token_use(connection: sa.Connection, user_id: int, *, now: datetime) -> Use:
    """Return what a person has used of today's tokens."""
    mine = (tokens_used.c.user_id == user_id, tokens_used.c.day == day_of(now))
    tokens = connection.scalar(sa.select(tokens_used.c.tokens).where(*mine))
    waiting = sa.select(sa.func.count()).where(*_is_unanswered(user_id))
    return Use(tokens or 0, connection.execute(waiting).scalar_one())


def _is_unanswered(user_id: int) -> tuple[sa.ColumnElement[bool] | sa.TextClause, ...]:
    return jobs.c.user_id == user_id, _IS_ASKED, sa.text(UNFINISHED), jobs.c.rendered_at.is_(None)


def unanswered(connection: sa.Connection, user_id: int) -> list[Job]:
    """Return a person's questions that wait for their answer."""
    statement = sa.select(jobs).where(*_is_unanswered(user_id))
    return [job for row in connection.execute(statement) if (job := job_queries.readable(row))]


def about_sent(
    connection: sa.Connection, request: AskRequest, before: str | None, *, turns: int, answer: int
) -> int:
    """Return about how many tokens are sent with a question that follows on from the job ``before``: its own,
    and those of up to so many ``turns`` before it. answer: tokens of one that isn't there yet."""
    tokens = about_tokens(request.question, len(request.images))
    latest = None if before is None else read_question(connection, before)
    if before is None or latest is None:
        return tokens
    for job, given in [latest, *ancestors(connection, before, turns - 1)]:
        if isinstance(job.request, AskRequest):
            tokens += about_tokens(job.request.question, len(job.request.images))
            tokens += answer if given is None else about_tokens(given.text)
    return tokens


def spend_tokens(connection: sa.Connection, user_id: int, tokens: int, *, now: datetime) -> None:
    """Count tokens that a person has used."""
    values = {"user_id": user_id, "day": day_of(now), "tokens": tokens}
    connection.execute(upsert(connection, tokens_used, values, {"tokens": tokens_used.c.tokens + tokens}))


def count_away(connection: sa.Connection, user_id: int, count: int = 1, *, now: datetime) -> None:
    """Count what a person asks for while away, in jobs. Deleting it gives nothing back."""
    values = {"user_id": user_id, "day": day_of(now), "tokens": 0, "away_jobs": count}
    more = {"away_jobs": tokens_used.c.away_jobs + count}
    connection.execute(upsert(connection, tokens_used, values, more))


def drop_token_use(connection: sa.Connection, *, now: datetime) -> None:
    """Forget what was used on days before yesterday."""
    connection.execute(sa.delete(tokens_used).where(tokens_used.c.day < day_of(now) - 1))


class Feedback(NamedTuple):
    """How many people found an answer right, and how many wrong."""

    right: int = 0
    wrong: int = 0


def note_feedback(
    connection: sa.Connection, user_id: int, job_id: str, right: bool, *, now: datetime
) -> None:
    """Write what a person found an answer; what they found it before is overwritten."""
    found = {"is_right": int(right), "created_at": now}
    connection.execute(upsert(connection, feedback, {"user_id": user_id, "job_id": job_id, **found}, found))


def withdraw_feedback(connection: sa.Connection, user_id: int, job_id: str, right: bool) -> None:
    """Forget that a person found an answer right (or wrong); nothing happens if they didn't."""
    mine = feedback.c.user_id == user_id, feedback.c.job_id == job_id, feedback.c.is_right == int(right)
    connection.execute(sa.delete(feedback).where(*mine))


def read_feedback(connection: sa.Connection, job_id: str) -> Feedback:
    """Return what people found an answer."""
    rights = list(connection.scalars(sa.select(feedback.c.is_right).where(feedback.c.job_id == job_id)))
    return Feedback(sum(rights), len(rights) - sum(rights))


@dataclass(frozen=True)
class ExampleSet:
    """A set. guild_id: the server that it is shared with, None = it is its owner's alone. conversation: the
    first question of the conversation that it was taught in, None for one that was made by its name."""

    id: str
    user_id: int
    name: str
    guild_id: int | None = None
    conversation: str | None = None


@dataclass(frozen=True)
class Example:
    """A picture and what it is called, or a question with its right answer.

    label: the name, or the answer. question: "" = what the picture is called. pictures: SHA-256, with the job
    that each is of, None for one that was sent. job_id: of the question that was answered.
    """

    label: str = field(repr=False)
    question: str = field(default="", repr=False)
    pictures: tuple[tuple[str, str | None], ...] = ()
    job_id: str | None = None
    id: int = 0

    @property
    def jobs(self) -> frozenset[str]:
        """Every job that it hangs on."""
        named = (self.job_id, *(job_id for _, job_id in self.pictures))
        return frozenset(job_id for job_id in named if job_id is not None)


def add_set(
    connection: sa.Connection,
    user_id: int,
    name: str,
    *,
    most: int,
    now: datetime,
    conversation: str | None = None,
) -> ExampleSet | None:
    """Write a set; None when the person has ``most`` already. IntegrityError for a name they have."""
    count = sa.select(sa.func.count()).where(example_sets.c.user_id == user_id)
    if connection.execute(count).scalar_one() >= most:
        return None
    made = ExampleSet(new_job_id(), user_id, name, None, conversation)
    values = {"id": made.id, "user_id": user_id, "name": name, "conversation": conversation}
    connection.execute(sa.insert(example_sets).values(**values, created_at=now))
    return made


def sets_for(connection: sa.Connection, user_id: int, guild_id: int | None) -> list[ExampleSet]:
    """Return the person's own sets, then those that others share with a server, each by name."""
    mine = example_sets.c.user_id == user_id
    shared = example_sets.c.guild_id == guild_id if guild_id is not None else sa.false()
    rows = connection.execute(sa.select(example_sets).where(sa.or_(mine, shared)))
    found = [from_row(ExampleSet, row) for row in rows]
    return sorted(found, key=lambda one: (one.user_id != user_id, one.name.casefold(), one.id))


def one_set(connection: sa.Connection, set_id: str) -> ExampleSet | None:
    """Return a set, None when there is none of that id."""
    row = connection.execute(sa.select(example_sets).where(example_sets.c.id == set_id)).first()
    return None if row is None else from_row(ExampleSet, row)


def taught_in(connection: sa.Connection, job_ids: Collection[str]) -> list[ExampleSet]:
    """Return the sets that were taught in conversations that begin with one of these jobs."""
    statement = sa.select(example_sets).where(example_sets.c.conversation.in_(list(job_ids)))
    rows = connection.execute(statement.order_by(example_sets.c.created_at))
    return [from_row(ExampleSet, row) for row in rows]


def share_set(connection: sa.Connection, set_id: str, guild_id: int | None) -> None:
    """Share a set with a server, or (None) with nobody."""
    connection.execute(sa.update(example_sets).where(example_sets.c.id == set_id).values(guild_id=guild_id))


def list_examples(connection: sa.Connection, set_id: str) -> list[Example]:
    """Return the examples of a set, the oldest first."""
    return _read(connection, sa.select(examples).where(examples.c.set_id == set_id))


def one_example(connection: sa.Connection, set_id: str, example_id: int) -> Example | None:
    """Return an example of a set, None where it has none of that id."""
    mine = examples.c.set_id == set_id, examples.c.id == example_id
    return next(iter(_read(connection, sa.select(examples).where(*mine))), None)


def list_tries(connection: sa.Connection, user_id: int, set_id: str, limit: int) -> list[Job]:
    """Return the newest jobs by which a person tried a set, the newest first."""
    return job_queries.newest_about(connection, user_id, TryRequest.kind, set_id, limit)


def add_examples(connection: sa.Connection, set_id: str, new: Iterable[Example], *, now: datetime) -> None:
    """Write examples of a set."""
    for example in new:
        values = {"question": example.question, "label": example.label, "job_id": example.job_id}
        made = sa.insert(examples).values(set_id=set_id, created_at=now, **values).returning(examples.c.id)
        number = connection.execute(made).scalar_one()
        for position, (sha256, job_id) in enumerate(example.pictures):
            row = {"example_id": number, "position": position, "sha256": sha256, "job_id": job_id}
            connection.execute(sa.insert(example_pictures).values(**row))


def remove_examples(connection: sa.Connection, ids: Sequence[int]) -> set[str]:
    """Delete examples; return the files that they named."""
    files = set[str]()
    for page in pages(ids):
        named = sa.select(example_pictures.c.sha256).where(example_pictures.c.example_id.in_(page))
        files |= set(connection.execute(named).scalars())
        connection.execute(sa.delete(examples).where(examples.c.id.in_(page)))
    return files


def remove_set(connection: sa.Connection, set_id: str) -> set[str]:
    """Delete a set; return the files that its examples named."""
    found = sa.select(examples.c.id).where(examples.c.set_id == set_id)
    files = remove_examples(connection, list(connection.execute(found).scalars()))
    connection.execute(sa.delete(example_sets).where(example_sets.c.id == set_id))
    return files


def remove_from_jobs(connection: sa.Connection, job_ids: Sequence[str]) -> set[str]:
    """Delete every example with words or a picture of these jobs; return the files that they named."""
    shown = sa.select(example_pictures.c.example_id).where(example_pictures.c.job_id.in_(job_ids))
    some = sa.or_(examples.c.job_id.in_(job_ids), examples.c.id.in_(shown))
    return remove_examples(
        connection, list(connection.execute(sa.select(examples.c.id).where(some)).scalars())
    )


def remove_pictures(connection: sa.Connection, job_id: str, files: Collection[str]) -> set[str]:
    """Delete every example with one of these pictures of a job; return the files that they named."""
    shown = sa.select(example_pictures.c.example_id).where(
        example_pictures.c.job_id == job_id, example_pictures.c.sha256.in_(list(files))
    )
    return remove_examples(connection, list(connection.execute(shown).scalars()))


def files_of(connection: sa.Connection, user_id: int) -> set[str]:
    """Return the files that a person's sets name."""
    mine = sa.select(example_sets.c.id).where(example_sets.c.user_id == user_id)
    joined = example_pictures.join(examples, examples.c.id == example_pictures.c.example_id)
    named = sa.select(example_pictures.c.sha256).select_from(joined).where(examples.c.set_id.in_(mine))
    return set(connection.execute(named).scalars())


def _read(connection: sa.Connection, statement: sa.Select[tuple[object, ...]]) -> list[Example]:
    rows = connection.execute(statement.order_by(examples.c.id)).all()
    shown: defaultdict[int, list[tuple[str, str | None]]] = defaultdict(list)
    for page in pages(row.id for row in rows):
        pictures = sa.select(example_pictures).where(example_pictures.c.example_id.in_(page))
        for picture in connection.execute(pictures.order_by(example_pictures.c.position)):
            shown[picture.example_id].append((picture.sha256, picture.job_id))
    return [Example(row.label, row.question, tuple(shown[row.id]), row.job_id, row.id) for row in rows]


def seconds_used(connection: sa.Connection, user_id: int, *, now: datetime) -> float:
    """Return the seconds of video that were made for a person today."""
    mine = (videos_used.c.user_id == user_id, videos_used.c.day == day_of(now))
    return connection.scalar(sa.select(videos_used.c.seconds).where(*mine)) or 0.0


def list_coming(connection: sa.Connection, user_id: int) -> list[Request]:
    """Return the videos that a person has asked for and that aren't made yet."""
    open_ = sa.select(jobs).where(
        jobs.c.user_id == user_id,
        jobs.c.kind == sa.literal_column(f"'{VideoRequest.kind}'"),
        sa.text(UNFINISHED),
        jobs.c.rendered_at.is_(None),
    )
    found = (job_queries.readable(row) for row in connection.execute(open_))
    return [job.request for job in found if job is not None]


def spend_seconds(
    connection: sa.Connection, user_id: int, made: Iterable[StoredVideo], *, now: datetime
) -> None:
    """Count videos that were made for a person."""
    seconds = sum(video.seconds for video in made)
    values = {"user_id": user_id, "day": day_of(now), "seconds": seconds}
    connection.execute(upsert(connection, videos_used, values, {"seconds": videos_used.c.seconds + seconds}))


def drop_seconds_used(connection: sa.Connection, *, now: datetime) -> None:
    """Forget what was made on days before yesterday."""
    connection.execute(sa.delete(videos_used).where(videos_used.c.day < day_of(now) - 1))
