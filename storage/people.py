"""Rows about users and guilds, and what outlives any job: the audit trail, and settings that were changed.
Beside them what statements of all tables share: ``upsert``, ``put``, ``total``, ``pages``, ``from_row``."""

import functools
import json
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storage.schema import (
    EVERYWHERE,
    Int64,
    allowed,
    audit,
    bans,
    guilds,
    role_limits,
    role_tokens,
    settings,
    users,
)

LANGUAGE_IN = "language in {}"  # setting: the language of public answers in a guild
PROGRAMS_IN = "programs in {}"  # setting: whether programs of people reach what belongs to a guild
PAGE = 500  # values in one list of a statement
T = TypeVar("T")
_TURNS = sa.select(users.c.id, users.c.served).where(users.c.id.in_(sa.bindparam("ids", expanding=True)))
_ZERO, _NO_TEXT = sa.literal_column("0", Int64), sa.literal_column("''", sa.Text)


@dataclass(frozen=True)
class RoleLimit:
    """What members with a role may have at once."""

    role_id: int
    user_running: int
    user_waiting: int


@dataclass(frozen=True)
class RoleTokens:
    """How many tokens members with a role may use a day, 0 = as many as they like."""

    role_id: int
    per_day: int


@dataclass(frozen=True)
class Rules:
    """A guild's rules as they touch one member. ``channels`` and ``roles``: if not empty, only these.
    ``role_tokens``: a day, of each of the member's roles that has a number of its own."""

    banned: bool = False
    channels: frozenset[int] = frozenset()
    roles: frozenset[int] = frozenset()
    role_limits: tuple[RoleLimit, ...] = ()
    role_tokens: tuple[int, ...] = ()


def from_row(cls: type[T], row: sa.Row[Any], **others: Any) -> T:
    """Return a dataclass of a row whose columns are called as its fields, but for ``others``."""
    named = (item.name for item in fields(cls) if item.name not in others)  # type: ignore[arg-type]
    return cls(**{name: getattr(row, name) for name in named}, **others)


def pages(names: Iterable[T], size: int = PAGE) -> Iterator[list[T]]:
    """Yield all names once, so many at a time as a statement takes."""
    left = iter(dict.fromkeys(names))
    while page := list(islice(left, size)):
        yield page


def upsert(connection: sa.Connection, table: sa.Table, values: dict[str, Any], update: dict[str, Any]) -> Any:
    """Return the statement that inserts ``values``, or makes ``update`` of the row with their key, if any."""
    statement = insert_into(table, connection.dialect.name).values(**values)
    if not update:
        return statement.on_conflict_do_nothing()
    return statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=update)


def insert_into(table: sa.Table, dialect: str) -> Any:
    """Return the dialect's own INSERT, which can say what happens to a row that is there."""
    return {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[dialect](table)


def put(connection: sa.Connection, table: sa.Table, values: dict[str, Any], *changed: str) -> None:
    """Insert ``values``, or, where a row has their key, give it those that are named in ``changed``. For what
    is written for every job: the statement is built once."""
    connection.execute(_put(connection.dialect.name, table, changed), values)


@functools.cache
def _put(dialect: str, table: sa.Table, changed: tuple[str, ...]) -> sa.Insert:
    insert = insert_into(table, dialect)
    new = {name: insert.excluded[name] for name in changed}
    statement: sa.Insert = insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=new)
    return statement


def total(column: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    """Return the sum of whole numbers, 0 of none: a whole number where PostgreSQL makes a decimal of it."""
    return sa.cast(sa.func.coalesce(sa.func.sum(column), 0), Int64)


def user_seen(connection: sa.Connection, user_id: int, name: str, *, now: datetime) -> None:
    """Note a person's name, and that they were here."""
    seen = {"name": name, "seen_at": now}
    connection.execute(upsert(connection, users, {"id": user_id, **seen}, seen))


def read_names(connection: sa.Connection, user_ids: Iterable[int]) -> dict[int, str]:
    """Return the names of these people, as far as they are known."""
    named = sa.select(users.c.id, users.c.name).where(users.c.id.in_(list(user_ids)), users.c.name != "")
    return {row.id: row.name for row in connection.execute(named)}


def guild_seen(connection: sa.Connection, guild_id: int, name: str, *, now: datetime) -> None:
    """Note a guild's name, and that the bot is in it."""
    seen = {"name": name, "seen_at": now, "left_at": None}
    connection.execute(upsert(connection, guilds, {"id": guild_id, **seen}, seen))


def greet(connection: sa.Connection, guild_id: int, name: str, *, now: datetime) -> bool:
    """Note that a guild is told what the bot is. Return False when it was before."""
    known = sa.select(guilds.c.id).where(guilds.c.id == guild_id, guilds.c.greeted_at.is_not(None))
    if connection.scalar(known) is not None:
        return False
    values = {"id": guild_id, "name": name, "greeted_at": now}
    connection.execute(upsert(connection, guilds, values, {"greeted_at": now}))
    return True


def guilds_left(connection: sa.Connection, guild_ids: Iterable[int], *, now: datetime) -> None:
    """Note that the bot is no longer in these guilds."""
    for guild_id in guild_ids:
        connection.execute(sa.update(guilds).where(guilds.c.id == guild_id).values(left_at=now))


def guilds_there(connection: sa.Connection) -> frozenset[int]:
    """Return the ids of the guilds that the bot is in."""
    return frozenset(connection.scalars(sa.select(guilds.c.id).where(guilds.c.left_at.is_(None))))


def set_served(connection: sa.Connection, user_id: int, turn: int) -> None:
    """Note that the user had turn number ``turn``; turns only grow."""
    put(connection, users, {"id": user_id, "served": turn}, "served")


def turns(connection: sa.Connection, user_ids: Iterable[int]) -> dict[int, int]:
    """User → their latest turn, 0 for those who never had one."""
    ids = list(user_ids)
    found = dict.fromkeys(ids, 0)
    for page in pages(ids):  # a statement of a server may have 65,535 values
        found |= {row.id: row.served for row in connection.execute(_TURNS, {"ids": page})}
    return found


def last_turn(connection: sa.Connection) -> int:
    """Return the number of the latest turn that anybody had, 0 before the first."""
    return connection.execute(sa.select(sa.func.coalesce(sa.func.max(users.c.served), 0))).scalar_one()


def read_flag(connection: sa.Connection, user_id: int, key: str) -> Any:
    """A small setting of the user, None when it was never set."""
    flags = connection.scalar(sa.select(users.c.flags).where(users.c.id == user_id))
    return None if flags is None else json.loads(flags).get(key)


def set_flag(connection: sa.Connection, user_id: int, key: str, value: Any) -> None:
    """``value``: anything JSON takes; None removes it."""
    flags = connection.scalar(sa.select(users.c.flags).where(users.c.id == user_id))
    changed = {**json.loads(flags or "{}"), key: value}
    text = json.dumps({k: v for k, v in changed.items() if v is not None}, ensure_ascii=False)
    connection.execute(upsert(connection, users, {"id": user_id, "flags": text}, {"flags": text}))


def read_rules(
    connection: sa.Connection, user_id: int, guild_id: int | None, role_ids: Iterable[int] = ()
) -> Rules:
    """The rules of a guild (None: of direct messages) for a member with these roles; one statement."""
    return to_rules(connection.execute(_ALL_RULES, rules_asked(user_id, guild_id, role_ids)).all())


def fact(
    what: str, a: Any = _ZERO, b: Any = _ZERO, c: Any = _ZERO, *, text: Any = _NO_TEXT
) -> sa.Select[Any]:
    """A part of a UNION ALL of different things: what it is, a text and three numbers."""
    return sa.select(
        sa.literal_column(f"'{what}'", sa.Text).label("what"),
        text.label("text"),
        a.label("a"),
        b.label("b"),
        c.label("c"),
    )


def rules_asked(user_id: int, guild_id: int | None, role_ids: Iterable[int]) -> dict[str, Any]:
    """The parameters of ``RULES``."""
    place = guild_id or EVERYWHERE
    return {"user": user_id, "place": place, "guild": guild_id, "roles": list(role_ids)}


def _listed(kind: str) -> sa.Select[Any]:
    in_guild = allowed.c.guild_id == sa.bindparam("guild")
    return fact(kind, allowed.c.target_id).where(in_guild, allowed.c.kind == sa.literal_column(f"'{kind}'"))


def _of_roles(kind: str, table: sa.Table, *columns: sa.Column[Any]) -> sa.Select[Any]:
    mine = table.c.role_id.in_(sa.bindparam("roles", expanding=True))
    return fact(kind, *columns).where(table.c.guild_id == sa.bindparam("guild"), mine)


_LIMITS = (role_limits.c.role_id, role_limits.c.user_running, role_limits.c.user_waiting)
_OF_ROLES: dict[type, sa.Table] = {RoleLimit: role_limits, RoleTokens: role_tokens}


# What ``to_rules`` makes the rules of. Statements that an interaction waits for are built once: building one
# takes longer than running it
RULES = (
    fact("banned", bans.c.guild_id).where(
        bans.c.user_id == sa.bindparam("user"),
        bans.c.guild_id.in_([sa.literal(EVERYWHERE, Int64), sa.bindparam("place", type_=Int64)]),
    ),
    _listed("channel"),
    _listed("role"),
    _of_roles("limit", role_limits, *_LIMITS),
    _of_roles("tokens", role_tokens, role_tokens.c.per_day),
)
_ALL_RULES = sa.union_all(*RULES)


def to_rules(facts: Iterable[sa.Row[Any]]) -> Rules:
    """The rules that these facts make; who is banned needs no others."""
    facts = list(facts)
    if any(row.what == "banned" for row in facts):
        return Rules(banned=True)
    return Rules(
        channels=frozenset(row.a for row in facts if row.what == "channel"),
        roles=frozenset(row.a for row in facts if row.what == "role"),
        role_limits=tuple(RoleLimit(row.a, row.b, row.c) for row in facts if row.what == "limit"),
        role_tokens=tuple(row.a for row in facts if row.what == "tokens"),
    )


def ban(
    connection: sa.Connection, user_id: int, guild_id: int | None, *, actor_id: int, now: datetime
) -> None:
    """``guild_id`` None: everywhere."""
    values = {"guild_id": guild_id or EVERYWHERE, "user_id": user_id, "actor_id": actor_id, "created_at": now}
    connection.execute(upsert(connection, bans, values, {}))


def unban(connection: sa.Connection, user_id: int, guild_id: int | None) -> bool:
    """End a ban in a guild (None: everywhere). Return False when there was none."""
    statement = sa.delete(bans).where(bans.c.user_id == user_id, bans.c.guild_id == (guild_id or EVERYWHERE))
    return bool(connection.execute(statement).rowcount)


def banned(connection: sa.Connection, guild_id: int | None) -> list[int]:
    """Users banned in the guild (None: everywhere), longest ago first."""
    statement = sa.select(bans.c.user_id).where(bans.c.guild_id == (guild_id or EVERYWHERE))
    return list(connection.scalars(statement.order_by(bans.c.created_at)))


def allow(connection: sa.Connection, guild_id: int, kind: str, target_id: int) -> None:
    """``kind``: channel or role."""
    values = {"guild_id": guild_id, "kind": kind, "target_id": target_id}
    connection.execute(upsert(connection, allowed, values, {}))


def disallow(connection: sa.Connection, guild_id: int, kind: str, target_id: int) -> bool:
    """Take it off the list; an empty list allows everything."""
    statement = sa.delete(allowed).where(
        allowed.c.guild_id == guild_id, allowed.c.kind == kind, allowed.c.target_id == target_id
    )
    return bool(connection.execute(statement).rowcount)


def list_role_rules(connection: sa.Connection, guild_id: int, kind: type[T]) -> list[T]:
    """Return what a guild's roles have of a kind, RoleLimit or RoleTokens, by role id."""
    table = _OF_ROLES[kind]
    mine = sa.select(table).where(table.c.guild_id == guild_id).order_by(table.c.role_id)
    return [from_row(kind, row) for row in connection.execute(mine)]


def set_role_rule(connection: sa.Connection, guild_id: int, rule: RoleLimit | RoleTokens) -> None:
    """Set what members with a role may have, in place of what they had of that kind."""
    values = vars(rule)
    table = _OF_ROLES[type(rule)]
    connection.execute(upsert(connection, table, {"guild_id": guild_id, **values}, values))


def remove_role_rule(connection: sa.Connection, guild_id: int, role_id: int, kind: type) -> bool:
    """Take away what a role has of a kind. Return False when it had none."""
    table = _OF_ROLES[kind]
    mine = (table.c.guild_id == guild_id, table.c.role_id == role_id)
    return bool(connection.execute(sa.delete(table).where(*mine)).rowcount)


STUDIO = "studio"  # setting: the name of this studio, which outlives all its processes


@dataclass(frozen=True)
class AuditRow:
    """``actor_id`` did ``action`` to ``target`` (a job, user, channel or role id)."""

    at: datetime
    actor_id: int
    action: str
    guild_id: int | None = None
    target: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)


def add_audit(connection: sa.Connection, row: AuditRow) -> None:
    """Note what an admin does."""
    values = vars(row) | {"detail": json.dumps(row.detail, ensure_ascii=False)}
    connection.execute(sa.insert(audit).values(**values))


def audited(row: AuditRow, work: Callable[[sa.Connection], T]) -> Callable[[sa.Connection], T]:
    """Return ``work`` with its audit row, as one function on rows."""

    def both(connection: sa.Connection) -> T:
        add_audit(connection, row)
        return work(connection)

    return both


def audit_rows(connection: sa.Connection, *, guild_id: int | None = None, limit: int = 50) -> list[AuditRow]:
    """Return the latest rows, newest first; of one guild if it is named."""
    here = [] if guild_id is None else [audit.c.guild_id == guild_id]
    rows = connection.execute(sa.select(audit).where(*here).order_by(audit.c.seq.desc()).limit(limit))
    return [AuditRow(r.at, r.actor_id, r.action, r.guild_id, r.target, json.loads(r.detail)) for r in rows]


def read_setting(connection: sa.Connection, key: str) -> Any:
    """Return a setting's value, None when it was never set."""
    value = connection.scalar(sa.select(settings.c.value).where(settings.c.key == key))
    return None if value is None else json.loads(value)


def takes_programs(connection: sa.Connection, guild_id: int) -> bool:
    """Return whether programs reach what belongs to a guild: unless its managers forbid them."""
    return read_setting(connection, PROGRAMS_IN.format(guild_id)) is not False


def set_setting(connection: sa.Connection, key: str, value: Any) -> None:
    """Change a setting. ``value``: anything JSON takes."""
    text = json.dumps(value)
    connection.execute(upsert(connection, settings, {"key": key, "value": text}, {"value": text}))


def studio(connection: sa.Connection) -> str:
    """Return the name by which this database's studio is told from others; made up when it is first asked."""
    name = read_setting(connection, STUDIO)
    if name is None:
        set_setting(connection, STUDIO, name := secrets.token_hex(8))
    return str(name)
