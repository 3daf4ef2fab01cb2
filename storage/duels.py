"""Rows of duels: pairs of pictures that were drawn in a channel for all to see, and which of each pair
members like more. A picture that is deleted takes its votes with it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from storage.collections import in_trash
from storage.people import from_row
from storage.schema import duel_pictures, duel_votes, duels, jobs, pictures

MOST_VOTES = 2000  # that are learned from, the newest


@dataclass(frozen=True)
class Duel:
    """message_id: None = not known to be posted. ended_at: None = members may vote."""

    id: str
    guild_id: int
    channel_id: int
    message_id: int | None
    created_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True)
class Grid:
    """Pictures that were drawn together."""

    job_id: str
    user_id: int
    positions: tuple[int, ...]


@dataclass(frozen=True)
class Vote:
    """What a member said of a picture of a pair. pair: the same of both pictures."""

    pair: str
    user_id: int
    job_id: str
    position: int
    liked: bool


def pair_of(number: int) -> int:
    """Return the pair, from 1, that a picture's number belongs to: 1 and 2 are the first."""
    return (number + 1) // 2


def list_grids(connection: sa.Connection, guild_id: int, channel_id: int, since: datetime) -> list[Grid]:
    """Return the grids that everybody sees in a channel and that no duel has shown, the newest first."""
    there = (jobs.c.guild_id == guild_id, jobs.c.channel_id == channel_id, jobs.c.private == 0)
    shown = sa.exists().where(duel_pictures.c.job_id == jobs.c.id)
    columns = (pictures.c.job_id, jobs.c.user_id, pictures.c.position)
    found = sa.select(*columns).join(jobs, jobs.c.id == pictures.c.job_id)
    found = found.where(*there, jobs.c.rendered_at > since, pictures.c.position >= 0, ~in_trash(), ~shown)
    ordered = found.order_by(jobs.c.rendered_at.desc(), jobs.c.id, pictures.c.position)
    grids = dict[tuple[str, int], list[int]]()
    for row in connection.execute(ordered):
        grids.setdefault((row.job_id, row.user_id), []).append(row.position)
    return [Grid(*names, tuple(positions)) for names, positions in grids.items() if len(positions) > 1]


def add_duel(
    connection: sa.Connection,
    duel_id: str,
    guild_id: int,
    channel_id: int,
    shown: Sequence[tuple[str, int]],
    *,
    now: datetime,
) -> None:
    """Write a duel down before it is posted. shown: the first two are a pair, and so on."""
    row = {"id": duel_id, "guild_id": guild_id, "channel_id": channel_id, "created_at": now}
    connection.execute(sa.insert(duels).values(**row))
    connection.execute(
        sa.insert(duel_pictures),
        [
            {"duel_id": duel_id, "number": number, "job_id": job_id, "position": position}
            for number, (job_id, position) in enumerate(shown, 1)
        ],
    )


def find_duel(connection: sa.Connection, duel_id: str) -> Duel | None:
    """Return a duel by its id."""
    row = connection.execute(sa.select(duels).where(duels.c.id == duel_id)).first()
    return None if row is None else from_row(Duel, row)


def list_open(connection: sa.Connection) -> list[Duel]:
    """Return the duels that haven't ended, the oldest first."""
    found = sa.select(duels).where(duels.c.ended_at.is_(None)).order_by(duels.c.created_at, duels.c.id)
    return [from_row(Duel, row) for row in connection.execute(found)]


def last_begun(connection: sa.Connection, guild_id: int) -> datetime | None:
    """Return when the latest duel of a server's own pictures began."""
    shown = sa.select(duel_pictures.c.duel_id).join(jobs, jobs.c.id == duel_pictures.c.job_id)
    own = duels.c.id.in_(shown.where(jobs.c.private == 0))
    latest = sa.select(duels.c.created_at).where(duels.c.guild_id == guild_id, own)
    return connection.scalar(latest.order_by(duels.c.created_at.desc()).limit(1))


def note_posted(connection: sa.Connection, duel_id: str, message_id: int) -> None:
    """Note the message that shows a duel."""
    connection.execute(sa.update(duels).where(duels.c.id == duel_id).values(message_id=message_id))


def end_duel(connection: sa.Connection, duel_id: str, *, now: datetime) -> None:
    """Let nobody vote any more."""
    connection.execute(sa.update(duels).where(duels.c.id == duel_id).values(ended_at=now))


def delete_duel(connection: sa.Connection, duel_id: str) -> None:
    """Delete a duel that couldn't be posted."""
    connection.execute(sa.delete(duels).where(duels.c.id == duel_id))


def delete_duels_elsewhere(connection: sa.Connection, there: Collection[int]) -> None:
    """Delete the duels of servers that the bot isn't in any more, with their votes."""
    known = connection.scalars(sa.select(duels.c.guild_id).distinct()).all()
    for guild_id in set(known) - set(there):
        connection.execute(sa.delete(duels).where(duels.c.guild_id == guild_id))


def list_shown(connection: sa.Connection, duel_id: str) -> dict[int, tuple[str, int]]:
    """Return the pictures of a duel by their numbers, as jobs and positions: those that aren't deleted."""
    same = (pictures.c.job_id == duel_pictures.c.job_id, pictures.c.position == duel_pictures.c.position)
    columns = (duel_pictures.c.number, duel_pictures.c.job_id, duel_pictures.c.position)
    found = sa.select(*columns).join(pictures, sa.and_(*same)).where(duel_pictures.c.duel_id == duel_id)
    rows = connection.execute(found.where(~in_trash()).order_by(duel_pictures.c.number))
    return {row.number: (row.job_id, row.position) for row in rows}


def put_vote(connection: sa.Connection, duel_id: str, user_id: int, number: int, *, now: datetime) -> bool:
    """Keep which picture of its pair a member likes more, in place of what they said before; return whether
    there is such a pair still."""
    pair = [n for n in list_shown(connection, duel_id) if pair_of(n) == pair_of(number)]
    if number not in pair or len(pair) < 2:
        return False
    mine = (duel_votes.c.duel_id == duel_id, duel_votes.c.user_id == user_id)
    connection.execute(sa.delete(duel_votes).where(*mine, duel_votes.c.number.in_(pair)))
    common = {"duel_id": duel_id, "user_id": user_id, "at": now}
    connection.execute(
        sa.insert(duel_votes), [{**common, "number": n, "liked": int(n == number)} for n in pair]
    )
    return True


def count_votes(connection: sa.Connection, duel_id: str) -> dict[int, int]:
    """Return how many members like each picture of a duel more than the other, by its number."""
    liked = (duel_votes.c.duel_id == duel_id, duel_votes.c.liked == 1)
    found = sa.select(duel_votes.c.number, sa.func.count().label("n")).where(*liked)
    return {row.number: row.n for row in connection.execute(found.group_by(duel_votes.c.number))}


def count_voters(connection: sa.Connection, duel_ids: Collection[str]) -> int:
    """Return how many members have voted in some duels."""
    found = sa.select(sa.func.count(duel_votes.c.user_id.distinct()))
    return connection.execute(found.where(duel_votes.c.duel_id.in_(duel_ids))).scalar_one()


def delete_votes(connection: sa.Connection, user_id: int, guild_id: int | None = None) -> None:
    """Forget what a member said in a server, None = anywhere."""
    gone = sa.delete(duel_votes).where(duel_votes.c.user_id == user_id)
    if guild_id is not None:
        gone = gone.where(duel_votes.c.duel_id.in_(sa.select(duels.c.id).where(duels.c.guild_id == guild_id)))
    connection.execute(gone)


def list_voters(connection: sa.Connection, guild_id: int) -> list[int]:
    """Return whoever has voted in a server."""
    joined = duel_votes.join(duels, duels.c.id == duel_votes.c.duel_id)
    found = sa.select(duel_votes.c.user_id).distinct().select_from(joined)
    return list(connection.scalars(found.where(duels.c.guild_id == guild_id).order_by(duel_votes.c.user_id)))


def list_channels(connection: sa.Connection, guild_id: int, user_id: int) -> set[int]:
    """Return the channels of a server in which a member has voted."""
    found = sa.select(duels.c.channel_id).join(duel_votes, duel_votes.c.duel_id == duels.c.id)
    return set(connection.scalars(found.where(duel_votes.c.user_id == user_id, duels.c.guild_id == guild_id)))


def list_votes(
    connection: sa.Connection,
    guild_id: int,
    voters: Mapping[int, Collection[int]],
    since: datetime,
    until: datetime,
) -> list[Vote]:
    """Return what some members said in a server between two times, of pictures that aren't in the trash.
    voters: by each, the channels that they can't read, which don't count."""
    shown = (duel_pictures.c.duel_id == duel_votes.c.duel_id, duel_pictures.c.number == duel_votes.c.number)
    same = (pictures.c.job_id == duel_pictures.c.job_id, pictures.c.position == duel_pictures.c.position)
    joined = duel_votes.join(duels, duels.c.id == duel_votes.c.duel_id)
    joined = joined.join(duel_pictures, sa.and_(*shown)).join(pictures, sa.and_(*same))
    joined = joined.join(jobs, jobs.c.id == duel_pictures.c.job_id)
    said = (duel_votes.c.at > since, duel_votes.c.at <= until, duel_votes.c.user_id.in_(voters))
    whose = (duel_votes.c.duel_id, duel_votes.c.number, duel_votes.c.user_id)
    columns = (*whose, duels.c.channel_id, pictures.c.job_id, pictures.c.position)
    found = sa.select(*columns, duel_votes.c.liked).select_from(joined)
    found = found.where(duels.c.guild_id == guild_id, jobs.c.private == 0, ~in_trash(), *said)
    order = (duel_votes.c.at.desc(), duel_votes.c.duel_id, duel_votes.c.user_id, duel_votes.c.number)
    return [
        Vote(f"{row.duel_id} {pair_of(row.number)}", row.user_id, row.job_id, row.position, bool(row.liked))
        for row in connection.execute(found.order_by(*order).limit(MOST_VOTES))
        if row.channel_id not in voters[row.user_id]
    ]
