"""Every table, its checks and its indexes. What a row means is said in the modules that read it.

Conditions of partial indexes are constants here, used by the statements too: SQLite uses such an index only
when the statement repeats its condition word for word, with no bound parameter in it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator

from core.job import Lane, Status, Surface

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# 64 bits in both; SQLite keys must be called INTEGER
Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Float64: sa.types.TypeEngine[float] = sa.Double().with_variant(sa.REAL(), "sqlite")


class UtcTimestamp(TypeDecorator[datetime]):
    """An aware time, kept as whole microseconds since 1970 in UTC: sorts and compares alike in every
    database."""

    impl = Int64
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> int | None:
        """Return microseconds since 1970."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Any) -> datetime | None:
        """Return an aware time in UTC."""
        return None if value is None else _EPOCH + value * _MICROSECOND


metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


def _in(column: str, values: type[Status] | type[Lane]) -> str:
    return f"{column} IN ({', '.join(repr(v.value) for v in values)})"


QUEUED = "status = 'queued'"
RUNNING = "status = 'running'"
UNFINISHED = "status IN ('queued', 'running', 'rendered')"
KEYED = "request_key IS NOT NULL"
PRESSED = f"press_key IS NOT NULL AND {UNFINISHED}"
UNDELIVERED = "delivered_at IS NULL"  # nobody has been told how it ended
TOLD = "delivered_at IS NOT NULL"
BUNDLES = "kind = 'bundle'"
ANSWERED = "kind = 'ask' AND answer IS NOT NULL"
CHILD = "parent_id IS NOT NULL"
SHOWN = "private = 0 AND guild_id IS NOT NULL AND rendered_at IS NOT NULL"  # in a channel of a server

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("seq", Int64, primary_key=True),  # order of arrival
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("request", sa.Text, nullable=False),  # JSON of core.requests
    sa.Column("prompt", sa.Text),  # the request's words, for completion and search
    sa.Column("cost_key", sa.Text, nullable=False),  # kind, model, size: what decides how long it takes
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("lane", sa.Text, nullable=False),
    sa.Column("front", Int64),  # moved to the front by an admin; the highest is first
    sa.Column("max_running", Int64, nullable=False),  # of this user at once, by their roles on asking
    # origin
    sa.Column("user_id", Int64, nullable=False),
    sa.Column("channel_id", Int64, nullable=False),  # 0 = none, on the web
    sa.Column("guild_id", Int64),
    sa.Column("surface", sa.Text, nullable=False, server_default=Surface.DISCORD.value),
    sa.Column("request_key", sa.Text),
    sa.Column("interaction_id", Int64),
    sa.Column("interaction_token", sa.Text),  # a secret, useless after 15 min: dropped on delivery
    sa.Column("application_id", Int64),
    sa.Column("press_key", sa.Text),
    sa.Column("message_id", Int64),
    sa.Column("file_limit", Int64, nullable=False),  # bytes
    sa.Column("private", Int64, nullable=False),  # 0 or 1
    sa.Column("roles", sa.Text, nullable=False),  # JSON list of ids
    # lineage
    sa.Column("parent_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="SET NULL")),
    sa.Column("parent_index", Int64),
    # a run
    sa.Column("attempts", Int64, nullable=False, server_default="0"),
    sa.Column("cut_off", Int64, nullable=False, server_default="0"),  # times that the bot ended while it ran
    sa.Column("lease_token", sa.Text),  # of the run that may change this row
    sa.Column("device", sa.Text),
    sa.Column("run_seconds", Float64),  # of the device: less than the clock's where it was shared
    sa.Column("captions", sa.Text),  # JSON, of the output
    sa.Column("scores", sa.Text),  # JSON
    sa.Column("answer", sa.Text),  # JSON of core.events.ChatAnswer
    sa.Column("lines", sa.Text),  # JSON of core.results
    sa.Column("parameters", sa.Text),  # JSON
    sa.Column("error", sa.Text),  # a plain sentence for the person who asked
    # times
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Column("started_at", UtcTimestamp),
    sa.Column("rendered_at", UtcTimestamp),
    sa.Column("finished_at", UtcTimestamp),
    sa.Column("delivered_at", UtcTimestamp),
    sa.Column("rung", sa.Text),  # of the delivery ladder
    sa.UniqueConstraint("id"),
    sa.UniqueConstraint("interaction_id"),
    sa.CheckConstraint(_in("status", Status), "status"),
    sa.CheckConstraint(_in("lane", Lane), "lane"),
    sa.CheckConstraint("(status = 'running') = (lease_token IS NOT NULL)", "lease"),
    sa.CheckConstraint("attempts BETWEEN 0 AND 3", "attempts"),
    sa.CheckConstraint("status <> 'failed' OR error IS NOT NULL", "error"),
    sa.CheckConstraint("status NOT IN ('rendered', 'delivered') OR rendered_at IS NOT NULL", "rendered"),
    sa.CheckConstraint(
        "(delivered_at IS NULL) OR status IN ('delivered', 'failed', 'cancelled')", "delivered"
    ),
    sa.CheckConstraint("(status = 'delivered') <= (delivered_at IS NOT NULL)", "told"),
    sqlite_strict=True,
    sqlite_autoincrement=True,
)
IS_DISCORDS = jobs.c.surface == sa.literal_column(f"'{Surface.DISCORD}'")


def _partial(name: str, condition: str, *columns: sa.Column[Any], unique: bool = False) -> sa.Index:
    return sa.Index(
        name, *columns, unique=unique, sqlite_where=sa.text(condition), postgresql_where=sa.text(condition)
    )


_partial("jobs_queued", QUEUED, jobs.c.seq)
_partial("jobs_queued_user", QUEUED, jobs.c.user_id)
_partial("jobs_queued_guild", QUEUED, jobs.c.guild_id)
_partial("jobs_running", RUNNING, jobs.c.seq)
_partial("jobs_open", UNDELIVERED, jobs.c.seq)
_partial("jobs_request_key", KEYED, jobs.c.user_id, jobs.c.request_key, unique=True)
_partial("jobs_press_key", PRESSED, jobs.c.press_key, unique=True)
_partial("jobs_parent", CHILD, jobs.c.parent_id)
_partial("jobs_shown", SHOWN, jobs.c.guild_id, jobs.c.seq, jobs.c.channel_id)
_partial("jobs_unfinished_user", UNFINISHED, jobs.c.user_id)
_partial("jobs_bundles", BUNDLES, jobs.c.seq)
_partial("jobs_answered", ANSWERED, jobs.c.channel_id, jobs.c.created_at, jobs.c.seq)
_partial("jobs_told", TOLD, jobs.c.delivered_at)
sa.Index("jobs_user", jobs.c.user_id, jobs.c.seq)
sa.Index("jobs_user_asked", jobs.c.user_id, jobs.c.created_at)
sa.Index("jobs_guild", jobs.c.guild_id, jobs.c.seq)

GRID = -1  # position of the overview picture or chart

pictures = sa.Table(
    "pictures",
    metadata,
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("position", Int64, primary_key=True),  # from 0; GRID
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("media_type", sa.Text, nullable=False),
    sa.Column("width", Int64, nullable=False),
    sa.Column("height", Int64, nullable=False),
    sa.Column("seed", Int64),
    sa.Column("size", Int64, nullable=False),  # bytes
    sa.CheckConstraint("position >= -1", "position"),
    sa.Index("pictures_sha256", "sha256"),
    sqlite_strict=True,
)

inputs = sa.Table(  # files that a request names: with pictures, all there is to know of who needs a file
    "inputs",
    metadata,
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Index("inputs_sha256", "sha256"),
    sqlite_strict=True,
)

messages = sa.Table(
    "messages",
    metadata,
    sa.Column("message_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("channel_id", Int64, nullable=False),
    sa.Column("guild_id", Int64),
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    sa.Column("position", Int64),  # of the one picture it shows, from 0; NULL = the whole job
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Index("messages_job", "job_id"),
    sqlite_strict=True,
)

users = sa.Table(
    "users",
    metadata,
    sa.Column("id", Int64, primary_key=True, autoincrement=False),
    sa.Column("name", sa.Text, nullable=False, server_default=""),
    sa.Column("served", Int64, nullable=False, server_default="0"),  # number of the latest turn, 0 = none
    sa.Column("flags", sa.Text, nullable=False, server_default="{}"),  # JSON, such as "saw this hint"
    sa.Column("seen_at", UtcTimestamp),
    sa.Index("users_served", "served"),
    sqlite_strict=True,
)

guilds = sa.Table(
    "guilds",
    metadata,
    sa.Column("id", Int64, primary_key=True, autoincrement=False),
    sa.Column("name", sa.Text, nullable=False, server_default=""),
    sa.Column("seen_at", UtcTimestamp),
    sa.Column("left_at", UtcTimestamp),  # NULL = the bot is in it
    sqlite_strict=True,
)

bans = sa.Table(
    "bans",
    metadata,
    sa.Column("guild_id", Int64, primary_key=True, autoincrement=False),  # EVERYWHERE, or one server
    sa.Column("user_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("actor_id", Int64, nullable=False),
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Index("bans_user", "user_id"),
    sqlite_strict=True,
)
EVERYWHERE = 0

allowed = sa.Table(  # as soon as a server has one row of a kind, only what is listed may be used
    "allowed",
    metadata,
    sa.Column("guild_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("target_id", Int64, primary_key=True, autoincrement=False),
    sa.CheckConstraint("kind IN ('channel', 'role')", "kind"),
    sqlite_strict=True,
)

role_limits = sa.Table(  # a member has the best of their roles' limits
    "role_limits",
    metadata,
    sa.Column("guild_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("role_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("user_running", Int64, nullable=False),
    sa.Column("user_waiting", Int64, nullable=False),
    sa.CheckConstraint("user_running >= 0 AND user_waiting >= 0", "positive"),
    sqlite_strict=True,
)

role_tokens = sa.Table(  # a member has the most of their roles' tokens
    "role_tokens",
    metadata,
    sa.Column("guild_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("role_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("per_day", Int64, nullable=False),  # 0 = as many as they like
    sa.CheckConstraint("per_day >= 0", "positive"),
    sqlite_strict=True,
)

settings = sa.Table(  # what is changed while running, such as "paused"
    "settings",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),  # JSON
    sqlite_strict=True,
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("seq", Int64, primary_key=True),
    sa.Column("at", UtcTimestamp, nullable=False),
    sa.Column("actor_id", Int64, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("guild_id", Int64),
    sa.Column("target", sa.Text),
    sa.Column("detail", sa.Text, nullable=False, server_default="{}"),  # JSON
    sa.Index("audit_actor", "actor_id"),
    sqlite_strict=True,
    sqlite_autoincrement=True,
)

policies = sa.Table(  # what a server lets through; NULL = as the host has set it
    "policies",
    metadata,
    sa.Column("guild_id", Int64, primary_key=True, autoincrement=False),  # EVERYWHERE = direct messages
    sa.Column("level", sa.Text),
    sa.Column("pictures", sa.Text),
    sa.Column("strikes", Int64),
    sa.Column("window", Int64),  # hours
    sa.Column("timeout", Int64),  # minutes
    sa.Column("rules", sa.Text),  # JSON list of sentences, of the server's own
    sa.CheckConstraint("level IN ('off', 'standard', 'strict')", "level"),
    sa.CheckConstraint("pictures IN ('spoiler', 'block')", "pictures"),
    sqlite_strict=True,
)

filter_words = sa.Table(
    "filter_words",
    metadata,
    sa.Column("guild_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("pattern", sa.Text, primary_key=True),
    sa.Column("actor_id", Int64, nullable=False),
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sqlite_strict=True,
)

strikes = sa.Table(  # what a rule stopped; never what it said
    "strikes",
    metadata,
    sa.Column("seq", Int64, primary_key=True),
    sa.Column("user_id", Int64, nullable=False),
    sa.Column("guild_id", Int64, nullable=False),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("at", UtcTimestamp, nullable=False),
    sa.Index("strikes_user", "user_id", "guild_id"),
    sqlite_strict=True,
)

timeouts = sa.Table(
    "timeouts",
    metadata,
    sa.Column("guild_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("user_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("until", UtcTimestamp, nullable=False),
    sa.Index("timeouts_user", "user_id"),
    sqlite_strict=True,
)

picture_scores = sa.Table(
    "picture_scores",
    metadata,
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("classifier", sa.Text, nullable=False),
    sa.Column("nsfw", Float64, nullable=False),
    sqlite_strict=True,
)

picture_minors = sa.Table(  # what is known of pictures and films that jobs have made
    "picture_minors",
    metadata,
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("of_minor", Int64, nullable=False),  # 0 or 1
    sqlite_strict=True,
)

preferences = sa.Table(  # what a member has chosen for all their prompts
    "preferences",
    metadata,
    sa.Column("user_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("choices", sa.Text, nullable=False),  # JSON of core.convert
    sqlite_strict=True,
)

options = sa.Table(  # a member's own --names
    "options",
    metadata,
    sa.Column("user_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sqlite_strict=True,
)

favourites = sa.Table(
    "favourites",
    metadata,
    sa.Column("user_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("position", Int64, primary_key=True, autoincrement=False),  # of the picture, from 0
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Index("favourites_user", "user_id", "created_at"),
    sa.Index("favourites_job", "job_id"),
    sqlite_strict=True,
)

drafts = sa.Table(  # what a confirm button stands for: longer than a custom_id
    "drafts",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("user_id", Int64, nullable=False),
    sa.Column("content", sa.Text, nullable=False),  # JSON
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Index("drafts_user", "user_id"),
    sqlite_strict=True,
)

uploads = sa.Table(  # who sent which file: what no job has used yet belongs to somebody too
    "uploads",
    metadata,
    sa.Column("user_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("at", UtcTimestamp, nullable=False),
    sa.Index("uploads_sha256", "sha256"),
    sqlite_strict=True,
)

tokens_used = sa.Table(  # by somebody's questions and their answers
    "tokens_used",
    metadata,
    sa.Column("user_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("day", Int64, primary_key=True, autoincrement=False),  # since 1970, in UTC
    sa.Column("tokens", Int64, nullable=False),
    sqlite_strict=True,
)

unposted = sa.Table(  # messages of deleted jobs that Discord shows still; whose they were is forgotten
    "unposted",
    metadata,
    sa.Column("message_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("channel_id", Int64, nullable=False),
    sa.Column("at", UtcTimestamp, nullable=False),
    sqlite_strict=True,
)

going = sa.Table(  # files that no row needs any more, until they are deleted
    "going",
    metadata,
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("at", UtcTimestamp, nullable=False),
    sa.Column("due", UtcTimestamp, nullable=False),
    sa.Index("going_due", "due"),
    sqlite_strict=True,
)
