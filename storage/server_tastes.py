"""Rows of servers' tastes: whose hearts count there, and what these teach: hearts on pictures that were
drawn in the server's channels for all to see. Nothing that is learned is kept, so who is forgotten leaves no
trace."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from core.convert import Preferences
from storage import duels
from storage.collections import in_trash
from storage.members import read_choices
from storage.people import pages, read_setting, set_setting, upsert
from storage.schema import (
    UtcTimestamp,
    favourites,
    jobs,
    picture_vectors,
    pictures,
    taste_voters,
)
from storage.tastes import MOST, Told

SERVER = "server"  # what ``--p`` calls the taste of the server that one asks in
FEWEST_VOTERS = 3
MOST_VOTERS = 200
_STATE = "taste in {}"  # setting: what is noted of a guild's taste


@dataclass(frozen=True)
class Trial:
    """A blind vote on whether a server's taste fits. pairs: jobs that were asked for together, of one prompt
    each: by the taste, and without it. begun: seconds since 1970. duels: that show them, none while they are
    drawn. is_over: managers have ended it."""

    channel_id: int
    begun: float
    pairs: Sequence[tuple[str, str]]
    duels: Sequence[str] = ()
    is_over: bool = False


@dataclass(frozen=True)
class Verdict:
    """What a blind vote said. share: how often the taste's picture was liked more, each pair alike. low,
    high: where that lies in 19 of 20 cases. voters: who voted. All but this are shares of 1."""

    share: float
    low: float
    high: float
    voters: int

    @property
    def fits(self) -> bool:
        """Whether the taste is better than none for certain, said by enough members."""
        return self.voters >= FEWEST_VOTERS and self.low > 0.5


@dataclass(frozen=True)
class Noted:
    """What is noted of a server's taste. since: hearts before don't count. until: hearts after don't count
    yet, 0 = none does. Both are seconds since 1970. duels: the channel where pairs are shown to vote
    on, None = nowhere. in_use: ``--p server`` draws by it. trial: the blind vote that runs. verdict: of the
    last one, None = none yet."""

    is_on: bool = True
    since: float = 0.0
    until: float = 0.0
    duels: int | None = None
    in_use: bool = False
    trial: Trial | None = None
    verdict: Verdict | None = None


def read_noted(connection: sa.Connection, guild_id: int) -> Noted:
    """Return what is noted of a server's taste."""
    said = dict(read_setting(connection, _STATE.format(guild_id)) or {})
    for name, kind in (("trial", Trial), ("verdict", Verdict)):
        if said.get(name) is not None:
            said[name] = kind(**said[name])
    return Noted(**said)


def note(connection: sa.Connection, guild_id: int, **changed: Any) -> None:
    """Change what is noted of a server's taste."""
    noted = replace(read_noted(connection, guild_id), **changed)
    set_setting(connection, _STATE.format(guild_id), asdict(noted))


def _shown_in(guild_id: int) -> tuple[sa.ColumnElement[bool], ...]:
    return jobs.c.guild_id == guild_id, jobs.c.private == 0, jobs.c.rendered_at.is_not(None)


def list_hearted(connection: sa.Connection, guild_id: int) -> list[int]:
    """Return whoever has given a heart to a picture of the server's, those with the latest first, then
    whoever has voted there."""
    joined = favourites.join(jobs, jobs.c.id == favourites.c.job_id)
    latest = sa.func.max(favourites.c.created_at, type_=UtcTimestamp)
    found = sa.select(favourites.c.user_id).select_from(joined).where(*_shown_in(guild_id))
    found = found.group_by(favourites.c.user_id).order_by(latest.desc()).limit(MOST_VOTERS)
    hearted = list(connection.scalars(found))
    return list(dict.fromkeys(hearted + duels.list_voters(connection, guild_id)))[:MOST_VOTERS]


def channels_liked(connection: sa.Connection, guild_id: int, user_id: int) -> set[int]:
    """Return the channels of others' pictures that a member has given a heart to or voted on."""
    hearted = sa.select(jobs.c.channel_id).join(favourites, favourites.c.job_id == jobs.c.id)
    hearted = hearted.where(favourites.c.user_id == user_id, jobs.c.user_id != user_id, *_shown_in(guild_id))
    return {*connection.scalars(hearted.distinct()), *duels.list_channels(connection, guild_id, user_id)}


def put_voters(
    connection: sa.Connection, guild_id: int, there: Mapping[int, Collection[int]], until: float
) -> None:
    """Let what these members like count until a time, and of nobody else; who was forgotten stays so. there:
    by each, the channels that they can't read: others' pictures there don't count."""
    here = taste_voters.c.guild_id == guild_id
    connection.execute(sa.delete(taste_voters).where(here, taste_voters.c.counts == 1))
    for user_id, unread in there.items():
        said = " ".join(map(str, sorted(unread))) or None
        row = {"guild_id": guild_id, "user_id": user_id, "counts": 1, "unread": said}
        connection.execute(upsert(connection, taste_voters, row, {}))
    note(connection, guild_id, until=until)


def set_counts(connection: sa.Connection, guild_id: int, user_id: int, *, counts: bool) -> None:
    """Forget a member in a server, or let them count from the next night on."""
    mine = (taste_voters.c.guild_id == guild_id, taste_voters.c.user_id == user_id)
    connection.execute(sa.delete(taste_voters).where(*mine))
    if not counts:
        duels.delete_votes(connection, user_id, guild_id)
        row = {"guild_id": guild_id, "user_id": user_id, "counts": 0}
        connection.execute(sa.insert(taste_voters).values(**row))


def is_forgotten(connection: sa.Connection, guild_id: int, user_id: int) -> bool:
    """Return whether a member wants to be forgotten in a server."""
    mine = (taste_voters.c.guild_id == guild_id, taste_voters.c.user_id == user_id)
    return connection.scalar(sa.select(taste_voters.c.counts).where(*mine)) == 0


def forget_others(connection: sa.Connection, there: Collection[int]) -> None:
    """Forget who counts in servers that the bot isn't in any more, and their votes."""
    duels.delete_duels_elsewhere(connection, there)
    known = connection.scalars(sa.select(taste_voters.c.guild_id).distinct()).all()
    for page in pages(set(known) - set(there)):
        connection.execute(
            sa.delete(taste_voters).where(taste_voters.c.guild_id.in_(page), taste_voters.c.counts == 1)
        )


def read_server_lesson(
    connection: sa.Connection, guild_id: int, model: str, weight: float = 1.0
) -> Told | None:
    """Return what members' hearts tell, of pictures that ``model`` has seen; nothing of fewer than
    FEWEST_VOTERS, None where the server wants no taste."""
    noted = read_noted(connection, guild_id)
    if not noted.is_on:
        return None
    here = (taste_voters.c.guild_id == guild_id, taste_voters.c.counts == 1)
    willing = dict[int, set[int]]()  # member → channels that they can't read
    for row in connection.execute(sa.select(taste_voters.c.user_id, taste_voters.c.unread).where(*here)):
        said = read_choices(connection, row.user_id)
        if not said or Preferences.of_json(said).taste:
            willing[row.user_id] = set(map(int, (row.unread or "").split()))
    hearts = _hearts(connection, guild_id, noted, willing)
    votes = duels.list_votes(connection, guild_id, willing, *_counted(noted))
    told = _told(connection, hearts, votes, model, weight)
    enough = len(set(told.voters)) >= FEWEST_VOTERS
    return told if enough else Told(SERVER, weight, (), {})


Heart = tuple[int, str, int, bool]  # who gave it, job, position, and whether the job is their own


def _counted(noted: Noted) -> tuple[datetime, datetime]:
    return datetime.fromtimestamp(noted.since, UTC), datetime.fromtimestamp(noted.until, UTC)


def _hearts(
    connection: sa.Connection, guild_id: int, noted: Noted, willing: Mapping[int, Collection[int]]
) -> list[Heart]:
    joined = favourites.join(jobs, jobs.c.id == favourites.c.job_id).join(
        pictures,
        sa.and_(pictures.c.job_id == favourites.c.job_id, pictures.c.position == favourites.c.position),
    )
    at = favourites.c.created_at
    since, until = _counted(noted)
    heart = (favourites.c.user_id, favourites.c.job_id, favourites.c.position)
    whose = (*heart, jobs.c.user_id.label("author"), jobs.c.channel_id)
    found = (
        sa.select(*whose)
        .select_from(joined)
        .where(favourites.c.user_id.in_(willing), *_shown_in(guild_id), ~in_trash())
    )
    rows = connection.execute(found.where(at > since, at <= until).order_by(at.desc()).limit(MOST))
    return [
        (row.user_id, row.job_id, row.position, row.author == row.user_id)
        for row in rows
        if row.author == row.user_id or row.channel_id not in willing[row.user_id]
    ]


def _told(
    connection: sa.Connection,
    hearts: Collection[Heart],
    votes: Collection[duels.Vote],
    model: str,
    weight: float,
) -> Told:
    """Return hearts as pages, one for each member and job, and votes on pairs, a page each. What a member
    passed over is known of pairs and of their own jobs."""
    seen = defaultdict[str, dict[int, str]](dict)
    vectors = dict[str, bytes]()
    columns = (pictures.c.job_id, pictures.c.position, pictures.c.sha256, picture_vectors.c.vector)
    joined = pictures.join(picture_vectors, picture_vectors.c.sha256 == pictures.c.sha256)
    read = sa.select(*columns).select_from(joined).where(picture_vectors.c.model == model)
    jobs_named = {job_id for _, job_id, _, _ in hearts} | {vote.job_id for vote in votes}
    for page in pages(jobs_named):
        there = (pictures.c.job_id.in_(page), pictures.c.position >= 0)
        for row in connection.execute(read.where(*there)):
            seen[row.job_id][row.position] = row.sha256
            vectors[row.sha256] = row.vector
    liked, own = defaultdict[tuple[int, str], set[int]](set), set[tuple[int, str]]()
    for user_id, job_id, position, is_own in hearts:
        if position in seen[job_id]:
            liked[user_id, job_id].add(position)
            own |= {(user_id, job_id)} if is_own else set()
    found = list[tuple[tuple[str, ...], tuple[str, ...]]]()
    for (user_id, job_id), positions in liked.items():
        grid = seen[job_id]
        rest = [grid[n] for n in grid if n not in positions] if (user_id, job_id) in own else []
        found.append((tuple(grid[n] for n in positions), tuple(rest)))
    whose = [user_id for user_id, _ in liked]
    answers = defaultdict[tuple[int, str], tuple[list[str], list[str]]](lambda: ([], []))
    for vote in votes:
        if (sha256 := seen[vote.job_id].get(vote.position)) is not None:
            answers[vote.user_id, vote.pair][0 if vote.liked else 1].append(sha256)
    for (user_id, _), (preferred, passed) in answers.items():
        if preferred:  # nobody knows what is better than a page of which none is liked
            found.append((tuple(preferred), tuple(passed)))
            whose.append(user_id)
    numbers = {user_id: number for number, user_id in enumerate(dict.fromkeys(whose))}
    return Told(SERVER, weight, tuple(found), vectors, tuple(numbers[user_id] for user_id in whose))
