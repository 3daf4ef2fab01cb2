"""Every table, its checks and its indexes. What a row means is said in the modules that read it. It is one
thing because tables hang on each other, and a migration is compared with all of them.

Conditions of partial indexes are constants here, used by the statements too: SQLite uses such an index
only when the statement repeats its condition word for word, with no bound parameter in it.

A video's poster, its first frame, is the row of ``pictures`` with the same job and position: what shows,
finds, judges, puts away or deletes pictures does so with videos without knowing of them. A project is a
person's alone (guild_id NULL) or a server's; what hangs on it goes with it. What a training learns from
is kept as it was when it was asked for, in ``training_items`` until it is over and in ``version_items``
for what came of it; a picture that is deleted goes out of both at once.
"""

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
    """An aware time as whole microseconds since 1970 in UTC: compares alike in every database."""

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


def _table(name: str, *parts: Any, **options: Any) -> sa.Table:
    return sa.Table(name, metadata, *parts, sqlite_strict=True, **options)


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

jobs = _table(
    "jobs",
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
    sa.Column("language", sa.Text, nullable=False, server_default="en"),  # of its messages
    sa.Column("roles", sa.Text, nullable=False),  # JSON list of ids
    sa.Column("away", Int64, nullable=False, server_default="0"),  # 1 = by the asker's own installation
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
    sqlite_autoincrement=True,
)
IS_DISCORDS = jobs.c.surface == sa.literal_column(f"'{Surface.DISCORD}'")


def _partial(name: str, condition: str, *columns: sa.Column[Any] | str, unique: bool = False) -> sa.Index:
    where = sa.text(condition)
    return sa.Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)


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

pictures = _table(
    "pictures",
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
    sa.Index("pictures_seed", "seed"),
)

inputs = _table(  # files that a request names: with pictures, all there is to know of who needs a file
    "inputs",
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Index("inputs_sha256", "sha256"),
)

messages = _table(
    "messages",
    sa.Column("message_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("channel_id", Int64, nullable=False),
    sa.Column("guild_id", Int64),
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    sa.Column("position", Int64),  # of the one picture it shows, from 0; NULL = the whole job
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Index("messages_job", "job_id"),
)

users = _table(
    "users",
    sa.Column("id", Int64, primary_key=True, autoincrement=False),
    sa.Column("name", sa.Text, nullable=False, server_default=""),
    sa.Column("served", Int64, nullable=False, server_default="0"),  # number of the latest turn, 0 = none
    sa.Column("flags", sa.Text, nullable=False, server_default="{}"),  # JSON, such as "saw this hint"
    sa.Column("seen_at", UtcTimestamp),
    sa.Index("users_served", "served"),
)

guilds = _table(
    "guilds",
    sa.Column("id", Int64, primary_key=True, autoincrement=False),
    sa.Column("name", sa.Text, nullable=False, server_default=""),
    sa.Column("seen_at", UtcTimestamp),
    sa.Column("left_at", UtcTimestamp),  # NULL = the bot is in it
    sa.Column("greeted_at", UtcTimestamp),  # NULL = the bot hasn't said what it is
)

bans = _table(
    "bans",
    sa.Column("guild_id", Int64, primary_key=True, autoincrement=False),  # EVERYWHERE, or one server
    sa.Column("user_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("actor_id", Int64, nullable=False),
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Index("bans_user", "user_id"),
)
EVERYWHERE = 0

allowed = _table(  # as soon as a server has one row of a kind, only what is listed may be used
    "allowed",
    sa.Column("guild_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("target_id", Int64, primary_key=True, autoincrement=False),
    sa.CheckConstraint("kind IN ('channel', 'role')", "kind"),
)

role_limits = _table(  # a member has the best of their roles' limits
    "role_limits",
    sa.Column("guild_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("role_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("user_running", Int64, nullable=False),
    sa.Column("user_waiting", Int64, nullable=False),
    sa.CheckConstraint("user_running >= 0 AND user_waiting >= 0", "positive"),
)

role_tokens = _table(  # a member has the most of their roles' tokens
    "role_tokens",
    sa.Column("guild_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("role_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("per_day", Int64, nullable=False),  # 0 = as many as they like
    sa.CheckConstraint("per_day >= 0", "positive"),
)

settings = _table(  # what is changed while running, such as "paused"
    "settings",
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),  # JSON
)

audit = _table(
    "audit",
    sa.Column("seq", Int64, primary_key=True),
    sa.Column("at", UtcTimestamp, nullable=False),
    sa.Column("actor_id", Int64, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("guild_id", Int64),
    sa.Column("target", sa.Text),
    sa.Column("detail", sa.Text, nullable=False, server_default="{}"),  # JSON
    sa.Index("audit_actor", "actor_id"),
    sqlite_autoincrement=True,
)

policies = _table(  # what a server lets through; NULL = as the host has set it
    "policies",
    sa.Column("guild_id", Int64, primary_key=True, autoincrement=False),  # EVERYWHERE = direct messages
    sa.Column("level", sa.Text),
    sa.Column("pictures", sa.Text),
    sa.Column("strikes", Int64),
    sa.Column("window", Int64),  # hours
    sa.Column("timeout", Int64),  # minutes
    sa.Column("rules", sa.Text),  # JSON list of sentences, of the server's own
    sa.CheckConstraint("level IN ('off', 'standard', 'strict')", "level"),
    sa.CheckConstraint("pictures IN ('spoiler', 'block')", "pictures"),
)

filter_words = _table(
    "filter_words",
    sa.Column("guild_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("pattern", sa.Text, primary_key=True),
    sa.Column("actor_id", Int64, nullable=False),
    sa.Column("created_at", UtcTimestamp, nullable=False),
)

strikes = _table(  # what a rule stopped; never what it said
    "strikes",
    sa.Column("seq", Int64, primary_key=True),
    sa.Column("user_id", Int64, nullable=False),
    sa.Column("guild_id", Int64, nullable=False),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("at", UtcTimestamp, nullable=False),
    sa.Index("strikes_user", "user_id", "guild_id"),
)

timeouts = _table(
    "timeouts",
    sa.Column("guild_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("user_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("until", UtcTimestamp, nullable=False),
    sa.Index("timeouts_user", "user_id"),
)

picture_scores = _table(
    "picture_scores",
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("classifier", sa.Text, nullable=False),
    sa.Column("nsfw", Float64, nullable=False),
)

picture_minors = _table(  # what is known of pictures and videos that jobs have made
    "picture_minors",
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("of_minor", Int64, nullable=False),  # 0 or 1
)

preferences = _table(  # what a member has chosen for all their prompts
    "preferences",
    sa.Column("user_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("choices", sa.Text, nullable=False),  # JSON of core.convert
)

options = _table(  # a member's own --names
    "options",
    sa.Column("user_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

favourites = _table(
    "favourites",
    sa.Column("user_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("position", Int64, primary_key=True, autoincrement=False),  # of the picture, from 0
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Index("favourites_user", "user_id", "created_at"),
    sa.Index("favourites_job", "job_id"),
)

taste_codes = _table(  # tastes as they were when somebody made a code of them
    "taste_codes",
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("user_id", Int64, nullable=False),
    sa.Column("name", sa.Text, nullable=False),  # of what it was made of
    sa.Column("guild_id", Int64),  # whose members may use it; NULL = its owner alone
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Index("taste_codes_user", "user_id"),
    sa.Index("taste_codes_guild", "guild_id"),
)

taste_voters = _table(  # whose hearts count in the taste of a server
    "taste_voters",
    sa.Column("guild_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("user_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("counts", Int64, nullable=False),  # 0 or 1; 0 = they don't want it
    sa.Column("unread", sa.Text),  # channels that they can't read, of others' pictures that they like
    sa.CheckConstraint("counts IN (0, 1)", "counts"),
    sa.Index("taste_voters_user", "user_id"),
)

drafts = _table(  # what a confirm button stands for: longer than a custom_id
    "drafts",
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("user_id", Int64, nullable=False),
    sa.Column("content", sa.Text, nullable=False),  # JSON
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Index("drafts_user", "user_id"),
)

uploads = _table(  # who sent which file: what no job has used yet belongs to somebody too
    "uploads",
    sa.Column("user_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("at", UtcTimestamp, nullable=False),
    sa.Index("uploads_sha256", "sha256"),
)

tokens_used = _table(  # what somebody used of a day: tokens of questions and answers, jobs while away
    "tokens_used",
    sa.Column("user_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("day", Int64, primary_key=True, autoincrement=False),  # since 1970, in UTC
    sa.Column("tokens", Int64, nullable=False),
    sa.Column("away_jobs", Int64, nullable=False, server_default="0"),
)

unposted = _table(  # messages of deleted jobs that Discord shows still; whose they were is forgotten
    "unposted",
    sa.Column("message_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("channel_id", Int64, nullable=False),
    sa.Column("at", UtcTimestamp, nullable=False),
)

going = _table(  # files that no row needs any more, until they are deleted
    "going",
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("at", UtcTimestamp, nullable=False),
    sa.Column("due", UtcTimestamp, nullable=False),
    sa.Index("going_due", "due"),
)


example_sets = _table(
    "example_sets",
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("user_id", Int64, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("guild_id", Int64),  # whose members may use it; NULL = its owner alone
    sa.Column("conversation", sa.Text, sa.ForeignKey("jobs.id", ondelete="SET NULL")),  # its first question
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Index("example_sets_name", "user_id", "name", unique=True),
    sa.Index("example_sets_guild", "guild_id"),
    sa.Index("example_sets_conversation", "conversation"),
)

examples = _table(
    "examples",
    sa.Column("id", Int64, primary_key=True),  # order of arrival
    sa.Column("set_id", sa.Text, sa.ForeignKey("example_sets.id", ondelete="CASCADE"), nullable=False),
    sa.Column("question", sa.Text, nullable=False),  # "" = what the picture is called
    sa.Column("label", sa.Text, nullable=False),  # the right answer
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE")),  # where its words come from
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Index("examples_set", "set_id", "id"),
    sa.Index("examples_job", "job_id"),
    sqlite_autoincrement=True,
)

example_pictures = _table(
    "example_pictures",
    sa.Column("example_id", Int64, sa.ForeignKey("examples.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("position", Int64, primary_key=True, autoincrement=False),  # from 0
    sa.Column("sha256", sa.Text, nullable=False),
    # whose picture it is, if a job's
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE")),
    sa.Index("example_pictures_sha256", "sha256"),
    sa.Index("example_pictures_job", "job_id"),
)

feedback = _table(  # on answers
    "feedback",
    sa.Column("user_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("is_right", Int64, nullable=False),  # 0 or 1
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.CheckConstraint("is_right IN (0, 1)", "is_right"),
    sa.Index("feedback_job", "job_id"),
)


def _picture(name: str | None = None) -> sa.ForeignKeyConstraint:
    """What hangs on a picture goes with it."""
    return sa.ForeignKeyConstraint(
        ["job_id", "position"], ["pictures.job_id", "pictures.position"], name=name, ondelete="CASCADE"
    )


taste_rows = _table(  # what a code was made of: pictures of a job were seen together
    "taste_rows",
    sa.Column("code", sa.Text, sa.ForeignKey("taste_codes.code", ondelete="CASCADE"), primary_key=True),
    sa.Column("job_id", sa.Text, primary_key=True),
    sa.Column("position", Int64, primary_key=True, autoincrement=False),  # from 0
    sa.Column("liked", Int64, nullable=False),  # 0 or 1
    sa.Column("page", sa.Text),  # on which it was rated; NULL = it was seen in the grid of its job
    _picture(),
    sa.CheckConstraint("liked IN (0, 1)", "liked"),
    sa.Index("taste_rows_picture", "job_id", "position"),
)

taste_choices = _table(  # what somebody said of pictures that they were shown to rate
    "taste_choices",
    sa.Column("user_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("job_id", sa.Text, primary_key=True),
    sa.Column("position", Int64, primary_key=True, autoincrement=False),  # from 0
    sa.Column("page", sa.Text, nullable=False),  # pictures of a page were seen together
    sa.Column("liked", Int64, nullable=False),  # 0 or 1
    sa.Column("at", UtcTimestamp, nullable=False),
    _picture(),
    sa.CheckConstraint("liked IN (0, 1)", "liked"),
    sa.Index("taste_choices_picture", "job_id", "position"),
)

duels = _table(  # pairs of a channel's own pictures, that its members vote on
    "duels",
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("guild_id", Int64, nullable=False),
    sa.Column("channel_id", Int64, nullable=False),
    sa.Column("message_id", Int64),  # NULL = not known to be posted
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Column("ended_at", UtcTimestamp),
    sa.Index("duels_guild", "guild_id"),
)

duel_pictures = _table(
    "duel_pictures",
    sa.Column("duel_id", sa.Text, sa.ForeignKey("duels.id", ondelete="CASCADE"), primary_key=True),
    sa.Column(
        "number", Int64, primary_key=True, autoincrement=False
    ),  # from 1; 1 and 2 are a pair, and so on
    sa.Column("job_id", sa.Text, nullable=False),
    sa.Column("position", Int64, nullable=False),
    _picture(),
    sa.Index("duel_pictures_picture", "job_id", "position"),
)

duel_votes = _table(  # a row for each picture of a pair that a member decided
    "duel_votes",
    sa.Column("duel_id", sa.Text, primary_key=True),
    sa.Column("user_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("number", Int64, primary_key=True, autoincrement=False),
    sa.Column("liked", Int64, nullable=False),  # 0 or 1
    sa.Column("at", UtcTimestamp, nullable=False),
    sa.ForeignKeyConstraint(
        ["duel_id", "number"], ["duel_pictures.duel_id", "duel_pictures.number"], ondelete="CASCADE"
    ),
    sa.CheckConstraint("liked IN (0, 1)", "liked"),
    sa.Index("duel_votes_user", "user_id"),
    sa.Index("duel_votes_picture", "duel_id", "number"),
)

videos = _table(
    "films",
    sa.Column("job_id", sa.Text, primary_key=True),
    sa.Column("position", Int64, primary_key=True, autoincrement=False),  # from 0, as its poster's
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("media_type", sa.Text, nullable=False),
    sa.Column("width", Int64, nullable=False),
    sa.Column("height", Int64, nullable=False),
    sa.Column("frames", Int64, nullable=False),
    sa.Column("fps", Float64, nullable=False),
    sa.Column("sound", Int64, nullable=False),  # 0 or 1
    sa.Column("seed", Int64),
    sa.Column("size", Int64, nullable=False),  # bytes
    sa.Column("ends_sha256", sa.Text),  # latents of its first and last frames; NULL = none were kept
    _picture(),
    sa.CheckConstraint("frames > 0 AND fps > 0", "length"),
    sa.Index("films_sha256", "sha256"),
    sa.Index("films_ends", "ends_sha256"),
)

videos_used = _table(  # made for somebody on a day, whatever was deleted since
    "films_used",
    sa.Column("user_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("day", Int64, primary_key=True, autoincrement=False),  # since 1970, in UTC
    sa.Column("seconds", Float64, nullable=False),
)


PERSONAL, SHARED = "guild_id IS NULL", "guild_id IS NOT NULL"
ACTIVE, VOICE = "state = 'active'", "user_id <> 0"


def _project(primary_key: bool = False) -> sa.Column[str]:
    foreign = sa.ForeignKey("projects.id", ondelete="CASCADE")
    return sa.Column("project_id", sa.Text, foreign, nullable=False, primary_key=primary_key)


projects = _table(
    "projects",
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("guild_id", Int64),  # NULL = its owner's alone
    sa.Column("user_id", Int64, nullable=False),  # its owner; 0 = its server's managers alone
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("task", sa.Text, nullable=False),
    sa.Column("alike", sa.Text, nullable=False, server_default="auto"),
    sa.Column("words", sa.Text, nullable=False, server_default=""),  # what calls a style
    sa.Column("voices", Int64, nullable=False, server_default="1"),  # that a label takes
    # version that must be trained again; 0 = none
    sa.Column("due", Int64, nullable=False, server_default="0"),
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.CheckConstraint("task IN ('anomaly', 'classify', 'detect', 'style')", "task"),
    sa.CheckConstraint("alike IN ('auto', 'fixture', 'turns', 'free')", "alike"),
    sa.CheckConstraint("voices BETWEEN 1 AND 3", "voices"),
    _partial("projects_own_name", PERSONAL, "user_id", "name", unique=True),
    _partial("projects_guild_name", SHARED, "guild_id", "name", unique=True),
    sa.Index("projects_user", "user_id"),
)

project_rights = _table(  # beside those of its owner and the server's managers
    "project_rights",
    _project(primary_key=True),
    sa.Column("role_id", Int64, primary_key=True, autoincrement=False),  # 0 = every member
    sa.Column("right", sa.Text, primary_key=True),
    sa.CheckConstraint("\"right\" IN ('add', 'label', 'train', 'use', 'export')", "right"),
)

taste_loras = _table(  # styles that were made of what their owners like
    "taste_loras",
    _project(primary_key=True),
    # of the folder that it was made of; NULL = of their hearts
    sa.Column("folder_id", sa.Text, sa.ForeignKey("folders.id", ondelete="CASCADE")),
    sa.Column("code", sa.Text, nullable=False, server_default=""),  # of the pictures that it was trained on
    sa.Column("number", Int64, nullable=False, server_default="0"),  # version that is compared; 0 = none
    sa.Column("is_on", Int64, nullable=False, server_default="0"),  # 0 or 1
    sa.CheckConstraint("is_on IN (0, 1)", "is_on"),
    sa.Index("taste_loras_folder", "folder_id"),
)

taste_pairs = _table(  # pictures with such a style and without it, between which their owner chooses blind
    "taste_pairs",
    sa.Column(
        "project_id", sa.Text, sa.ForeignKey("taste_loras.project_id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("position", Int64, primary_key=True, autoincrement=False),  # from 0
    sa.Column("with_job", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    sa.Column("without_job", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    sa.Column("picture", Int64, nullable=False),  # of both jobs, from 0
    sa.Column("first", Int64, nullable=False),  # 1 = the one with it is shown first
    sa.Column("chosen", Int64),  # 1 = the one with it was; NULL = nothing was said yet
    sa.CheckConstraint("first IN (0, 1)", "first"),
    sa.CheckConstraint("chosen IN (0, 1)", "chosen"),
    sa.Index("taste_pairs_with", "with_job"),
    sa.Index("taste_pairs_without", "without_job"),
)

labels = _table(  # the label book
    "project_labels",
    _project(primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("meaning", sa.Text, nullable=False, server_default=""),
    sa.Column("position", Int64, nullable=False),
)

items = _table(  # pictures; the same one twice is one item
    "project_items",
    _project(primary_key=True),
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("user_id", Int64, nullable=False),  # who brought it
    # whose picture it is, if a job's
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="SET NULL")),
    sa.Column("group_key", sa.Text, nullable=False, server_default=""),  # of shots of one thing; "" = unknown
    sa.Column("label", sa.Text, nullable=False, server_default=""),  # that is agreed on; "" = none yet
    sa.Column("state", sa.Text, nullable=False, server_default="new"),
    sa.Column("added_at", UtcTimestamp, nullable=False),
    sa.Column("changed_at", UtcTimestamp, nullable=False),  # when it came, or its label last changed
    sa.CheckConstraint("state IN ('new', 'labelled', 'disputed', 'left_out')", "state"),
    sa.Index("project_items_sha256", "sha256"),
    sa.Index("project_items_user", "user_id"),
    sa.Index("project_items_job", "job_id"),
    sa.Index("project_items_order", "project_id", "added_at", "sha256"),
)

marks = _table(  # what somebody calls a picture; one voice for each person who is known still
    "project_marks",
    sa.Column("seq", Int64, primary_key=True),
    _project(),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("user_id", Int64, nullable=False),  # 0 = somebody whose data was deleted
    sa.Column("label", sa.Text, nullable=False),
    # JSON of [label, left, top, right, bottom], 0..1
    sa.Column("boxes", sa.Text, nullable=False, server_default="[]"),
    sa.Column("mask", sa.Text),  # SHA-256 of a black and white picture: where it is
    sa.Column("at", UtcTimestamp, nullable=False),
    sa.ForeignKeyConstraint(
        ["project_id", "sha256"],
        ["project_items.project_id", "project_items.sha256"],
        ondelete="CASCADE",
        name="fk_project_marks_item",
    ),
    _partial("project_marks_voice", VOICE, "project_id", "sha256", "user_id", unique=True),
    sa.Index("project_marks_item", "project_id", "sha256"),
    sa.Index("project_marks_user", "user_id"),
    sa.Index("project_marks_mask", "mask"),
    sqlite_autoincrement=True,
)

trainings = _table(  # that aren't over
    "project_trainings",
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    _project(),
    # 1 = it was told of pictures that are deleted
    sa.Column("spoilt", Int64, nullable=False, server_default="0"),
    sa.CheckConstraint("spoilt IN (0, 1)", "spoilt"),
    sa.Index("project_trainings_project", "project_id"),
)

training_items = _table(
    "training_items",
    sa.Column(
        "job_id", sa.Text, sa.ForeignKey("project_trainings.job_id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("group_key", sa.Text, nullable=False),
    sa.Column("part", sa.Text, nullable=False),
    sa.CheckConstraint("part IN ('train', 'test')", "part"),
    sa.Index("training_items_sha256", "sha256"),
)

versions = _table(
    "project_versions",
    _project(primary_key=True),
    sa.Column("number", Int64, primary_key=True, autoincrement=False),  # from 1
    sa.Column("user_id", Int64, nullable=False),  # who had it trained
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="SET NULL")),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("artefact", sa.Text),  # NULL = deleted: what it had learned from was, or it is too old
    sa.Column("size", Int64, nullable=False),  # bytes
    sa.Column("threshold", Float64),  # by which an inspection judges; NULL = the model's own
    sa.Column("promise", Float64),  # share of good parts that are stopped at most; NULL = nothing is promised
    sa.Column("settings", sa.Text, nullable=False),  # JSON: of the request
    sa.Column("metrics", sa.Text, nullable=False),  # JSON: what its worker told
    sa.Column("asked_at", UtcTimestamp, nullable=False),  # what came later isn't in it
    sa.Column("at", UtcTimestamp, nullable=False),
    sa.CheckConstraint("state IN ('candidate', 'active', 'retired', 'tainted')", "state"),
    _partial("project_versions_active", ACTIVE, "project_id", unique=True),
    sa.Index("project_versions_artefact", "artefact"),
    sa.Index("project_versions_job", "job_id"),
    sa.Index("project_versions_user", "user_id"),
)


def _version() -> sa.ForeignKeyConstraint:
    keys = ["project_versions.project_id", "project_versions.number"]
    return sa.ForeignKeyConstraint(["project_id", "number"], keys, ondelete="CASCADE")


version_items = _table(
    "version_items",
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("number", Int64, primary_key=True, autoincrement=False),
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("group_key", sa.Text, nullable=False),
    sa.Column("part", sa.Text, nullable=False),
    _version(),
    sa.CheckConstraint("part IN ('train', 'test')", "part"),
    sa.Index("version_items_sha256", "sha256"),
)

version_files = _table(  # charts and other pictures of its report
    "version_files",
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("number", Int64, primary_key=True, autoincrement=False),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("position", Int64, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("media_type", sa.Text, nullable=False),
    _version(),
    sa.Index("version_files_sha256", "sha256"),
)

verdicts = _table(
    "verdicts",
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("position", Int64, primary_key=True, autoincrement=False),  # from 0
    _project(),
    sa.Column("number", Int64, nullable=False),  # of the version
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("score", Float64, nullable=False),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("strange", Int64, nullable=False),  # 0 or 1: over the limit; none of the labels
    sa.Column("is_right", Int64),  # 0 or 1; NULL = nobody has said
    sa.Column("answered_by", Int64),
    sa.Column("at", UtcTimestamp, nullable=False),
    sa.CheckConstraint("strange IN (0, 1)", "strange"),
    sa.CheckConstraint("is_right IN (0, 1)", "is_right"),
    sa.Index("verdicts_project", "project_id", "at"),
    sa.Index("verdicts_answered_by", "answered_by"),
    sa.Index("verdicts_sha256", "sha256"),
)

OPEN_PICTURES = "state = 'waiting'"

watches = _table(  # where pictures come from by themselves, which a project's model judges
    "watches",
    sa.Column("id", sa.Text, primary_key=True),
    _project(),
    sa.Column("user_id", Int64, nullable=False),  # by whom its pictures are asked about
    sa.Column("camera", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),  # as WATCH_SOURCES names it
    sa.Column("channel_id", Int64, nullable=False),  # that is told; 0 = the person alone
    sa.Column("language", sa.Text, nullable=False),  # of what is told
    sa.Column("keep_days", Int64, nullable=False),  # that its pictures are kept
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Column("is_on", Int64, nullable=False, server_default="1"),  # 0 or 1
    sa.Column("place", Int64, nullable=False, server_default="0"),  # ns: what the folder has changed before
    sa.Column("seen_at", UtcTimestamp),  # when its last picture came
    sa.Column("quiet_until", UtcTimestamp),  # until then nobody is told
    sa.Column("trouble", sa.Text, nullable=False, server_default=""),  # why it sees nothing, a sentence
    sa.Column("every", Int64, nullable=False, server_default="5"),  # seconds between two looks at a camera
    sa.Column("hours", sa.Text, nullable=False, server_default=""),  # at which nothing is posted, as typed
    sa.Column("most", Int64, nullable=False, server_default="6"),  # alarms of a minute
    sa.Column("silent_after", Int64, nullable=False, server_default="0"),  # minutes; 0 = never
    sa.Column("is_silent", Int64, nullable=False, server_default="0"),  # 0 or 1: that was posted
    sa.Column("is_changed", Int64, nullable=False, server_default="0"),  # the same of what it sees
    sa.Column("sight", sa.Text, nullable=False, server_default=""),  # what it sees, JSON
    sa.Column("on_at", UtcTimestamp),  # since when it is on
    sa.Column("digest_at", UtcTimestamp),  # until when defects were counted that weren't posted
    sa.Column("reported_on", sa.Text, nullable=False, server_default=""),  # the last day of a report
    sa.Column("notice", sa.Text, nullable=False, server_default=""),  # what was posted last besides alarms
    sa.CheckConstraint("is_on IN (0, 1)", "is_on"),
    sa.Index("watches_camera", "project_id", "camera", unique=True),
    sa.Index("watches_user", "user_id"),
)

watch_pictures = _table(  # jobs by which pictures of a watch are judged
    "watch_pictures",
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("watch_id", sa.Text, sa.ForeignKey("watches.id", ondelete="CASCADE"), nullable=False),
    sa.Column("file", sa.Text, nullable=False),  # its name
    sa.Column("at", UtcTimestamp, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default="waiting"),
    sa.Column("why", sa.Text, nullable=False, server_default=""),  # a defect wasn't posted
    sa.Column("look", sa.Text, nullable=False, server_default=""),  # coarse cells, hexadecimal
    sa.Column("drift", Float64, nullable=False, server_default="0"),  # of the camera by then
    sa.Column("told_at", UtcTimestamp),  # when it became an alarm
    sa.CheckConstraint("state IN ('waiting', 'good', 'alarm', 'quiet', 'failed')", "state"),
    sa.Index("watch_pictures_watch", "watch_id", "state", "at"),
    _partial("watch_pictures_open", OPEN_PICTURES, "watch_id"),
)

job_files = _table(  # what a job made that is no picture and no video, such as a bundle
    "job_files",
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("media_type", sa.Text, nullable=False),
    sa.Column("size", Int64, nullable=False),  # bytes
    sa.Index("job_files_sha256", "sha256"),
)


sessions = _table(  # browsers that are signed in on the web
    "sessions",
    sa.Column("token_hash", sa.Text, primary_key=True),  # SHA-256 of the cookie's value
    sa.Column("id", sa.Text, nullable=False),  # what the person ends it by
    sa.Column("user_id", Int64, nullable=False),
    sa.Column("name", sa.Text, nullable=False),  # as the door that signed them in knew it
    sa.Column("label", sa.Text, nullable=False),  # of the browser
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Column("seen_at", UtcTimestamp, nullable=False),
    sa.Index("sessions_user", "user_id", "created_at"),
)

sign_ins = _table(  # links that make one session each
    "sign_ins",
    sa.Column("token_hash", sa.Text, primary_key=True),  # SHA-256 of what the link carries
    sa.Column("user_id", Int64, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("expires_at", UtcTimestamp, nullable=False),
    sa.Index("sign_ins_user", "user_id"),
)


api_tokens = _table(  # programs that people let in
    "api_tokens",
    sa.Column("token_hash", sa.Text, primary_key=True),  # SHA-256 of what the program sends
    sa.Column("id", sa.Text, nullable=False),  # what the person ends it by
    sa.Column("user_id", Int64, nullable=False),
    sa.Column("name", sa.Text, nullable=False),  # of the person, as the door that they came by knew it
    sa.Column("label", sa.Text, nullable=False),  # what the person calls it
    sa.Column("scopes", sa.Text, nullable=False),  # separated by spaces
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Column("ends_at", UtcTimestamp, nullable=False),
    sa.Column("used_at", UtcTimestamp),  # last
    sa.Column("used_from", sa.Text, server_default="", nullable=False),  # the address of that call
    sa.Index("api_tokens_user", "user_id", "created_at"),
    sa.Index("api_tokens_id", "id", unique=True),
)

push_subscriptions = _table(  # browsers that ring when a job is over, as long as somebody is signed in there
    "push_subscriptions",
    sa.Column("session", sa.Text, sa.ForeignKey("sessions.token_hash", ondelete="CASCADE"), primary_key=True),
    sa.Column("user_id", Int64, nullable=False),
    sa.Column("endpoint", sa.Text, nullable=False),  # where its push service takes messages
    sa.Column("p256dh", sa.Text, nullable=False),  # its public key
    sa.Column("auth", sa.Text, nullable=False),  # a secret that it shares with the studio
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Index("push_subscriptions_user", "user_id"),
    sa.Index("push_subscriptions_endpoint", "endpoint", unique=True),
)

pushes = _table(  # what browsers are to be told, until their push service has taken it
    "pushes",
    sa.Column(
        "session", sa.Text, sa.ForeignKey("push_subscriptions.session", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("due_at", UtcTimestamp, nullable=False),
    sa.Column("tries", Int64, nullable=False, server_default="0"),
    sa.Index("pushes_due", "due_at"),
    sa.Index("pushes_job", "job_id"),
)

webhooks = _table(  # addresses elsewhere that are told what happens, for a token or a project
    "webhooks",
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("user_id", Int64, nullable=False),  # whose it is
    sa.Column("name", sa.Text, nullable=False),  # of that person, as of a token
    sa.Column("token_id", sa.Text, sa.ForeignKey("api_tokens.id", ondelete="CASCADE")),
    sa.Column("project_id", sa.Text, sa.ForeignKey("projects.id", ondelete="CASCADE")),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("secret", sa.Text, nullable=False),  # what its events are signed with
    sa.Column("kinds", sa.Text, nullable=False),  # of events, separated by spaces
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Column("failures", Int64, nullable=False, server_default="0"),  # since it took something
    sa.Column("rests_until", UtcTimestamp),
    sa.Column("paused_at", UtcTimestamp),  # NULL = it is sent what happens
    sa.Column("answered_at", UtcTimestamp),  # last
    sa.Column("answer", sa.Text, nullable=False, server_default=""),  # a status, or why there was none
    sa.CheckConstraint("(token_id IS NULL) <> (project_id IS NULL)", "of"),
    sa.Index("webhooks_user", "user_id", "created_at"),
    sa.Index("webhooks_token", "token_id"),
    sa.Index("webhooks_project", "project_id"),
)

events = _table(  # that webhooks are to be told, until they have taken them
    "webhook_events",
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("webhook_id", sa.Text, sa.ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE")),
    sa.Column("at", UtcTimestamp, nullable=False),
    sa.Column("due_at", UtcTimestamp),  # NULL = given up
    sa.Column("tries", Int64, nullable=False, server_default="0"),
    sa.Index("webhook_events_due", "webhook_id", "due_at"),
    sa.Index("webhook_events_job", "job_id"),
    sa.Index("webhook_events_at", "at"),
)

trash = _table(  # pictures that their author has put away, until they are deleted for good
    "trash",
    sa.Column("job_id", sa.Text, primary_key=True),
    sa.Column("position", Int64, primary_key=True, autoincrement=False),  # of the picture, from 0
    sa.Column("user_id", Int64, nullable=False),
    sa.Column("at", UtcTimestamp, nullable=False),
    _picture(),
    sa.Index("trash_user", "user_id"),
)

style_tiles = _table(  # what the studio draws of each style by itself, for one image model
    "style_tiles",
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("style", Int64, primary_key=True, autoincrement=False),  # its lowest number
    sa.Column("subject", Int64, primary_key=True, autoincrement=False),  # its place among the wall's
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    sa.Index("style_tiles_job", "job_id"),
)

style_likes = _table(
    "style_likes",
    sa.Column("user_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("style", Int64, primary_key=True, autoincrement=False),
    sa.Column("at", UtcTimestamp, nullable=False),
    sa.Index("style_likes_style", "style"),
)

own_styles = _table(  # codes of one's own pictures
    "own_styles",
    sa.Column("user_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("style", Int64, nullable=False),
    sa.Column("at", UtcTimestamp, nullable=False),
    sa.Index("own_styles_code", "code"),
)

own_style_pictures = _table(  # those of them that jobs have made: models that take pictures are shown some
    "own_style_pictures",
    sa.Column("user_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("position", Int64, primary_key=True, autoincrement=False),  # of the picture, from 0
    sa.Index("own_style_pictures_job", "job_id"),
)

folders = _table(
    "folders",
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("user_id", Int64, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("query", sa.Text),  # of a smart folder: the gallery's filters, as they stand in its address
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Index("folders_name", "user_id", "name", unique=True),
)

folder_items = _table(
    "folder_items",
    sa.Column("folder_id", sa.Text, sa.ForeignKey("folders.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("job_id", sa.Text, primary_key=True),
    sa.Column("position", Int64, primary_key=True, autoincrement=False),  # of the picture, from 0
    sa.Column("added_at", UtcTimestamp, nullable=False),
    _picture(),
    sa.Index("folder_items_job", "job_id", "position"),
)

shares = _table(  # links that show something to whoever has them
    "shares",
    sa.Column("token_hash", sa.Text, primary_key=True),  # SHA-256 of what the link carries
    sa.Column("id", sa.Text, nullable=False),  # what the person ends it by
    sa.Column("user_id", Int64, nullable=False),
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE")),
    sa.Column("position", Int64),  # of the one picture, from 0; NULL = all of the job's
    sa.Column("folder_id", sa.Text, sa.ForeignKey("folders.id", ondelete="CASCADE")),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("words", Int64, nullable=False),  # 0 or 1: whether prompts are shown
    sa.Column("embed", Int64, nullable=False, server_default="0"),  # 0 or 1: Discord may copy its pictures
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Column("expires_at", UtcTimestamp, nullable=False),
    sa.Column("revoked_at", UtcTimestamp),
    sa.Column("views", Int64, nullable=False, server_default="0"),
    _picture("fk_shares_picture"),
    sa.CheckConstraint("job_id IS NOT NULL OR folder_id IS NOT NULL", "something"),
    sa.Index("shares_user", "user_id", "created_at"),
    sa.Index("shares_job", "job_id"),
    sa.Index("shares_folder", "folder_id"),
)

documents = _table(  # of the editor, saved while somebody works
    "documents",
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("user_id", Int64, nullable=False),
    sa.Column("name", sa.Text, nullable=False),  # empty until somebody gives it one
    sa.Column("content", sa.Text, nullable=False),  # JSON, see studio/editor/document.py
    sa.Column("summary", sa.Text, nullable=False),  # JSON: what a list shows of it
    sa.Column("version", Int64, nullable=False),  # counts its changes
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Column("updated_at", UtcTimestamp, nullable=False),
    sa.Index("documents_user", "user_id", "updated_at"),
)

document_files = _table(  # files that a document needs: pictures and masks that its owner has sent
    "document_files",
    sa.Column("document_id", sa.Text, sa.ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Index("document_files_sha256", "sha256"),
)


FOLLOWS, WAITS, OPEN = "before_id IS NOT NULL", "waits_for IS NOT NULL", "is_open = 1"
NUMBERED, WITH_JOB, IN_SERVER = "number IS NOT NULL", "job_id IS NOT NULL", "guild_id IS NOT NULL"
SHOWN_BY, ASKED_ONCE = "message_id IS NOT NULL", "once IS NOT NULL"

turns = _table(  # of conversations with the studio: a tree
    "turns",
    sa.Column("seq", Int64, primary_key=True),  # order of arrival
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("before_id", sa.Text, sa.ForeignKey("turns.id", ondelete="SET NULL")),
    sa.Column("root_id", sa.Text, nullable=False),  # of its conversation, whether that row is there or not
    # origin
    sa.Column("user_id", Int64, nullable=False),
    sa.Column("channel_id", Int64, nullable=False),  # 0 = none, on the web
    sa.Column("guild_id", Int64),
    sa.Column("parent_channel_id", Int64),  # of a thread
    sa.Column("surface", sa.Text, nullable=False),
    sa.Column("roles", sa.Text, nullable=False),  # JSON list of ids
    sa.Column("private", Int64, nullable=False),  # 0 or 1
    sa.Column("once", sa.Text),  # the same key of the same person is the same turn
    sa.Column("message_id", Int64),  # that shows it
    # what was said, and what that was taken for
    sa.Column("said", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("decision", sa.Text, nullable=False),  # JSON of core.talk.Decision
    sa.Column("reply", sa.Text, nullable=False, server_default=""),  # a sentence, where no job answers
    # what came of it
    sa.Column("number", Int64),  # in its conversation, of the picture that it makes
    sa.Column("is_open", Int64, nullable=False, server_default="0"),  # 1 = its job is to be queued yet
    sa.Column("waits_for", sa.Text, sa.ForeignKey("turns.id", ondelete="SET NULL")),  # while it is open
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE")),
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.UniqueConstraint("id"),
    sa.CheckConstraint("\"by\" IN ('rules', 'model', 'server', 'person')", "by"),
    sa.CheckConstraint("is_open IN (0, 1)", "is_open"),
    sa.CheckConstraint("is_open = 0 OR job_id IS NULL", "queued"),
    sa.Index("turns_root", "root_id", "seq"),
    sa.Index("turns_place", "channel_id", "user_id", "seq"),
    sa.Index("turns_user", "user_id", "seq"),
    _partial("turns_channel", IN_SERVER, "channel_id", "seq"),
    _partial("turns_before", FOLLOWS, "before_id"),
    _partial("turns_waits", WAITS, "waits_for"),
    _partial("turns_open", OPEN, "seq"),
    _partial("turns_number", NUMBERED, "root_id", "number"),
    _partial("turns_job", WITH_JOB, "job_id", unique=True),
    _partial("turns_message", SHOWN_BY, "message_id"),
    _partial("turns_once", ASKED_ONCE, "once", "user_id", unique=True),
    sqlite_autoincrement=True,
)

turn_pictures = _table(  # that came with a turn
    "turn_pictures",
    sa.Column("turn_id", sa.Text, sa.ForeignKey("turns.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", Int64, primary_key=True, autoincrement=False),  # in its conversation
    sa.Column("sha256", sa.Text, nullable=False),  # of an upload; "" = a job's
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE")),
    sa.Column("position", Int64),  # from 0, of that job
    sa.Index("turn_pictures_sha256", "sha256"),
    sa.Index("turn_pictures_job", "job_id"),
)


picture_vectors = _table(  # what a picture shows, as a CLIP model sees it; it goes with the picture
    "picture_vectors",
    sa.Column("place", Int64, primary_key=True, autoincrement=False),  # in the model's file of vectors
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("vector", sa.LargeBinary, nullable=False),  # float16, little-endian, of unit length
    sa.Index("picture_vectors_sha256", "sha256", "model", unique=True),
)

picture_places = _table(  # which vector is whose picture's, in the order in which somebody's are read
    "picture_places",
    sa.Column("seq", Int64, sa.ForeignKey("jobs.seq", ondelete="CASCADE"), primary_key=True),
    sa.Column("position", Int64, primary_key=True, autoincrement=False),  # of the picture, from 0
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("place", Int64, sa.ForeignKey("picture_vectors.place", ondelete="CASCADE"), nullable=False),
    sa.Index("picture_places_place", "place"),
    sqlite_with_rowid=False,
)
